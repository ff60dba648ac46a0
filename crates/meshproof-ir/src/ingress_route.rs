//! Whether an ingress gateway sends through a waypoint (waypoint reference, C1, C5, N3; Istio 1.32,
//! xds/endpoints/endpoint_builder.go).

use std::collections::HashSet;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use meshproof_grammar::dry_run::DryRun;
use meshproof_resources::{Resolution, TextMap};

use crate::{Called, Fact, GatewayId, GatewayRole, GatewayService, Mesh, Origin, ResourceId};

const INGRESS_USE_WAYPOINT: &str = "istio.io/ingress-use-waypoint";
const SERVICE_TYPE: &str = "networking.istio.io/service-type";
/// The port on which waypoints take calls.
const HBONE_PORT: u16 = 15008;

/// Where an ingress gateway sends calls to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngressRoute {
    /// Straight to the endpoints, past the waypoint if there is one.
    Endpoints,
    /// Through these waypoints, with their shares of the calls in percent.
    Waypoints(Vec<(GatewayId, u8)>),
    /// Nowhere; the text says why.
    Nowhere(String),
}

/// ServiceEntries with a selector that selects something; filled when first asked for.
#[derive(Debug, Default)]
pub(crate) struct SelectingEntries(OnceLock<HashSet<ResourceId, RandomState>>);

/// How the waypoint of a service is reached.
enum Reached {
    /// By the Service in front of it, which has the port of waypoints.
    Yes,
    /// By that Service, which lacks the port.
    NoPort,
    /// By an address that belongs to no Service, so that istiod does not find it.
    Outside,
}

impl Mesh {
    /// Where every ingress gateway sends calls to a service. The address of a Gateway that is no waypoint is taken to
    /// be an IP outside the mesh, unless its Service is a ClusterIP; one with a host name would be a dead end instead.
    pub fn ingress_route(&self, called: Called) -> Fact<IngressRoute> {
        let binding = match self.waypoint_of(called) {
            Fact::Known(binding, _) => binding,
            Fact::Unknown(reason) => return Fact::Unknown(reason),
        };
        let told = match self.ingress_uses_waypoint(called) {
            Fact::Known(told, origin) => (told, origin),
            // Without a waypoint the label has no effect.
            Fact::Unknown(_) if binding.waypoint.is_err() => (false, Origin::Default),
            Fact::Unknown(reason) => return Fact::Unknown(reason),
        };
        if !told.0 || binding.waypoint.is_err() {
            return self.to_endpoints(called, told.1);
        }
        let (mut through, mut dead) = (Vec::new(), false);
        for (waypoint, share) in binding.shares().filter(|(_, share)| *share > 0) {
            match self.reached(waypoint) {
                Ok(Reached::Yes) => through.push((waypoint, share)),
                Ok(Reached::NoPort) => dead = true,
                Ok(Reached::Outside) => {}
                Err(reason) => return Fact::Unknown(reason),
            }
        }
        if !through.is_empty() {
            return Fact::Known(IngressRoute::Waypoints(through), told.1);
        }
        if dead {
            let reason = format!("the Service of the waypoint has no port {HBONE_PORT}");
            return Fact::Known(IngressRoute::Nowhere(reason), told.1);
        }
        self.to_endpoints(called, told.1)
    }

    /// Whether ingress gateways are told to send through the waypoint: the label of the service, else of its namespace.
    fn ingress_uses_waypoint(&self, called: Called) -> Fact<bool> {
        let Some(choosing) = self.choosing(called) else {
            return Fact::Unknown("the namespace is not known".to_owned());
        };
        let says = |labels: &TextMap, origin: fn(meshproof_source::Span) -> Origin| {
            let label = labels.get(INGRESS_USE_WAYPOINT)?;
            let told = DryRun::parse(&label.value).is_ok_and(|flag| flag.0);
            Some(Fact::Known(told, origin(label.span)))
        };
        if let Some(own) = says(choosing.labels, Origin::Written) {
            return own;
        }
        match &self.namespace(choosing.namespace).labels {
            Fact::Known(labels, _) => {
                says(labels, Origin::Inherited).unwrap_or(Fact::Known(false, Origin::Default))
            }
            Fact::Unknown(reason) => {
                Fact::Unknown(format!("whether ingress gateways use the waypoint is open: {reason}"))
            }
        }
    }

    /// How istiod finds the endpoints of a waypoint. The error tells what is not known.
    fn reached(&self, waypoint: GatewayId) -> Result<Reached, String> {
        let gateway = self.gateway(waypoint);
        let by_service = match gateway.role {
            GatewayRole::Waypoint => true,
            GatewayRole::Foreign | GatewayRole::Unknown => return Ok(Reached::Outside),
            GatewayRole::Ingress
                if self.gateway_spec(waypoint).is_some_and(|spec| !spec.addresses.is_empty()) =>
            {
                return Err(format!(
                    "the address of Gateway {} is not in the input",
                    self.gateway_display(waypoint)
                ));
            }
            GatewayRole::Ingress => {
                let annotations = &self.resource(gateway.resource).meta.annotations;
                annotations.get(SERVICE_TYPE).is_some_and(|kind| kind.value == "ClusterIP")
            }
        };
        if !by_service {
            return Ok(Reached::Outside);
        }
        let has_port = gateway.services.iter().any(|service| match service {
            GatewayService::Written(id) => self
                .service_spec(*id)
                .is_some_and(|spec| spec.ports.iter().any(|port| port.port.value == HBONE_PORT)),
            GatewayService::Deployed(service) => service.ports.iter().any(|port| port.number == HBONE_PORT),
        });
        Ok(if has_port { Reached::Yes } else { Reached::NoPort })
    }

    fn to_endpoints(&self, called: Called, origin: Origin) -> Fact<IngressRoute> {
        let nothing = match called {
            Called::Service(id) => {
                let service = &self.services[id.index()];
                match self.service_spec(id) {
                    Some(spec) if spec.selector.is_empty() => {
                        let name = self.resource(service.resource).meta.name();
                        return Fact::Unknown(format!(
                            "Service {name} has no selector; its endpoints are not looked at"
                        ));
                    }
                    _ => service.workloads.is_empty(),
                }
            }
            Called::ServiceEntry(id) => !self.has_endpoints(id),
            Called::GatewayService(_) | Called::Workload(_) | Called::Endpoint { .. } => false,
        };
        let route = if nothing {
            IngressRoute::Nowhere("nothing in the input is behind it".to_owned())
        } else {
            IngressRoute::Endpoints
        };
        Fact::Known(route, origin)
    }

    /// Whether a ServiceEntry has endpoints: written, selected, or found by name.
    fn has_endpoints(&self, id: ResourceId) -> bool {
        let Some(entry) = self.service_entry(id) else { return false };
        if entry.workload_selector.is_some() {
            let selecting = self.selecting_entries.0.get_or_init(|| {
                let ports = self.workloads.iter().flat_map(|workload| &workload.ports);
                ports.flat_map(|port| &port.service_entries).map(|binding| binding.entry).collect()
            });
            return selecting.contains(&id);
        }
        let is_static =
            entry.resolution.as_ref().is_some_and(|resolution| resolution.value == Resolution::Static);
        !is_static || !entry.endpoints.is_empty()
    }
}
