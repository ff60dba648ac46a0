//! Vectors of kind `network`: what Kubernetes NetworkPolicies let through.
//!
//! The recorders agree on every flow as a whole. On single legs they have two readings that Kubernetes does not share
//! or leaves open; a leg that was recorded in one of them is compared with that reading, and the flow as a whole with
//! ours.

use meshproof_grammar::cidr::Cidr;
use meshproof_network::{End, Flow, Leg, Network, Passage, Verdict};
use meshproof_resources::Transport;
use serde_json::{Value, json};

use super::meshes::{Scene, compare, port};
use super::{Outcome, Replay};

/// Where the recorded pods have their addresses: nowhere that a block of the vectors tells apart.
const PODS: &str = "10.0.0.0/8";

/// Replays flows; the meshes are shared with other families.
#[derive(Default)]
pub(super) struct Networks {
    mesh: Value,
    scene: Option<Scene>,
    /// The same mesh where `NotIn` and `DoesNotExist` fail without the label.
    strict: Option<Scene>,
}

impl Replay for Networks {
    fn line(&mut self, kind: &str, line: &Value) -> Outcome {
        match kind {
            "mesh" => {
                *self = Networks { mesh: line.clone(), ..Networks::default() };
                Outcome::Unknown
            }
            "network" => self.replay(line).unwrap_or_else(Outcome::Failed),
            _ => Outcome::Unknown,
        }
    }
}

impl Networks {
    fn replay(&mut self, line: &Value) -> Result<Outcome, String> {
        let objects = self.mesh["objects"].as_array().filter(|_| self.mesh["mesh"] == line["mesh"]);
        let objects = objects.ok_or_else(|| format!("the objects of mesh {} are missing", line["mesh"]))?;
        let scene = match &mut self.scene {
            Some(scene) => scene,
            none => none.insert(Scene::new(objects)?),
        };
        let verdict = ask(scene, line)?;
        let legs = |of: fn(&Leg) -> Value, verdict: &Verdict| json!({ "ingress": of(&verdict.ingress), "egress": of(&verdict.egress) });
        let recorded = json!({ "ingress": line["ingress"], "egress": line["egress"] });
        if legs(said, &verdict) != recorded && whole(&recorded) == said_of(verdict.passage()) {
            let strict = match &mut self.strict {
                Some(scene) => scene,
                none => none.insert(Scene::new(&objects.iter().map(strictly).collect::<Vec<_>>())?),
            };
            let other = ask(strict, line)?;
            let is_reading = |leg: &str, ours: &Leg, strict: &Leg| {
                let open = [ours, strict].iter().any(|leg| leg.passage == Passage::Unknown);
                open || recorded[leg] == said(ours) || recorded[leg] == said(strict)
            };
            if is_reading("ingress", &verdict.ingress, &other.ingress)
                && is_reading("egress", &verdict.egress, &other.egress)
            {
                return Ok(Outcome::Passed);
            }
        }
        let what = format!("{} to {} on {} {}", line["from"], line["to"], line["protocol"], line["port"]);
        Ok(compare(&what, line, &recorded, &legs(said, &verdict)))
    }
}

fn ask(scene: &Scene, line: &Value) -> Result<Verdict, String> {
    let pods = Cidr::parse_block(PODS).map_err(|error| error.message)?;
    let network = Network::with_pod_networks(&scene.mesh, &[pods]);
    let protocol = match line["protocol"].as_str() {
        Some("TCP") => Transport::Tcp,
        Some("UDP") => Transport::Udp,
        Some("SCTP") => Transport::Sctp,
        _ => return Err(format!("{} is no protocol", line["protocol"])),
    };
    let (from, to) = (end(scene, &line["from"])?, end(scene, &line["to"])?);
    Ok(network.verdict(&Flow { from, to, protocol, port: port(&line["port"])? }))
}

fn end(scene: &Scene, name: &Value) -> Result<End, String> {
    match name.as_str().and_then(|name| name.strip_prefix("ip:")) {
        Some(address) => {
            let address = address.parse().map_err(|error| format!("the address {address}: {error}"))?;
            Ok(End::External(Some(address)))
        }
        None => scene.pod(name).map(End::Workload),
    }
}

/// As it is recorded; what is not known differs from both, and says why.
fn said(leg: &Leg) -> Value {
    match leg.passage {
        Passage::Unknown => json!(leg.reason),
        known => said_of(known),
    }
}

fn said_of(passage: Passage) -> Value {
    match passage {
        Passage::Allowed => json!(true),
        Passage::Denied => json!(false),
        Passage::Unknown => Value::Null,
    }
}

fn whole(recorded: &Value) -> Value {
    json!(recorded["ingress"] == true && recorded["egress"] == true)
}

/// The object with an `Exists` beside every test that holds without the label.
fn strictly(object: &Value) -> Value {
    match object {
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let value = strictly(value);
                (key.clone(), if key == "matchExpressions" { with_exists(value) } else { value })
            });
            Value::Object(entries.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(strictly).collect()),
        other => other.clone(),
    }
}

fn with_exists(expressions: Value) -> Value {
    let mut all = expressions.as_array().cloned().unwrap_or_default();
    let lenient = |test: &&Value| matches!(test["operator"].as_str(), Some("NotIn" | "DoesNotExist"));
    let exists: Vec<Value> =
        all.iter().filter(lenient).map(|test| json!({ "key": test["key"], "operator": "Exists" })).collect();
    all.extend(exists);
    Value::Array(all)
}
