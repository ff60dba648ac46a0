//! TLS of the mesh for hosts outside of it (mutual-TLS reference §11.2, DR04): nobody there has a certificate of the mesh.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_resources::{ClientTls, ClientTlsMode, Location, Spec};
use meshproof_transport::written_tls;

use super::ID;
use crate::Context;
use crate::calls::{sets_tls, tls_span};
use crate::clients::{ClientRule, Host};

/// Hosts looked at per rule.
const HOSTS: usize = 256;

/// One finding per rule that somebody follows when he calls such a host.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let rules = ctx.clients().rules.iter().filter(|rule| sets_tls(rule.rule));
    rules.filter_map(|rule| finding(ctx, rule)).collect()
}

/// Whether a ServiceEntry says, or leaves it at the default, that its hosts are outside of the mesh.
fn is_external(ctx: &Context<'_>, host: &Host<'_>) -> bool {
    match &ctx.resource(host.resource).spec {
        // Endpoints with an account are pods or machines of the mesh, whatever the location says.
        Spec::ServiceEntry(entry) => {
            entry.effective_location() == Location::MeshExternal
                && entry.workload_selector.is_none()
                && entry.endpoints.iter().all(|endpoint| endpoint.service_account.is_none())
        }
        _ => false,
    }
}

/// Mutual TLS of the mesh. A name that the rule asks for is that of somebody who has a certificate, as the gateway of
/// another mesh.
fn is_of_the_mesh(tls: &ClientTls) -> bool {
    tls.effective_mode() == ClientTlsMode::IstioMutual
        && tls.sni.is_none()
        && tls.subject_alt_names.is_empty()
}

fn finding(ctx: &Context<'_>, rule: &ClientRule<'_>) -> Option<Finding> {
    let used = rule.uses.iter().take(HOSTS).map(|used| &ctx.clients().hosts[used.host as usize]);
    let (host, tls) = used.filter(|host| is_external(ctx, host)).find_map(|host| {
        let all = host.ports.iter().filter_map(|port| written_tls(rule.rule, port.number, None));
        Some((host, all.into_iter().find(|tls| is_of_the_mesh(tls))?))
    })?;
    let name = ctx.resource(rule.id).meta.resource_name();
    let message =
        format!("clients that follow {name} cannot reach {}, which is outside of the mesh", host.name);
    let label = Label::new(tls_span(tls), "sends a certificate of the mesh, and accepts no other");
    Some(
        Finding::new(ID, Level::Warning, Category::Outage, message, label)
            .with_resource(name)
            .with_confidence(Confidence::Medium)
            .with_related(ctx.resource(host.resource).meta.name_span(), "the host is outside (MESH_EXTERNAL)")
            .with_help("use SIMPLE for a host with a certificate of its own; or say MESH_INTERNAL of a host that is in the mesh"),
    )
}
