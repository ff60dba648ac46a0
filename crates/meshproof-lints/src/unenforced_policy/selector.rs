//! Policies that select only pods without anything that enforces them.

use meshproof_authz::Engine;
use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Capture, Fact, NamespaceId, Origin, ResourceId, Workload};
use meshproof_resources::{Action, Selector, Spec};
use meshproof_source::Span;

use super::ID;
use crate::Context;
use crate::context::served_ports;
use crate::network::may_be_shielded;
use crate::proof::{MANY, cluster_of, fate_of};
use crate::witnesses::request;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Authorization,
    Peer,
    Request,
}

/// Why nothing enforces a policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    NoProxy,
    /// Gateways decide on TLS by what Gateway objects say.
    Gateway,
    /// Selectors do not reach waypoints.
    Waypoint,
    /// ztunnel does not look at tokens.
    Ztunnel,
}

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let objects = ctx.mesh.resources.iter().enumerate();
    objects.filter_map(|(at, resource)| finding(ctx, ResourceId(at as u32), &resource.spec)).collect()
}

/// The pods say themselves that they stay outside of the mesh.
pub(super) fn has_own_reason(workload: &Workload) -> bool {
    workload.host_network || matches!(workload.capture, Fact::Known(_, Origin::Written(_)))
}

/// The selector of a policy that restricts somebody.
fn selecting<'c>(ctx: &'c Context<'_>, id: ResourceId, spec: &'c Spec) -> Option<(Kind, &'c Selector)> {
    let (kind, selector) = match spec {
        Spec::AuthorizationPolicy(policy) => {
            let facts =
                ctx.policies.get(id).filter(|facts| !facts.dry_run && facts.action != Action::Audit)?;
            (Kind::Authorization, policy.selector.as_ref().filter(|_| facts.has_selector())?)
        }
        Spec::PeerAuthentication(policy) => {
            (Kind::Peer, policy.selector.as_ref().filter(|_| policy.selects_workloads())?)
        }
        Spec::RequestAuthentication(policy) => (Kind::Request, policy.selector.as_ref()?),
        _ => return None,
    };
    (!selector.match_labels.is_empty()).then_some((kind, selector))
}

fn why(kind: Kind, workload: &Workload) -> Option<Why> {
    match (kind, workload.capture.known()?) {
        (_, Capture::None) if has_own_reason(workload) => Some(Why::NoProxy),
        (Kind::Peer, Capture::Gateway | Capture::Waypoint) => Some(Why::Gateway),
        (_, Capture::Waypoint) => Some(Why::Waypoint),
        (Kind::Request, Capture::Ambient) => Some(Why::Ztunnel),
        _ => None,
    }
}

fn finding(ctx: &Context<'_>, id: ResourceId, spec: &Spec) -> Option<Finding> {
    let (kind, selector) = selecting(ctx, id, spec)?;
    // What selects in the root namespace selects everywhere, or nowhere.
    let namespace = ctx.namespace_of(id).filter(|namespace| !ctx.is_root(*namespace))?;
    let workload = ctx.labels.first_if_all(ctx.mesh, namespace, &selector.match_labels, |workload| {
        why(kind, workload).is_some()
    })?;
    let why = why(kind, workload)?;
    let meta = &ctx.resource(id).meta;
    let name = meta.resource_name();
    let pods = ctx.workload_name(workload);
    let (message, label, category, help) = match why {
        Why::NoProxy => (
            format!("{name} protects nothing: the pods of {pods} have no proxy"),
            "selects only pods without a proxy",
            Category::Hole,
            "bring the pods into the mesh, or restrict them with a NetworkPolicy; pods with hostNetwork never have a proxy",
        ),
        Why::Gateway => (
            format!("{name} sets no mode: {pods} is a gateway, whose Gateway objects decide about TLS"),
            "selects only gateways",
            Category::Dead,
            "ask for client certificates in `tls` of the Gateway's servers",
        ),
        Why::Waypoint => (
            format!("{name} decides nothing: selectors do not reach waypoint {pods}"),
            "selects only waypoints",
            Category::Hole,
            "name the Service or the Gateway in `targetRefs`",
        ),
        Why::Ztunnel => (
            format!(
                "{name} validates no token: ztunnel, which takes the traffic of {pods}, does not look at tokens"
            ),
            "selects only pods captured by ztunnel",
            Category::Hole,
            "give the Service a waypoint and name the Service in `targetRefs`",
        ),
    };
    let place = selector.match_labels.key.unwrap_or(selector.span);
    let proven = (kind == Kind::Authorization && why == Why::NoProxy)
        .then(|| proof(ctx, id, namespace, workload))
        .flatten();
    let level = if proven.is_some() { Level::Error } else { Level::Warning };
    let mut finding = Finding::new(ID, level, category, message, Label::new(place, label))
        .with_resource(name)
        .with_confidence(Confidence::Medium)
        .with_help(help)
        .with_related(reason_place(ctx, workload), reason(workload, why));
    if let Some(witness) = proven {
        finding = finding.with_witness(witness);
    }
    Some(finding)
}

fn reason(workload: &Workload, why: Why) -> &'static str {
    match why {
        Why::NoProxy if workload.host_network => "these pods use the network of their node",
        Why::NoProxy => "this keeps the pods out of the mesh",
        _ => "these pods",
    }
}

fn reason_place(ctx: &Context<'_>, workload: &Workload) -> Span {
    let written = workload.capture.span().filter(|_| !workload.host_network);
    // A span as long as a pod template is no place to look at.
    written.filter(|span| span.end - span.start < 80).unwrap_or_else(|| ctx.workload_span(workload))
}

/// A caller without identity that the policies would refuse, if anything asked them.
fn proof(
    ctx: &Context<'_>,
    id: ResourceId,
    namespace: NamespaceId,
    workload: &Workload,
) -> Option<meshproof_diagnostics::Witness> {
    let unsure = ctx.is_incomplete(namespace)
        || ctx.has_external_policies(namespace)
        || ctx.has_operators(namespace)
        || may_be_shielded(ctx, workload);
    let port = served_ports(workload).next().filter(|_| !unsure)?;
    let policies = would_apply(ctx, namespace, workload)?;
    let name = ctx.policies.get(id)?.name();
    let because = vec![
        "the pods have no proxy, so nothing asks for an identity or a policy".to_owned(),
        format!("a proxy would refuse this request because of {name}"),
    ];
    let witness = request(ctx, "plaintext".to_owned(), workload, Some(port), None, Decision::Allow, because);
    let engine = match port.protocol.is(&ProtocolClass::Tcp) {
        true => Engine::EnvoyTcp,
        false => Engine::EnvoyHttp,
    };
    let refused = |policies: &[ResourceId]| {
        fate_of(ctx, policies, engine, cluster_of(ctx, workload), &witness) == Some(Decision::Deny)
    };
    (refused(&[id]) && refused(&policies)).then_some(witness)
}

/// The policies that a sidecar of the pods would enforce; none when there are too many to tell.
fn would_apply(ctx: &Context<'_>, namespace: NamespaceId, workload: &Workload) -> Option<Vec<ResourceId>> {
    let cluster = ctx.mesh.namespace(namespace).cluster;
    let root = ctx.mesh.namespace_by_name(cluster, ctx.mesh.settings_of(cluster).root());
    let lists = [Some(namespace), root.filter(|root| *root != namespace)];
    let ids: Vec<ResourceId> = lists
        .into_iter()
        .flatten()
        .flat_map(|id| &ctx.mesh.namespace(id).policies)
        .copied()
        .take(MANY + 1)
        .collect();
    if ids.len() > MANY {
        return None;
    }
    let applies = |id: &ResourceId| {
        ctx.mesh.policy(*id).is_some_and(|policy| {
            let selects = |selector: &Selector| selector.match_labels.is_subset_of(&workload.labels);
            policy.target_refs.is_empty() && policy.selector.as_ref().is_none_or(selects)
        })
    };
    Some(ids.into_iter().filter(applies).collect())
}
