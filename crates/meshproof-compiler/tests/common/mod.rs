//! Meshes from manifests, and what is emitted for them.

#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::panic)]

use meshproof_compiler::{Compiled, Proxy, compile, document};
use meshproof_ir::{BuildOptions, Mesh};
use meshproof_resources::Decoded;
use meshproof_source::SourceId;
use serde_json::Value;

/// The mesh of manifests that `---` divides.
pub fn mesh(text: &str) -> Mesh {
    let mut decoded = Decoded::default();
    for (at, part) in text.split("---\n").enumerate() {
        let parsed = meshproof_yaml::parse(SourceId(at as u32), part, 0..part.len());
        let tree = parsed.tree.unwrap_or_else(|| panic!("{:?}\n{part}", parsed.problems));
        meshproof_resources::decode(tree.root(), &mut decoded);
    }
    let inputs = decoded.resources.into_iter().map(Into::into).collect();
    Mesh::build(inputs, &BuildOptions::default())
}

/// A Pod with a sidecar and one port in namespace `shop`, the namespace, and what else is given.
pub fn shop(more: &[&str]) -> Mesh {
    let mut parts = vec![
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-injection: enabled}}}\n",
        "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}}\n",
        "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}\n",
    ];
    parts.extend(more);
    mesh(&parts.join("---\n"))
}

/// A CUSTOM policy in `shop`.
pub fn custom(name: &str, provider: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {name}, namespace: shop}}, spec: {{action: CUSTOM, provider: {{name: {provider}}}, rules: [{{to: [{{operation: {{paths: [/admin]}}}}]}}]}}}}\n"
    )
}

/// MeshConfig with these providers.
pub fn providers(list: &str) -> String {
    let settings: Vec<String> = list.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata:\n  mesh: |\n    extensionProviders:\n{}",
        settings.concat()
    )
}

/// What is emitted for the only proxy.
pub fn only(mesh: &Mesh) -> (Proxy, Value) {
    let Compiled { mut proxies, .. } = compile(mesh);
    assert_eq!(proxies.len(), 1);
    let proxy = proxies.remove(0);
    let written = document(mesh, &proxy);
    (proxy, written)
}

/// The filters of a layer.
pub fn filters<'w>(written: &'w Value, layer: &str) -> &'w [Value] {
    let chain = written["chains"].as_array().unwrap().iter().find(|chain| chain["layer"] == layer);
    chain.unwrap()["filters"].as_array().unwrap()
}
