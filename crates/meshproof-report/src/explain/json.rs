//! The answer as one JSON object. `"format": 1` promises these keys; later releases of the same format may add some.

use std::io::{self, Write};

use meshproof_explain::{Answer, Authorization, Evidence, Fate, Hop, Passage, PolicyTold, RuleTold, Verdict};
use meshproof_resources::Action;
use meshproof_source::{SourceMap, Span};
use serde_json::{Value, json};

use crate::json::escape_hidden;

/// Writes the answer and a line break.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, answer: &Answer, sources: &SourceMap) -> io::Result<()> {
    let at = |span: Span| place(sources, span);
    let last = answer.hops.last();
    let trace: Vec<Value> = answer.hops.iter().flat_map(|hop| trace(hop, sources)).collect();
    let report = json!({
        "format": 1,
        "decision": word(answer.verdict),
        "certain": answer.unknowns.is_empty(),
        "reason": answer.reason,
        "policy": answer.deciding.as_ref().map(|deciding| &deciding.policy),
        "rule": answer.deciding.as_ref().and_then(|deciding| deciding.rule),
        "place": answer.deciding.as_ref().map(|deciding| at(deciding.span)),
        "from": answer.from,
        "to": answer.to,
        "cluster": answer.cluster,
        "port": answer.port,
        "service": answer.service,
        "request": answer.request,
        "transport": last.map(|hop| hop.transport.outcome.word()),
        "identity": last.and_then(|hop| hop.transport.identity.as_ref()).map(|id| format!("spiffe://{id}")),
        "hops": answer.hops.iter().map(|hop| told(hop, sources)).collect::<Vec<_>>(),
        "trace": trace,
        "unknown": answer.unknowns,
        "notes": evidence(&answer.notes, sources),
    });
    let text = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
    out.write_all(escape_hidden(text).as_bytes())?;
    out.write_all(b"\n")
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Allow => "ALLOW",
        Action::Deny => "DENY",
        Action::Audit => "AUDIT",
        Action::Custom => "CUSTOM",
    }
}

fn place(sources: &SourceMap, span: Span) -> Value {
    let position = sources.position(span);
    json!({ "file": sources.get(span.source).name, "line": position.line, "column": position.column })
}

fn evidence(list: &[Evidence], sources: &SourceMap) -> Vec<Value> {
    let one = |evidence: &Evidence| json!({ "text": evidence.text, "place": evidence.span.map(|span| place(sources, span)) });
    list.iter().map(one).collect()
}

fn told(hop: &Hop, sources: &SourceMap) -> Value {
    let transport = &hop.transport;
    json!({
        "at": hop.kind.name(),
        "name": hop.name,
        "port": hop.port,
        "transport": transport.outcome.word(),
        "identity": transport.identity.as_ref().map(|id| format!("spiffe://{id}")),
        "refusal": transport.refusal,
        "client": evidence(&transport.client, sources),
        "server": evidence(&transport.server, sources),
        "network": hop.network.as_ref().map(|network| {
            let passage = match network.passage {
                Passage::Allowed => "allowed",
                Passage::Denied => "denied",
                Passage::Unknown => "unknown",
            };
            json!({ "passage": passage, "evidence": evidence(&network.evidence, sources) })
        }),
        "authorization": hop.authorization.as_ref().map(|told| authorization(told, sources)),
    })
}

fn authorization(told: &Authorization, sources: &SourceMap) -> Value {
    json!({
        "decision": word(told.verdict),
        "reason": told.reason,
        "policy": told.deciding.as_ref().map(|deciding| &deciding.policy),
        "rule": told.deciding.as_ref().and_then(|deciding| deciding.rule),
        "layer": if told.is_http { "http" } else { "tcp" },
        "asks": told.asked,
        "notes": evidence(&told.notes, sources),
    })
}

/// One entry per rule, and one per policy that has none or does not count.
fn trace(hop: &Hop, sources: &SourceMap) -> Vec<Value> {
    let mut entries = Vec::new();
    for phase in hop.authorization.iter().flat_map(|told| &told.phases) {
        for policy in &phase.policies {
            let entry = |rule: Option<&RuleTold>| entry(hop, phase.action, policy, rule, sources);
            match policy.rules.is_empty() {
                true => entries.push(entry(None)),
                false => entries.extend(policy.rules.iter().map(|rule| entry(Some(rule)))),
            }
        }
    }
    entries
}

fn entry(hop: &Hop, of: Action, policy: &PolicyTold, rule: Option<&RuleTold>, sources: &SourceMap) -> Value {
    let mut entry = json!({
        "at": hop.kind.name(),
        "name": hop.name,
        "phase": action(of),
        "policy": policy.id,
        "rule": rule.map(|rule| rule.number),
        "place": place(sources, rule.map_or(policy.span, |rule| rule.span)),
        "aside": policy.aside,
        "doubt": policy.doubt,
    });
    let Some(rule) = rule else {
        entry["result"] = json!("no-rules");
        return entry;
    };
    entry["testsShort"] = json!(rule.tests_short);
    entry["ignored"] = json!(evidence(&rule.ignored, sources));
    match &rule.fate {
        Fate::Matched => entry["result"] = json!("matched"),
        Fate::Failed(miss) => {
            entry["result"] = json!("failed");
            entry["test"] = json!({
                "field": miss.field,
                "wants": miss.wants,
                "has": miss.has,
                "place": place(sources, miss.span),
            });
        }
        Fate::Dropped(why) => {
            entry["result"] = json!("left-out");
            entry["why"] = json!(why.text);
        }
    }
    entry
}
