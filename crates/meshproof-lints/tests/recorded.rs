//! Errors about connections in random meshes, held against what a real istiod told the clients and what its listeners
//! did with a connection (testdata/conformance/transport-*.jsonl.gz).

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read fails its test")]

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};

use meshproof_diagnostics::{Decision, Level};
use meshproof_lints::World;
use serde_json::Value;

/// One recorded mesh.
#[derive(Default)]
struct Recorded {
    name: String,
    text: String,
    /// What a pod sends to another one, over all hosts and ports.
    wires: HashMap<(String, String), Vec<String>>,
    /// What becomes of each kind of connection at a port of a pod.
    accepts: HashMap<(String, u64), Value>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn recorded() -> Vec<Recorded> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/conformance");
    let mut all: Vec<Recorded> = Vec::new();
    for file in ["transport-1.jsonl.gz", "transport-2.jsonl.gz"] {
        let file = std::fs::File::open(format!("{folder}/{file}")).unwrap();
        for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            match (line["kind"].as_str().unwrap(), all.last_mut()) {
                ("mesh", _) => all.push(Recorded {
                    name: text(&line["mesh"]),
                    text: documents(&line),
                    ..Recorded::default()
                }),
                ("client", Some(mesh)) => {
                    for (to, wire) in line["wire"].as_object().into_iter().flatten() {
                        mesh.wires.entry((text(&line["pod"]), to.clone())).or_default().push(text(wire));
                    }
                }
                ("server", Some(mesh)) => {
                    let port = line["port"].as_u64().unwrap();
                    mesh.accepts.insert((text(&line["pod"]), port), line["accept"].clone());
                }
                _ => {}
            }
        }
    }
    all
}

fn documents(mesh: &Value) -> String {
    let mut documents: Vec<String> =
        mesh["objects"].as_array().unwrap().iter().map(Value::to_string).collect();
    let config = mesh["meshConfig"].to_string();
    documents.push(
        serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": config},
        })
        .to_string(),
    );
    documents.join("\n---\n")
}

#[test]
fn proofs_about_clients_are_what_was_recorded() {
    let mut proven = 0;
    for mesh in recorded() {
        let analysed = support::analyse(&[("mesh.yaml", mesh.text.as_str())], &World::default());
        for finding in analysed.findings.iter().filter(|finding| finding.level == Level::Error) {
            if !matches!(finding.lint, "client-tls-mismatch" | "conflicting-rules" | "tls-without-mode") {
                continue;
            }
            // Two objects of one scope are no matter of a connection.
            let Some(witness) = &finding.witness else { continue };
            let place = format!("mesh {}: {}", mesh.name, finding.message);
            let kind = match witness.transport {
                Some("plaintext") => "plain",
                Some(_) => "istio-mtls",
                None => "tls",
            };
            let wires = mesh.wires.get(&(witness.from.clone(), witness.to.clone()));
            // A host of which all endpoints get the same is recorded without them.
            assert!(
                wires.is_none_or(|wires| wires
                    .iter()
                    .any(|wire| wire == kind || kind == "istio-mtls" && wire == "mtls")),
                "{place}: {wires:?}"
            );
            let port = u64::from(witness.port.unwrap());
            let Some(accept) = mesh.accepts.get(&(witness.to.clone(), port)) else { continue };
            let fails = |layer: &str| {
                let result = text(&accept[format!("{kind}-{layer}")]);
                result.starts_with("refused") || kind == "istio-mtls" && result == "app"
            };
            let is_identity = finding.message.contains("accept only");
            let fails = fails("http") || fails("tcp") || is_identity;
            assert_eq!(fails, witness.decision == Decision::Deny, "{place}: {accept}");
            proven += 1;
        }
    }
    assert!(proven >= 25, "{proven} proofs were compared");
}
