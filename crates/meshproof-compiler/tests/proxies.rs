//! Which proxies there are, which chains they have, and where they are written to.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{mesh, only, shop};
use meshproof_compiler::{compile, file_names, index};
use serde_json::{Value, json};

const DENY: &str = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: d, namespace: shop}, spec: {action: DENY, rules: [{}]}}\n";

#[test]
fn a_sidecar_has_the_chains_of_its_ports() {
    let (proxy, written) = only(&shop(&[DENY]));
    assert_eq!(proxy.role, "sidecar");
    let ports: Vec<(&Value, &Value)> = written["chains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chain| (&chain["layer"], &chain["ports"]))
        .collect();
    let (http, tcp) = (json!("http"), json!("tcp"));
    assert_eq!(ports, [(&http, &json!([8080, "other"])), (&tcp, &json!(["other"]))]);
}

fn pod(namespace: &str, name: &str, labels: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}, spec: {{containers: [{{name: a, image: a}}]}}}}\n"
    )
}

#[test]
fn workloads_with_the_same_policies_share_their_filters() {
    let mesh = shop(&[DENY, &pod("shop", "api", "app: api")]);
    let compiled = compile(&mesh);
    let [api, web] = compiled.proxies.as_slice() else { panic!("{:?}", compiled.proxies) };
    assert!(Arc::ptr_eq(&api.chains[0].filters, &web.chains[0].filters));
}

#[test]
fn who_has_no_envoy_is_told_and_who_is_not_in_the_mesh_is_not() {
    let ambient = "{apiVersion: v1, kind: Namespace, metadata: {name: quiet, labels: {istio.io/dataplane-mode: ambient}}}\n";
    let outside = "{apiVersion: v1, kind: Namespace, metadata: {name: outside}}\n";
    let mesh = shop(&[ambient, outside, &pod("quiet", "a", ""), &pod("outside", "b", "")]);
    let compiled = compile(&mesh);
    let written = index(&mesh, &compiled, &file_names(&mesh, &compiled, ".json"));
    assert_eq!(written["proxies"].as_array().unwrap().len(), 1);
    assert_eq!(written["notEmitted"][0]["workloads"], json!(["quiet/a"]));
    assert_eq!(written["notEmitted"].as_array().unwrap().len(), 1);
}

#[test]
fn policies_in_doubt_are_taken_and_told() {
    let elsewhere = DENY.replace(", namespace: shop", "").replace("name: d", "name: somewhere");
    let (proxy, written) = only(&shop(&[&elsewhere]));
    let doubt = proxy.doubts.iter().find(|doubt| doubt.contains("somewhere only may be attached")).unwrap();
    assert!(written["doubts"].as_array().unwrap().contains(&json!(doubt)));
}

#[test]
fn a_waypoint_has_chains_for_services_and_for_workloads() {
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient, istio.io/use-waypoint: way}}}\n";
    let gateway = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: way, namespace: shop, labels: {istio.io/waypoint-for: service}}, spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}}\n";
    let service = "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 80}]}}\n";
    let policy = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: shop}, spec: {targetRefs: [{kind: Service, group: '', name: web}], rules: [{from: [{source: {principals: ['a/ns/b/sa/c']}}]}]}}\n";
    let mesh = mesh(&[namespace, gateway, service, policy].join("---\n"));
    let (proxy, written) = only(&mesh);
    assert_eq!(proxy.role, "waypoint");
    let chains = written["chains"].as_array().unwrap();
    let at = |service: &str, layer: &str| {
        chains.iter().find(|chain| chain["service"] == service && chain["layer"] == layer)
    };
    let web = at("shop/web", "http").unwrap();
    assert_eq!(web["ports"], json!([80]));
    // Identities come from filter state there.
    assert!(web["filters"].to_string().contains("io.istio.peer_principal"), "{web}");
    let direct: Vec<&Value> = chains.iter().filter(|chain| chain["ports"] == json!(["other"])).collect();
    assert_eq!(direct.len(), 2);
    assert!(direct.iter().all(|chain| chain["filters"] == json!([]) && chain["service"] == Value::Null));
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let enabled = "labels: {istio-injection: enabled}";
    let parts: Vec<String> = ["..", "'/etc'", "'a/../../b'", "''", "'C:'"]
        .iter()
        .flat_map(|namespace| {
            let namespace_object =
                format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, {enabled}}}}}\n");
            [namespace_object, pod(namespace, "'../x'", ""), pod(namespace, "X", ""), pod(namespace, "x", "")]
        })
        .collect();
    let mesh = mesh(&parts.join("---\n"));
    let compiled = compile(&mesh);
    let names = file_names(&mesh, &compiled, ".json");
    assert_eq!(names.len(), compiled.proxies.len());
    assert!(!names.is_empty());
    let mut seen = std::collections::BTreeSet::new();
    for name in &names {
        let parts: Vec<&str> = name.split('/').collect();
        assert_eq!(parts.len(), 2, "{name}");
        assert!(parts.iter().all(|part| !part.starts_with('.') && !part.contains(['\\', ':'])), "{name}");
        assert!(seen.insert(name.to_lowercase()), "{name}");
    }
}
