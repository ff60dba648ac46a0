//! A gateway with two servers behind it, and the ways through it.

use meshproof_explain::Subject;
use meshproof_graph::{Graph, Reach, ReachPath, ReachQuestion, Scope};

use super::{injected, namespace, peer_authentication, pod, service};

pub const HOST: &str = "shop.example";

pub const FRONT: &str = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: front, namespace: istio-system}\n\
    spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [\"*\"]}]}\n---\n";

pub fn routes(rules: &[String]) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: front, namespace: shop}}\n\
         spec: {{hosts: [{HOST}], gateways: [istio-system/front], http: [{}]}}\n---\n",
        rules.join(", ")
    )
}

pub fn servers() -> String {
    let mut text = namespace("istio-system", "")
        + &injected("shop")
        + &peer_authentication("istio-system", "m", "mtls: {mode: STRICT}");
    for name in ["one", "two"] {
        text.push_str(&(pod("shop", name, name, "") + &service("shop", name, "http", "")));
    }
    text
}

pub fn gateway_pods() -> String {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gw, namespace: istio-system}\nspec:\n  selector: {matchLabels: {istio: ingressgateway}}\n  \
        template:\n    metadata: {labels: {istio: ingressgateway}, annotations: {inject.istio.io/templates: gateway}}\n    \
        spec: {serviceAccountName: gw, containers: [{name: istio-proxy, image: auto, ports: [{containerPort: 8080}]}]}\n---\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: gw, namespace: istio-system}\nspec: {selector: {istio: ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}\n---\n";
    deployment.to_owned() + service
}

pub fn from_outside(graph: &Graph<'_>, to: &str) -> Reach {
    let scope = Scope {
        from: Some(Subject::Plaintext(None).into()),
        to: Some(to.parse().unwrap()),
        ..Scope::default()
    };
    graph.reach(&ReachQuestion { scope, transitive: true, names: 3 }).unwrap()
}

/// The way through the gateway.
pub fn through(reach: &Reach) -> Option<&ReachPath> {
    reach.paths.iter().find(|path| path.hops.len() == 2)
}
