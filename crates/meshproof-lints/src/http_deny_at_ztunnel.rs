//! `http-deny-at-ztunnel`: DENY policies about HTTP where ztunnel, which sees connections only, enforces them
//! (ambient reference, behaviours 10 and 11; authorization-policy reference §5.3).

use meshproof_authz::Engine;
use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Capture, NamespaceId, Workload, WorkloadPort};
use meshproof_resources::{Action, Rule};
use meshproof_source::Span;

use crate::Context;
use crate::context::captured_ports;
use crate::hash::Map;
use crate::network::may_be_shielded;
use crate::never_matches::RuleFacts;
use crate::peers::takes_plaintext;
use crate::policies::Policy;
use crate::proof::{MANY, cluster_of, fate_at, fate_of, is_settled};
use crate::witnesses::{meant_caller, request_as};

const ID: &str = "http-deny-at-ztunnel";

/// One rule at one workload.
struct Place<'a> {
    policy: &'a Policy<'a>,
    rule: &'a RuleFacts<'a>,
    field: (Span, &'a str),
    workload: &'a Workload,
    port: &'a WorkloadPort,
}

/// Workloads looked at per policy: one may show what another does not.
const TRIED: usize = 4;

/// Runs the lint: one finding per policy.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut captured: Map<NamespaceId, Vec<&Workload>> = Map::default();
    let mut everywhere = Vec::new();
    for workload in ctx.mesh.workloads.iter().filter(|workload| workload.capture.is(&Capture::Ambient)) {
        captured.entry(workload.namespace).or_default().push(workload);
        everywhere.push(workload);
    }
    if everywhere.is_empty() {
        return Vec::new();
    }
    let about_http = |policy: &&Policy<'_>| {
        policy.enforces(Action::Deny) && policy.rules.iter().any(|rule| rule.beyond_ztunnel().is_some())
    };
    let mut findings = Vec::new();
    for policy in ctx.policies.iter().filter(about_http) {
        let Some(namespace) = policy.namespace else { continue };
        let guarded = match &policy.spec.selector {
            _ if ctx.is_root(namespace) => everywhere.clone(),
            Some(selector) if policy.has_selector() => {
                let found = ctx.labels.find(ctx.mesh, namespace, &selector.match_labels);
                found.into_iter().map(|id| ctx.mesh.workload(id)).collect()
            }
            _ => captured
                .get(&namespace)
                .map_or_else(Vec::new, |list| list.iter().copied().take(TRIED).collect()),
        };
        let guarded = guarded.into_iter().filter(|workload| {
            workload.capture.is(&Capture::Ambient) && workload.policies.get(policy.id).is_some()
        });
        let mut found: Vec<Finding> =
            guarded.take(TRIED).filter_map(|workload| at_workload(ctx, policy, workload)).collect();
        // A proof at one of them is enough.
        found.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        findings.extend(found.into_iter().next());
    }
    findings
}

fn at_workload<'c>(ctx: &'c Context<'_>, policy: &'c Policy<'c>, workload: &'c Workload) -> Option<Finding> {
    policy.rules.iter().take(MANY).filter(|rule| rule.dead.is_empty()).find_map(|rule| {
        let field = rule.beyond_ztunnel()?;
        let port = captured_ports(workload).find(|port| rule.is_about(port))?;
        let place = Place { policy, rule, field, workload, port };
        lost(ctx, &place).or_else(|| widened(ctx, &place))
    })
}

/// An HTTP request from `from`, shaped after a rule or not at all.
fn http(
    ctx: &Context<'_>,
    place: &Place<'_>,
    from: String,
    rule: Option<&Rule>,
    decision: Decision,
    because: Vec<String>,
) -> Witness {
    request_as(ctx, true, from, place.workload, Some(place.port), rule, decision, because)
}

/// What the policy alone makes of a request.
fn alone(ctx: &Context<'_>, place: &Place<'_>, engine: Engine, witness: &Witness) -> Option<Decision> {
    fate_of(ctx, &[place.policy.id], engine, cluster_of(ctx, place.workload), witness)
}

/// Callers to try: whom the rule means, somebody without identity where that is possible, somebody else.
fn callers(ctx: &Context<'_>, place: &Place<'_>) -> Vec<String> {
    let meant = meant_caller(ctx, place.rule.rule, &[]);
    let anonymous = takes_plaintext(place.port).then(|| "plaintext".to_owned());
    let meant = (meant != "plaintext").then_some(meant);
    meant.into_iter().chain(anonymous).chain(["elsewhere/anybody".to_owned()]).collect()
}

fn finding(
    ctx: &Context<'_>,
    place: &Place<'_>,
    category: Category,
    message: String,
    label: String,
    witness: Witness,
) -> Finding {
    let sure = is_settled(ctx, place.workload)
        && (category != Category::Hole || !may_be_shielded(ctx, place.workload));
    let level = if sure { Level::Error } else { Level::Warning };
    Finding::new(ID, level, category, message, Label::new(place.field.0, label))
        .with_resource(place.policy.meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_related(ctx.workload_span(place.workload), "captured by ztunnel")
        .with_witness(witness)
        .with_help("give the Service a waypoint and name the Service in `targetRefs`: waypoints see HTTP. Policies with a selector never reach a waypoint")
}

/// ztunnel leaves the rule out, and what it means to refuse passes.
fn lost(ctx: &Context<'_>, place: &Place<'_>) -> Option<Finding> {
    let field = place.field.1;
    let rule = Some(place.rule.rule);
    let from = callers(ctx, place).into_iter().find(|from| {
        let witness = http(ctx, place, from.clone(), rule, Decision::Allow, Vec::new());
        alone(ctx, place, Engine::EnvoyHttp, &witness) == Some(Decision::Deny)
            && fate_at(ctx, place.workload, Some(place.port), &witness) == Some(Decision::Allow)
    })?;
    let because = vec![
        format!(
            "ztunnel sees connections, not HTTP, and leaves a DENY rule out whose `{field}` it cannot test"
        ),
        "nothing else refuses the connection".to_owned(),
    ];
    let name = place.policy.name();
    let message = format!(
        "{name} does not deny what it says at {}: ztunnel leaves the rule with `{field}` out",
        ctx.workload_name(place.workload)
    );
    let witness = http(ctx, place, from, rule, Decision::Allow, because);
    let label = format!("ztunnel cannot test `{field}`");
    Some(finding(ctx, place, Category::Hole, message, label, witness))
}

/// ztunnel leaves out the field alone, and more is refused than is meant.
fn widened(ctx: &Context<'_>, place: &Place<'_>) -> Option<Finding> {
    let field = place.field.1;
    let methods = ["GET", "POST", "PUT", "DELETE"];
    let other = callers(ctx, place).into_iter().flat_map(|from| methods.map(|method| (from.clone(), method)));
    let witness = other
        .map(|(from, method)| {
            let mut witness = http(ctx, place, from, None, Decision::Deny, Vec::new());
            witness.method = Some(method.to_owned());
            witness
        })
        .find(|witness| {
            alone(ctx, place, Engine::EnvoyHttp, witness) == Some(Decision::Allow)
                && alone(ctx, place, Engine::Ztunnel, witness) == Some(Decision::Deny)
        })?;
    let because = vec![
        format!("ztunnel sees connections, not HTTP, so `{field}` counts as matching"),
        "what is left of the rule matches every such connection".to_owned(),
    ];
    let name = place.policy.name();
    let message = format!(
        "{name} denies more than it says at {}: for ztunnel `{field}` always matches",
        ctx.workload_name(place.workload)
    );
    let label = format!("ztunnel cannot test `{field}`");
    Some(finding(ctx, place, Category::Outage, message, label, Witness { because, ..witness }))
}
