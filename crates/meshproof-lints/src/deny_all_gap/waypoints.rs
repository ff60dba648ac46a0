//! Services behind a waypoint whose policies let nobody in: each Service is judged by what stands in its own chains,
//! since policies that name the Gateway and policies that name the Service add up there (waypoint reference, N4).

use std::collections::BTreeMap;

use meshproof_authz::Engine;
use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Called, Fact, GatewayId, ResourceId, ServiceId, service_port_class};
use meshproof_resources::Action;

use super::closed::SHOWN;
use super::{ID, listed};
use crate::Context;
use crate::hash::Set;
use crate::never_matches::{Cause, Never};
use crate::policies::Policy;
use crate::proof::{certain, cluster_of, fate_of};
use crate::witnesses::{caller_other_than, request_as};

/// A Service that nobody may reach through its waypoint.
struct Shut {
    service: ServiceId,
    waypoint: GatewayId,
    /// Everything that stands in its chains.
    policies: Vec<ResourceId>,
}

/// One finding per policy that lets nobody in at some Service that no other policy opens.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    if ctx.mesh.gateways.is_empty() {
        return Vec::new();
    }
    let mut shut: Vec<Shut> = Vec::new();
    let mut misses: BTreeMap<ResourceId, Vec<usize>> = BTreeMap::new();
    let mut alive: Set<ResourceId> = Set::default();
    for service in (0..ctx.mesh.services.len() as u32).map(ServiceId) {
        let called = Called::Service(service);
        let Fact::Known(binding, _) = ctx.mesh.waypoint_of(called) else { continue };
        let Some((waypoint, _)) = ctx.mesh.enforcing_waypoints(&binding).next() else { continue };
        let attached = ctx.mesh.waypoint_policies(waypoint, called);
        let Some(policies) = certain(attached.authorization.iter()) else { continue };
        let allows = || policies.iter().filter_map(|id| ctx.policies.get(*id)).filter(is_allow);
        let opens = |policy: &&Policy<'_>| policy.rules.iter().any(|rule| rule.dead.is_empty());
        if allows().any(|policy| opens(&policy)) {
            alive.extend(allows().filter(opens).map(|policy| policy.id));
            continue;
        }
        for policy in allows().filter(|policy| !policy.rules.is_empty()) {
            misses.entry(policy.id).or_default().push(shut.len());
        }
        shut.push(Shut { service, waypoint, policies });
    }
    let found = misses.iter().filter_map(|(id, at)| {
        let places: Vec<&Shut> = at.iter().filter_map(|at| shut.get(*at)).collect();
        finding(ctx, ctx.policies.get(*id)?, &places, alive.contains(id))
    });
    found.collect()
}

fn is_allow(policy: &&Policy<'_>) -> bool {
    policy.enforces(Action::Allow)
}

/// Whether every chain of a Service carries TCP. That rules with HTTP fields are dropped there is told by `tcp-waypoint`.
fn is_tcp(ctx: &Context<'_>, service: ServiceId) -> bool {
    let ports = ctx.mesh.service_spec(service).map_or(&[][..], |spec| &spec.ports);
    !ports.is_empty() && ports.iter().all(|port| service_port_class(port) == ProtocolClass::Tcp)
}

fn finding(ctx: &Context<'_>, policy: &Policy<'_>, places: &[&Shut], is_alive: bool) -> Option<Finding> {
    let Shut { service, waypoint, policies } = places.first()?;
    let all: Vec<&Never> = policy.rules.iter().flat_map(|rule| &rule.dead).collect();
    let first = *all.first()?;
    let name_of = |place: &&Shut| {
        let meta = &ctx.resource(ctx.mesh.services[place.service.index()].resource).meta;
        meta.resource_name().to_string()
    };
    let names: Vec<String> = places.iter().map(name_of).collect();
    let gateway = ctx.mesh.gateway_display(*waypoint);
    let message = format!(
        "nobody can reach {} through waypoint {gateway}: no rule of {} can match",
        listed(&names),
        policy.name()
    );
    let known = &ctx.mesh.services[service.index()];
    let workload = known.workloads.first().map(|id| ctx.mesh.workload(*id))?;
    let port = workload.ports.iter().find(|port| port.bindings.iter().any(|at| at.service == *service));
    let rule = policy.rules.first()?;
    let from = caller_other_than(Some(workload), ctx, rule.rule, &rule.dead);
    let http = !is_tcp(ctx, *service);
    let because = vec![
        format!("waypoint {gateway} takes the calls to the Service"),
        format!(
            "{} ALLOW {} there, and none of their rules matches",
            policies.len(),
            match policies.len() {
                1 => "policy applies",
                _ => "policies apply",
            }
        ),
    ];
    let witness = request_as(ctx, http, from, workload, port, Some(rule.rule), Decision::Deny, because);
    let engine = if http { Engine::EnvoyHttp } else { Engine::EnvoyTcp };
    let is_refused =
        fate_of(ctx, policies, engine, cluster_of(ctx, workload), &witness) == Some(Decision::Deny);
    let is_mistake =
        |reason: &&Never| reason.certain && matches!(reason.cause, Cause::Identity | Cause::Value);
    let proven = !is_alive
        && is_refused
        && all.iter().all(is_mistake)
        && !ctx.has_external_policies(known.namespace)
        && !ctx.is_incomplete(known.namespace);
    let level = if proven { Level::Error } else { Level::Warning };
    let mut finding =
        Finding::new(ID, level, Category::Outage, message, Label::new(first.span, first.reason.clone()))
            .with_resource(policy.meta.resource_name())
            .with_confidence(Confidence::Medium);
    for reason in all.iter().skip(1).take(SHOWN) {
        finding = finding.with_related(reason.span, reason.reason.clone());
    }
    finding =
        finding.with_related(ctx.resource(known.resource).meta.name_span(), "nobody reaches this Service");
    if is_refused {
        finding = finding.with_witness(witness);
    }
    for reason in all.iter().filter(|reason| reason.certain) {
        if let Some(fix) = &reason.fix {
            finding = finding.with_edit(ctx.inner(reason.span), fix.clone());
        }
    }
    Some(finding.with_help("write the value as it arrives; policies that name the Gateway and policies that name the Service add up at a waypoint"))
}
