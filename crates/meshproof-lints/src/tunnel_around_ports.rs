//! `tunnel-around-ports`: network policies that keep a client from a port to which a tunnel leads it all the same.
//!
//! A tunnel goes to port 15008 on the wire and to any port of the pod behind it, so that ports of network policies mean
//! nothing to mesh clients (mutual-TLS reference §8.3, ST29).

use std::collections::BTreeSet;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::ResourceId;
use meshproof_network::{Deciding, Passage};

use crate::Context;
use crate::calls::{first_line, port_of};
use crate::proof::fate_at;
use crate::tunnels::{Pair, TUNNEL, pairs};
use crate::witnesses::request;

const ID: &str = "tunnel-around-ports";

/// Runs the lint: one finding per policy that opens the tunnel.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut told: BTreeSet<ResourceId> = BTreeSet::new();
    let mut findings = Vec::new();
    for pair in pairs(ctx).iter().filter(|pair| pair.tunnel.passage() == Passage::Allowed) {
        let Some(by) = pair.tunnel.ingress.deciding.first() else { continue };
        if !told.contains(&by.object)
            && let Some(finding) = finding(ctx, pair, by)
        {
            told.insert(by.object);
            findings.push(finding);
        }
    }
    findings
}

fn finding(ctx: &Context<'_>, pair: &Pair, by: &Deciding) -> Option<Finding> {
    let is_kept_out =
        |(_, verdict): &&(u16, meshproof_network::Verdict)| verdict.ingress.passage == Passage::Denied;
    // Where a policy opens the tunnel alone, ports are left to AuthorizationPolicies on purpose.
    pair.port(Passage::Allowed)?;
    let (port, closed) = pair.ports.iter().find(is_kept_out)?;
    let (client, server) = (ctx.mesh.workload(pair.client), ctx.mesh.workload(pair.server));
    let identity = ctx.mesh.identity_of(pair.client)?;
    let from = format!("{}/{}", identity.namespace.as_deref()?, identity.account);
    let because = vec![
        closed.ingress.reason.clone(),
        format!("the tunnel goes to port {TUNNEL} on the wire: {}", pair.tunnel.ingress.reason),
        format!("behind the tunnel port {port} is reached, and no AuthorizationPolicy refuses it"),
    ];
    let at_port = port_of(server, *port);
    let witness = request(ctx, from, server, at_port, None, Decision::Allow, because);
    if fate_at(ctx, server, at_port, &witness) != Some(Decision::Allow) {
        return None;
    }
    let name = ctx.resource(by.object).meta.resource_name();
    let (who, to) = (ctx.workload_name(client), ctx.workload_name(server));
    let message = format!(
        "{name} does not keep {who} from {to}:{port}: through the tunnel to port {TUNNEL} it reaches every port"
    );
    Some(
        Finding::new(
            ID,
            Level::Warning,
            Category::Hole,
            message,
            Label::new(first_line(ctx, by.span), format!("opens port {TUNNEL}, and with it all ports")),
        )
        .with_resource(name)
        .with_confidence(Confidence::Medium)
        .with_related(ctx.workload_span(server), format!("listens on port {port} too"))
        .with_witness(witness)
        .with_help("restrict ports with an AuthorizationPolicy: the network sees only the tunnel"),
    )
}
