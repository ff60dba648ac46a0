//! Policies of all kinds in one form: an ordered list of rules for the pods that they select.
//!
//! A Kubernetes NetworkPolicy is a policy that only allows; where one selects a pod and none allows, the end of the
//! tier denies. That is how Calico takes it (order 1000 in tier `default`), and without other kinds of policies it is
//! the union that Kubernetes documents.

use ipnet::IpNet;
use meshproof_ir::{ClusterId, NamespaceId, ResourceId};
use meshproof_resources::Transport;
use meshproof_source::Span;

use crate::flow::Direction;
use crate::selector::Selector;

/// Where a policy comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Origin {
    /// NetworkPolicy of Kubernetes.
    Kubernetes,
    /// NetworkPolicy of Calico.
    Calico,
    /// GlobalNetworkPolicy of Calico.
    CalicoGlobal,
}

/// One policy.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) id: ResourceId,
    pub(crate) origin: Origin,
    pub(crate) cluster: ClusterId,
    /// Index into the tiers of its cluster.
    pub(crate) tier: usize,
    /// Place among the policies of its tier; infinite when none is written.
    pub(crate) order: f64,
    /// The pods that it is about.
    pub(crate) selection: Selection,
    /// Rules for what they receive; absent when it leaves that alone.
    pub(crate) ingress: Option<Vec<Rule>>,
    /// Rules for what they send; absent when it leaves that alone.
    pub(crate) egress: Option<Vec<Rule>>,
    /// Why it may not be in force.
    pub(crate) doubt: Option<String>,
}

impl Policy {
    /// The rules of one direction.
    pub(crate) fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// What happens to packets that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Allow,
    Deny,
    /// The next tier is asked.
    Pass,
}

/// One rule: everything must match.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) span: Span,
    pub(crate) action: Action,
    /// IP protocol number.
    pub(crate) protocol: Option<u8>,
    pub(crate) not_protocol: Option<u8>,
    /// 4 or 6.
    pub(crate) ip_version: Option<u8>,
    pub(crate) source: Side,
    pub(crate) destination: Side,
    /// Why it may not match although all of this does.
    pub(crate) doubt: Option<String>,
}

/// One end as a rule wants it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// One of these; empty means anything.
    pub(crate) one_of: Vec<Peer>,
    /// One of these; empty means any port.
    pub(crate) ports: Vec<PortMatch>,
    /// None of these.
    pub(crate) not_ports: Vec<PortMatch>,
}

/// An end by what it is and by its address: all parts must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// Pods, or the address sets of Calico that the same selector finds.
    pub(crate) selection: Option<Selection>,
    /// Not an endpoint with such labels.
    pub(crate) not_selector: Option<Selector>,
    /// In one of these blocks; `None` when addresses do not matter.
    pub(crate) nets: Option<Vec<IpNet>>,
    /// In none of these.
    pub(crate) not_nets: Vec<IpNet>,
    /// An `ipBlock`: whether it is asked of pods at all is up to the network plugin.
    pub(crate) is_ip_block: bool,
    /// An endpoint of this Service.
    pub(crate) service: Option<ServiceName>,
}

/// A Service by name; no namespace when it is not known which one is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceName {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    /// The ports of its endpoints must match too, as they must for a destination.
    pub(crate) with_ports: bool,
}

/// Which pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Selection {
    pub(crate) namespaces: Namespaces,
    pub(crate) pods: Selector,
    pub(crate) accounts: Option<Accounts>,
}

/// Which namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Namespaces {
    /// The policy's own.
    Own(NamespaceId),
    /// All, and what lies in none.
    Any,
    /// Those with such labels.
    Matching(Selector),
    /// Only what lies in none.
    None,
}

/// Which service accounts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Accounts {
    /// One of these; empty means any.
    pub(crate) names: Vec<String>,
    pub(crate) selector: Selector,
}

/// Which ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortMatch {
    /// Transport; absent when the rule says it.
    pub(crate) transport: Option<Transport>,
    pub(crate) ports: Ports,
}

/// Ports by number or name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Every port.
    Any,
    /// From the first to the last, both included.
    Range(u16, u16),
    /// The container port of that name.
    Named(String),
}
