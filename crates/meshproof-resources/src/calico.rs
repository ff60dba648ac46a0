//! NetworkPolicy and GlobalNetworkPolicy of Calico (projectcalico.org/v3, crd.projectcalico.org/v1). Selectors are
//! expressions of Calico's own language and stay strings here.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::{NodeRef, Scalar, Shape};

use crate::read::{entries, is_true, key_name, mapping, number, objects, spec_span, text, text_at, texts};
use crate::{Field, Text};

/// The spec of either kind; `global` tells them apart.
#[derive(Clone, Debug, PartialEq)]
pub struct CalicoPolicy {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// A GlobalNetworkPolicy.
    pub global: bool,
    /// `tier`; absent means `default`.
    pub tier: Option<Text>,
    /// `order`; absent sorts last.
    pub order: Option<Spanned<f64>>,
    /// `selector`; absent selects everything.
    pub selector: Option<Text>,
    /// `namespaceSelector` of a GlobalNetworkPolicy.
    pub namespace_selector: Option<Text>,
    /// `serviceAccountSelector`.
    pub service_account_selector: Option<Text>,
    /// `types`.
    pub types: Field<Text>,
    /// `ingress`; the first rule that matches decides.
    pub ingress: Field<CalicoRule>,
    /// `egress`.
    pub egress: Field<CalicoRule>,
    /// `doNotTrack` or `preDNAT`: such policies concern host endpoints, never pods.
    pub hosts_only: bool,
    /// Keys of `spec` that are written and cannot be read.
    pub unread: Vec<Text>,
}

/// One item of `ingress` or `egress`.
#[derive(Clone, Debug, PartialEq)]
pub struct CalicoRule {
    /// The item.
    pub span: Span,
    /// `action`: `Allow`, `Deny`, `Log`, `Pass`.
    pub action: Option<Text>,
    /// `protocol`, a name or a number.
    pub protocol: Option<Text>,
    /// `notProtocol`.
    pub not_protocol: Option<Text>,
    /// `ipVersion`: 4 or 6.
    pub ip_version: Option<Spanned<u8>>,
    /// `source`.
    pub source: CalicoEntity,
    /// `destination`.
    pub destination: CalicoEntity,
    /// Place of the `http` key; such rules depend on Calico's own integration and stay undecided.
    pub http: Option<Span>,
    /// Other keys of the rule and its two ends that narrow it down and are not read here (`icmp`, `domains`), or whose
    /// values cannot be read.
    pub unread: Vec<Text>,
}

/// `source` or `destination` of a rule: all parts must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CalicoEntity {
    /// `selector`.
    pub selector: Option<Text>,
    /// `notSelector`.
    pub not_selector: Option<Text>,
    /// `namespaceSelector`.
    pub namespace_selector: Option<Text>,
    /// `nets`.
    pub nets: Field<Text>,
    /// `notNets`.
    pub not_nets: Field<Text>,
    /// `ports`: numbers, ranges (`1:5`) and names.
    pub ports: Field<Text>,
    /// `notPorts`.
    pub not_ports: Field<Text>,
    /// `serviceAccounts.names`.
    pub service_accounts: Field<Text>,
    /// `serviceAccounts.selector`.
    pub service_account_selector: Option<Text>,
    /// `services.name`.
    pub service: Option<Text>,
    /// `services.namespace`; absent means the policy's own.
    pub service_namespace: Option<Text>,
}

impl CalicoPolicy {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(global: bool, spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut policy = CalicoPolicy {
            span: spec_span(spec, object),
            global,
            tier: None,
            order: None,
            selector: None,
            namespace_selector: None,
            service_account_selector: None,
            types: Field::default(),
            ingress: Field::default(),
            egress: Field::default(),
            hosts_only: false,
            unread: Vec::new(),
        };
        for (key, value) in written(spec) {
            let is_read = match key_name(key) {
                "tier" => read(&mut policy.tier, text(value)),
                "order" => read(&mut policy.order, float(value)),
                "selector" => read(&mut policy.selector, text(value)),
                "namespaceSelector" => read(&mut policy.namespace_selector, text(value)),
                "serviceAccountSelector" => read(&mut policy.service_account_selector, text(value)),
                "types" => read_texts(&mut policy.types, key, value),
                "ingress" => read_rules(&mut policy.ingress, key, value),
                "egress" => read_rules(&mut policy.egress, key, value),
                "doNotTrack" | "preDNAT" => {
                    policy.hosts_only |= is_true(value);
                    true
                }
                _ => true,
            };
            policy.unread.extend(text(key).filter(|_| !is_read));
        }
        policy
    }
}

/// The entries of a mapping that are not null.
pub(crate) fn written<'t>(node: Option<NodeRef<'t>>) -> impl Iterator<Item = (NodeRef<'t>, NodeRef<'t>)> {
    entries(node).filter(|(_, value)| !value.is_null())
}

/// Keeps what was read; says whether it could be.
pub(crate) fn read<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

fn read_texts(place: &mut Field<Text>, key: NodeRef<'_>, value: NodeRef<'_>) -> bool {
    *place = texts(key, value);
    value.shape() == Shape::Sequence && place.len() == value.items().count()
}

fn read_rules(place: &mut Field<CalicoRule>, key: NodeRef<'_>, value: NodeRef<'_>) -> bool {
    *place = objects(key, value, rule);
    value.shape() == Shape::Sequence && place.len() == value.items().count()
}

pub(crate) fn float(node: NodeRef<'_>) -> Option<Spanned<f64>> {
    let value = match node.scalar()? {
        Scalar::Int(value) => value as f64,
        Scalar::Uint(value) => value as f64,
        Scalar::Float(value) if value.is_finite() => value,
        _ => return None,
    };
    Some(Spanned::new(value, node.span()))
}

fn rule(item: NodeRef<'_>) -> CalicoRule {
    let mut rule = CalicoRule {
        span: item.span(),
        action: None,
        protocol: None,
        not_protocol: None,
        ip_version: None,
        source: CalicoEntity::default(),
        destination: CalicoEntity::default(),
        http: None,
        unread: Vec::new(),
    };
    for (key, value) in written(Some(item)) {
        let is_read = match key_name(key) {
            "action" => read(&mut rule.action, text(value)),
            "protocol" => read(&mut rule.protocol, text(value)),
            "notProtocol" => read(&mut rule.not_protocol, text(value)),
            "ipVersion" => read(&mut rule.ip_version, number(value)),
            "source" => read_entity(&mut rule.source, value, &mut rule.unread),
            "destination" => read_entity(&mut rule.destination, value, &mut rule.unread),
            "http" => read(&mut rule.http, Some(key.span())),
            "metadata" => true,
            _ => false,
        };
        rule.unread.extend(text(key).filter(|_| !is_read));
    }
    rule
}

fn read_entity(entity: &mut CalicoEntity, node: NodeRef<'_>, unread: &mut Vec<Text>) -> bool {
    for (key, value) in written(mapping(node)) {
        let is_read = match key_name(key) {
            "selector" => read(&mut entity.selector, text(value)),
            "notSelector" => read(&mut entity.not_selector, text(value)),
            "namespaceSelector" => read(&mut entity.namespace_selector, text(value)),
            "nets" => read_texts(&mut entity.nets, key, value),
            "notNets" => read_texts(&mut entity.not_nets, key, value),
            "ports" => read_texts(&mut entity.ports, key, value),
            "notPorts" => read_texts(&mut entity.not_ports, key, value),
            "serviceAccounts" => read_accounts(entity, value),
            "services" => {
                entity.service_namespace = text_at(value, "namespace");
                read(&mut entity.service, text_at(value, "name"))
            }
            _ => false,
        };
        unread.extend(text(key).filter(|_| !is_read));
    }
    mapping(node).is_some()
}

fn read_accounts(entity: &mut CalicoEntity, node: NodeRef<'_>) -> bool {
    let mut is_read = mapping(node).is_some();
    for (key, value) in written(mapping(node)) {
        is_read &= match key_name(key) {
            "names" => read_texts(&mut entity.service_accounts, key, value),
            "selector" => read(&mut entity.service_account_selector, text(value)),
            _ => true,
        };
    }
    is_read
}
