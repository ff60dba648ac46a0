//! What lints ask of the outcome of a call.

use meshproof_diagnostics::{Decision, ResourceName, Witness};
use meshproof_ir::{Capture, Fact, Origin, ResourceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::{ClientTls, DestinationRule, MtlsMode, Subset};
use meshproof_source::Span;
use meshproof_transport::{Delivery, EndpointAddress, EndpointOutcome, Evidence, Outcome, Wire};

use crate::Context;
use crate::clients::{ClientRule, Host, HostPort, is_settled_client};
use crate::conflicting_rules::revision;
use crate::network::may_be_shielded;
use crate::proof::{fate_at, is_settled};
use crate::witnesses::request;

/// Whether anything in a rule says what clients send.
pub(crate) fn sets_tls(rule: &DestinationRule) -> bool {
    all_tls(rule).next().is_some()
}

/// Every `tls` of a rule: at the top, of port entries, and of subsets.
pub(crate) fn all_tls(rule: &DestinationRule) -> impl Iterator<Item = &ClientTls> {
    let subsets = rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
    rule.traffic_policy.iter().chain(subsets).flat_map(|policy| {
        let entries = policy.port_level.iter().filter_map(|entry| entry.tls.as_ref());
        policy.tls.iter().chain(entries)
    })
}

/// Hosts and subsets looked at per rule.
const HOSTS: usize = 256;
const SUBSETS: usize = 32;

/// A call that follows a rule.
pub(crate) struct RuleCall<'l, 'c> {
    pub(crate) rule: &'l ClientRule<'c>,
    pub(crate) host: &'l Host<'c>,
    pub(crate) client: WorkloadId,
    /// The subset that a route sends it to.
    pub(crate) subset: Option<&'c Subset>,
    pub(crate) outcome: Outcome,
}

/// The first call by a sidecar that follows a rule, straight or by a route to a subset, with an outcome that is looked
/// for.
pub(crate) fn first_call<'l, 'c>(
    ctx: &'l Context<'c>,
    rule: &'l ClientRule<'c>,
    is_wanted: impl Fn(&Outcome) -> bool,
) -> Option<RuleCall<'l, 'c>> {
    let clients = ctx.clients();
    let of_subsets = rule.rule.subsets.iter().filter(|subset| subset.traffic_policy.is_some());
    for used in rule.uses.iter().take(HOSTS) {
        let (host, Some(client)) = (&clients.hosts[used.host as usize], used.client) else { continue };
        let routed_to = |subset: &&Subset| {
            clients.is_subset_used(rule.cluster, host.name, subset_name(subset).unwrap_or_default())
        };
        let subsets = of_subsets.clone().filter(routed_to).take(SUBSETS).map(Some);
        for subset in std::iter::once(None).chain(subsets) {
            let wanted = |port: &HostPort| {
                let outcome = clients.call(ctx, client, host, *port, subset.and_then(subset_name));
                is_wanted(&outcome).then_some(outcome)
            };
            if let Some(outcome) = host.ports.iter().find_map(wanted) {
                return Some(RuleCall { rule, host, client, subset, outcome });
            }
        }
    }
    None
}

fn subset_name(subset: &Subset) -> Option<&str> {
    subset.name.as_ref().map(|name| name.value.as_str())
}

impl RuleCall<'_, '_> {
    /// Who makes it, for people: clients that follow the rule, or those that are routed to a subset of it.
    pub(crate) fn who(&self, rule: &ResourceName) -> String {
        match self.subset.and_then(subset_name) {
            Some(subset) => format!("clients that are routed to subset {subset} of {rule}"),
            None => format!("clients that follow {rule}"),
        }
    }

    /// Whether the calls of this client are certain to follow the rule, and the rule is certain to be all there is.
    pub(crate) fn is_settled(&self, ctx: &Context<'_>) -> bool {
        self.outcome.unknown.is_empty()
            && !self.rule.host.starts_with('*')
            && ctx.transport().rules_followed(self.client, self.host.name).len() == 1
            && (self.subset.is_some() || !ctx.clients().is_routed(self.host))
            && revision(&ctx.resource(self.rule.id).meta).is_none()
            && !ctx.is_incomplete(self.rule.namespace)
            && is_settled_client(ctx, ctx.mesh.workload(self.client))
    }
}

/// Where the mode of a `tls` stands, or should stand.
pub(crate) fn tls_span(tls: &ClientTls) -> Span {
    tls.mode.as_ref().map_or(tls.span, |mode| mode.span)
}

/// The `tls` of a rule that decides an outcome.
pub(crate) fn deciding_tls<'c>(rule: &ClientRule<'c>, outcome: &Outcome) -> Option<&'c ClientTls> {
    let decides = |evidence: &&Evidence| evidence.object == Some(rule.id);
    let span = outcome.evidence.iter().find(decides)?.span?;
    all_tls(rule.rule).find(|tls| tls_span(tls) == span)
}

/// The first endpoint that gets plaintext by this rule although it takes mutual TLS as well.
pub(crate) fn unencrypted_by<'o>(
    ctx: &Context<'_>,
    rule: &ClientRule<'_>,
    outcome: &'o Outcome,
) -> Option<&'o EndpointOutcome> {
    let by_rule = |endpoint: &&EndpointOutcome| {
        is_unencrypted(ctx, endpoint) && is_decided_by(outcome, endpoint, rule.id)
    };
    outcome.endpoints.iter().find(by_rule)
}

/// Whether some plaintext request is let in at an endpoint, for certain.
pub(crate) fn lets_plaintext_in(ctx: &Context<'_>, endpoint: &EndpointOutcome) -> bool {
    let Some(server) = workload_of(endpoint).map(|id| ctx.mesh.workload(id)) else { return false };
    let port = port_of(server, endpoint.port);
    let witness = request(ctx, "plaintext".to_owned(), server, port, None, Decision::Allow, Vec::new());
    !may_be_shielded(ctx, server) && fate_at(ctx, server, port, &witness) == Some(Decision::Allow)
}

/// Whether what a server does is written down; without `mode_matters` whatever its mode may be.
pub(crate) fn is_server_written(ctx: &Context<'_>, endpoint: &EndpointOutcome, mode_matters: bool) -> bool {
    let Some(server) = workload_of(endpoint).map(|id| ctx.mesh.workload(id)) else { return false };
    let mode = port_of(server, endpoint.port).map_or(&server.mode, |port| &port.mode);
    let is_mode_written = matches!(mode.mode, Fact::Known(_, Origin::Written(_) | Origin::Inherited(_)))
        && mode.shadowed.is_empty();
    is_settled(ctx, server)
        && server.envoy_filters.is_empty()
        && (is_mode_written || !mode_matters || server.capture.is(&Capture::None))
}

/// The workload of an endpoint.
pub(crate) fn workload_of(endpoint: &EndpointOutcome) -> Option<WorkloadId> {
    match &endpoint.endpoint {
        EndpointAddress::Workload(id) => Some(*id),
        EndpointAddress::Address(_) => None,
    }
}

/// Whether a connection is known to come to nothing: it is refused, or mutual TLS of the mesh reaches an application.
pub(crate) fn is_lost(endpoint: &EndpointOutcome) -> bool {
    match endpoint.result.known() {
        Some(Delivery::Refused(_)) => true,
        Some(Delivery::Unopened) => endpoint.wire.is(&Wire::IstioMtls),
        _ => false,
    }
}

/// Whether every endpoint is known to lose the connection.
pub(crate) fn is_all_lost(outcome: &Outcome) -> bool {
    !outcome.endpoints.is_empty() && outcome.endpoints.iter().all(is_lost)
}

/// Whether plaintext is sent and taken although the server's sidecar takes mutual TLS as well.
pub(crate) fn is_unencrypted(ctx: &Context<'_>, endpoint: &EndpointOutcome) -> bool {
    if !endpoint.wire.is(&Wire::Plain) || !matches!(endpoint.result.known(), Some(Delivery::Plaintext(_))) {
        return false;
    }
    let Some(server) = workload_of(endpoint).map(|id| ctx.mesh.workload(id)) else { return false };
    let mode = port_of(server, endpoint.port).map_or(&server.mode, |port| &port.mode);
    matches!(server.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone))
        && mode.mode.is(&MtlsMode::Permissive)
}

/// The port of a workload, where anything is known of it.
pub(crate) fn port_of(workload: &Workload, number: u16) -> Option<&WorkloadPort> {
    workload.ports.iter().find(|port| port.number == number)
}

/// Whether the `tls` that decides an outcome, for all endpoints or for this one, is that of an object.
pub(crate) fn is_decided_by(outcome: &Outcome, endpoint: &EndpointOutcome, id: ResourceId) -> bool {
    outcome.evidence.iter().chain(&endpoint.evidence).any(|evidence| evidence.object == Some(id))
}

/// The first text that decides on the client's side.
pub(crate) fn deciding<'o>(outcome: &'o Outcome, endpoint: &'o EndpointOutcome) -> Option<&'o Evidence> {
    outcome.evidence.iter().chain(&endpoint.evidence).find(|evidence| evidence.span.is_some())
}

/// A connection that shows what becomes of it.
pub(crate) fn connection(
    ctx: &Context<'_>,
    client: WorkloadId,
    server: &Workload,
    endpoint: &EndpointOutcome,
    decision: Decision,
    because: Vec<String>,
) -> Witness {
    let is_mutual = endpoint.wire.known().is_some_and(|wire| *wire != Wire::Plain && *wire != Wire::Tls);
    let transport = match endpoint.wire.known() {
        Some(Wire::Plain) => Some("plaintext"),
        _ if is_mutual => Some("mtls"),
        _ => None,
    };
    Witness {
        from: ctx.workload_name(ctx.mesh.workload(client)),
        to: ctx.workload_name(server),
        port: Some(endpoint.port),
        transport,
        method: None,
        path: None,
        decision,
        because,
    }
}

/// What decides on both sides, for people.
pub(crate) fn reasons(outcome: &Outcome, endpoint: &EndpointOutcome) -> Vec<String> {
    let all = outcome.evidence.iter().chain(&endpoint.evidence).chain(&endpoint.server);
    let mut lines: Vec<String> = all.map(|evidence| evidence.text.clone()).collect();
    lines.dedup();
    lines
}

/// The first line of a text.
pub(crate) fn first_line(ctx: &Context<'_>, span: Span) -> Span {
    span.part(0, ctx.sources.snippet(span).lines().next().map_or(0, str::len))
}
