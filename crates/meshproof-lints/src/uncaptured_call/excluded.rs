//! Ports, addresses and users that the redirection of a client leaves out.

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Capture, ClusterId, Fact, NamespaceId, Workload, WorkloadId};
use meshproof_resources::{Action, Container, PodTemplate, Spec};
use meshproof_source::Span;
use meshproof_transport::{Call, Client, Delivery, EndpointOutcome, Outcome, Target, Wire};

use super::ID;
use crate::Context;
use crate::accounts::place_of_account;
use crate::calls::{connection, lets_plaintext_in, workload_of};
use crate::clients::{Host, HostPort};
use crate::hash::Map;
use crate::peers::is_protected;
use crate::proof::{MANY, cluster_of};

const EXCLUDED_PORTS: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";
const INCLUDED_PORTS: &str = "traffic.sidecar.istio.io/includeOutboundPorts";
const INCLUDED_RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
const MODE: &str = "sidecar.istio.io/interceptionMode";
/// The user of the proxy, whose own connections are not redirected.
const PROXY_USER: i64 = 1337;
/// Calls asked about, over all clients; beyond it nothing more is claimed.
const CALLS: usize = 4_000;
/// Services looked at per excluded port, in the client's namespace and elsewhere; ports looked at per list.
const TRIED: usize = 4;

/// What goes around the proxy.
#[derive(Clone, Copy)]
enum Around {
    /// One port.
    Port(u16),
    /// Everything.
    Everything,
}

/// Services of the mesh by the port that clients dial.
struct Dialled {
    by_port: Map<(ClusterId, u16), Vec<u32>>,
    by_place: Map<(NamespaceId, u16), Vec<u32>>,
}

/// One finding per place where something is left out.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut places: BTreeMap<(u32, u32), Finding> = BTreeMap::new();
    let mut dialled = None;
    let mut calls = 0;
    for (id, workload) in ctx.mesh.workloads_with_ids() {
        if !matches!(workload.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone)) {
            continue;
        }
        for (span, what, around) in left_out(ctx, workload) {
            let key = (span.source.0, span.start);
            if places.contains_key(&key) || calls > CALLS {
                continue;
            }
            let dialled = dialled.get_or_insert_with(|| Dialled::new(ctx));
            let ports = around.iter().filter_map(|around| met(ctx, dialled, id, *around, &mut calls));
            if let Some(met) = ports.max_by_key(|met| met.grade()) {
                places.insert(key, finding(ctx, workload, (span, &what), &met));
            }
        }
    }
    places.into_values().collect()
}

/// Every text that leaves something out, with what it is called and what it leaves out.
fn left_out(ctx: &Context<'_>, workload: &Workload) -> Vec<(Span, String, Vec<Around>)> {
    let mut found = Vec::new();
    let template = match &ctx.resource(workload.resource).spec {
        Spec::Workload(pods) => pods.template.as_ref(),
        _ => None,
    };
    let annotation = |key: &str| template.and_then(|template| template.annotations.get(key));
    if let Some(mode) = annotation(MODE).filter(|mode| mode.value == "NONE") {
        found.push((mode.span, MODE.to_owned(), vec![Around::Everything]));
    }
    let ranges = annotation(INCLUDED_RANGES).filter(|ranges| ranges.value.trim().is_empty());
    if let Some(ranges) = ranges.filter(|_| annotation(INCLUDED_PORTS).is_none()) {
        found.push((ranges.span, INCLUDED_RANGES.to_owned(), vec![Around::Everything]));
    }
    match annotation(EXCLUDED_PORTS) {
        Some(list) => found.push((list.span, EXCLUDED_PORTS.to_owned(), ports(&list.value))),
        None => {
            if let Fact::Known(list, origin) =
                &ctx.mesh.settings_of(cluster_of(ctx, workload)).exclude_outbound_ports
                && let Some(span) = origin.span()
            {
                found.push((span, "global.proxy.excludeOutboundPorts".to_owned(), ports(list)));
            }
        }
    }
    if let Some(span) = template.and_then(of_proxy_user) {
        found.push((span, format!("user {PROXY_USER}"), vec![Around::Everything]));
    }
    found
}

fn ports(list: &str) -> Vec<Around> {
    let numbers = list.split(',').filter_map(|port| port.trim().parse().ok());
    numbers.map(Around::Port).take(TRIED).collect()
}

/// An application that runs as the user of the proxy.
fn of_proxy_user(template: &PodTemplate) -> Option<Span> {
    let is_application = |container: &&Container| {
        !container.init && container.name.as_ref().is_none_or(|name| name.value != "istio-proxy")
    };
    let users = template.containers.iter().filter(is_application);
    let users = users.filter_map(|container| container.run_as_user.as_ref());
    users.filter(|user| user.value == PROXY_USER).map(|user| user.span).next()
}

impl Dialled {
    fn new(ctx: &Context<'_>) -> Self {
        let mut dialled = Dialled { by_port: Map::default(), by_place: Map::default() };
        for (at, host) in ctx.clients().hosts.iter().enumerate() {
            let is_in_mesh = host.workloads.iter().any(|id| is_protected(ctx.mesh.workload(*id)));
            for port in host.ports.iter().filter(|_| is_in_mesh) {
                for list in [
                    dialled.by_port.entry((host.cluster, port.number)).or_default(),
                    dialled.by_place.entry((host.namespace, port.number)).or_default(),
                ] {
                    if list.len() <= TRIED {
                        list.push(at as u32);
                    }
                }
            }
        }
        dialled
    }
}

/// A Service of the mesh that the client then calls in plaintext.
struct Met<'c> {
    client: WorkloadId,
    host: &'c Host<'c>,
    port: u16,
    outcome: Outcome,
    endpoint: EndpointOutcome,
    /// Of the namespace of the client, which likely calls it.
    is_near: bool,
    is_refused: bool,
}

impl Met<'_> {
    fn grade(&self) -> (bool, bool, std::cmp::Reverse<u16>) {
        (self.is_near, self.is_refused, std::cmp::Reverse(self.port))
    }
}

fn met<'c>(
    ctx: &'c Context<'_>,
    dialled: &Dialled,
    client: WorkloadId,
    around: Around,
    calls: &mut usize,
) -> Option<Met<'c>> {
    let clients = ctx.clients();
    let workload = ctx.mesh.workload(client);
    let namespace = workload.namespace;
    let hosts: Vec<u32> = match around {
        Around::Port(number) => {
            let near = dialled.by_place.get(&(namespace, number));
            let far = || dialled.by_port.get(&(cluster_of(ctx, workload), number));
            near.or_else(far).cloned().unwrap_or_default()
        }
        Around::Everything => {
            let own = &ctx.mesh.namespace(namespace).services;
            let own = own.iter().take(TRIED).filter_map(|id| ctx.mesh.services[id.index()].fqdn.as_deref());
            own.flat_map(|name| clients.named(cluster_of(ctx, workload), name)).collect()
        }
    };
    let found = hosts.into_iter().filter_map(|at| {
        let host = &clients.hosts[at as usize];
        let port = host.ports.iter().find(|port| match around {
            Around::Port(number) => port.number == number,
            Around::Everything => true,
        })?;
        // Pods that call themselves show little.
        if host.workloads.binary_search(&client).is_ok() {
            return None;
        }
        *calls += 1;
        let outcome = match around {
            Around::Port(_) => clients.call(ctx, client, host, *port, None),
            Around::Everything => without_proxy(ctx, host, *port),
        };
        let lost = |endpoint: &&EndpointOutcome| {
            let server = workload_of(endpoint).map(|id| ctx.mesh.workload(id));
            endpoint.wire.is(&Wire::Plain) && server.is_some_and(is_protected)
        };
        let endpoint = outcome.endpoints.iter().find(lost)?.clone();
        let is_refused = match endpoint.result.known()? {
            Delivery::Refused(_) => true,
            // Of callers that a rule waits for by name another lint tells.
            Delivery::Plaintext(_) if is_awaited(ctx, client, &endpoint) => return None,
            Delivery::Plaintext(_) => !lets_plaintext_in(ctx, &endpoint),
            _ => return None,
        };
        let is_near = host.namespace == namespace;
        Some(Met { client, host, port: port.number, outcome, endpoint, is_near, is_refused })
    });
    found.max_by_key(Met::grade)
}

/// What becomes of a call that the application sends itself.
fn without_proxy(ctx: &Context<'_>, host: &Host<'_>, port: HostPort) -> Outcome {
    ctx.transport().call(&Call {
        client: Client::Plaintext(host.cluster),
        target: Target::Host(host.name),
        port: port.number,
        subset: None,
        speaks: port.speaks,
    })
}

/// Whether a policy of the server names the account of the client.
fn is_awaited(ctx: &Context<'_>, client: WorkloadId, endpoint: &EndpointOutcome) -> bool {
    let (Some(identity), Some(server)) = (ctx.mesh.identity_of(client), workload_of(endpoint)) else {
        return false;
    };
    let account = format!("{}/{}", identity.namespace.as_deref().unwrap_or_default(), identity.account);
    let attached = ctx.mesh.workload(server).policies.iter().take(MANY);
    let mut allows =
        attached.filter_map(|at| ctx.policies.get(at.policy)).filter(|policy| policy.enforces(Action::Allow));
    allows.any(|policy| {
        let mut sources = policy.spec.rules.iter().flat_map(|rule| rule.from.iter());
        sources.any(|source| place_of_account(source, &account).is_some())
    })
}

fn finding(ctx: &Context<'_>, workload: &Workload, (span, what): (Span, &str), met: &Met<'_>) -> Finding {
    let who = ctx.workload_name(workload);
    let to = ctx.resource(met.host.resource).meta.resource_name();
    let server = workload_of(&met.endpoint).map(|id| ctx.mesh.workload(id));
    let is_certain = matches!(met.endpoint.result.known(), Some(Delivery::Refused(_)));
    let calls = format!("calls of {who} to {to} port {}", met.port);
    let message = match (met.is_refused, is_certain) {
        (true, true) => format!(
            "{calls} are refused: {what} keeps them from the proxy, so they leave in plaintext, and the server takes mTLS only"
        ),
        (true, false) => format!(
            "{calls} leave in plaintext and without an identity, which the server's policies may ask for: {what} keeps them from the proxy"
        ),
        (false, _) => {
            format!("{calls} leave in plaintext and without an identity: {what} keeps them from the proxy")
        }
    };
    // Who calls what is not in the input; a Service next to the client is the likelier one.
    let level = if met.is_near && met.is_refused { Level::Warning } else { Level::Info };
    let category = if is_certain { Category::Outage } else { Category::Hole };
    let mut finding =
        Finding::new(ID, level, category, message, Label::new(span, "these calls do not meet the proxy"))
            .with_resource(ctx.resource(workload.resource).meta.resource_name())
            .with_confidence(Confidence::Low)
            .with_help("leave out only what is no Service of the mesh, by address where a port is shared");
    if let Some(server) = server {
        finding = finding.with_related(ctx.workload_span(server), "a server that such calls get to");
        if is_certain {
            let because = crate::calls::reasons(&met.outcome, &met.endpoint);
            let witness = connection(ctx, met.client, server, &met.endpoint, Decision::Deny, because);
            finding = finding.with_witness(witness);
        }
    }
    finding
}
