//! `lost-at-ztunnel`: policies and fields that ztunnel is never given, although a sidecar would heed them (ambient
//! reference, behaviours 9, 13 and 15; authorization-policy reference §2.4, §5.3).

use meshproof_authz::Engine;
use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Called, Capture, ClusterId, Fact, NamespaceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::Action;
use meshproof_source::Span;

use crate::Context;
use crate::hash::Map;
use crate::network::may_be_shielded;
use crate::policies::Policy;
use crate::proof::{cluster_of, fate_at, fate_of, is_held_back, is_settled};
use crate::waypoint_calls::calls_to_pods;

const ID: &str = "lost-at-ztunnel";
/// Workloads looked at per policy: one may show what another does not.
const TRIED: usize = 4;
/// Workloads compared with the selector of a policy of the root namespace.
const LOOKED_AT: usize = 4096;

/// What does not get to ztunnel.
#[derive(Clone, Copy)]
enum Loss {
    /// A policy that asks a provider.
    Custom(Span),
    /// A policy with `selector: {}`: istiod attaches it to no pod.
    EmptySelector(Span),
    /// `trustDomains`, without which the rest of a source means something else.
    TrustDomains(Span),
}

/// Workloads captured by ztunnel.
#[derive(Default)]
struct Captured<'m> {
    by_namespace: Map<NamespaceId, Vec<&'m Workload>>,
    by_cluster: Map<ClusterId, Vec<&'m Workload>>,
}

/// Runs the lint: one finding per policy.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut captured = Captured::default();
    for workload in ctx.mesh.workloads.iter().filter(|workload| workload.capture.is(&Capture::Ambient)) {
        captured.by_namespace.entry(workload.namespace).or_default().push(workload);
        captured.by_cluster.entry(cluster_of(ctx, workload)).or_default().push(workload);
    }
    if captured.by_cluster.is_empty() {
        return Vec::new();
    }
    let policies = ctx.policies.iter().filter(|policy| {
        !policy.dry_run && policy.action != Action::Audit && policy.spec.target_refs.is_empty()
    });
    policies
        .filter_map(|policy| {
            let loss = loss(policy)?;
            let mut found: Vec<Finding> = selected(ctx, policy, &captured)
                .into_iter()
                .filter_map(|workload| at_workload(ctx, policy, workload, loss))
                .collect();
            // A proof at one of them is enough.
            found.sort_by_key(|finding| std::cmp::Reverse(finding.level));
            found.into_iter().next()
        })
        .collect()
}

fn loss(policy: &Policy<'_>) -> Option<Loss> {
    if policy.action == Action::Custom {
        let place = policy.spec.action.as_ref().map_or(policy.spec.span, |action| action.span);
        return Some(Loss::Custom(place));
    }
    if let Some(selector) = policy.spec.selector.as_ref().filter(|selector| !selector.has_match_labels) {
        return Some(Loss::EmptySelector(selector.span));
    }
    let sources = policy.spec.rules.iter().flat_map(|rule| rule.from.iter());
    let values = sources
        .flat_map(|source| source.trust_domains.values.iter().chain(&*source.trust_domains.not_values));
    values.map(|value| Loss::TrustDomains(value.span)).next()
}

/// The pods captured by ztunnel that a proxy would enforce the policy for.
fn selected<'m>(ctx: &Context<'m>, policy: &Policy<'_>, captured: &Captured<'m>) -> Vec<&'m Workload> {
    let Some(namespace) = policy.namespace else { return Vec::new() };
    let selector = policy.spec.selector.as_ref().filter(|_| policy.has_selector());
    let cluster = ctx.mesh.namespace(namespace).cluster;
    let all = match (ctx.is_root(namespace), selector) {
        (true, _) => captured.by_cluster.get(&cluster),
        (false, None) => captured.by_namespace.get(&namespace),
        (false, Some(selector)) => {
            let found = ctx.labels.find(ctx.mesh, namespace, &selector.match_labels);
            let found = found.into_iter().map(|id: WorkloadId| ctx.mesh.workload(id));
            return found.filter(|pods| pods.capture.is(&Capture::Ambient)).take(TRIED).collect();
        }
    };
    let selects =
        |pods: &&&Workload| selector.is_none_or(|selector| selector.match_labels.is_subset_of(&pods.labels));
    all.into_iter().flatten().take(LOOKED_AT).filter(selects).copied().take(TRIED).collect()
}

/// What a proxy with this policy alone would decide.
fn by_proxy(port: &WorkloadPort) -> Engine {
    match port.protocol.is(&ProtocolClass::Tcp) {
        true => Engine::EnvoyTcp,
        false => Engine::EnvoyHttp,
    }
}

fn at_workload(ctx: &Context<'_>, policy: &Policy<'_>, workload: &Workload, loss: Loss) -> Option<Finding> {
    let cluster = cluster_of(ctx, workload);
    let let_in = calls_to_pods(ctx, policy, workload).find(|(witness, port)| {
        is_held_back(ctx, &[policy.id], by_proxy(port), cluster, witness)
            && fate_at(ctx, workload, Some(port), witness) == Some(Decision::Allow)
    });
    if let Some((witness, _)) = let_in {
        return Some(hole(ctx, policy, workload, loss, witness));
    }
    match loss {
        // Whoever gets through without the provider's word is somebody that other policies stop.
        Loss::Custom(_) | Loss::EmptySelector(_) => None,
        Loss::TrustDomains(span) => {
            let kept_out = calls_to_pods(ctx, policy, workload).find(|(witness, port)| {
                fate_of(ctx, &[policy.id], by_proxy(port), cluster, witness) == Some(Decision::Allow)
                    && fate_of(ctx, &[policy.id], Engine::Ztunnel, cluster, witness) == Some(Decision::Deny)
                    && fate_at(ctx, workload, Some(port), witness) == Some(Decision::Deny)
            });
            kept_out.map(|(witness, _)| outage(ctx, policy, workload, span, witness))
        }
    }
}

/// Whether calls to the Services of these pods pass a waypoint: then the policy may be a copy of one that stands there.
fn has_waypoint(ctx: &Context<'_>, workload: &Workload) -> bool {
    workload.services.iter().take(TRIED).any(|service| {
        let binding = ctx.mesh.waypoint_of(Called::Service(*service));
        matches!(binding, Fact::Known(binding, _) if binding.waypoint.is_ok())
    })
}

fn hole(
    ctx: &Context<'_>,
    policy: &Policy<'_>,
    workload: &Workload,
    loss: Loss,
    witness: Witness,
) -> Finding {
    let name = policy.meta.resource_name();
    let pods = ctx.workload_name(workload);
    let (span, message, label, held_back, help) = match loss {
        Loss::Custom(span) => (
            span,
            format!("{name} is not asked at {pods}: ztunnel takes its traffic, and knows no CUSTOM policies"),
            "no provider is asked by ztunnel",
            "a proxy would ask the provider about it",
            "give the Service a waypoint and name the Service in `targetRefs`",
        ),
        Loss::EmptySelector(span) => (
            span,
            format!(
                "{name} applies to no pod: with `selector: {{}}` istiod gives it to no ztunnel, so {pods} goes without"
            ),
            "ztunnel takes this for a selector that finds nothing",
            "a proxy would refuse it because of the policy",
            "leave `selector` out to mean the whole namespace",
        ),
        Loss::TrustDomains(span) => (
            span,
            format!(
                "{name} lets in at {pods} whom it means to keep out: ztunnel does not look at `trustDomains`"
            ),
            "left out by ztunnel, as if it were not written",
            "a proxy would refuse it because of the policy",
            "name principals with their trust domain instead",
        ),
    };
    let sure = is_settled(ctx, workload) && !may_be_shielded(ctx, workload) && !has_waypoint(ctx, workload);
    let because = vec![held_back.to_owned(), "what ztunnel is given lets it in".to_owned()];
    Finding::new(
        ID,
        if sure { Level::Error } else { Level::Warning },
        Category::Hole,
        message,
        Label::new(span, label),
    )
    .with_resource(name)
    .with_confidence(if sure { Confidence::High } else { Confidence::Medium })
    .with_related(ctx.workload_span(workload), "captured by ztunnel")
    .with_witness(Witness { because, ..witness })
    .with_help(help)
}

fn outage(
    ctx: &Context<'_>,
    policy: &Policy<'_>,
    workload: &Workload,
    span: Span,
    witness: Witness,
) -> Finding {
    let name = policy.meta.resource_name();
    let message = format!(
        "{name} keeps out at {} whom it means to let in: ztunnel does not look at `trustDomains`",
        ctx.workload_name(workload)
    );
    let because = vec![
        "a proxy would let it in by the trust domain".to_owned(),
        "for ztunnel nothing is left that could match".to_owned(),
    ];
    let sure = is_settled(ctx, workload);
    Finding::new(
        ID,
        if sure { Level::Error } else { Level::Warning },
        Category::Outage,
        message,
        Label::new(span, "left out by ztunnel, as if it were not written"),
    )
    .with_resource(name)
    .with_confidence(if sure { Confidence::High } else { Confidence::Medium })
    .with_related(ctx.workload_span(workload), "captured by ztunnel")
    .with_witness(Witness { because, decision: Decision::Deny, ..witness })
    .with_help("name principals with their trust domain instead")
}
