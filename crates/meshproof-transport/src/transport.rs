//! The way from a question to an answer.

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{ClusterId, Fact, GatewayRole, Mesh, NamespaceId, Origin, WorkloadId, service_port_class};
use meshproof_resources::Spec;

use crate::answer::{Answer, Hop};
use crate::clients::{ClientClass, Clients, Profile, Sender};
use crate::endpoints::{Endpoint, Endpoints};
use crate::gateway::{GatewayRoutes, Gateways};
use crate::outbound::{Redirected, deciding};
use crate::registry::Registry;
use crate::routes::MeshRoutes;
use crate::rules::Rules;
use crate::scope::Scopes;
use crate::senders::{from_ztunnel, with_identity};
use crate::{Call, Client, EndpointAddress, Evidence, Outcome, Path, Target, Wire};

/// Why it is open whether a connection meets the client's proxy.
const BY_ADDRESS: &str = "only some addresses meet the client's proxy, and addresses are not in the input";

/// A mesh with the indexes over its Services, DestinationRules and Sidecars.
#[derive(Debug)]
pub struct Transport<'m> {
    pub(crate) mesh: &'m Mesh,
    pub(crate) registry: Registry<'m>,
    pub(crate) endpoints: Endpoints<'m>,
    pub(crate) rules: Rules<'m>,
    pub(crate) routes: MeshRoutes<'m>,
    pub(crate) clients: Clients,
    pub(crate) gateways: Gateways<'m>,
    pub(crate) gateway_routes: GatewayRoutes<'m>,
    /// Any Gateway is one for waypoints.
    pub(crate) has_waypoints: bool,
}

impl<'m> Transport<'m> {
    /// Builds the indexes; linear in the objects of the mesh.
    pub fn new(mesh: &'m Mesh) -> Self {
        Transport {
            mesh,
            registry: Registry::new(mesh),
            endpoints: Endpoints::new(mesh),
            rules: Rules::new(mesh),
            routes: MeshRoutes::new(mesh),
            clients: Clients::new(mesh),
            gateways: Gateways::new(mesh),
            gateway_routes: GatewayRoutes::new(mesh),
            has_waypoints: mesh.gateways_with_ids().any(|(_, gateway)| gateway.role == GatewayRole::Waypoint),
        }
    }

    /// The mesh that it is built over.
    pub fn mesh(&self) -> &'m Mesh {
        self.mesh
    }

    /// The class of a client. Calls of two clients of one class have the same outcome, up to the identity that the
    /// server sees.
    pub fn client_class(&self, id: WorkloadId) -> ClientClass {
        self.clients.class(id)
    }

    /// Every class of clients, with one workload of each.
    pub fn client_classes(&self) -> impl Iterator<Item = (ClientClass, WorkloadId)> + '_ {
        self.clients.all()
    }

    /// What becomes of a call.
    pub fn call(&self, call: &Call<'_>) -> Outcome {
        match (call.client, call.target) {
            (Client::Workload(id), Target::Host(host)) => self.of_workload(call, id, host),
            (Client::Workload(id), Target::Workload(to)) => self.to_address(call, id, to),
            (Client::Waypoint(id), Target::Host(host)) => {
                self.by_proxy(call, &Profile::of_waypoint(self.mesh, id), host)
            }
            (Client::Waypoint(_), Target::Workload(to)) => {
                self.to_endpoint(call, Path::Cluster, to, |endpoint| from_ztunnel(self.mesh, endpoint))
            }
            (Client::Plaintext(cluster), Target::Host(host)) => {
                self.by_name(call, Path::Direct, (cluster, None), host, |_| known(Wire::Plain))
            }
            (Client::Plaintext(_), Target::Workload(to)) => {
                self.to_endpoint(call, Path::Direct, to, |_| known(Wire::Plain))
            }
            (Client::Identity(cluster, _), Target::Host(host)) => {
                let wire = |endpoint: &Endpoint<'m>| with_identity(self.mesh, endpoint);
                self.by_name(call, Path::Cluster, (cluster, None), host, wire)
            }
            (Client::Identity(..), Target::Workload(to)) => {
                self.to_endpoint(call, Path::Cluster, to, |endpoint| with_identity(self.mesh, endpoint))
            }
        }
    }

    pub(crate) fn answer<'q>(&self, call: &Call<'q>, path: Path) -> Answer<'q, 'm> {
        Answer::new(self.mesh, *call, path)
    }

    pub(crate) fn scopes(&self) -> Scopes<'_, 'm> {
        Scopes { mesh: self.mesh, registry: &self.registry, routes: &self.routes }
    }

    fn of_workload(&self, call: &Call<'_>, id: WorkloadId, host: &str) -> Outcome {
        let profile = self.clients.profile(id);
        let place = (profile.scope.cluster, Some(profile.scope.namespace));
        match &profile.sender {
            Sender::Gateway | Sender::Waypoint(_) => self.by_proxy(call, profile, host),
            Sender::Sidecar => match profile.outbound.of(call.port) {
                Redirected::Yes => self.by_proxy(call, profile, host),
                Redirected::No => {
                    let mut outcome = self.by_name(call, Path::Direct, place, host, |_| known(Wire::Plain));
                    outcome.evidence.push(self.around(id));
                    outcome
                }
                Redirected::ByAddress => {
                    let unknown = |_: &Endpoint<'m>| Fact::Unknown(BY_ADDRESS.to_owned());
                    let mut outcome = self.by_name(call, Path::Cluster, place, host, unknown);
                    outcome.evidence.push(self.around(id));
                    outcome
                }
            },
            Sender::Ztunnel => {
                let wire = |endpoint: &Endpoint<'m>| from_ztunnel(self.mesh, endpoint);
                self.by_name(call, Path::Ztunnel, place, host, wire)
            }
            Sender::Application => self.by_name(call, Path::Direct, place, host, |_| known(Wire::Plain)),
            Sender::Unknown(reason) => {
                self.by_name(call, Path::Cluster, place, host, |_| Fact::Unknown(reason.clone()))
            }
        }
    }

    /// A call to the address of a pod. Proxies know of Services alone, so that such a call passes through as the
    /// application wrote it.
    fn to_address(&self, call: &Call<'_>, id: WorkloadId, to: WorkloadId) -> Outcome {
        let profile = self.clients.profile(id);
        let redirected = profile.outbound.of(call.port);
        let tunnelled = |endpoint: &Endpoint<'m>| from_ztunnel(self.mesh, endpoint);
        match &profile.sender {
            Sender::Sidecar if redirected == Redirected::No => {
                let mut outcome = self.to_endpoint(call, Path::Direct, to, |_| known(Wire::Plain));
                outcome.evidence.push(self.around(id));
                outcome
            }
            Sender::Sidecar | Sender::Gateway => {
                if let Some(outcome) = self.to_headless(call, profile, to) {
                    return outcome;
                }
                match self.passes_unknown(profile) {
                    Fact::Known(true, _) => {
                        let mut outcome = self.to_endpoint(call, Path::Direct, to, |_| known(Wire::Plain));
                        outcome.evidence.push(self.unknown_destination(profile, true));
                        outcome
                    }
                    Fact::Known(false, _) if redirected == Redirected::ByAddress => {
                        self.to_endpoint(call, Path::Direct, to, |_| Fact::Unknown(BY_ADDRESS.to_owned()))
                    }
                    Fact::Known(false, _) => {
                        let mut answer = self.answer(call, Path::Blackhole);
                        answer.say(self.unknown_destination(profile, false));
                        answer.finish()
                    }
                    Fact::Unknown(reason) => {
                        self.to_endpoint(call, Path::Direct, to, |_| Fact::Unknown(reason.clone()))
                    }
                }
            }
            Sender::Waypoint(_) => self.to_endpoint(call, Path::Cluster, to, tunnelled),
            Sender::Ztunnel => self.to_endpoint(call, Path::Ztunnel, to, tunnelled),
            Sender::Application => self.to_endpoint(call, Path::Direct, to, |_| known(Wire::Plain)),
            Sender::Unknown(reason) => {
                self.to_endpoint(call, Path::Direct, to, |_| Fact::Unknown(reason.clone()))
            }
        }
    }

    fn to_endpoint(
        &self,
        call: &Call<'_>,
        path: Path,
        to: WorkloadId,
        wire: impl Fn(&Endpoint<'m>) -> Fact<Wire>,
    ) -> Outcome {
        let mut answer = self.answer(call, path);
        let endpoint = self.endpoints.of_workload(to, call.port);
        let wire = wire(&endpoint);
        answer.add(Hop { endpoint, wire, evidence: Vec::new() });
        answer.finish()
    }

    /// For headless Services, sidecars know the addresses of pods: on ports that are not HTTP they have a listener for
    /// each (Istio 1.32, networking/core/listener.go). HTTP is routed by the name that is asked for.
    fn to_headless(&self, call: &Call<'_>, profile: &Profile, to: WorkloadId) -> Option<Outcome> {
        if profile.sender != Sender::Sidecar || profile.outbound.of(call.port) != Redirected::Yes {
            return None;
        }
        let workload = self.mesh.workload(to);
        let at = workload.ports.binary_search_by_key(&call.port, |port| port.number).ok()?;
        let host = workload.ports[at].bindings.iter().find_map(|binding| {
            let spec = self.mesh.service_spec(binding.service)?;
            let port = spec.ports.get(binding.port).filter(|port| port.port.value == call.port)?;
            let is_http = service_port_class(port) == ProtocolClass::Http;
            let host = self.mesh.services[binding.service.index()].fqdn.as_deref()?;
            (spec.headless && !is_http && self.scopes().known(&profile.scope, host).is_some()).then_some(host)
        })?;
        let mut outcome = self.by_proxy(call, profile, host);
        outcome.endpoints.retain(|endpoint| endpoint.endpoint == EndpointAddress::Workload(to));
        Some(outcome)
    }

    /// A call to whatever DNS and Kubernetes give for a host, by clients that have no scope.
    pub(crate) fn by_name(
        &self,
        call: &Call<'_>,
        path: Path,
        (cluster, namespace): (ClusterId, Option<NamespaceId>),
        host: &str,
        wire: impl Fn(&Endpoint<'m>) -> Fact<Wire>,
    ) -> Outcome {
        let mut answer = self.answer(call, path);
        let all = self.registry.of_host(cluster, self.scopes().concrete(cluster, host));
        let own = all.iter().find(|at| Some(self.registry.service(**at).namespace) == namespace);
        let Some(at) = own.or_else(|| all.first()).copied() else {
            answer.unknown.push(format!("{host} is no host that the input knows of"));
            return answer.finish();
        };
        let port = self.registry.ports(at).into_iter().find(|port| port.number == call.port);
        let Some(port) = port else {
            answer.unknown.push(format!("{host} has no port {}", call.port));
            return answer.finish();
        };
        if self.registry.service(at).is_entry() && path == Path::Direct {
            let text = format!("how {host} resolves for clients without a proxy is not in the input");
            answer.unknown.push(text);
            return answer.finish();
        }
        if path == Path::Ztunnel {
            self.through_waypoints(&mut answer, at);
        }
        let (endpoints, missing) = self.endpoints.of_port(&self.registry, &port);
        answer.unknown.extend(missing);
        for endpoint in endpoints {
            let wire = wire(&endpoint);
            answer.add(Hop { endpoint, wire, evidence: Vec::new() });
        }
        answer.finish()
    }

    /// The annotation that takes connections around the client's proxy.
    fn around(&self, id: WorkloadId) -> Evidence {
        let resource = self.mesh.workload(id).resource;
        let written = match &self.mesh.resource(resource).spec {
            Spec::Workload(pods) => pods.template.as_ref().and_then(|pods| deciding(&pods.annotations)),
            _ => None,
        };
        let text = "the connection goes around the client's proxy".to_owned();
        Evidence { object: Some(resource), span: written.map(|annotation| annotation.span), text }
    }
}

fn known(wire: Wire) -> Fact<Wire> {
    Fact::Known(wire, Origin::Default)
}
