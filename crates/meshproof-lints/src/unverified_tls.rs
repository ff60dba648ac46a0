//! `unverified-tls`: TLS to a server whose certificate nobody looks at.
//!
//! Without `caCertificates` proxies take the authorities of their system, so that alone is nothing to tell of since
//! `VERIFY_CERTIFICATE_AT_CLIENT` is on by default (mutual-TLS reference §2.6, DR08).

use meshproof_diagnostics::{Category, Finding, Label, Level};
use meshproof_ir::Fact;
use meshproof_resources::{ClientTls, ClientTlsMode};

use crate::Context;
use crate::calls::{all_tls, tls_span};
use crate::clients::ClientRule;

const ID: &str = "unverified-tls";

/// Runs the lint: one finding per `tls`.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let rules = ctx.clients().rules.iter();
    rules.flat_map(|rule| all_tls(rule.rule).filter_map(|tls| finding(ctx, rule, tls))).collect()
}

fn finding(ctx: &Context<'_>, rule: &ClientRule<'_>, tls: &ClientTls) -> Option<Finding> {
    let mode = tls.effective_mode();
    if !matches!(mode, ClientTlsMode::Simple | ClientTlsMode::Mutual) {
        return None;
    }
    let flag = ctx.mesh.settings_of(rule.cluster).feature("VERIFY_CERTIFICATE_AT_CLIENT");
    let is_off = flag.and_then(Fact::known).is_some_and(|value| value == "false");
    let has_authority = tls.ca_certificates.is_some() || tls.credential_name.is_some();
    let (why, help) = if tls.insecure_skip_verify {
        (
            "insecureSkipVerify is set",
            "remove insecureSkipVerify; name the authority with caCertificates or credentialName",
        )
    } else if is_off && !has_authority {
        (
            "no caCertificates are named, and VERIFY_CERTIFICATE_AT_CLIENT is off",
            "name the authority with caCertificates or credentialName",
        )
    } else {
        return None;
    };
    let name = ctx.resource(rule.id).meta.resource_name();
    let host = &rule.rule.host.as_ref()?.value;
    let message = format!("{name} takes any server for {host}: {why}");
    let label = Label::new(tls_span(tls), "encrypted, but to whoever answers");
    Some(Finding::new(ID, Level::Warning, Category::Hole, message, label).with_resource(name).with_help(help))
}
