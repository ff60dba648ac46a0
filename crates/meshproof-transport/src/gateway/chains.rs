//! The filter chains of a port of a gateway, and which of them a connection meets.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use meshproof_ir::{ClientTls, Mesh, NamespaceId, ResourceId};
use meshproof_resources::{L4Match, RouteDestination, ServerTlsMode};

use super::routes::{GatewayRoutes, full_name, is_within, names, shared_hosts};
use super::servers::{Listening, MergedServer};

/// One chain.
#[derive(Debug)]
pub(crate) struct Chain<'m> {
    /// Index into [`Listening::servers`].
    pub(crate) server: usize,
    /// Server names; empty for any, and for no name at all.
    sni: Vec<String>,
    pub(crate) kind: ChainKind<'m>,
}

/// What a chain does.
#[derive(Debug)]
pub(crate) enum ChainKind<'m> {
    /// HTTP by virtual hosts.
    Http,
    /// Bytes to the destinations of one route.
    Tcp(ResourceId, &'m [RouteDestination]),
    /// By server names that are names of clusters; only for Istio's mutual TLS.
    AutoPassthrough,
}

/// Builds the chains of a port.
pub(crate) struct Chains<'c, 'm> {
    pub(crate) mesh: &'m Mesh,
    pub(crate) routes: &'c GatewayRoutes<'m>,
    pub(crate) listening: &'c Listening<'m>,
    /// The namespace of the proxy.
    pub(crate) namespace: NamespaceId,
}

impl<'m> Chains<'_, 'm> {
    /// Every chain of a port, in Istio's order.
    pub(crate) fn of_port(&self, number: u16) -> Vec<Chain<'m>> {
        let mut chains = Vec::new();
        // Names that TLS routes have taken on the port.
        let mut taken: HashSet<String, RandomState> = HashSet::default();
        for port in self.listening.on_port(number) {
            let Some(first) = port.servers.first().copied() else { continue };
            if self.listening.servers[first].is_plain_http() {
                chains.push(Chain { server: first, sni: Vec::new(), kind: ChainKind::Http });
                continue;
            }
            for at in &port.servers {
                self.add(*at, &mut taken, &mut chains);
            }
        }
        chains
    }

    fn add(&self, at: usize, taken: &mut HashSet<String, RandomState>, chains: &mut Vec<Chain<'m>>) {
        let server = &self.listening.servers[at];
        match server.tls() {
            _ if server.ends_https() => {
                chains.push(Chain { server: at, sni: server_names(server), kind: ChainKind::Http });
            }
            Some(ServerTlsMode::AutoPassthrough) => {
                chains.push(Chain { server: at, sni: Vec::new(), kind: ChainKind::AutoPassthrough });
            }
            Some(ServerTlsMode::Passthrough) => self.add_tls_routes(at, taken, chains),
            tls => {
                let Some((id, destinations)) = self.tcp_route(server) else { return };
                let sni = if tls.is_some() { server_names(server) } else { Vec::new() };
                chains.push(Chain { server: at, sni, kind: ChainKind::Tcp(id, destinations) });
            }
        }
    }

    /// The first route for TCP that is for the server; without one there is no chain.
    fn tcp_route(&self, server: &MergedServer<'m>) -> Option<(ResourceId, &'m [RouteDestination])> {
        let gateway = full_name(self.mesh, server.gateway);
        for (id, service) in self.routes.of_gateway(self.mesh, server.gateway, self.namespace) {
            if !covers_any(self.mesh, server, (id, service)) {
                continue;
            }
            let own = self.name_of(id);
            let fits = |one: &L4Match| is_for(one, server.number, &gateway, own);
            let found =
                service.tcp.iter().find(|route| route.matches.is_empty() || route.matches.iter().any(fits));
            if let Some(route) = found {
                return Some((id, &route.route));
            }
        }
        None
    }

    fn add_tls_routes(
        &self,
        at: usize,
        taken: &mut HashSet<String, RandomState>,
        chains: &mut Vec<Chain<'m>>,
    ) {
        let server = &self.listening.servers[at];
        let gateway = full_name(self.mesh, server.gateway);
        for (id, service) in self.routes.of_gateway(self.mesh, server.gateway, self.namespace) {
            if !covers_any(self.mesh, server, (id, service)) {
                continue;
            }
            let own = self.name_of(id);
            for route in service.tls.iter() {
                for one in route.matches.iter().filter(|one| is_for(one, server.number, &gateway, own)) {
                    let names: Vec<String> = one.sni_hosts.iter().map(|host| host.value.clone()).collect();
                    if names.iter().any(|name| taken.contains(name)) {
                        continue;
                    }
                    taken.extend(names.iter().cloned());
                    let sni = if names.iter().any(|name| name == "*") { Vec::new() } else { names };
                    chains.push(Chain { server: at, sni, kind: ChainKind::Tcp(id, &route.route) });
                }
            }
        }
    }

    fn name_of(&self, service: ResourceId) -> &'m str {
        self.mesh.placement[service.index()].1.map_or("", |id| self.mesh.namespace_display(id))
    }
}

/// Server names of a server's chain; a full wildcard stands for all.
fn server_names(server: &MergedServer<'_>) -> Vec<String> {
    let names = server.hosts.iter().map(|host| host.split_once('/').map_or(host.as_str(), |(_, host)| host));
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.iter().any(|name| name == "*") { Vec::new() } else { names }
}

/// Whether hosts of the VirtualService are among those of the server (`pickMatchingGatewayHosts`).
fn covers_any(
    mesh: &Mesh,
    server: &MergedServer<'_>,
    service: (ResourceId, &meshproof_resources::VirtualService),
) -> bool {
    !shared_hosts(mesh, server, service).is_empty()
}

fn is_for(one: &L4Match, port: u16, gateway: &str, own: &str) -> bool {
    one.port.as_ref().is_none_or(|number| number.value == port)
        && (one.gateways.is_empty() || names(one.gateways.iter(), gateway, own))
}

/// The chain that a connection meets: the most specific server name first, then Istio's ALPN; there is no way back to
/// a wider name (Envoy, `FilterChainMatch`). `is_cluster` says whether a server passes a name through as a cluster.
pub(crate) fn pick<'c, 'm>(
    chains: &'c [Chain<'m>],
    tls: ClientTls,
    host: &str,
    is_cluster: impl Fn(usize) -> bool,
) -> Option<&'c Chain<'m>> {
    let by_cluster = |chain: &&Chain<'m>| matches!(chain.kind, ChainKind::AutoPassthrough);
    let any = |chain: &&Chain<'m>| chain.sni.is_empty() && !by_cluster(chain);
    if tls == ClientTls::None {
        return chains.iter().find(any);
    }
    let exact = chains.iter().find(|chain| chain.sni.iter().any(|name| name == host));
    let cluster = chains.iter().filter(by_cluster).find(|chain| is_cluster(chain.server));
    if exact.is_some() || cluster.is_some() {
        return match cluster {
            Some(chain) if tls == ClientTls::IstioMutual => Some(chain),
            _ => exact,
        };
    }
    let wildcard = chains
        .iter()
        .flat_map(|chain| chain.sni.iter().map(move |name| (name, chain)))
        .filter(|(name, _)| name.starts_with('*') && is_within(host, name))
        .max_by_key(|(name, _)| name.len());
    wildcard.map(|(_, chain)| chain).or_else(|| chains.iter().find(any))
}
