//! NetworkPolicy of Kubernetes (networking.k8s.io/v1; mutual-TLS reference §8.1).

use ipnet::IpNet;
use meshproof_grammar::cidr::Cidr;
use meshproof_ir::{ClusterId, NamespaceId, ResourceId};
use meshproof_resources::{Field, NetworkPeer, NetworkPolicy, NetworkPort, NetworkRule, PortRef, Text};

use crate::flow::Direction;
use crate::policy::{Action, Namespaces, Origin, Peer, Policy, PortMatch, Ports, Rule, Selection, Side};
use crate::selector::Selector;
use crate::tiers::DEFAULT_TIER;

/// Where Calico puts NetworkPolicies of Kubernetes among those of its default tier.
const ORDER: f64 = 1000.0;

/// The policy in common form.
pub(crate) fn lower(
    id: ResourceId,
    (cluster, namespace): (ClusterId, NamespaceId),
    policy: &NetworkPolicy,
) -> Policy {
    let mut reader = Reader { namespace, problem: None };
    let selection = Selection {
        namespaces: Namespaces::Own(namespace),
        pods: reader.selector(Selector::of_labels(policy.pod_selector.as_ref())),
        accounts: None,
    };
    let known = |kind: &Text| matches!(kind.value.as_str(), "Ingress" | "Egress");
    if let Some(kind) = policy.policy_types.iter().find(|kind| !known(kind)) {
        reader.refuse(format!("{} is no policy type", kind.value));
    }
    let mut ingress = policy.isolates_ingress().then(|| reader.rules(&policy.ingress, Direction::Ingress));
    let mut egress = policy.isolates_egress().then(|| reader.rules(&policy.egress, Direction::Egress));
    let doubt = reader.problem.map(|problem| format!("the API server refuses it ({problem})"));
    // What would be in force instead is not known.
    for rule in [&mut ingress, &mut egress].into_iter().flatten().flatten() {
        rule.doubt.clone_from(&doubt);
    }
    Policy {
        id,
        origin: Origin::Kubernetes,
        cluster,
        tier: DEFAULT_TIER,
        order: ORDER,
        selection,
        ingress,
        egress,
        doubt,
    }
}

struct Reader {
    namespace: NamespaceId,
    /// Why the API server refuses the object.
    problem: Option<String>,
}

impl Reader {
    fn refuse(&mut self, problem: impl Into<String>) {
        self.problem.get_or_insert(problem.into());
    }

    fn selector(&mut self, selector: Selector) -> Selector {
        if let Some(problem) = selector.problem() {
            self.refuse(problem);
        }
        selector
    }

    fn rules(&mut self, rules: &Field<NetworkRule>, direction: Direction) -> Vec<Rule> {
        rules.iter().map(|rule| self.rule(rule, direction)).collect()
    }

    fn rule(&mut self, rule: &NetworkRule, direction: Direction) -> Rule {
        let one_of: Vec<Peer> = rule.peers.iter().map(|peer| self.peer(peer)).collect();
        let ports: Vec<PortMatch> = rule.ports.iter().map(|port| self.port(port)).collect();
        let (source, destination) = match direction {
            Direction::Ingress => (Side { one_of, ..Side::default() }, Side { ports, ..Side::default() }),
            Direction::Egress => (Side::default(), Side { one_of, ports, not_ports: Vec::new() }),
        };
        Rule {
            span: rule.span,
            action: Action::Allow,
            protocol: None,
            not_protocol: None,
            ip_version: None,
            source,
            destination,
            doubt: None,
        }
    }

    fn peer(&mut self, peer: &NetworkPeer) -> Peer {
        let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
        if peer.unreadable || selects == peer.ip_block.is_some() {
            self.refuse("a peer is neither pods nor one block of addresses");
        }
        let selection = selects.then(|| Selection {
            namespaces: match &peer.namespace_selector {
                Some(selector) => Namespaces::Matching(self.selector(Selector::of_labels(Some(selector)))),
                None => Namespaces::Own(self.namespace),
            },
            pods: self.selector(Selector::of_labels(peer.pod_selector.as_ref())),
            accounts: None,
        });
        let block = peer.ip_block.as_ref();
        Peer {
            selection,
            nets: block.map(|(cidr, _)| self.net(cidr).into_iter().collect()),
            not_nets: block
                .map(|(_, except)| except.iter().filter_map(|cidr| self.net(cidr)).collect())
                .unwrap_or_default(),
            is_ip_block: block.is_some(),
            ..Peer::default()
        }
    }

    fn net(&mut self, cidr: &Text) -> Option<IpNet> {
        match Cidr::parse_block(&cidr.value) {
            Ok(cidr) => Some(cidr.network()),
            Err(error) => {
                self.refuse(error.message);
                None
            }
        }
    }

    fn port(&mut self, port: &NetworkPort) -> PortMatch {
        let end = port.end_port.as_ref().map(|end| end.value);
        let ports = match (&port.port, end) {
            (None, None) => Ports::Any,
            (Some(PortRef::Number(number)), end) => Ports::Range(number.value, end.unwrap_or(number.value)),
            (Some(PortRef::Name(name)), _) => Ports::Named(name.value.clone()),
            (None, Some(_)) => Ports::Any,
        };
        let misplaced_end = end.is_some() && !matches!(ports, Ports::Range(first, last) if first <= last);
        // A name of a port holds a letter (apimachinery, util/validation `IsValidPortName`).
        let nameless =
            matches!(&ports, Ports::Named(name) if !name.bytes().any(|byte| byte.is_ascii_alphabetic()));
        if port.unreadable || misplaced_end || nameless || matches!(ports, Ports::Range(0, _)) {
            self.refuse("a port is not valid");
        }
        PortMatch { transport: Some(port.protocol), ports }
    }
}
