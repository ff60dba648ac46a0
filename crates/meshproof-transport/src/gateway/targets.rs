//! The destinations of a gateway's routes: one of them, and everywhere that it may send to.

use meshproof_ir::{Capture, ResourceId, WorkloadId};
use meshproof_resources::RouteDestination;

use super::RouteTarget;
use super::chains::{ChainKind, Chains};
use super::routes::{destination_host, full_name, http_routes, shared_hosts};
use super::servers::Listening;
use crate::Transport;
use crate::clients::Profile;

impl<'m> Transport<'m> {
    /// The destinations of all routes that are for a gateway of Gateway objects, whatever arrives there: every
    /// VirtualService on every server that shares a host name with it, in the order of servers. Empty for workloads
    /// that are no gateway, and for servers that only tell clients to come back with HTTPS.
    pub fn gateway_targets(&self, gateway: WorkloadId) -> Vec<RouteTarget> {
        let mesh = self.mesh;
        let workload = mesh.workload(gateway);
        if !workload.capture.is(&Capture::Gateway) {
            return Vec::new();
        }
        let listening = Listening::new(mesh, gateway, &self.gateways.of_pods(mesh, gateway));
        let namespace = workload.namespace;
        let chains = Chains { mesh, routes: &self.gateway_routes, listening: &listening, namespace };
        let profile = self.clients.profile(gateway);
        let mut targets = Vec::new();
        for port in &listening.ports {
            for chain in chains.of_port(port.number) {
                if let ChainKind::Tcp(id, destinations) = chain.kind {
                    let number = listening.servers[chain.server].number;
                    let all = destinations.iter();
                    targets.extend(all.filter_map(|one| self.destination(profile, id, one, number, false)));
                }
            }
        }
        let redirects = |server: &&super::servers::MergedServer<'_>| {
            server.server.tls.as_ref().is_some_and(|tls| tls.https_redirect)
        };
        let for_http =
            listening.servers.iter().filter(|server| server.is_plain_http() || server.ends_https());
        for server in for_http.filter(|server| !redirects(server)) {
            let name = full_name(mesh, server.gateway);
            for found in self.gateway_routes.of_gateway(mesh, server.gateway, namespace) {
                if shared_hosts(mesh, server, found).is_empty() {
                    continue;
                }
                let own = mesh.placement[found.0.index()].1.map_or("", |id| mesh.namespace_display(id));
                for one in http_routes(found, &name, own, server.number) {
                    let all = one.route.route.iter();
                    targets.extend(all.filter_map(|destination| {
                        self.destination(profile, one.service, destination, server.number, one.is_conditional)
                    }));
                }
            }
        }
        targets
    }

    /// A destination; its port is the one written, else the only one of the host, else that of the server.
    pub(super) fn destination(
        &self,
        profile: &Profile,
        service: ResourceId,
        destination: &RouteDestination,
        server_port: u16,
        is_conditional: bool,
    ) -> Option<RouteTarget> {
        let mesh = self.mesh;
        let own = mesh.placement[service.index()].1.map_or("", |id| mesh.namespace_display(id));
        let host = destination_host(destination, own)?;
        let only = || {
            let known = self.scopes().known(&profile.scope, &host)?;
            (known.ports.len() == 1).then(|| known.ports[0].number)
        };
        let written = destination.port.as_ref().map(|port| port.value);
        let port = written.or_else(only).unwrap_or(server_port);
        Some(RouteTarget {
            route: Some(service),
            span: Some(destination.span),
            port,
            subset: destination.subset.as_ref().map(|subset| subset.value.clone()),
            host,
            is_conditional,
        })
    }
}
