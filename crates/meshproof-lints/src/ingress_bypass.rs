//! `ingress-bypass`: policies at an ingress gateway, and pods behind it that anybody inside can call past them.

use std::collections::BTreeMap;

use meshproof_authz::Engine;
use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{ResourceId, Workload};
use meshproof_resources::{Action, Rule};

use crate::Context;
use crate::ingress_routes::{FromOutside, from_outside};
use crate::network::may_be_shielded;
use crate::peers::is_protected;
use crate::policies::Policy;
use crate::proof::{MANY, certain, cluster_of, fate_at, is_held_back, is_settled};
use crate::waypoint_calls::calls;

const ID: &str = "ingress-bypass";
/// Policies tried per gateway.
const TRIED: usize = 8;
/// Requests tried, over all gateways; beyond it nothing more is claimed.
const REQUESTS: usize = 2_000;

/// A request that a gateway holds back and that gets in behind it.
struct Open<'c> {
    server: &'c Workload,
    witness: Witness,
    /// It needs no identity.
    is_plaintext: bool,
}

/// Runs the lint: one finding per policy of a gateway.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<ResourceId, Finding> = BTreeMap::new();
    let mut tried = 0;
    for way in from_outside(ctx) {
        let proxy = ctx.mesh.workload(way.proxy);
        let Some(attached) = certain(proxy.policies.iter()) else { continue };
        if attached.is_empty() || !proxy.envoy_filters.is_empty() {
            continue;
        }
        for policy in attached.iter().take(TRIED).filter_map(|id| ctx.policies.get(*id)) {
            let known = found.get(&policy.id).map(|finding| finding.level);
            if policy.dry_run || policy.action == Action::Audit || known == Some(Level::Warning) {
                continue;
            }
            let Some(open) = open(ctx, &way, policy, &attached, &mut tried) else { continue };
            if known.is_none() || open.is_plaintext {
                found.insert(policy.id, finding(ctx, &way, policy, proxy, open));
            }
        }
    }
    found.into_values().collect()
}

/// Rules about hosts are about names that only the gateway is called by.
fn is_about_hosts(rule: &Rule) -> bool {
    rule.to.iter().any(|operation| !operation.hosts.is_empty())
}

fn open<'c>(
    ctx: &'c Context<'_>,
    way: &FromOutside,
    policy: &Policy<'_>,
    attached: &[ResourceId],
    tried: &mut usize,
) -> Option<Open<'c>> {
    if *tried > REQUESTS || policy.spec.rules.iter().take(MANY).any(is_about_hosts) {
        return None;
    }
    let cluster = cluster_of(ctx, ctx.mesh.workload(way.proxy));
    let servers = way.servers.iter().map(|id| ctx.mesh.workload(*id));
    let mut best: Option<Open<'c>> = None;
    for server in servers.filter(|server| is_protected(server) && is_settled(ctx, server)) {
        let shielded = may_be_shielded(ctx, server);
        let requests = calls(ctx, policy, server).filter(|(witness, _)| {
            witness.from == "elsewhere/anybody" || (witness.from == "plaintext" && !shielded)
        });
        for (witness, port) in requests {
            *tried += 1;
            let outside = Witness { from: "plaintext".to_owned(), ..witness.clone() };
            // What this policy holds back, and all of them together.
            let held_back = |ids: &[ResourceId]| is_held_back(ctx, ids, Engine::EnvoyHttp, cluster, &outside);
            if witness.method.is_some()
                && held_back(&[policy.id])
                && held_back(attached)
                && fate_at(ctx, server, Some(port), &witness) == Some(Decision::Allow)
            {
                let is_plaintext = witness.from == "plaintext";
                if is_plaintext {
                    return Some(Open { server, witness, is_plaintext });
                }
                best.get_or_insert(Open { server, witness, is_plaintext });
            }
        }
    }
    best
}

fn finding(
    ctx: &Context<'_>,
    way: &FromOutside,
    policy: &Policy<'_>,
    proxy: &Workload,
    open: Open<'_>,
) -> Finding {
    let name = policy.meta.resource_name();
    let gateway = ctx.resource(way.gateway).meta.resource_name();
    let to = ctx.workload_name(open.server);
    let who = match open.is_plaintext {
        true => "whoever is inside the cluster, in the mesh or not,",
        false => "whoever is in the mesh",
    };
    let message = format!("{who} calls {to} directly, past {name}, which is asked at {gateway} only");
    let because = vec![
        format!("{} would hold it back at {}", policy.name(), ctx.workload_name(proxy)),
        format!("calls to {to} inside the cluster do not pass the gateway"),
        "what is enforced at the pods lets it in".to_owned(),
    ];
    // Where pods ask for an identity, callers are at least known.
    let level = if open.is_plaintext { Level::Warning } else { Level::Info };
    Finding::new(
        ID,
        level,
        Category::Hole,
        message,
        Label::new(policy.meta.name_span(), "guards the way through the gateway only"),
    )
    .with_resource(name)
    .with_confidence(Confidence::Low)
    .with_related(ctx.workload_span(open.server), "these pods can be called directly")
    .with_related(ctx.resource(way.route).meta.name_span(), "leads from the gateway to them")
    .with_witness(Witness { because, ..open.witness })
    .with_help("let only the service account of the gateway in at the pods, and set them to STRICT")
}
