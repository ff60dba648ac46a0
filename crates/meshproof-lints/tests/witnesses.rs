//! Requests that findings show, put to the policies once more: what passes by a finding is not refused by a policy, and
//! what policies are said to refuse is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a fixture that cannot be read fails its test")]

mod support;

use std::net::{IpAddr, SocketAddr};

use meshproof_authz::{
    Attribute, Decision as Decided, Engine, HttpRequest, Peer, Policy, Request, attributes_of, context_of,
    evaluate, policy_of,
};
use meshproof_diagnostics::{Decision, Witness};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{EnforcementPoint, Mesh, Workload};
use meshproof_lints::World;

/// Lints whose requests are refused by the policies of the workload they are sent to, if by anything.
const BY_POLICY: &[&str] = &[
    "allow-hidden-by-deny",
    "deny-all-gap",
    "empty-intersection-outage",
    "misleading-name",
    "redundant-policy",
    "restriction-without-effect",
    "rule-never-matches",
    "shadowed-rule",
    "split-rule",
];

/// Lints about requests that policies are not asked about, or that arrive with the identity of a waypoint.
const UNASKED: &[&str] = &["exposed-metrics", "uncaptured-port", "waypoint-bypass"];

/// What a witness does not tell: policies that ask for it are not asked here.
fn is_untold(attribute: &Attribute) -> bool {
    !matches!(
        attribute,
        Attribute::Principal
            | Attribute::Namespace
            | Attribute::ServiceAccount
            | Attribute::TrustDomain
            | Attribute::DestinationPort
            | Attribute::Method
            | Attribute::Path
    )
}

fn engine(workload: &Workload, port: Option<u16>) -> Option<Engine> {
    let port = port.and_then(|number| workload.ports.iter().find(|port| port.number == number));
    Some(match workload.enforcement_point()? {
        EnforcementPoint::Ztunnel => Engine::Ztunnel,
        EnforcementPoint::ProxylessGrpc => Engine::Grpc,
        _ if port.is_some_and(|port| port.protocol.is(&ProtocolClass::Tcp)) => Engine::EnvoyTcp,
        _ => Engine::EnvoyHttp,
    })
}

fn request(mesh: &Mesh, workload: &Workload, engine: Engine, witness: &Witness) -> Option<Request> {
    let cluster = mesh.namespace(workload.namespace).cluster;
    let from = witness.from.strip_prefix("spiffe://").unwrap_or(&witness.from);
    let peer = match from.split_once('/') {
        _ if witness.transport == Some("plaintext") => Peer::Anonymous,
        None => Peer::Anonymous,
        Some(_) if from.contains("/ns/") => Peer::workload(from),
        Some((namespace, account)) => {
            let domain = mesh.settings_of(cluster).trust_domain.known()?;
            Peer::workload(&format!("{domain}/ns/{namespace}/sa/{account}"))
        }
    };
    let somewhere = IpAddr::from([0, 0, 0, 0]);
    let is_http = matches!(engine, Engine::EnvoyHttp | Engine::Grpc);
    let http = is_http.then(|| HttpRequest {
        method: witness.method.clone().unwrap_or_else(|| "GET".to_owned()),
        target: witness.path.clone().unwrap_or_else(|| "/".to_owned()),
        headers: vec![("host".to_owned(), "example.com".to_owned())],
        ..HttpRequest::default()
    });
    Some(Request {
        peer,
        sni: None,
        source: somewhere,
        proxied_source: None,
        destination: SocketAddr::new(somewhere, witness.port.unwrap_or_default()),
        metadata: Default::default(),
        http,
    })
}

/// What the policies of the workload make of the request; nothing where it tells too little, or is sent elsewhere.
fn told(mesh: &Mesh, witness: &Witness) -> Option<Decision> {
    let mut workloads = mesh.workloads_with_ids();
    let (_, workload) = workloads.find(|(id, _)| mesh.workload_display(*id) == witness.to)?;
    let is_certain = workload.policies.iter().all(|attached| attached.certain.is_ok());
    let policies: Vec<Policy<'_>> =
        workload.policies.iter().filter_map(|attached| policy_of(mesh, attached.policy)).collect();
    let rules = policies.iter().flat_map(|policy| policy.spec.rules.iter());
    let asks_more = rules.flat_map(attributes_of).any(|attribute| is_untold(&attribute));
    if !is_certain || asks_more || !workload.envoy_filters.is_empty() {
        return None;
    }
    let engine = engine(workload, witness.port)?;
    let cluster = mesh.namespace(workload.namespace).cluster;
    let context = context_of(mesh, cluster, engine);
    let evaluation = evaluate(&policies, &request(mesh, workload, engine, witness)?, &context);
    match evaluation.decision {
        _ if !evaluation.delegated.is_empty() => None,
        Decided::Allow => Some(Decision::Allow),
        _ => Some(Decision::Deny),
    }
}

#[test]
fn policies_say_what_findings_show() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/lints");
    let (mut asked, mut wrong) = (0, Vec::new());
    for folder in std::fs::read_dir(root).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let analysed = support::analyse(&[(path.display().to_string(), &text)], &World::default());
            for finding in &analysed.findings {
                let Some(witness) = finding.witness.as_ref().filter(|_| !UNASKED.contains(&finding.lint))
                else {
                    continue;
                };
                let Some(told) = told(&analysed.mesh, witness) else { continue };
                // Others refuse too: the handshake, a network policy, a proxy on the way.
                if witness.decision == Decision::Deny && !BY_POLICY.contains(&finding.lint) {
                    continue;
                }
                asked += 1;
                if told != witness.decision {
                    wrong.push(format!("{}: {}\n  {witness}", path.display(), finding.message));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked > 100, "{asked} requests were asked about");
}
