//! Vectors of kinds `uses-waypoint`, `waypoint-authz`, `gateway-authz` and `ingress-through`: which waypoint is used,
//! what is checked there and at ingress gateways, and what ingress gateways send through a waypoint.

use meshproof_authz::{Policy, policy_of};
use meshproof_compiler::ChainPort;
use meshproof_ir::{
    Attachments, Called, ClusterId, Fact, GatewayId, GatewayRole, IngressRoute, Layer, Mesh, NamespaceId,
    NoWaypoint, ResourceId, WorkloadId,
};
use meshproof_resources::Spec;
use serde_json::{Map, Value, json};

use super::Outcome;
use super::chains::{agree_with_sets, described, sorted_rules};
use super::meshes::{Scene, compare, port};

/// Recorded meshes have one cluster.
const CLUSTER: ClusterId = ClusterId(0);

/// The waypoint of something that can be addressed.
pub(super) fn replay_use(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let mesh = &scene.mesh;
    let target = line["target"].as_str().unwrap_or_default();
    let called = called(mesh, target)?;
    let binding = match mesh.waypoint_of(called) {
        Fact::Known(binding, _) => binding,
        Fact::Unknown(reason) => return Err(format!("{target}: unknown: {reason}")),
    };
    let waypoint = binding.waypoint.as_ref().ok().map(|waypoint| mesh.gateway_display(*waypoint));
    let mut said = json!({ "waypoint": waypoint });
    let canary = binding.canary.as_ref();
    let problem = binding.waypoint.as_ref().err().or_else(|| canary.and_then(|canary| canary.as_ref().err()));
    // Recorded for services only.
    let reason = match problem.filter(|_| called.is_service()) {
        Some(NoWaypoint::NotInIndex) => Some("NotInIndex"),
        problem => problem.and_then(NoWaypoint::condition),
    };
    if let Some(reason) = reason {
        said["reason"] = json!(reason);
    }
    if canary.is_some_and(Result::is_ok) {
        let share =
            |(waypoint, weight)| json!({ "waypoint": mesh.gateway_display(waypoint), "weight": weight });
        said["weighted"] = binding.shares().map(share).collect();
    }
    Ok(compare(target, line, &parts(line, &["waypoint", "reason", "weighted"]), &said))
}

/// The chains of a waypoint for one port of a service, or for traffic that is addressed to workloads.
pub(super) fn replay_waypoint(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let mesh = &scene.mesh;
    let waypoint = gateway(mesh, &line["waypoint"])?;
    let mut said = json!({ "chains": {} });
    if mesh.gateway(waypoint).role != GatewayRole::Waypoint {
        return Err(format!("{} is no waypoint", line["waypoint"]));
    }
    let Some(service) = service(mesh, line)? else {
        let attached = mesh.direct_policies(waypoint);
        let pods = pods(mesh, waypoint)?;
        agree_with_sets(scene, pods, &read(mesh, &attached.authorization), &recorded_chains(line))?;
        said["chains"] = chains(scene, pods, (None, ChainPort::Other), &attached.request_authentication);
        said["workloads"] = served_workloads(mesh, waypoint);
        return Ok(compare(
            &format!("direct at {}", line["waypoint"]),
            line,
            &parts(line, &["chains", "workloads"]),
            &said,
        ));
    };
    let number = port(&line["port"])?;
    let attached = mesh.waypoint_policies(waypoint, service);
    let place = (Some(service), ChainPort::Number(number));
    let pods = pods(mesh, waypoint)?;
    agree_with_sets(scene, pods, &read(mesh, &attached.authorization), &recorded_chains(line))?;
    said["chains"] = chains(scene, pods, place, &attached.request_authentication);
    let what = format!("{} port {number} at {}", name_in(line), line["waypoint"]);
    Ok(compare(&what, line, &parts(line, &["chains"]), &said))
}

/// The chains of an ingress gateway on one of its ports, or that it has none.
pub(super) fn replay_gateway(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let mesh = &scene.mesh;
    let id = gateway(mesh, &line["gateway"])?;
    let ports = mesh.gateway_ports(id);
    let what = format!("gateway {} port {}", line["gateway"], line["port"]);
    let mut said = json!({ "chains": {} });
    if line["port"].is_null() {
        let numbers: Vec<u16> = ports.iter().map(|port| port.number).collect();
        let recorded: Vec<u16> = Vec::new();
        return Ok(compare(&what, line, &json!(recorded), &json!(numbers)));
    }
    let number = port(&line["port"])?;
    let pods = match line.get("pod") {
        Some(pod) => scene.pod(pod)?,
        None => pods(mesh, id)?,
    };
    agree_with_sets(scene, pods, &scene.policies(pods), &recorded_chains(line))?;
    let tokens = &mesh.workload(pods).request_authentications;
    said["chains"] = chains(scene, pods, (None, ChainPort::Number(number)), tokens);
    Ok(compare(&what, line, &parts(line, &["chains"]), &said))
}

/// The waypoints that ingress gateways send a service's calls through.
pub(super) fn replay_ingress(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let mesh = &scene.mesh;
    gateway(mesh, &line["gateway"])?;
    let service = service(mesh, line)?.ok_or("the line has no service")?;
    let said = match mesh.ingress_route(service) {
        Fact::Known(IngressRoute::Endpoints, _) => json!([]),
        Fact::Known(IngressRoute::Waypoints(through), _) => {
            let mut through: Vec<String> = through.iter().map(|(id, _)| mesh.gateway_display(*id)).collect();
            through.sort();
            json!(through)
        }
        // The input of a recorded mesh is all there is.
        Fact::Known(IngressRoute::Nowhere(_), _) | Fact::Unknown(_) => Value::Null,
    };
    Ok(compare(&format!("ingress to {}", name_in(line)), line, &line["through"], &said))
}

/// The emitted chains of a proxy for a port, in the words of the vectors. Tokens are looked at in HTTP chains only.
fn chains(
    scene: &Scene,
    pods: WorkloadId,
    (service, port): (Option<Called>, ChainPort),
    tokens: &Attachments,
) -> Value {
    let proxy = scene.compiled().proxies.iter().find(|proxy| proxy.workload == pods);
    let chains = proxy.into_iter().flat_map(|proxy| &proxy.chains);
    let chains = chains.filter(|chain| chain.service == service && chain.ports.contains(&port));
    let issuers = issuers(&scene.mesh, tokens);
    let each = chains.map(|chain| match chain.layer {
        Layer::Http => ("http".to_owned(), json!(described(&chain.filters, &issuers))),
        Layer::Tcp => ("tcp".to_owned(), json!(described(&chain.filters, &[]))),
    });
    Value::Object(each.collect())
}

fn read<'m>(mesh: &'m Mesh, attached: &Attachments) -> Vec<Policy<'m>> {
    attached.iter().filter_map(|attached| policy_of(mesh, attached.policy)).collect()
}

fn recorded_chains(line: &Value) -> Value {
    parts(line, &["chains"])["chains"].clone()
}

/// The pods of a Gateway's proxy.
fn pods(mesh: &Mesh, id: GatewayId) -> Result<WorkloadId, String> {
    mesh.gateway(id).workloads.first().copied().ok_or_else(|| "the gateway has no pods".to_owned())
}

fn issuers(mesh: &Mesh, attached: &Attachments) -> Vec<String> {
    let policies = attached.iter().filter_map(|attached| mesh.request_authentication(attached.policy));
    let rules = policies.flat_map(|policy| policy.jwt_rules.iter());
    let mut issuers: Vec<String> =
        rules.filter_map(|rule| rule.issuer.as_ref()).map(|issuer| issuer.value.clone()).collect();
    issuers.sort();
    issuers
}

/// Workloads by the names of the vectors: pods by name, everything else by address.
fn served_workloads(mesh: &Mesh, waypoint: GatewayId) -> Value {
    let name = |called: &Called| match *called {
        Called::Workload(id) => match &mesh.resource(mesh.workload(id).resource).spec {
            Spec::WorkloadEntry(entry) => entry.address.as_ref().map(|address| address.value.clone()),
            _ => Some(mesh.workload_display(id)),
        },
        Called::Endpoint { entry, endpoint } => {
            let address = mesh.service_entry(entry)?.endpoints.get(endpoint)?.address.as_ref()?;
            Some(address.value.clone())
        }
        _ => None,
    };
    let mut names: Vec<String> = mesh.served_by(waypoint).iter().filter_map(name).collect();
    names.sort();
    json!(names)
}

/// The named parts of a line that it has; lists of rules and of workloads have no order.
fn parts(line: &Value, names: &[&str]) -> Value {
    let mut parts = Map::new();
    for name in names {
        if let Some(part) = line.get(*name) {
            parts.insert((*name).to_owned(), part.clone());
        }
    }
    if let Some(chains) = parts.get_mut("chains") {
        sorted_rules(chains);
    }
    if let Some(workloads) = parts.get_mut("workloads").and_then(Value::as_array_mut) {
        workloads.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
    }
    Value::Object(parts)
}

fn name_in(line: &Value) -> &Value {
    line.get("service").unwrap_or(&line["serviceEntry"])
}

/// The service of a line; none when it is null.
fn service(mesh: &Mesh, line: &Value) -> Result<Option<Called>, String> {
    if let Some(entry) = line.get("serviceEntry").and_then(Value::as_str) {
        return called(mesh, &format!("serviceentry {entry}")).map(Some);
    }
    let name = line["service"].as_str();
    name.map(|name| called(mesh, &format!("service {name}"))).transpose()
}

/// A target as the vectors write it.
fn called(mesh: &Mesh, target: &str) -> Result<Called, String> {
    let missing = || format!("the mesh has no {target}");
    let mut words = target.split(' ');
    let kind = words.next().unwrap_or_default();
    let (namespace, name) = place(mesh, words.next().unwrap_or_default()).ok_or_else(missing)?;
    let object = |kind: &str| mesh.objects(CLUSTER, Some(namespace), kind, name).next();
    let workload = |kind: &str| {
        let object = object(kind)?;
        let found = mesh.workloads_with_ids().find(|(_, workload)| workload.resource == object);
        found.map(|(id, _): (WorkloadId, _)| Called::Workload(id))
    };
    let endpoint = |entry: ResourceId| {
        let address = words.next();
        let endpoints = &mesh.service_entry(entry)?.endpoints;
        let is_it = |item: &meshproof_resources::WorkloadEntry| {
            item.address.as_ref().map(|address| address.value.as_str()) == address
        };
        Some(Called::Endpoint { entry, endpoint: endpoints.iter().position(is_it)? })
    };
    let found = match kind {
        "service" => mesh.service_called(namespace, name),
        "serviceentry" => object("ServiceEntry").map(Called::ServiceEntry),
        "pod" => workload("Pod"),
        "workloadentry" => workload("WorkloadEntry"),
        "endpoint" => object("ServiceEntry").and_then(endpoint),
        _ => None,
    };
    found.ok_or_else(missing)
}

fn place<'n>(mesh: &Mesh, name: &'n str) -> Option<(NamespaceId, &'n str)> {
    let (namespace, name) = name.split_once('/')?;
    Some((mesh.namespace_by_name(CLUSTER, namespace)?, name))
}

fn gateway(mesh: &Mesh, name: &Value) -> Result<GatewayId, String> {
    let found = place(mesh, name.as_str().unwrap_or_default());
    let found = found.and_then(|(namespace, name)| mesh.gateway_named(namespace, name));
    found.ok_or_else(|| format!("the mesh has no Gateway {name}"))
}
