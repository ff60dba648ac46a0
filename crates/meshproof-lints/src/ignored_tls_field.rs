//! `ignored-tls-field`: fields of `tls` that its mode does not read.
//!
//! ISTIO_MUTUAL uses the certificates of the mesh and reads `sni` and `subjectAltNames` only; DISABLE reads nothing
//! (mutual-TLS reference §2.6, DR21). Admission refuses neither.

use meshproof_diagnostics::{Category, Finding, Label, Level};
use meshproof_resources::{ClientTls, ClientTlsMode};
use meshproof_source::Span;

use crate::Context;
use crate::calls::{all_tls, tls_span};
use crate::clients::ClientRule;

const ID: &str = "ignored-tls-field";

/// Runs the lint: one finding per `tls`.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let rules = ctx.clients().rules.iter();
    rules.flat_map(|rule| all_tls(rule.rule).filter_map(|tls| finding(ctx, rule, tls))).collect()
}

/// The first field that a mode does not read.
fn ignored(tls: &ClientTls, mode: ClientTlsMode) -> Option<(&'static str, Span)> {
    let certificates = [
        ("clientCertificate", &tls.client_certificate),
        ("privateKey", &tls.private_key),
        ("caCertificates", &tls.ca_certificates),
        ("credentialName", &tls.credential_name),
    ];
    let field = |(name, text): (&'static str, &Option<meshproof_resources::Text>)| {
        text.as_ref().map(|text| (name, text.span))
    };
    let found = certificates.into_iter().find_map(field);
    match mode {
        ClientTlsMode::IstioMutual => found,
        ClientTlsMode::Disable => {
            let names = || tls.subject_alt_names.first().map(|name| ("subjectAltNames", name.span));
            found.or_else(|| field(("sni", &tls.sni))).or_else(names)
        }
        ClientTlsMode::Simple | ClientTlsMode::Mutual => None,
    }
}

fn finding(ctx: &Context<'_>, rule: &ClientRule<'_>, tls: &ClientTls) -> Option<Finding> {
    // Without a mode more than one field is lost, which `tls-without-mode` tells.
    let mode = tls.mode.as_ref()?.value;
    let (field, span) = ignored(tls, mode)?;
    let name = ctx.resource(rule.id).meta.resource_name();
    let message = format!("{field} of {name} has no effect: {} does not read it", mode.as_str());
    Some(
        Finding::new(ID, Level::Info, Category::Dead, message, Label::new(span, "not read in this mode"))
            .with_resource(name)
            .with_related(tls_span(tls), "the mode")
            .with_help("remove the field, or use SIMPLE or MUTUAL if another certificate is meant"),
    )
}
