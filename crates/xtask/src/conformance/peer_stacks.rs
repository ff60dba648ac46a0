//! Vectors of kind `pa-case`: stacks of PeerAuthentications and what ztunnel makes of them.

use serde_json::{Map, Value, json};

use super::meshes::Scene;
use super::{Outcome, Replay, ztunnel};

/// Replays every case in a mesh of its own.
pub(super) struct PeerStacks;

impl Replay for PeerStacks {
    fn line(&mut self, kind: &str, line: &Value) -> Outcome {
        if kind != "pa-case" {
            return Outcome::Unknown;
        }
        case(line).unwrap_or_else(Outcome::Failed)
    }
}

fn case(line: &Value) -> Result<Outcome, String> {
    let scene = Scene::new(&objects(line))?;
    let id = scene.pod(&json!("a/p"))?;
    let ambient = scene.mesh.workload(id).ambient.as_ref().ok_or("ztunnel does not capture the pod")?;
    let mut plaintext = Map::new();
    for number in line["plaintext"].as_object().into_iter().flat_map(Map::keys) {
        let port = number.parse().map_err(|error| format!("port {number}: {error}"))?;
        let decision = if ambient.refuses_plaintext(port) { "deny" } else { "allow" };
        plaintext.insert(number.clone(), json!(decision));
    }
    let (policies, missing) = ztunnel::policies(&scene, id);
    let said = json!({ "policies": policies, "missing": missing, "plaintext": plaintext });
    let recorded = json!({
        "policies": line["policies"],
        "missing": line.get("missing").cloned().unwrap_or_else(|| json!([])),
        "plaintext": line["plaintext"],
    });
    Ok(if said == recorded {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("{}: recorded {recorded}, said {said}", line["case"]))
    })
}

/// The pod and the objects that the case names, the wider ones older.
fn objects(line: &Value) -> Vec<Value> {
    let app = json!({ "app": "x" });
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}),
        json!({"apiVersion": "v1", "kind": "Namespace",
               "metadata": {"name": "a", "labels": {"istio.io/dataplane-mode": "ambient"}}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "labels": app},
               "spec": {"containers": [{"name": "app", "image": "app:1"}]}}),
    ];
    let scopes = [("mesh", "istio-system", "default"), ("namespace", "a", "ns"), ("workload", "a", "wl")];
    for (second, (scope, namespace, name)) in scopes.into_iter().enumerate() {
        let Some(mode) = line[scope].as_str() else { continue };
        let mut spec = Map::new();
        if mode != "UNSET" {
            spec.insert("mtls".to_owned(), json!({ "mode": mode }));
        }
        match scope {
            "namespace" if line["namespaceSelector"] == "{}" => {
                spec.insert("selector".to_owned(), json!({}));
            }
            "workload" => {
                spec.insert("selector".to_owned(), json!({ "matchLabels": app }));
                let ports = line["portLevelMtls"].as_object().into_iter().flatten();
                let ports: Map<String, Value> =
                    ports.map(|(port, mode)| (port.clone(), json!({ "mode": mode }))).collect();
                if !ports.is_empty() {
                    spec.insert("portLevelMtls".to_owned(), Value::Object(ports));
                }
            }
            _ => {}
        }
        let created = format!("2026-01-01T00:00:0{second}Z");
        objects.push(json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": { "name": name, "namespace": namespace, "creationTimestamp": created },
            "spec": spec,
        }));
    }
    objects
}
