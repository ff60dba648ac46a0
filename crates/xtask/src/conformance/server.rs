//! Vectors of kind `server`: what an inbound listener does with each kind of connection.

use meshproof_ir::{Acceptance, ClientTls, Layer, Refusal};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::meshes::{Scene, compare, port};

const CONNECTIONS: [(&str, ClientTls, Layer); 8] = [
    ("plain-http", ClientTls::None, Layer::Http),
    ("plain-tcp", ClientTls::None, Layer::Tcp),
    ("tls-http", ClientTls::OneWay, Layer::Http),
    ("tls-tcp", ClientTls::OneWay, Layer::Tcp),
    ("mtls-http", ClientTls::Mutual, Layer::Http),
    ("mtls-tcp", ClientTls::Mutual, Layer::Tcp),
    ("istio-mtls-http", ClientTls::IstioMutual, Layer::Http),
    ("istio-mtls-tcp", ClientTls::IstioMutual, Layer::Tcp),
];

/// Asks one listener about every kind of connection.
pub(super) fn replay(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let workload = scene.mesh.workload(scene.pod(&line["pod"])?);
    let number = port(&line["port"])?;
    let mut said = Map::new();
    for (name, tls, layer) in CONNECTIONS {
        let outcome = match workload.accept(number, tls, layer) {
            Ok(acceptance) => outcome(acceptance).to_owned(),
            Err(reason) => format!("unknown: {reason}"),
        };
        said.insert(name.to_owned(), json!(outcome));
    }
    let what = format!("pod {} port {number}", line["pod"]);
    Ok(compare(&what, line, &line["accept"], &Value::Object(said)))
}

fn outcome(acceptance: Acceptance) -> &'static str {
    match acceptance {
        Acceptance::Terminated(Layer::Http) => "mtls http",
        Acceptance::Terminated(Layer::Tcp) => "mtls tcp",
        Acceptance::Plaintext(Layer::Http) => "plain http",
        Acceptance::Plaintext(Layer::Tcp) => "plain tcp",
        Acceptance::Unopened => "app",
        Acceptance::NoProxy => "plain app",
        Acceptance::Refused(Refusal::NoChain) => "refused: no chain",
        Acceptance::Refused(Refusal::CertificateRequired) => "refused: client certificate required",
        Acceptance::Refused(Refusal::NotHttp) => "refused: not HTTP",
    }
}
