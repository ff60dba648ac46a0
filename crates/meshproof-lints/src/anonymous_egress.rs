//! `anonymous-egress`: egress gateways that do not learn who calls (mutual-TLS reference §7, §11.3 ST24).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{ResourceId, Workload, WorkloadId};
use meshproof_resources::{Action, RouteDestination, Server, ServerTlsMode, VirtualService};
use meshproof_source::Span;

use crate::Context;
use crate::istio_gateways::{Bound, GatewayPods, bound, destination, server_mode, virtual_services};
use crate::policies::Policy;
use crate::proof::{enforced_at, fate_at};
use crate::witnesses::request;

const ID: &str = "anonymous-egress";

/// Runs the lint: one finding per server.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let pods = GatewayPods::new(ctx);
    if pods.is_empty() {
        return Vec::new();
    }
    let mut found: BTreeMap<(ResourceId, usize), Finding> = BTreeMap::new();
    for (id, place, routes) in virtual_services(ctx) {
        if !routes.gateways.iter().any(|name| name.value == "mesh") {
            continue;
        }
        for bound in bound(ctx, place, routes) {
            let proxies = pods.of(ctx, place.0, bound.gateway);
            let Some((_, proxy)) = proxies.first() else { continue };
            // Calls of the mesh are sent to the gateway first.
            let leads_there = destinations(routes).any(|to| {
                let host = destination(ctx, place, to);
                host.is_some_and(|host| is_behind(host.workloads, &proxies))
            });
            if !leads_there {
                continue;
            }
            for (at, server) in bound.gateway.servers.iter().enumerate() {
                if learns_nothing(server) && !found.contains_key(&(bound.id, at)) {
                    found.insert((bound.id, at), finding(ctx, &bound, server, proxy, id));
                }
            }
        }
    }
    found.into_values().collect()
}

fn destinations(routes: &VirtualService) -> impl Iterator<Item = &RouteDestination> {
    let http = routes.http.iter().flat_map(|route| route.route.iter());
    let others = routes.tls.iter().chain(routes.tcp.iter()).flat_map(|route| route.route.iter());
    http.chain(others)
}

fn is_behind(servers: &[WorkloadId], proxies: &[(WorkloadId, &Workload)]) -> bool {
    servers.iter().any(|server| proxies.iter().any(|(proxy, _)| proxy == server))
}

/// Callers prove who they are with certificates of the mesh only.
fn learns_nothing(server: &Server) -> bool {
    matches!(
        server_mode(server),
        None | Some(ServerTlsMode::Passthrough | ServerTlsMode::Simple | ServerTlsMode::OptionalMutual)
    )
}

/// A policy at the gateway that asks who calls, and a call that fares otherwise than it means.
fn asking<'c>(ctx: &'c Context<'_>, proxy: &'c Workload) -> Option<(&'c Policy<'c>, Span, Witness)> {
    enforced_at(ctx, proxy).find_map(|policy| {
        let (rule, span) = policy.rules.iter().find_map(|facts| Some((facts.rule, facts.wants_identity?)))?;
        let decision = if policy.action == Action::Allow { Decision::Deny } else { Decision::Allow };
        let because = vec![
            "the gateway asks for no certificate of the mesh, so callers have no identity there".to_owned(),
            format!("{} asks for an identity and does not match", policy.name()),
        ];
        let from = "plaintext".to_owned();
        let witness = request(ctx, from, proxy, None, Some(rule), decision, because);
        (fate_at(ctx, proxy, None, &witness) == Some(decision)).then_some((policy, span, witness))
    })
}

fn finding(
    ctx: &Context<'_>,
    bound: &Bound<'_>,
    server: &Server,
    proxy: &Workload,
    routes: ResourceId,
) -> Finding {
    let name = ctx.resource(bound.id).meta.resource_name();
    let (place, how) = match &server.tls {
        Some(tls) => {
            let mode = server_mode(server).map_or("PASSTHROUGH", ServerTlsMode::as_str);
            (tls.mode.as_ref().map_or(tls.span, |mode| mode.span), format!("its server is {mode}"))
        }
        None => (
            server.port.as_ref().map_or(server.span, |port| port.span),
            "its server takes plaintext".to_owned(),
        ),
    };
    let asking = asking(ctx, proxy);
    let (level, category, message) = match &asking {
        Some((policy, ..)) if policy.action == Action::Deny => (
            Level::Warning,
            Category::Hole,
            format!(
                "{} keeps no caller from {name} by identity: {how}, so callers arrive without one",
                policy.meta.resource_name()
            ),
        ),
        Some((policy, ..)) => (
            Level::Warning,
            Category::Outage,
            format!(
                "{} lets no caller in by identity at {name}: {how}, so callers arrive without one",
                policy.meta.resource_name()
            ),
        ),
        None => (
            Level::Info,
            Category::Hole,
            format!("{name} does not learn who calls out: {how}, so no policy there can tell callers apart"),
        ),
    };
    let mut finding =
        Finding::new(ID, level, category, message, Label::new(place, "callers show no certificate of the mesh"))
            .with_resource(name)
            .with_confidence(Confidence::Medium)
            .with_related(ctx.resource(routes).meta.name_span(), "sends calls of the mesh to this gateway")
            .with_help(
                "set the server to ISTIO_MUTUAL, and add a DestinationRule with ISTIO_MUTUAL for the Service of the gateway",
            );
    if let Some((_, span, witness)) = asking {
        finding = finding.with_related(span, "asks for an identity").with_witness(witness);
    }
    finding
}
