//! Whether the request that a finding shows really meets the fate that the finding claims.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshproof_authz::{
    Attribute, Context as Place, Engine, Evaluation, HttpRequest, Peer, Policy, Request, attributes_of,
    context_of, evaluate, policy_of, unknown_settings,
};
use meshproof_diagnostics::{Decision, Finding, Level, Witness};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_grammar::spiffe::SCHEME;
use meshproof_ir::{
    Attachment, ClusterId, EnforcementPoint, Fact, Origin, ResourceId, Workload, WorkloadPort,
};
use meshproof_resources::Action;

use crate::Context;

/// With more policies than this at one place nothing is claimed: each would be asked about each request.
pub(crate) const MANY: usize = 64;

/// What decides at a port of a workload; for one without a proxy, what a sidecar would be.
pub(crate) fn engine_of(workload: &Workload, port: Option<&WorkloadPort>) -> Engine {
    match workload.enforcement_point() {
        Some(EnforcementPoint::Ztunnel) => Engine::Ztunnel,
        Some(EnforcementPoint::ProxylessGrpc) => Engine::Grpc,
        _ if port.is_some_and(|port| port.protocol.is(&ProtocolClass::Tcp)) => Engine::EnvoyTcp,
        _ => Engine::EnvoyHttp,
    }
}

/// Cluster of a workload.
pub(crate) fn cluster_of(ctx: &Context<'_>, workload: &Workload) -> ClusterId {
    ctx.mesh.namespace(workload.namespace).cluster
}

/// What the policies attached to a workload make of a request to it; none when that is not certain.
pub(crate) fn fate_at(
    ctx: &Context<'_>,
    workload: &Workload,
    port: Option<&WorkloadPort>,
    witness: &Witness,
) -> Option<Decision> {
    if !workload.envoy_filters.is_empty() {
        return None;
    }
    fate(ctx, workload.policies.iter(), engine_of(workload, port), cluster_of(ctx, workload), witness)
}

/// What attached policies make of a request; none when that is not certain.
pub(crate) fn fate<'p>(
    ctx: &Context<'_>,
    attached: impl Iterator<Item = &'p Attachment>,
    engine: Engine,
    cluster: ClusterId,
    witness: &Witness,
) -> Option<Decision> {
    let ids = certain(attached)?;
    fate_of(ctx, &ids, engine, cluster, witness)
}

/// What these policies make of a request; none when that is not certain: too many of them, a provider that is asked,
/// an address or metadata that manifests do not tell.
pub(crate) fn fate_of(
    ctx: &Context<'_>,
    policies: &[ResourceId],
    engine: Engine,
    cluster: ClusterId,
    witness: &Witness,
) -> Option<Decision> {
    let evaluation = evaluated(ctx, policies, engine, cluster, witness)?;
    match evaluation.decision {
        _ if !evaluation.delegated.is_empty() => None,
        meshproof_authz::Decision::Allow => Some(Decision::Allow),
        _ => Some(Decision::Deny),
    }
}

/// Whether these policies refuse a request, or leave it to a provider; false when that is not certain.
pub(crate) fn is_held_back(
    ctx: &Context<'_>,
    policies: &[ResourceId],
    engine: Engine,
    cluster: ClusterId,
    witness: &Witness,
) -> bool {
    evaluated(ctx, policies, engine, cluster, witness).is_some_and(|evaluation| {
        !evaluation.delegated.is_empty() || evaluation.decision != meshproof_authz::Decision::Allow
    })
}

/// The finding with the request that shows it, where the policies, asked about the request, say what it says. A finding
/// that they contradict is no more than a hint, and none is an error without a request.
pub(crate) fn confirmed(mut finding: Finding, told: Option<Decision>, witness: Witness) -> Finding {
    if told == Some(witness.decision) {
        return finding.with_witness(witness);
    }
    let most = if told.is_some() { Level::Info } else { Level::Warning };
    if finding.level == Level::Error || most == Level::Info {
        finding.level = most;
    }
    finding.message.push_str("; no request could be confirmed that shows it");
    finding
}

/// What these policies make of a request; none where it hangs on an address or metadata that manifests do not tell.
fn evaluated(
    ctx: &Context<'_>,
    policies: &[ResourceId],
    engine: Engine,
    cluster: ClusterId,
    witness: &Witness,
) -> Option<Evaluation> {
    let settings = ctx.mesh.settings_of(cluster);
    if policies.len() > MANY || unknown_settings(settings).next().is_some() {
        return None;
    }
    let policies: Vec<Policy<'_>> = policies.iter().filter_map(|id| policy_of(ctx.mesh, *id)).collect();
    let is_address_told = told_address(&witness.from).is_some();
    let untold = |attribute: Attribute| {
        use Attribute::{DestinationIp, Metadata, RemoteIp, Sni, SourceIp};
        matches!(attribute, RemoteIp | DestinationIp | Sni | Metadata { .. })
            || (attribute == SourceIp && !is_address_told)
    };
    let enforced = policies.iter().filter(|policy| !policy.is_dry_run());
    if enforced.flat_map(|policy| policy.spec.rules.iter()).flat_map(attributes_of).any(untold) {
        return None;
    }
    let place: Place = context_of(ctx.mesh, cluster, engine);
    Some(evaluate(&policies, &request(ctx, cluster, engine, witness)?, &place))
}

/// The address in a caller written as `plaintext:ADDRESS`.
fn told_address(from: &str) -> Option<IpAddr> {
    from.strip_prefix("plaintext:")?.parse().ok()
}

/// The request of a witness as it arrives.
fn request(ctx: &Context<'_>, cluster: ClusterId, engine: Engine, witness: &Witness) -> Option<Request> {
    let somewhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let foreign = witness.from.strip_prefix(SCHEME);
    let peer = match (foreign, witness.from.split_once('/')) {
        // Whoever it is, no certificate says so.
        _ if witness.transport == Some("plaintext") => Peer::Anonymous,
        (Some(principal), _) => Peer::workload(principal),
        (None, None) => Peer::Anonymous,
        (None, Some((namespace, account))) => {
            let domain = ctx.mesh.settings_of(cluster).trust_domain.known()?.replace('@', ".");
            Peer::workload(&format!("{domain}/ns/{namespace}/sa/{account}"))
        }
    };
    let is_http = matches!(engine, Engine::EnvoyHttp | Engine::Grpc);
    let host = witness.to.rsplit('/').next().unwrap_or_default().to_owned();
    let http = is_http.then(|| HttpRequest {
        method: witness.method.clone().unwrap_or_else(|| "GET".to_owned()),
        target: witness.path.clone().unwrap_or_else(|| "/".to_owned()),
        headers: vec![("host".to_owned(), host)],
        ..HttpRequest::default()
    });
    Some(Request {
        peer,
        sni: None,
        source: told_address(&witness.from).unwrap_or(somewhere),
        proxied_source: None,
        destination: SocketAddr::new(somewhere, witness.port.unwrap_or_default()),
        metadata: Default::default(),
        http,
    })
}

/// Whether membership in the mesh is written down, and nothing unseen adds policies: what is proven of a workload then
/// holds in the cluster too.
pub(crate) fn is_settled(ctx: &Context<'_>, workload: &Workload) -> bool {
    matches!(&workload.capture, Fact::Known(_, Origin::Written(_) | Origin::Inherited(_)))
        && certain(workload.policies.iter()).is_some()
        && !ctx.is_incomplete(workload.namespace)
        && !ctx.has_external_policies(workload.namespace)
}

/// ALLOW and DENY policies that are attached for certain, the first few.
pub(crate) fn enforced_at<'c>(
    ctx: &'c Context<'_>,
    workload: &'c Workload,
) -> impl Iterator<Item = &'c crate::policies::Policy<'c>> {
    let attached = workload.policies.iter().take(MANY).filter(|attachment| attachment.certain.is_ok());
    let policies = attached.filter_map(|attachment| ctx.policies.get(attachment.policy));
    policies.filter(|policy| policy.enforces(Action::Allow) || policy.enforces(Action::Deny))
}

/// The ids of attached policies that are enforced for certain; none when one only may be attached, or there are too
/// many to ask each.
pub(crate) fn certain<'p>(attached: impl Iterator<Item = &'p Attachment>) -> Option<Vec<ResourceId>> {
    let mut ids = Vec::new();
    for attachment in attached.take(MANY + 1) {
        attachment.certain.as_ref().ok()?;
        ids.push(attachment.policy);
    }
    (ids.len() <= MANY).then_some(ids)
}

#[cfg(test)]
mod tests {
    use meshproof_diagnostics::{Category, Label};
    use meshproof_source::{SourceId, Span};

    use super::*;

    #[test]
    fn nothing_is_shown_that_policies_do_not_confirm() {
        let witness = Witness {
            from: "a/b".to_owned(),
            to: "c/d".to_owned(),
            port: None,
            transport: None,
            method: None,
            path: None,
            decision: Decision::Deny,
            because: Vec::new(),
        };
        let told = |level, told| {
            let label = Label::new(Span::new(SourceId(0), 0, 1), "here");
            let finding = Finding::new("deny-all-gap", level, Category::Outage, "nobody".to_owned(), label);
            let finding = confirmed(finding, told, witness.clone());
            (finding.level, finding.witness.is_some(), finding.message == "nobody")
        };
        for level in [Level::Error, Level::Warning, Level::Info] {
            assert_eq!(told(level, Some(Decision::Deny)), (level, true, true));
            assert_eq!(told(level, Some(Decision::Allow)), (Level::Info, false, false));
        }
        assert_eq!(told(Level::Error, None), (Level::Warning, false, false));
        assert_eq!(told(Level::Info, None), (Level::Info, false, false));
    }
}
