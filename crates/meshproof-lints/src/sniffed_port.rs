//! `sniffed-port`: ports with policies about HTTP whose protocol the proxy has to guess (mutual-TLS reference §5, §11.3
//! ST25, ST32; authorization-policy reference §5.2).

use std::collections::BTreeMap;

use meshproof_authz::Engine;
use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{EnforcementPoint, ResourceId, Workload, WorkloadPort};
use meshproof_resources::Spec;
use meshproof_source::Span;

use crate::Context;
use crate::context::captured_ports;
use crate::policies::Policy;
use crate::proof::{certain, cluster_of, enforced_at, fate_of};
use crate::waypoint_calls::calls;

const ID: &str = "sniffed-port";
/// Findings for which a call is looked for that shows the difference.
const SHOWN: usize = 128;

/// Why the protocol has no name.
#[derive(Clone, Copy)]
enum Why {
    /// The Service port says none.
    Unnamed(ResourceId, Span),
    /// A Sidecar writes its own listeners, and none for this port.
    Unlisted(ResourceId),
}

/// Runs the lint: one finding per Service port, or per Sidecar.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<(u32, u32), Finding> = BTreeMap::new();
    for workload in &ctx.mesh.workloads {
        if workload.enforcement_point() != Some(EnforcementPoint::Sidecar) || workload.policies.is_empty() {
            continue;
        }
        let sniffed = captured_ports(workload)
            .filter(|port| port.protocol.is(&ProtocolClass::Auto) && !port.bindings.is_empty());
        for port in sniffed {
            let Some(why) = why(ctx, workload, port) else { continue };
            let span = match why {
                Why::Unnamed(_, span) => span,
                Why::Unlisted(id) => ctx.resource(id).meta.name_span(),
            };
            let key = (span.source.0, span.start);
            if !found.contains_key(&key)
                && let Some(finding) = at_port(ctx, workload, port, (why, span), found.len() < SHOWN)
            {
                found.insert(key, finding);
            }
        }
    }
    found.into_values().collect()
}

fn why(ctx: &Context<'_>, workload: &Workload, port: &WorkloadPort) -> Option<Why> {
    let of_sidecar = workload.sidecar.filter(
        |id| matches!(&ctx.resource(*id).spec, Spec::Sidecar(sidecar) if !sidecar.ingress.is_empty()),
    );
    let binding = port.bindings.first()?;
    let service = ctx.mesh.service_spec(binding.service)?.ports.get(binding.port)?;
    let Some(sidecar) = of_sidecar else {
        let written = service.app_protocol.as_ref().or(service.name.as_ref());
        let span = written.map_or(service.port.span, |text| text.span);
        return Some(Why::Unnamed(ctx.mesh.services[binding.service.index()].resource, span));
    };
    let Spec::Sidecar(spec) = &ctx.resource(sidecar).spec else { return None };
    let is_listed = spec.ingress.iter().any(|listener| {
        let number = listener.port.as_ref().and_then(|port| port.number.as_ref());
        number.is_some_and(|number| number.value == port.number)
    });
    (!is_listed).then_some(Why::Unlisted(sidecar))
}

/// The first policy about HTTP that says something of the port.
fn about_http<'c>(
    ctx: &'c Context<'_>,
    workload: &'c Workload,
    port: &WorkloadPort,
) -> Option<(&'c Policy<'c>, Span, &'c str)> {
    enforced_at(ctx, workload).find_map(|policy| {
        let rules = policy.rules.iter().filter(|rule| rule.dead.is_empty() && rule.is_about(port));
        let (span, field) = rules.filter_map(|rule| rule.http_field()).next()?;
        Some((policy, span, field))
    })
}

/// A call that is let in when its bytes look like HTTP, and refused otherwise.
fn differing(ctx: &Context<'_>, workload: &Workload, policy: &Policy<'_>, number: u16) -> Option<Witness> {
    let attached = certain(workload.policies.iter())?;
    let cluster = cluster_of(ctx, workload);
    let fate = |engine, witness: &Witness| fate_of(ctx, &attached, engine, cluster, witness);
    let mut tried = calls(ctx, policy, workload).filter(|(_, port)| port.number == number);
    let (witness, _) = tried.find(|(witness, _)| {
        let bytes = Witness { method: None, path: None, ..witness.clone() };
        fate(Engine::EnvoyHttp, witness) == Some(Decision::Allow)
            && fate(Engine::EnvoyTcp, &bytes) == Some(Decision::Deny)
    })?;
    let because = vec![
        "as HTTP it would get in".to_owned(),
        "bytes that do not look like HTTP meet the chain for TCP, where nothing lets them in".to_owned(),
    ];
    Some(Witness { method: None, path: None, decision: Decision::Deny, because, ..witness })
}

fn at_port(
    ctx: &Context<'_>,
    workload: &Workload,
    port: &WorkloadPort,
    (why, span): (Why, Span),
    is_shown: bool,
) -> Option<Finding> {
    let (policy, field_span, field) = about_http(ctx, workload, port)?;
    let to = format!("{}:{}", ctx.workload_name(workload), port.number);
    let name = policy.meta.resource_name();
    let message = format!(
        "the protocol of {to} is guessed from the first bytes, and `{field}` of {name} holds only for what looks like HTTP"
    );
    let (resource, label, help) = match why {
        Why::Unnamed(service, _) => {
            (service, "says no protocol", "give the Service port a name such as `http` or an appProtocol")
        }
        Why::Unlisted(sidecar) => (
            sidecar,
            "writes its own listeners, and none for this port",
            "list the port under `ingress` with its protocol",
        ),
    };
    let finding = Finding::new(ID, Level::Info, Category::Hygiene, message, Label::new(span, label))
        .with_resource(ctx.resource(resource).meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_related(field_span, "asks about HTTP")
        .with_help(help);
    let witness = is_shown.then(|| differing(ctx, workload, policy, port.number)).flatten();
    Some(match witness {
        Some(witness) => finding.with_witness(witness),
        None => finding,
    })
}
