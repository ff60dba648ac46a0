//! Clients of DestinationRules: which hosts a rule covers, and somebody who follows it when calling them.
//!
//! Clients of one class get the same answers ([`Transport::client_class`](meshproof_transport::Transport)), so two
//! workloads of each class stand for all of them: one is not the server.

use std::collections::BTreeMap;

use meshproof_grammar::host::resolve;
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    Capture, ClusterId, Fact, Layer, NamespaceId, Origin, ResourceId, ServiceId, Workload, WorkloadId,
    entry_port_class, service_port_class,
};
use meshproof_resources::{DestinationRule, Spec};
use meshproof_transport::{Call, Client, ClientClass, Outcome, Target};

use crate::Context;
use crate::hash::{Map, Set};

/// Pairs of clients and hosts that are looked at, over all rules; beyond it nothing is claimed of a rule.
const PAIRS: usize = 100_000;
/// Classes of clients looked at per host: of the namespace of the rule, and of others.
const OWN: usize = 16;
const OTHERS: usize = 64;

/// A host that clients can call.
pub(crate) struct Host<'c> {
    /// The full name.
    pub(crate) name: &'c str,
    pub(crate) cluster: ClusterId,
    pub(crate) namespace: NamespaceId,
    /// The Service or ServiceEntry.
    pub(crate) resource: ResourceId,
    /// The Service; none for ServiceEntries.
    pub(crate) service: Option<ServiceId>,
    /// Workloads behind a Service; none for ServiceEntries.
    pub(crate) workloads: &'c [WorkloadId],
    pub(crate) ports: Vec<HostPort>,
}

/// A port of a host, as clients dial it.
#[derive(Clone, Copy)]
pub(crate) struct HostPort {
    pub(crate) number: u16,
    /// What is spoken there.
    pub(crate) speaks: Layer,
}

/// A DestinationRule with what it is for.
pub(crate) struct ClientRule<'c> {
    pub(crate) id: ResourceId,
    pub(crate) rule: &'c DestinationRule,
    pub(crate) cluster: ClusterId,
    pub(crate) namespace: NamespaceId,
    /// The full name, or a wildcard.
    pub(crate) host: String,
    /// The name of its namespace is known; otherwise nothing is said of hosts and clients.
    pub(crate) is_placed: bool,
    /// Indexes of the hosts that it covers.
    pub(crate) covers: Vec<u32>,
    /// Those of them that somebody calls by this rule.
    pub(crate) uses: Vec<Use>,
    /// Not every client was looked at.
    pub(crate) is_cut: bool,
}

/// A host, and a workload with a sidecar that follows the rule when it calls it.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    pub(crate) host: u32,
    /// Not one of the servers; none when only gateways, or the servers themselves, follow the rule.
    pub(crate) client: Option<WorkloadId>,
}

/// Two workloads of a class of clients that follow rules.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) first: WorkloadId,
    pub(crate) second: Option<WorkloadId>,
    /// A gateway or a waypoint, which call what routes name.
    pub(crate) is_gateway: bool,
}

/// All hosts and rules.
pub(crate) struct Clients<'c> {
    pub(crate) hosts: Vec<Host<'c>>,
    pub(crate) rules: Vec<ClientRule<'c>>,
    /// Indexes of the rules that cover a host.
    pub(crate) rules_of_host: Vec<Vec<u32>>,
    /// Clients with a proxy that follows rules, by namespace.
    pub(crate) samples: BTreeMap<NamespaceId, Vec<Sample>>,
    /// The same by cluster.
    everywhere: Map<ClusterId, Vec<(NamespaceId, Sample)>>,
    by_name: Map<&'c str, Vec<u32>>,
    /// The Service of a short name; none for names that several have.
    by_short_name: Map<&'c str, Option<u32>>,
    /// Hosts that routes of the mesh send elsewhere, or to subsets.
    routed: Set<(ClusterId, String)>,
    /// Subsets that routes name.
    subsets: Map<(ClusterId, String), Set<&'c str>>,
}

impl<'c> Clients<'c> {
    pub(crate) fn new(ctx: &Context<'c>) -> Self {
        let hosts = hosts(ctx);
        let mut by_name: Map<&'c str, Vec<u32>> = Map::default();
        let mut by_short_name: Map<&'c str, Option<u32>> = Map::default();
        for (at, host) in hosts.iter().enumerate() {
            by_name.entry(host.name).or_default().push(at as u32);
            if matches!(ctx.resource(host.resource).spec, Spec::Service(_)) {
                let short = ctx.resource(host.resource).meta.name();
                by_short_name.entry(short).and_modify(|known| *known = None).or_insert(Some(at as u32));
            }
        }
        let mut clients = Clients {
            rules_of_host: vec![Vec::new(); hosts.len()],
            hosts,
            rules: rules(ctx),
            samples: BTreeMap::new(),
            everywhere: Map::default(),
            by_name,
            by_short_name,
            routed: Set::default(),
            subsets: Map::default(),
        };
        clients.add_routes(ctx);
        clients.samples = samples(ctx);
        for (namespace, list) in &clients.samples {
            let everywhere = clients.everywhere.entry(ctx.mesh.namespace(*namespace).cluster).or_default();
            everywhere.extend(list.iter().map(|sample| (*namespace, *sample)));
        }
        clients.follow(ctx);
        clients
    }

    /// The objects behind a host.
    pub(crate) fn named(&self, cluster: ClusterId, host: &str) -> impl Iterator<Item = u32> {
        let found = self.by_name.get(host).map_or(&[][..], Vec::as_slice);
        found.iter().copied().filter(move |at| self.hosts[*at as usize].cluster == cluster)
    }

    /// The one Service of a short name, when no other has it.
    pub(crate) fn service_named(&self, short: &str) -> Option<u32> {
        self.by_short_name.get(short).copied().flatten()
    }

    /// Clients of a cluster, by namespace.
    pub(crate) fn samples_in(&self, cluster: ClusterId) -> &[(NamespaceId, Sample)] {
        self.everywhere.get(&cluster).map_or(&[], Vec::as_slice)
    }

    /// Whether a route of the mesh takes calls to a host and may send them elsewhere.
    pub(crate) fn is_routed(&self, host: &Host<'_>) -> bool {
        self.routed.contains(&(host.cluster, host.name.to_owned()))
    }

    /// Whether some route sends to a subset.
    pub(crate) fn is_subset_used(&self, cluster: ClusterId, host: &str, subset: &str) -> bool {
        self.subsets.get(&(cluster, host.to_owned())).is_some_and(|names| names.contains(subset))
    }

    fn add_routes(&mut self, ctx: &Context<'c>) {
        for (at, resource) in ctx.mesh.resources.iter().enumerate() {
            let Spec::VirtualService(routes) = &resource.spec else { continue };
            let (cluster, namespace) = ctx.mesh.placement[at];
            let own = namespace.and_then(|id| ctx.mesh.namespace(id).name.as_deref()).unwrap_or_default();
            let is_for_mesh =
                routes.gateways.is_empty() || routes.gateways.iter().any(|name| name.value == "mesh");
            if is_for_mesh {
                let named =
                    routes.hosts.iter().map(|host| (cluster, resolve(&host.value, own, "cluster.local")));
                self.routed.extend(named);
            }
            let http = routes.http.iter().flat_map(|route| route.route.iter().chain(&route.mirrors));
            let others = routes.tls.iter().chain(routes.tcp.iter()).flat_map(|route| route.route.iter());
            for destination in http.chain(others) {
                let (Some(host), Some(subset)) = (&destination.host, &destination.subset) else { continue };
                let host = resolve(&host.value, own, "cluster.local");
                self.subsets.entry((cluster, host)).or_default().insert(&subset.value);
            }
        }
    }

    /// Finds who follows each rule.
    fn follow(&mut self, ctx: &Context<'c>) {
        let mut endings: Vec<(ClusterId, String, u32)> = Vec::new();
        if self.rules.iter().any(|rule| rule.host.starts_with('*')) {
            let reversed = |host: &str| host.chars().rev().collect();
            let named = self.hosts.iter().enumerate();
            endings = named.map(|(at, host)| (host.cluster, reversed(host.name), at as u32)).collect();
            endings.sort_unstable();
        }
        let mut pairs = 0;
        let mut rules = std::mem::take(&mut self.rules);
        for (at, rule) in rules.iter_mut().enumerate().filter(|(_, rule)| rule.is_placed) {
            if pairs > PAIRS {
                rule.is_cut = true;
                continue;
            }
            rule.covers = self.covered(rule, &endings);
            for host in rule.covers.iter().copied() {
                if pairs > PAIRS {
                    rule.is_cut = true;
                    break;
                }
                self.rules_of_host[host as usize].push(at as u32);
                match self.follower(ctx, rule, &self.hosts[host as usize], &mut pairs) {
                    Found::Client(client) => rule.uses.push(Use { host, client }),
                    Found::Nobody => {}
                    Found::Cut => rule.is_cut = true,
                }
            }
        }
        self.rules = rules;
    }

    fn covered(&self, rule: &ClientRule<'_>, endings: &[(ClusterId, String, u32)]) -> Vec<u32> {
        let Some(ending) = rule.host.strip_prefix('*') else {
            return self.named(rule.cluster, &rule.host).collect();
        };
        let ending: String = ending.chars().rev().collect();
        let start = endings.partition_point(|(cluster, host, _)| {
            (*cluster, host.as_str()) < (rule.cluster, ending.as_str())
        });
        let from = endings.get(start..).unwrap_or_default().iter();
        from.take_while(|(cluster, host, _)| *cluster == rule.cluster && host.starts_with(&ending))
            .map(|(_, _, at)| *at)
            .take(PAIRS + 1)
            .collect()
    }

    fn follower(
        &self,
        ctx: &Context<'c>,
        rule: &ClientRule<'_>,
        host: &Host<'_>,
        pairs: &mut usize,
    ) -> Found {
        let own = self.samples.get(&rule.namespace).map_or(&[][..], Vec::as_slice);
        let is_shared = rule.rule.workload_selector.is_none()
            && (rule.namespace == host.namespace || ctx.is_root(rule.namespace));
        let everywhere = if is_shared { self.samples_in(rule.cluster) } else { &[] };
        let elsewhere = everywhere.iter().filter(|(namespace, _)| *namespace != rule.namespace);
        let is_cut = own.len() > OWN || everywhere.len() > OTHERS + own.len();
        let elsewhere = elsewhere.map(|(_, sample)| sample);
        let mut found = Found::Nobody;
        for sample in own.iter().take(OWN).chain(elsewhere.take(OTHERS)) {
            *pairs += 1;
            if !ctx.transport().rules_followed(sample.first, host.name).contains(&rule.id) {
                continue;
            }
            let client = sample.other_than(host.workloads).filter(|_| !sample.is_gateway);
            found = Found::Client(client);
            if client.is_some() {
                break;
            }
        }
        match found {
            Found::Nobody if is_cut => Found::Cut,
            found => found,
        }
    }

    /// Asks what becomes of a call.
    pub(crate) fn call(
        &self,
        ctx: &Context<'c>,
        client: WorkloadId,
        host: &Host<'_>,
        port: HostPort,
        subset: Option<&str>,
    ) -> Outcome {
        ctx.transport().call(&Call {
            client: Client::Workload(client),
            target: Target::Host(host.name),
            port: port.number,
            subset,
            speaks: port.speaks,
        })
    }
}

/// What is known of the clients of a rule for one host.
enum Found {
    /// Somebody follows it.
    Client(Option<WorkloadId>),
    Nobody,
    /// Nobody of those that were looked at.
    Cut,
}

impl Sample {
    /// One of the two that is not among the servers.
    pub(crate) fn other_than(self, servers: &[WorkloadId]) -> Option<WorkloadId> {
        [Some(self.first), self.second].into_iter().flatten().find(|id| servers.binary_search(id).is_err())
    }
}

/// Whether membership in the mesh is written down, and nothing of the namespace may look different.
pub(crate) fn is_settled_client(ctx: &Context<'_>, workload: &Workload) -> bool {
    matches!(&workload.capture, Fact::Known(_, Origin::Written(_) | Origin::Inherited(_)))
        && !ctx.is_incomplete(workload.namespace)
}

fn hosts<'c>(ctx: &Context<'c>) -> Vec<Host<'c>> {
    let mesh = ctx.mesh;
    let mut hosts = Vec::new();
    let speaks = |class: ProtocolClass| match class {
        ProtocolClass::Http | ProtocolClass::Auto => Some(Layer::Http),
        ProtocolClass::Tcp => Some(Layer::Tcp),
        ProtocolClass::Udp => None,
    };
    for (at, service) in mesh.services.iter().enumerate() {
        let (Some(name), Spec::Service(spec)) = (&service.fqdn, &mesh.resource(service.resource).spec) else {
            continue;
        };
        let ports = spec.ports.iter().filter_map(|port| {
            let speaks = speaks(service_port_class(port))?;
            Some(HostPort { number: port.port.value, speaks })
        });
        hosts.push(Host {
            name,
            cluster: mesh.namespace(service.namespace).cluster,
            namespace: service.namespace,
            resource: service.resource,
            service: Some(ServiceId(at as u32)),
            workloads: &service.workloads,
            ports: ports.collect(),
        });
    }
    for (at, resource) in mesh.resources.iter().enumerate() {
        let (Spec::ServiceEntry(entry), (cluster, Some(namespace))) = (&resource.spec, mesh.placement[at])
        else {
            continue;
        };
        let ports: Vec<HostPort> = entry
            .ports
            .iter()
            .filter_map(|port| {
                let speaks = speaks(entry_port_class(port))?;
                Some(HostPort { number: port.number.as_ref()?.value, speaks })
            })
            .collect();
        hosts.extend(entry.hosts.iter().map(|host| Host {
            name: &host.value,
            cluster,
            namespace,
            resource: ResourceId(at as u32),
            service: None,
            workloads: &[],
            ports: ports.clone(),
        }));
    }
    hosts
}

fn rules<'c>(ctx: &Context<'c>) -> Vec<ClientRule<'c>> {
    let objects = ctx.mesh.resources.iter().enumerate();
    let rule = |(at, resource): (usize, &'c meshproof_resources::Resource)| {
        let Spec::DestinationRule(rule) = &resource.spec else { return None };
        let (cluster, namespace) = ctx.mesh.placement[at];
        let namespace = namespace?;
        let own = ctx.mesh.namespace(namespace).name.as_deref();
        Some(ClientRule {
            id: ResourceId(at as u32),
            rule,
            cluster,
            namespace,
            host: resolve(&rule.host.as_ref()?.value, own.unwrap_or_default(), "cluster.local"),
            is_placed: own.is_some(),
            covers: Vec::new(),
            uses: Vec::new(),
            is_cut: false,
        })
    };
    objects.filter_map(rule).collect()
}

/// Two workloads of every class that follows rules; sidecars before gateways.
fn samples(ctx: &Context<'_>) -> BTreeMap<NamespaceId, Vec<Sample>> {
    let mut at_class: Map<ClientClass, usize> = Map::default();
    let mut samples: BTreeMap<NamespaceId, Vec<Sample>> = BTreeMap::new();
    for (id, workload) in ctx.mesh.workloads_with_ids() {
        let is_gateway = match workload.capture.known() {
            Some(Capture::Sidecar | Capture::SidecarHbone) => false,
            Some(Capture::Gateway | Capture::Waypoint) => true,
            _ => continue,
        };
        let class = ctx.transport().client_class(id);
        let list = samples.entry(workload.namespace).or_default();
        match at_class.get(&class).and_then(|at| list.get_mut(*at)) {
            Some(sample) => {
                sample.second.get_or_insert(id);
            }
            None => {
                at_class.insert(class, list.len());
                list.push(Sample { first: id, second: None, is_gateway });
            }
        }
    }
    // Stable, so that the order is that of the input.
    samples.values_mut().for_each(|list| list.sort_by_key(|sample| sample.is_gateway));
    samples
}
