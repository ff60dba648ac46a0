//! Random policies, made of values that lie close to each other and to what the clients of a run are.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::providers;

type Pool = (&'static str, &'static [&'static str]);

const PRINCIPALS: &[&str] = &[
    "cluster.local/ns/foo/sa/web",
    "cluster.local/ns/foo/sa/*",
    "cluster.local/ns/foo/sa/we*",
    "cluster.local/ns/*/sa/web",
    "cluster.local/*",
    "cluster.local*",
    "old.mesh/ns/foo/sa/web",
    "*/sa/web",
    "*/ns/foo/sa/web",
    "*b",
    "*",
    "spiffe://cluster.local/ns/foo/sa/web",
];
const NAMESPACES: &[&str] =
    &["foo", "fo*", "*oo", "*o", "*", "food", "far", "istio-system", "*web", "f*o", "Foo"];
const ACCOUNTS: &[&str] = &["web", "foo/web", "webs", "food/web", "istio-system/web", "far/db", "foo/webs"];
const DOMAINS: &[&str] =
    &["cluster.local", "cluster.*", "*.local", "old.mesh", "*.mesh", "*", "cluster.local.mesh"];
const TOKEN_PRINCIPALS: &[&str] = &[
    "https://a.io/eve",
    "https://a.io/*",
    "https://a.io/e*",
    "https://a*",
    "https://a.io",
    "*/eve",
    "*eve",
    "*",
    "*/*",
    "a/eve",
    "a",
];
const ADDRESSES: &[&str] = &[
    "127.0.0.1",
    "127.0.0.0/31",
    "127.0.0.2/31",
    "127.0.0.1/8",
    "128.0.0.0/1",
    "0.0.0.0/0",
    "::/0",
    "::1",
    "::ffff:127.0.0.1/128",
    "203.0.113.0/25",
    "203.0.113.128/25",
    "203.0.113.127",
    "2001:db8::/127",
    "2001:db8::2",
];
const DESTINATIONS: &[&str] =
    &["10.1.0.0", "10.1.0.0/31", "10.1.0.2/31", "10.0.0.0/15", "0.0.0.0/0", "2001:db8::/126", "2001:db8::9"];
const PORTS: &[&str] = &["80", "81", "8080", "65535", "1", "080", "0", "65536", "http"];
const HOSTS: &[&str] = &[
    "shop.example",
    "Shop.Example",
    "*.shop.example",
    "*shop.example",
    "shop.*",
    "shop.example:80",
    "shop.example:*",
    "*",
    "10.1.0.0",
    "shop.example.",
];
const METHODS: &[&str] = &["GET", "get", "G*", "*T", "*", "POST", "HEAD", "OPTIONS", "PROPFIND"];
// The last ones are refused at admission and taken by Envoy.
const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/",
    "/a/*",
    "/a*",
    "*/b",
    "*b",
    "*",
    "/a/b",
    "/A/b",
    "/a//b",
    "/a%2Fb",
    "/a%2fb",
    "/a b",
    "/a?b",
    "/{*}",
    "/a/{*}",
    "/a/{*}/b",
    "/{**}",
    "/a/{**}",
    "/{**}/b",
    "/{*}/b/{**}",
    "/a*b",
    "/~a",
    "/a/.",
    "/a/{*}.txt",
    "/a/{**}b",
    "/a/x{*}",
    "/{*}-{*}",
    "/a/{**}{*}",
    "/{id}/{*}",
    "/{id=a/*}/{*}",
];
/// Templates with which Envoy takes no configuration at all.
const REFUSED: &[&str] =
    &["{*}/a", "//a/{*}", "/{*}//", "/a/{*}.txt/b", "/{**}/{*}", "/{*}{id}", "/{*}/a b", "/{a}/{a}/{*}"];
const TAGS: &[&str] = &["on", "o*", "*n", "*", "ON", "on,off", "off"];
const TIERS: &[&str] = &["gold", "go*", "*ld", "*", "[gold]", "[go*]", "[*]", "[*ld]", "[]"];
const SERVER_NAMES: &[&str] = &[
    "shop.example",
    "Shop.example",
    "*.example",
    "shop.*",
    "*",
    "outbound_.80_._.shop.foo.svc",
    "outbound_.80*",
];

const SOURCE: &[Pool] = &[
    ("principals", PRINCIPALS),
    ("namespaces", NAMESPACES),
    ("serviceAccounts", ACCOUNTS),
    ("trustDomains", DOMAINS),
    ("requestPrincipals", TOKEN_PRINCIPALS),
    ("ipBlocks", ADDRESSES),
    ("remoteIpBlocks", ADDRESSES),
];
const OPERATION: &[Pool] = &[("hosts", HOSTS), ("ports", PORTS), ("methods", METHODS), ("paths", PATHS)];
const CONDITION: &[Pool] = &[
    ("source.ip", ADDRESSES),
    ("remote.ip", ADDRESSES),
    ("source.principal", PRINCIPALS),
    ("source.namespace", NAMESPACES),
    ("source.serviceAccount", ACCOUNTS),
    ("source.trustDomain", DOMAINS),
    ("destination.ip", DESTINATIONS),
    ("destination.port", PORTS),
    ("connection.sni", SERVER_NAMES),
    ("request.headers[x-tag]", TAGS),
    ("request.headers[X-Tag]", TAGS),
    ("request.headers[host]", HOSTS),
    ("request.headers[:path]", PATHS),
    ("request.headers[:method]", METHODS),
    ("request.headers[authorization]", &["*", "Bearer*"]),
    ("request.auth.principal", TOKEN_PRINCIPALS),
    ("request.auth.audiences", &["api", "ap*", "*", "*i", "web"]),
    ("request.auth.presenter", &["cli", "*", "c*"]),
    ("request.auth.claims[groups]", &["admin", "ad*", "*min", "*", "dev", ""]),
    ("request.auth.claims[scope]", &["read", "read write", "re*", "*", "write"]),
    ("request.auth.claims[org][team]", &["red", "r*", "*"]),
    ("experimental.envoy.filters.http.lua[tier]", TIERS),
    ("experimental.envoy.filters.http.lua[tier]", TIERS),
    ("experimental.envoy.filters.http.lua[other]", TIERS),
    ("not.a.key", &["x"]),
];

/// The policies of one set, as objects.
pub(super) fn policies(rng: &mut Rng) -> Vec<Value> {
    let count = rng.usize(1..=4);
    let customs = if rng.u8(..4) == 0 { rng.usize(1..=2) } else { 0 };
    // Several providers at once are refused; most often there is one.
    let provider = pick(rng, &providers::NAMES);
    let each = (0..count + customs).map(|at| {
        let action = pick(rng, &["ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "AUDIT"]);
        let mut spec = json!({ "action": action });
        if at >= count {
            let provider = if rng.u8(..6) == 0 { pick(rng, &providers::NAMES) } else { provider };
            spec = json!({ "action": "CUSTOM", "provider": { "name": provider } });
        }
        if rng.u8(..30) > 0 {
            spec["rules"] = (0..rng.usize(1..=3)).map(|_| rule(rng)).collect();
        }
        let namespace = pick(rng, &["foo", "foo", "foo", "istio-system"]);
        let mut metadata = json!({ "name": format!("p{at}"), "namespace": namespace });
        if rng.u8(..12) == 0 {
            metadata["annotations"] = json!({ "istio.io/dry-run": "true" });
        }
        json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": metadata,
            "spec": spec,
        })
    });
    each.collect()
}

/// A policy with which Envoy takes no configuration.
pub(super) fn refused_policy(rng: &mut Rng) -> Value {
    let operation = json!({ "operation": { "paths": ["/a", pick(rng, REFUSED)] } });
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": { "name": "refused", "namespace": "foo" },
        "spec": { "rules": [{ "to": [operation] }] },
    })
}

fn rule(rng: &mut Rng) -> Value {
    let mut rule = Map::new();
    let items = |rng: &mut Rng, wrapper: &str, pools: &[Pool]| -> Value {
        let count = if rng.u8(..4) == 0 { 2 } else { 1 };
        (0..count).map(|_| json!({ wrapper: fields(rng, pools) })).collect()
    };
    if rng.u8(..5) < 2 {
        rule.insert("from".to_owned(), items(rng, "source", SOURCE));
    }
    if rng.u8(..5) < 3 {
        rule.insert("to".to_owned(), items(rng, "operation", OPERATION));
    }
    if rng.u8(..5) < 2 || (rule.is_empty() && rng.u8(..10) > 0) {
        let count = if rng.u8(..6) == 0 { 2 } else { 1 };
        rule.insert("when".to_owned(), (0..count).map(|_| condition(rng)).collect());
    }
    Value::Object(rule)
}

fn fields(rng: &mut Rng, pools: &[Pool]) -> Value {
    let mut fields = Map::new();
    for _ in 0..if rng.u8(..4) == 0 { 2 } else { 1 } {
        let (name, pool) = pools[rng.usize(..pools.len())];
        let (wanted, unwanted) = halves(rng);
        if wanted {
            fields.insert(name.to_owned(), values(rng, pool));
        }
        if unwanted {
            let (first, rest) = name.split_at(1);
            fields.insert(format!("not{}{rest}", first.to_uppercase()), values(rng, pool));
        }
    }
    Value::Object(fields)
}

fn condition(rng: &mut Rng) -> Value {
    let (key, pool) = CONDITION[rng.usize(..CONDITION.len())];
    let mut condition = json!({ "key": key });
    let (wanted, unwanted) = halves(rng);
    if wanted {
        condition["values"] = values(rng, pool);
    }
    if unwanted {
        condition["notValues"] = values(rng, pool);
    }
    condition
}

/// Whether a field is asked for, and whether its `not` twin is; one of them at least.
fn halves(rng: &mut Rng) -> (bool, bool) {
    match rng.u8(..10) {
        0..=6 => (true, false),
        7..=8 => (false, true),
        _ => (true, true),
    }
}

fn values(rng: &mut Rng, pool: &[&str]) -> Value {
    let count = rng.usize(1..=2);
    let mut chosen: Vec<&str> = (0..count).map(|_| pick(rng, pool)).collect();
    chosen.dedup();
    json!(chosen)
}

/// One of several.
pub(super) fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text in a value, names of fields included.
    fn texts(value: &Value, found: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::String(text) => drop(found.insert(text.clone())),
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Object(fields) => {
                for (name, inside) in fields {
                    found.insert(name.clone());
                    texts(inside, found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn a_run_asks_about_the_whole_language() {
        let mut rng = Rng::with_seed(1);
        let mut found = std::collections::BTreeSet::new();
        (0..2_000).for_each(|_| texts(&json!(policies(&mut rng)), &mut found));
        for (name, pool) in SOURCE.iter().chain(OPERATION) {
            let (first, rest) = name.split_at(1);
            assert!(found.contains(*name), "{name}");
            assert!(found.contains(&format!("not{}{rest}", first.to_uppercase())), "not {name}");
            assert!(pool.iter().all(|value| found.contains(*value)), "values of {name}");
        }
        for (key, pool) in CONDITION {
            assert!(found.contains(*key), "{key}");
            assert!(pool.iter().all(|value| found.contains(*value)), "values of {key}");
        }
        for name in [
            "ALLOW",
            "DENY",
            "AUDIT",
            "CUSTOM",
            "istio.io/dry-run",
            "foo",
            "istio-system",
            "values",
            "notValues",
        ] {
            assert!(found.contains(name), "{name}");
        }
    }
}
