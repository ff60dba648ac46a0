//! The servers of all Gateways that select a proxy, joined by port (Istio 1.32, model/gateway.go `mergeGateways`).

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_grammar::protocol::{Protocol, ProtocolClass};
use meshproof_ir::{LabelSet, Mesh, ResourceId, SelectorIndex, WorkloadId, sort_by_age};
use meshproof_resources::{Server, ServerTlsMode, Spec};

/// Every Gateway by the labels of the pods that it is for.
#[derive(Debug, Default)]
pub(crate) struct Gateways<'m> {
    selecting: SelectorIndex<'m>,
    /// Those without a selector, by cluster.
    for_all: Vec<(u32, ResourceId)>,
}

/// One server that is in force.
#[derive(Clone, Debug)]
pub(crate) struct MergedServer<'m> {
    pub(crate) gateway: ResourceId,
    pub(crate) server: &'m Server,
    pub(crate) number: u16,
    /// Hosts without `./` and `*/`; a namespace in front stands for itself.
    pub(crate) hosts: Vec<String>,
    pub(crate) protocol: Option<Protocol>,
    /// Servers with one name share their virtual hosts.
    route_name: String,
}

/// Servers that share a port and a protocol.
#[derive(Debug)]
pub(crate) struct MergedPort {
    pub(crate) number: u16,
    protocol: String,
    bind: String,
    /// Indexes into [`Listening::servers`].
    pub(crate) servers: Vec<usize>,
}

/// What a proxy listens on.
#[derive(Debug, Default)]
pub(crate) struct Listening<'m> {
    pub(crate) servers: Vec<MergedServer<'m>>,
    pub(crate) ports: Vec<MergedPort>,
    by_route: HashMap<String, Vec<usize>, RandomState>,
}

impl<'m> Gateways<'m> {
    pub(crate) fn new(mesh: &'m Mesh) -> Self {
        let mut gateways = Gateways::default();
        let mut selecting = Vec::new();
        for (at, resource) in mesh.resources.iter().enumerate() {
            let Spec::Gateway(gateway) = &resource.spec else { continue };
            let cluster = mesh.placement[at].0.0;
            if gateway.selector.is_empty() {
                gateways.for_all.push((cluster, ResourceId(at as u32)));
            } else {
                selecting.push((cluster, &gateway.selector, at as u32));
            }
        }
        gateways.selecting = SelectorIndex::new(selecting.into_iter());
        gateways
    }

    /// The Gateways that are for these pods, the oldest first. They may stand in any namespace.
    pub(crate) fn of_pods(&self, mesh: &Mesh, pods: WorkloadId) -> Vec<ResourceId> {
        let workload = mesh.workload(pods);
        let cluster = mesh.namespace(workload.namespace).cluster.0;
        let labels = LabelSet::new(&workload.labels);
        let found = self.selecting.members_matching(cluster, &labels, usize::MAX, &mut 0);
        let for_all = self.for_all.iter().filter(|(of, _)| *of == cluster).map(|(_, id)| *id);
        let mut found: Vec<ResourceId> = found.into_iter().map(ResourceId).chain(for_all).collect();
        sort_by_age(&mut found, &mesh.resources);
        found
    }
}

impl<'m> MergedServer<'m> {
    /// The mode of its TLS, when it has any.
    pub(crate) fn tls(&self) -> Option<ServerTlsMode> {
        let tls = self.server.tls.as_ref()?;
        Some(tls.mode.as_ref().map_or(ServerTlsMode::Passthrough, |mode| mode.value))
    }

    pub(crate) fn passes_through(&self) -> bool {
        matches!(self.tls(), Some(ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough))
    }

    pub(crate) fn is_plain_http(&self) -> bool {
        self.protocol.is_some_and(|protocol| protocol.class() == ProtocolClass::Http)
    }

    /// HTTPS that ends here.
    pub(crate) fn ends_https(&self) -> bool {
        self.protocol == Some(Protocol::Https) && self.tls().is_some() && !self.passes_through()
    }

    fn bind(&self) -> &'m str {
        self.server.bind.as_ref().map_or("", |bind| &bind.value)
    }
}

impl<'m> Listening<'m> {
    /// Joins the servers of these Gateways, the oldest first.
    pub(crate) fn new(mesh: &'m Mesh, pods: WorkloadId, gateways: &[ResourceId]) -> Self {
        let mut merging = Merging::default();
        for id in gateways {
            let resource = mesh.resource(*id);
            let (Spec::Gateway(gateway), Some(namespace)) = (&resource.spec, mesh.placement[id.index()].1)
            else {
                continue;
            };
            let own = mesh.namespace(namespace).name.as_deref().unwrap_or_default();
            for server in gateway.servers.iter() {
                let Some(port) = &server.port else { continue };
                let Some(number) = port.number.as_ref().map(|number| number.value) else { continue };
                let protocol = port.protocol.as_ref().map_or("", |protocol| &protocol.value);
                let listened = target_port(mesh, pods, number);
                let mut merged = MergedServer {
                    gateway: *id,
                    server,
                    number,
                    hosts: hosts(server, own),
                    protocol: Protocol::parse(protocol).ok(),
                    route_name: String::new(),
                };
                merged.route_name = route_name(&merged, listened, (own, resource.meta.name()));
                merging.add(merged, listened, protocol);
            }
        }
        merging.out
    }

    /// The servers whose virtual hosts a server shares.
    pub(crate) fn sharing(&self, server: usize) -> &[usize] {
        self.by_route.get(&self.servers[server].route_name).map_or(&[], Vec::as_slice)
    }

    /// What is bound to all addresses of a port.
    pub(crate) fn on_port(&self, number: u16) -> impl Iterator<Item = &MergedPort> {
        self.ports.iter().filter(move |port| port.number == number && port.bind.is_empty())
    }

    /// Whether something is bound to some addresses of a port only.
    pub(crate) fn has_bound(&self, number: u16) -> bool {
        self.ports.iter().any(|port| port.number == number && !port.bind.is_empty())
    }
}

#[derive(Default)]
struct Merging<'m> {
    out: Listening<'m>,
    known_ports: HashSet<u16, RandomState>,
    /// Protocol and bind of the first server of each port that is not TLS.
    plain: HashMap<u16, (String, String), RandomState>,
    /// Hosts of servers with `tls`, by port and bind.
    tls_hosts: HashSet<(u16, String, String), RandomState>,
    bound: HashSet<(u16, String), RandomState>,
}

impl<'m> Merging<'m> {
    fn add(&mut self, server: MergedServer<'m>, number: u16, protocol: &str) {
        let bind = server.bind().to_owned();
        if server.server.tls.is_some() && !self.takes_hosts(&server, number, &bind) {
            return;
        }
        if self.known_ports.insert(number) {
            if server.tls().is_none() || server.is_plain_http() {
                self.plain.insert(number, (protocol.to_owned(), bind.clone()));
            }
            self.push(server, number, protocol, &bind, true);
            return;
        }
        match self.plain.get(&number).cloned() {
            Some((first, first_bind)) if first_bind == bind => {
                let first_protocol = Protocol::parse(&first).ok();
                let is_http = |protocol: Option<Protocol>| {
                    protocol.is_some_and(|protocol| protocol.class() == ProtocolClass::Http)
                };
                // Everything that is HTTP goes together, and nothing else does.
                if is_http(server.protocol) && (is_http(first_protocol) || first_protocol == server.protocol)
                {
                    self.push(server, number, &first, &bind, true);
                }
            }
            Some(_) => self.push(server, number, protocol, &bind, true),
            None => {
                let shares = server.is_plain_http() || server.ends_https();
                if shares && self.out.by_route.contains_key(&server.route_name) {
                    return;
                }
                let is_new = self.bound.insert((number, bind.clone()));
                if server.server.tls.is_none() && !is_new {
                    return;
                }
                self.push(server, number, protocol, &bind, shares);
            }
        }
    }

    /// Whether none of its hosts is taken; Envoy refuses two chains for one name.
    fn takes_hosts(&mut self, server: &MergedServer<'m>, number: u16, bind: &str) -> bool {
        let key = |host: &String| (number, bind.to_owned(), host.clone());
        if server.hosts.iter().any(|host| self.tls_hosts.contains(&key(host))) {
            return false;
        }
        self.tls_hosts.extend(server.hosts.iter().map(key));
        true
    }

    fn push(&mut self, server: MergedServer<'m>, number: u16, protocol: &str, bind: &str, shares: bool) {
        let at = self.out.servers.len();
        if shares && !server.route_name.is_empty() {
            self.out.by_route.entry(server.route_name.clone()).or_default().push(at);
        }
        self.out.servers.push(server);
        let ports = &mut self.out.ports;
        let same =
            |port: &&mut MergedPort| port.number == number && port.protocol == protocol && port.bind == bind;
        match ports.iter_mut().find(same) {
            Some(port) => port.servers.push(at),
            None => ports.push(MergedPort {
                number,
                protocol: protocol.to_owned(),
                bind: bind.to_owned(),
                servers: vec![at],
            }),
        }
    }
}

/// The port of the pods that a Service port means; the first Service that has it counts, and a port of no Service is
/// listened on as it is (Istio 1.32, `resolvePorts`).
fn target_port(mesh: &Mesh, pods: WorkloadId, number: u16) -> u16 {
    let workload = mesh.workload(pods);
    workload
        .services
        .iter()
        .find_map(|service| {
            let at = mesh.service_spec(*service)?.ports.iter().position(|port| port.port.value == number)?;
            let bound = |port: &&meshproof_ir::WorkloadPort| {
                port.bindings.iter().any(|binding| binding.service == *service && binding.port == at)
            };
            workload.ports.iter().find(bound).map(|port| port.number)
        })
        .unwrap_or(number)
}

/// Hosts with `./` made to the namespace of the Gateway and `*/` left out (`sanitizeServerHostNamespace`).
pub(super) fn hosts(server: &Server, own: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    for host in server.hosts.iter() {
        hosts.push(match host.value.split_once('/') {
            Some((".", name)) => format!("{own}/{name}"),
            Some(("*", "*")) => return vec!["*".to_owned()],
            Some(("*", name)) => name.to_owned(),
            _ => host.value.clone(),
        });
    }
    hosts
}

/// All plain HTTP of a port shares its virtual hosts; HTTPS that ends here has its own per server
/// (`gatewayRDSRouteName`).
fn route_name(server: &MergedServer<'_>, listened: u16, (namespace, name): (&str, &str)) -> String {
    let bind = server.bind();
    if server.is_plain_http() {
        return format!("http.{listened}.{bind}");
    }
    if server.protocol == Some(Protocol::Https) && !server.passes_through() {
        let port = server.server.port.as_ref().and_then(|port| port.name.as_ref());
        let port = port.map_or("", |name| name.value.as_str());
        return format!("https.{}.{port}.{name}.{namespace}.{bind}", server.number);
    }
    String::new()
}
