//! `plaintext-client`: mesh clients that send plaintext where the server takes mutual TLS as well.
//!
//! Without a rule about TLS they would use mutual TLS; the server is PERMISSIVE and takes either (mutual-TLS reference
//! §2.6, DR02, DR10, DR17, DR19, DR20, ST06).

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_source::Span;
use meshproof_transport::{EndpointOutcome, Outcome, Path};

use crate::Context;
use crate::automatic::{AutomaticCall, TLS_MODE};
use crate::calls::{
    RuleCall, connection, deciding, deciding_tls, first_call, first_line, is_unencrypted, lets_plaintext_in,
    reasons, sets_tls, tls_span, unencrypted_by, workload_of,
};
use crate::clients::ClientRule;
use crate::hash::Set;

const ID: &str = "plaintext-client";

/// Runs the lint: one finding per rule, and one per cause elsewhere.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = by_rules(ctx);
    let mut told: Set<Span> = Set::default();
    for call in ctx.automatic() {
        let odd = call.outcome.endpoints.iter().find(|endpoint| is_unencrypted(ctx, endpoint));
        let Some((place, finding)) = odd.and_then(|endpoint| by_itself(ctx, call, endpoint)) else {
            continue;
        };
        if told.insert(place) {
            findings.push(finding);
        }
    }
    findings
}

fn by_rules(ctx: &Context<'_>) -> Vec<Finding> {
    let rules = ctx.clients().rules.iter().filter(|rule| sets_tls(rule.rule));
    let sent = |rule: &ClientRule<'_>, outcome: &Outcome| {
        // A `tls` that does not say DISABLE in so many words is told by lints of its own.
        let is_plain = deciding_tls(rule, outcome)
            .is_none_or(|tls| tls.mode.as_ref().is_some_and(|mode| mode.value.as_str() == "DISABLE"));
        is_plain && unencrypted_by(ctx, rule, outcome).is_some()
    };
    rules.filter_map(|rule| by_rule(ctx, &first_call(ctx, rule, |outcome| sent(rule, outcome))?)).collect()
}

fn by_rule(ctx: &Context<'_>, call: &RuleCall<'_, '_>) -> Option<Finding> {
    let rule = call.rule;
    let endpoint = unencrypted_by(ctx, rule, &call.outcome)?;
    let above = rule.rule.traffic_policy.as_ref().and_then(|policy| policy.tls.as_ref());
    let tls = deciding_tls(rule, &call.outcome).or(above)?;
    let name = ctx.resource(rule.id).meta.resource_name();
    let server = ctx.mesh.workload(workload_of(endpoint)?);
    let message = format!(
        "{} send plaintext to {}:{}, which takes mTLS as well",
        call.who(&name),
        ctx.workload_name(server),
        endpoint.port
    );
    let label = Label::new(tls_span(tls), "not encrypted, and without an identity");
    let finding = Finding::new(ID, Level::Warning, Category::Hole, message, label)
        .with_resource(name)
        .with_confidence(Confidence::Medium)
        .with_help("remove `tls`: auto mTLS sends what the server takes");
    Some(with_server(ctx, finding, (call.client, &call.outcome), endpoint))
}

fn by_itself(ctx: &Context<'_>, call: &AutomaticCall, endpoint: &EndpointOutcome) -> Option<(Span, Finding)> {
    let host = &ctx.clients().hosts[call.host as usize];
    let server = ctx.mesh.workload(workload_of(endpoint)?);
    let label = server.labels.get(TLS_MODE);
    let is_off = ctx.mesh.settings_of(host.cluster).auto_mtls.is(&false);
    let (why, said, help) = if is_off {
        (
            "auto mTLS is off, and no DestinationRule says ISTIO_MUTUAL",
            "clients send mTLS only where a DestinationRule says so",
            "turn enableAutoMtls on",
        )
    } else if call.outcome.path == Path::OriginalDestination {
        (
            "an endpoint of the headless Service has no proxy, so that clients send plaintext to all of them",
            "one endpoint without a proxy is enough",
            "give all endpoints a sidecar, or select pods with a sidecar only",
        )
    } else if label.is_some() {
        (
            "the label security.istio.io/tlsMode of the pods says that no proxy is there",
            "clients choose plaintext or mTLS by this label",
            "remove the label: injection sets it where there is a sidecar",
        )
    } else {
        return None;
    };
    let evidence = deciding(&call.outcome, endpoint);
    let place = evidence.and_then(|evidence| evidence.span).or(label.map(|label| label.span))?;
    let resource = evidence.and_then(|evidence| evidence.object).unwrap_or(server.resource);
    let to = format!("{}:{}", ctx.workload_name(server), endpoint.port);
    let message =
        format!("mesh clients of {} send plaintext to {to}, which takes mTLS as well: {why}", host.name);
    let finding =
        Finding::new(ID, Level::Warning, Category::Hole, message, Label::new(first_line(ctx, place), said))
            .with_resource(ctx.resource(resource).meta.resource_name())
            .with_confidence(Confidence::Medium)
            .with_help(help);
    Some((place, with_server(ctx, finding, (call.client, &call.outcome), endpoint)))
}

/// Adds the server, and the connection where it is certain to get through.
fn with_server(
    ctx: &Context<'_>,
    finding: Finding,
    (client, outcome): (meshproof_ir::WorkloadId, &Outcome),
    endpoint: &EndpointOutcome,
) -> Finding {
    let Some(server) = workload_of(endpoint).map(|id| ctx.mesh.workload(id)) else { return finding };
    let finding = finding.with_related(ctx.workload_span(server), "the server");
    if !outcome.unknown.is_empty() || !lets_plaintext_in(ctx, endpoint) {
        return finding;
    }
    finding.with_witness(connection(
        ctx,
        client,
        server,
        endpoint,
        Decision::Allow,
        reasons(outcome, endpoint),
    ))
}
