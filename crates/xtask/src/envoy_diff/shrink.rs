//! Sets of policies with one thing less.

use serde_json::Value;

use super::Set;

/// A difference gets smaller at most this often.
pub(super) const ROUNDS: usize = 60;

/// So many candidates are tried with one Envoy.
pub(super) const AT_ONCE: usize = 60;

/// What makes an item what it is, and is not taken away.
const KEPT: [&str; 3] = ["key", "source", "operation"];

/// All that have one thing less, those that lack most first. Takes a set with one request.
pub(super) fn candidates(set: &Set) -> Vec<Set> {
    let mut found = Vec::new();
    for at in 0..set.policies.len() {
        let mut less = set.clone();
        less.policies.remove(at);
        found.push(less);
    }
    for (at, policy) in set.policies.iter().enumerate() {
        let mut paths = Vec::new();
        parts(&policy["spec"]["rules"], "/spec/rules", &mut paths);
        if policy["metadata"].get("annotations").is_some() {
            paths.push("/metadata/annotations".to_owned());
        }
        paths.sort_by_key(|path| path.matches('/').count());
        for path in paths {
            let mut less = set.clone();
            take(&mut less.policies[at], &path);
            found.push(less);
        }
    }
    let Some(request) = set.requests.first() else { return found };
    let mut paths = Vec::new();
    parts(&request["jwt"], "/jwt", &mut paths);
    let headers = request["headers"].as_array().map_or(0, Vec::len);
    // The first one is Host.
    paths.extend((1..headers).map(|at| format!("/headers/{at}")));
    for field in ["sni", "peer", "jwt", "pp_src", "metadata"] {
        // A connection to an IPv6 address has to come from one.
        let is_needed = field == "pp_src" && request["dst"][0].as_str().is_some_and(|to| to.contains(':'));
        if request.get(field).is_some() && !is_needed {
            paths.push(format!("/{field}"));
        }
    }
    for path in paths {
        let mut less = set.clone();
        take(&mut less.requests[0], &path);
        found.push(less);
    }
    if set.trust_domains.len() > 1 {
        found.push(Set { trust_domains: vec!["cluster.local".to_owned()], ..set.clone() });
    }
    found
}

/// The JSON pointers of everything inside.
fn parts(value: &Value, path: &str, found: &mut Vec<String>) {
    let mut part = |key: &str, inside: &Value| {
        let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        if !KEPT.contains(&key) {
            found.push(path.clone());
        }
        parts(inside, &path, found);
    };
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, inside)| part(&at.to_string(), inside));
        }
        Value::Object(fields) => fields.iter().for_each(|(key, inside)| part(key, inside)),
        _ => {}
    }
}

/// Takes away what a JSON pointer points at.
fn take(value: &mut Value, path: &str) {
    let Some((parent, last)) = path.rsplit_once('/') else { return };
    match value.pointer_mut(parent) {
        Some(Value::Array(items)) => {
            if let Some(at) = last.parse::<usize>().ok().filter(|at| *at < items.len()) {
                items.remove(at);
            }
        }
        Some(Value::Object(fields)) => {
            fields.remove(&last.replace("~1", "/").replace("~0", "~"));
        }
        _ => {}
    }
}

/// The action of a policy and the fields that it asks for.
pub(super) fn asks(policy: &Value) -> String {
    let mut asks = policy["spec"]["action"].as_str().unwrap_or("ALLOW").to_owned();
    for rule in policy["spec"]["rules"].as_array().into_iter().flatten() {
        let list = |name: &str| rule[name].as_array().into_iter().flatten();
        let items = list("from").map(|item| &item["source"]).chain(list("to").map(|item| &item["operation"]));
        let fields = items.filter_map(Value::as_object).flat_map(|fields| fields.keys().map(String::as_str));
        for field in fields.chain(list("when").filter_map(|condition| condition["key"].as_str())) {
            asks.push(' ');
            asks.push_str(field);
        }
    }
    asks
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_candidate_lacks_one_thing() {
        let policy = json!({
            "metadata": { "name": "p" },
            "spec": { "rules": [{ "to": [{ "operation": { "paths": ["/a", "/b"] } }] }] },
        });
        let set = Set {
            name: "s".to_owned(),
            policies: vec![policy],
            trust_domains: vec!["cluster.local".to_owned()],
            listener: "base",
            requests: vec![json!({ "proto": "http", "headers": [["Host", "a"]], "sni": "a" })],
        };
        // The policy; its rule, `to`, the item, `paths`, two values; the server name.
        let found = candidates(&set);
        assert_eq!(found.len(), 8);
        assert!(found.iter().all(|less| (&less.policies, &less.requests) != (&set.policies, &set.requests)));
    }
}
