//! How the traffic of pods meets the mesh (mutual-TLS reference §4).

use meshproof_resources::{Container, Text, TextMap};

use crate::doubts::REVISION;
use crate::pods::{PodKind, Pods};
use crate::{Capture, Dataplane, Fact, Namespace, Origin, Settings};

const INJECT: &str = "sidecar.istio.io/inject";
const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";
const TEMPLATES: &str = "inject.istio.io/templates";
pub(crate) const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// The label that names the controller of a deployed gateway.
pub(crate) const MANAGED: &str = "gateway.istio.io/managed";
/// The controller that istiod names on the waypoints it deploys.
pub(crate) const MESH_CONTROLLER: &str = "istio.io-mesh-controller";
/// Namespaces in which the injector never acts (Istio 1.32, pkg/kube/inject/inject.go).
const SYSTEM_NAMESPACES: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];
/// The namespace that the CNI agent leaves out by default (istio-cni chart, `excludeNamespaces`).
const NOT_AMBIENT: &str = "kube-system";

/// How traffic of `pods` meets the mesh; unknown where it hangs on something that the input does not hold.
pub(crate) fn capture(pods: &Pods<'_>, namespace: &Namespace, settings: &Settings) -> Fact<Capture> {
    if let Some(gateway) = gateway(pods) {
        return gateway;
    }
    if let PodKind::Machine { joins_mesh, .. } = pods.kind {
        return machine(pods, joins_mesh, settings);
    }
    if pods.host_network {
        return Fact::Known(Capture::None, Origin::Written(pods.span));
    }
    if let Some(origin) = written_sidecar(pods) {
        return Fact::Known(sidecar_kind(pods, settings), origin);
    }
    let injected = injection(pods, namespace, settings);
    let has_none = matches!(injected, Injection::No(_));
    let known = match injected {
        Injection::Yes(origin) => Fact::Known(sidecar_kind(pods, settings), origin),
        Injection::No(origin) => ambient(pods, namespace, origin),
        Injection::Unknown(reason) => Fact::Unknown(reason),
    };
    match (&known, &namespace.labels, settings.assumed) {
        (Fact::Unknown(_), Fact::Unknown(_), Some(assumed)) => {
            let origin = if assumed.is_certain { Origin::Default } else { Origin::Assumed };
            let capture = match assumed.dataplane {
                Dataplane::Ambient => Capture::Ambient,
                Dataplane::Sidecar if !has_none => sidecar_kind(pods, settings),
                Dataplane::Sidecar | Dataplane::None => Capture::None,
            };
            Fact::Known(capture, origin)
        }
        _ => known,
    }
}

/// A virtual machine. What it runs is not in any manifest; one that has a workload identity got it for its proxy.
fn machine(pods: &Pods<'_>, joins_mesh: bool, settings: &Settings) -> Fact<Capture> {
    let mark = pods.labels.get("security.istio.io/tlsMode");
    match mark {
        Some(mode) if mode.value == "disabled" => Fact::Known(Capture::None, Origin::Written(mode.span)),
        _ if joins_mesh => Fact::Known(sidecar_kind(pods, settings), Origin::Written(pods.span)),
        _ => Fact::Unknown(format!("whether a proxy runs beside {} is not in the input", pods.name)),
    }
}

/// Proxies that are servers of their own, not helpers of an application.
fn gateway(pods: &Pods<'_>) -> Option<Fact<Capture>> {
    if let PodKind::Presumed = pods.kind {
        return Some(Fact::Known(Capture::Gateway, Origin::Written(pods.span)));
    }
    if let Some(name) = pods.labels.get(GATEWAY_NAME) {
        let managed = pods.labels.get(MANAGED);
        let waypoint = managed.is_some_and(|controller| controller.value == MESH_CONTROLLER);
        let kind = if waypoint { Capture::Waypoint } else { Capture::Gateway };
        return Some(Fact::Known(kind, Origin::Written(name.span)));
    }
    if let Some(templates) = templates(pods)
        && names(templates).any(|name| name == "gateway")
    {
        return Some(Fact::Known(Capture::Gateway, Origin::Written(templates.span)));
    }
    let proxy = proxy_container(pods.containers)?;
    let by_label = pods.labels.get("istio").filter(|value| value.value.ends_with("gateway"));
    let alone = pods.containers.iter().all(|container| container.init || is_proxy(container));
    let at = proxy.name.as_ref().map_or(pods.span, |name| name.span);
    (by_label.is_some() || alone).then(|| {
        let span = by_label.map_or(at, |label| label.span);
        Fact::Known(Capture::Gateway, Origin::Written(span))
    })
}

fn proxy_container(containers: &[Container]) -> Option<&Container> {
    containers.iter().find(|container| is_proxy(container))
}

fn is_proxy(container: &Container) -> bool {
    container.name.as_ref().is_some_and(|name| name.value == "istio-proxy")
}

/// A sidecar that is written down: a proxy container with an image of its own (`auto` leaves the image to the
/// injector), or the trace that injection leaves.
fn written_sidecar(pods: &Pods<'_>) -> Option<Origin> {
    if let Some(status) = pods.annotations.get("sidecar.istio.io/status") {
        return Some(Origin::Written(status.span));
    }
    let image = proxy_container(pods.containers)?.image.as_ref()?;
    (image.value != "auto").then_some(Origin::Written(image.span))
}

fn templates<'a>(pods: &Pods<'a>) -> Option<&'a Text> {
    pods.annotations.get(TEMPLATES)
}

fn names(list: &Text) -> impl Iterator<Item = &str> {
    list.value.split(',').map(str::trim)
}

fn sidecar_kind(pods: &Pods<'_>, settings: &Settings) -> Capture {
    if templates(pods).is_some_and(|list| names(list).any(|name| name.starts_with("grpc-"))) {
        return Capture::ProxylessGrpc;
    }
    if listens_on_hbone(pods, settings) { Capture::SidecarHbone } else { Capture::Sidecar }
}

/// Whether the proxy metadata `ISTIO_META_ENABLE_HBONE` is `"true"`, from the pod's own proxy configuration (YAML or
/// JSON in an annotation) or that of the mesh.
fn listens_on_hbone(pods: &Pods<'_>, settings: &Settings) -> bool {
    let own = pods.annotations.get("proxy.istio.io/config").and_then(|config| {
        let (_, rest) = config.value.split_once("ISTIO_META_ENABLE_HBONE")?;
        let value = rest.trim_start_matches(['"', '\'', ':', ' ']);
        Some(value.starts_with("true"))
    });
    own.unwrap_or_else(|| settings.sidecar_hbone.is(&true))
}

enum Injection {
    Yes(Origin),
    No(Origin),
    Unknown(String),
}

/// The two gates of sidecar injection: which webhook entry selects the pod (mutatingwebhook.yaml), and what the
/// injector then decides (Istio 1.32, pkg/kube/inject/inject.go `injectRequired`).
fn injection(pods: &Pods<'_>, namespace: &Namespace, settings: &Settings) -> Injection {
    if namespace.name.as_deref().is_some_and(|name| SYSTEM_NAMESPACES.contains(&name)) {
        return Injection::No(Origin::Default);
    }
    let label = pods.labels.get(INJECT);
    if let Some(choice) = label.or_else(|| pods.annotations.get(INJECT))
        && choice.value == "false"
    {
        return Injection::No(Origin::Written(choice.span));
    }
    let asks = label.or_else(|| pods.annotations.get(INJECT)).is_some_and(|choice| choice.value == "true");
    match &settings.auto_inject {
        Fact::Known(false, origin) if !asks => return Injection::No(*origin),
        Fact::Unknown(reason) if !asks => return Injection::Unknown(reason.clone()),
        _ => {}
    }
    let of_namespace = match &namespace.labels {
        Fact::Known(labels, _) => labels,
        Fact::Unknown(reason) => {
            return Injection::Unknown(format!("whether a sidecar is injected is open: {reason}"));
        }
    };
    webhook(pods, label, of_namespace, namespace, settings)
}

fn webhook(
    pods: &Pods<'_>,
    label: Option<&Text>,
    of_namespace: &TextMap,
    namespace: &Namespace,
    settings: &Settings,
) -> Injection {
    if let Some(choice) = of_namespace.get("istio-injection") {
        let origin = Origin::Inherited(choice.span);
        return if choice.value == "enabled" { Injection::Yes(origin) } else { Injection::No(origin) };
    }
    if let Some(revision) = of_namespace.get(REVISION) {
        return of_revision(revision, Origin::Inherited(revision.span), settings);
    }
    if let Some(revision) = pods.labels.get(REVISION) {
        return of_revision(revision, Origin::Written(revision.span), settings);
    }
    if let Some(choice) = label.filter(|choice| choice.value == "true") {
        return Injection::Yes(Origin::Written(choice.span));
    }
    match &settings.inject_by_default {
        Fact::Known(true, origin) if label.is_none() => Injection::Yes(*origin),
        Fact::Known(..) => Injection::No(namespace_origin(namespace)),
        Fact::Unknown(reason) => Injection::Unknown(reason.clone()),
    }
}

fn namespace_origin(namespace: &Namespace) -> Origin {
    match &namespace.labels {
        Fact::Known(_, Origin::Written(span)) => Origin::Inherited(*span),
        _ => Origin::Default,
    }
}

fn of_revision(revision: &Text, origin: Origin, settings: &Settings) -> Injection {
    let name = &revision.value;
    if name == "default" || settings.revisions.contains(name) {
        return Injection::Yes(origin);
    }
    Injection::Unknown(format!("whether the control plane has a revision {name} is not in the input"))
}

/// Pods without a sidecar: taken by ztunnel, or not in the mesh (Istio 1.32, cni/pkg/util/enablement_selector.go).
fn ambient(pods: &Pods<'_>, namespace: &Namespace, without_sidecar: Origin) -> Fact<Capture> {
    if namespace.name.as_deref() == Some(NOT_AMBIENT) {
        return Fact::Known(Capture::None, without_sidecar);
    }
    let own = pods.labels.get(DATAPLANE_MODE);
    match own {
        Some(mode) if mode.value == "ambient" => {
            return Fact::Known(Capture::Ambient, Origin::Written(mode.span));
        }
        Some(mode) if mode.value == "none" => return Fact::Known(Capture::None, Origin::Written(mode.span)),
        _ => {}
    }
    match &namespace.labels {
        Fact::Known(labels, _) => match labels.get(DATAPLANE_MODE) {
            Some(mode) if mode.value == "ambient" => {
                Fact::Known(Capture::Ambient, Origin::Inherited(mode.span))
            }
            _ => Fact::Known(Capture::None, without_sidecar),
        },
        Fact::Unknown(reason) => {
            Fact::Unknown(format!("whether ztunnel takes its traffic is open: {reason}"))
        }
    }
}
