//! Which names a gateway answers to on a port.

use std::collections::BTreeSet;

use meshproof_ir::WorkloadId;

use super::routes::shared_hosts;
use super::servers::Listening;
use crate::Transport;

/// Stands for the star of a name that nothing narrows.
const SOMETHING: &str = "something";

impl Transport<'_> {
    /// Names to ask for on a port of a gateway's pods: those that its servers and the VirtualServices for it have in
    /// common, sorted; of names with a star one that fits it.
    pub fn exposed_hosts(&self, gateway: WorkloadId, port: u16) -> Vec<String> {
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
        let concrete = |name: String| match name.strip_prefix('*') {
            Some(rest) => format!("{SOMETHING}{}", if rest.is_empty() { ".example" } else { rest }),
            None => name,
        };
        names.into_iter().map(concrete).collect()
    }
}
