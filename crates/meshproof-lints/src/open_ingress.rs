//! `open-ingress`: rules that let an ingress gateway in, and with it everybody outside (mutual-TLS reference §7, §11.3
//! ST22).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{ResourceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::{Action, Match, Rule, Source, VirtualHttpRoute, VirtualService};
use meshproof_source::Span;

use crate::Context;
use crate::accounts::place_of_account;
use crate::context::captured_ports;
use crate::istio_gateways::{GatewayPods, bound, destination, virtual_services};
use crate::peers::is_protected;
use crate::policies::Policy;
use crate::proof::{MANY, fate_at};
use crate::witnesses::request;
use route::{From, admits};

mod route;

const ID: &str = "open-ingress";
/// Workloads looked at per route, and rules per workload.
const TRIED: usize = 8;

/// The gateway that sends requests on, and the route by which.
struct Way<'c> {
    /// `namespace/account`.
    account: String,
    /// The Gateway object, for people.
    gateway: String,
    from: &'c From<'c>,
    routes: &'c VirtualService,
    route: &'c VirtualHttpRoute,
    service: ResourceId,
}

/// Runs the lint: one finding per policy, the gravest.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let pods = GatewayPods::new(ctx);
    if pods.is_empty() {
        return Vec::new();
    }
    let mut found: BTreeMap<ResourceId, Finding> = BTreeMap::new();
    for (service, place, routes) in virtual_services(ctx) {
        for bound in bound(ctx, place, routes) {
            let home = |id| ctx.mesh.placement.get(id).and_then(|(_, namespace)| *namespace);
            let of_gateway = home(bound.id.index()).map_or("", |id| ctx.mesh.namespace_display(id));
            let own = ctx.mesh.namespace_display(place.1);
            let doors = route::doors((of_gateway, bound.gateway), (own, routes));
            if doors.is_empty() {
                continue;
            }
            let proxies = pods.of(ctx, place.0, bound.gateway);
            let Some((id, proxy)) = proxies.into_iter().next().filter(|(_, proxy)| is_unguarded(proxy))
            else {
                continue;
            };
            let Some(account) = account_of(ctx, id) else { continue };
            let gateway = ctx.resource(bound.id).meta.resource_name().to_string();
            let from = From {
                gateway: [format!("{of_gateway}/{}", ctx.resource(bound.id).meta.name())],
                doors,
                labels: (!ctx.mesh.is_presumed(id)).then_some(&proxy.labels),
                namespace: ctx.mesh.namespace_display(proxy.namespace),
                own,
            };
            for route in routes.http.iter().filter(|route| route::is_there(&from, route)) {
                let (account, gateway) = (account.clone(), gateway.clone());
                let way = Way { account, gateway, from: &from, routes, route, service };
                let hosts = route.route.iter().filter_map(|to| destination(ctx, place, to));
                let servers = hosts.flat_map(|host| host.workloads.iter().take(TRIED));
                for server in servers.map(|id| ctx.mesh.workload(*id)).filter(|server| is_protected(server)) {
                    add(ctx, &way, proxy, server, &mut found);
                }
            }
        }
    }
    found.into_values().collect()
}

/// Nothing at the gateway looks at callers.
fn is_unguarded(proxy: &Workload) -> bool {
    proxy.policies.is_empty() && proxy.request_authentications.is_empty()
}

fn account_of(ctx: &Context<'_>, id: WorkloadId) -> Option<String> {
    let identity = ctx.mesh.identity_of(id)?;
    Some(format!("{}/{}", identity.namespace.as_ref()?, identity.account))
}

fn add(
    ctx: &Context<'_>,
    way: &Way<'_>,
    proxy: &Workload,
    server: &Workload,
    found: &mut BTreeMap<ResourceId, Finding>,
) {
    let attached = server.policies.iter().take(MANY).filter(|at| at.certain.is_ok());
    let allows: Vec<&Policy<'_>> = attached
        .filter_map(|at| ctx.policies.get(at.policy))
        .filter(|policy| policy.enforces(Action::Allow))
        .take(TRIED)
        .collect();
    for policy in &allows {
        let known = found.get(&policy.id).map(|finding| finding.level);
        if known == Some(Level::Warning) {
            continue;
        }
        let admitting = policy.rules.iter().take(TRIED).find_map(|facts| {
            facts
                .rule
                .from
                .iter()
                .find_map(|source| names(source, &way.account))
                .map(|span| (facts.rule, span))
        });
        let Some((rule, span)) = admitting.filter(|(rule, _)| asks_nothing_else(rule)) else { continue };
        let around = meant_for_others(ctx, way, server, &allows);
        let open = || open(ctx, way, server, Some(rule)).map(|witness| (witness, None));
        let Some((witness, meant)) = around.map(|(witness, span)| (witness, Some(span))).or_else(open) else {
            continue;
        };
        if known.is_none() || meant.is_some() {
            found.insert(policy.id, finding(ctx, way, (policy, span), (proxy, server), witness, meant));
        }
    }
}

/// Where a source asks for an account and nothing else.
fn names(source: &Source, account: &str) -> Option<Span> {
    let others = [&source.request_principals, &source.remote_ip_blocks, &source.ip_blocks];
    if others.iter().any(|test| !test.is_empty()) {
        return None;
    }
    place_of_account(source, account)
}

/// Whether a rule restricts its callers to no paths or methods, and asks for no token.
fn asks_nothing_else(rule: &Rule) -> bool {
    let open = |test: &Match| test.is_empty() || test.values.iter().any(|value| value.value == "*");
    let bare = rule.to.is_empty()
        || rule.to.iter().any(|one| open(&one.paths) && open(&one.methods) && one.hosts.is_empty());
    rule.when.is_empty() && bare
}

/// A request through the gateway that a rule means for other callers.
fn meant_for_others(
    ctx: &Context<'_>,
    way: &Way<'_>,
    server: &Workload,
    allows: &[&Policy<'_>],
) -> Option<(Witness, Span)> {
    let rules = allows.iter().flat_map(|policy| policy.rules.iter().take(TRIED)).map(|facts| facts.rule);
    rules.into_iter().find_map(|rule| {
        let is_for_others =
            !rule.from.is_empty() && rule.from.iter().all(|source| names(source, &way.account).is_none());
        let paths = rule.to.iter().flat_map(|one| one.paths.values.iter());
        let mut special = paths.filter(|path| path.value.trim_matches(['*', '/']).len() > 1);
        let path = special.next().filter(|_| is_for_others)?;
        let witness = open(ctx, way, server, Some(rule))?;
        let sent = (witness.method.as_deref()?, witness.path.as_deref()?);
        admits(way.from, way.routes, way.route, sent).then_some((witness, path.span))
    })
}

/// A request of the shape of a rule that comes from the gateway and gets in.
fn open(ctx: &Context<'_>, way: &Way<'_>, server: &Workload, rule: Option<&Rule>) -> Option<Witness> {
    let mut ports = captured_ports(server).filter(|port| !port.bindings.is_empty()).take(TRIED);
    ports.find_map(|port: &WorkloadPort| {
        let witness =
            request(ctx, way.account.clone(), server, Some(port), rule, Decision::Allow, Vec::new());
        (fate_at(ctx, server, Some(port), &witness) == Some(Decision::Allow)).then_some(witness)
    })
}

fn finding(
    ctx: &Context<'_>,
    way: &Way<'_>,
    (policy, span): (&Policy<'_>, Span),
    (proxy, server): (&Workload, &Workload),
    witness: Witness,
    meant: Option<Span>,
) -> Finding {
    let name = policy.meta.resource_name();
    let to = ctx.workload_name(server);
    let service = ctx.resource(way.service).meta.resource_name();
    let (level, message) = match meant {
        Some(_) => (
            Level::Warning,
            format!(
                "everybody outside gets to {} of {to}, which is for others: {name} lets {} in, and {service} routes such requests there",
                witness.path.as_deref().unwrap_or("/"),
                way.account
            ),
        ),
        // A workload that serves the public is meant to be open to it.
        None => (
            Level::Info,
            format!(
                "{name} lets everybody outside in at {to}: whoever calls {} arrives as {}",
                way.gateway, way.account
            ),
        ),
    };
    let because = vec![
        format!("{} asks nobody for a certificate, and no policy stands at its pods", way.gateway),
        format!("{service} routes the request to {to}"),
        format!("there it has the identity of the gateway, {}, which {} lets in", way.account, policy.name()),
    ];
    let mut finding = Finding::new(
        ID,
        level,
        Category::Hole,
        message,
        Label::new(span, "the identity of everybody outside"),
    )
    .with_resource(name)
    .with_confidence(if meant.is_some() { Confidence::Medium } else { Confidence::Low });
    if let Some(meant) = meant {
        finding = finding.with_related(meant, "for other callers only");
    }
    finding
        .with_related(way.route.span, "this route leads there")
        .with_related(ctx.workload_span(proxy), "the gateway")
        .with_witness(Witness { because, ..witness })
        .with_help("restrict the gateway to the paths that are public, or ask for a token (`requestPrincipals`) or an address (`remoteIpBlocks`)")
}
