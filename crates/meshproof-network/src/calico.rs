//! NetworkPolicy and GlobalNetworkPolicy of Calico (mutual-TLS reference §8.4; Calico 3.30, libcalico-go
//! `updateprocessors` for what selectors of a rule mean, felix `policy_sorter.go` for types and order).

use ipnet::IpNet;
use meshproof_grammar::cidr::Cidr;
use meshproof_ir::{ClusterId, Mesh, NamespaceId, ResourceId};
use meshproof_resources::{CalicoEntity, CalicoPolicy, CalicoRule, Field, Text};

use crate::flow::Direction;
use crate::policy::{
    Accounts, Action, Namespaces, Origin, Peer, Policy, PortMatch, Ports, Rule, Selection, ServiceName, Side,
};
use crate::selector::Selector;

/// The policy in common form; none for those that concern host endpoints alone.
pub(crate) fn lower(
    mesh: &Mesh,
    id: ResourceId,
    (cluster, namespace): (ClusterId, Option<NamespaceId>),
    policy: &CalicoPolicy,
    tier: usize,
) -> Option<Policy> {
    if policy.hosts_only {
        return None;
    }
    let mut reader = Reader { mesh, namespace, problem: None };
    if let Some(key) = policy.unread.first() {
        reader.refuse(format!("{} cannot be read", key.value));
    }
    let selection = reader.selected(policy);
    let stored = mesh.resource(id).meta.api_version.value.starts_with("crd.");
    let mut rules = |direction: Direction, rules: &Field<CalicoRule>| {
        governs(policy, stored, direction)
            .then(|| rules.iter().filter_map(|rule| reader.rule(rule, direction)).collect::<Vec<_>>())
    };
    let mut ingress = rules(Direction::Ingress, &policy.ingress);
    let mut egress = rules(Direction::Egress, &policy.egress);
    let doubt = reader.problem.map(|problem| format!("Calico refuses it ({problem})"));
    if doubt.is_some() {
        // What would be in force instead is not known.
        for rule in [&mut ingress, &mut egress].into_iter().flatten().flatten() {
            rule.doubt.clone_from(&doubt);
        }
    }
    Some(Policy {
        id,
        origin: if policy.global { Origin::CalicoGlobal } else { Origin::Calico },
        cluster,
        tier,
        order: policy.order.as_ref().map_or(f64::INFINITY, |order| order.value),
        selection,
        ingress,
        egress,
        doubt,
    })
}

/// Whether a policy is about one direction. Without `types` its rules tell; Calico's API fills that in, so an object
/// that goes to the storage group by itself has none, and felix then takes both.
fn governs(policy: &CalicoPolicy, stored: bool, direction: Direction) -> bool {
    if !policy.types.is_empty() {
        return policy.types.iter().any(|kind| kind.value.eq_ignore_ascii_case(direction.name()));
    }
    stored
        || match direction {
            Direction::Ingress => !policy.ingress.is_empty() || policy.egress.is_empty(),
            Direction::Egress => !policy.egress.is_empty(),
        }
}

struct Reader<'m> {
    mesh: &'m Mesh,
    /// The policy's own.
    namespace: Option<NamespaceId>,
    /// Why Calico refuses the object.
    problem: Option<String>,
}

/// A field that is written and not empty.
fn filled(text: Option<&Text>) -> Option<&Text> {
    text.filter(|text| !text.value.is_empty())
}

impl Reader<'_> {
    fn refuse(&mut self, problem: impl Into<String>) {
        self.problem.get_or_insert(problem.into());
    }

    fn selector(&mut self, text: Option<&Text>) -> Selector {
        let selector = Selector::of_text(text);
        if let Some(problem) = selector.problem() {
            self.refuse(problem);
        }
        selector
    }

    /// Pods that the policy is about.
    fn selected(&mut self, policy: &CalicoPolicy) -> Selection {
        let namespaces = match (self.namespace, filled(policy.namespace_selector.as_ref())) {
            (Some(own), _) => Namespaces::Own(own),
            (None, None) => Namespaces::Any,
            (None, Some(text)) => {
                let selector = self.selector(Some(text));
                if selector.mentions_global() {
                    self.refuse("global() selects no pods");
                }
                Namespaces::Matching(selector)
            }
        };
        let accounts = filled(policy.service_account_selector.as_ref());
        let accounts =
            accounts.map(|text| Accounts { names: Vec::new(), selector: self.selector(Some(text)) });
        Selection { namespaces, pods: self.selector(policy.selector.as_ref()), accounts }
    }

    /// A rule; none for `Log`, which decides nothing.
    fn rule(&mut self, rule: &CalicoRule, direction: Direction) -> Option<Rule> {
        let action = match rule.action.as_ref().map(|action| action.value.as_str()) {
            Some("Log") => return None,
            Some("Allow") => Action::Allow,
            Some("Deny") => Action::Deny,
            Some("Pass") => Action::Pass,
            other => {
                self.refuse(format!("{} is no action", other.unwrap_or("nothing")));
                Action::Deny
            }
        };
        let mut protocol = |text: &Option<Text>| {
            let text = text.as_ref()?;
            let number = protocol_number(&text.value);
            if number.is_none() {
                self.refuse(format!("{} is no protocol", text.value));
            }
            number
        };
        let (protocol, not_protocol) = (protocol(&rule.protocol), protocol(&rule.not_protocol));
        let ends = [&rule.source, &rule.destination];
        let asks_ports = ends.iter().any(|end| !end.ports.is_empty() || !end.not_ports.is_empty());
        if asks_ports && !matches!(protocol, Some(6 | 17 | 132)) {
            self.refuse("a rule with ports needs the protocol TCP, UDP or SCTP");
        }
        let doubt = match (&rule.http, rule.unread.first()) {
            (Some(_), _) => Some("an HTTP match depends on Calico's application layer policy".to_owned()),
            (None, Some(key)) => Some(format!("what `{}` asks for is not known here", key.value)),
            (None, None) => None,
        };
        Some(Rule {
            span: rule.span,
            action,
            protocol,
            not_protocol,
            ip_version: rule.ip_version.as_ref().map(|version| version.value),
            source: self.side(&rule.source, false),
            destination: self.side(&rule.destination, direction == Direction::Egress),
            doubt,
        })
    }

    fn side(&mut self, entity: &CalicoEntity, with_service_ports: bool) -> Side {
        let selection = self.selection(entity);
        let not_selector = filled(entity.not_selector.as_ref()).map(|text| self.selector(Some(text)));
        let mut nets = |field: &Field<Text>| {
            blocks(field).unwrap_or_else(|problem| {
                self.refuse(problem);
                Vec::new()
            })
        };
        let (nets, not_nets) =
            ((!entity.nets.is_empty()).then(|| nets(&entity.nets)), nets(&entity.not_nets));
        let service = self.service(entity, with_service_ports);
        let asks = selection.is_some()
            || not_selector.is_some()
            || nets.is_some()
            || !not_nets.is_empty()
            || service.is_some();
        let peer = Peer { selection, not_selector, nets, not_nets, is_ip_block: false, service };
        Side {
            one_of: if asks { vec![peer] } else { Vec::new() },
            ports: self.ports(&entity.ports),
            not_ports: self.ports(&entity.not_ports),
        }
    }

    /// Selectors of a rule. In a namespaced policy any of them, the negated one included, keeps to its own namespace
    /// unless a `namespaceSelector` says otherwise.
    fn selection(&mut self, entity: &CalicoEntity) -> Option<Selection> {
        let pods = filled(entity.selector.as_ref());
        let in_namespaces = filled(entity.namespace_selector.as_ref());
        let of_accounts = filled(entity.service_account_selector.as_ref());
        let asks_accounts = of_accounts.is_some() || !entity.service_accounts.is_empty();
        let asks_not = filled(entity.not_selector.as_ref()).is_some() && self.namespace.is_some();
        if pods.is_none() && in_namespaces.is_none() && !asks_accounts && !asks_not {
            return None;
        }
        let namespaces = match in_namespaces {
            Some(text) => self.namespaces(text),
            None => self.namespace.map_or(Namespaces::Any, Namespaces::Own),
        };
        let accounts = asks_accounts.then(|| Accounts {
            names: entity.service_accounts.iter().map(|name| name.value.clone()).collect(),
            selector: self.selector(of_accounts),
        });
        Some(Selection { namespaces, pods: self.selector(pods), accounts })
    }

    fn namespaces(&mut self, text: &Text) -> Namespaces {
        use meshproof_grammar::calico::Expr;
        match self.selector(Some(text)) {
            Selector::Read(Expr::Global) => Namespaces::None,
            selector if selector.mentions_global() => {
                let problem = "global() stands beside other tests in a selector of namespaces";
                Namespaces::Matching(Selector::Unreadable(problem.to_owned()))
            }
            selector => Namespaces::Matching(selector),
        }
    }

    fn service(&self, entity: &CalicoEntity, with_ports: bool) -> Option<ServiceName> {
        let name = entity.service.as_ref()?.value.clone();
        let written = filled(entity.service_namespace.as_ref()).map(|namespace| namespace.value.clone());
        let own = || self.mesh.namespace(self.namespace?).name.clone();
        Some(ServiceName { namespace: written.or_else(own), name, with_ports })
    }

    fn ports(&mut self, ports: &Field<Text>) -> Vec<PortMatch> {
        ports.iter().map(|text| PortMatch { transport: None, ports: self.port(&text.value) }).collect()
    }

    /// `80`, `8000:8080` or a name.
    fn port(&mut self, text: &str) -> Ports {
        let number = |text: &str| text.parse::<u16>().ok();
        let range = match text.split_once(':') {
            Some((first, last)) => number(first).zip(number(last)).filter(|(first, last)| first <= last),
            None => number(text).map(|port| (port, port)),
        };
        match range {
            Some((first, last)) => Ports::Range(first, last),
            None => {
                if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) || text.contains(':') {
                    self.refuse(format!("{text} is no port"));
                }
                Ports::Named(text.to_owned())
            }
        }
    }
}

/// The IP protocol number of a name or number (IANA, protocol numbers).
fn protocol_number(text: &str) -> Option<u8> {
    let names = [("TCP", 6), ("UDP", 17), ("ICMP", 1), ("ICMPv6", 58), ("SCTP", 132), ("UDPLite", 136)];
    let named = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    named.map(|(_, number)| *number).or_else(|| text.parse().ok().filter(|number| *number > 0))
}

fn blocks(texts: &[Text]) -> Result<Vec<IpNet>, String> {
    let block = |text: &Text| Cidr::parse(&text.value).map(|cidr| cidr.network());
    texts.iter().map(block).collect::<Result<_, _>>().map_err(|error| error.message)
}
