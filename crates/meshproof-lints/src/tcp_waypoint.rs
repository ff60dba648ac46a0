//! `tcp-waypoint`: rules about HTTP at a waypoint, for a port that carries TCP (waypoint reference, behaviour 14;
//! authorization-policy reference §5.2).

use std::collections::BTreeMap;

use meshproof_authz::Engine;
use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Called, Fact, GatewayId, ResourceId, ServiceId, Workload, WorkloadPort};
use meshproof_source::Span;

use crate::Context;
use crate::policies::Policy;
use crate::proof::{certain, cluster_of, fate_of, is_settled};
use crate::waypoint_calls::{at_waypoint, calls};

const ID: &str = "tcp-waypoint";
/// Workloads looked at per Service, and policies.
const TRIED: usize = 4;

/// A call that is refused because its port carries TCP.
struct Refused<'c> {
    policy: &'c Policy<'c>,
    field: (Span, &'c str),
    workload: &'c Workload,
    port: &'c WorkloadPort,
    witness: Witness,
}

/// Runs the lint: one finding per policy.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    if ctx.mesh.gateways.is_empty() {
        return Vec::new();
    }
    let mut found: BTreeMap<ResourceId, Finding> = BTreeMap::new();
    for service in (0..ctx.mesh.services.len() as u32).map(ServiceId) {
        let called = Called::Service(service);
        let carries_tcp = |class: ProtocolClass| class == ProtocolClass::Tcp;
        if !ctx.mesh.chain_ports(called).iter().any(|port| carries_tcp(port.class)) {
            continue;
        }
        let Fact::Known(binding, _) = ctx.mesh.waypoint_of(called) else { continue };
        let Some((waypoint, _)) = ctx.mesh.enforcing_waypoints(&binding).next() else { continue };
        if let Some(refused) = refused(ctx, service, waypoint) {
            let id = refused.policy.id;
            found.entry(id).or_insert_with(|| finding(ctx, service, waypoint, refused));
        }
    }
    found.into_values().collect()
}

fn refused<'c>(ctx: &'c Context<'_>, service: ServiceId, waypoint: GatewayId) -> Option<Refused<'c>> {
    let attached =
        certain(ctx.mesh.waypoint_policies(waypoint, Called::Service(service)).authorization.iter())?;
    let about_http = attached.iter().filter_map(|id| ctx.policies.get(*id)).filter_map(|policy| {
        let field = policy.rules.iter().find_map(|facts| facts.http_field())?;
        (!policy.dry_run).then_some((policy, field))
    });
    let workloads = || ctx.mesh.services[service.index()].workloads.iter().take(TRIED);
    about_http.take(TRIED).find_map(|(policy, field)| {
        workloads().map(|id| ctx.mesh.workload(*id)).find_map(|workload| {
            let cluster = cluster_of(ctx, workload);
            let mut tried = calls(ctx, policy, workload).filter(|(_, port)| {
                port.protocol.is(&ProtocolClass::Tcp)
                    && port.bindings.iter().any(|binding| binding.service == service)
            });
            // As HTTP it would get in, and without this policy as well.
            let others: Vec<ResourceId> = attached.iter().copied().filter(|id| *id != policy.id).collect();
            let (witness, port) = tried.find(|(witness, port)| {
                let as_http =
                    Witness { method: Some("GET".to_owned()), path: Some("/".to_owned()), ..witness.clone() };
                at_waypoint(ctx, &attached, workload, port, witness) == Some(Decision::Deny)
                    && fate_of(ctx, &attached, Engine::EnvoyHttp, cluster, &as_http) == Some(Decision::Allow)
                    && at_waypoint(ctx, &others, workload, port, witness) == Some(Decision::Allow)
            })?;
            Some(Refused { policy, field, workload, port, witness })
        })
    })
}

fn finding(ctx: &Context<'_>, service: ServiceId, waypoint: GatewayId, refused: Refused<'_>) -> Finding {
    let Refused { policy, field: (span, field), workload, port, witness } = refused;
    let name = policy.meta.resource_name();
    let object = ctx.resource(ctx.mesh.services[service.index()].resource).meta.resource_name();
    let gateway = ctx.mesh.gateway_display(waypoint);
    let message = format!(
        "{name} refuses every connection to a port of {object}: the port carries TCP, and at waypoint {gateway} nothing there has `{field}`"
    );
    let because = vec![
        format!("waypoint {gateway} gives the port a chain for TCP"),
        format!("there `{field}` is left out: a DENY is wider for it, an ALLOW lets nobody in"),
        "as HTTP it would get in".to_owned(),
    ];
    let sure = is_settled(ctx, workload);
    let mut finding = Finding::new(
        ID,
        if sure { Level::Error } else { Level::Warning },
        Category::Outage,
        message,
        Label::new(span, "there is no HTTP at this port"),
    )
    .with_resource(name)
    .with_confidence(if sure { Confidence::High } else { Confidence::Medium })
    .with_witness(Witness { decision: Decision::Deny, because, ..witness })
    .with_help("name the Service port `http` or set its appProtocol, if that is what it speaks; otherwise leave HTTP out of policies for this Service");
    if let Some(span) = port.protocol.span() {
        finding = finding.with_related(span, "says that the port carries TCP");
    }
    finding
}
