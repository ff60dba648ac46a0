//! `identity-over-plaintext`: ALLOW rules that name a caller whose connections arrive as plaintext, so that it is kept
//! out (mutual-TLS reference §3.3, ST17, PA20, PA21).
//!
//! Whoever has no proxy, goes around it, or is made to send plaintext, has no identity at the server: a rule that asks
//! for one does not match, and a STRICT server refuses the connection before that.

use std::collections::{BTreeMap, BTreeSet};

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Capture, Layer, PortCapture, ResourceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::{Action, Spec, Text};
use meshproof_source::Span;
use meshproof_transport::{Call, Client, Delivery, EndpointOutcome, Outcome, RefusedBy, Target, Wire};

use crate::Context;
use crate::accounts::principal;
use crate::calls::{deciding, first_line, reasons, sets_tls, workload_of};
use crate::clients::is_settled_client;
use crate::hash::{Map, Set};
use crate::policies::Policy;
use crate::proof::{fate_at, is_settled};
use crate::witnesses::request;

const ID: &str = "identity-over-plaintext";

/// Calls looked at, over all policies; beyond it nothing more is claimed.
const CALLS: usize = 20_000;
/// Attachments of policies looked at, over all workloads.
const STEPS: usize = 2_000_000;
/// Servers looked at per policy, and callers per name.
const SERVERS: usize = 64;
const CALLERS: usize = 16;
/// Annotations that take connections around the proxy of a client.
const AROUND: &[&str] = &[
    "sidecar.istio.io/interceptionMode",
    "traffic.sidecar.istio.io/excludeOutboundPorts",
    "traffic.sidecar.istio.io/includeOutboundIPRanges",
    "traffic.sidecar.istio.io/excludeOutboundIPRanges",
];

/// A name in a rule, and the workloads that run under it.
struct Named<'c> {
    rule: usize,
    name: &'c Text,
    /// `namespace/account`.
    account: String,
    callers: Vec<WorkloadId>,
}

/// Runs the lint: one finding per name of a policy.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let named: BTreeMap<ResourceId, Vec<Named<'_>>> = ctx
        .policies
        .iter()
        .filter(|policy| policy.enforces(Action::Allow))
        .map(|policy| (policy.id, names(ctx, policy)))
        .filter(|(_, names)| !names.is_empty())
        .collect();
    if named.is_empty() {
        return Vec::new();
    }
    let odd_callers = odd_callers(ctx, &named);
    let odd_servers = odd_servers(ctx);
    if odd_callers.is_empty() && odd_servers.is_empty() {
        return Vec::new();
    }
    let mut looked_at: Map<ResourceId, usize> = Map::default();
    let mut told: BTreeSet<(ResourceId, Span)> = BTreeSet::new();
    let (mut calls, mut steps) = (0, 0_usize);
    let mut findings = Vec::new();
    for (id, server) in ctx.mesh.workloads_with_ids() {
        let is_server = matches!(
            server.capture.known(),
            Some(Capture::Sidecar | Capture::SidecarHbone | Capture::Ambient)
        );
        for attachment in server.policies.iter().filter(|_| is_server) {
            steps += 1;
            if steps > STEPS {
                return findings;
            }
            let Some(names) = named.get(&attachment.policy) else { continue };
            let seen = looked_at.entry(attachment.policy).or_default();
            *seen += 1;
            if *seen > SERVERS {
                continue;
            }
            let Some(policy) = ctx.policies.get(attachment.policy) else { continue };
            for name in names {
                let is_odd = odd_servers.contains(&id)
                    || name.callers.iter().any(|caller| odd_callers.contains(caller));
                if !is_odd || calls > CALLS || told.contains(&(policy.id, name.name.span)) {
                    continue;
                }
                calls += name.callers.len();
                if let Some(finding) = finding(ctx, policy, name, (id, server)) {
                    told.insert((policy.id, name.name.span));
                    findings.push(finding);
                }
            }
        }
    }
    findings
}

/// Accounts that the rules of a policy name one by one, as far as workloads run under them.
fn names<'c>(ctx: &Context<'c>, policy: &Policy<'c>) -> Vec<Named<'c>> {
    let own = policy.namespace.and_then(|id| ctx.mesh.namespace(id).name.as_deref());
    let mut found = Vec::new();
    let mut add = |rule: usize, name: &'c Text, namespace: &str, account: &str| {
        let identities = ctx.mesh.accounts_named(namespace, account);
        let callers: Vec<WorkloadId> =
            identities.flat_map(|identity| identity.workloads.iter().copied()).take(CALLERS + 1).collect();
        let account = format!("{namespace}/{account}");
        // Elsewhere others may run under it.
        let is_external = ctx.world.external_accounts.contains(&account)
            || ctx.world.external_namespaces.iter().any(|name| name == namespace);
        if !callers.is_empty() && callers.len() <= CALLERS && !is_external {
            found.push(Named { rule, name, account, callers });
        }
    };
    for (at, facts) in policy.rules.iter().enumerate().filter(|(_, facts)| facts.dead.is_empty()) {
        for source in facts.rule.from.iter() {
            for name in source.principals.values.iter().filter(|name| !name.value.contains('*')) {
                let parts = principal(&name.value);
                if let Some(parts) =
                    parts.filter(|parts| ctx.accounts.is_own_trust_domain(parts.trust_domain))
                {
                    add(at, name, parts.namespace, parts.account);
                }
            }
            for name in source.service_accounts.values.iter() {
                match (name.value.split_once('/'), own) {
                    (Some((namespace, account)), _) => add(at, name, namespace, account),
                    (None, Some(own)) => add(at, name, own, &name.value),
                    (None, None) => {}
                }
            }
        }
    }
    found
}

/// Named callers that may send plaintext whoever they call.
fn odd_callers(ctx: &Context<'_>, named: &BTreeMap<ResourceId, Vec<Named<'_>>>) -> Set<WorkloadId> {
    let callers = named.values().flatten().flat_map(|name| name.callers.iter().copied());
    callers
        .filter(|id| {
            let workload = ctx.mesh.workload(*id);
            let goes_around = || match &ctx.resource(workload.resource).spec {
                Spec::Workload(pods) => pods
                    .template
                    .as_ref()
                    .is_some_and(|pods| AROUND.iter().any(|key| pods.annotations.get(key).is_some())),
                _ => false,
            };
            match workload.capture.known() {
                Some(Capture::None | Capture::Ambient) => true,
                Some(Capture::Sidecar | Capture::SidecarHbone) => workload.sidecar.is_some() || goes_around(),
                _ => false,
            }
        })
        .collect()
}

/// Servers to which sidecars may send plaintext.
fn odd_servers(ctx: &Context<'_>) -> Set<WorkloadId> {
    let clients = ctx.clients();
    let by_rule = clients.rules.iter().filter(|rule| sets_tls(rule.rule)).flat_map(|rule| &rule.covers);
    let hosts = by_rule.copied().chain(ctx.automatic().iter().map(|call| call.host));
    let hosts: BTreeSet<u32> = hosts.collect();
    hosts.into_iter().flat_map(|at| clients.hosts[at as usize].workloads).copied().collect()
}

/// How a caller fares at a port.
struct Refusal<'c> {
    caller: WorkloadId,
    port: &'c WorkloadPort,
    outcome: Outcome,
    endpoint: EndpointOutcome,
    /// The request that the rule lets in with the identity of the caller.
    meant: Witness,
}

fn finding(
    ctx: &Context<'_>,
    policy: &Policy<'_>,
    name: &Named<'_>,
    (server_id, server): (WorkloadId, &Workload),
) -> Option<Finding> {
    // A server that names itself says nothing of callers.
    if name.callers.contains(&server_id) {
        return None;
    }
    let facts = policy.rules.get(name.rule)?;
    let ports = server.ports.iter().filter(|port| {
        port.capture == PortCapture::Captured && !port.bindings.is_empty() && facts.is_about(port)
    });
    // At every port that the rule is about all who have the name must be kept out.
    let mut first: Option<Refusal<'_>> = None;
    for port in ports {
        for caller in &name.callers {
            let refused = refused(ctx, policy, name, (server_id, server, port), *caller)?;
            first = first.or(Some(refused));
        }
    }
    let Refusal { caller, port, outcome, endpoint, meant } = first?;
    let client = ctx.mesh.workload(caller);
    let to = format!("{}:{}", ctx.workload_name(server), port.number);
    let who = ctx.workload_name(client);
    let why = match client.capture.known() {
        Some(Capture::None) => "has no proxy",
        Some(Capture::Ambient) => "is captured by ztunnel, which has no tunnel to this sidecar",
        _ => "is made to send plaintext",
    };
    let message = format!(
        "{} lets {} in, and {who} cannot get to {to}: it {why}, so no identity arrives",
        policy.name(),
        name.account
    );
    let certain = outcome.unknown.is_empty()
        && is_settled(ctx, server)
        && server.envoy_filters.is_empty()
        && name.callers.iter().all(|caller| {
            let caller = ctx.mesh.workload(*caller);
            is_settled_client(ctx, caller) && !ctx.has_operators(caller.namespace)
        })
        && !policy.namespace.is_some_and(|namespace| ctx.is_incomplete(namespace));
    let mut because = reasons(&outcome, &endpoint);
    because.push(format!("{} rule {} asks for {}", policy.name(), name.rule + 1, name.name.value));
    let witness = Witness {
        from: who.clone(),
        transport: Some("plaintext"),
        decision: Decision::Deny,
        because,
        ..meant
    };
    let mut finding = Finding::new(
        ID,
        if certain { Level::Error } else { Level::Warning },
        Category::Outage,
        message,
        Label::new(name.name.span, "nobody arrives at this server with that identity"),
    )
    .with_resource(policy.meta.resource_name())
    .with_confidence(if certain { Confidence::High } else { Confidence::Medium })
    .with_related(ctx.workload_span(client), "runs under this account, and sends plaintext");
    if let Some(span) = deciding(&outcome, &endpoint).and_then(|evidence| evidence.span) {
        finding = finding.with_related(first_line(ctx, span), "this makes it send plaintext");
    }
    Some(
        finding
            .with_related(ctx.workload_span(server), "the server")
            .with_witness(witness)
            .with_help("bring the caller into the mesh; or let it in by what plaintext shows, such as a port of its own or ipBlocks"),
    )
}

/// The fate of a caller, when plaintext keeps it out although its identity would be let in; none when it gets in, or
/// when that is not certain.
fn refused<'c>(
    ctx: &Context<'_>,
    policy: &Policy<'_>,
    name: &Named<'_>,
    (server_id, server, port): (WorkloadId, &Workload, &'c WorkloadPort),
    caller: WorkloadId,
) -> Option<Refusal<'c>> {
    let binding = port.bindings.first()?;
    let service = &ctx.mesh.services[binding.service.index()];
    let number = ctx.mesh.service_spec(binding.service)?.ports.get(binding.port)?.port.value;
    let call = Call {
        client: Client::Workload(caller),
        target: Target::Host(service.fqdn.as_deref()?),
        port: number,
        subset: None,
        speaks: match port.protocol.known()? {
            meshproof_grammar::protocol::ProtocolClass::Tcp => Layer::Tcp,
            _ => Layer::Http,
        },
    };
    let outcome = ctx.transport().call(&call);
    let is_it = |endpoint: &&EndpointOutcome| {
        workload_of(endpoint) == Some(server_id)
            && endpoint.port == port.number
            && endpoint.wire.is(&Wire::Plain)
    };
    let endpoint = outcome.endpoints.iter().find(is_it)?.clone();
    let of_application = ctx.mesh.workload(caller).capture.is(&Capture::None)
        || ctx.mesh.workload(caller).capture.is(&Capture::Ambient);
    match endpoint.result.known()? {
        Delivery::Plaintext(_) => {}
        // Of sidecars that a server refuses other lints tell.
        Delivery::Refused(RefusedBy::Plaintext | RefusedBy::Listener(_)) if of_application => {}
        _ => return None,
    }
    let rule = policy.rules.get(name.rule).map(|facts| facts.rule);
    let fate = |from: &str| {
        let witness = request(ctx, from.to_owned(), server, Some(port), rule, Decision::Deny, Vec::new());
        (fate_at(ctx, server, Some(port), &witness), witness)
    };
    let (with_identity, meant) = fate(&name.account);
    let is_kept_out = with_identity == Some(Decision::Allow)
        && (endpoint.result.known().is_some_and(Delivery::is_refused)
            || fate("plaintext").0 == Some(Decision::Deny));
    is_kept_out.then_some(Refusal { caller, port, outcome, endpoint, meant })
}
