//! Vectors of kinds `client` and `call`: what a client sends towards a port of a host, and what becomes of it.

use meshproof_ir::{Fact, Layer, Mesh};
use meshproof_transport::{
    Call, Client, Delivery, EndpointAddress, EndpointOutcome, Outcome as Sent, Path, Target,
};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::meshes::{Scene, compare, port};

/// What a proxy sends, endpoint by endpoint.
pub(super) fn replay_client(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let sent = ask(scene, line, &line["pod"], Layer::Http)?;
    let mut said = json!({ "wire": wire(&scene.mesh, &sent) });
    if sent.path == Path::OriginalDestination {
        said["original_dst"] = json!(true);
    }
    if let Some(tls) = &sent.tls {
        said["tls"] = json!({ "sni": tls.sni });
        if !tls.server_names.is_empty() {
            said["tls"]["server_names"] = json!(tls.server_names);
        }
    }
    let mut recorded = json!({});
    for key in ["wire", "original_dst", "tls"] {
        if let Some(value) = line.get(key) {
            recorded[key] = value.clone();
        }
    }
    if let Some(names) = recorded.pointer_mut("/tls/server_names").and_then(Value::as_array_mut) {
        names.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    Ok(compare(&question(line, &line["pod"]), line, &recorded, &said))
}

/// One connection to one endpoint.
pub(super) fn replay_call(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let layer = if line["speaks"] == "http" { Layer::Http } else { Layer::Tcp };
    let sent = ask(scene, line, &line["from"], layer)?;
    let to = EndpointAddress::Workload(scene.pod(&line["to"])?);
    let found = sent.endpoints.iter().find(|endpoint| endpoint.endpoint == to);
    let mut said = json!({ "wire": Value::Null });
    if let Some(endpoint) = found {
        said = json!({ "wire": word(endpoint), "result": result(endpoint) });
        if let Some(identity) = &endpoint.identity {
            said["identity"] = json!(identity);
        }
    }
    let mut recorded = json!({});
    for key in ["wire", "result", "identity"] {
        if let Some(value) = line.get(key) {
            recorded[key] = value.clone();
        }
    }
    Ok(compare(&format!("{} to {}", question(line, &line["from"]), line["to"]), line, &recorded, &said))
}

fn ask(scene: &Scene, line: &Value, client: &Value, speaks: Layer) -> Result<Sent, String> {
    let call = Call {
        client: Client::Workload(scene.pod(client)?),
        target: Target::Host(line["host"].as_str().ok_or("the line has no host")?),
        port: port(&line["port"])?,
        subset: line["subset"].as_str(),
        speaks,
    };
    Ok(scene.transport().call(&call))
}

fn question(line: &Value, client: &Value) -> String {
    format!("{client} calls {}:{} subset {}", line["host"], line["port"], line["subset"])
}

fn wire(mesh: &Mesh, sent: &Sent) -> Value {
    match sent.path {
        Path::Direct | Path::Blackhole | Path::NoCluster => return json!("no-cluster"),
        Path::OriginalDestination => {
            return json!(sent.wire.map_or("plain", |wire| wire.as_str()));
        }
        Path::Cluster | Path::Ztunnel => {}
    }
    let mut wires = Map::new();
    for endpoint in &sent.endpoints {
        let name = match &endpoint.endpoint {
            EndpointAddress::Workload(id) => {
                machine_address(mesh, *id).unwrap_or_else(|| mesh.workload_display(*id))
            }
            EndpointAddress::Address(address) => address.clone(),
        };
        wires.insert(name, json!(word(endpoint)));
    }
    Value::Object(wires)
}

/// Machines stand in the vectors by their address.
fn machine_address(mesh: &Mesh, id: meshproof_ir::WorkloadId) -> Option<String> {
    match &mesh.resource(mesh.workload(id).resource).spec {
        meshproof_resources::Spec::WorkloadEntry(entry) => Some(entry.address.as_ref()?.value.clone()),
        _ => None,
    }
}

fn word(endpoint: &EndpointOutcome) -> String {
    match &endpoint.wire {
        Fact::Known(wire, _) => wire.as_str().to_owned(),
        Fact::Unknown(reason) => format!("unknown: {reason}"),
    }
}

fn result(endpoint: &EndpointOutcome) -> String {
    let layer = |layer: &Layer| if *layer == Layer::Http { "http" } else { "tcp" };
    match &endpoint.result {
        Fact::Known(Delivery::Mutual(of), _) => format!("mtls {}", layer(of)),
        Fact::Known(Delivery::Plaintext(of), _) => format!("plain {}", layer(of)),
        Fact::Known(Delivery::Unopened, _) => "app".to_owned(),
        Fact::Known(Delivery::Application, _) => "plain app".to_owned(),
        Fact::Known(Delivery::Refused(by), _) => format!("refused: {by}"),
        Fact::Unknown(reason) => format!("unknown: {reason}"),
    }
}
