//! `ambient-mtls-mismatch`: ports where ztunnel enforces another mode than the PeerAuthentications say.
//!
//! istiod converts PeerAuthentications for ztunnel in two steps that do not agree on every stack of objects (ambient
//! reference, C1, C3; Istio 1.32, serviceregistry/ambient/{policies,authorization,workloads}.go).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{AmbientPeerAuthentication, ResourceId, Workload, WorkloadPort};
use meshproof_resources::{MtlsMode, PeerAuthentication};

use crate::Context;
use crate::context::captured_ports;
use crate::network::may_be_shielded;
use crate::peers::written_mode;
use crate::proof::{fate_at, is_settled};
use crate::witnesses::request;

const ID: &str = "ambient-mtls-mismatch";

/// How ztunnel departs from what is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Departure {
    /// STRICT is written, plaintext is taken.
    Open,
    /// Plaintext is allowed in writing, and refused.
    Closed,
    /// DISABLE is written; mesh clients use mTLS all the same.
    Encrypted,
}

/// One port where it does.
struct Place<'a> {
    workload: &'a Workload,
    port: &'a WorkloadPort,
}

/// Runs the lint: one finding per object at fault and kind of departure.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut places: BTreeMap<(ResourceId, Departure), Vec<Place<'_>>> = BTreeMap::new();
    for workload in &ctx.mesh.workloads {
        let Some(ambient) = &workload.ambient else { continue };
        for port in captured_ports(workload) {
            if let Some((fault, departure)) = departure(ctx, workload, ambient, port) {
                places.entry((fault, departure)).or_default().push(Place { workload, port });
            }
        }
    }
    let finding = |((fault, departure), places): (&(ResourceId, Departure), &Vec<Place<'_>>)| {
        let policy = ctx.mesh.peer_authentication(*fault)?;
        match departure {
            Departure::Open => open(ctx, *fault, policy, places),
            Departure::Closed => closed(ctx, *fault, policy, places),
            Departure::Encrypted => encrypted(ctx, *fault, policy, places),
        }
    };
    places.iter().filter_map(finding).collect()
}

/// The object at fault and what becomes of the port.
fn departure(
    ctx: &Context<'_>,
    workload: &Workload,
    ambient: &AmbientPeerAuthentication,
    port: &WorkloadPort,
) -> Option<(ResourceId, Departure)> {
    let written = written_mode(ctx, port.number, &port.mode)?;
    let departure = match (written == MtlsMode::Strict, ambient.refuses_plaintext(port.number)) {
        (true, false) => Departure::Open,
        (false, true) => Departure::Closed,
        (false, false) if written == MtlsMode::Disable => Departure::Encrypted,
        _ => return None,
    };
    let decider = port.mode.decided_by.or(workload.mode.decided_by);
    let fault = match departure {
        Departure::Encrypted => decider?,
        _ => ambient.converted.or(decider)?,
    };
    Some((fault, departure))
}

/// `a:80`, and how many more there are.
fn named(ctx: &Context<'_>, place: &Place<'_>, places: &[Place<'_>]) -> String {
    let first = format!("{}:{}", ctx.workload_name(place.workload), place.port.number);
    match places.len() - 1 {
        0 => first,
        1 => format!("{first} and another port"),
        more => format!("{first} and {more} more ports"),
    }
}

fn plaintext(ctx: &Context<'_>, place: &Place<'_>, decision: Decision, because: Vec<String>) -> Witness {
    request(ctx, "plaintext".to_owned(), place.workload, Some(place.port), None, decision, because)
}

/// A mesh-wide object with an empty selector holds for sidecars; ztunnel is not told of it.
fn is_split(ctx: &Context<'_>, id: ResourceId, policy: &PeerAuthentication) -> bool {
    policy.selector.is_some() && ctx.namespace_of(id).is_some_and(|namespace| ctx.is_root(namespace))
}

fn open(
    ctx: &Context<'_>,
    id: ResourceId,
    policy: &PeerAuthentication,
    places: &[Place<'_>],
) -> Option<Finding> {
    let proven = |place: &&Place<'_>| {
        place.port.mode.shadowed.is_empty()
            && is_settled(ctx, place.workload)
            && !may_be_shielded(ctx, place.workload)
            && fate_at(
                ctx,
                place.workload,
                Some(place.port),
                &plaintext(ctx, place, Decision::Allow, Vec::new()),
            ) == Some(Decision::Allow)
    };
    let sure = places.iter().find(proven);
    let place = sure.or(places.first())?;
    let name = ctx.resource(id).meta.resource_name();
    let where_ = named(ctx, place, places);
    let split = is_split(ctx, id, policy);
    let (span, label, why, help) = if split {
        (
            policy.selector.as_ref()?.span,
            "ztunnel is only told of mesh-wide objects without a selector",
            format!(
                "{name} has a selector, and istiod leaves such objects of the root namespace out for ztunnel"
            ),
            "remove the empty selector",
        )
    } else {
        (
            policy.port_level.first().map_or(policy.span, |(port, _)| port.span),
            "this entry makes ztunnel wait for a rule that is never sent",
            format!(
                "the port entries of {name} replace the STRICT rule of ztunnel, and nothing is made from them that closes this port"
            ),
            "write `mtls: {mode: STRICT}` into this object, beside portLevelMtls, and name only the exceptions",
        )
    };
    let message =
        format!("{where_} takes plaintext although it is STRICT: ztunnel never gets a rule from {name}");
    let level = if sure.is_some() { Level::Error } else { Level::Warning };
    let mut finding = Finding::new(ID, level, Category::Hole, message, Label::new(span, label))
        .with_resource(name)
        .with_confidence(if sure.is_some() { Confidence::High } else { Confidence::Medium })
        .with_related(ctx.workload_span(place.workload), "captured by ztunnel")
        .with_help(help);
    if let Some(span) = place.port.mode.mode.span().filter(|_| !split) {
        finding = finding.with_related(span, "STRICT is asked for here");
    }
    if sure.is_some() {
        let because =
            vec![why, "ztunnel skips rules that it does not have and lets the connection in".to_owned()];
        finding = finding.with_witness(plaintext(ctx, place, Decision::Allow, because));
    }
    Some(finding)
}

/// Exceptions that ztunnel does not get (mutual-TLS reference §1.7 a; ambient reference C3.4).
fn closed(
    ctx: &Context<'_>,
    id: ResourceId,
    policy: &PeerAuthentication,
    places: &[Place<'_>],
) -> Option<Finding> {
    let place = places.first()?;
    let name = ctx.resource(id).meta.resource_name();
    let entry = policy.port_level.iter().find(|(port, _)| port.value == place.port.number);
    let span =
        entry.map(|(_, mode)| mode.span).or_else(|| policy.port_level.first().map(|(port, _)| port.span));
    let message = format!(
        "{} refuses plaintext although {name} allows it: ztunnel does not get the exception",
        named(ctx, place, places)
    );
    let because = vec![
        "STRICT holds for the other ports".to_owned(),
        "istiod turns an entry into an exception for ztunnel only beside a PERMISSIVE one or an explicit STRICT".to_owned(),
    ];
    Some(
        Finding::new(
            ID,
            Level::Warning,
            Category::Outage,
            message,
            Label::new(span.unwrap_or(policy.span), "has no effect on pods captured by ztunnel"),
        )
        .with_resource(name)
        .with_confidence(Confidence::Medium)
        .with_related(ctx.workload_span(place.workload), "captured by ztunnel")
        .with_witness(plaintext(ctx, place, Decision::Deny, because))
        .with_help("write PERMISSIVE instead of DISABLE, and `mtls: {mode: STRICT}` into the same object"),
    )
}

fn encrypted(
    ctx: &Context<'_>,
    id: ResourceId,
    policy: &PeerAuthentication,
    places: &[Place<'_>],
) -> Option<Finding> {
    let place = places.first()?;
    let name = ctx.resource(id).meta.resource_name();
    let entry = policy.port_level.iter().find(|(port, _)| port.value == place.port.number);
    let mode = entry.map(|(_, mode)| mode).filter(|mode| mode.value == MtlsMode::Disable);
    let span = mode.or(policy.mode.as_ref())?.span;
    let message = format!(
        "{name} does not disable mTLS at {}: for ztunnel DISABLE means PERMISSIVE",
        named(ctx, place, places)
    );
    Some(
        Finding::new(
            ID,
            Level::Info,
            Category::Dead,
            message,
            Label::new(span, "mesh clients use mTLS all the same"),
        )
        .with_resource(name)
        .with_related(ctx.workload_span(place.workload), "captured by ztunnel")
        .with_help("write PERMISSIVE, which says what happens; or STRICT, if no client without mTLS is left"),
    )
}
