//! What listeners do with connections. The table itself is held by recorded vectors (`cargo xtask conformance`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{mesh, workload};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Acceptance, ClientTls, Layer, Mesh, Refusal, WorkloadId, accept};
use meshproof_resources::MtlsMode;

fn pod(namespace_labels: &str, annotations: &str) -> Mesh {
    mesh(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: a, labels: {{{namespace_labels}}}}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: x, namespace: a, labels: {{app: x}}, annotations: {{{annotations}}}}}\n\
         spec: {{containers: [{{name: app, image: app:1, ports: [{{containerPort: 8080}}]}}]}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: a}}\n\
         spec: {{selector: {{app: x}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n---\n\
         apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p, namespace: a}}\n\
         spec: {{selector: {{matchLabels: {{app: x}}}}, mtls: {{mode: STRICT}}, portLevelMtls: {{9000: {{mode: DISABLE}}}}}}\n"
    ))
}

const SIDECAR: &str = "istio-injection: enabled";

#[test]
fn each_port_answers_by_its_mode_and_protocol() {
    let mesh = pod(SIDECAR, "");
    let ask = |port, tls, layer| workload(&mesh, "x").accept(port, tls, layer).unwrap();
    let refused = Acceptance::Refused;
    // STRICT, HTTP by its Service.
    assert_eq!(ask(8080, ClientTls::None, Layer::Http), refused(Refusal::NoChain));
    assert_eq!(ask(8080, ClientTls::Mutual, Layer::Http), Acceptance::Terminated(Layer::Http));
    assert_eq!(ask(8080, ClientTls::IstioMutual, Layer::Tcp), refused(Refusal::NotHttp));
    // An entry of its own, and no Service.
    assert_eq!(ask(9000, ClientTls::None, Layer::Http), Acceptance::Plaintext(Layer::Http));
    assert_eq!(ask(9000, ClientTls::IstioMutual, Layer::Http), Acceptance::Unopened);
    // Nothing says anything of it: the mode of the workload, and the bytes decide.
    assert_eq!(ask(7777, ClientTls::OneWay, Layer::Tcp), refused(Refusal::CertificateRequired));
    assert_eq!(ask(7777, ClientTls::Mutual, Layer::Http), Acceptance::Terminated(Layer::Tcp));
    assert_eq!(ask(7777, ClientTls::IstioMutual, Layer::Http), Acceptance::Terminated(Layer::Http));
}

#[test]
fn what_no_proxy_sees_is_taken_by_the_application() {
    let excluded = pod(SIDECAR, "traffic.sidecar.istio.io/excludeInboundPorts: '8080,7777'");
    for port in [8080, 7777, 15020] {
        let found = workload(&excluded, "x").accept(port, ClientTls::None, Layer::Http);
        assert_eq!(found, Ok(Acceptance::NoProxy));
    }
    let found = workload(&excluded, "x").accept(7778, ClientTls::None, Layer::Http);
    assert_eq!(found, Ok(Acceptance::Refused(Refusal::NoChain)));
    let outside = pod("", "");
    assert_eq!(workload(&outside, "x").accept(8080, ClientTls::None, Layer::Http), Ok(Acceptance::NoProxy));
    for mode in [MtlsMode::Strict, MtlsMode::Permissive, MtlsMode::Disable] {
        assert_eq!(accept(mode, ProtocolClass::Udp, ClientTls::None, Layer::Tcp), Acceptance::NoProxy);
    }
}

#[test]
fn what_is_not_known_is_said() {
    let ambient = pod("istio.io/dataplane-mode: ambient", "");
    let reason = workload(&ambient, "x").accept(8080, ClientTls::None, Layer::Http).unwrap_err();
    assert!(reason.contains("Ambient"), "{reason}");
    let revision = pod("istio.io/rev: canary", "");
    let reason = workload(&revision, "x").accept(8080, ClientTls::None, Layer::Http).unwrap_err();
    assert!(reason.contains("revision canary"), "{reason}");
}

#[test]
fn ztunnel_is_given_policies_under_the_names_of_istiod() {
    let given = |namespace_labels| {
        let given = pod(namespace_labels, "").ztunnel_policies(WorkloadId(0));
        (given.peer_authentication, given.authorization, given.missing)
    };
    let converted = vec!["a/converted_peer_authentication_p".to_owned()];
    assert_eq!(given("istio.io/dataplane-mode: ambient"), (converted, vec![], vec![]));
    assert_eq!(given(SIDECAR), (vec![], vec![], vec![]));
}
