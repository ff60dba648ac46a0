//! Which names a gateway answers to on a port.

use std::collections::BTreeSet;

use meshproof_ir::WorkloadId;

use super::routes::shared_hosts;
use super::servers::Listening;
use crate::Transport;

/// Stands for the star of a name that nothing narrows.
const SOMETHING: &str = "something";

/// A name that a gateway answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedHost {
    /// As it is written: a name, one with a star in front, or a star.
    pub written: String,
    /// A name that fits it.
    pub example: String,
}

impl Transport<'_> {
    /// Names to ask for on a port of a gateway's pods: those that its servers and the VirtualServices for it have in
    /// common, sorted.
    pub fn exposed_hosts(&self, gateway: WorkloadId, port: u16) -> Vec<ExposedHost> {
        let mesh = self.mesh;
        let gateways = self.gateways.of_pods(mesh, gateway);
        let listening = Listening::new(mesh, gateway, &gateways);
        let namespace = mesh.workload(gateway).namespace;
        let mut names: BTreeSet<String> = BTreeSet::new();
        let here = listening.ports.iter().filter(|own| own.number == port);
        for server in here.flat_map(|own| &own.servers).map(|at| &listening.servers[*at]) {
            for service in self.gateway_routes.of_gateway(mesh, server.gateway, namespace) {
                names.extend(shared_hosts(mesh, server, service));
            }
            let own = server.hosts.iter().map(|host| host.rsplit('/').next().unwrap_or(host));
            names.extend(own.map(str::to_owned));
        }
        let exposed = |written: String| {
            let example = match written.strip_prefix('*') {
                Some(rest) => format!("{SOMETHING}{}", if rest.is_empty() { ".example" } else { rest }),
                None => written.clone(),
            };
            ExposedHost { written, example }
        };
        names.into_iter().map(exposed).collect()
    }
}
