//! What a DestinationRule makes clients send against what the server's PeerAuthentication takes (mutual-TLS reference
//! §3.3).

use std::cell::Cell;
use std::rc::Rc;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    Capture, ClusterId, Fact, Layer, Origin, ResourceId, ServiceId, Workload, WorkloadId, WorkloadPort,
    service_port_class,
};
use meshproof_resources::{ClientTls, ClientTlsMode, DestinationRule, MtlsMode, Spec, Subset, TrafficPolicy};
use meshproof_transport::{Call, Client, EndpointOutcome, Outcome, Target};

use super::client_rules::{ClientRules, host, rules};
use super::{ID, revision};
use crate::Context;
use crate::calls::{connection, first_line, is_all_lost, is_decided_by, is_lost, sets_tls, workload_of};
use crate::hash::Map;

/// Steps taken for wildcards, over all rules: Services they are for, namespaces looked at for a client, workloads behind
/// them. A rule that is cut short proves nothing, and those behind it are not looked at.
const STEPS: usize = 200_000;
/// Subsets looked at per rule and Service.
const SUBSETS: usize = 32;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut by_name: Map<(ClusterId, &str), ServiceId> = Map::default();
    let mut endings = Endings::default();
    for (at, service) in ctx.mesh.services.iter().enumerate() {
        let Some(fqdn) = service.fqdn.as_deref() else { continue };
        let cluster = ctx.mesh.namespaces[service.namespace.index()].cluster;
        by_name.insert((cluster, fqdn), ServiceId(at as u32));
        endings.add(cluster, fqdn, ServiceId(at as u32));
    }
    endings.sort();
    let clients = ClientRules::new(ctx);
    let steps = Cell::new(0_usize);
    let mut findings = Vec::new();
    for (id, rule) in rules(ctx).filter(|(_, rule)| rule.workload_selector.is_none() && sets_tls(rule)) {
        let Some(host) = host(ctx, id, rule) else { continue };
        let (cluster, _) = ctx.mesh.placement[id.index()];
        let follow = Follow { ctx, clients: &clients, steps: &steps, id, rule, host: &host };
        if let Some(ending) = host.strip_prefix('*') {
            if steps.get() <= STEPS {
                findings.extend(follow.at_any(&endings.of(cluster, ending)));
            }
        } else if let Some(service) = by_name.get(&(cluster, host.as_str())) {
            let broken = broken(ctx, rule, *service);
            findings.extend(broken.and_then(|broken| follow.finding(&broken, true)));
        }
    }
    findings
}

/// The full names of Services, read from behind.
#[derive(Default)]
struct Endings {
    names: Map<ClusterId, Vec<(Vec<u8>, ServiceId)>>,
    /// What has been asked for, in the order of Services.
    known: Map<(ClusterId, String), Rc<[ServiceId]>>,
}

impl Endings {
    fn add(&mut self, cluster: ClusterId, fqdn: &str, service: ServiceId) {
        self.names.entry(cluster).or_default().push((fqdn.bytes().rev().collect(), service));
    }

    fn sort(&mut self) {
        self.names.values_mut().for_each(|names| names.sort_unstable());
    }

    /// Services whose names end so.
    fn of(&mut self, cluster: ClusterId, ending: &str) -> Rc<[ServiceId]> {
        if let Some(known) = self.known.get(&(cluster, ending.to_owned())) {
            return Rc::clone(known);
        }
        let start: Vec<u8> = ending.bytes().rev().collect();
        let names = self.names.get(&cluster).map_or(&[][..], Vec::as_slice);
        let from = names.partition_point(|(name, _)| *name < start);
        let found = names[from..].iter().take_while(|(name, _)| name.starts_with(&start));
        let mut found: Vec<ServiceId> = found.map(|(_, service)| *service).collect();
        found.sort_unstable();
        let found: Rc<[ServiceId]> = found.into();
        self.known.insert((cluster, ending.to_owned()), Rc::clone(&found));
        found
    }
}

/// A subset sends something else than the rule as a whole, to whoever is routed to it.
fn has_own_tls(subset: &Subset) -> bool {
    subset.traffic_policy.as_ref().is_some_and(|policy| policy.tls.is_some() || !policy.port_level.is_empty())
}

/// A port of the Service where the two sides cannot meet.
struct Clash<'c> {
    server: &'c Workload,
    port: &'c WorkloadPort,
    tls: &'c ClientTls,
    why: &'static str,
    /// The server side is written down, not assumed.
    explicit: bool,
}

/// A Service of which no workload takes what the rule, or one subset of it, makes clients send.
struct Broken<'c> {
    service: ServiceId,
    clash: Clash<'c>,
    /// Of all its workloads.
    explicit: bool,
    subset: Option<&'c Subset>,
}

fn broken<'c>(ctx: &Context<'c>, rule: &'c DestinationRule, service: ServiceId) -> Option<Broken<'c>> {
    let workloads =
        || ctx.mesh.services[service.index()].workloads.iter().map(|id| &ctx.mesh.workloads[id.index()]);
    let whole = all_refuse(workloads(), |workload| clash(ctx, rule, None, service, workload));
    let found = whole.map(|(clash, explicit)| Broken { service, clash, explicit, subset: None });
    found.or_else(|| {
        rule.subsets.iter().filter(|subset| has_own_tls(subset)).take(SUBSETS).find_map(|subset| {
            let members = workloads().filter(|workload| subset.labels.is_subset_of(&workload.labels));
            let refused = all_refuse(members, |workload| clash(ctx, rule, Some(subset), service, workload));
            refused.map(|(clash, explicit)| Broken { service, clash, explicit, subset: Some(subset) })
        })
    })
}

/// The first clash when every workload has one, and whether all of them are explicit.
fn all_refuse<'c>(
    workloads: impl Iterator<Item = &'c Workload>,
    clash: impl Fn(&'c Workload) -> Option<Clash<'c>>,
) -> Option<(Clash<'c>, bool)> {
    let mut first = None;
    let mut explicit = true;
    for workload in workloads {
        let found = clash(workload)?;
        explicit &= found.explicit;
        first = first.or(Some(found));
    }
    first.map(|clash| (clash, explicit))
}

/// One rule and who follows it.
struct Follow<'r, 'c> {
    ctx: &'r Context<'c>,
    clients: &'r ClientRules<'c>,
    steps: &'r Cell<usize>,
    id: ResourceId,
    rule: &'c DestinationRule,
    host: &'r str,
}

impl<'c> Follow<'_, 'c> {
    /// A wildcard: told once, of the first Service that somebody who follows it cannot reach. Where other Services
    /// take what it sends, it may be meant for those.
    fn at_any(&self, services: &[ServiceId]) -> Option<Finding> {
        let mut first = None;
        let mut every = true;
        for service in services.iter().copied() {
            let workloads = &self.ctx.mesh.services[service.index()].workloads;
            let looked_at = self.clients.looked_at();
            self.steps.set(self.steps.get() + 1);
            if self.steps.get() > STEPS {
                every = false;
                break;
            }
            let Some(server) = workloads.first().map(|id| &self.ctx.mesh.workloads[id.index()]) else {
                continue;
            };
            let client = self.client(service, server);
            self.steps.set(self.steps.get() + self.clients.looked_at() - looked_at);
            if client.is_none() {
                continue;
            }
            self.steps.set(self.steps.get() + workloads.len());
            match broken(self.ctx, self.rule, service) {
                Some(broken) if first.is_none() => first = Some(broken),
                Some(broken) => every &= broken.explicit,
                None => every = false,
            }
            if first.is_some() && !every {
                break;
            }
        }
        self.finding(&first?, every)
    }

    fn client(&self, service: ServiceId, server: &Workload) -> Option<&'c Workload> {
        self.clients.client(self.ctx, self.id, self.rule, self.host, (service, server))
    }

    /// What becomes of the call of a client.
    fn outcome(&self, broken: &Broken<'c>, client: &Workload, fqdn: &str) -> Option<(WorkloadId, Outcome)> {
        let ctx = self.ctx;
        let at =
            ctx.mesh.workloads.binary_search_by_key(&client.resource, |workload| workload.resource).ok()?;
        let client = WorkloadId(at as u32);
        let binding = broken.clash.port.bindings.iter().find(|binding| binding.service == broken.service)?;
        let port = ctx.mesh.service_spec(broken.service)?.ports.get(binding.port)?;
        let outcome = ctx.transport().call(&Call {
            client: Client::Workload(client),
            target: Target::Host(fqdn),
            port: port.port.value,
            subset: broken.subset.and_then(|subset| subset.name.as_ref()).map(|name| name.value.as_str()),
            speaks: match service_port_class(port) {
                ProtocolClass::Tcp => Layer::Tcp,
                _ => Layer::Http,
            },
        });
        Some((client, outcome))
    }

    fn finding(&self, broken: &Broken<'c>, every: bool) -> Option<Finding> {
        let Follow { ctx, id, rule, .. } = *self;
        let clash = &broken.clash;
        let own = ctx.namespace_of(id)?;
        let client = self.client(broken.service, clash.server);
        let fqdn = ctx.mesh.services[broken.service.index()].fqdn.as_deref()?;
        let meta = &ctx.resource(id).meta;
        let asked = client.and_then(|client| self.outcome(broken, client, fqdn));
        let outcome = asked.as_ref().map(|(_, outcome)| outcome);
        // The client may look elsewhere than it seems, as by its Sidecar, or follow another rule.
        let is_told = |outcome: &&Outcome| {
            let is_known = |endpoint: &EndpointOutcome| endpoint.result.known().is_some();
            outcome.unknown.is_empty()
                && !outcome.endpoints.is_empty()
                && outcome.endpoints.iter().all(is_known)
        };
        let is_here = |outcome: &Outcome| {
            outcome.endpoints.iter().any(|endpoint| is_lost(endpoint) && is_decided_by(outcome, endpoint, id))
        };
        if outcome.filter(is_told).is_some_and(|outcome| !is_here(outcome)) {
            return None;
        }
        // Which of several rules for one host counts is another finding. Callers may be routed to subsets that send
        // something else, and control planes of other revisions do not read the rule.
        let certain = every
            && self.clients.is_alone(own, self.host, fqdn)
            && broken.explicit
            && client.is_some()
            && !rule.subsets.iter().any(has_own_tls)
            && revision(meta).is_none()
            && !ctx.is_incomplete(own)
            && !ctx.is_incomplete(clash.server.namespace)
            && outcome.filter(is_told).is_some_and(is_all_lost);
        let level = if certain { Level::Error } else { Level::Warning };
        let name = meta.resource_name();
        let mode = sent(clash.tls);
        let word = match mode == clash.tls.effective_mode() {
            true => mode.as_str().to_owned(),
            false => {
                format!(
                    "{} with credentialName, which sidecars leave out,",
                    clash.tls.effective_mode().as_str()
                )
            }
        };
        let to = format!("{}:{}", ctx.workload_name(clash.server), clash.port.number);
        let whom = match broken.subset.and_then(|subset| subset.name.as_ref()) {
            Some(subset) => format!("are routed to subset {} of {name}", subset.value),
            None => format!("follow {name}"),
        };
        let message = format!("clients that {whom} cannot reach {to}: {word} meets {}", clash.why);
        let (span, label) = match &clash.tls.mode {
            Some(written) => (written.span, format!("clients send {}", sends(mode))),
            None => (clash.tls.span, "`tls` without `mode` means DISABLE: clients send plaintext".to_owned()),
        };
        let mut finding = Finding::new(ID, level, Category::Outage, message, Label::new(span, label))
            .with_resource(name.clone())
            .with_confidence(if certain { Confidence::High } else { Confidence::Medium })
            .with_help("remove `tls` from the DestinationRule: auto mTLS sends what the server takes");
        if let Some(place) = clash.port.mode.mode.span().or_else(|| clash.server.capture.span()) {
            finding = finding.with_related(first_line(ctx, place), "the server's side is decided here");
        }
        finding = finding.with_related(ctx.workload_span(clash.server), "the server");
        if let Some((client, outcome)) = &asked
            && let Some(endpoint) = outcome.endpoints.iter().find(|endpoint| is_lost(endpoint))
            && let Some(server) = workload_of(endpoint)
        {
            let because = vec![
                format!("{name} makes the client send {}", sends(mode)),
                format!("the server has {}, so the connection is refused", clash.why),
            ];
            let server = ctx.mesh.workload(server);
            let witness = connection(ctx, *client, server, endpoint, Decision::Deny, because);
            finding = finding.with_witness(witness);
        }
        Some(finding)
    }
}

/// What sidecars send: certificates by name do not reach them.
fn sent(tls: &ClientTls) -> ClientTlsMode {
    match tls.effective_mode() {
        ClientTlsMode::Simple | ClientTlsMode::Mutual if tls.credential_name.is_some() => {
            ClientTlsMode::Disable
        }
        mode => mode,
    }
}

fn sends(mode: ClientTlsMode) -> &'static str {
    match mode {
        ClientTlsMode::Disable => "plaintext",
        ClientTlsMode::Simple => "TLS without a client certificate",
        ClientTlsMode::Mutual => "TLS with a certificate of their own",
        ClientTlsMode::IstioMutual => "mesh mTLS",
    }
}

/// The first port of a workload behind the Service that refuses what the rule sends; `None` when there is none.
fn clash<'c>(
    ctx: &Context<'c>,
    rule: &'c DestinationRule,
    subset: Option<&'c Subset>,
    service: ServiceId,
    workload: &'c Workload,
) -> Option<Clash<'c>> {
    let Spec::Service(spec) = &ctx.resource(ctx.mesh.services[service.index()].resource).spec else {
        return None;
    };
    if !workload.envoy_filters.is_empty() {
        return None;
    }
    workload.ports.iter().find_map(|port| {
        let binding = port.bindings.iter().find(|binding| binding.service == service)?;
        let number = spec.ports.get(binding.port)?.port.value;
        let tls = tls_for(rule, subset, number)?;
        let (why, explicit) = refusal(workload, port, sent(tls))?;
        Some(Clash { server: workload, port, tls, why, explicit })
    })
}

/// A port entry replaces what stands above it, `tls` included; a subset without either has what the rule has (§2.5).
fn tls_for<'c>(
    rule: &'c DestinationRule,
    subset: Option<&'c Subset>,
    service_port: u16,
) -> Option<&'c ClientTls> {
    let whole = in_policy(rule.traffic_policy.as_ref(), service_port, None);
    match subset {
        Some(subset) => in_policy(subset.traffic_policy.as_ref(), service_port, whole),
        None => whole,
    }
}

fn in_policy<'c>(
    policy: Option<&'c TrafficPolicy>,
    service_port: u16,
    above: Option<&'c ClientTls>,
) -> Option<&'c ClientTls> {
    let Some(policy) = policy else { return above };
    let mut entries = policy.port_level.iter();
    match entries.find(|entry| entry.port.as_ref().is_some_and(|port| port.value == service_port)) {
        Some(entry) => entry.tls.as_ref(),
        None => policy.tls.as_ref().or(above),
    }
}

/// Why a server refuses it, and whether the manifests say so explicitly. Servers that take HBONE ignore the rule.
pub(super) fn refusal(
    workload: &Workload,
    port: &WorkloadPort,
    sent: ClientTlsMode,
) -> Option<(&'static str, bool)> {
    let Fact::Known(capture, origin) = &workload.capture else { return None };
    let written = !matches!(origin, Origin::Default);
    if port.capture != meshproof_ir::PortCapture::Captured {
        return None;
    }
    match (capture, port.mode.mode.known(), sent) {
        (Capture::Sidecar, Some(MtlsMode::Strict), ClientTlsMode::Disable | ClientTlsMode::Simple) => {
            Some(("STRICT", written && port.mode.decided_by.is_some()))
        }
        (Capture::Sidecar, Some(MtlsMode::Disable), ClientTlsMode::IstioMutual) => {
            Some(("mTLS disabled", written && port.mode.decided_by.is_some()))
        }
        (Capture::None, _, ClientTlsMode::IstioMutual) => Some(("no proxy that could end mTLS", written)),
        _ => None,
    }
}
