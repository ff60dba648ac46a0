//! From the names of a question to what the mesh has of that name.

use meshproof_ir::{ClusterId, Fact, GatewayId, Mesh, ServiceId, WorkloadId, WorkloadPort};

use crate::question::Destination;

/// A name that means nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}")))]
pub struct Unclear {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Unclear {
    pub(crate) fn new(what: impl Into<String>, hint: Option<String>) -> Unclear {
        Unclear { what: what.into(), hint }
    }
}

/// The workloads of that name, `NAME` or `KIND/NAME`: one, unless several clusters or kinds have one. Never empty.
///
/// # Errors
/// There is none; it tells what was probably meant.
pub fn workloads(mesh: &Mesh, namespace: &str, name: &str) -> Result<Vec<WorkloadId>, Unclear> {
    let (kind, name) = name.split_once('/').map_or((None, name), |(kind, name)| (Some(kind), name));
    let same = |id: &WorkloadId| {
        let workload = mesh.workload(*id);
        let own = || mesh.resource(workload.resource).meta.kind.value.as_str();
        workload.name == name
            && mesh.namespace(workload.namespace).name.as_deref() == Some(namespace)
            && kind.is_none_or(|kind| own().eq_ignore_ascii_case(kind))
    };
    let found: Vec<WorkloadId> = mesh.workloads_with_ids().map(|(id, _)| id).filter(same).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    // A Gateway of the Gateway API is called by its own name; the pods have another one.
    let is_gateway = |id: &GatewayId| mesh.gateway_display(*id) == format!("{namespace}/{name}");
    let gateways = mesh.gateways_with_ids().map(|(id, _)| id).filter(is_gateway);
    let found: Vec<WorkloadId> = gateways.flat_map(|id| mesh.gateway_pods(id).collect::<Vec<_>>()).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let is_homeless = |id: &WorkloadId| {
        let workload = mesh.workload(*id);
        workload.name == name && mesh.namespace(workload.namespace).name.is_none()
    };
    if mesh.workloads_with_ids().map(|(id, _)| id).any(|id| is_homeless(&id)) {
        let is_name = namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let given = if is_name { namespace } else { "NAMESPACE" };
        let hint = format!("{name} is written without a namespace; say in which it is applied: -n {given}");
        return Err(Unclear::new(format!("there is no workload {namespace}/{name}"), Some(hint)));
    }
    let names = mesh.workloads_with_ids().map(|(id, _)| mesh.workload_display(id));
    let written = format!("{namespace}/{name}");
    let hint = nearest(&written, names).map(|meant| format!("did you mean {meant}?")).or_else(|| {
        let mut there: Vec<String> = mesh
            .workloads_with_ids()
            .filter(|(_, workload)| mesh.namespace_display(workload.namespace) == namespace)
            .map(|(_, workload)| workload.name.clone())
            .collect();
        there.sort();
        there.dedup();
        Some(match there.len() {
            0 if mesh.workloads.is_empty() => "the input has no workloads at all".to_owned(),
            0 => format!("the input has no workloads in namespace {namespace}"),
            1..=8 => format!("namespace {namespace} has {}", there.join(", ")),
            many => format!("namespace {namespace} has {many} other workloads"),
        })
    });
    Err(Unclear::new(format!("there is no workload {written}"), hint))
}

/// Those of them that are of a cluster, where one is named. Never empty. `what`: what the question calls them.
///
/// # Errors
/// There is no such cluster, or it has none of them.
pub fn in_cluster(
    mesh: &Mesh,
    mut found: Vec<WorkloadId>,
    cluster: Option<&str>,
    what: &str,
) -> Result<Vec<WorkloadId>, Unclear> {
    let Some(wanted) = cluster else { return Ok(found) };
    let id = self::cluster(mesh, wanted)?;
    found.retain(|workload| mesh.namespace(mesh.workload(*workload).namespace).cluster == id);
    if found.is_empty() {
        return Err(Unclear::new(format!("cluster {wanted} has no {what}"), None));
    }
    Ok(found)
}

/// The cluster of that name.
pub(crate) fn cluster(mesh: &Mesh, wanted: &str) -> Result<ClusterId, Unclear> {
    let at = mesh.clusters.iter().position(|cluster| cluster.name.as_deref() == Some(wanted));
    at.map(|at| ClusterId(at as u32)).ok_or_else(|| {
        let names: Vec<&str> = mesh.clusters.iter().filter_map(|cluster| cluster.name.as_deref()).collect();
        let hint = match names.is_empty() {
            true => "name clusters when they are read: --cluster NAME=PATH".to_owned(),
            false => format!("the input has {}", names.join(", ")),
        };
        Unclear::new(format!("there is no cluster {wanted}"), Some(hint))
    })
}

/// Each workload of a name with what tells it from the others of its cluster: its kind.
pub(crate) fn told_apart(mesh: &Mesh, found: &[WorkloadId], id: WorkloadId) -> String {
    let cluster = |id: WorkloadId| mesh.namespace(mesh.workload(id).namespace).cluster;
    let name = mesh.workload_display(id);
    if found.iter().filter(|other| cluster(**other) == cluster(id)).count() < 2 {
        return name;
    }
    let kind = &mesh.resource(mesh.workload(id).resource).meta.kind.value;
    match name.split_once('/') {
        Some((namespace, name)) => format!("{namespace}/{kind}/{name}"),
        None => name,
    }
}

/// The port of the pods that is asked for.
pub(crate) fn port(mesh: &Mesh, id: WorkloadId, to: &Destination) -> Result<u16, Unclear> {
    // Others are there for PeerAuthentication's or an annotation's sake, and nothing may listen on them.
    let serves = |port: &&WorkloadPort| {
        port.declared.is_some() || !port.bindings.is_empty() || !port.service_entries.is_empty()
    };
    let ports: Vec<u16> = mesh.workload(id).ports.iter().filter(serves).map(|port| port.number).collect();
    if let Some(port) = to.port {
        return match behind(mesh, id, port).filter(|_| !ports.contains(&port)) {
            Some((service, target)) => Err(Unclear::new(
                format!("{port} is the port of Service {service}, not one of the pods"),
                Some(format!("it leads to {target}: --to {}/{}:{target}", to.namespace, to.name)),
            )),
            None => Ok(port),
        };
    }
    match ports.as_slice() {
        [one] => Ok(*one),
        [] => Err(Unclear::new(
            format!("{to} declares no port"),
            Some(format!("say which one is meant: {to}:PORT")),
        )),
        many => {
            let list: Vec<String> = many.iter().take(12).map(u16::to_string).collect();
            let hint = format!("say which one is meant: {to}:{}", many[0]);
            Err(Unclear::new(format!("{to} has the ports {}", list.join(", ")), Some(hint)))
        }
    }
}

/// The port of the pods behind a port of one of their Services.
fn behind(mesh: &Mesh, id: WorkloadId, service_port: u16) -> Option<(String, u16)> {
    mesh.workload(id).ports.iter().find_map(|port| {
        let binding = port.bindings.iter().find(|binding| {
            let spec = mesh.service_spec(binding.service);
            spec.and_then(|spec| spec.ports.get(binding.port))
                .is_some_and(|written| written.port.value == service_port)
        })?;
        let service = mesh.resource(mesh.services[binding.service.index()].resource).meta.name();
        Some((service.to_owned(), port.number))
    })
}

/// What the client calls: a Service of the mesh, by the name that a client in `namespace` writes.
pub(crate) fn service(mesh: &Mesh, host: &str, namespace: Option<&str>) -> Result<ServiceId, Unclear> {
    let host = host.trim_end_matches('.');
    let mut labels = host.splitn(3, '.');
    let (name, second, rest) = (labels.next().unwrap_or_default(), labels.next(), labels.next());
    let is_cluster_name = rest.is_none_or(|rest| rest == "svc" || rest.starts_with("svc."));
    let of = second.or(namespace);
    let fits = |(at, service): (usize, &meshproof_ir::Service)| {
        let own = mesh.namespace(service.namespace).name.as_deref();
        let meta = &mesh.resource(service.resource).meta;
        (is_cluster_name && meta.name() == name && own.is_some() && own == of).then_some(ServiceId(at as u32))
    };
    if let Some(found) = mesh.services.iter().enumerate().find_map(fits) {
        return Ok(found);
    }
    let display = |service: &meshproof_ir::Service| {
        let meta = &mesh.resource(service.resource).meta;
        format!("{}.{}", meta.name(), mesh.namespace_display(service.namespace))
    };
    let written = match of {
        Some(of) => format!("{name}.{of}"),
        None => name.to_owned(),
    };
    let hint =
        nearest(&written, mesh.services.iter().map(display)).map(|meant| format!("did you mean {meant}?"));
    let hint = hint.or_else(|| Some("name a Service as NAME.NAMESPACE, or pass --direct".to_owned()));
    Err(Unclear::new(format!("there is no service `{host}`"), hint))
}

/// Whether anything says that there is such an account.
///
/// # Errors
/// There is none; it tells what was probably meant.
pub fn account(mesh: &Mesh, namespace: &str, account: &str) -> Result<Option<WorkloadId>, Unclear> {
    if let Some(identity) = mesh.accounts_named(namespace, account).next() {
        return Ok(identity.workloads.first().copied());
    }
    let display = |identity: &meshproof_ir::Identity| {
        Some(format!("{}/{}", identity.namespace.as_deref()?, identity.account))
    };
    let written = format!("{namespace}/{account}");
    let near = nearest(&written, mesh.identities().iter().filter_map(display));
    let workload = workloads(mesh, namespace, account).ok().and_then(|all| all.first().copied());
    let hint = match (workload, near) {
        (Some(id), _) => {
            let own = match &mesh.workload(id).service_account {
                Fact::Known(own, _) => format!(", which runs as {namespace}/{own}"),
                Fact::Unknown(_) => String::new(),
            };
            Some(format!("there is a workload of that name{own}: --from workload:{written}"))
        }
        (None, Some(near)) => Some(format!("did you mean {near}?")),
        (None, None) => Some("for an account that exists elsewhere give its SPIFFE id".to_owned()),
    };
    Err(Unclear::new(format!("there is no service account {written}"), hint))
}

/// The name nearest to a written one, when it is near enough to be a slip.
fn nearest(written: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let limit = (written.len() / 4).clamp(1, 3);
    // The right name in the wrong namespace is as common as a slip of the keyboard.
    let tail = written.split_once(['/', '.']).map_or(written, |(_, tail)| tail);
    let distance = |name: &String| {
        let own = name.split_once(['/', '.']).map_or(name.as_str(), |(_, tail)| tail);
        let slips = strsim::osa_distance(written, name);
        if slips <= limit { Some(slips) } else { (own == tail).then_some(limit + 1) }
    };
    names.filter_map(|name| Some((distance(&name)?, name))).min().map(|(_, name)| name)
}
