//! `meshproof explain` on recorded calls: what real proxies did with a connection is what the command says of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use support::{Project, text};

/// Every so many calls of the recording one is asked; asking all of them takes a minute.
const STEP: usize = 12;

fn recording(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/conformance").join(name);
    let mut lines = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut lines).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The objects of a mesh as a team would keep them, MeshConfig included.
fn project(mesh: &Value) -> Project {
    let root = mesh["meshConfig"]["rootNamespace"].as_str().unwrap_or("istio-system");
    let config = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "istio", "namespace": root },
        "data": { "mesh": mesh["meshConfig"].to_string() },
    });
    let objects = mesh["objects"].as_array().unwrap().iter().chain([&config]);
    let documents: Vec<String> = objects.map(Value::to_string).collect();
    Project::new(&[("mesh.yaml", documents.join("\n---\n").as_str())])
}

fn object<'m>(mesh: &'m Value, kind: &str, namespace: &str, name: &str) -> Option<&'m Value> {
    mesh["objects"].as_array().unwrap().iter().find(|object| {
        let meta = &object["metadata"];
        object["kind"] == kind && meta["name"] == name && meta["namespace"] == namespace
    })
}

/// The port of the pod behind the port of a Service.
fn target_port(mesh: &Value, call: &Value) -> Option<u64> {
    let host = call["host"].as_str()?;
    let mut labels = host.split('.');
    let (name, namespace) = (labels.next()?, labels.next()?);
    let service = object(mesh, "Service", namespace, name)?;
    let port = service["spec"]["ports"].as_array()?.iter().find(|port| port["port"] == call["port"])?;
    let Some(named) = port["targetPort"].as_str() else {
        return port["targetPort"].as_u64().or(call["port"].as_u64());
    };
    let (namespace, pod) = call["to"].as_str()?.split_once('/')?;
    let containers = object(mesh, "Pod", namespace, pod)?["spec"]["containers"].as_array()?;
    let mut ports =
        containers.iter().flat_map(|container| container["ports"].as_array().into_iter().flatten());
    ports.find(|port| port["name"] == named)?["containerPort"].as_u64()
}

/// The answer in the words of the recording, as far as the command tells: refusals are not told apart.
fn said(answer: &Value) -> String {
    let hop = answer["hops"].as_array().unwrap().last().unwrap();
    let layer = text(&hop["authorization"]["layer"]);
    match (text(&answer["transport"]).as_str(), text(&hop["at"]).as_str()) {
        ("mtls", _) => format!("mtls {layer}"),
        ("plaintext", "no proxy") => "plain app".to_owned(),
        ("plaintext", _) => format!("plain {layer}"),
        ("tls", _) => "app".to_owned(),
        (other, _) => other.to_owned(),
    }
}

#[test]
fn recorded_calls_are_explained_as_they_went() {
    let lines = recording("transport-1.jsonl.gz");
    let mut scene: Option<(&Value, Project)> = None;
    let (mut calls, mut asked) = (0, 0);
    let mut wrong = Vec::new();
    for line in &lines {
        if line["kind"] == "mesh" {
            scene = Some((line, project(line)));
        }
        let Some((mesh, project)) = scene.as_ref().filter(|_| line["kind"] == "call") else { continue };
        // A route picks the subset, and there is none in the question.
        let Some(port) = target_port(mesh, line).filter(|_| line.get("subset").is_none()) else { continue };
        calls += 1;
        if calls % STEP != 0 {
            continue;
        }
        asked += 1;
        let from = format!("workload:{}", text(&line["from"]));
        let to = format!("{}:{port}", text(&line["to"]));
        let service = format!("{}:{}", text(&line["host"]), line["port"]);
        let mut arguments =
            vec!["explain", "-o", "json", "--from", &from, "--to", &to, "--service", &service];
        if line["speaks"] == "tcp" {
            arguments.push("--tcp");
        }
        let run = project.run(&arguments);
        assert_eq!(run.code, 0, "{line}\n{}", run.stderr);
        let answer = run.json();
        let recorded = text(&line["result"]);
        let recorded = if recorded.starts_with("refused") { "refused" } else { &recorded };
        let identity = line.get("identity").cloned().unwrap_or(Value::Null);
        if said(&answer) != recorded || (recorded.starts_with("mtls") && answer["identity"] != identity) {
            wrong.push(format!("{line}\n  said {} as {}", said(&answer), answer["identity"]));
        }
    }
    assert!(asked >= 100, "only {asked} calls were asked");
    assert!(wrong.is_empty(), "{} of {asked} differ:\n{}", wrong.len(), wrong.join("\n"));
}
