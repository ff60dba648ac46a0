//! Requests of the evaluator as a table sees them.

use std::net::IpAddr;

use meshproof_authz::{
    By, Context, Decision, Engine, Evaluation, Matched, PathNormalization, Request, Token, View,
};
use meshproof_engine::{
    ClaimPath, Connection, Context as Prepared, Phase, RequestAttributes, RuleRef, Table, Verdict,
};
use serde_json::Value;

/// A request behind everything that a proxy does to it before policies are asked.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'v>(pub &'v View<'v>);

impl RequestAttributes for Seen<'_> {
    fn method(&self) -> Option<&[u8]> {
        self.0.http.as_ref().map(|http| http.method.as_bytes())
    }

    fn path(&self) -> Option<&[u8]> {
        self.0.http.as_ref()?.full_path.as_deref().map(str::as_bytes)
    }

    fn authority(&self) -> Option<&[u8]> {
        self.0.http.as_ref()?.authority.as_deref().map(str::as_bytes)
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.0.http.iter().flat_map(|http| http.lines(name)).for_each(|line| each(line.as_bytes()));
    }

    fn remote(&self) -> Option<IpAddr> {
        Some(self.0.remote)
    }

    fn issuer(&self) -> Option<&[u8]> {
        self.0.http.as_ref()?.text_claim("iss").map(str::as_bytes)
    }

    fn subject(&self) -> Option<&[u8]> {
        self.0.http.as_ref()?.text_claim("sub").map(str::as_bytes)
    }

    fn claim(&self, path: ClaimPath<'_>, each: &mut dyn FnMut(&[u8])) {
        let path: Vec<String> = path.names().map(str::to_owned).collect();
        let texts = self.0.http.as_ref().and_then(|http| http.claim(&path));
        texts.iter().flatten().for_each(|text| each(text.as_bytes()));
    }

    fn metadata_text(&self, filter: &str, key: &str) -> Option<&[u8]> {
        let found = self.0.metadata.get(&(filter.to_owned(), key.to_owned()));
        found.and_then(Value::as_str).map(str::as_bytes)
    }

    fn metadata_list(&self, filter: &str, key: &str, each: &mut dyn FnMut(&[u8])) {
        let found = self.0.metadata.get(&(filter.to_owned(), key.to_owned()));
        let items = found.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).for_each(|text| each(text.as_bytes()));
    }
}

/// A provider that is asked, and the rule that sends the request there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The provider.
    pub provider: String,
    /// The rule.
    pub rule: String,
}

/// What a table says of a request, in names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What becomes of it, given that every provider lets it pass.
    pub decision: Decision,
    /// What decided; nothing when it is refused before policies are asked.
    pub phase: Option<Phase>,
    /// The deciding rule.
    pub rule: Option<String>,
    /// Its policy, `namespace/name`.
    pub policy: Option<String>,
    /// The AUDIT rule.
    pub audit: Option<String>,
    /// The providers that are asked, by name.
    pub asked: Vec<Asked>,
    /// The DENY and the ALLOW rule on trial.
    pub dry_run: [Option<String>; 2],
}

impl Told {
    fn rejected(status: u16) -> Told {
        Told {
            decision: Decision::Reject(status),
            phase: None,
            rule: None,
            policy: None,
            audit: None,
            asked: Vec::new(),
            dry_run: [None, None],
        }
    }
}

/// Decides a request of the evaluator by a table. `prepared` is used again from call to call.
pub fn decide(table: &Table<'_>, prepared: &mut Prepared, request: &Request, context: &Context) -> Told {
    let is_grpc = context.engine == Engine::Grpc;
    let mut adapted = None;
    let context = match is_grpc {
        false => context,
        // There is no proxy, so nothing normalizes paths.
        true => {
            let own: &mut Context = adapted.insert(context.clone());
            own.semantics.normalization = PathNormalization::None;
            own
        }
    };
    let (Ok(early), Ok(late)) = (View::before_tokens(request, context), View::new(request, context)) else {
        return Told::rejected(400);
    };
    let names: Vec<&[u8]> = early.names.iter().map(String::as_bytes).collect();
    let connection = Connection {
        names: &names,
        source: early.source,
        remote: early.remote,
        destination: early.destination,
        port: early.port,
        sni: early.sni.as_deref().map(str::as_bytes),
    };
    table.prepare(&connection, prepared);
    let name = |rule: Option<RuleRef>| rule.and_then(|rule| table.rule(rule)).map(|rule| rule.to_string());
    let policy = |rule: Option<RuleRef>| {
        rule.and_then(|rule| table.rule(rule)).map(|rule| format!("{}/{}", rule.namespace, rule.policy))
    };
    let mut told = Told::rejected(0);
    let mut after = None;
    let decision = loop {
        match table.custom(prepared, &Seen(&early), after) {
            None => break None,
            Some(decision) => match decision.verdict {
                Verdict::AskProvider(provider) => {
                    let asked = Asked {
                        provider: table.provider(provider).unwrap_or_default().to_owned(),
                        rule: name(decision.rule).unwrap_or_default(),
                    };
                    told.asked.push(asked);
                    after = Some(provider);
                }
                _ => break Some(decision),
            },
        }
    };
    if decision.is_none() && refuses_token(request, context, &early) {
        return Told { asked: told.asked, ..Told::rejected(401) };
    }
    let decision =
        decision.unwrap_or_else(|| table.policies(prepared, &Seen(if is_grpc { &early } else { &late })));
    Told {
        decision: if decision.is_allowed() { Decision::Allow } else { Decision::Deny },
        phase: Some(decision.phase),
        rule: name(decision.rule),
        policy: policy(decision.rule),
        audit: name(decision.audit),
        asked: told.asked,
        dry_run: [name(decision.dry_run.deny), name(decision.dry_run.allow)],
    }
}

/// Whether the verification of tokens refuses the request; a CORS preflight passes it unseen.
fn refuses_token(request: &Request, context: &Context, early: &View<'_>) -> bool {
    let refused = request.http.as_ref().is_some_and(|http| matches!(http.token, Token::Refused(_)));
    let preflight = early.http.as_ref().is_some_and(|http| http.is_preflight());
    context.engine == Engine::EnvoyHttp && refused && !preflight
}

/// What the evaluator says, in the words of a table.
fn told_of(evaluation: &Evaluation) -> Told {
    let phase = match &evaluation.by {
        By::Custom => Some(Phase::Custom),
        By::Deny => Some(Phase::Deny),
        By::Allow => Some(Phase::Allow),
        By::AllowNoneMatched => Some(Phase::AllowNoneMatched),
        By::NoAllowPolicy => Some(Phase::NoAllowPolicy),
        By::Proxy(_) => None,
    };
    let name = |rule: &Option<Matched>| rule.as_ref().map(|rule| rule.id.clone());
    let mut asked: Vec<Asked> = Vec::new();
    for delegation in &evaluation.delegated {
        if asked.last().is_none_or(|last| last.provider != delegation.provider) {
            asked.push(Asked { provider: delegation.provider.clone(), rule: delegation.rule.id.clone() });
        }
    }
    let dry_run = [name(&evaluation.dry_run.deny), name(&evaluation.dry_run.allow)];
    let (rule, audit) = (name(&evaluation.rule), name(&evaluation.audit));
    Told { decision: evaluation.decision, phase, rule, policy: None, audit, asked, dry_run }
}

/// In what a table and the evaluator differ, as far as both say it: a table stops where the request is refused, the
/// evaluator looks at everything.
pub fn difference(said: &Told, evaluation: &Evaluation) -> Option<String> {
    let (mut said, mut expected) = (Told { policy: None, ..said.clone() }, told_of(evaluation));
    if expected.phase == Some(Phase::Custom) {
        (expected.dry_run, expected.asked, said.asked) = ([None, None], Vec::new(), Vec::new());
    }
    if matches!(expected.decision, Decision::Reject(_)) {
        expected.dry_run = [None, None];
    }
    (said != expected).then(|| format!("the evaluator says {expected:?}, the table {said:?}"))
}
