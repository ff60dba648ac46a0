//! What a DestinationRule makes clients send against what the server's PeerAuthentication takes (mutual-TLS reference
//! §3.3).

use std::cell::Cell;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Capture, Fact, Origin, ServiceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::{ClientTls, ClientTlsMode, MtlsMode, Subset};
use meshproof_transport::{EndpointOutcome, Outcome, written_tls};

use super::{ID, revision};
use crate::Context;
use crate::calls::{connection, first_line, is_all_lost, is_decided_by, is_lost, sets_tls, workload_of};
use crate::clients::ClientRule;

/// Services, and workloads behind them, looked at for wildcards, over all rules. A rule that is cut short proves
/// nothing, and those behind it are not looked at.
const STEPS: usize = 200_000;
/// Subsets looked at per rule and Service.
const SUBSETS: usize = 32;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let steps = Cell::new(0_usize);
    let mut findings = Vec::new();
    for rule in &ctx.clients().rules {
        if rule.rule.workload_selector.is_some() || !sets_tls(rule.rule) {
            continue;
        }
        let follow = Follow { ctx, steps: &steps, rule };
        if rule.host.starts_with('*') {
            findings.extend(follow.at_any());
        } else if let Some(at) = rule.covers.first() {
            let broken = broken(ctx, rule, *at);
            findings.extend(broken.and_then(|broken| follow.finding(&broken, true)));
        }
    }
    findings
}

/// A subset sends something else than the rule as a whole, to whoever is routed to it.
fn has_own_tls(subset: &Subset) -> bool {
    subset.traffic_policy.as_ref().is_some_and(|policy| policy.tls.is_some() || !policy.port_level.is_empty())
}

/// A port of the Service where the two sides cannot meet.
struct Clash<'c> {
    server: &'c Workload,
    port: &'c WorkloadPort,
    /// The port of the Service.
    service_port: u16,
    tls: &'c ClientTls,
    why: &'static str,
    /// The server side is written down, not assumed.
    explicit: bool,
}

/// A Service of which no workload takes what the rule, or one subset of it, makes clients send.
struct Broken<'c> {
    /// Index into the hosts of [`Clients`](crate::clients::Clients).
    host: u32,
    clash: Clash<'c>,
    /// Of all its workloads.
    explicit: bool,
    subset: Option<&'c Subset>,
}

fn broken<'c>(ctx: &Context<'c>, rule: &ClientRule<'c>, at: u32) -> Option<Broken<'c>> {
    let host = &ctx.clients().hosts[at as usize];
    let service = host.service?;
    let workloads = || host.workloads.iter().map(|id| ctx.mesh.workload(*id));
    let whole = all_refuse(workloads(), |workload| clash(ctx, rule, None, service, workload));
    let found = whole.map(|(clash, explicit)| Broken { host: at, clash, explicit, subset: None });
    found.or_else(|| {
        rule.rule.subsets.iter().filter(|subset| has_own_tls(subset)).take(SUBSETS).find_map(|subset| {
            let members = workloads().filter(|workload| subset.labels.is_subset_of(&workload.labels));
            let refused = all_refuse(members, |workload| clash(ctx, rule, Some(subset), service, workload));
            refused.map(|(clash, explicit)| Broken { host: at, clash, explicit, subset: Some(subset) })
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
    steps: &'r Cell<usize>,
    rule: &'r ClientRule<'c>,
}

impl<'c> Follow<'_, 'c> {
    /// A wildcard: told once, of the first Service that somebody who follows it cannot reach. Where other Services
    /// take what it sends, it may be meant for those.
    fn at_any(&self) -> Option<Finding> {
        let mut first = None;
        let mut every = !self.rule.is_cut;
        for used in self.rule.uses.iter().filter(|used| used.client.is_some()) {
            let workloads = self.ctx.clients().hosts[used.host as usize].workloads;
            self.steps.set(self.steps.get() + 1 + workloads.len());
            if self.steps.get() > STEPS {
                every = false;
                break;
            }
            if workloads.is_empty() {
                continue;
            }
            match broken(self.ctx, self.rule, used.host) {
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

    /// Somebody who follows the rule when he calls a host, and is not among its servers.
    fn client(&self, host: u32) -> Option<WorkloadId> {
        self.rule.uses.iter().find(|used| used.host == host).and_then(|used| used.client)
    }

    /// What becomes of the call of a client.
    fn outcome(&self, broken: &Broken<'c>, client: WorkloadId) -> Option<Outcome> {
        let host = &self.ctx.clients().hosts[broken.host as usize];
        let number = broken.clash.service_port;
        let port = *host.ports.iter().find(|port| port.number == number)?;
        let subset = broken.subset.and_then(|subset| subset.name.as_ref()).map(|name| name.value.as_str());
        Some(self.ctx.clients().call(self.ctx, client, host, port, subset))
    }

    /// Whether no other rule is merged into this one, or beside it.
    fn is_alone(&self, client: WorkloadId, host: u32) -> bool {
        let name = self.ctx.clients().hosts[host as usize].name;
        self.ctx.transport().rules_followed(client, name) == [self.rule.id]
    }

    fn finding(&self, broken: &Broken<'c>, every: bool) -> Option<Finding> {
        let (ctx, id, rule) = (self.ctx, self.rule.id, self.rule.rule);
        let clash = &broken.clash;
        let meta = &ctx.resource(id).meta;
        let client = self.client(broken.host);
        let asked = client.and_then(|client| Some((client, self.outcome(broken, client)?)));
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
            && broken.explicit
            && client.is_some_and(|client| self.is_alone(client, broken.host))
            && !rule.subsets.iter().any(has_own_tls)
            && revision(meta).is_none()
            && !ctx.is_incomplete(self.rule.namespace)
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
    rule: &ClientRule<'c>,
    subset: Option<&'c Subset>,
    service: ServiceId,
    workload: &'c Workload,
) -> Option<Clash<'c>> {
    if !workload.envoy_filters.is_empty() {
        return None;
    }
    let ports = &ctx.mesh.service_spec(service)?.ports;
    workload.ports.iter().find_map(|port| {
        let service_port = ports.get(port.binding_of(service)?.port)?.port.value;
        let tls = written_tls(rule.rule, service_port, subset)?;
        let (why, explicit) = refusal(workload, port, sent(tls))?;
        Some(Clash { server: workload, port, service_port, tls, why, explicit })
    })
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
