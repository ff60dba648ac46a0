//! What the policies of one hop say of the request.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshproof_authz::{
    By, Context, Decision, Engine, Evaluation, Peer, Policy, Request, evaluate, policy_of,
};
use meshproof_ir::{Attachment, Layer, Mesh, ResourceId};
use meshproof_resources::Rule;

use crate::answer::{Authorization, Evidence, Ground, Verdict};
use crate::question::Question;
use crate::told::{self, Known};
use crate::{doubts, reason, token};

/// An address that nobody gave.
pub(crate) const NOT_GIVEN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// One enforcement point that looks at the request.
pub(crate) struct Desk<'a> {
    /// The AuthorizationPolicies there.
    pub policies: Vec<&'a Attachment>,
    /// The RequestAuthentications there.
    pub request_authentications: Vec<ResourceId>,
    /// How it decides.
    pub context: Context,
    /// The port that policies see.
    pub port: u16,
    /// The identity that policies see, without scheme.
    pub identity: Option<String>,
    /// The host name that the client calls.
    pub host: String,
    /// The server name of the handshake.
    pub sni: Option<String>,
    /// What reaches it.
    pub arriving: Arriving,
}

/// What of the client is left when the request reaches a hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arriving {
    /// The address at the other end of the connection.
    pub source: Option<IpAddr>,
    /// The address of the original client.
    pub remote: Option<IpAddr>,
    /// Whether the token of the client is still there.
    pub token: bool,
    /// Headers that proxies on the way have set.
    pub headers: Vec<(String, String)>,
}

/// The answer of a desk, and what it depends on that the input does not tell.
pub(crate) fn ask(mesh: &Mesh, desk: &Desk<'_>, question: &Question) -> (Authorization, Vec<String>) {
    let read: Vec<(&Attachment, Policy<'_>)> = desk
        .policies
        .iter()
        .filter_map(|attached| Some((*attached, policy_of(mesh, attached.policy)?)))
        .collect();
    let policies: Vec<Policy<'_>> = read.iter().map(|(_, policy)| *policy).collect();
    let is_http = question.speaks == Layer::Http && desk.context.engine == Engine::EnvoyHttp
        || desk.context.engine == Engine::Grpc;
    let judged = match is_http && desk.arriving.token {
        true => token::judge(mesh, &desk.request_authentications, &question.http),
        false => token::Judged::default(),
    };
    let set = [desk.arriving.headers.as_slice(), &judged.headers].concat();
    let mut context = desk.context.clone();
    doubts::assume_providers(mesh, &policies, &mut context);
    context.semantics.space_delimited_claims.extend(judged.space_delimited);
    let request = Request {
        peer: desk.identity.as_deref().map_or(Peer::Anonymous, Peer::workload),
        sni: desk.sni.clone().or_else(|| question.sni.clone()),
        source: desk.arriving.source.unwrap_or(NOT_GIVEN),
        proxied_source: desk.arriving.remote,
        destination: SocketAddr::new(NOT_GIVEN, desk.port),
        metadata: Default::default(),
        http: is_http.then(|| token::http_request(&question.http, &desk.host, judged.token, &set)),
    };
    let evaluation = evaluate(&policies, &request, &context);
    let mut unknowns = doubts::of_attachment(&read, &evaluation, &request, &context);
    unknowns.extend(doubts::of_question(&policies, &desk.arriving, &request, &context));
    unknowns.extend(doubts::of_providers(mesh, &policies, &evaluation));
    let known: Vec<Known<'_>> = read
        .iter()
        .map(|(attached, policy)| Known {
            span: mesh.resource(attached.policy).meta.span,
            action: policy.action(),
            doubt: attached.certain.as_ref().err().map(String::as_str),
        })
        .collect();
    let deciding = evaluation.rule.as_ref().and_then(|rule| reason::deciding(rule, &policies, &known));
    let mut notes = judged.notes;
    notes.extend(evaluation.notes.iter().map(|note| Evidence::at(note.message.clone(), note.span)));
    notes.extend(reason::dry_run_notes(&evaluation, &policies));
    let authorization = Authorization {
        verdict: if evaluation.decision == Decision::Allow { Verdict::Allow } else { Verdict::Deny },
        ground: match &evaluation.by {
            By::Custom | By::Deny | By::Allow => Ground::Rule,
            By::AllowNoneMatched => Ground::NoRule,
            By::NoAllowPolicy => Ground::Default,
            By::Proxy(_) => Ground::Proxy,
        },
        reason: reason::sentence(&evaluation, deciding.as_ref(), &policies, &context),
        deciding,
        keeps_token: judged.kept,
        sets_headers: judged.headers,
        asked: evaluation.delegated.iter().map(|asked| asked.provider.clone()).collect(),
        is_http,
        phases: told::phases(&evaluation.trace, &known, letting_in(&evaluation, &policies)),
        notes,
    };
    (authorization, unknowns)
}

/// The rule that lets the request in.
fn letting_in<'a>(evaluation: &Evaluation, policies: &[Policy<'a>]) -> Option<&'a Rule> {
    let rule = evaluation.rule.as_ref().filter(|_| evaluation.by == By::Allow)?;
    policies.get(rule.policy)?.spec.rules.get(rule.rule)
}
