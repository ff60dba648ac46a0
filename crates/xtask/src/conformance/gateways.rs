//! Vectors of kind `gateway`: what a gateway does with a connection from outside, and where it sends it.

use meshproof_ir::{ClientTls, Layer};
use meshproof_resources::ServerTlsMode;
use meshproof_transport::{Arrival, Arriving, GatewayRefusal, RouteTarget, Taken};
use serde_json::{Value, json};

use super::Outcome;
use super::meshes::{Scene, compare, port};

/// Sends one connection.
pub(super) fn replay(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let sends = line["sends"].as_str().unwrap_or_default();
    let (tls, speaks) = sends.rsplit_once('-').ok_or("the line does not say what is sent")?;
    let arriving = Arriving {
        gateway: scene.pod(&line["gateway"])?,
        port: port(&line["port"])?,
        host: line["host"].as_str().ok_or("the line has no host")?,
        tls: match tls {
            "plain" => ClientTls::None,
            "tls" => ClientTls::OneWay,
            "mtls" => ClientTls::Mutual,
            "istio-mtls" => ClientTls::IstioMutual,
            _ => return Err(format!("{sends} is no kind of connection")),
        },
        speaks: if speaks == "http" { Layer::Http } else { Layer::Tcp },
    };
    let arrival = scene.transport().arrive(&arriving);
    let mut said = json!({ "result": result(&arrival) });
    if let Some(target) = arrival.targets.first() {
        said["cluster"] = json!(cluster(target));
    }
    let mut recorded = json!({ "result": line["result"] });
    if let Some(cluster) = line.get("cluster") {
        recorded["cluster"] = cluster.clone();
    }
    let what = format!("{sends} to port {} for {}", line["port"], line["host"]);
    Ok(compare(&what, line, &recorded, &said))
}

fn result(arrival: &Arrival) -> String {
    let layer = |layer: Layer| if layer == Layer::Http { "http" } else { "tcp" };
    let taken = match arrival.taken {
        Taken::Terminated(mode, of) => format!("{} {}", word(mode), layer(of)),
        Taken::Plaintext(of) => format!("plain {}", layer(of)),
        Taken::Unopened => "passthrough".to_owned(),
        Taken::Redirected => return "redirect".to_owned(),
        Taken::Refused(refusal) => return format!("refused: {}", reason(refusal)),
    };
    let is_routed = !arrival.targets.is_empty() || arrival.answered;
    if is_routed { taken } else { format!("{taken}, no route") }
}

fn word(mode: ServerTlsMode) -> &'static str {
    match mode {
        ServerTlsMode::Simple => "simple",
        ServerTlsMode::Mutual => "mutual",
        ServerTlsMode::OptionalMutual => "optional-mutual",
        ServerTlsMode::IstioMutual => "istio-mutual",
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => "passthrough",
    }
}

fn reason(refusal: GatewayRefusal) -> &'static str {
    match refusal {
        GatewayRefusal::NoListener => "no listener",
        GatewayRefusal::NoChain => "no chain",
        GatewayRefusal::TlsRequired => "TLS required",
        GatewayRefusal::CertificateRequired => "client certificate required",
        GatewayRefusal::NotHttp => "not HTTP",
    }
}

/// The name that istiod gives the cluster.
fn cluster(target: &RouteTarget) -> String {
    let RouteTarget { host, port, .. } = target;
    let subset = target.subset.as_deref().unwrap_or_default();
    match target.route {
        Some(_) => format!("outbound|{port}|{subset}|{host}"),
        None => format!("outbound_.{port}_.{subset}_.{host}"),
    }
}
