//! What becomes of a connection that arrives at a gateway.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::{Capture, ClientTls, Fact, Layer, ResourceId};
use meshproof_resources::{RouteDestination, ServerTlsMode};

use super::chains::{Chain, ChainKind, Chains, pick};
use super::routes::{HostRoute, full_name, http_routes, is_within, shared_hosts};
use super::servers::{Listening, MergedServer};
use super::{Arrival, Arriving, GatewayRefusal, RouteTarget, Taken};
use crate::client_tls::settings;
use crate::clients::Profile;
use crate::{Evidence, Transport};

/// A virtual host: routes, and whether plaintext is sent away.
#[derive(Default)]
struct VirtualHost<'m> {
    routes: Vec<(usize, HostRoute<'m>)>,
    redirects: bool,
}

impl<'m> Transport<'m> {
    /// What a gateway of Gateway objects does with a connection, and where it sends it.
    pub fn arrive(&self, arriving: &Arriving<'_>) -> Arrival {
        let mesh = self.mesh;
        let workload = mesh.workload(arriving.gateway);
        let mut arrival = Arrival {
            taken: Taken::Refused(GatewayRefusal::NoListener),
            targets: Vec::new(),
            answered: false,
            evidence: Vec::new(),
            unknown: Vec::new(),
        };
        if let Fact::Unknown(reason) = &workload.capture {
            arrival.unknown.push(reason.clone());
        } else if !workload.capture.is(&Capture::Gateway) {
            arrival.unknown.push(format!("{} is no gateway", workload.name));
            return arrival;
        }
        let gateways = self.gateways.of_pods(mesh, arriving.gateway);
        let listening = Listening::new(mesh, arriving.gateway, &gateways);
        if listening.has_bound(arriving.port) {
            arrival.unknown.push("servers with `bind` take some addresses only".to_owned());
        }
        let namespace = workload.namespace;
        let chains = Chains { mesh, routes: &self.gateway_routes, listening: &listening, namespace };
        let mut chains = chains.of_port(arriving.port);
        let profile = self.clients.profile(arriving.gateway);
        chains.retain(|chain| self.leads_somewhere(profile, &listening, chain));
        if chains.is_empty() {
            return arrival;
        }
        let is_cluster =
            |at: usize| self.cluster_of(profile, &listening.servers[at], arriving.host).is_some();
        let Some(chain) = pick(&chains, arriving.tls, arriving.host, is_cluster) else {
            arrival.taken = Taken::Refused(GatewayRefusal::NoChain);
            return arrival;
        };
        let taking = Taking { transport: self, profile, listening: &listening, arriving };
        taking.take(chain, &mut arrival);
        arrival
    }

    /// A chain that passes clusters through has none where no host is within its own.
    fn leads_somewhere(&self, profile: &Profile, listening: &Listening<'m>, chain: &Chain<'m>) -> bool {
        if !matches!(chain.kind, ChainKind::AutoPassthrough) {
            return true;
        }
        let server = &listening.servers[chain.server];
        self.registry.services.iter().enumerate().any(|(at, service)| {
            self.mesh.namespace(service.namespace).cluster == profile.scope.cluster
                && exposes(server, service.host)
                && !service.is_external()
                && self.registry.seen(at as u32, profile.scope.namespace).is_some()
        })
    }

    /// The cluster that a server name means at a server for AUTO_PASSTHROUGH.
    fn cluster_of(&self, profile: &Profile, server: &MergedServer<'m>, name: &str) -> Option<RouteTarget> {
        let mut parts = name.strip_prefix("outbound_.")?.splitn(3, "_.");
        let port: u16 = parts.next()?.parse().ok()?;
        let subset = parts.next().filter(|subset| *subset != "_" && !subset.is_empty());
        let host = parts.next()?;
        let known = self.scopes().known(&profile.scope, host)?;
        let service = self.registry.service(known.service);
        if service.is_external() || !exposes(server, service.host) {
            return None;
        }
        known.ports.iter().find(|known| known.number == port)?;
        settings(self.rule(profile, known.service, host), port, subset)?;
        Some(RouteTarget {
            route: None,
            span: None,
            host: host.to_owned(),
            port,
            subset: subset.map(str::to_owned),
            is_conditional: false,
        })
    }
}

/// Whether the hosts of a server for AUTO_PASSTHROUGH cover a host.
fn exposes(server: &MergedServer<'_>, host: &str) -> bool {
    let names = server.hosts.iter().map(|own| own.split_once('/').map_or(own.as_str(), |(_, own)| own));
    names.into_iter().any(|own| is_within(host, own))
}

/// A connection on its way through a chain.
struct Taking<'t, 'm> {
    transport: &'t Transport<'m>,
    profile: &'t Profile,
    listening: &'t Listening<'m>,
    arriving: &'t Arriving<'t>,
}

impl<'m> Taking<'_, 'm> {
    fn take(&self, chain: &Chain<'m>, arrival: &mut Arrival) {
        let server = &self.listening.servers[chain.server];
        self.say_server(server, arrival);
        let is_tcp = !matches!(chain.kind, ChainKind::Http);
        let mode = server.tls().filter(|_| !server.is_plain_http());
        arrival.taken = match mode {
            Some(ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough) => match self.arriving.tls {
                ClientTls::None => Taken::Plaintext(Layer::Tcp),
                _ => Taken::Unopened,
            },
            Some(mode) => match self.refused_by(mode) {
                Some(refusal) => Taken::Refused(refusal),
                None if is_tcp => Taken::Terminated(mode, Layer::Tcp),
                None if self.arriving.speaks == Layer::Tcp => Taken::Refused(GatewayRefusal::NotHttp),
                None => Taken::Terminated(mode, Layer::Http),
            },
            None if is_tcp && self.arriving.tls != ClientTls::None => Taken::Unopened,
            None if is_tcp => Taken::Plaintext(Layer::Tcp),
            None if self.arriving.tls != ClientTls::None || self.arriving.speaks == Layer::Tcp => {
                Taken::Refused(GatewayRefusal::NotHttp)
            }
            None => Taken::Plaintext(Layer::Http),
        };
        match (&chain.kind, arrival.taken) {
            (_, Taken::Refused(_)) => {}
            (ChainKind::Http, _) => self.route_http(chain.server, arrival),
            (ChainKind::Tcp(id, destinations), _) => {
                let port = server.number;
                arrival.targets =
                    destinations.iter().filter_map(|one| self.target(*id, one, port, false)).collect();
            }
            (ChainKind::AutoPassthrough, _) => {
                let found = self.transport.cluster_of(self.profile, server, self.arriving.host);
                arrival.targets = found.into_iter().collect();
            }
        }
    }

    fn say_server(&self, server: &MergedServer<'m>, arrival: &mut Arrival) {
        let name = full_name(self.transport.mesh, server.gateway);
        let text = match server.server.tls.as_ref().and_then(|tls| tls.mode.as_ref()) {
            Some(mode) => format!("Gateway {name} takes it, with TLS {}", mode.value.as_str()),
            None => format!("Gateway {name} takes it"),
        };
        arrival.evidence.push(Evidence {
            object: Some(server.gateway),
            span: Some(server.server.span),
            text,
        });
    }

    fn refused_by(&self, mode: ServerTlsMode) -> Option<GatewayRefusal> {
        match (self.arriving.tls, mode) {
            (ClientTls::None, _) => Some(GatewayRefusal::TlsRequired),
            (ClientTls::OneWay, ServerTlsMode::Mutual | ServerTlsMode::IstioMutual) => {
                Some(GatewayRefusal::CertificateRequired)
            }
            _ => None,
        }
    }

    /// Looks for the virtual host of the name, and its routes.
    fn route_http(&self, server: usize, arrival: &mut Arrival) {
        let hosts = self.virtual_hosts(server);
        let name = self.arriving.host.rsplit_once(':').map_or(self.arriving.host, |(name, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { self.arriving.host }
        });
        let wildcard = || {
            let fits = hosts.iter().filter(|(host, _)| host.starts_with('*') && is_within(name, host));
            fits.max_by_key(|(host, _)| host.len()).map(|(_, found)| found)
        };
        let Some(found) = hosts.get(name).or_else(wildcard) else { return };
        if found.redirects && arrival.taken == Taken::Plaintext(Layer::Http) {
            arrival.taken = Taken::Redirected;
            return;
        }
        // Routes without conditions are tried last, whichever VirtualService they come from.
        let mut routes: Vec<&(usize, HostRoute<'m>)> = found.routes.iter().collect();
        routes.sort_by_key(|(_, route)| !route.is_conditional);
        for (at, host_route) in routes {
            let route = host_route.route;
            let port = self.listening.servers[*at].number;
            arrival.evidence.push(Evidence {
                object: Some(host_route.service),
                span: Some(route.span),
                text: "this route is for the name".to_owned(),
            });
            if let Some((delegate, _)) = &route.delegate {
                arrival.unknown.push(format!("routes of VirtualService {} are not followed", delegate.value));
            }
            arrival.answered |= route.answered.is_some();
            let destinations = route.route.iter();
            arrival.targets.extend(
                destinations
                    .filter_map(|one| self.target(host_route.service, one, port, host_route.is_conditional)),
            );
            if !host_route.is_conditional {
                break;
            }
        }
    }

    /// The virtual hosts that a server shares with others (`buildGatewayHTTPRouteConfig`).
    fn virtual_hosts(&self, server: usize) -> HashMap<String, VirtualHost<'m>, RandomState> {
        let mesh = self.transport.mesh;
        let mut hosts: HashMap<String, VirtualHost<'m>, RandomState> = HashMap::default();
        for at in self.listening.sharing(server) {
            let server = &self.listening.servers[*at];
            let gateway = full_name(mesh, server.gateway);
            let redirects = server.server.tls.as_ref().is_some_and(|tls| tls.https_redirect);
            let routes = &self.transport.gateway_routes;
            for found in routes.of_gateway(mesh, server.gateway, self.profile.scope.namespace) {
                let own = mesh.placement[found.0.index()].1.map_or("", |id| mesh.namespace_display(id));
                let of_service = http_routes(found, &gateway, own, server.number);
                if of_service.is_empty() {
                    continue;
                }
                for name in shared_hosts(mesh, server, found) {
                    let host = hosts.entry(name).or_default();
                    host.routes.extend(of_service.iter().map(|route| (*at, *route)));
                    host.redirects |= redirects;
                }
            }
            if redirects {
                for name in &server.hosts {
                    hosts.entry(name.clone()).or_default().redirects = true;
                }
            }
        }
        hosts
    }

    fn target(
        &self,
        service: ResourceId,
        destination: &RouteDestination,
        server_port: u16,
        is_conditional: bool,
    ) -> Option<RouteTarget> {
        self.transport.destination(self.profile, service, destination, server_port, is_conditional)
    }
}
