//! `blocked-tunnel`: network policies that open a port and not that of the tunnel through which it is reached.
//!
//! Clients captured by ztunnel do not fall back to plaintext (mutual-TLS reference §8.3, ST29).

use std::collections::BTreeSet;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::ResourceId;
use meshproof_network::{Deciding, Passage};

use crate::Context;
use crate::clients::is_settled_client;
use crate::tunnels::{Pair, TUNNEL, pairs};

const ID: &str = "blocked-tunnel";

/// Runs the lint: one finding per policy that keeps the tunnel out.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut told: BTreeSet<ResourceId> = BTreeSet::new();
    let mut findings = Vec::new();
    for pair in pairs(ctx).iter().filter(|pair| pair.tunnel.passage() == Passage::Denied) {
        let Some(by) = pair.tunnel.deciding_leg().deciding.first() else { continue };
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
    let (port, opened) = pair.port(Passage::Allowed)?;
    let (client, server) = (ctx.mesh.workload(pair.client), ctx.mesh.workload(pair.server));
    let name = ctx.resource(by.object).meta.resource_name();
    let (who, to) = (ctx.workload_name(client), ctx.workload_name(server));
    let message = format!(
        "{name} keeps {who} from {to}: port {port} is open, and port {TUNNEL}, where ztunnel sends, is not"
    );
    let certain = is_settled_client(ctx, client) && is_settled_client(ctx, server);
    let because = vec![
        format!("{who} is captured by ztunnel, which reaches {to} through a tunnel to port {TUNNEL}"),
        pair.tunnel.deciding_leg().reason.clone(),
        "there is no way back to plaintext".to_owned(),
    ];
    let witness = Witness {
        from: who,
        to,
        port: Some(*port),
        transport: Some("mtls"),
        method: None,
        path: None,
        decision: Decision::Deny,
        because,
    };
    let mut finding = Finding::new(
        ID,
        if certain { Level::Error } else { Level::Warning },
        Category::Outage,
        message,
        Label::new(by.span, format!("nothing here lets port {TUNNEL} through")),
    )
    .with_resource(name)
    .with_confidence(if certain { Confidence::High } else { Confidence::Medium });
    let allowing = [&opened.ingress, &opened.egress].into_iter().flat_map(|leg| &leg.deciding);
    if let Some(rule) = allowing.clone().find(|deciding| deciding.span != by.span) {
        let span = crate::calls::first_line(ctx, rule.span);
        finding = finding.with_related(span, format!("lets port {port} through"));
    }
    Some(
        finding
            .with_related(ctx.workload_span(server), "captured by the mesh, and reached through tunnels")
            .with_witness(witness)
            .with_help(format!(
                "allow port {TUNNEL} from the same peers, and restrict ports with AuthorizationPolicies"
            )),
    )
}
