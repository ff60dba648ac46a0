//! What istiod deploys for a Gateway of its classes (Istio 1.32, config/kube/gatewaycommon/deploymentcontroller.go).

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_grammar::protocol::{Protocol, ProtocolClass};
use meshproof_resources::{KubernetesGateway, Resource, Spec, TextMap};
use meshproof_source::Spanned;

use crate::capture::{GATEWAY_NAME, MANAGED, MESH_CONTROLLER};
use crate::{ChainPort, ResourceId};

/// The controller of ingress gateways, as it is written on what istiod deploys.
pub(crate) const GATEWAY_CONTROLLER: &str = "istio.io-gateway-controller";

/// The port of the proxy's own health checks; every deployed Service has it.
const STATUS_PORT: u16 = 15021;

/// istiod deploys nothing for a Gateway that names a host of its own or several addresses.
pub(crate) fn is_deployed(gateway: &KubernetesGateway) -> bool {
    match gateway.addresses.as_slice() {
        [] => true,
        [(kind, _)] => kind.as_ref().is_none_or(|kind| kind.value == "IPAddress"),
        _ => false,
    }
}

/// Classes that are istiod's, with the controller as it is written on the pods.
pub(crate) fn controllers<'a>(
    resources: &'a [Resource],
    ids: &[ResourceId],
) -> HashMap<&'a str, &'static str, RandomState> {
    let written = ids.iter().filter_map(|id| {
        let resource = &resources[id.index()];
        let Spec::GatewayClass(class) = &resource.spec else { return None };
        let controller = match class.controller.as_ref()?.value.as_str() {
            "istio.io/gateway-controller" => GATEWAY_CONTROLLER,
            "istio.io/mesh-controller" => MESH_CONTROLLER,
            _ => return None,
        };
        Some((resource.meta.name(), controller))
    });
    written.chain([("istio", GATEWAY_CONTROLLER), ("istio-waypoint", MESH_CONTROLLER)]).collect()
}

/// The name of the Deployment, the Service and the service account.
pub(crate) fn name(resource: &Resource, gateway: &KubernetesGateway, controller: &str) -> String {
    let name = resource.meta.name();
    if let Some(name) = resource.meta.annotations.get("gateway.istio.io/name-override") {
        return name.value.clone();
    }
    match &gateway.class {
        Some(class) if controller != MESH_CONTROLLER => format!("{name}-{}", class.value),
        _ => name.to_owned(),
    }
}

/// Labels of the pods and of the Service (waypoint reference, G2).
pub(crate) fn labels(resource: &Resource, gateway: &KubernetesGateway, controller: &str) -> TextMap {
    let infrastructure = &gateway.infrastructure_labels;
    let mut labels =
        if infrastructure.is_empty() { resource.meta.labels.clone() } else { infrastructure.clone() };
    let at = resource.meta.name_span();
    let added = [
        (GATEWAY_NAME, resource.meta.name()),
        (
            "gateway.networking.k8s.io/gateway-class-name",
            gateway.class.as_ref().map_or("", |class| &class.value),
        ),
        (MANAGED, controller),
    ];
    for (key, value) in added {
        labels.entries.retain(|(known, _)| known.value != key);
        labels.entries.push((Spanned::new(key.to_owned(), at), Spanned::new(value.to_owned(), at)));
    }
    labels
}

/// Ports of the Service: one for health checks and those of the listeners, whose protocol becomes `appProtocol`.
pub(crate) fn ports(resource: &Resource, gateway: &KubernetesGateway) -> Vec<ChainPort> {
    let status =
        ChainPort { number: STATUS_PORT, class: ProtocolClass::Tcp, span: resource.meta.name_span() };
    let mut ports = vec![status];
    let mut seen: HashSet<u16, RandomState> = HashSet::default();
    for listener in gateway.listeners.iter() {
        let Some(port) = &listener.port else { continue };
        if seen.insert(port.value) {
            let protocol = listener
                .protocol
                .as_ref()
                .map(|protocol| protocol.value.to_ascii_lowercase())
                .unwrap_or_default();
            let class = Protocol::select(u32::from(port.value), "", Some(&protocol), Some("TCP")).class();
            ports.push(ChainPort { number: port.value, class, span: port.span });
        }
    }
    ports
}
