//! Calls over a cluster of a proxy: sidecars, gateways and waypoints.

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Fact, Origin, ResourceId, WorkloadId};
use meshproof_resources::{OutboundMode, Spec};

use crate::answer::{Answer, Hop};
use crate::client_tls::{ClusterSettings, rivals, settings};
use crate::clients::{Profile, Sender};
use crate::emission::{Cluster, ClusterWire, to_endpoint};
use crate::endpoints::Endpoint;
use crate::merge::MergedRule;
use crate::registry::{HostPort, Resolution};
use crate::remote::across_networks;
use crate::scope::Known;
use crate::senders::from_waypoint;
use crate::{Call, Evidence, Outcome, Path, SentTls, Transport, Wire};

impl<'m> Transport<'m> {
    /// A call over a cluster of a sidecar, gateway or waypoint.
    pub(crate) fn by_proxy(&self, call: &Call<'_>, profile: &Profile, host: &str) -> Outcome {
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
        let is_told = !is_sidecar || (!of_host.is_entry() && self.tells_headless(profile));
        let original_destination =
            settings.passthrough || (resolution == Resolution::Passthrough && !is_told);
        let (mut all, missing) = self.endpoints.of_port(&self.registry, port);
        if resolution == Resolution::Endpoints && !original_destination {
            all.extend(self.endpoints.elsewhere(&self.registry, port));
        }
        answer.unknown.extend(missing);
        let is_chosen = |endpoint: &&Endpoint<'m>| {
            settings.subset.is_none_or(|labels| {
                labels.is_empty() || endpoint.labels.is_some_and(|own| labels.is_subset_of(own))
            })
        };
        let chosen: Vec<Endpoint<'m>> = all.iter().filter(is_chosen).cloned().collect();
        // Of names for DNS without any there is no cluster.
        if resolution == Resolution::Dns && !original_destination && chosen.is_empty() {
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
        for endpoint in chosen {
            let mut evidence = Vec::new();
            let tunnels = !original_destination && self.sends_tunnels(profile);
            let sent = match serves {
                true => from_waypoint(self.mesh, &wire, &endpoint),
                false => to_endpoint(self.mesh, &wire, settings, &endpoint, tunnels, &mut evidence),
            };
            let from = profile.scope.cluster;
            if let Some(wire) = across_networks(self.mesh, from, &endpoint, sent, &mut evidence) {
                answer.add(Hop { endpoint, wire, evidence });
            }
        }
        if serves {
            answer.wire = None;
        }
        if profile.sender == Sender::Gateway && self.has_waypoints {
            self.through_ingress(&mut answer, service.service);
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
        let is_tls = |wire: &Wire| !matches!(wire, Wire::Plain | Wire::Hbone);
        let any = answer.hops.iter().any(|hop| hop.wire.known().is_some_and(is_tls));
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
        let place = (profile.scope.cluster, Some(profile.scope.namespace));
        match self.passes_unknown(profile) {
            Fact::Known(true, origin) => {
                let plain = |_: &Endpoint<'m>| Fact::Known(Wire::Plain, origin);
                let mut outcome = self.by_name(call, Path::Direct, place, host, plain);
                outcome.evidence.push(self.unknown_destination(profile, true));
                outcome
            }
            Fact::Known(false, _) => {
                let mut answer = self.answer(call, Path::Blackhole);
                answer.say(self.unknown_destination(profile, false));
                answer.finish()
            }
            Fact::Unknown(reason) => {
                self.by_name(call, Path::Direct, place, host, |_| Fact::Unknown(reason.clone()))
            }
        }
    }

    /// Whether a proxy passes through what it does not know.
    pub(crate) fn passes_unknown(&self, profile: &Profile) -> Fact<bool> {
        if profile.sender != Sender::Sidecar {
            return Fact::Known(false, Origin::Default);
        }
        let own = self.scopes().sidecar(&profile.scope).and_then(|sidecar| sidecar.outbound.as_ref());
        match own {
            Some(mode) => Fact::Known(mode.value == OutboundMode::AllowAny, Origin::Written(mode.span)),
            None => self.mesh.settings_of(profile.scope.cluster).allow_any_outbound.clone(),
        }
    }

    pub(crate) fn unknown_destination(&self, profile: &Profile, passes: bool) -> Evidence {
        let span = self.passes_unknown(profile).span();
        let text = match passes {
            true => "the client's proxy does not know the destination and passes it through as plaintext",
            false => "the client's proxy does not know the destination and refuses it",
        };
        Evidence { object: profile.scope.sidecar, span, text: text.to_owned() }
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

    /// That it is not known which of two DestinationRules counts, where their ages would tell and make a difference.
    pub fn undated_rules(
        &self,
        client: WorkloadId,
        (host, port): (&str, u16),
        subset: Option<&str>,
    ) -> Option<String> {
        let profile = self.clients.profile(client);
        if !matches!(profile.sender, Sender::Sidecar | Sender::Gateway | Sender::Waypoint(_)) {
            return None;
        }
        let host = self.scopes().concrete(profile.scope.cluster, host);
        let known = self.scopes().known(&profile.scope, host)?;
        let rule = self.rule(profile, known.service, host).filter(|rule| rule.from.len() > 1)?;
        let meta = |id: ResourceId| &self.mesh.resource(id).meta;
        if rule.from.iter().all(|id| meta(*id).creation_timestamp.is_some()) {
            return None;
        }
        let written = |id: ResourceId| match &self.mesh.resource(id).spec {
            Spec::DestinationRule(rule) => Some(&**rule),
            _ => None,
        };
        let (taken, other) = rivals(rule, written, port, subset)?;
        let (taken, other) = (meta(taken).name(), meta(other).name());
        Some(format!(
            "which of the DestinationRules {taken} and {other} is older, and so counts; {taken} is taken to be"
        ))
    }

    /// Whether sidecars are told the endpoints of headless Services.
    fn tells_headless(&self, profile: &Profile) -> bool {
        let settings = self.mesh.settings_of(profile.scope.cluster);
        let flag = settings.feature("PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES").and_then(Fact::known);
        flag.is_some_and(|value| value == "true")
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
