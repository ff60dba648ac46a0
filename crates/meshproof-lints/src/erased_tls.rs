//! `erased-tls`: port entries of a DestinationRule that take back the `tls` above them by not repeating it.
//!
//! An entry of `portLevelSettings` replaces everything above it (mutual-TLS reference §2.5, DR09). Inside the mesh auto
//! mTLS makes up for a lost ISTIO_MUTUAL, and nothing is said.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_resources::{ClientTls, ClientTlsMode, PortTrafficPolicy, TrafficPolicy};

use crate::Context;
use crate::calls::{first_line, tls_span};
use crate::clients::ClientRule;

const ID: &str = "erased-tls";

/// Runs the lint: one finding per port entry.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in ctx.clients().rules.iter().filter(|rule| !rule.covers.is_empty()) {
        let top = rule.rule.traffic_policy.as_ref();
        let above = top.and_then(|policy| policy.tls.as_ref());
        findings.extend(top.into_iter().flat_map(|policy| erased(ctx, rule, above, policy)));
        let subsets = rule.rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
        for policy in subsets {
            let above = policy.tls.as_ref().or(above);
            findings.extend(erased(ctx, rule, above, policy));
        }
    }
    findings
}

fn erased<'c>(
    ctx: &Context<'_>,
    rule: &ClientRule<'_>,
    above: Option<&'c ClientTls>,
    policy: &'c TrafficPolicy,
) -> Vec<Finding> {
    let Some(above) = above else { return Vec::new() };
    let entries = policy.port_level.iter().filter(|entry| entry.tls.is_none());
    entries.filter_map(|entry| finding(ctx, rule, above, entry)).collect()
}

fn finding(
    ctx: &Context<'_>,
    rule: &ClientRule<'_>,
    above: &ClientTls,
    entry: &PortTrafficPolicy,
) -> Option<Finding> {
    let port = entry.port.as_ref()?;
    let has_port = |at: &u32| {
        let host = &ctx.clients().hosts[*at as usize];
        host.ports.iter().any(|own| own.number == port.value)
    };
    if !rule.covers.iter().take(HOSTS).any(has_port) {
        return None;
    }
    let auto_is_off = ctx.mesh.settings_of(rule.cluster).auto_mtls.is(&false);
    let mode = above.effective_mode();
    let sends = match mode {
        ClientTlsMode::IstioMutual if auto_is_off => "plaintext, since auto mTLS is off",
        ClientTlsMode::Simple | ClientTlsMode::Mutual => {
            "what they would send without `tls`: plaintext outside of the mesh"
        }
        ClientTlsMode::IstioMutual | ClientTlsMode::Disable => return None,
    };
    let name = ctx.resource(rule.id).meta.resource_name();
    let message =
        format!("{name} takes {} back for port {}: clients send {sends}", mode.as_str(), port.value);
    let label = Label::new(
        first_line(ctx, port.span),
        "this entry has no `tls`, and replaces all that stands above it",
    );
    Some(
        Finding::new(ID, Level::Warning, Category::Hole, message, label)
            .with_resource(name)
            .with_confidence(Confidence::Medium)
            .with_related(tls_span(above), "not in force for that port")
            .with_help("repeat `tls` in the port entry"),
    )
}

/// Hosts of a wildcard that are looked at.
const HOSTS: usize = 256;
