//! `empty-intersection-outage`: ports that ALLOW policies open and DENY policies close again for everybody, though no single
//! rule denies everything.

use meshproof_authz::{Context as Chain, Decision, Engine, Policy, Request, context_of, evaluate};
use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{EnforcementPoint, ResourceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::{Action, MtlsMode};
use meshproof_space::{Clause, Domain, Outcome, RequestBox, Space, Test, Variable};

use crate::Context;
use crate::conflicting_rules::together;
use crate::context::captured_ports;
use crate::hash::Map;
use crate::points::{Kind, Point, Spot};
use crate::proof::{certain, cluster_of, is_settled};
use crate::rule_worth::At;
use crate::shown::{matches, rule_name, rule_of, rule_span, with_known_caller, witness};

pub(crate) const ID: &str = "empty-intersection-outage";

/// Ports looked at per workload.
const PORTS: usize = 16;

/// Workloads that agree in it are closed or open together: policies, proxy, ports with their protocols, and whether they
/// are STRICT.
type Likeness = ([usize; 3], EnforcementPoint, Vec<(u16, Option<ProtocolClass>, bool)>);

/// Runs the lint: one finding per list of policies and ports.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut groups: Map<Likeness, usize> = Map::default();
    let mut members: Vec<Vec<WorkloadId>> = Vec::new();
    for (id, workload) in ctx.mesh.workloads_with_ids() {
        let Some(point) = workload.enforcement_point() else { continue };
        let listens = matches!(point, EnforcementPoint::Sidecar | EnforcementPoint::Ztunnel);
        if !listens || workload.policies.is_empty() || !workload.envoy_filters.is_empty() {
            continue;
        }
        let ports = captured_ports(workload)
            .map(|port| (port.number, port.protocol.known().copied(), is_strict(port)));
        let key = (workload.policies.sharing_key(), point, ports.take(PORTS).collect());
        let group = *groups.entry(key).or_insert_with(|| {
            members.push(Vec::new());
            members.len() - 1
        });
        members[group].push(id);
    }
    members.iter().filter_map(|workloads| closed(ctx, workloads)).collect()
}

/// A port that would be open without the DENY policies, and is not.
struct Closed<'w> {
    port: &'w WorkloadPort,
    /// The chain of which the request is shown.
    chain: Chain,
    request: Request,
}

fn closed(ctx: &Context<'_>, workloads: &[WorkloadId]) -> Option<Finding> {
    let id = *workloads.first()?;
    let workload = ctx.mesh.workload(id);
    let ids = certain(workload.policies.iter())?;
    let acts = |action| ids.iter().filter(move |id| enforces(ctx, **id, action));
    if acts(Action::Deny).next().is_none()
        || acts(Action::Allow).next().is_none()
        || acts(Action::Custom).next().is_some()
    {
        return None;
    }
    let kind = match workload.enforcement_point()? {
        EnforcementPoint::Ztunnel => Kind::Ztunnel,
        _ => Kind::Sidecar,
    };
    let point =
        Point { spot: Spot::Workload(id), cluster: cluster_of(ctx, workload), kind, policies: ids.clone() };
    if point.is_unsettled(ctx.mesh) {
        return None;
    }
    let policies = point.read(ctx.mesh);
    let allowing: Vec<Policy<'_>> = policies
        .iter()
        .copied()
        .filter(|policy| policy.action() == Action::Allow && !policy.is_dry_run())
        .collect();
    let ports: Vec<&WorkloadPort> = captured_ports(workload).take(PORTS).collect();
    let mut found: Vec<Closed<'_>> = Vec::new();
    let mut open = 0;
    for port in ports {
        if ids.iter().any(|id| denies_all(ctx, *id, workload, port)) {
            return None;
        }
        match at_port(ctx, &point, &policies, &allowing, workload, port)? {
            Fate::Closed(closed) => found.push(*closed),
            Fate::Open => open += 1,
            Fate::NeverMeant => {}
        }
    }
    finding(ctx, workloads, &point, policies, found, open)
}

/// What becomes of a port.
enum Fate<'w> {
    /// Somebody gets in.
    Open,
    /// Nobody does, with or without the DENY policies.
    NeverMeant,
    /// Whoever ALLOW lets in, DENY refuses.
    Closed(Box<Closed<'w>>),
}

/// Nothing when a limit was hit.
fn at_port<'w>(
    ctx: &Context<'_>,
    point: &Point,
    policies: &[Policy<'_>],
    allowing: &[Policy<'_>],
    workload: &Workload,
    port: &'w WorkloadPort,
) -> Option<Fate<'w>> {
    let probe = [RequestBox::of(vec![Clause::any(Variable::DestinationPort, vec![Test::Port(port.number)])])];
    let mut shown = None;
    for engine in engines(workload, port) {
        let chain = context_of(ctx.mesh, point.cluster, engine);
        // Whoever has no identity gets no connection under STRICT.
        let domain = Domain { plaintext: !is_strict(port), ..Domain::default() };
        let space = Space::with_probes(policies, &chain, &domain, &probe);
        if space.find_in(Outcome::Allowed, 0).ok()?.is_some() {
            return Some(Fate::Open);
        }
        let named = Domain { plaintext: false, ..Domain::default() };
        for domain in [named, domain] {
            let without = Space::with_probes(allowing, &chain, &domain, &probe);
            if let Some(request) = without.find_in(Outcome::Allowed, 0).ok()? {
                shown = shown.or(Some(Closed { port, chain: chain.clone(), request: *request }));
            }
        }
    }
    Some(shown.map_or(Fate::NeverMeant, |closed| Fate::Closed(Box::new(closed))))
}

fn is_strict(port: &WorkloadPort) -> bool {
    port.mode.mode.is(&MtlsMode::Strict)
}

fn engines(workload: &Workload, port: &WorkloadPort) -> Vec<Engine> {
    if workload.enforcement_point() == Some(EnforcementPoint::Ztunnel) {
        return vec![Engine::Ztunnel];
    }
    match port.protocol.known() {
        Some(ProtocolClass::Http) => vec![Engine::EnvoyHttp],
        Some(ProtocolClass::Tcp) => vec![Engine::EnvoyTcp],
        _ => vec![Engine::EnvoyHttp, Engine::EnvoyTcp],
    }
}

fn enforces(ctx: &Context<'_>, id: ResourceId, action: Action) -> bool {
    ctx.policies.get(id).is_some_and(|policy| policy.enforces(action))
}

/// A single rule closes the port, which `deny-all-gap` tells.
fn denies_all(ctx: &Context<'_>, id: ResourceId, workload: &Workload, port: &WorkloadPort) -> bool {
    let Some(policy) = ctx.policies.get(id).filter(|policy| policy.enforces(Action::Deny)) else {
        return false;
    };
    let is_tcp = engines(workload, port) == [Engine::EnvoyTcp];
    policy.rules.iter().any(|rule| {
        rule.denies_everything(Some(port))
            || (is_tcp && rule.denies_every_connection(Some(port)))
            || rule.denies_every_identity(port)
    })
}

fn finding(
    ctx: &Context<'_>,
    workloads: &[WorkloadId],
    point: &Point,
    policies: Vec<Policy<'_>>,
    found: Vec<Closed<'_>>,
    open: usize,
) -> Option<Finding> {
    let workload = ctx.mesh.workload(*workloads.first()?);
    let numbers: Vec<String> = found.iter().map(|closed| closed.port.number.to_string()).collect();
    let first = found.into_iter().next()?;
    let at = At { policies, chain: first.chain };
    let evaluation = evaluate(&at.policies, &first.request, &at.chain);
    let rule = |evaluation: &meshproof_authz::Evaluation, action: Action| {
        let rules = point.policies.iter().enumerate().filter(|(_, id)| enforces(ctx, **id, action));
        let mut rules = rules.flat_map(|(place, id)| {
            let count = ctx.policies.get(*id).map_or(0, |policy| policy.rules.len());
            (0..count).map(move |rule| (place, (*id, rule)))
        });
        rules.find(|(place, rule)| matches(evaluation, *place, rule.1)).map(|(_, rule)| rule)
    };
    let (deny, allow) = (rule(&evaluation, Action::Deny)?, rule(&evaluation, Action::Allow)?);
    let places = [deny, allow];
    let holds = |evaluation: &meshproof_authz::Evaluation| {
        evaluation.decision == Decision::Deny
            && rule(evaluation, Action::Deny) == Some(deny)
            && rule(evaluation, Action::Allow) == Some(allow)
    };
    let request =
        with_known_caller(ctx, &at, first.request, |request, decider| holds(&decider.evaluate(request)));
    let near = together(ctx, deny.0, allow.0) >= Level::Warning;
    let level = match near && is_settled(ctx, workload) {
        true => Level::Error,
        false => Level::Warning,
    };
    let names = named(ctx, workloads);
    let on = match (open, numbers.as_slice()) {
        (0, _) => String::new(),
        (_, [one]) => format!(" on port {one}"),
        (_, many) => format!(" on ports {}", many.join(", ")),
    };
    let [denying, allowing] =
        places.map(|rule| ctx.policies.get(rule.0).map(|policy| policy.name()).unwrap_or_default());
    let message = format!(
        "nobody can reach {names}{on}: whoever ALLOW policies such as {allowing} let in, DENY policies such as {denying} refuse"
    );
    let reasons = vec![
        format!("{} would let it in", rule_name(ctx, allow)),
        format!("{} matches as well, and DENY comes first", rule_name(ctx, deny)),
        "so it is with every request that some ALLOW rule matches".to_owned(),
    ];
    let [written_deny, written_allow] = places.map(|place| rule_of(ctx, place));
    let (written_deny, written_allow) = (written_deny?, written_allow?);
    let shown = witness(ctx, point, &at, &request, &[written_allow, written_deny], reasons);
    let policy = ctx.policies.get(deny.0)?;
    let label = Label::new(rule_span(written_deny), "denies whoever is let in");
    Some(
        Finding::new(ID, level, Category::Outage, message, label)
            .with_resource(policy.meta.resource_name())
            .with_related(rule_span(written_allow), "whoever this lets in is denied")
            .with_related(ctx.workload_span(workload), "nobody reaches this workload")
            .with_confidence(Confidence::High)
            .with_witness(shown)
            .with_help("add the callers that ALLOW policies name to the exceptions of the DENY, or the other way round"),
    )
}

/// `a`, `a and b`, `a, b and 3 more`.
fn named(ctx: &Context<'_>, workloads: &[WorkloadId]) -> String {
    let name = |id: &WorkloadId| ctx.workload_name(ctx.mesh.workload(*id));
    match workloads {
        [] => String::new(),
        [one] => name(one),
        [one, two] => format!("{} and {}", name(one), name(two)),
        [one, two, rest @ ..] => format!("{}, {} and {} more", name(one), name(two), rest.len()),
    }
}
