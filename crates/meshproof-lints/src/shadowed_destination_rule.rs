//! `shadowed-destination-rule`: TLS or subsets of a DestinationRule that some clients do not get, since they follow
//! another one whole.
//!
//! A rule of the client's namespace, one with a more specific host or one with a workloadSelector replaces the others;
//! nothing is inherited (mutual-TLS reference §2.3–§2.5, DR12, DR13, DR24). A lost ISTIO_MUTUAL costs nothing while auto
//! mTLS is on.

use std::collections::BTreeSet;

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{NamespaceId, WorkloadId};
use meshproof_resources::{ClientTls, ClientTlsMode, DestinationRule, TrafficPolicy};
use meshproof_source::Span;
use meshproof_transport::Path;

use crate::Context;
use crate::calls::tls_span;
use crate::clients::{ClientRule, Host, HostPort};

const ID: &str = "shadowed-destination-rule";
/// Rules per host, hosts per rule, and subsets per rule that are looked at.
const LOOKED_AT: usize = 64;

/// Runs the lint: one finding per pair of rules.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let clients = ctx.clients();
    let mut told: BTreeSet<(u32, u32)> = BTreeSet::new();
    let mut findings = Vec::new();
    for (at, rule) in clients.rules.iter().enumerate() {
        for used in rule.uses.iter().take(LOOKED_AT) {
            let (host, Some(client)) = (&clients.hosts[used.host as usize], used.client) else { continue };
            let others = clients.rules_of_host[used.host as usize].iter().take(LOOKED_AT);
            if others.len() < 2 {
                continue;
            }
            let followed = ctx.transport().rules_followed(client, host.name);
            for other in others.filter(|other| **other as usize != at) {
                let hidden = &clients.rules[*other as usize];
                if followed.contains(&hidden.id)
                    || told.contains(&(at as u32, *other))
                    || !is_for(ctx, hidden, host, client)
                {
                    continue;
                }
                if let Some(finding) = finding(ctx, (rule, hidden), host, client) {
                    told.insert((at as u32, *other));
                    findings.push(finding);
                }
            }
        }
    }
    findings
}

/// Whether the client would follow a rule if there were no other.
fn is_for(ctx: &Context<'_>, rule: &ClientRule<'_>, host: &Host<'_>, client: WorkloadId) -> bool {
    let of_client = ctx.mesh.workload(client).namespace;
    if rule.rule.workload_selector.is_some() {
        return false;
    }
    let name = |id: NamespaceId| ctx.mesh.namespace(id).name.as_deref();
    let own = rule.namespace == of_client;
    let takes = |to: &str| to == "*" || Some(to) == name(of_client) || (own && to == ".");
    let exports = &rule.rule.export_to;
    (own || rule.namespace == host.namespace || ctx.is_root(rule.namespace))
        && (exports.is_empty() || exports.iter().any(|to| takes(&to.value)))
}

fn finding<'c>(
    ctx: &Context<'c>,
    (rule, hidden): (&ClientRule<'c>, &ClientRule<'c>),
    host: &Host<'_>,
    client: WorkloadId,
) -> Option<Finding> {
    let lost = lost_tls(ctx, (rule.rule, hidden), host).map(|(port, tls)| {
        let mode = tls.effective_mode().as_str();
        (tls_span(tls), format!("{mode} for port {}", port.number), Category::Hole)
    });
    let lost = lost.or_else(|| {
        let (subset, span) = lost_subset(ctx, (rule, hidden), host, client)?;
        Some((span, format!("subset {subset}, to which a route sends"), Category::Outage))
    });
    let (span, what, category) = lost?;
    let (name, other) = (&ctx.resource(rule.id).meta, &ctx.resource(hidden.id).meta);
    let client = ctx.mesh.workload(client);
    let message = format!(
        "{} hides {} from clients such as {}: {what} of {} is lost",
        name.resource_name(),
        other.resource_name(),
        ctx.workload_name(client),
        host.name,
    );
    let host_span = rule.rule.host.as_ref()?.span;
    let label = match rule.rule.workload_selector.is_some() {
        true => "clients with these labels follow this rule alone",
        false => "for these clients this rule counts, whole and alone",
    };
    Some(
        Finding::new(ID, Level::Warning, category, message, Label::new(host_span, label))
            .with_resource(name.resource_name())
            .with_confidence(Confidence::Medium)
            .with_related(span, "not in force for them")
            .with_help("repeat in this rule what the other one says of the host: rules are not merged"),
    )
}

/// A port where the hidden rule sets TLS that matters, and the one in force nothing.
fn lost_tls<'c>(
    ctx: &Context<'_>,
    (rule, hidden): (&DestinationRule, &ClientRule<'c>),
    host: &Host<'_>,
) -> Option<(HostPort, &'c ClientTls)> {
    let auto_is_off = ctx.mesh.settings_of(hidden.cluster).auto_mtls.is(&false);
    host.ports.iter().find_map(|port| {
        let tls = tls_at(hidden.rule.traffic_policy.as_ref(), port.number)?;
        let matters = match tls.effective_mode() {
            ClientTlsMode::IstioMutual => auto_is_off,
            ClientTlsMode::Simple | ClientTlsMode::Mutual => true,
            // Auto mTLS sends what the server takes.
            ClientTlsMode::Disable => false,
        };
        (matters && tls_at(rule.traffic_policy.as_ref(), port.number).is_none()).then_some((*port, tls))
    })
}

/// What a policy says for a port; an entry of the port replaces what stands above it.
fn tls_at(policy: Option<&TrafficPolicy>, port: u16) -> Option<&ClientTls> {
    let policy = policy?;
    let mut entries = policy.port_level.iter();
    match entries.find(|entry| entry.port.as_ref().is_some_and(|own| own.value == port)) {
        Some(entry) => entry.tls.as_ref(),
        None => policy.tls.as_ref(),
    }
}

/// A subset of the hidden rule that a route sends to and the client's proxy does not know.
fn lost_subset<'c>(
    ctx: &Context<'c>,
    (rule, hidden): (&ClientRule<'_>, &ClientRule<'c>),
    host: &Host<'_>,
    client: WorkloadId,
) -> Option<(&'c str, Span)> {
    let clients = ctx.clients();
    let port = host.ports.first()?;
    hidden.rule.subsets.iter().take(LOOKED_AT).find_map(|subset| {
        let name = subset.name.as_ref()?;
        let used = clients.is_subset_used(rule.cluster, host.name, &name.value);
        let is_lost = || clients.call(ctx, client, host, *port, Some(&name.value)).path == Path::NoCluster;
        (used && is_lost()).then_some((name.value.as_str(), name.span))
    })
}
