//! The files of a run: one per proxy, and an index.

use std::collections::{BTreeMap, HashSet};

use meshproof_ir::{Called, Layer, Mesh};
use serde_json::{Map, Value, json};

use crate::compile::{Chain, ChainPort, Compiled, Proxy};

/// Version of the layout.
pub const FORMAT: u32 = 1;
/// What the files are for.
pub const TARGET: &str = "envoy-rbac";

/// The file of each proxy, in their order: `NAMESPACE/NAME` with the ending, under the name of the cluster where there are several.
/// Workloads of one name have their kind in front. Only letters, digits, `-`, `_` and inner dots are in a name as they
/// are, so that nothing leads out of a folder.
pub fn file_names<F>(mesh: &Mesh, compiled: &Compiled<F>, ending: &str) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut names = Vec::with_capacity(compiled.proxies.len());
    for (at, proxy) in compiled.proxies.iter().enumerate() {
        let workload = mesh.workload(proxy.workload);
        let namespace = mesh.namespace(workload.namespace);
        let cluster =
            mesh.clusters.get(namespace.cluster.index()).and_then(|cluster| cluster.name.as_deref());
        let cluster = cluster.filter(|_| mesh.clusters.len() > 1).map(|name| format!("{}/", plain(name)));
        let folder =
            format!("{}{}", cluster.unwrap_or_default(), plain(mesh.namespace_display(workload.namespace)));
        let name = plain(&workload.name);
        let kind = plain(&mesh.resource(workload.resource).meta.kind.value.to_lowercase());
        let wanted = [format!("{folder}/{name}{ending}"), format!("{folder}/{kind}.{name}{ending}")];
        let numbered = (at..).map(|at| format!("{folder}/{kind}.{name}.{at}{ending}"));
        // Some file systems do not tell case apart.
        let free = wanted.into_iter().chain(numbered).find(|name| taken.insert(name.to_lowercase()));
        names.extend(free);
    }
    names
}

/// A name that is one part of a path and nothing else.
fn plain(name: &str) -> String {
    let mut written = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && at > 0);
        if is_plain {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    if written.is_empty() { "%".to_owned() } else { written }
}

/// The file of a proxy.
pub fn document(mesh: &Mesh, proxy: &Proxy) -> Value {
    let chains: Vec<Value> = proxy.chains.iter().map(|item| chain(mesh, item)).collect();
    let mut document = head(mesh, proxy);
    document.insert("chains".to_owned(), json!(chains));
    Value::Object(document)
}

pub(crate) fn head<F>(mesh: &Mesh, proxy: &Proxy<F>) -> Map<String, Value> {
    let workload = mesh.workload(proxy.workload);
    let mut head = Map::new();
    // Not at the top, where a `kind` would make a manifest of the file.
    let written = json!({
        "kind": mesh.resource(workload.resource).meta.kind.value,
        "namespace": mesh.namespace(workload.namespace).name,
        "name": workload.name,
    });
    head.insert("workload".to_owned(), written);
    head.insert("proxy".to_owned(), json!(proxy.role));
    if !proxy.doubts.is_empty() {
        head.insert("doubts".to_owned(), json!(proxy.doubts));
    }
    head
}

fn chain(mesh: &Mesh, chain: &Chain) -> Value {
    let port = |port: &ChainPort| match port {
        ChainPort::Number(number) => json!(number),
        ChainPort::Other => json!("other"),
    };
    let layer = match chain.layer {
        Layer::Http => "http",
        Layer::Tcp => "tcp",
    };
    let ports: Vec<Value> = chain.ports.iter().map(port).collect();
    let mut written = json!({ "ports": ports, "layer": layer, "filters": chain.filters.filters });
    match chain.service {
        Some(called @ Called::ServiceEntry(_)) => written["serviceEntry"] = json!(service(mesh, called)),
        Some(called) => written["service"] = json!(service(mesh, called)),
        None => {}
    }
    if chain.verifies_tokens {
        written["jwtAuthnAt"] = json!(chain.filters.before_tokens);
    }
    written
}

/// `namespace/name`.
pub(crate) fn service(mesh: &Mesh, called: Called) -> Option<String> {
    let name = match called {
        Called::Service(id) => mesh.resource(mesh.services[id.index()].resource).meta.name(),
        Called::GatewayService(id) => mesh.gateway(id).deployed_service()?.name.as_str(),
        Called::ServiceEntry(id) => mesh.resource(id).meta.name(),
        Called::Workload(_) | Called::Endpoint { .. } => return None,
    };
    Some(format!("{}/{name}", mesh.namespace_display(mesh.namespace_of(called)?)))
}

/// The index of a run: its files, and everything that is not as sure as it looks.
pub fn index(mesh: &Mesh, compiled: &Compiled, names: &[String]) -> Value {
    let proxy = |(proxy, file): (&Proxy, &String)| {
        let mut head = head(mesh, proxy);
        head.insert("file".to_owned(), json!(file));
        Value::Object(head)
    };
    let proxies: Vec<Value> = compiled.proxies.iter().zip(names).map(proxy).collect();
    json!({ "format": FORMAT, "target": TARGET, "proxies": proxies, "notEmitted": not_emitted(mesh, compiled) })
}

/// Workloads without files, by reason.
pub(crate) fn not_emitted<F>(mesh: &Mesh, compiled: &Compiled<F>) -> Vec<Value> {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for left in &compiled.not_emitted {
        reasons.entry(&left.reason).or_default().push(mesh.workload_display(left.workload));
    }
    let each = reasons.into_iter();
    each.map(|(reason, workloads)| json!({ "reason": reason, "workloads": workloads })).collect()
}
