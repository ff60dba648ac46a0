//! Ingresses whose controller has no proxy.

use meshproof_diagnostics::{Finding, Level};
use meshproof_ir::{Called, Capture, ClusterId, ResourceId, WorkloadId};
use meshproof_resources::{Ingress, IngressBackend, PortRef, Spec};
use meshproof_transport::Client;

use super::{Said, lost};
use crate::Context;
use crate::clients::{HostPort, is_settled_client};
use crate::hash::Set;

/// Classes of controllers that run outside of the cluster.
const OUTSIDE: &[&str] =
    &["alb", "gce", "gce-internal", "azure-application-gateway", "azure/application-gateway"];
/// Classes, and what the images of their controllers are called.
const CONTROLLERS: &[(&str, &[&str])] = &[
    ("nginx", &["ingress-nginx/controller", "nginx-ingress", "nginx-ingress-controller"]),
    ("traefik", &["traefik"]),
    ("haproxy", &["haproxy-ingress", "kubernetes-ingress"]),
    ("contour", &["envoyproxy/envoy"]),
    ("kong", &["kong"]),
];

/// Who sends what comes in by a class.
enum Controller {
    /// Nothing of the cluster.
    Outside,
    /// These pods.
    Pods(WorkloadId),
}

/// One finding per Ingress and Service.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, resource) in ctx.mesh.resources.iter().enumerate() {
        let Spec::Ingress(ingress) = &resource.spec else { continue };
        let id = ResourceId(at as u32);
        let Some(controller) = controller(ctx, ctx.mesh.placement[at].0, ingress) else { continue };
        let mut told: Set<&str> = Set::default();
        for backend in &ingress.backends {
            if told.insert(&backend.service.value) {
                findings.extend(of_backend(ctx, id, &controller, backend));
            }
        }
    }
    findings
}

/// The controller, where it is seen to have no proxy.
fn controller(ctx: &Context<'_>, cluster: ClusterId, ingress: &Ingress) -> Option<Controller> {
    let class = ingress.class.as_ref()?.value.as_str();
    if OUTSIDE.contains(&class) {
        return Some(Controller::Outside);
    }
    let (_, images) = CONTROLLERS.iter().find(|(name, _)| *name == class)?;
    let pods = ctx.images().of(ctx, cluster, images);
    let (first, _) = pods.split_first()?;
    let has_none = |id: &WorkloadId| ctx.mesh.workload(*id).capture.is(&Capture::None);
    pods.iter().all(has_none).then_some(Controller::Pods(*first))
}

fn of_backend(
    ctx: &Context<'_>,
    id: ResourceId,
    controller: &Controller,
    backend: &IngressBackend,
) -> Option<Finding> {
    let (cluster, namespace) = ctx.mesh.placement[id.index()];
    let Called::Service(service) = ctx.mesh.service_called(namespace?, &backend.service.value)? else {
        return None;
    };
    let service_ports = &ctx.mesh.service_spec(service)?.ports;
    let wanted = service_ports.iter().find(|port| match &backend.port {
        Some(PortRef::Number(number)) => port.port.value == number.value,
        Some(PortRef::Name(name)) => port.name.as_ref().is_some_and(|own| own.value == name.value),
        None => service_ports.len() == 1,
    })?;
    let clients = ctx.clients();
    let name = ctx.mesh.services[service.index()].fqdn.as_deref()?;
    let host = &clients.hosts[clients.named(cluster, name).next()? as usize];
    let port: HostPort = *host.ports.iter().find(|port| port.number == wanted.port.value)?;
    let (client, who, from, is_sure) = match controller {
        Controller::Outside => (
            Client::Plaintext(cluster),
            "the load balancer of the Ingress".to_owned(),
            "plaintext".to_owned(),
            false,
        ),
        Controller::Pods(pods) => {
            let workload = ctx.mesh.workload(*pods);
            let name = ctx.workload_name(workload);
            let is_sure = is_settled_client(ctx, workload) && !ctx.has_operators(workload.namespace);
            (Client::Workload(*pods), format!("the ingress controller {name}"), name, is_sure)
        }
    };
    let lost = lost(ctx, client, host, port)?;
    let said = Said {
        level: if is_sure { Level::Error } else { Level::Warning },
        place: ctx.inner(backend.service.span),
        label: "requests from outside go to this Service".to_owned(),
        resource: ctx.resource(id).meta.resource_name(),
        who,
        from,
        why: "it has no proxy, so it sends without a certificate of the mesh".to_owned(),
        help: "give the controller a sidecar, or let an Istio gateway take these requests",
    };
    lost.finding(ctx, said)
}
