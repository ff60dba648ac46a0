//! NetworkPolicy and GlobalNetworkPolicy of Calico (projectcalico.org/v3, crd.projectcalico.org/v1). Selectors are
//! expressions of Calico's own language and stay strings here.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::{NodeRef, Scalar};

use crate::read::{entries, key_name, mapping, objects, spec_span, text, text_at, texts};
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
    /// `source`.
    pub source: CalicoEntity,
    /// `destination`.
    pub destination: CalicoEntity,
    /// Place of the `http` key; such rules depend on Calico's own integration and stay undecided.
    pub http: Option<Span>,
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
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "tier" => policy.tier = text(value),
                "order" => policy.order = float(value),
                "selector" => policy.selector = text(value),
                "namespaceSelector" => policy.namespace_selector = text(value),
                "serviceAccountSelector" => policy.service_account_selector = text(value),
                "types" => policy.types = texts(key, value),
                "ingress" => policy.ingress = objects(key, value, rule),
                "egress" => policy.egress = objects(key, value, rule),
                _ => {}
            }
        }
        policy
    }
}

fn float(node: NodeRef<'_>) -> Option<Spanned<f64>> {
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
        source: CalicoEntity::default(),
        destination: CalicoEntity::default(),
        http: None,
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "action" => rule.action = text(value),
            "protocol" => rule.protocol = text(value),
            "notProtocol" => rule.not_protocol = text(value),
            "source" => rule.source = mapping(value).map(entity).unwrap_or_default(),
            "destination" => rule.destination = mapping(value).map(entity).unwrap_or_default(),
            "http" if !value.is_null() => rule.http = Some(key.span()),
            _ => {}
        }
    }
    rule
}

fn entity(node: NodeRef<'_>) -> CalicoEntity {
    let mut entity = CalicoEntity::default();
    for (key, value) in node.entries() {
        match key_name(key) {
            "selector" => entity.selector = text(value),
            "notSelector" => entity.not_selector = text(value),
            "namespaceSelector" => entity.namespace_selector = text(value),
            "nets" => entity.nets = texts(key, value),
            "notNets" => entity.not_nets = texts(key, value),
            "ports" => entity.ports = texts(key, value),
            "notPorts" => entity.not_ports = texts(key, value),
            "serviceAccounts" => {
                let names = value.entry("names");
                entity.service_accounts = names.map(|(key, value)| texts(key, value)).unwrap_or_default();
                entity.service_account_selector = text_at(value, "selector");
            }
            "services" => entity.service = text_at(value, "name"),
            _ => {}
        }
    }
    entity
}
