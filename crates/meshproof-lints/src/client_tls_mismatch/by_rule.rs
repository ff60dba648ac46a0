//! Rules that make clients send what the server does not take, or ask for a server that is not there.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_resources::ClientTlsMode;
use meshproof_transport::{Delivery, EndpointOutcome, Outcome, RefusedBy, Wire};

use super::ID;
use crate::Context;
use crate::calls::{
    RuleCall, connection, deciding_tls, first_call, is_all_lost, is_decided_by, is_server_written, port_of,
    reasons, sets_tls, tls_span, workload_of,
};
use crate::clients::ClientRule;
use crate::conflicting_rules::is_contradiction;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let rules = ctx.clients().rules.iter().filter(|rule| sets_tls(rule.rule));
    let lost = |rule| first_call(ctx, rule, |outcome| is_new(ctx, rule, outcome));
    rules.filter_map(|rule| finding(ctx, &lost(rule)?)).collect()
}

/// Whether all is lost by this rule, and not by what `conflicting-rules` tells.
fn is_new(ctx: &Context<'_>, rule: &ClientRule<'_>, outcome: &Outcome) -> bool {
    let told = |endpoint: &EndpointOutcome| {
        let server = workload_of(endpoint).map(|id| ctx.mesh.workload(id));
        let port = server.and_then(|server| port_of(server, endpoint.port));
        let mode =
            match (endpoint.wire.known(), outcome.evidence.iter().any(|one| one.object == Some(rule.id))) {
                (Some(Wire::Plain), true) => ClientTlsMode::Disable,
                (Some(Wire::Tls), true) => ClientTlsMode::Simple,
                (Some(Wire::IstioMtls), true) => ClientTlsMode::IstioMutual,
                _ => return false,
            };
        let is_wrong_name =
            matches!(endpoint.result.known(), Some(Delivery::Refused(RefusedBy::ServerIdentity)));
        !is_wrong_name && server.zip(port).is_some_and(|(server, port)| is_contradiction(server, port, mode))
    };
    is_all_lost(outcome)
        && outcome.endpoints.iter().all(|endpoint| is_decided_by(outcome, endpoint, rule.id))
        && !outcome.endpoints.iter().all(told)
}

fn finding(ctx: &Context<'_>, lost: &RuleCall<'_, '_>) -> Option<Finding> {
    let RuleCall { rule, client, outcome, .. } = lost;
    let endpoint = outcome.endpoints.first()?;
    let server = ctx.mesh.workload(workload_of(endpoint)?);
    let meta = &ctx.resource(rule.id).meta;
    let name = meta.resource_name();
    let to = format!("{}:{}", ctx.workload_name(server), endpoint.port);
    let Said { span, why, label, help } = said(ctx, rule, outcome, endpoint)?;
    let message = format!("{} cannot reach {to}: {why}", lost.who(&name));
    let mode_matters = !endpoint.wire.is(&Wire::Tls);
    let certain = lost.is_settled(ctx)
        && outcome.endpoints.iter().all(|endpoint| is_server_written(ctx, endpoint, mode_matters));
    let witness = connection(ctx, *client, server, endpoint, Decision::Deny, reasons(outcome, endpoint));
    let mut finding = Finding::new(
        ID,
        if certain { Level::Error } else { Level::Warning },
        Category::Outage,
        message,
        Label::new(span, label),
    )
    .with_resource(name)
    .with_confidence(if certain { Confidence::High } else { Confidence::Medium });
    if let Some(place) = endpoint.server.iter().rev().find_map(|evidence| evidence.span) {
        finding = finding.with_related(place, "the server's side is decided here");
    }
    Some(finding.with_related(ctx.workload_span(server), "the server").with_witness(witness).with_help(help))
}

/// What to say of it.
struct Said {
    span: meshproof_source::Span,
    why: String,
    label: String,
    help: &'static str,
}

fn said(
    ctx: &Context<'_>,
    rule: &ClientRule<'_>,
    outcome: &Outcome,
    endpoint: &EndpointOutcome,
) -> Option<Said> {
    let own = |evidence: &&meshproof_transport::Evidence| evidence.object == Some(rule.id);
    let decided = outcome.evidence.iter().find(own);
    let span = decided.and_then(|evidence| evidence.span);
    let Some(span) = span else {
        // Nothing of the rule is in force but the mark that it leaves on the endpoints.
        let above = rule.rule.traffic_policy.as_ref()?.tls.as_ref()?;
        return Some(Said {
            span: tls_span(above),
            why: "a port entry without `tls` does not take DISABLE back, and the server takes only mTLS"
                .to_owned(),
            label: "endpoints stay marked for plaintext, also on ports with an entry of their own".to_owned(),
            help: "remove `tls` from the DestinationRule, or write `tls: {mode: ISTIO_MUTUAL}` into the port entry",
        });
    };
    let names = outcome.tls.as_ref().map(|tls| tls.server_names.join(", ")).unwrap_or_default();
    if matches!(endpoint.result.known(), Some(Delivery::Refused(RefusedBy::ServerIdentity))) {
        let own = ctx.mesh.identity_of(workload_of(endpoint)?)?.spiffe_id()?;
        let tls = deciding_tls(rule, outcome)?;
        return Some(Said {
            span: tls.subject_alt_names.first().map_or(span, |name| name.span),
            why: format!("they accept only {names}, and the server is {own}"),
            label: "none of the names that the servers have".to_owned(),
            help: "name the servers' accounts as spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT, or leave subjectAltNames out: clients know the accounts of a Service",
        });
    }
    let (why, label) = match endpoint.wire.known()? {
        Wire::Tls | Wire::HboneTls => (
            "SIMPLE sends TLS that the server's sidecar does not take",
            "sidecars take TLS of the mesh or plaintext",
        ),
        Wire::Mtls => (
            "MUTUAL sends TLS that is not of the mesh, which the server's sidecar does not take",
            "sidecars take TLS of the mesh or plaintext",
        ),
        Wire::Plain => ("plaintext meets a server that takes only mTLS", "clients send plaintext"),
        Wire::IstioMtls | Wire::Hbone => ("mTLS meets a server that does not take it", "clients send mTLS"),
    };
    Some(Said {
        span,
        why: why.to_owned(),
        label: label.to_owned(),
        help: "remove `tls` from the DestinationRule: auto mTLS sends what the server takes",
    })
}
