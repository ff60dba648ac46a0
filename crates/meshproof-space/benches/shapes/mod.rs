//! Policies of the three shapes, the same for the same seed.

use fastrand::Rng;
use meshproof_authz::Policy;
use meshproof_resources::{Decoded, Spec};
use meshproof_source::SourceId;

/// Who writes the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Many callers, methods, paths.
    Service,
    /// Hosts, paths, tokens, client addresses.
    Gateway,
    /// Every rule joins two of eight properties, with values that are rarely equal.
    Adversarial,
}

/// Policies with what they were read from.
pub struct Policies(Decoded);

impl Policies {
    pub fn list(&self) -> Vec<Policy<'_>> {
        let each = self.0.resources.iter().filter_map(|resource| match &resource.spec {
            Spec::AuthorizationPolicy(spec) => Some(Policy::new(&resource.meta, spec, "default")),
            _ => None,
        });
        each.collect()
    }
}

/// So many rules in policies of ten.
pub fn policies(shape: Shape, rules: usize, templates: usize, action: &str, seed: u64) -> Policies {
    let mut rng = Rng::with_seed(seed);
    let mut decoded = Decoded::default();
    for at in 0..rules.div_ceil(10) {
        let rules: Vec<String> =
            (at * 10..rules.min(at * 10 + 10)).map(|_| rule(shape, templates, &mut rng)).collect();
        let text = format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{namespace: n{at}, name: p{seed}-{at}}}\n\
             spec: {{action: {action}, rules: [{}]}}\n",
            rules.join(", ")
        );
        let parsed = meshproof_yaml::parse(SourceId(0), &text, 0..text.len());
        meshproof_resources::decode(parsed.tree.expect("a document").root(), &mut decoded);
    }
    Policies(decoded)
}

fn rule(shape: Shape, templates: usize, rng: &mut Rng) -> String {
    match shape {
        Shape::Service => service(templates, rng),
        Shape::Gateway => gateway(templates, rng),
        Shape::Adversarial => adversarial(rng),
    }
}

fn list(rng: &mut Rng, most: usize, one: impl Fn(&mut Rng) -> String) -> String {
    let count = 1 + rng.usize(0..most);
    (0..count).map(|_| format!("'{}'", one(rng))).collect::<Vec<_>>().join(", ")
}

const WORDS: [&str; 20] = [
    "api", "users", "orders", "items", "admin", "health", "v1", "v2", "cart", "pay", "login", "files", "img",
    "search", "stats", "docs", "jobs", "mail", "events", "keys",
];

fn word(rng: &mut Rng) -> &'static str {
    WORDS[rng.usize(0..WORDS.len())]
}

fn template(rng: &mut Rng) -> String {
    match rng.usize(0..4) {
        0 => format!("/{}/{{*}}", word(rng)),
        1 => format!("/{}/{{*}}/{}", word(rng), word(rng)),
        2 => format!("/{}/{}/{{**}}", word(rng), word(rng)),
        _ => format!("/{}/{{*}}/{}/{{**}}", word(rng), word(rng)),
    }
}

/// `exact` and `prefix` in percent; the rest are suffixes.
fn path(rng: &mut Rng, templates: usize, exact: usize, prefix: usize) -> String {
    if rng.usize(0..100) < templates {
        return template(rng);
    }
    let text = format!("/{}/{}{}", word(rng), word(rng), rng.usize(0..30));
    match rng.usize(0..100) {
        kind if kind < exact => text,
        kind if kind < exact + prefix => format!("{}/*", &text[..text.rfind('/').unwrap_or(0).max(2)]),
        _ => format!("*.{}", word(rng)),
    }
}

fn method(rng: &mut Rng) -> String {
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"][rng.usize(0..6)].to_owned()
}

fn service(templates: usize, rng: &mut Rng) -> String {
    let namespace = |rng: &mut Rng| match rng.usize(0..8) {
        0 => format!("ns{}*", 1 + rng.usize(0..9)),
        _ => format!("ns{}", rng.usize(0..200)),
    };
    let mut source = if rng.bool() {
        format!("namespaces: [{}]", list(rng, 3, namespace))
    } else {
        let principal =
            |rng: &mut Rng| format!("cluster.local/ns/ns{}/sa/sa{}", rng.usize(0..200), rng.usize(0..30));
        format!("principals: [{}]", list(rng, 3, principal))
    };
    if rng.usize(0..10) == 0 {
        source += &format!(", ipBlocks: ['10.{}.0.0/16']", rng.u8(..));
    }
    if rng.usize(0..20) == 0 {
        source += &format!(", notNamespaces: [{}]", list(rng, 2, namespace));
    }
    let mut operation = format!("paths: [{}]", list(rng, 2, |rng| path(rng, templates, 40, 50)));
    if rng.usize(0..3) > 0 {
        operation += &format!(", methods: [{}]", list(rng, 2, method));
    }
    let when = match rng.usize(0..10) {
        0 => format!(
            ", when: [{{key: 'request.headers[x-h{}]', values: ['v{}']}}]",
            rng.usize(0..4),
            rng.usize(0..9)
        ),
        _ => String::new(),
    };
    format!("{{from: [{{source: {{{source}}}}}], to: [{{operation: {{{operation}}}}}]{when}}}")
}

fn gateway(templates: usize, rng: &mut Rng) -> String {
    let host = |rng: &mut Rng| format!("h{}.example.com", rng.usize(0..200));
    let mut operation = format!("hosts: [{}]", list(rng, 2, host));
    operation += &format!(", paths: [{}]", list(rng, 2, |rng| path(rng, templates, 20, 60)));
    if rng.bool() {
        operation += &format!(", methods: [{}]", list(rng, 2, method));
    }
    if rng.usize(0..10) == 0 {
        operation += &format!(", notPaths: [{}]", list(rng, 2, |rng| path(rng, templates, 50, 50)));
    }
    let mut from = String::new();
    if rng.usize(0..100) < 15 {
        from = format!(
            "from: [{{source: {{remoteIpBlocks: ['{}.{}.0.0/16']}}}}], ",
            1 + rng.u8(..200),
            rng.u8(..)
        );
    }
    let mut when = Vec::new();
    if rng.usize(0..3) == 0 {
        when.push(format!("{{key: 'request.auth.claims[iss]', values: ['https://i{}']}}", rng.usize(0..5)));
        when.push(format!("{{key: 'request.auth.claims[role]', values: ['r{}']}}", rng.usize(0..20)));
    }
    format!("{{{from}to: [{{operation: {{{operation}}}}}], when: [{}]}}", when.join(", "))
}

fn adversarial(rng: &mut Rng) -> String {
    let mut chosen: Vec<usize> = (0..8).collect();
    rng.shuffle(&mut chosen);
    let (mut source, mut operation, mut when) = (String::new(), String::new(), String::new());
    for property in &chosen[..2] {
        let number = rng.usize(0..1000);
        match property {
            0 => source += &format!("namespaces: ['a{number}'], "),
            1 => source += &format!("ipBlocks: ['10.{}.{}.0/24'], ", number / 250, number % 250),
            2 => operation += &format!("hosts: ['h{number}'], "),
            3 => operation += &format!("paths: ['/p{number}/*'], "),
            4 => operation += &format!("methods: ['M{number}'], "),
            5 => operation += &format!("ports: ['{}'], ", 1 + number),
            6 => when += &format!("{{key: 'request.headers[h]', values: ['v{number}']}}, "),
            _ => when += &format!("{{key: 'connection.sni', values: ['s{number}']}}, "),
        }
    }
    let mut parts = Vec::new();
    if !source.is_empty() {
        parts.push(format!("from: [{{source: {{{source}}}}}]"));
    }
    if !operation.is_empty() {
        parts.push(format!("to: [{{operation: {{{operation}}}}}]"));
    }
    if !when.is_empty() {
        parts.push(format!("when: [{when}]"));
    }
    format!("{{{}}}", parts.join(", ").replace(", }", "}").replace(", ]", "]"))
}
