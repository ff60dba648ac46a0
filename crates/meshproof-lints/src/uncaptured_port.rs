//! `uncaptured-port`: ports whose traffic goes around the proxy although something is meant to guard them
//! (mutual-TLS reference §4.5).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{PortCapture, ResourceId, Workload, WorkloadPort};
use meshproof_resources::{Action, MtlsMode, Rule, Spec, Text};
use meshproof_source::Span;

use crate::Context;
use crate::context::{captured_ports, served_ports};
use crate::hash::Set;
use crate::network::may_be_shielded;
use crate::peers::is_protected;
use crate::policies::Policy;
use crate::proof::{MANY, fate_at, is_settled};
use crate::witnesses::request;

const ID: &str = "uncaptured-port";

/// What was meant to guard a port.
#[derive(Clone, Copy)]
enum Guard<'a> {
    /// A rule that names the port.
    Rule(&'a Policy<'a>, &'a Rule, Span),
    /// An entry for the port in a PeerAuthentication.
    Entry(ResourceId, Span),
    /// Policies of the workload, of which nothing is left when no other port is captured.
    Policies { nothing_else: bool },
    /// STRICT for more than this port.
    Strict(Span),
}

struct Place<'a> {
    workload: &'a Workload,
    port: &'a WorkloadPort,
    guard: Guard<'a>,
}

/// Runs the lint: one finding per annotation, and one per rule about a port that no proxy ever sees.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut places: BTreeMap<(u32, u32), (Span, Vec<Place<'_>>)> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut told = Set::default();
    for workload in ctx.mesh.workloads.iter().filter(|workload| is_protected(workload)) {
        for port in &workload.ports {
            let PortCapture::Excluded { by } = &port.capture else { continue };
            match by {
                Some(by) => {
                    let Some(guard) = guard(ctx, workload, port, *by) else { continue };
                    let (_, list) =
                        places.entry((by.source.0, by.start)).or_insert_with(|| (*by, Vec::new()));
                    list.push(Place { workload, port, guard });
                }
                None => {
                    let named = naming(ctx, workload, port.number);
                    let fresh = named.filter(|(_, _, span)| told.insert(*span));
                    findings.extend(fresh.map(|named| never_seen(ctx, workload, port, named)));
                }
            }
        }
    }
    findings.extend(places.values().filter_map(|(by, places)| excluded(ctx, *by, places)));
    findings
}

/// The first enforced policy with a rule that names the port.
fn naming<'c>(
    ctx: &'c Context<'_>,
    workload: &Workload,
    port: u16,
) -> Option<(&'c Policy<'c>, &'c Rule, Span)> {
    let certain = workload.policies.iter().take(MANY).filter(|attachment| attachment.certain.is_ok());
    let policies = certain.filter_map(|attachment| ctx.policies.get(attachment.policy));
    policies.filter(|policy| policy.enforces(Action::Allow) || policy.enforces(Action::Deny)).find_map(
        |policy| {
            let rules = policy.spec.rules.iter();
            rules.into_iter().find_map(|rule| Some((policy, rule, place_of_port(rule, port)?)))
        },
    )
}

/// Where a rule names a port.
fn place_of_port(rule: &Rule, port: u16) -> Option<Span> {
    let by_operation = rule.to.iter().flat_map(|operation| operation.ports.values.iter());
    let conditions = rule.when.iter().filter(|condition| condition.key.value == "destination.port");
    let by_condition = conditions.flat_map(|condition| condition.values.values.iter());
    let is = |value: &&Text| value.value.trim().parse() == Ok(port);
    by_operation.chain(by_condition).find(is).map(|value| value.span)
}

fn guard<'c>(ctx: &'c Context<'_>, workload: &Workload, port: &WorkloadPort, by: Span) -> Option<Guard<'c>> {
    // With listeners of its own a sidecar that intercepts nothing is called all the same.
    let served = served_ports(workload).any(|served| served.number == port.number);
    if workload.sidecar.is_some() && ctx.sources.snippet(by).contains("NONE") {
        return None;
    }
    if let Some((policy, rule, span)) = naming(ctx, workload, port.number) {
        return Some(Guard::Rule(policy, rule, span));
    }
    let strict = port.mode.mode.is(&MtlsMode::Strict);
    let decider = port.mode.decided_by.and_then(|id| Some((id, ctx.mesh.peer_authentication(id)?)));
    let entry = decider.and_then(|(id, policy)| {
        let (_, mode) = policy.port_level.iter().find(|(number, _)| number.value == port.number)?;
        (mode.value == MtlsMode::Strict).then_some(Guard::Entry(id, mode.span))
    });
    if entry.is_some() || !served {
        return entry;
    }
    let anybody =
        |decision| request(ctx, "plaintext".to_owned(), workload, Some(port), None, decision, Vec::new());
    if fate_at(ctx, workload, Some(port), &anybody(Decision::Deny)) == Some(Decision::Deny) {
        return Some(Guard::Policies { nothing_else: captured_ports(workload).next().is_none() });
    }
    port.mode.mode.span().filter(|_| strict).map(Guard::Strict)
}

fn excluded(ctx: &Context<'_>, by: Span, places: &[Place<'_>]) -> Option<Finding> {
    let level = |place: &Place<'_>| level_of(ctx, place);
    let place = places.iter().max_by_key(|place| (level(place), std::cmp::Reverse(place.port.number)))?;
    let level = level(place);
    let (workload, port) = (place.workload, place.port);
    let (guard, related) = match place.guard {
        Guard::Rule(policy, _, span) => {
            (policy.meta.resource_name().to_string(), Some((span, "this rule about the port is never asked")))
        }
        Guard::Entry(id, span) => (
            ctx.resource(id).meta.resource_name().to_string(),
            Some((span, "STRICT for this port is not enforced")),
        ),
        Guard::Policies { .. } => ("no policy".to_owned(), None),
        Guard::Strict(span) => ("STRICT".to_owned(), Some((span, "does not hold for this port"))),
    };
    let rest = match places.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let name = format!("{}:{}", ctx.workload_name(workload), port.number);
    let message = match place.guard {
        Guard::Policies { .. } => format!(
            "{name}{rest} is open to everybody: its traffic does not pass the proxy, so no policy is asked"
        ),
        _ => format!(
            "{name}{rest} is open to everybody: its traffic does not pass the proxy, and {guard} is not enforced"
        ),
    };
    let keeps = match annotation(ctx, workload, by) {
        Some(key) => format!("{key} keeps the port from the proxy"),
        None => "the settings of the installation keep the port from the proxy".to_owned(),
    };
    let mut finding = Finding::new(ID, level, Category::Hole, message, Label::new(by, keeps.clone()))
        .with_resource(ctx.resource(workload.resource).meta.resource_name())
        .with_confidence(if level == Level::Error { Confidence::High } else { Confidence::Medium })
        .with_help(
            "let the proxy see the port; a port that must stay outside needs a NetworkPolicy of its own",
        );
    if let Some((span, text)) = related {
        finding = finding.with_related(span, text);
    }
    if level == Level::Error {
        let rule = match place.guard {
            Guard::Rule(_, rule, _) => Some(rule),
            _ => None,
        };
        let because = vec![keeps, "without the proxy there is neither mTLS nor a policy".to_owned()];
        finding = finding.with_witness(request(
            ctx,
            "plaintext".to_owned(),
            workload,
            Some(port),
            rule,
            Decision::Allow,
            because,
        ));
    }
    Some(finding)
}

/// Exceptions are made on purpose: an error is only what contradicts something said about this very port, or what
/// leaves nothing of the policies of a workload.
fn level_of(ctx: &Context<'_>, place: &Place<'_>) -> Level {
    let (workload, port) = (place.workload, place.port);
    let sure = is_settled(ctx, workload) && !may_be_shielded(ctx, workload);
    let refused = |rule: Option<&Rule>| {
        let witness =
            request(ctx, "plaintext".to_owned(), workload, Some(port), rule, Decision::Deny, Vec::new());
        fate_at(ctx, workload, Some(port), &witness) == Some(Decision::Deny)
    };
    match place.guard {
        Guard::Rule(_, rule, _) if sure && refused(Some(rule)) => Level::Error,
        Guard::Entry(..) if sure && port.mode.shadowed.is_empty() => Level::Error,
        Guard::Policies { nothing_else: true } if sure => Level::Error,
        Guard::Strict(_) => Level::Info,
        _ => Level::Warning,
    }
}

/// The key of the annotation with this value.
pub(crate) fn annotation<'c>(ctx: &'c Context<'_>, workload: &Workload, value: Span) -> Option<&'c str> {
    let Spec::Workload(spec) = &ctx.resource(workload.resource).spec else { return None };
    let annotations = &spec.template.as_ref()?.annotations.entries;
    annotations.iter().find(|(_, text)| text.span == value).map(|(key, _)| key.value.as_str())
}

/// Rules about ports that no proxy ever sees: datagrams, and the ports of the sidecar itself.
fn never_seen(
    ctx: &Context<'_>,
    workload: &Workload,
    port: &WorkloadPort,
    (policy, _, span): (&Policy<'_>, &Rule, Span),
) -> Finding {
    let name = policy.meta.resource_name();
    let what = if port.protocol.is(&ProtocolClass::Udp) {
        "carries datagrams, which no proxy sees"
    } else {
        "belongs to the sidecar, which lets everybody in there"
    };
    let message =
        format!("{name} does not guard {}:{}: the port {what}", ctx.workload_name(workload), port.number);
    Finding::new(
        ID,
        Level::Warning,
        Category::Hole,
        message,
        Label::new(span, format!("port {} {what}", port.number)),
    )
    .with_resource(name)
    .with_confidence(Confidence::Medium)
    .with_related(port.declared.unwrap_or_else(|| ctx.workload_span(workload)), "this port")
    .with_help("restrict the port with a NetworkPolicy")
}
