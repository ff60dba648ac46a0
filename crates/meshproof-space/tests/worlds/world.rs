//! Random policies whose values meet, nest and exclude each other.

use fastrand::Rng;

use crate::common::policy;

/// Fields with values that meet, nest and exclude each other.
pub struct Fields(&'static [(&'static str, &'static [&'static str])]);

pub const TEXTS: Fields = Fields(&[
    ("paths", &["/a", "/a*", "/ab*", "*b", "*", "/", "/b", "*ab", "/a/*"]),
    ("methods", &["GET", "G*", "*T", "*", "PUT"]),
    ("hosts", &["a.b", "A.B", "a.*", "*.b", "*", "*b"]),
]);

pub const PATHS: Fields = Fields(&[(
    "paths",
    &[
        "/a",
        "/a/*",
        "/a/{*}",
        "/a/{**}",
        "/{*}/b",
        "/{*}",
        "/{**}",
        "/a/{*}/b",
        "/a/{**}/b",
        "/a/b",
        "*/b",
        "/a/b*",
        "//",
        "/a/",
        "/{*}/{*}",
        "*b",
        "/a/{*}b",
        "/a*/{*}",
        "/a/{*}/",
        "/%41",
        "*",
    ],
)]);

/// Templates that repeat a variable as a whole, and their neighbours.
pub const REPEATED: Fields = Fields(&[(
    "paths",
    &[
        "/{v=ab}{*}",
        "/a/{v}{*}",
        "/{v=a/*}{*}",
        "/a*",
        "*b",
        "/ab",
        "/{*}",
        "/a/{*}",
        "/",
        "/{v=ab}{*}b",
        "/abab*",
    ],
)]);

pub const SOURCES: Fields = Fields(&[
    (
        "principals",
        &[
            "cluster.local/ns/a/sa/b",
            "cluster.local/ns/a/*",
            "*/sa/b",
            "*/ns/a/sa/b",
            "*",
            "cluster.local/*",
            "td1/ns/ab/sa/*",
            "*b",
            "cluster.local/ns/a*",
        ],
    ),
    ("namespaces", &["a", "a*", "*b", "*a", "ns", "sa", "s*", "*", "ab", "n*"]),
    ("serviceAccounts", &["b", "a/b", "ab/c"]),
    ("trustDomains", &["cluster.local", "td1", "td*", "*1", "*"]),
]);

pub const GLOBS: Fields = Fields(&[
    ("principals", &["cluster.local/ns/a/sa/b", "*", "*/sa/b", "x/y", "*/b"]),
    ("namespaces", &["a*b", "*a*", "a", "*b*", "a/sa", "*"]),
    ("serviceAccounts", &["b", "a/b"]),
]);

pub const NETWORK: Fields = Fields(&[
    ("ipBlocks", &["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "::/0", "0.0.0.0/0"]),
    ("remoteIpBlocks", &["10.0.0.0/8", "10.1.2.3", "192.0.2.0/24"]),
]);

pub const PORTS: Fields = Fields(&[("ports", &["80", "8080", "81"]), ("methods", &["GET", "*"])]);

pub const JWT: Fields = Fields(&[
    ("requestPrincipals", &["*", "i/s", "i/*", "*s", "i*", "*/s", "j/t"]),
    ("principals", &["*", "cluster.local/ns/a/sa/b"]),
]);

const CONDITIONS: Fields = Fields(&[
    ("request.headers[x]", &["1", "1*", "*2", "*", "12"]),
    ("request.headers[y]", &["1", "*"]),
    ("request.auth.claims[g]", &["a", "a*", "*", "b"]),
    ("request.auth.claims[g][h]", &["a", "*"]),
    ("request.auth.claims[iss]", &["i", "*", "j*"]),
    ("request.auth.claims[scope]", &["a", "b", "a*"]),
    ("connection.sni", &["a.b", "*.b", "*", "A.b", ""]),
    ("destination.ip", &["10.0.0.0/8", "10.0.0.2"]),
    ("experimental.envoy.filters.f[k]", &["a", "[a]", "[a*]", "*"]),
    ("request.auth.claims[sub]", &["s", "*", "t*"]),
    ("request.auth.audiences", &["x", "xy", "*y", "b*", "*"]),
    ("request.headers[x-forwarded-for]", &["10.1.2.3", "10.*", "*.3", "*", "*9", "x*", "10.1.0.1, *"]),
    ("request.headers[:path]", &["/a", "/a*", "*q=1", "/a?q*"]),
    ("request.headers[:method]", &["GET", "*"]),
    ("request.headers[host]", &["a.b", "A.B", "a*"]),
    ("source.principal", &["cluster.local/ns/a/sa/b", "*/sa/b"]),
    ("source.namespace", &["a", "*b"]),
    ("remote.ip", &["10.0.0.0/8"]),
    ("origin", &["x"]),
]);

fn some<'a>(rng: &mut Rng, values: &[&'a str]) -> Vec<&'a str> {
    let count = 1 + rng.usize(0..2);
    (0..count).map(|_| *rng.choice(values).unwrap()).collect()
}

fn listed(values: &[&str]) -> String {
    values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ")
}

fn item(rng: &mut Rng, fields: &Fields) -> String {
    let mut written: Vec<String> = Vec::new();
    for (name, values) in fields.0 {
        if rng.usize(0..3) > 0 && fields.0.len() > 1 {
            continue;
        }
        if rng.usize(0..4) > 0 {
            written.push(format!("{name}: [{}]", listed(&some(rng, values))));
        }
        if rng.usize(0..3) == 0 {
            let (first, rest) = name.split_at(1);
            written.push(format!("not{}{rest}: [{}]", first.to_uppercase(), listed(&some(rng, values))));
        }
    }
    if written.is_empty() {
        let (name, values) = rng.choice(fields.0).unwrap();
        written.push(format!("{name}: [{}]", listed(&some(rng, values))));
    }
    format!("{{{}}}", written.join(", "))
}

fn condition(rng: &mut Rng, keys: &[&str]) -> String {
    let all = CONDITIONS.0.iter().filter(|(key, _)| keys.iter().any(|wanted| key.contains(wanted)));
    let all: Vec<_> = all.collect();
    let (key, values) = rng.choice(all).unwrap();
    let half = if rng.usize(0..3) == 0 { "notValues" } else { "values" };
    let more = if rng.usize(0..6) == 0 {
        format!(", notValues: [{}]", listed(&some(rng, values)))
    } else {
        String::new()
    };
    let more = if half == "values" { more } else { String::new() };
    format!("{{key: '{key}', {half}: [{}]{more}}}", listed(&some(rng, values)))
}

/// What a world is made of.
pub struct World {
    pub from: Option<&'static Fields>,
    pub to: Option<&'static Fields>,
    pub when: &'static [&'static str],
    pub actions: &'static [&'static str],
}

impl World {
    pub fn text(&self, rng: &mut Rng) -> String {
        let documents: Vec<String> = (0..1 + rng.usize(0..3))
            .map(|at| {
                let action = *rng.choice(self.actions).unwrap();
                let rules: Vec<String> = (0..1 + rng.usize(0..3)).map(|_| self.rule(rng)).collect();
                let provider = if action == "CUSTOM" { ", provider: {name: known}" } else { "" };
                let spec = format!("{{action: {action}{provider}, rules: [{}]}}", rules.join(", "));
                policy(rng.choice(["a", "ab"]).unwrap(), &format!("p{at}"), &spec)
            })
            .collect();
        documents.join("---\n")
    }

    fn rule(&self, rng: &mut Rng) -> String {
        let mut parts = Vec::new();
        let items = |rng: &mut Rng, fields: &Fields, inside: &str| {
            let each: Vec<String> =
                (0..1 + rng.usize(0..2)).map(|_| format!("{{{inside}: {}}}", item(rng, fields))).collect();
            each.join(", ")
        };
        if let Some(fields) = self.from.filter(|_| rng.usize(0..4) > 0) {
            parts.push(format!("from: [{}]", items(rng, fields, "source")));
        }
        if let Some(fields) = self.to.filter(|_| rng.usize(0..4) > 0) {
            parts.push(format!("to: [{}]", items(rng, fields, "operation")));
        }
        if !self.when.is_empty() && rng.usize(0..3) > 0 {
            let each: Vec<String> = (0..1 + rng.usize(0..2)).map(|_| condition(rng, self.when)).collect();
            parts.push(format!("when: [{}]", each.join(", ")));
        }
        format!("{{{}}}", parts.join(", "))
    }
}
