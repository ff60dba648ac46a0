//! Random policies and requests, close to each other.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use meshproof_authz::{Engine, Request};
use proptest::prelude::*;
use serde_json::json;

use super::{http, policy, with_claims, with_header};

pub type Fields = Vec<(&'static str, Vec<&'static str>)>;

/// A rule, each item as fields with their values.
#[derive(Clone, Debug)]
pub struct Rule {
    pub from: Vec<Fields>,
    pub to: Vec<Fields>,
    pub when: Vec<Fields>,
}

#[derive(Clone, Debug)]
pub struct Spec {
    pub namespace: &'static str,
    pub action: &'static str,
    pub rules: Vec<Rule>,
}

const SOURCE: &[(&str, &[&str])] = &[
    (
        "principals",
        &["cluster.local/ns/foo/sa/a", "td1/ns/foo/sa/a", "*/sa/b", "*", "cluster.local/ns/bar/*"],
    ),
    ("notPrincipals", &["cluster.local/ns/foo/sa/a", "*"]),
    ("namespaces", &["foo", "bar", "zoo", "*"]),
    ("notNamespaces", &["foo", "bar"]),
    ("serviceAccounts", &["a", "bar/b", "foo/a"]),
    ("trustDomains", &["cluster.local", "td1", "*"]),
    ("notTrustDomains", &["td1"]),
    ("ipBlocks", &["10.1.0.0/16", "10.9.0.1", "::/0"]),
    ("notIpBlocks", &["10.1.0.1", "nonsense"]),
    ("remoteIpBlocks", &["203.0.113.0/24"]),
    ("requestPrincipals", &["*", "i/s", "i/t"]),
    ("notRequestPrincipals", &["*", "i/s"]),
];
const OPERATION: &[(&str, &[&str])] = &[
    ("ports", &["8080", "9090", "http"]),
    ("notPorts", &["8080", "80"]),
    ("methods", &["GET", "P*", "*"]),
    ("notMethods", &["GET"]),
    ("paths", &["/a", "/a/*", "/{**}", "*b"]),
    ("notPaths", &["/a", "/a/b"]),
    ("hosts", &["example.com", "*.org"]),
];
const CONDITION: &[(&str, &[&str])] = &[
    ("source.namespace", &["foo", "bar"]),
    ("destination.port", &["8080", "1"]),
    ("request.headers[x]", &["1", "2", "*"]),
    ("request.auth.claims[g]", &["admin", "dev"]),
    ("connection.sni", &["*", "a.b"]),
    ("made.up", &["x"]),
];

pub fn fields(
    table: &'static [(&'static str, &'static [&'static str])],
    most: usize,
) -> impl Strategy<Value = Fields> {
    let field = prop::sample::select(table).prop_flat_map(|(name, values)| {
        (Just(name), prop::sample::subsequence(values, 1..=values.len().min(2)))
    });
    prop::collection::vec(field, 1..=most).prop_map(|mut fields| {
        fields.sort();
        fields.dedup_by_key(|(name, _)| *name);
        fields
    })
}

/// A condition: its key with values, or with values that must not be.
pub fn condition() -> impl Strategy<Value = Fields> {
    (fields(CONDITION, 1), any::<bool>()).prop_map(|(mut fields, negated)| {
        let (key, values) = fields.remove(0);
        vec![("key", vec![key]), (if negated { "notValues" } else { "values" }, values)]
    })
}

pub fn rule() -> impl Strategy<Value = Rule> {
    let parts = (
        prop::collection::vec(fields(SOURCE, 2), 0..3),
        prop::collection::vec(fields(OPERATION, 2), 0..3),
        prop::collection::vec(condition(), 0..2),
    );
    parts.prop_map(|(from, to, when)| Rule { from, to, when })
}

pub fn spec() -> impl Strategy<Value = Spec> {
    let actions = prop::sample::select(vec!["ALLOW", "ALLOW", "DENY", "AUDIT"]);
    let namespaces = prop::sample::select(vec!["foo", "istio-system"]);
    (namespaces, actions, prop::collection::vec(rule(), 0..3)).prop_map(|(namespace, action, rules)| Spec {
        namespace,
        action,
        rules,
    })
}

pub fn request() -> impl Strategy<Value = Request> {
    let principals = ["cluster.local/ns/foo/sa/a", "cluster.local/ns/bar/sa/b", "td1/ns/foo/sa/a", ""];
    (
        prop::sample::select(principals.to_vec()),
        prop::sample::select(vec!["GET", "POST"]),
        prop::sample::select(vec!["/a", "/a/b", "/c?a", "/./a"]),
        prop::sample::select(vec!["1", "2", ""]),
        prop::option::of(prop::sample::select(vec!["s", "t"])),
    )
        .prop_map(|(principal, method, path, header, subject)| {
            let mut request = with_header(http(principal, method, path), "x", header);
            if let Some(subject) = subject {
                request = with_claims(request, json!({"iss": "i", "sub": subject, "g": ["dev"]}));
            }
            request
        })
}

pub fn engine() -> impl Strategy<Value = Engine> {
    prop::sample::select(vec![Engine::EnvoyHttp, Engine::EnvoyTcp, Engine::Ztunnel, Engine::Grpc])
}

fn written(fields: &Fields) -> String {
    let list =
        |values: &[&str]| values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ");
    let each = fields.iter().map(|(name, values)| match *name {
        "key" => format!("key: '{}'", values[0]),
        name => format!("{name}: [{}]", list(values)),
    });
    format!("{{{}}}", each.collect::<Vec<_>>().join(", "))
}

impl Rule {
    fn written(&self) -> String {
        let items = |items: &[Fields], inside: &str| {
            let each = items.iter().map(|fields| match inside {
                "" => written(fields),
                inside => format!("{{{inside}: {}}}", written(fields)),
            });
            each.collect::<Vec<_>>().join(", ")
        };
        format!(
            "{{from: [{}], to: [{}], when: [{}]}}",
            items(&self.from, "source"),
            items(&self.to, "operation"),
            items(&self.when, "")
        )
    }

    pub fn reversed(&self) -> Rule {
        let turn = |items: &[Fields]| {
            let turned = items.iter().rev().map(|fields| {
                fields
                    .iter()
                    .rev()
                    .map(|(name, values)| (*name, values.iter().rev().copied().collect()))
                    .collect()
            });
            turned.collect()
        };
        Rule { from: turn(&self.from), to: turn(&self.to), when: turn(&self.when) }
    }
}

pub fn text(specs: &[Spec]) -> String {
    let documents = specs.iter().enumerate().map(|(at, spec)| {
        let rules: Vec<String> = spec.rules.iter().map(Rule::written).collect();
        policy(
            spec.namespace,
            &format!("p{at}"),
            &format!("{{action: {}, rules: [{}]}}", spec.action, rules.join(", ")),
        )
    });
    documents.collect::<Vec<_>>().join("---\n")
}
