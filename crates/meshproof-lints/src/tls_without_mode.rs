//! `tls-without-mode`: `tls` of a DestinationRule that asks for plaintext, since it has no `mode`.
//!
//! The mode is an enumeration whose zero value is DISABLE (mutual-TLS reference §2.1, DR03).

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_resources::ClientTls;

use crate::Context;
use crate::calls::{
    all_tls, connection, deciding_tls, first_call, first_line, is_server_written, lets_plaintext_in, reasons,
    unencrypted_by, workload_of,
};
use crate::clients::ClientRule;

const ID: &str = "tls-without-mode";

/// Runs the lint: one finding per `tls`.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let rules = ctx.clients().rules.iter();
    let without = |rule| all_tls(rule).filter(|tls: &&ClientTls| tls.mode.is_none());
    rules.flat_map(|rule| without(rule.rule).map(|tls| finding(ctx, rule, tls))).collect()
}

fn finding<'c>(ctx: &Context<'c>, rule: &ClientRule<'c>, tls: &ClientTls) -> Finding {
    let name = ctx.resource(rule.id).meta.resource_name();
    let message = format!("{name} makes clients send plaintext: `tls` without `mode` means DISABLE");
    let label = Label::new(first_line(ctx, tls.span), "no `mode`, and its zero value is DISABLE");
    let mut finding = Finding::new(ID, Level::Warning, Category::Hole, message, label)
        .with_resource(name)
        .with_confidence(Confidence::Medium)
        .with_help(
            "write mode: ISTIO_MUTUAL inside the mesh and SIMPLE or MUTUAL outside of it; or remove `tls`",
        );
    let is_it = |outcome: &_| deciding_tls(rule, outcome).is_some_and(|deciding| deciding.span == tls.span);
    let Some(call) =
        first_call(ctx, rule, |outcome| is_it(outcome) && unencrypted_by(ctx, rule, outcome).is_some())
    else {
        return finding;
    };
    let Some(endpoint) = unencrypted_by(ctx, rule, &call.outcome) else { return finding };
    let Some(server) = workload_of(endpoint).map(|id| ctx.mesh.workload(id)) else { return finding };
    finding = finding.with_related(ctx.workload_span(server), "takes mTLS, and gets plaintext");
    let means_tls = tls.sni.is_some()
        || !tls.subject_alt_names.is_empty()
        || [&tls.credential_name, &tls.client_certificate, &tls.private_key, &tls.ca_certificates]
            .iter()
            .any(|field| field.is_some());
    if means_tls
        && call.is_settled(ctx)
        && is_server_written(ctx, endpoint, true)
        && lets_plaintext_in(ctx, endpoint)
    {
        finding.level = Level::Error;
        finding.confidence = Confidence::High;
        let because = reasons(&call.outcome, endpoint);
        finding =
            finding.with_witness(connection(ctx, call.client, server, endpoint, Decision::Allow, because));
    }
    finding
}
