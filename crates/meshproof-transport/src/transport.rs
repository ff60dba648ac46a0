//! The way from a question to an answer.

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Called, Fact, Mesh, NamespaceId, Origin, WorkloadId};
use meshproof_resources::{OutboundMode, Spec};

use crate::answer::{Answer, Hop};
use crate::client_tls::{ClusterSettings, settings};
use crate::clients::{ClientClass, Clients, Profile, Sender};
use crate::emission::{Cluster, ClusterWire, to_endpoint};
use crate::endpoints::{Endpoint, Endpoints};
use crate::gateway::{GatewayRoutes, Gateways};
use crate::merge::MergedRule;
use crate::outbound::{Redirected, deciding};
use crate::registry::{HostPort, Registry, Resolution, Written};
use crate::routes::MeshRoutes;
use crate::rules::Rules;
use crate::scope::{Known, Scopes};
use crate::senders::{from_waypoint, from_ztunnel, with_identity};
use crate::{Call, Client, Evidence, Outcome, Path, SentTls, Target, Wire};

/// A mesh with the indexes over its Services, DestinationRules and Sidecars.
#[derive(Debug)]
pub struct Transport<'m> {
    pub(crate) mesh: &'m Mesh,
    pub(crate) registry: Registry<'m>,
    pub(crate) endpoints: Endpoints<'m>,
    rules: Rules<'m>,
    routes: MeshRoutes<'m>,
    pub(crate) clients: Clients,
    pub(crate) gateways: Gateways<'m>,
    pub(crate) gateway_routes: GatewayRoutes<'m>,
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
            (Client::Plaintext(cluster), Target::Host(host)) => {
                let mut answer = self.answer(call, Path::Direct);
                self.unscoped(&mut answer, cluster, None, host, |_| {
                    Fact::Known(Wire::Plain, Origin::Default)
                });
                answer.finish()
            }
            (Client::Plaintext(_), Target::Workload(to)) => {
                let mut answer = self.answer(call, Path::Direct);
                let endpoint = self.endpoints.of_workload(to, call.port);
                answer.add(Hop { endpoint, wire: known(Wire::Plain), evidence: Vec::new() });
                answer.finish()
            }
            (Client::Identity(cluster, _), Target::Host(host)) => {
                let mut answer = self.answer(call, Path::Cluster);
                self.unscoped(&mut answer, cluster, None, host, |endpoint| {
                    with_identity(self.mesh, endpoint)
                });
                answer.finish()
            }
            (Client::Identity(..), Target::Workload(to)) => {
                let mut answer = self.answer(call, Path::Cluster);
                let endpoint = self.endpoints.of_workload(to, call.port);
                let wire = with_identity(self.mesh, &endpoint);
                answer.add(Hop { endpoint, wire, evidence: Vec::new() });
                answer.finish()
            }
        }
    }

    fn answer<'q>(&self, call: &Call<'q>, path: Path) -> Answer<'q, 'm> {
        Answer::new(self.mesh, *call, path)
    }

    pub(crate) fn scopes(&self) -> Scopes<'_, 'm> {
        Scopes { mesh: self.mesh, registry: &self.registry, routes: &self.routes }
    }

    fn of_workload(&self, call: &Call<'_>, id: WorkloadId, host: &str) -> Outcome {
        let profile = self.clients.profile(id);
        match &profile.sender {
            Sender::Sidecar => match profile.outbound.of(call.port) {
                Redirected::Yes => self.by_proxy(call, profile, host),
                Redirected::No => {
                    let mut answer = self.answer(call, Path::Direct);
                    answer.say(self.around(id));
                    self.plain(&mut answer, profile, host);
                    answer.finish()
                }
                Redirected::ByAddress => {
                    let mut answer = self.answer(call, Path::Cluster);
                    let reason =
                        "only some addresses meet the client's proxy, and addresses are not in the input";
                    let unknown = || Fact::Unknown(reason.to_owned());
                    answer.say(self.around(id));
                    let namespace = Some(profile.scope.namespace);
                    self.unscoped(&mut answer, profile.scope.cluster, namespace, host, |_| unknown());
                    answer.finish()
                }
            },
            Sender::Gateway | Sender::Waypoint(_) => self.by_proxy(call, profile, host),
            Sender::Ztunnel => {
                let mut answer = self.answer(call, Path::Ztunnel);
                let namespace = Some(profile.scope.namespace);
                self.unscoped(&mut answer, profile.scope.cluster, namespace, host, |endpoint| {
                    from_ztunnel(self.mesh, endpoint)
                });
                answer.finish()
            }
            Sender::Application => {
                let mut answer = self.answer(call, Path::Direct);
                self.plain(&mut answer, profile, host);
                answer.finish()
            }
            Sender::Unknown(reason) => {
                let mut answer = self.answer(call, Path::Cluster);
                let namespace = Some(profile.scope.namespace);
                self.unscoped(&mut answer, profile.scope.cluster, namespace, host, |_| {
                    Fact::Unknown(reason.clone())
                });
                answer.finish()
            }
        }
    }

    /// A call to the address of a pod. Proxies know of Services alone, so that such a call passes through as the
    /// application wrote it.
    fn to_address(&self, call: &Call<'_>, id: WorkloadId, to: WorkloadId) -> Outcome {
        let profile = self.clients.profile(id);
        let endpoint = self.endpoints.of_workload(to, call.port);
        let (path, wire) = match &profile.sender {
            Sender::Sidecar | Sender::Gateway => match self.passes_unknown(profile) {
                Fact::Known(true, _) => (Path::Direct, known(Wire::Plain)),
                Fact::Known(false, _) => (Path::Blackhole, known(Wire::Plain)),
                Fact::Unknown(reason) => (Path::Direct, Fact::Unknown(reason)),
            },
            Sender::Waypoint(_) => (Path::Cluster, from_ztunnel(self.mesh, &endpoint)),
            Sender::Ztunnel => (Path::Ztunnel, from_ztunnel(self.mesh, &endpoint)),
            Sender::Application => (Path::Direct, known(Wire::Plain)),
            Sender::Unknown(reason) => (Path::Direct, Fact::Unknown(reason.clone())),
        };
        let mut answer = self.answer(call, path);
        if path == Path::Blackhole {
            answer.say(self.unknown_destination(profile, false));
            return answer.finish();
        }
        answer.add(Hop { endpoint, wire, evidence: Vec::new() });
        answer.finish()
    }

    /// The endpoints of a host for clients that have no scope: what DNS and Kubernetes give them.
    fn unscoped(
        &self,
        answer: &mut Answer<'_, 'm>,
        cluster: meshproof_ir::ClusterId,
        namespace: Option<NamespaceId>,
        host: &str,
        wire: impl Fn(&Endpoint<'m>) -> Fact<Wire>,
    ) {
        let concrete = self.scopes().concrete(cluster, host);
        let all = self.registry.of_host(cluster, concrete);
        let own = all.iter().find(|at| Some(self.registry.service(**at).namespace) == namespace);
        let Some(at) = own.or_else(|| all.first()).copied() else {
            answer.unknown.push(format!("{host} is no host that the input knows of"));
            return;
        };
        let port = self.registry.ports(at).into_iter().find(|port| port.number == answer.call.port);
        let Some(port) = port else {
            answer.unknown.push(format!("{host} has no port {}", answer.call.port));
            return;
        };
        if self.registry.service(at).is_entry() && answer.path == Path::Direct {
            let text = format!("how {host} resolves for clients without a proxy is not in the input");
            answer.unknown.push(text);
            return;
        }
        let (endpoints, missing) = self.endpoints.of_port(&self.registry, &port, None);
        answer.unknown.extend(missing);
        for endpoint in endpoints {
            let wire = wire(&endpoint);
            answer.add(Hop { endpoint, wire, evidence: Vec::new() });
        }
    }

    fn plain(&self, answer: &mut Answer<'_, 'm>, profile: &Profile, host: &str) {
        let namespace = Some(profile.scope.namespace);
        self.unscoped(answer, profile.scope.cluster, namespace, host, |_| known(Wire::Plain));
    }

    /// A call over a cluster of a sidecar, gateway or waypoint.
    fn by_proxy(&self, call: &Call<'_>, profile: &Profile, host: &str) -> Outcome {
        let scopes = self.scopes();
        let host = scopes.concrete(profile.scope.cluster, host);
        let Some(service) = scopes.known(&profile.scope, host) else {
            return self.out_of_scope(call, profile, host);
        };
        let port = service.ports.iter().find(|port| port.number == call.port);
        let Some(port) = port.filter(|port| port.class != ProtocolClass::Udp).copied() else {
            let mut answer = self.answer(call, Path::NoCluster);
            answer.unknown.push(format!("{host} has no port {}", call.port));
            return answer.finish();
        };
        let at = service.service;
        let rule = self.rule(profile, at, host);
        let mut answer = self.answer(call, Path::Cluster);
        self.doubt_rules(&mut answer, profile, host, rule);
        match settings(rule, port.number, call.subset) {
            Some(settings) => self.over(answer, profile, &service, &port, &settings),
            None => {
                answer.path = Path::NoCluster;
                let object = rule.and_then(|rule| rule.from.first().copied());
                let subset = call.subset.unwrap_or_default();
                let text = format!("the DestinationRule that the client follows has no subset {subset}");
                answer.say(Evidence { object, span: None, text });
                answer.finish()
            }
        }
    }

    /// The DestinationRule that a client follows for a host.
    pub(crate) fn rule(&self, profile: &Profile, service: u32, host: &str) -> Option<&MergedRule<'m>> {
        let namespace = self.registry.service(service).namespace;
        let name = self.mesh.namespace(profile.scope.namespace).name.as_deref();
        let client = (profile.scope.namespace, name);
        let rules = self.rules.for_host(profile.scope.cluster, client, namespace, host);
        self.clients.choose(profile, &rules)
    }

    fn over(
        &self,
        mut answer: Answer<'_, 'm>,
        profile: &Profile,
        service: &Known<'m>,
        port: &HostPort<'m>,
        settings: &ClusterSettings<'m>,
    ) -> Outcome {
        let of_host = self.registry.service(service.service);
        let resolution = of_host.resolution();
        let is_sidecar = profile.sender == Sender::Sidecar;
        // Gateways are told the endpoints of headless Services too.
        let original_destination =
            settings.passthrough || (resolution == Resolution::Passthrough && is_sidecar);
        let (all, missing) = self.endpoints.of_port(&self.registry, port, None);
        answer.unknown.extend(missing);
        if resolution == Resolution::Dns && !original_destination && all.is_empty() {
            answer.path = Path::NoCluster;
            return answer.finish();
        }
        let serves = self.serves(profile, service.service);
        let cluster = Cluster {
            settings,
            is_external: of_host.is_external(),
            original_destination,
            endpoints: &all,
            auto: &self.mesh.settings_of(profile.scope.cluster).auto_mtls,
            namespace_mode: self.mesh.namespace_mode(of_host.namespace),
            asks_endpoints: resolution == Resolution::Passthrough,
            is_sidecar,
        };
        let mut evidence = Vec::new();
        let wire = cluster.wire(&mut evidence);
        evidence.into_iter().for_each(|evidence| answer.say(evidence));
        if let ClusterWire::Same(wire) = wire {
            answer.wire = Some(wire);
        }
        if original_destination {
            answer.path = Path::OriginalDestination;
        }
        let chosen = match settings.subset.filter(|labels| !labels.is_empty()) {
            Some(labels) => all
                .iter()
                .filter(|one| one.labels.is_some_and(|own| labels.is_subset_of(own)))
                .cloned()
                .collect(),
            None => all.clone(),
        };
        for endpoint in chosen {
            let mut evidence = Vec::new();
            let tunnels = !original_destination && self.sends_tunnels(profile);
            let sent = match serves {
                true => from_waypoint(self.mesh, &wire, &endpoint),
                false => to_endpoint(self.mesh, &wire, settings, &endpoint, tunnels, &mut evidence),
            };
            answer.add(Hop { endpoint, wire: sent, evidence });
        }
        if serves {
            answer.wire = None;
        }
        let accounts = self.endpoints.accounts(&self.registry, service.service);
        answer.tls = self.sent_tls(&answer, of_host.host, of_host.is_entry(), &wire, settings, accounts);
        answer.finish()
    }

    /// What the client asks of the server's certificate.
    fn sent_tls(
        &self,
        answer: &Answer<'_, 'm>,
        host: &str,
        is_entry: bool,
        wire: &ClusterWire,
        settings: &ClusterSettings<'m>,
        accounts: &[String],
    ) -> Option<SentTls> {
        let any = answer.hops.iter().any(|hop| hop.wire.known().is_some_and(|wire| *wire != Wire::Plain));
        let same = matches!(wire, ClusterWire::Same(wire) if *wire != Wire::Plain);
        if !(any || same && answer.path == Path::OriginalDestination) {
            return None;
        }
        let subset = answer.call.subset.unwrap_or_default();
        let own_sni = format!("outbound_.{}_.{subset}_.{host}", answer.call.port);
        let written = settings.tls.map(|(_, tls)| tls);
        let names: Vec<String> = written
            .map(|tls| tls.subject_alt_names.iter().map(|name| name.value.clone()).collect())
            .unwrap_or_default();
        let sni = written.and_then(|tls| tls.sni.as_ref()).map(|sni| sni.value.clone()).unwrap_or_default();
        if !matches!(wire, ClusterWire::Same(Wire::Tls | Wire::Mtls)) {
            let server_names = if names.is_empty() { accounts.to_vec() } else { names };
            return Some(SentTls { sni: if sni.is_empty() { own_sni } else { sni }, server_names });
        }
        // Names of a ServiceEntry count where the rule has none; without a certificate authority nothing is compared.
        let names = if names.is_empty() && is_entry { accounts.to_vec() } else { names };
        let compares = written.is_some_and(|tls| !tls.insecure_skip_verify);
        Some(SentTls { sni, server_names: if compares { names } else { Vec::new() } })
    }

    fn out_of_scope(&self, call: &Call<'_>, profile: &Profile, host: &str) -> Outcome {
        match self.passes_unknown(profile) {
            Fact::Known(true, _) => {
                let mut answer = self.answer(call, Path::Direct);
                answer.say(self.unknown_destination(profile, true));
                self.plain(&mut answer, profile, host);
                answer.finish()
            }
            Fact::Known(false, _) => {
                let mut answer = self.answer(call, Path::Blackhole);
                answer.say(self.unknown_destination(profile, false));
                answer.finish()
            }
            Fact::Unknown(reason) => {
                let mut answer = self.answer(call, Path::Direct);
                answer.unknown.push(reason);
                answer.finish()
            }
        }
    }

    /// Whether a proxy passes through what it does not know.
    fn passes_unknown(&self, profile: &Profile) -> Fact<bool> {
        if profile.sender != Sender::Sidecar {
            return Fact::Known(false, Origin::Default);
        }
        let own = self.scopes().sidecar(&profile.scope).and_then(|sidecar| sidecar.outbound.as_ref());
        match own {
            Some(mode) => Fact::Known(mode.value == OutboundMode::AllowAny, Origin::Written(mode.span)),
            None => self.mesh.settings_of(profile.scope.cluster).allow_any_outbound.clone(),
        }
    }

    fn unknown_destination(&self, profile: &Profile, passes: bool) -> Evidence {
        let span = self.passes_unknown(profile).span();
        let text = match passes {
            true => "the client's proxy does not know the destination and passes it through as plaintext",
            false => "the client's proxy does not know the destination and refuses it",
        };
        Evidence { object: profile.scope.sidecar, span, text: text.to_owned() }
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

    /// Rules that may be the one that counts.
    fn doubt_rules(
        &self,
        answer: &mut Answer<'_, 'm>,
        profile: &Profile,
        host: &str,
        rule: Option<&MergedRule<'m>>,
    ) {
        let mesh = self.mesh;
        let cluster = profile.scope.cluster;
        for id in self.rules.floating(cluster, host) {
            if !rule.is_some_and(|rule| rule.from.contains(&id)) {
                let name = mesh.resource(id).meta.name();
                answer.unknown.push(format!(
                    "the namespace of DestinationRule {name} is not known, and it could decide here"
                ));
                break;
            }
        }
        let Some(rule) = rule else { return };
        if rule.is_cut {
            answer.unknown.push(format!("too many DestinationRules for {host} stand side by side"));
        }
        for id in &rule.from {
            if let Some(reason) = mesh.unrendered(*id) {
                let name = mesh.resource(*id).meta.name();
                answer.unknown.push(format!("DestinationRule {name} may differ: {reason}"));
            }
        }
    }

    /// Whether a client is the waypoint that a host is reached through.
    fn serves(&self, profile: &Profile, service: u32) -> bool {
        let Sender::Waypoint(Some(gateway)) = profile.sender else { return false };
        let of_host = self.registry.service(service);
        let called = match of_host.written {
            Written::Service(id, _) => Called::Service(id),
            Written::Entry(_) => Called::ServiceEntry(of_host.resource),
        };
        let binding = self.mesh.waypoint_of(called);
        binding.known().is_some_and(|binding| binding.shares().any(|(waypoint, _)| waypoint == gateway))
    }

    /// Whether a proxy sends tunnels, as those of a control plane with ambient do.
    fn sends_tunnels(&self, profile: &Profile) -> bool {
        let settings = self.mesh.settings_of(profile.scope.cluster);
        let off = settings
            .proxy_metadata
            .iter()
            .any(|(name, value)| name == "DISABLE_HBONE_SEND" && (value == "true" || value == "1"));
        let flag = settings.feature("PILOT_ENABLE_SENDING_HBONE").and_then(Fact::known);
        !off && flag.is_none_or(|value| value != "false")
    }
}

fn known(wire: Wire) -> Fact<Wire> {
    Fact::Known(wire, Origin::Default)
}
