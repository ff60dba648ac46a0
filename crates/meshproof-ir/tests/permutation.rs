//! The order of documents changes nothing but ids.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;

use common::mesh;
use meshproof_ir::{EffectiveMode, Fact, Mesh};
use proptest::prelude::*;
use proptest::sample::select;

/// Everything that is known of a mesh, by names and without places in the text.
fn facts(mesh: &Mesh) -> BTreeMap<String, String> {
    let mode = |mode: &EffectiveMode| {
        let by = mode.decided_by.map(|id| mesh.resource(id).meta.name().to_owned());
        let mut lost: Vec<&str> = mode.shadowed.iter().map(|id| mesh.resource(*id).meta.name()).collect();
        lost.sort_unstable();
        format!("{} by {by:?} over {lost:?}", fact(&mode.mode))
    };
    let mut facts = BTreeMap::new();
    for (id, workload) in mesh.workloads_with_ids() {
        let mut text = format!("{} {}", fact(&workload.capture), mode(&workload.mode));
        for port in &workload.ports {
            let mut bindings: Vec<String> = port
                .bindings
                .iter()
                .map(|binding| {
                    let service = mesh.resource(mesh.services[binding.service.index()].resource);
                    format!("{}[{}]", service.meta.name(), binding.port)
                })
                .collect();
            bindings.sort_unstable();
            let protocol = fact(&port.protocol);
            write!(text, "\n{} {protocol} {} {bindings:?}", port.number, mode(&port.mode)).unwrap();
        }
        write!(text, "\n{:?}", common::policies(mesh, workload)).unwrap();
        let identity = mesh.identity_of(id).and_then(|identity| identity.spiffe_id());
        write!(text, "\n{identity:?}").unwrap();
        facts.insert(mesh.workload_display(id), text);
    }
    facts
}

fn fact<T: std::fmt::Debug>(fact: &Fact<T>) -> String {
    match fact {
        Fact::Known(value, _) => format!("{value:?}"),
        Fact::Unknown(reason) => format!("unknown: {reason}"),
    }
}

fn object() -> impl Strategy<Value = String> {
    let namespace = select(vec!["namespace: a, ", "namespace: b, ", "namespace: istio-system, ", ""]);
    let label = select(vec!["x", "y"]);
    let mode = select(vec!["STRICT", "DISABLE", "PERMISSIVE", "UNSET"]);
    let port = select(vec!["http", "tcp", "web"]);
    (0..7u8, namespace, label, mode, port, 0..2u8).prop_map(|(kind, namespace, label, mode, port, number)| {
        let head = |api: &str, kind: &str, extra: &str| {
            format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: NAME, {namespace}{extra}}}\n")
        };
        match kind {
            0 | 1 => {
                let extra = format!("labels: {{app: {label}, n: n{number}}}");
                head("v1", "Pod", &extra)
                    + "spec: {containers: [{name: app, ports: [{containerPort: 8080}, {containerPort: 9090}]}]}\n"
            }
            2 => {
                head("v1", "Service", "")
                    + &format!("spec: {{selector: {{app: {label}}}, ports: [{{name: {port}, port: 80, targetPort: 8080}}]}}\n")
            }
            3 => {
                head("security.istio.io/v1", "PeerAuthentication", "") + &format!("spec: {{mtls: {{mode: {mode}}}}}\n")
            }
            4 => {
                head("security.istio.io/v1", "PeerAuthentication", "")
                    + &format!(
                        "spec: {{selector: {{matchLabels: {{app: {label}}}}}, portLevelMtls: {{9090: {{mode: {mode}}}}}}}\n"
                    )
            }
            5 => {
                let selector = format!("spec: {{selector: {{matchLabels: {{app: {label}}}}}}}\n");
                head("security.istio.io/v1", "AuthorizationPolicy", "") + &selector
            }
            _ => {
                let name = if number == 0 { "a" } else { "b" };
                format!(
                    "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{istio-injection: {}}}}}\n",
                    if mode == "STRICT" { "disabled" } else { "enabled" }
                )
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn order_of_documents_changes_nothing(
        objects in prop::collection::vec(object(), 1..14),
        order in any::<prop::sample::Index>(),
    ) {
        let named: Vec<String> =
            objects.iter().enumerate().map(|(at, text)| text.replace("NAME", &format!("o{at:02}"))).collect();
        let mut moved = named.clone();
        moved.rotate_left(order.index(named.len()));
        moved.reverse();
        prop_assert_eq!(facts(&mesh(&named.join("---\n"))), facts(&mesh(&moved.join("---\n"))));
    }
}
