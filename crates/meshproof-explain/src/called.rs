//! Which Service a call goes through.

use std::fmt;

use meshproof_ir::{Mesh, PortBinding, ServiceId, WorkloadId};
use meshproof_resources::{ServicePort, Spec};

use crate::names::{self, Unclear};
use crate::question::{Question, Way};

/// A Service and its port.
pub(crate) struct Called {
    /// The Service.
    pub service: ServiceId,
    /// Its whole name.
    pub host: String,
    /// The port of the Service.
    pub port: u16,
}

impl Called {
    /// The header `Host` of a client that calls it by its whole name.
    pub fn authority(&self) -> String {
        if self.port == 80 { self.host.clone() } else { self.to_string() }
    }
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The Service through which the port is called; none when the pod is called directly, or nothing leads to the port.
pub(crate) fn service(
    mesh: &Mesh,
    question: &Question,
    target: WorkloadId,
    port: u16,
) -> Result<Option<Called>, Unclear> {
    let own = mesh.workload(target).ports.iter().find(|own| own.number == port);
    let bindings: &[PortBinding] = own.map_or(&[], |own| &own.bindings);
    match &question.way {
        Way::Direct => Ok(None),
        Way::Fitting => Ok(bindings.iter().find_map(|binding| called(mesh, binding))),
        Way::Service { host, port: wanted } => {
            let id = names::service(mesh, host, question.from.namespace())?;
            let there: Vec<Called> = bindings
                .iter()
                .filter(|binding| binding.service == id)
                .filter_map(|binding| called(mesh, binding))
                .collect();
            let ports: Vec<u16> = there.iter().map(|called| called.port).collect();
            let fits = |called: &Called| wanted.is_none_or(|wanted| wanted == called.port);
            match there.into_iter().find(fits) {
                Some(called) => Ok(Some(called)),
                None => Err(elsewhere(mesh, question, host, id, &ports)),
            }
        }
    }
}

fn called(mesh: &Mesh, binding: &PortBinding) -> Option<Called> {
    let service = &mesh.services[binding.service.index()];
    let port = service_port(mesh, binding)?;
    Some(Called { service: binding.service, host: service.fqdn.clone()?, port: port.port.value })
}

fn service_port<'m>(mesh: &'m Mesh, binding: &PortBinding) -> Option<&'m ServicePort> {
    match &mesh.resource(mesh.services[binding.service.index()].resource).spec {
        Spec::Service(service) => service.ports.get(binding.port),
        _ => None,
    }
}

/// The Service exists and does not lead to the port.
fn elsewhere(mesh: &Mesh, question: &Question, host: &str, id: ServiceId, ports: &[u16]) -> Unclear {
    if !ports.is_empty() {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let what = format!("that port of {host} does not lead to {}", question.to);
        return Unclear::new(what, Some(format!("port {} does", ports.join(" and "))));
    }
    let hint = match mesh.services[id.index()].workloads.first() {
        Some(other) => format!("it leads to {}", mesh.workload_display(*other)),
        None => "it leads to no workload of the input".to_owned(),
    };
    Unclear::new(format!("{host} does not lead to {}", question.to), Some(hint))
}
