//! NetworkPolicy of networking.k8s.io/v1 (and the old extensions/v1beta1, which means the same).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{
    entries, key_name, mapping, number, objects, port_ref, spec_span, text_at, texts, transport,
};
use crate::{Field, LabelSelector, PortRef, Text, Transport};

/// The spec of a NetworkPolicy.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkPolicy {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `podSelector`; empty selects every pod of the namespace.
    pub pod_selector: Option<LabelSelector>,
    /// `policyTypes`.
    pub policy_types: Field<Text>,
    /// `ingress`.
    pub ingress: Field<NetworkRule>,
    /// `egress`.
    pub egress: Field<NetworkRule>,
}

/// One item of `ingress` or `egress`: a peer and a port must match.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkRule {
    /// The item.
    pub span: Span,
    /// `from` or `to`; empty means any peer.
    pub peers: Field<NetworkPeer>,
    /// `ports`; empty means any port.
    pub ports: Field<NetworkPort>,
}

/// One item of `from` or `to`: all parts must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkPeer {
    /// The item.
    pub span: Span,
    /// `podSelector`.
    pub pod_selector: Option<LabelSelector>,
    /// `namespaceSelector`; absent means the policy's own namespace.
    pub namespace_selector: Option<LabelSelector>,
    /// `ipBlock`: `cidr` and `except`.
    pub ip_block: Option<(Text, Field<Text>)>,
    /// A part is written and cannot be read; the API server refuses such objects.
    pub unreadable: bool,
}

/// One item of `ports`.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkPort {
    /// The item.
    pub span: Span,
    /// `protocol`.
    pub protocol: Transport,
    /// `port`; absent means every port of the protocol.
    pub port: Option<PortRef>,
    /// `endPort`.
    pub end_port: Option<Spanned<u16>>,
    /// A part is written and cannot be read; the API server refuses such objects.
    pub unreadable: bool,
}

impl NetworkPolicy {
    /// Whether selected pods are isolated for incoming traffic: `Ingress` is among the types, or no type is written.
    pub fn isolates_ingress(&self) -> bool {
        self.policy_types.is_empty() || self.policy_types.iter().any(|kind| kind.value == "Ingress")
    }

    /// Whether selected pods are isolated for outgoing traffic: `Egress` is among the types, or no type is written
    /// and there is an egress rule.
    pub fn isolates_egress(&self) -> bool {
        match self.policy_types.is_empty() {
            true => !self.egress.is_empty(),
            false => self.policy_types.iter().any(|kind| kind.value == "Egress"),
        }
    }

    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut policy = NetworkPolicy {
            span: spec_span(spec, object),
            pod_selector: None,
            policy_types: Field::default(),
            ingress: Field::default(),
            egress: Field::default(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "podSelector" => policy.pod_selector = LabelSelector::decode(value),
                "policyTypes" => policy.policy_types = texts(key, value),
                "ingress" => policy.ingress = objects(key, value, |item| rule(item, "from")),
                "egress" => policy.egress = objects(key, value, |item| rule(item, "to")),
                _ => {}
            }
        }
        policy
    }
}

fn rule(item: NodeRef<'_>, peers: &str) -> NetworkRule {
    let mut rule = NetworkRule { span: item.span(), peers: Field::default(), ports: Field::default() };
    for (key, value) in item.entries() {
        match key_name(key) {
            "ports" => rule.ports = objects(key, value, port),
            name if name == peers => rule.peers = objects(key, value, peer),
            _ => {}
        }
    }
    rule
}

fn peer(item: NodeRef<'_>) -> NetworkPeer {
    let mut peer = NetworkPeer {
        span: item.span(),
        pod_selector: None,
        namespace_selector: None,
        ip_block: None,
        unreadable: false,
    };
    for (key, value) in item.entries().filter(|(_, value)| !value.is_null()) {
        peer.unreadable |= !match key_name(key) {
            "podSelector" => read(&mut peer.pod_selector, LabelSelector::decode(value)),
            "namespaceSelector" => read(&mut peer.namespace_selector, LabelSelector::decode(value)),
            "ipBlock" => read(&mut peer.ip_block, mapping(value).and_then(ip_block)),
            _ => true,
        };
    }
    peer
}

/// Keeps what was read; says whether it could be.
fn read<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

fn ip_block(node: NodeRef<'_>) -> Option<(Text, Field<Text>)> {
    let cidr = text_at(node, "cidr")?;
    let Some((key, value)) = node.entry("except") else { return Some((cidr, Field::default())) };
    let except = texts(key, value);
    (except.len() == value.items().count()).then_some((cidr, except))
}

fn port(item: NodeRef<'_>) -> NetworkPort {
    let written = |key: &str| item.get(key).filter(|value| !value.is_null());
    let mut port = NetworkPort {
        span: item.span(),
        protocol: transport(written("protocol")),
        port: None,
        end_port: None,
        unreadable: written("protocol")
            .is_some_and(|value| !matches!(value.str(), Some("TCP" | "UDP" | "SCTP"))),
    };
    if let Some(value) = written("port") {
        port.unreadable |= !read(&mut port.port, port_ref(value));
    }
    if let Some(value) = written("endPort") {
        port.unreadable |= !read(&mut port.end_port, number(value));
    }
    port
}
