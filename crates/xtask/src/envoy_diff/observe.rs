//! What Envoy decided, read from its access log.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::process::Envoy;
use super::{Case, Set, config};

const DENIED: &str = "rbac_access_denied_matched_policy[";

/// How the names of the rules of CUSTOM policies start.
const CUSTOM: &str = "istio-ext-authz-";

/// How often a request is sent whose line is not in the log: Envoy may lose a line when a connection is reset early.
const TRIES: usize = 3;

/// Sends all requests of the sets; gives the vector of each, and those that Envoy never logged.
pub(super) fn observe(
    envoy: &Envoy,
    client: &mut Client<'_>,
    sets: &[Set],
    folder: &Path,
) -> io::Result<(Vec<Case>, Vec<Case>)> {
    let mut open: Vec<Case> = Vec::new();
    for (set, from) in sets.iter().enumerate() {
        open.extend(from.requests.iter().map(|request| Case {
            set,
            request: request.clone(),
            expect: Value::Null,
        }));
    }
    let mut decided = Vec::new();
    for _ in 0..TRIES {
        let mut sent = BTreeMap::new();
        for (at, case) in open.iter().enumerate() {
            let listener = config::name(case.set, case.request["proto"] == "tcp");
            let Some(address) = envoy.listeners.get(&listener) else { continue };
            let seen = client.send(*address, &case.request)?;
            sent.insert(at, (format!("{listener} {}", seen.client), seen.answered));
        }
        let lines = lines(folder, sent.values().map(|(key, _)| key.as_str()).collect())?;
        let mut left = Vec::new();
        for (at, mut case) in open.into_iter().enumerate() {
            let line = sent.get(&at).and_then(|(key, answered)| Some((lines.get(key)?, *answered)));
            match line.and_then(|(line, answered)| expect(line, case.request["proto"] == "tcp", answered)) {
                Some(expect) => {
                    case.expect = expect;
                    decided.push(case);
                }
                None => left.push(case),
            }
        }
        open = left;
        if open.is_empty() {
            break;
        }
    }
    Ok((decided, open))
}

/// The lines of the log by listener and client, once all that are wanted are there or five seconds have passed.
fn lines(folder: &Path, wanted: Vec<&str>) -> io::Result<HashMap<String, Value>> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let text = match fs::read_to_string(folder.join("access.log")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let mut found = HashMap::new();
        for line in text.lines() {
            // The last line may be half written.
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            if let (Some(listener), Some(client)) = (line["listener"].as_str(), line["client"].as_str()) {
                found.insert(format!("{listener} {client}"), line);
            }
        }
        if wanted.iter().all(|key| found.contains_key(*key)) || Instant::now() > until {
            return Ok(found);
        }
        sleep(Duration::from_millis(20));
    }
}

/// What a line says, in the form of the vectors; nothing when it says nothing for certain.
fn expect(line: &Value, is_tcp: bool, answered: bool) -> Option<Value> {
    let seen = |prefix: &str| {
        let key = format!("{prefix}_shadow_effective_policy_id");
        line[if is_tcp { "tcp" } else { "http" }].get(key).cloned().unwrap_or(Value::Null)
    };
    let watched = |action: &str| seen(&format!("watch_{action}"));
    let (allowed, refused) = if is_tcp {
        (answered, line["closed"].as_str())
    } else {
        (line["status"] == 200, line["details"].as_str())
    };
    let refused = refused.and_then(|text| text.strip_prefix(DENIED)?.strip_suffix(']'));
    let (decision, by, rule) = match (allowed, refused) {
        (true, None) => match watched("ALLOW") {
            Value::Null => ("allow".to_owned(), "no-allow-policy", Value::Null),
            rule => ("allow".to_owned(), "ALLOW", rule),
        },
        (false, Some("none")) => ("deny".to_owned(), "ALLOW-none-matched", Value::Null),
        (false, Some(rule)) if rule.starts_with(CUSTOM) => ("deny".to_owned(), "CUSTOM", json!(rule)),
        (false, Some(rule)) => ("deny".to_owned(), "DENY", json!(rule)),
        // The provider refuses, or does not answer.
        (false, None) if line["flags"] == "UAEX" => {
            let rule = seen("istio_ext_authz");
            let name = rule.as_str().and_then(|rule| Some(&rule[rule.find("ns[")?..]));
            ("deny".to_owned(), "CUSTOM", json!(name))
        }
        (false, None) if !is_tcp => {
            let status = line["status"].as_u64().filter(|status| *status >= 400)?;
            (format!("reject-{status}"), line["details"].as_str().unwrap_or_default(), Value::Null)
        }
        _ => return None,
    };
    let mut expect = json!({ "decision": decision, "by": by, "rule": rule, "audit": watched("LOG") });
    // Who is refused in front is seen by no filter behind.
    if !decision.starts_with("reject") && by != "CUSTOM" {
        expect["dryRun"] = json!({ "deny": seen("istio_dry_run_deny") });
        // Whom DENY refuses, the filter behind it never sees.
        if by != "DENY" {
            expect["dryRun"]["allow"] = seen("istio_dry_run_allow");
        }
    }
    Some(expect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_a_denial_is_in_the_details() {
        let line = json!({ "status": 403, "details": "rbac_access_denied_matched_policy[ns[foo]-policy[p]-rule[0]]" });
        let said = expect(&line, false, true);
        let rule = "ns[foo]-policy[p]-rule[0]";
        let wanted = json!({
            "decision": "deny", "by": "DENY", "rule": rule, "audit": null, "dryRun": { "deny": null },
        });
        assert_eq!(said, Some(wanted));
    }

    #[test]
    fn the_rule_that_lets_in_is_the_watched_one() {
        let line = json!({ "tcp": {
            "watch_ALLOW_shadow_effective_policy_id": "r",
            "watch_LOG_shadow_effective_policy_id": "a",
            "istio_dry_run_allow_shadow_effective_policy_id": "t",
        } });
        let said = expect(&line, true, true);
        let wanted = json!({
            "decision": "allow", "by": "ALLOW", "rule": "r", "audit": "a", "dryRun": { "deny": null, "allow": "t" },
        });
        assert_eq!(said, Some(wanted));
    }

    #[test]
    fn a_cut_connection_without_a_reason_says_nothing() {
        assert_eq!(expect(&json!({ "closed": null }), true, false), None);
        assert_eq!(expect(&json!({ "status": 0, "details": null }), false, false), None);
    }
}
