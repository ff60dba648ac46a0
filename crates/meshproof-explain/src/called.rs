//! Which Service or ServiceEntry a call goes through.

use std::fmt;

use meshproof_ir::{Called as Addressed, EntryBinding, Mesh, PortBinding, ServiceId, WorkloadId};

use crate::answer::Evidence;
use crate::names::{self, Unclear};
use crate::question::{Question, Way};

/// A service and its port.
#[derive(Clone)]
pub(crate) struct Called {
    /// The Service or ServiceEntry.
    pub addressed: Addressed,
    /// The whole name that is called.
    pub host: String,
    /// The port of the service.
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

/// The service through which the port is called; none when the pod is called directly, or nothing leads to the port.
pub(crate) fn service(
    mesh: &Mesh,
    question: &Question,
    target: WorkloadId,
    port: u16,
) -> Result<Option<Called>, Unclear> {
    let own = mesh.workload(target).ports.iter().find(|own| own.number == port);
    let bindings: &[PortBinding] = own.map_or(&[], |own| &own.bindings);
    let entries: &[EntryBinding] = own.map_or(&[], |own| &own.service_entries);
    match &question.way {
        Way::Direct => Ok(None),
        Way::Fitting => {
            let service = bindings.iter().find_map(|binding| of_service(mesh, binding));
            Ok(service.or_else(|| entries.iter().find_map(|binding| of_entry(mesh, binding, None))))
        }
        Way::Service { host, port: wanted } => {
            let fits = |called: &Called| wanted.is_none_or(|wanted| wanted == called.port);
            let mut of_entries = entries.iter().filter_map(|binding| of_entry(mesh, binding, Some(host)));
            if let Some(called) = of_entries.find(fits) {
                return Ok(Some(called));
            }
            // Somebody without a namespace is taken to stand beside the workload.
            let own = question.from.namespace().unwrap_or(&question.to.namespace);
            let id = names::service(mesh, host, Some(own))?;
            let of_host = bindings.iter().filter(|binding| binding.service == id);
            let there: Vec<Called> = of_host.filter_map(|binding| of_service(mesh, binding)).collect();
            let ports: Vec<u16> = there.iter().map(|called| called.port).collect();
            match there.into_iter().find(fits) {
                Some(called) => Ok(Some(called)),
                None => Err(elsewhere(mesh, question, host, id, &ports)),
            }
        }
    }
}

/// Every host, with its port, that leads to a port of a workload.
pub(crate) fn hosts(mesh: &Mesh, target: WorkloadId, port: u16) -> Vec<(String, u16)> {
    let own = mesh.workload(target).ports.iter().find(|own| own.number == port);
    let services = own.into_iter().flat_map(|own| &own.bindings).filter_map(|one| of_service(mesh, one));
    let entries =
        own.into_iter().flat_map(|own| &own.service_entries).filter_map(|one| of_entry(mesh, one, None));
    services.chain(entries).map(|called| (called.host, called.port)).collect()
}

/// What is worth saying of the choice: other Services lead to the port too, or nothing does.
pub(crate) fn note(mesh: &Mesh, question: &Question, target: WorkloadId, port: u16) -> Option<Evidence> {
    let workload = mesh.workload(target);
    let Some(own) = workload.ports.iter().find(|own| own.number == port) else {
        return Some(Evidence::new(format!(
            "nothing declares port {port} of {}",
            mesh.workload_display(target)
        )));
    };
    if question.way != Way::Fitting {
        return None;
    }
    let mut hosts: Vec<String> = own
        .bindings
        .iter()
        .filter_map(|binding| of_service(mesh, binding))
        .map(|called| called.to_string())
        .collect();
    hosts.dedup();
    let (first, others) = hosts.split_first()?;
    let other = others.first()?;
    Some(Evidence::new(format!("called as {first}; {other} leads to it too: --service tells which is meant")))
}

fn of_service(mesh: &Mesh, binding: &PortBinding) -> Option<Called> {
    let service = &mesh.services[binding.service.index()];
    let port = mesh.service_spec(binding.service)?.ports.get(binding.port)?;
    let addressed = Addressed::Service(binding.service);
    Some(Called { addressed, host: service.fqdn.clone()?, port: port.port.value })
}

/// A ServiceEntry that has the host; its first one if none is asked for.
fn of_entry(mesh: &Mesh, binding: &EntryBinding, host: Option<&str>) -> Option<Called> {
    let entry = mesh.service_entry(binding.entry)?;
    let port = entry.ports.get(binding.port)?.number.as_ref()?.value;
    let has = |host: &str| {
        entry.hosts.iter().any(|own| match own.value.strip_prefix('*') {
            Some(rest) => host.len() > rest.len() && host.ends_with(rest),
            None => own.value == host,
        })
    };
    let host = match host {
        Some(host) => has(host).then(|| host.to_owned())?,
        None => entry.hosts.iter().find(|own| !own.value.starts_with('*'))?.value.clone(),
    };
    Some(Called { addressed: Addressed::ServiceEntry(binding.entry), host, port })
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
