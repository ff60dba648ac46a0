//! `ignored-credential`: `credentialName` in rules for sidecars, which then send plaintext.
//!
//! Secrets are given to gateways. A sidecar gets one only by a rule with a `workloadSelector`; without it Istio leaves
//! TLS out (mutual-TLS reference §2.6, DR07; Istio 1.32, networking/core/cluster_tls.go `buildUpstreamClusterTLSContext`).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_resources::{ClientTls, ClientTlsMode, Text};
use meshproof_transport::Wire;

use crate::Context;
use crate::calls::{all_tls, deciding_tls, first_call};
use crate::clients::ClientRule;

const ID: &str = "ignored-credential";

/// Runs the lint: one finding per `tls`.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let rules = ctx.clients().rules.iter().filter(|rule| rule.rule.workload_selector.is_none());
    let named = |tls: &'_ ClientTls| credential(tls).is_some();
    rules
        .flat_map(|rule| {
            let all = all_tls(rule.rule).filter(move |tls| named(tls));
            all.filter_map(|tls| finding(ctx, rule, tls))
        })
        .collect()
}

/// The Secret that a `tls` names. Certificates in ConfigMaps reach sidecars.
fn credential(tls: &ClientTls) -> Option<&Text> {
    let uses = matches!(tls.effective_mode(), ClientTlsMode::Simple | ClientTlsMode::Mutual);
    tls.credential_name.as_ref().filter(|name| uses && !name.value.starts_with("configmap://"))
}

fn finding<'c>(ctx: &Context<'c>, rule: &ClientRule<'c>, tls: &ClientTls) -> Option<Finding> {
    let credential = credential(tls)?;
    let is_it = |outcome: &_| deciding_tls(rule, outcome).is_some_and(|deciding| deciding.span == tls.span);
    let call = first_call(ctx, rule, |outcome| outcome.wire == Some(Wire::Plain) && is_it(outcome))?;
    // With a route to an egress gateway sidecars do not send to the host themselves, and gateways get the Secret.
    if call.subset.is_none() && ctx.clients().is_routed(call.host) {
        return None;
    }
    let client = ctx.mesh.workload(call.client);
    let name = ctx.resource(rule.id).meta.resource_name();
    let mode = tls.effective_mode().as_str();
    let message = format!(
        "{name} makes sidecars send plaintext to {}: {mode} is left out with credentialName {}",
        call.host.name, credential.value
    );
    Some(
        Finding::new(
            ID,
            Level::Warning,
            Category::Hole,
            message,
            Label::new(credential.span, "given to gateways alone"),
        )
        .with_resource(name)
        .with_confidence(Confidence::Medium)
        .with_related(ctx.workload_span(client), "a client with a sidecar that follows the rule")
        .with_help("add a workloadSelector for the clients that may have the Secret, or name files with caCertificates; for gateways alone set exportTo: [\".\"] in their namespace"),
    )
}
