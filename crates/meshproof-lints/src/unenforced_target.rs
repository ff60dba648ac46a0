//! `unenforced-target`: policies whose `targetRefs` name something that no proxy of the mesh enforces them for
//! (waypoint reference, C1, C2, G1 and behaviours 2 to 7).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level, Witness};
use meshproof_ir::{Called, Fact, GatewayId, GatewayRole, NamespaceId, NoWaypoint, ResourceId, Workload};
use meshproof_resources::{Action, Spec, TargetRef};
use meshproof_source::Span;

use crate::Context;
use crate::hash::Set;
use crate::network::may_be_shielded;
use crate::proof::is_settled;
use crate::waypoint_calls::{calls, refused_only_by};

const ID: &str = "unenforced-target";
/// The class whose name reaches waypoints.
const WAYPOINT_CLASS: &str = "istio-waypoint";
/// The label that names the Gateway of a pod.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// Why nothing enforces a policy for a target.
struct Gap {
    /// What is the matter, as a clause.
    why: String,
    /// What to do about it.
    help: &'static str,
    /// Where the reason stands.
    place: Option<(Span, &'static str)>,
    /// How sure it is.
    sureness: Sureness,
    /// What callers of the target address.
    called: Option<Called>,
}

/// How sure a gap is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sureness {
    /// The input shows everything that matters.
    Shown,
    /// Something is missing where others of its kind are.
    Likely,
    /// Something is missing, and may well be elsewhere.
    Open,
}

/// Which Gateways the input has: where some are, a missing one is likelier a mistake.
struct Gateways {
    namespaces: Set<NamespaceId>,
    has_waypoint: bool,
}

/// Runs the lint: one finding per policy, about its first target without enforcement.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let gateways = Gateways {
        namespaces: ctx.mesh.gateways.iter().map(|gateway| gateway.namespace).collect(),
        has_waypoint: ctx.mesh.gateways.iter().any(|gateway| gateway.role == GatewayRole::Waypoint),
    };
    let objects = ctx.mesh.resources.iter().enumerate();
    objects
        .filter_map(|(at, resource)| {
            let id = ResourceId(at as u32);
            let references = match &resource.spec {
                Spec::AuthorizationPolicy(policy) if restricts(ctx, id) => &policy.target_refs,
                Spec::RequestAuthentication(policy) => &policy.target_refs,
                _ => return None,
            };
            let gap = |reference| Some((reference, gap(ctx, &gateways, id, reference)?));
            references.iter().find_map(gap).map(|(reference, gap)| finding(ctx, id, reference, gap))
        })
        .collect()
}

fn restricts(ctx: &Context<'_>, id: ResourceId) -> bool {
    ctx.policies.get(id).is_some_and(|policy| !policy.dry_run && policy.action != Action::Audit)
}

fn gap(ctx: &Context<'_>, gateways: &Gateways, id: ResourceId, reference: &TargetRef) -> Option<Gap> {
    let namespace = ctx.namespace_of(id)?;
    let name = reference.name.value.as_str();
    match (reference.group.as_str(), reference.kind.value.as_str()) {
        ("gateway.networking.k8s.io", "GatewayClass") => of_class(ctx, id, name),
        ("gateway.networking.k8s.io", "Gateway") => match ctx.mesh.gateway_named(namespace, name) {
            None => missing("Gateway", gateways.namespaces.contains(&namespace)),
            Some(gateway) => of_gateway(ctx, gateway),
        },
        ("" | "core", "Service") => match ctx.mesh.service_called(namespace, name) {
            None => missing("Service", !ctx.mesh.namespace(namespace).services.is_empty()),
            Some(called) => of_service(ctx, gateways, called),
        },
        ("networking.istio.io", "ServiceEntry") => match ctx.mesh.target(id, reference) {
            None => missing("ServiceEntry", true),
            Some(entry) => of_service(ctx, gateways, Called::ServiceEntry(entry)),
        },
        _ => None,
    }
}

/// Where the input has nothing of the kind, it has it elsewhere.
fn missing(kind: &str, has_others: bool) -> Option<Gap> {
    has_others.then(|| Gap {
        why: format!("no {kind} of this name is in its namespace"),
        help: "targetRefs name objects of the policy's own namespace, by their metadata.name",
        place: None,
        sureness: Sureness::Likely,
        called: None,
    })
}

/// Only policies of the root namespace reach a class, and only the class of waypoints.
fn of_class(ctx: &Context<'_>, id: ResourceId, name: &str) -> Option<Gap> {
    let in_root = ctx.namespace_of(id).is_some_and(|namespace| ctx.is_root(namespace));
    let (why, help) = match (in_root, name == WAYPOINT_CLASS) {
        (true, true) => return None,
        (false, _) => (
            "policies for a GatewayClass count in the root namespace only",
            "put the policy into the root namespace, or name a Gateway or a Service of its own namespace",
        ),
        (true, false) => (
            "waypoints listen to the class name istio-waypoint only, whatever their own class is called",
            "name GatewayClass istio-waypoint, or single Gateways from their own namespaces",
        ),
    };
    Some(Gap { why: why.to_owned(), help, place: None, sureness: Sureness::Shown, called: None })
}

fn of_gateway(ctx: &Context<'_>, id: GatewayId) -> Option<Gap> {
    let gateway = ctx.mesh.gateway(id);
    let class = ctx.mesh.gateway_spec(id).and_then(|spec| spec.class.as_ref());
    match gateway.role {
        GatewayRole::Foreign => Some(Gap {
            why: "the class of that Gateway belongs to another controller, whose proxies know no policies of Istio".to_owned(),
            help: "restrict that Gateway with the means of its own controller",
            place: class.map(|class| (class.span, "not a class of Istio")),
            sureness: Sureness::Shown,
            called: None,
        }),
        // The pods of a Gateway that names the addresses of a Service are the user's own.
        GatewayRole::Ingress => {
            let pods = gateway.workloads.iter().map(|pods| ctx.mesh.workload(*pods));
            let unlabelled = |pods: &Workload| pods.labels.get(GATEWAY_NAME).is_none();
            let first = pods.clone().next()?;
            pods.clone().all(unlabelled).then(|| Gap {
                why: format!("the pods of {} do not carry the label {GATEWAY_NAME}, by which policies find a Gateway's proxy", ctx.workload_name(first)),
                help: "label the pods of the gateway, or use a selector",
                place: Some((ctx.workload_span(first), "the proxy of that Gateway")),
                sureness: Sureness::Shown,
                called: None,
            })
        }
        GatewayRole::Waypoint | GatewayRole::Unknown => None,
    }
}

fn of_service(ctx: &Context<'_>, gateways: &Gateways, called: Called) -> Option<Gap> {
    let Fact::Known(binding, origin) = ctx.mesh.waypoint_of(called) else { return None };
    let mut sureness = Sureness::Shown;
    let (why, help) = match &binding.waypoint {
        Ok(gateway) => {
            let name = ctx.mesh.gateway_display(*gateway);
            let what = match ctx.mesh.gateway(*gateway).role {
                GatewayRole::Waypoint | GatewayRole::Unknown => return None,
                GatewayRole::Ingress => "is an ingress gateway",
                GatewayRole::Foreign => "belongs to another controller",
            };
            (
                format!(
                    "its waypoint should be Gateway {name}, which {what}; istiod takes it for one, and no proxy enforces the policy"
                ),
                "give the waypoint the class istio-waypoint",
            )
        }
        Err(reason) => {
            let (why, help, known) = without_waypoint(ctx, gateways, reason);
            sureness = known;
            (why, help)
        }
    };
    let place = origin.span().map(|span| (span, "this label names the waypoint"));
    Some(Gap { why, help, place, sureness, called: Some(called) })
}

fn without_waypoint(
    ctx: &Context<'_>,
    gateways: &Gateways,
    reason: &NoWaypoint,
) -> (String, &'static str, Sureness) {
    let gateway = |id: &GatewayId| ctx.mesh.gateway_display(*id);
    let unseen = if gateways.has_waypoint { Sureness::Likely } else { Sureness::Open };
    match reason {
        NoWaypoint::NotAsked => (
            "it has no waypoint: neither it nor its namespace has the label istio.io/use-waypoint".to_owned(),
            "deploy a waypoint and name it with the label istio.io/use-waypoint",
            Sureness::Shown,
        ),
        NoWaypoint::OptedOut => (
            "the label istio.io/use-waypoint says none".to_owned(),
            "name a waypoint in the label istio.io/use-waypoint",
            Sureness::Shown,
        ),
        NoWaypoint::NoSuchGateway { namespace, name } => (
            format!(
                "its waypoint should be Gateway {}/{name}, which is not in the input; without it calls go directly",
                namespace.as_deref().unwrap_or(meshproof_ir::UNNAMED)
            ),
            "add the Gateway, or correct the label istio.io/use-waypoint",
            unseen,
        ),
        NoWaypoint::AttachmentDenied(id) => (
            format!("allowedRoutes of waypoint {} do not admit its namespace", gateway(id)),
            "admit the namespace in allowedRoutes of the listener on port 15008",
            Sureness::Shown,
        ),
        NoWaypoint::UnsupportedTrafficType(id) => (
            format!("waypoint {} does not take traffic to services (istio.io/waypoint-for)", gateway(id)),
            "set istio.io/waypoint-for of the Gateway to service or all",
            Sureness::Shown,
        ),
        NoWaypoint::NotInIndex => (
            "Services of type ExternalName have no waypoint".to_owned(),
            "describe the external host with a ServiceEntry",
            Sureness::Shown,
        ),
        NoWaypoint::IsGateway => (
            "it is the Service of a waypoint, which has no waypoint itself".to_owned(),
            "name the Gateway instead",
            Sureness::Shown,
        ),
        NoWaypoint::CanarySameAsPrimary | NoWaypoint::CanaryInvalidWeight => (
            "its second waypoint is not used".to_owned(),
            "correct the labels of the second waypoint",
            Sureness::Shown,
        ),
    }
}

fn finding(ctx: &Context<'_>, id: ResourceId, reference: &TargetRef, gap: Gap) -> Finding {
    let name = ctx.resource(id).meta.resource_name();
    let target = format!("{} {}", reference.kind.value, reference.name.value);
    let shown = gap.sureness == Sureness::Shown;
    let proof = if shown { proof(ctx, id, gap.called) } else { None };
    let level = match proof {
        Some(_) => Level::Error,
        None if gap.sureness == Sureness::Open || (!shown && ctx.world.incomplete.is_some()) => Level::Info,
        None => Level::Warning,
    };
    let message = format!("{name} is not enforced for {target}: {}", gap.why);
    let mut finding = Finding::new(
        ID,
        level,
        Category::Hole,
        message,
        Label::new(reference.name.span, "no proxy enforces the policy for it"),
    )
    .with_resource(name)
    .with_confidence(if shown { Confidence::High } else { Confidence::Medium })
    .with_help(gap.help);
    if let Some((span, text)) = gap.place {
        finding = finding.with_related(span, text);
    }
    if let Some(witness) = proof {
        finding = finding.with_witness(witness);
    }
    finding
}

/// A call to the Service that the policy refuses, and that gets in.
fn proof(ctx: &Context<'_>, id: ResourceId, called: Option<Called>) -> Option<Witness> {
    let Some(Called::Service(service)) = called else { return None };
    let policy = ctx.policies.get(id)?;
    let workloads = ctx.mesh.services[service.index()].workloads.iter().take(4);
    workloads.map(|id| ctx.mesh.workload(*id)).find_map(|workload| {
        if !is_settled(ctx, workload) || may_be_shielded(ctx, workload) {
            return None;
        }
        let witness = refused_only_by(ctx, &[id], workload, calls(ctx, policy, workload))?;
        let because = vec![
            format!("{} would refuse it, and stands at no proxy on the way", policy.name()),
            "what is enforced at the pods lets it in".to_owned(),
        ];
        Some(Witness { because, ..witness })
    })
}
