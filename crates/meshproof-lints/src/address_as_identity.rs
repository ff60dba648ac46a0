//! `address-as-identity`: ALLOW rules that know callers by their address alone, at ports that take plaintext (mutual-TLS
//! reference §8.2, §11.3 ST30, ST31).
//!
//! Inside a cluster an address says little: pods get any address of the range, and nodes, gateways and waypoints put
//! their own in its place.

use std::net::IpAddr;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_grammar::cidr::Cidr;
use meshproof_ir::{ResourceId, Workload, WorkloadPort};
use meshproof_resources::{Action, Rule, Source, Text};

use crate::Context;
use crate::context::captured_ports;
use crate::hash::Set;
use crate::network::may_be_shielded;
use crate::peers::{is_protected, takes_plaintext};
use crate::policies::Policy;
use crate::proof::{MANY, enforced_at, fate_at};
use crate::witnesses::request;

const ID: &str = "address-as-identity";

/// Runs the lint: one finding per policy.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let suspects: Set<ResourceId> = ctx
        .policies
        .iter()
        .filter(|policy| policy.enforces(Action::Allow))
        .filter(|policy| policy.rules.iter().any(|facts| by_address(facts.rule).is_some()))
        .map(|policy| policy.id)
        .collect();
    if suspects.is_empty() {
        return Vec::new();
    }
    let mut told: Set<ResourceId> = Set::default();
    let mut seen = Set::default();
    let mut findings = Vec::new();
    for workload in ctx.mesh.workloads.iter().filter(|workload| is_protected(workload)) {
        let open = captured_ports(workload).any(takes_plaintext);
        let key = (workload.namespace, workload.policies.sharing_key());
        // Pods with the same policies may be shielded or not, hence the first open ones of them.
        if !open || may_be_shielded(ctx, workload) || !seen.insert(key) {
            continue;
        }
        for attachment in workload.policies.iter().take(MANY) {
            if suspects.contains(&attachment.policy)
                && !told.contains(&attachment.policy)
                && let Some(policy) = ctx.policies.get(attachment.policy)
                && let Some(finding) = at_workload(ctx, policy, workload)
            {
                told.insert(policy.id);
                findings.push(finding);
            }
        }
    }
    findings
}

/// The address block that is all a rule asks of its caller.
fn by_address(rule: &Rule) -> Option<&Text> {
    if rule.from.is_empty() {
        let is_address = |key: &str| key == "source.ip";
        let condition = rule.when.iter().find(|condition| is_address(&condition.key.value))?;
        let only = rule.when.iter().all(|condition| is_address(&condition.key.value));
        return condition.values.values.iter().find(|block| is_local(block)).filter(|_| only);
    }
    let conditions = rule.when.iter().any(|condition| !condition.key.value.starts_with("destination."));
    rule.from.iter().filter(|_| !conditions).find_map(|source| {
        source.ip_blocks.values.iter().find(|block| is_local(block)).filter(|_| is_address_alone(source))
    })
}

fn is_address_alone(source: &Source) -> bool {
    let others = [
        &source.principals,
        &source.request_principals,
        &source.namespaces,
        &source.service_accounts,
        &source.trust_domains,
        &source.remote_ip_blocks,
    ];
    others.iter().all(|test| test.is_empty())
}

/// Whether a block can hold addresses of pods or nodes: private ones, and not all there are.
fn is_local(block: &Text) -> bool {
    Cidr::parse_block(block.value.trim()).is_ok_and(|block| match block.network().network() {
        IpAddr::V4(address) => {
            let is_shared = address.octets()[0] == 100 && (64..128).contains(&address.octets()[1]);
            (address.is_private() || is_shared) && block.network().prefix_len() > 0
        }
        IpAddr::V6(address) => (address.segments()[0] & 0xfe00) == 0xfc00,
    })
}

/// The first addresses of a block.
fn addresses(block: &Text) -> Vec<IpAddr> {
    let Ok(block) = Cidr::parse_block(block.value.trim()) else { return Vec::new() };
    let mut found = vec![block.network().network()];
    if let IpAddr::V4(first) = block.network().network() {
        let next = |by: u32| u32::from(first).checked_add(by).map(|number| IpAddr::V4(number.into()));
        found.extend((1..8).filter_map(next));
    }
    found.retain(|address| block.contains(*address));
    found
}

fn at_workload(ctx: &Context<'_>, policy: &Policy<'_>, workload: &Workload) -> Option<Finding> {
    let mut rules = policy.rules.iter().enumerate().filter(|(_, facts)| facts.dead.is_empty());
    rules.find_map(|(at, facts)| {
        let block = by_address(facts.rule)?;
        let mut ports = captured_ports(workload).filter(|port| takes_plaintext(port) && facts.is_about(port));
        let (port, witness) =
            ports.find_map(|port| Some((port, let_in(ctx, workload, port, facts.rule, block)?)))?;
        Some(finding(ctx, policy, at, block, workload, port, witness))
    })
}

/// A caller without identity at some address of the block.
fn let_in(
    ctx: &Context<'_>,
    workload: &Workload,
    port: &WorkloadPort,
    rule: &Rule,
    block: &Text,
) -> Option<Witness> {
    addresses(block).into_iter().find_map(|address| {
        let from = format!("plaintext:{address}");
        let mut witness = request(ctx, from, workload, Some(port), Some(rule), Decision::Allow, Vec::new());
        witness.transport = Some("plaintext");
        (fate_at(ctx, workload, Some(port), &witness) == Some(Decision::Allow)).then_some(witness)
    })
}

/// Whether some policy of the workload knows callers by identity: then the address is a way around that.
fn asks_for_identity<'c>(ctx: &'c Context<'_>, workload: &'c Workload) -> Option<&'c Policy<'c>> {
    enforced_at(ctx, workload).find(|policy| policy.rules.iter().any(|rule| rule.wants_identity.is_some()))
}

fn finding(
    ctx: &Context<'_>,
    policy: &Policy<'_>,
    rule: usize,
    block: &Text,
    workload: &Workload,
    port: &WorkloadPort,
    witness: Witness,
) -> Finding {
    let name = policy.meta.resource_name();
    let to = format!("{}:{}", ctx.workload_name(workload), port.number);
    let mode = port.mode.mode.known().map_or("PERMISSIVE", |mode| mode.as_str());
    let message = format!(
        "{name} lets everything at {} into {to}, with an identity or without: the port is {mode}, and no NetworkPolicy is in the way",
        block.value
    );
    let because = vec![
        format!("port {} is {mode}, so plaintext is accepted and carries no identity", port.number),
        format!("{} rule {} asks for an address only", policy.name(), rule + 1),
    ];
    let asking = asks_for_identity(ctx, workload);
    let level = if asking.is_some() { Level::Warning } else { Level::Info };
    let mut finding = Finding::new(
        ID,
        level,
        Category::Hole,
        message,
        Label::new(block.span, "any pod, node or gateway may have such an address"),
    )
    .with_resource(name)
    .with_confidence(Confidence::Medium)
    .with_related(ctx.workload_span(workload), "takes plaintext")
    .with_witness(Witness { because, ..witness })
    .with_help(
        "name the callers by principal and set the port to STRICT; or keep others away with a NetworkPolicy",
    );
    if let Some(asking) = asking.filter(|asking| asking.id != policy.id) {
        finding =
            finding.with_related(asking.meta.name_span(), "asks for an identity, for the same workload");
    }
    finding
}
