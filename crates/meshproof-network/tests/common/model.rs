//! Small random clusters, their manifests, and what their policies say by the letter of the documentation: no index, no
//! common form, nothing unknown.

use proptest::prelude::*;

use super::common::{calico, namespace, policy};

/// Keys of pod labels; pods and selectors use the same few values.
const KEYS: [&str; 2] = ["app", "tier"];
const VALUES: [&str; 3] = ["x", "y", "z"];
const TRANSPORTS: [&str; 2] = ["TCP", "UDP"];
/// Blocks that hold no pod: tests say where pods have their addresses.
const BLOCKS: [(&str, [u8; 2]); 2] = [("192.0.2.0/24", [192, 0]), ("198.51.100.0/24", [198, 51])];
pub const OUTSIDE: [&str; 3] = ["192.0.2.7", "198.51.100.9", "203.0.113.1"];
pub const PORTS: [u16; 4] = [80, 8080, 8081, 9000];

#[derive(Clone, Debug)]
pub struct Cluster {
    /// The value of the label `team` of each namespace.
    pub namespaces: Vec<Option<usize>>,
    pub pods: Vec<Pod>,
    pub policies: Vec<Policy>,
}

#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: usize,
    pub labels: [Option<usize>; 2],
    /// The port called `web`.
    pub web: u16,
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub namespace: usize,
    pub selector: Vec<Test>,
    pub order: Option<u8>,
    pub ingress: Option<Vec<Rule>>,
    pub egress: Option<Vec<Rule>>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub allows: bool,
    pub peer: Peer,
    /// Transport and ports; every port when there is no list.
    pub ports: Option<(usize, Vec<Ports>)>,
}

#[derive(Clone, Debug)]
pub enum Peer {
    Anything,
    /// Of the own namespace, or of those that are selected.
    Pods(Option<Vec<Test>>, Vec<Test>),
    Block(usize),
}

#[derive(Clone, Debug)]
pub enum Ports {
    Range(u16, u16),
    Web,
}

/// A test of the label with a key: `In`, `NotIn`, `Exists`, `DoesNotExist`.
#[derive(Clone, Debug)]
pub struct Test {
    pub key: usize,
    pub operator: usize,
    pub values: Vec<usize>,
}

/// An end: a pod or an address.
#[derive(Clone, Copy, Debug)]
pub enum Side<'c> {
    Pod(&'c Pod),
    Outside(&'static str),
}

impl Test {
    fn holds(&self, label: Option<usize>) -> bool {
        match self.operator {
            0 => label.is_some_and(|label| self.values.contains(&label)),
            1 => !label.is_some_and(|label| self.values.contains(&label)),
            2 => label.is_some(),
            _ => label.is_none(),
        }
    }

    fn values(&self, quote: &str) -> String {
        let values: Vec<String> =
            self.values.iter().map(|value| format!("{quote}{}{quote}", VALUES[*value])).collect();
        values.join(", ")
    }

    fn kubernetes(&self, key: &str) -> String {
        let operator = ["In", "NotIn", "Exists", "DoesNotExist"][self.operator];
        let values =
            if self.operator < 2 { format!(", values: [{}]", self.values("")) } else { String::new() };
        format!("{{key: {key}, operator: {operator}{values}}}")
    }

    fn calico(&self, key: &str) -> String {
        match self.operator {
            0 => format!("{key} in {{{}}}", self.values("'")),
            1 => format!("{key} not in {{{}}}", self.values("'")),
            2 => format!("has({key})"),
            _ => format!("!has({key})"),
        }
    }
}

fn in_kubernetes(tests: &[Test], keys: &[&str]) -> String {
    let tests: Vec<String> = tests.iter().map(|test| test.kubernetes(keys[test.key % keys.len()])).collect();
    format!("{{matchExpressions: [{}]}}", tests.join(", "))
}

fn in_calico(tests: &[Test], keys: &[&str]) -> String {
    let tests: Vec<String> = tests.iter().map(|test| test.calico(keys[test.key % keys.len()])).collect();
    if tests.is_empty() { "all()".to_owned() } else { format!("\"{}\"", tests.join(" && ")) }
}

impl Cluster {
    /// Namespaces and pods as documents.
    pub fn world(&self, with_namespaces: bool) -> String {
        let mut text = String::new();
        for (at, team) in self.namespaces.iter().enumerate().filter(|_| with_namespaces) {
            let labels = team.map(|team| format!("team: {}", VALUES[team])).unwrap_or_default();
            text += &namespace(&format!("n{at}"), &labels);
        }
        for (at, pod) in self.pods.iter().enumerate() {
            let label = |(key, value): (&str, Option<usize>)| Some(format!("{key}: {}", VALUES[value?]));
            let labels: Vec<String> = KEYS.into_iter().zip(pod.labels).filter_map(label).collect();
            text += &format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{at}, namespace: n{}, labels: {{{}}}}}\nspec: {{containers: \
                 [{{name: c, image: i, ports: [{{name: web, containerPort: {}}}]}}]}}\n---\n",
                pod.namespace,
                labels.join(", "),
                pod.web,
            );
        }
        text
    }

    /// The policies as NetworkPolicies of Kubernetes; actions and orders have no meaning there.
    pub fn kubernetes(&self) -> String {
        let of = |(at, one): (usize, &Policy)| {
            let rules = |rules: &Option<Vec<Rule>>, peers: &str| {
                let rules: Vec<String> = rules.iter().flatten().map(|rule| rule.kubernetes(peers)).collect();
                format!("[{}]", rules.join(", "))
            };
            let selector = in_kubernetes(&one.selector, &KEYS);
            let (ingress, egress) = (rules(&one.ingress, "from"), rules(&one.egress, "to"));
            let spec = format!(
                "podSelector: {selector}, policyTypes: [{}], ingress: {ingress}, egress: {egress}",
                one.types()
            );
            policy(&format!("n{}", one.namespace), &format!("k{at}"), &spec)
        };
        self.policies.iter().enumerate().map(of).collect()
    }

    /// The same as NetworkPolicies of Calico, in order 1000 or their own.
    pub fn calico(&self, with_order: bool) -> String {
        let of = |(at, one): (usize, &Policy)| {
            let rules = |rules: &Option<Vec<Rule>>, peer: &str| {
                let rules: Vec<String> = rules.iter().flatten().map(|rule| rule.calico(peer)).collect();
                format!("[{}]", rules.join(", "))
            };
            let order = match one.order.filter(|_| with_order) {
                Some(order) => format!("order: {order}, "),
                None if with_order => String::new(),
                None => "order: 1000, ".to_owned(),
            };
            let selector = in_calico(&one.selector, &KEYS);
            let (ingress, egress) = (rules(&one.ingress, "source"), rules(&one.egress, "destination"));
            let spec = format!(
                "{order}selector: {selector}, types: [{}], ingress: {ingress}, egress: {egress}",
                one.types()
            );
            calico(&format!("n{}", one.namespace), &format!("c{at:02}"), &spec)
        };
        self.policies.iter().enumerate().map(of).collect()
    }

    fn selects(&self, policy: &Policy, pod: &Pod) -> bool {
        policy.namespace == pod.namespace && pod.is_selected(&policy.selector)
    }

    /// Whether a rule of a policy in `namespace` matches.
    fn matches(
        &self,
        namespace: usize,
        rule: &Rule,
        peer: Side<'_>,
        to: Side<'_>,
        flow: (usize, u16),
    ) -> bool {
        let is_peer = match (&rule.peer, peer) {
            (Peer::Anything, _) => true,
            (Peer::Pods(None, pods), Side::Pod(pod)) => pod.namespace == namespace && pod.is_selected(pods),
            (Peer::Pods(Some(namespaces), pods), Side::Pod(pod)) => {
                let team = self.namespaces[pod.namespace];
                namespaces.iter().all(|test| test.holds(team)) && pod.is_selected(pods)
            }
            (Peer::Block(at), Side::Outside(address)) => {
                let [first, second] = BLOCKS[*at].1;
                address.starts_with(&format!("{first}.{second}."))
            }
            _ => false,
        };
        let is_port = rule.ports.as_ref().is_none_or(|(transport, ports)| {
            let any = ports.is_empty() || ports.iter().any(|ports| ports.hold(to, flow));
            *transport == flow.0 && any
        });
        is_peer && is_port
    }

    /// What Kubernetes says of one leg: isolated pods take what any rule admits.
    pub fn admitted(
        &self,
        own: Side<'_>,
        peer: Side<'_>,
        to: Side<'_>,
        ingress: bool,
        flow: (usize, u16),
    ) -> bool {
        let Side::Pod(pod) = own else { return true };
        let isolating: Vec<(&Policy, &Vec<Rule>)> = self
            .policies
            .iter()
            .filter(|policy| self.selects(policy, pod))
            .filter_map(|policy| Some((policy, policy.rules(ingress)?)))
            .collect();
        let admits = |(policy, rules): &(&Policy, &Vec<Rule>)| {
            rules.iter().any(|rule| self.matches(policy.namespace, rule, peer, to, flow))
        };
        isolating.is_empty() || isolating.iter().any(admits)
    }

    /// What Calico says of one leg: the first matching rule in the order of policies.
    pub fn decided(
        &self,
        own: Side<'_>,
        peer: Side<'_>,
        to: Side<'_>,
        ingress: bool,
        flow: (usize, u16),
    ) -> bool {
        let Side::Pod(pod) = own else { return true };
        let mut ordered: Vec<&Policy> = self.policies.iter().collect();
        // The sort keeps the order of names.
        ordered.sort_by_key(|policy| policy.order.map_or(u16::MAX, u16::from));
        let mut any = false;
        for policy in ordered.into_iter().filter(|policy| self.selects(policy, pod)) {
            let Some(rules) = policy.rules(ingress) else { continue };
            any = true;
            for rule in rules {
                if self.matches(policy.namespace, rule, peer, to, flow) {
                    return rule.allows;
                }
            }
        }
        !any
    }
}

impl Pod {
    fn is_selected(&self, tests: &[Test]) -> bool {
        tests.iter().all(|test| test.holds(self.labels[test.key]))
    }
}

impl Policy {
    fn rules(&self, ingress: bool) -> Option<&Vec<Rule>> {
        if ingress { self.ingress.as_ref() } else { self.egress.as_ref() }
    }

    fn types(&self) -> String {
        let types = [("Ingress", self.ingress.is_some()), ("Egress", self.egress.is_some())];
        let types: Vec<&str> =
            types.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
        types.join(", ")
    }
}

impl Rule {
    fn kubernetes(&self, peers: &str) -> String {
        let peer = match &self.peer {
            Peer::Anything => String::new(),
            Peer::Pods(None, pods) => format!("{{podSelector: {}}}", in_kubernetes(pods, &KEYS)),
            Peer::Pods(Some(namespaces), pods) => format!(
                "{{namespaceSelector: {}, podSelector: {}}}",
                in_kubernetes(namespaces, &["team"]),
                in_kubernetes(pods, &KEYS)
            ),
            Peer::Block(at) => format!("{{ipBlock: {{cidr: {}}}}}", BLOCKS[*at].0),
        };
        let port = |transport: usize, port: &str| format!("{{protocol: {}{port}}}", TRANSPORTS[transport]);
        let ports = self.ports.iter().flat_map(|(transport, ports)| {
            let all = ports.is_empty().then(|| port(*transport, ""));
            let each = ports.iter().map(|ports| match ports {
                Ports::Web => port(*transport, ", port: web"),
                Ports::Range(first, last) => port(*transport, &format!(", port: {first}, endPort: {last}")),
            });
            all.into_iter().chain(each).collect::<Vec<_>>()
        });
        let ports: Vec<String> = ports.collect();
        format!("{{{peers}: [{peer}], ports: [{}]}}", ports.join(", "))
    }

    fn calico(&self, peer: &str) -> String {
        let entity = match &self.peer {
            Peer::Anything => String::new(),
            Peer::Pods(None, pods) => format!("selector: {}", in_calico(pods, &KEYS)),
            Peer::Pods(Some(namespaces), pods) => format!(
                "namespaceSelector: {}, selector: {}",
                in_calico(namespaces, &["team"]),
                in_calico(pods, &KEYS)
            ),
            Peer::Block(at) => format!("nets: [{}]", BLOCKS[*at].0),
        };
        let action = if self.allows { "Allow" } else { "Deny" };
        let Some((transport, ports)) = &self.ports else {
            return format!("{{action: {action}, {peer}: {{{entity}}}}}");
        };
        let ports: Vec<String> = ports
            .iter()
            .map(|ports| match ports {
                Ports::Web => "web".to_owned(),
                Ports::Range(first, last) => format!("'{first}:{last}'"),
            })
            .collect();
        let transport = TRANSPORTS[*transport];
        let ports = format!("ports: [{}]", ports.join(", "));
        if peer == "destination" {
            let comma = if entity.is_empty() { "" } else { ", " };
            return format!(
                "{{action: {action}, protocol: {transport}, destination: {{{entity}{comma}{ports}}}}}"
            );
        }
        format!("{{action: {action}, protocol: {transport}, source: {{{entity}}}, destination: {{{ports}}}}}")
    }
}

impl Ports {
    fn hold(&self, to: Side<'_>, (transport, port): (usize, u16)) -> bool {
        match (self, to) {
            (Ports::Range(first, last), _) => (*first..=*last).contains(&port),
            // The containers declare it for TCP.
            (Ports::Web, Side::Pod(pod)) => transport == 0 && pod.web == port,
            (Ports::Web, Side::Outside(_)) => false,
        }
    }
}

fn tests(keys: usize) -> impl Strategy<Value = Vec<Test>> {
    let values = prop::collection::btree_set(0..VALUES.len(), 1..3);
    let test = (0..keys, 0..4usize, values).prop_map(|(key, operator, values)| Test {
        key,
        operator,
        values: values.into_iter().collect(),
    });
    prop::collection::vec(test, 0..3)
}

fn rule() -> impl Strategy<Value = Rule> {
    let peer = prop_oneof![
        Just(Peer::Anything),
        tests(2).prop_map(|pods| Peer::Pods(None, pods)),
        (tests(1), tests(2)).prop_map(|(namespaces, pods)| Peer::Pods(Some(namespaces), pods)),
        (0..BLOCKS.len()).prop_map(Peer::Block),
    ];
    let ports = prop_oneof![
        Just(Ports::Web),
        (prop::sample::select(&PORTS[..]), 0..2u16)
            .prop_map(|(first, more)| Ports::Range(first, first + more)),
    ];
    let ports = prop::option::of((0..TRANSPORTS.len(), prop::collection::vec(ports, 0..3)));
    (any::<bool>(), peer, ports).prop_map(|(allows, peer, ports)| Rule { allows, peer, ports })
}

/// A random cluster.
pub fn cluster() -> impl Strategy<Value = Cluster> {
    let label = || prop::option::of(0..VALUES.len());
    let pod = (0..3usize, [label(), label()], prop::sample::select(&PORTS[1..3]))
        .prop_map(|(namespace, labels, web)| Pod { namespace, labels, web });
    let rules = || prop::option::weighted(0.7, prop::collection::vec(rule(), 0..4));
    let policy = (0..3usize, tests(2), prop::option::of(0..3u8), rules(), rules()).prop_filter_map(
        "a policy has a type",
        |(namespace, selector, order, ingress, egress)| {
            let has_type = ingress.is_some() || egress.is_some();
            has_type.then_some(Policy { namespace, selector, order, ingress, egress })
        },
    );
    (prop::collection::vec(label(), 3), prop::collection::vec(pod, 2..6), prop::collection::vec(policy, 0..6))
        .prop_map(|(namespaces, pods, policies)| Cluster { namespaces, pods, policies })
}
