//! Calls to try when a finding needs one that a policy refuses in one place and nothing refuses in another.

use meshproof_authz::Engine;
use meshproof_diagnostics::{Decision, Witness};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{ResourceId, Workload, WorkloadPort};
use meshproof_resources::Rule;

use crate::Context;
use crate::context::captured_ports;
use crate::peers::takes_plaintext;
use crate::policies::Policy;
use crate::proof::{cluster_of, fate_at, fate_of};
use crate::witnesses::{meant_caller, request_as};

/// Ports, and rules of a policy, that are tried.
const TRIED: usize = 4;

/// Calls to a workload, shaped after the rules of a policy or not at all: from whom the policy means, from somebody
/// without identity where that is possible, and from somebody else.
pub(crate) fn calls<'c>(
    ctx: &'c Context<'_>,
    policy: &'c Policy<'_>,
    workload: &'c Workload,
) -> impl Iterator<Item = (Witness, &'c WorkloadPort)> {
    let ports = captured_ports(workload).filter(|port| !port.bindings.is_empty());
    calls_at(ctx, policy, workload, ports)
}

/// The same to the pods themselves, whether a Service leads to a port or not.
pub(crate) fn calls_to_pods<'c>(
    ctx: &'c Context<'_>,
    policy: &'c Policy<'_>,
    workload: &'c Workload,
) -> impl Iterator<Item = (Witness, &'c WorkloadPort)> {
    calls_at(ctx, policy, workload, captured_ports(workload))
}

fn calls_at<'c>(
    ctx: &'c Context<'_>,
    policy: &'c Policy<'_>,
    workload: &'c Workload,
    ports: impl Iterator<Item = &'c WorkloadPort>,
) -> impl Iterator<Item = (Witness, &'c WorkloadPort)> {
    let rules = || [None].into_iter().chain(policy.spec.rules.iter().take(TRIED).map(Some));
    ports.take(TRIED).flat_map(move |port| {
        rules().flat_map(move |rule: Option<&Rule>| {
            let meant = rule.map(|rule| meant_caller(ctx, rule, &[]));
            let anonymous = takes_plaintext(port).then(|| "plaintext".to_owned());
            let from = anonymous.into_iter().chain(["elsewhere/anybody".to_owned()]).chain(meant);
            from.map(move |from| (call(ctx, from, workload, port, rule), port))
        })
    })
}

/// One such call from a caller that is given.
pub(crate) fn calls_from<'c>(
    ctx: &'c Context<'_>,
    from: &'c str,
    policy: &'c Policy<'_>,
    workload: &'c Workload,
) -> impl Iterator<Item = (Witness, &'c WorkloadPort)> {
    let ports = captured_ports(workload).filter(|port| !port.bindings.is_empty()).take(TRIED);
    let rules = || [None].into_iter().chain(policy.spec.rules.iter().take(TRIED).map(Some));
    ports.flat_map(move |port| {
        rules().map(move |rule| (call(ctx, from.to_owned(), workload, port, rule), port))
    })
}

fn call(
    ctx: &Context<'_>,
    from: String,
    workload: &Workload,
    port: &WorkloadPort,
    rule: Option<&Rule>,
) -> Witness {
    let http = !port.protocol.is(&ProtocolClass::Tcp);
    request_as(ctx, http, from, workload, Some(port), rule, Decision::Allow, Vec::new())
}

/// What the chain of a waypoint with these policies makes of a call to the Service in front of a workload port. Which
/// number the policies see as the port is not decided here: both have to give one answer.
pub(crate) fn at_waypoint(
    ctx: &Context<'_>,
    policies: &[ResourceId],
    workload: &Workload,
    port: &WorkloadPort,
    witness: &Witness,
) -> Option<Decision> {
    let engine = match port.protocol.is(&ProtocolClass::Tcp) {
        true => Engine::EnvoyTcp,
        false => Engine::EnvoyHttp,
    };
    let cluster = cluster_of(ctx, workload);
    let fate = fate_of(ctx, policies, engine, cluster, witness);
    let service_port = port.bindings.first().and_then(|binding| {
        let spec = ctx.mesh.service_spec(binding.service)?;
        Some(spec.ports.get(binding.port)?.port.value)
    });
    let outside = Witness { port: service_port, ..witness.clone() };
    let other = fate_of(ctx, policies, engine, cluster, &outside);
    fate.filter(|fate| other == Some(*fate))
}

/// A call that policies meant for a waypoint refuse, and that gets in at the workload itself.
pub(crate) fn refused_only_by<'c>(
    ctx: &Context<'_>,
    policies: &[ResourceId],
    workload: &Workload,
    mut tried: impl Iterator<Item = (Witness, &'c WorkloadPort)>,
) -> Option<Witness> {
    tried
        .find(|(witness, port)| {
            at_waypoint(ctx, policies, workload, port, witness) == Some(Decision::Deny)
                && fate_at(ctx, workload, Some(port), witness) == Some(Decision::Allow)
        })
        .map(|(witness, _)| witness)
}
