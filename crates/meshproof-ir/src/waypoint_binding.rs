//! Which waypoint a service or workload uses (waypoint reference; Istio 1.32, serviceregistry/ambient/waypoints.go).
//!
//! istiod binds to every Gateway that has an address, waypoint or not. Every Gateway of the input is taken to have
//! one. Whether callers and pods are captured plays no part here.

use meshproof_resources::{Listener, Text, TextMap};

use crate::called::Choosing;
use crate::capture::{GATEWAY_NAME, MANAGED, MESH_CONTROLLER};
use crate::{Called, Fact, GatewayId, GatewayRole, Mesh, NamespaceId, Origin};

const USE_WAYPOINT: &str = "istio.io/use-waypoint";
const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
const CANARY: &str = "istio.io/use-waypoint-canary";
const CANARY_NAMESPACE: &str = "istio.io/use-waypoint-canary-namespace";
const CANARY_WEIGHT: &str = "istio.io/use-waypoint-canary-weight";
const WAYPOINT_FOR: &str = "istio.io/waypoint-for";
/// A value instead of the name of a Gateway.
const OPT_OUT: &str = "none";
/// The listener that istiod reads `allowedRoutes` of.
const HBONE: (&str, u16) = ("HBONE", 15008);

/// Which waypoint is used, and which one beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaypointBinding {
    /// The Gateway that istiod takes for the waypoint, or why there is none. It may be one that is no waypoint: then
    /// nothing enforces the policies that are meant for it (see [`Mesh::enforcing_waypoints`]).
    pub waypoint: Result<GatewayId, NoWaypoint>,
    /// A second waypoint for a share of the calls, or why it is not used; absent when none is asked for.
    pub canary: Option<Result<Canary, NoWaypoint>>,
}

/// A second waypoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The Gateway.
    pub waypoint: GatewayId,
    /// Its share of the calls in percent; the first waypoint gets the rest.
    pub weight: u8,
}

/// Why no waypoint is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoWaypoint {
    /// No label asks for one.
    NotAsked,
    /// The label says `none`.
    OptedOut,
    /// Services of type ExternalName are not in istiod's index.
    NotInIndex,
    /// It is the Service of a waypoint, or the pod of a Gateway.
    IsGateway,
    /// The input holds no Gateway of that name. If there is none in the cluster either, there is no fall-back.
    NoSuchGateway {
        /// Its namespace; absent when the name of that is not known.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
    /// `allowedRoutes` of this Gateway do not admit the namespace.
    AttachmentDenied(GatewayId),
    /// `istio.io/waypoint-for` of this Gateway says that it does not serve this kind of traffic.
    UnsupportedTrafficType(GatewayId),
    /// The canary is the waypoint itself.
    CanarySameAsPrimary,
    /// The weight is no integer from 0 to 100.
    CanaryInvalidWeight,
}

impl NoWaypoint {
    /// The reason as istiod reports it in the condition `istio.io/WaypointBound`; none where it reports nothing.
    pub fn condition(&self) -> Option<&'static str> {
        match self {
            NoWaypoint::NotAsked | NoWaypoint::OptedOut | NoWaypoint::IsGateway | NoWaypoint::NotInIndex => {
                None
            }
            NoWaypoint::NoSuchGateway { .. } => Some("WaypointIsNotReady"),
            NoWaypoint::AttachmentDenied(_) => Some("AttachmentDenied"),
            NoWaypoint::UnsupportedTrafficType(_) => Some("UnsupportedTrafficType"),
            NoWaypoint::CanarySameAsPrimary => Some("CanarySameAsPrimary"),
            NoWaypoint::CanaryInvalidWeight => Some("CanaryInvalidWeight"),
        }
    }
}

impl WaypointBinding {
    fn none(reason: NoWaypoint) -> Self {
        WaypointBinding { waypoint: Err(reason), canary: None }
    }

    /// The waypoints with their shares of the calls in percent, the canary last. A share may be 0.
    pub fn shares(&self) -> impl Iterator<Item = (GatewayId, u8)> {
        let canary = self.canary.as_ref().and_then(|canary| canary.as_ref().ok());
        let rest = 100 - canary.map_or(0, |canary| canary.weight.min(100));
        let first = self.waypoint.as_ref().ok().map(|waypoint| (*waypoint, rest));
        first.into_iter().chain(canary.map(|canary| (canary.waypoint, canary.weight)))
    }
}

/// Where the label stands that asks for a waypoint.
struct Asking<'m> {
    name: &'m Text,
    namespace: Option<&'m Text>,
    origin: Origin,
}

impl<'m> Asking<'m> {
    fn of(labels: &'m TextMap, (name, namespace): (&str, &str), inherited: bool) -> Option<Self> {
        let name = labels.get(name)?;
        let origin = if inherited { Origin::Inherited(name.span) } else { Origin::Written(name.span) };
        Some(Asking { name, namespace: labels.get(namespace), origin })
    }
}

impl Mesh {
    /// Which waypoint is used when `called` is addressed. The origin is the label that decides.
    ///
    /// Unknown where it hangs on the labels of a namespace that the input does not hold.
    pub fn waypoint_of(&self, called: Called) -> Fact<WaypointBinding> {
        let Some(choosing) = self.choosing(called) else {
            return Fact::Unknown("the namespace is not known".to_owned());
        };
        if let Some(reason) = self.never_has_one(called, &choosing) {
            return Fact::Known(WaypointBinding::none(reason), Origin::Default);
        }
        let of_namespace = &self.namespace(choosing.namespace).labels;
        let keys = (USE_WAYPOINT, USE_WAYPOINT_NAMESPACE);
        let own = Asking::of(choosing.labels, keys, false);
        let inherits = own.is_none();
        let asking = match (own, of_namespace) {
            (Some(own), _) => Some(own),
            (None, Fact::Known(labels, _)) => Asking::of(labels, keys, true),
            (None, Fact::Unknown(reason)) => {
                return Fact::Unknown(format!("whether a waypoint is used is open: {reason}"));
            }
        };
        let Some(asking) = asking else {
            return Fact::Known(WaypointBinding::none(NoWaypoint::NotAsked), Origin::Default);
        };
        if asking.name.value == OPT_OUT {
            return Fact::Known(WaypointBinding::none(NoWaypoint::OptedOut), asking.origin);
        }
        let waypoint = match self.usable(&choosing, &asking, called) {
            Ok(waypoint) => waypoint,
            Err(reason) => return Fact::Unknown(reason),
        };
        let canary = match &waypoint {
            Ok(primary) if called.is_service() => self.canary(&choosing, called, *primary, inherits),
            _ => None,
        };
        let canary = match canary.transpose() {
            Ok(canary) => canary,
            Err(reason) => return Fact::Unknown(reason),
        };
        Fact::Known(WaypointBinding { waypoint, canary }, asking.origin)
    }

    /// The waypoints among those of a binding that enforce policies, with their shares in percent: the binding may
    /// name Gateways whose proxies know nothing of the service (waypoint reference, C1).
    pub fn enforcing_waypoints(&self, binding: &WaypointBinding) -> impl Iterator<Item = (GatewayId, u8)> {
        binding.shares().filter(|(waypoint, _)| self.gateway(*waypoint).role == GatewayRole::Waypoint)
    }

    /// What never has a waypoint, whatever the labels say (waypoint reference, C4).
    fn never_has_one(&self, called: Called, choosing: &Choosing<'_>) -> Option<NoWaypoint> {
        match called {
            Called::Service(_) | Called::GatewayService(_) | Called::ServiceEntry(_) => {
                let managed = choosing.labels.get(MANAGED);
                if managed.is_some_and(|controller| controller.value == MESH_CONTROLLER) {
                    return Some(NoWaypoint::IsGateway);
                }
                let Called::Service(id) = called else { return None };
                let kind = self.service_spec(id)?.service_type.as_ref()?;
                (kind.value == "ExternalName").then_some(NoWaypoint::NotInIndex)
            }
            Called::Workload(_) | Called::Endpoint { .. } => {
                let gateway = choosing.labels.get(GATEWAY_NAME)?;
                let gateway = self.gateway_named(choosing.namespace, &gateway.value);
                gateway.map(|_| NoWaypoint::IsGateway)
            }
        }
    }

    fn asked_for(&self, choosing: &Choosing<'_>, asking: &Asking<'_>) -> Option<GatewayId> {
        let namespace = match asking.namespace {
            Some(name) => self.namespace_by_name(choosing.cluster, &name.value)?,
            None => choosing.namespace,
        };
        self.gateway_named(namespace, &asking.name.value)
    }

    /// The Gateway that is asked for, if it may be used. The error of the outer result tells what is not known.
    fn usable(
        &self,
        choosing: &Choosing<'_>,
        asking: &Asking<'_>,
        called: Called,
    ) -> Result<Result<GatewayId, NoWaypoint>, String> {
        let gateway = self.asked_for(choosing, asking);
        let Some(gateway) = gateway else {
            let own = || self.namespace(choosing.namespace).name.clone();
            let namespace = asking.namespace.map_or_else(own, |name| Some(name.value.clone()));
            return Ok(Err(NoWaypoint::NoSuchGateway { namespace, name: asking.name.value.clone() }));
        };
        if !self.admits(gateway, choosing.namespace)? {
            return Ok(Err(NoWaypoint::AttachmentDenied(gateway)));
        }
        if !self.serves(gateway, called) {
            return Ok(Err(NoWaypoint::UnsupportedTrafficType(gateway)));
        }
        Ok(Ok(gateway))
    }

    /// Whether `allowedRoutes` of a waypoint admit what stands in `namespace` (waypoint reference, C2).
    fn admits(&self, gateway: GatewayId, namespace: NamespaceId) -> Result<bool, String> {
        let routes = self.waypoint_listener(gateway).and_then(|listener| listener.allowed_routes.as_ref());
        self.admits_namespace(routes, self.gateway(gateway).namespace, namespace)
    }

    /// The listener of which `allowedRoutes` say who may use a waypoint; without one, only its own namespace may.
    pub fn waypoint_listener(&self, gateway: GatewayId) -> Option<&Listener> {
        self.gateway_spec(gateway)?.listeners.iter().find(|listener| {
            let protocol = listener.protocol.as_ref().is_some_and(|protocol| protocol.value == HBONE.0);
            protocol && listener.port.as_ref().is_some_and(|port| port.value == HBONE.1)
        })
    }

    /// The label that says what traffic a waypoint takes, of the Gateway or of its class: `service` (also without the
    /// label), `workload` or `all`; anything else is nothing.
    pub fn waypoint_for(&self, gateway: GatewayId) -> Option<&Text> {
        let resource = self.resource(self.gateway(gateway).resource);
        resource.meta.labels.get(WAYPOINT_FOR).or_else(|| {
            let class = self.gateway_spec(gateway)?.class.as_ref()?;
            let cluster = self.namespace(self.gateway(gateway).namespace).cluster;
            let mut classes = self.objects(cluster, None, "GatewayClass", &class.value);
            classes.find_map(|id| self.resource(id).meta.labels.get(WAYPOINT_FOR))
        })
    }

    fn serves(&self, gateway: GatewayId, called: Called) -> bool {
        let own = if called.is_service() { "service" } else { "workload" };
        let traffic = self.waypoint_for(gateway).map_or("service", |traffic| traffic.value.as_str());
        traffic == own || traffic == "all"
    }

    /// The second waypoint. A namespace's counts only for what takes its first waypoint from there too (Istio 1.31,
    /// "Shift traffic between waypoints"); label and weight are inherited one by one.
    fn canary(
        &self,
        choosing: &Choosing<'_>,
        called: Called,
        primary: GatewayId,
        inherits: bool,
    ) -> Option<Result<Result<Canary, NoWaypoint>, String>> {
        let namespace = self.namespace(choosing.namespace);
        let keys = (CANARY, CANARY_NAMESPACE);
        let above = || Asking::of(namespace.labels.known()?, keys, true).filter(|_| inherits);
        let asking = Asking::of(choosing.labels, keys, false).or_else(above)?;
        if asking.name.value.is_empty() || asking.name.value == OPT_OUT {
            return None;
        }
        let above = || {
            let annotations = &self.resource(namespace.resource?).meta.annotations;
            annotations.get(CANARY_WEIGHT).filter(|_| inherits)
        };
        let weight = match choosing.annotations.get(CANARY_WEIGHT).or_else(above) {
            None => Some(0),
            Some(weight) => weight.value.parse::<i64>().ok().and_then(|weight| u8::try_from(weight).ok()),
        };
        if self.asked_for(choosing, &asking) == Some(primary) {
            return Some(Ok(Err(NoWaypoint::CanarySameAsPrimary)));
        }
        let Some(weight) = weight.filter(|weight| *weight <= 100) else {
            return Some(Ok(Err(NoWaypoint::CanaryInvalidWeight)));
        };
        let usable = self.usable(choosing, &asking, called);
        Some(usable.map(|usable| usable.map(|waypoint| Canary { waypoint, weight })))
    }
}
