//! Vectors of kinds `workload`, `pod-authz` and `conn`: what ztunnel is given for a pod and what it decides.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshproof_authz::{By, Decider, Decision, Engine, Peer, Phase, Request, RuleVerdict, context_of};
use meshproof_compiler::table::{ReportOrder, decide as compiled_decide, difference, table};
use meshproof_engine::{Context as Prepared, Table};
use meshproof_grammar::spiffe::SpiffeId;
use meshproof_ir::{Capture, WorkloadId};
use serde_json::{Value, json};

use super::Outcome;
use super::meshes::{Scene, compare, port};

/// Whether ztunnel captures the pod, and what it evaluates for it.
pub(super) fn replay_policies(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let id = scene.pod(&line["pod"])?;
    let captured = scene.mesh.workload(id).capture.is(&Capture::Ambient);
    let (policies, missing) = policies(scene, id);
    let said = json!({ "captured": captured, "policies": policies, "missing": missing });
    let recorded = json!({
        "captured": line["captured"],
        "policies": line["policies"],
        "missing": line.get("missing").cloned().unwrap_or_else(|| json!([])),
    });
    Ok(compare(&format!("pod {}", line["pod"]), line, &recorded, &said))
}

/// Names of what is evaluated, sorted, and of what is referenced and does not exist.
pub(super) fn policies(scene: &Scene, id: WorkloadId) -> (Vec<String>, Vec<String>) {
    let policies = scene.mesh.ztunnel_policies(id);
    let mut all = policies.peer_authentication;
    all.extend(policies.authorization);
    all.sort();
    (all, policies.missing)
}

/// One connection. Where the handshake refuses it, what the policies alone say is compared too.
pub(super) fn replay_connection(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let id = scene.pod(&line["to"])?;
    let identity = line["identity"].as_str();
    let settings = &scene.mesh.settings;
    let mut said = decide(scene, id, line)?;
    // ztunnel takes clients of its own trust domain only, aliases or not (ztunnel, tls/workload.rs).
    let peer = identity.map(SpiffeId::parse).transpose().map_err(|error| format!("{error:?}"))?;
    if peer.is_some_and(|peer| !settings.trust_domain.is(&peer.trust_domain)) {
        said = json!({ "decision": "deny", "by": "handshake", "rbac": said });
    }
    let what = format!("{} to {} port {}", line["identity"], line["to"], line["port"]);
    Ok(compare(&what, line, &line["expect"], &said))
}

/// What the policies say.
fn decide(scene: &Scene, id: WorkloadId, line: &Value) -> Result<Value, String> {
    let mesh = &scene.mesh;
    let workload = mesh.workload(id);
    let port = port(&line["port"])?;
    let attached = scene.policies(id);
    let address = |value: &Value| match value.as_str() {
        Some(text) => text.parse().map_err(|error| format!("the address {text}: {error}")),
        // Given only where a policy looks at it.
        None => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    };
    let identity = line["identity"].as_str();
    let request = Request {
        peer: identity.map_or(Peer::Anonymous, |id| Peer::workload(id.trim_start_matches("spiffe://"))),
        sni: None,
        source: address(&line["src_ip"])?,
        proxied_source: None,
        destination: SocketAddr::new(address(&line["dst_ip"])?, port),
        metadata: Default::default(),
        http: None,
    };
    let context = context_of(mesh, scene.cluster(id), Engine::Ztunnel);
    let decider = Decider::new(&attached, &context);
    let evaluation = decider.evaluate(&request);
    if decider.decision(&request) != evaluation.decision {
        return Err("the decision without a trace differs".to_owned());
    }
    let bytes = table(&attached, &context, ReportOrder::Name).map_err(|error| error.to_string())?;
    let compiled = Table::open(&bytes).map_err(|error| error.to_string())?;
    let said = compiled_decide(&compiled, &mut Prepared::new(), &request, &context);
    let scene_key = format!("{id:?}");
    let of_sets = scene.sets.borrow_mut().difference(&scene_key, &attached, &request, &context, &evaluation);
    if let Some(difference) = difference(&said, &evaluation).or(of_sets) {
        return Err(difference);
    }
    let refused_plaintext = identity.is_none()
        && workload.ambient.as_ref().is_some_and(|ambient| ambient.refuses_plaintext(port));
    let mut deciding: Vec<String> = match evaluation.by {
        By::Allow if refused_plaintext => Vec::new(),
        By::Allow | By::Deny => {
            let wanted = if evaluation.by == By::Deny { Phase::Deny } else { Phase::Allow };
            let same = evaluation.trace.phases.iter().filter(|phase| phase.phase == wanted);
            let matching = same
                .flat_map(|phase| &phase.policies)
                .filter(|policy| policy.rules.iter().any(|rule| rule.verdict == RuleVerdict::Matched));
            matching.map(|policy| policy.id.clone()).collect()
        }
        _ => Vec::new(),
    };
    if refused_plaintext {
        deciding.extend(mesh.ztunnel_policies(id).peer_authentication);
    }
    deciding.sort();
    let denied = refused_plaintext || evaluation.decision != Decision::Allow;
    let by = match (deciding.first(), &evaluation.by) {
        (Some(first), _) => first.as_str(),
        (None, By::NoAllowPolicy) => "default",
        (None, By::AllowNoneMatched) => "no-allow-matched",
        (None, other) => return Err(format!("decided by {other}, which ztunnel does not know")),
    };
    let mut said = json!({ "decision": if denied { "deny" } else { "allow" }, "by": by });
    if deciding.len() > 1 {
        said["all"] = json!(deciding);
    }
    Ok(said)
}
