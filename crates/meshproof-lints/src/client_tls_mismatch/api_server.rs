//! Rules for every host that make clients send TLS of the mesh to the API server, which has no proxy (mutual-TLS reference
//! §11.2, DR04).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_resources::ClientTlsMode;
use meshproof_transport::written_tls;

use super::ID;
use crate::Context;
use crate::calls::tls_span;
use crate::clients::ClientRule;
use crate::hash::Set;

/// The Service by which pods call the API server; every cluster has it, and no manifest.
const HOST: &str = "kubernetes.default.svc.cluster.local";
const PORT: u16 = 443;

/// One finding per rule with a wildcard, where no narrower rule is for the API server.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let rules = || ctx.clients().rules.iter().filter(|rule| rule.is_placed && covers(rule));
    let excepted: Set<_> =
        rules().filter(|rule| !rule.host.starts_with('*')).map(|rule| rule.namespace).collect();
    let counts = |rule: &&ClientRule<'_>| {
        // Elsewhere nobody follows it for this host: neither a client's namespace, nor the root, nor that of the host.
        let is_followed = ctx.is_root(rule.namespace) || ctx.clients().samples.contains_key(&rule.namespace);
        let narrower =
            |other: &ClientRule<'_>| other.namespace == rule.namespace && other.host.len() > rule.host.len();
        is_followed && !excepted.contains(&rule.namespace) && !rules().take(LOOKED_AT).any(narrower)
    };
    rules()
        .filter(|rule| rule.host.starts_with('*'))
        .take(LOOKED_AT)
        .filter(counts)
        .filter_map(|rule| finding(ctx, rule))
        .collect()
}

/// Rules with a wildcard that are compared.
const LOOKED_AT: usize = 256;

fn covers(rule: &ClientRule<'_>) -> bool {
    match rule.host.strip_prefix('*') {
        Some(ending) => HOST.ends_with(ending),
        None => rule.host == HOST,
    }
}

fn finding(ctx: &Context<'_>, rule: &ClientRule<'_>) -> Option<Finding> {
    let tls = written_tls(rule.rule, PORT, None)?;
    if tls.effective_mode() != ClientTlsMode::IstioMutual {
        return None;
    }
    let name = ctx.resource(rule.id).meta.resource_name();
    let message = format!(
        "clients that follow {name} cannot reach the API server: `{}` covers {HOST}, which has no proxy",
        rule.host
    );
    let label = Label::new(tls_span(tls), "sends mTLS of the mesh to every host, also where nobody takes it");
    Some(
        Finding::new(ID, Level::Warning, Category::Outage, message, label)
            .with_resource(name)
            .with_confidence(Confidence::Medium)
            .with_help(format!("remove `tls`, since auto mTLS knows who has a proxy; or add a DestinationRule for {HOST} with mode DISABLE")),
    )
}
