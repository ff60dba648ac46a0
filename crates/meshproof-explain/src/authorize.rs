//! What the policies of one hop say of the request.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshproof_authz::{
    Attribute, By, Context, Decision, Engine, Evaluation, Matched, Peer, Policy, Request, evaluate, policy_of,
};
use meshproof_ir::{Attachment, Layer, Mesh, ResourceId};
use meshproof_resources::Action;

use crate::answer::{Authorization, Deciding, Evidence, Ground, Verdict};
use crate::question::Question;
use crate::token;
use crate::told::{self, Known};

/// An address that nobody gave.
const NOT_GIVEN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arriving {
    /// The address at the other end of the connection.
    pub source: Option<IpAddr>,
    /// The address of the original client.
    pub remote: Option<IpAddr>,
    /// Whether the token of the client is still there.
    pub token: bool,
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
    let mut context = desk.context.clone();
    context.semantics.space_delimited_claims.extend(judged.space_delimited);
    let request = Request {
        peer: desk.identity.as_deref().map_or(Peer::Anonymous, Peer::workload),
        sni: desk.sni.clone().or_else(|| question.sni.clone()),
        source: desk.arriving.source.unwrap_or(NOT_GIVEN),
        proxied_source: desk.arriving.remote,
        destination: SocketAddr::new(NOT_GIVEN, desk.port),
        metadata: Default::default(),
        http: is_http.then(|| token::http_request(&question.http, &desk.host, judged.token)),
    };
    let evaluation = evaluate(&policies, &request, &context);
    let mut unknowns = doubts(&read, &evaluation, &request, &context);
    unknowns.extend(not_given(&policies, desk.arriving));
    let known: Vec<Known<'_>> = read
        .iter()
        .map(|(attached, policy)| Known {
            span: mesh.resource(attached.policy).meta.span,
            action: policy.action(),
            doubt: attached.certain.as_ref().err().map(String::as_str),
        })
        .collect();
    let deciding = evaluation.rule.as_ref().and_then(|rule| deciding(rule, &policies, &known));
    let mut notes = judged.notes;
    notes.extend(evaluation.notes.iter().map(|note| Evidence::at(note.message.clone(), note.span)));
    notes.extend(dry_run_notes(&evaluation));
    let authorization = Authorization {
        verdict: if evaluation.decision == Decision::Allow { Verdict::Allow } else { Verdict::Deny },
        ground: match &evaluation.by {
            By::Custom | By::Deny | By::Allow => Ground::Rule,
            By::AllowNoneMatched => Ground::NoRule,
            By::NoAllowPolicy => Ground::Default,
            By::Proxy(_) => Ground::Proxy,
        },
        reason: reason(&evaluation, deciding.as_ref(), &policies),
        deciding,
        keeps_token: judged.kept,
        asked: evaluation.delegated.iter().map(|asked| asked.provider.clone()).collect(),
        is_http,
        phases: told::phases(&evaluation.trace, &known),
        notes,
    };
    (authorization, unknowns)
}

fn deciding(rule: &Matched, policies: &[Policy<'_>], known: &[Known<'_>]) -> Option<Deciding> {
    let policy = policies.get(rule.policy)?;
    let span = policy.spec.rules.get(rule.rule).map_or(known.get(rule.policy)?.span, |rule| rule.span);
    Some(Deciding { policy: policy.id(), action: policy.action(), rule: Some(rule.rule + 1), span })
}

fn reason(evaluation: &Evaluation, deciding: Option<&Deciding>, policies: &[Policy<'_>]) -> String {
    let rule = deciding.map_or_else(String::new, |deciding| {
        format!("rule {} of {}", deciding.rule.unwrap_or_default(), deciding.policy)
    });
    let allowing =
        policies.iter().filter(|policy| policy.action() == Action::Allow && !policy.is_dry_run()).count();
    match &evaluation.by {
        By::Custom => format!("{rule} sends it to a provider that cannot be asked"),
        By::Deny => format!("{rule} denies it"),
        By::Allow => format!("{rule} allows it"),
        By::AllowNoneMatched if allowing == 1 => {
            "the one ALLOW policy that applies has no rule for it".to_owned()
        }
        By::AllowNoneMatched => format!("{allowing} ALLOW policies apply and none has a rule for it"),
        By::NoAllowPolicy if policies.is_empty() => "no policy applies".to_owned(),
        By::NoAllowPolicy => "nothing denies it and no ALLOW policy applies".to_owned(),
        By::Proxy(reason) => reason.clone(),
    }
}

fn dry_run_notes(evaluation: &Evaluation) -> Vec<Evidence> {
    let tried = &evaluation.dry_run;
    let mut notes = Vec::new();
    match (&tried.deny, &tried.allow) {
        (Some(rule), _) => notes.push(Evidence::new(format!("on trial, {} would deny it", rule.id))),
        (None, None) if tried.has_allow => {
            notes.push(Evidence::new("on trial, the ALLOW policies in dry run would not allow it"));
        }
        _ => {}
    }
    notes
}

/// Policies that only may apply, where the answer would be another one without them.
fn doubts(
    read: &[(&Attachment, Policy<'_>)],
    evaluation: &Evaluation,
    request: &Request,
    context: &Context,
) -> Vec<String> {
    let certain: Vec<Policy<'_>> =
        read.iter().filter(|(attached, _)| attached.certain.is_ok()).map(|(_, policy)| *policy).collect();
    if certain.len() == read.len() || evaluate(&certain, request, context).decision == evaluation.decision {
        return Vec::new();
    }
    read.iter()
        .filter_map(|(attached, policy)| Some((attached.certain.as_ref().err()?, policy)))
        .map(|(why, policy)| format!("whether {} applies: {why}", policy.id()))
        .collect()
}

/// What rules look at and nothing tells.
fn not_given(policies: &[Policy<'_>], arriving: Arriving) -> Vec<String> {
    let looks_at = |wanted: fn(&Attribute) -> bool| {
        let mut rules = policies
            .iter()
            .filter(|policy| !policy.is_dry_run())
            .flat_map(|policy| policy.spec.rules.iter().map(move |rule| (policy, rule)));
        rules
            .find(|(_, rule)| meshproof_authz::attributes_of(rule).any(|attribute| wanted(&attribute)))
            .map(|(policy, _)| policy.id())
    };
    let mut open = Vec::new();
    let mut ask = |policy: Option<String>, what: &str| {
        if let Some(policy) = policy {
            open.push(format!("{policy} looks at {what}"));
        }
    };
    if arriving.source.is_none() {
        ask(
            looks_at(|attribute| *attribute == Attribute::SourceIp),
            "the client's address; give --source-ip",
        );
        if arriving.remote.is_none() {
            ask(
                looks_at(|attribute| *attribute == Attribute::RemoteIp),
                "the original client's address; give --remote-ip",
            );
        }
    }
    ask(
        looks_at(|attribute| *attribute == Attribute::DestinationIp),
        "the address of the pod, which manifests do not tell",
    );
    ask(
        looks_at(|attribute| matches!(attribute, Attribute::Metadata { .. })),
        "metadata of other Envoy filters, which manifests do not tell",
    );
    open
}
