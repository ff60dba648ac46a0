//! Random policies over every field and key, and requests that come close to what they mention.

use std::collections::BTreeMap;

use fastrand::Rng;
use meshproof_authz::{
    Certificate, ClientAddress, Context, Engine, HeaderMatching, HttpRequest, IdentityFlavour,
    PathNormalization, Peer, Provider, ProviderAnswer, ProviderKind, Request, Token,
};
use serde_json::{Map, Value, json};

use crate::common::{dry_run, policy};

type Fields = &'static [(&'static str, &'static [&'static str])];

const SOURCE: Fields = &[
    (
        "principals",
        &[
            "cluster.local/ns/a/sa/b",
            "cluster.local/ns/a/*",
            "*/sa/b",
            "*/ns/a/sa/b",
            "*",
            "td1/ns/ab/sa/*",
            "*b",
            "cluster.local/ns/a*",
            "cluster.local/ns/ab/sa/c",
            "td1/ns/a/sa/b",
            "x/y",
            "",
            "**",
        ],
    ),
    ("namespaces", &["a", "a*", "*b", "*a", "ns", "sa", "s*", "*", "ab", "n*", "a*b", "*a*", "a/sa", "**"]),
    ("serviceAccounts", &["b", "a/b", "ab/c", "a/b/c", "ns/b"]),
    ("trustDomains", &["cluster.local", "td1", "td*", "*1", "*", "t*1", "cluster*/ns", "x/ns"]),
    (
        "ipBlocks",
        &[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "::/0",
            "0.0.0.0/0",
            "10.1.2.3/31",
            "2001:db8::/32",
            "bad",
        ],
    ),
    ("remoteIpBlocks", &["10.0.0.0/8", "10.1.2.3", "192.0.2.0/24", "::ffff:10.1.2.3"]),
    ("requestPrincipals", &["*", "i/s", "i/*", "*s", "i*", "*/s", "j/t", "i/s*", "*i/s"]),
];

const OPERATION: Fields = &[
    (
        "paths",
        &[
            "/a",
            "/a*",
            "/ab*",
            "*b",
            "*",
            "/",
            "/b",
            "*ab",
            "/a/*",
            "/a/{*}",
            "/a/{**}",
            "/{*}/b",
            "/{**}",
            "/a/{*}/b",
            "/a/{**}/b",
            "/a/b",
            "*/b",
            "/a/b*",
            "/{*}/{*}",
            "/a/{*}b",
            "/ab/{*}",
            "/abc*",
            "/abcd*",
            "/a*/{*}",
            "/%41",
            "/{x=a}*/{*}",
            "/{x=*/b}*{**}",
            "/a*/{**}/b",
            "",
        ],
    ),
    ("methods", &["GET", "G*", "*T", "*", "PUT", "OPTIONS"]),
    ("hosts", &["a.b", "A.B", "a.*", "*.b", "*", "*b", "a.b:80", ""]),
    ("ports", &["80", "8080", "81", "080", "65535", "bad"]),
];

const CONDITION: Fields = &[
    ("request.headers[x]", &["1", "1*", "*2", "*", "12", "1,2", "1,*", "*,2", ""]),
    ("request.headers[y]", &["1", "*"]),
    ("request.headers[authorization]", &["*"]),
    ("request.headers[origin]", &["x"]),
    ("request.auth.claims[g]", &["a", "a*", "*", "b"]),
    ("request.auth.claims[g][h]", &["a", "*"]),
    ("request.auth.claims[iss]", &["i", "*", "j*"]),
    ("request.auth.claims[scope]", &["a", "b", "a*"]),
    ("request.auth.principal", &["i/s", "*"]),
    ("connection.sni", &["a.b", "*.b", "*", "A.b", "", "a*"]),
    ("destination.ip", &["10.0.0.0/8", "10.0.0.2"]),
    ("destination.port", &["80", "8080"]),
    ("experimental.envoy.filters.f[k]", &["a", "[a]", "[a*]", "*", "[*]"]),
    ("request.headers[:path]", &["/a", "/a*", "*q=1", "/a?q*"]),
    ("request.headers[:method]", &["GET", "*"]),
    ("request.headers[host]", &["a.b", "A.B", "a*"]),
    ("source.principal", &["cluster.local/ns/a/sa/b", "*/sa/b"]),
    ("source.namespace", &["a", "*b"]),
    ("source.serviceAccount", &["a/b"]),
    ("remote.ip", &["10.0.0.0/8"]),
    ("source.ip", &["10.1.0.0/16"]),
    ("unknown", &["x"]),
];

fn listed(rng: &mut Rng, values: &[&str]) -> String {
    let count = 1 + rng.usize(0..3);
    let some: Vec<String> = (0..count).map(|_| format!("'{}'", rng.choice(values).unwrap())).collect();
    some.join(", ")
}

fn item(rng: &mut Rng, fields: Fields, often: u8) -> String {
    let mut written = Vec::new();
    for (name, values) in fields {
        if rng.u8(0..100) < often {
            written.push(format!("{name}: [{}]", listed(rng, values)));
        }
        if rng.u8(0..100) < often / 2 {
            let (first, rest) = name.split_at(1);
            written.push(format!("not{}{rest}: [{}]", first.to_uppercase(), listed(rng, values)));
        }
    }
    format!("{{{}}}", written.join(", "))
}

fn rule(rng: &mut Rng) -> String {
    let mut parts = Vec::new();
    for (name, inside, fields) in [("from", "source", SOURCE), ("to", "operation", OPERATION)] {
        if rng.u8(0..10) < 7 {
            let often = *rng.choice(&[8, 15, 30]).unwrap();
            let items: Vec<String> = (0..1 + rng.usize(0..2))
                .map(|_| format!("{{{inside}: {}}}", item(rng, fields, often)))
                .collect();
            parts.push(format!("{name}: [{}]", items.join(", ")));
        }
    }
    if rng.u8(0..10) < 3 {
        let items: Vec<String> = (0..1 + rng.usize(0..2))
            .map(|_| {
                let (key, values) = rng.choice(CONDITION).unwrap();
                let (wanted, refused) = (listed(rng, values), listed(rng, values));
                match rng.u8(0..5) {
                    0 => format!("{{key: '{key}', notValues: [{refused}]}}"),
                    1 => format!("{{key: '{key}', values: [{wanted}], notValues: [{refused}]}}"),
                    _ => format!("{{key: '{key}', values: [{wanted}]}}"),
                }
            })
            .collect();
        parts.push(format!("when: [{}]", items.join(", ")));
    }
    format!("{{{}}}", parts.join(", "))
}

/// Policies as documents.
pub fn policies(rng: &mut Rng, most: usize) -> String {
    let count = rng.usize(0..=most);
    let documents: Vec<String> = (0..count.max(1))
        .map(|at| {
            let action = match rng.u8(0..12) {
                0..5 => "action: ALLOW".to_owned(),
                5..9 => "action: DENY".to_owned(),
                9 => "action: AUDIT".to_owned(),
                10 => format!(
                    "action: CUSTOM, provider: {{name: {}}}",
                    rng.choice(["p", "q", "missing"]).unwrap()
                ),
                _ => "action: CUSTOM, provider: {name: p}".to_owned(),
            };
            let rules: Vec<String> = (0..rng.usize(0..4)).map(|_| rule(rng)).collect();
            let spec = format!("{{{action}, rules: [{}]}}", rules.join(", "));
            let namespace = *rng.choice(&["a", "ab"]).unwrap();
            let name = format!("p{}", (at * 7) % 11);
            if rng.u8(0..6) == 0 { dry_run(namespace, &name, &spec) } else { policy(namespace, &name, &spec) }
        })
        .collect();
    documents.join("---\n")
}

/// A place, with its settings.
pub fn context(rng: &mut Rng) -> Context {
    let engine = *rng
        .choice(&[
            Engine::EnvoyHttp,
            Engine::EnvoyHttp,
            Engine::EnvoyHttp,
            Engine::EnvoyTcp,
            Engine::Ztunnel,
            Engine::Grpc,
        ])
        .unwrap();
    let mut context = Context::new(engine);
    if rng.bool() {
        context.trust_domains.push("td1".to_owned());
    }
    if rng.u8(0..4) == 0 {
        context.identity = IdentityFlavour::FilterState;
    }
    let semantics = &mut context.semantics;
    if rng.u8(0..3) == 0 {
        semantics.headers = HeaderMatching::Joined;
    }
    let modes = [
        PathNormalization::None,
        PathNormalization::Base,
        PathNormalization::MergeSlashes,
        PathNormalization::DecodeAndMergeSlashes,
    ];
    semantics.normalization = *rng.choice(&modes).unwrap();
    semantics.client_address = match rng.u8(0..3) {
        0 => ClientAddress::TrustedProxies(rng.u32(0..2)),
        _ => ClientAddress::Forwarded(0),
    };
    semantics.multiple_custom_providers = rng.bool();
    semantics.ztunnel_dry_run = rng.bool();
    for (name, kind) in [("p", ProviderKind::Grpc), ("q", ProviderKind::Http)] {
        let answers =
            [ProviderAnswer::Unknown, ProviderAnswer::Allow, ProviderAnswer::Deny, ProviderAnswer::Error];
        let answer = *rng.choice(&answers).unwrap();
        context.providers.insert(name.to_owned(), Provider { kind, fail_open: rng.bool(), answer });
    }
    // A look ahead, which changes no world.
    if rng.clone().u8(0..4) == 0 {
        context.semantics.space_delimited_claims.extend(["iss", "sub"].map(str::to_owned));
    }
    context
}

/// A value of the list without its star, or something right beside it.
fn near(rng: &mut Rng, lists: &[&[&str]]) -> String {
    let list = rng.choice(lists).unwrap();
    let mut text = rng.choice(*list).unwrap().replace("{**}", "x/y").replace("{*}", "x");
    if let Some(stripped) = text.strip_suffix('*') {
        text = format!("{stripped}{}", rng.choice(["", "x", "b", "/"]).unwrap());
    }
    if let Some(stripped) = text.strip_prefix('*') {
        text = format!("{}{stripped}", rng.choice(["", "x", "a", "/"]).unwrap());
    }
    match rng.u8(0..12) {
        0 => {
            text.pop();
        }
        1 => text.push(*rng.choice(&['x', 'b', '/', '*']).unwrap()),
        2 => text.insert(0, *rng.choice(&['x', 'a', '/']).unwrap()),
        3 => text = text.to_uppercase(),
        4 => text.clear(),
        _ => {}
    }
    text
}

fn values(fields: Fields, name: &str) -> &'static [&'static str] {
    fields.iter().find(|(field, _)| *field == name).map(|(_, values)| *values).unwrap()
}

fn name(rng: &mut Rng) -> String {
    let domain = *rng.choice(&["cluster.local", "td1", "ns", "td", "x1", "", "cluster.local/x"]).unwrap();
    let namespace = *rng.choice(&["a", "ab", "b", "xb", "ns", "sa", "s", "axb", "", "a/x"]).unwrap();
    let account = *rng.choice(&["b", "c", "x", "sa", "ns", "xb", "b/c", ""]).unwrap();
    let whole = format!("{domain}/ns/{namespace}/sa/{account}");
    let scheme = if rng.u8(0..30) == 0 { "" } else { "spiffe://" };
    match rng.u8(0..8) {
        0 => format!("{scheme}{}", near(rng, &[values(SOURCE, "principals")])),
        1 => "client.example".to_owned(),
        _ => format!("{scheme}{whole}"),
    }
}

fn peer(rng: &mut Rng) -> Peer {
    match rng.u8(0..10) {
        0 => Peer::Anonymous,
        1 => Peer::Principal(name(rng)),
        2 => Peer::Certificate(Certificate {
            uris: (0..rng.usize(0..3)).map(|_| name(rng)).collect(),
            dns: (0..rng.usize(0..2)).map(|_| "client.example".to_owned()).collect(),
            subject: if rng.bool() { "CN=x".to_owned() } else { String::new() },
        }),
        _ => {
            let domain = *rng.choice(&["cluster.local", "td1", "x"]).unwrap();
            let namespace = *rng.choice(&["a", "ab", "b", "axb"]).unwrap();
            let account = *rng.choice(&["b", "c", "xb"]).unwrap();
            Peer::workload(&format!("{domain}/ns/{namespace}/sa/{account}"))
        }
    }
}

fn token(rng: &mut Rng) -> Token {
    if rng.u8(0..3) > 0 {
        return if rng.u8(0..20) == 0 { Token::Refused("bad".to_owned()) } else { Token::None };
    }
    let mut claims = Map::new();
    let texts = [
        json!("a"),
        json!("ax"),
        json!("b"),
        json!(""),
        json!(["a", "b"]),
        json!(7),
        json!({"h": "a"}),
        json!("a b"),
        json!("a\nb"),
    ];
    for (key, usual) in [("iss", ["i", "j i", "xi", ""]), ("sub", ["s", "t", "xs", "sx"])] {
        match rng.u8(0..8) {
            0 => {}
            // A verifier takes no token whose issuer or subject is no text.
            1 => drop(claims.insert(key.to_owned(), json!(rng.choice(["a", "ax", "a\nb"]).unwrap()))),
            _ => drop(claims.insert(key.to_owned(), json!(rng.choice(usual).unwrap()))),
        }
    }
    for key in ["g", "scope"] {
        if rng.bool() {
            claims.insert(key.to_owned(), rng.choice(&texts).unwrap().clone());
        }
    }
    Token::Verified { claims, forwarded: rng.bool() }
}

fn http(rng: &mut Rng) -> HttpRequest {
    let method = match rng.u8(0..8) {
        0 => near(rng, &[values(OPERATION, "methods")]),
        1 => "OPTIONS".to_owned(),
        _ => (*rng.choice(&["GET", "PUT"]).unwrap()).to_owned(),
    };
    let mut target = near(rng, &[values(OPERATION, "paths"), values(CONDITION, "request.headers[:path]")]);
    if !target.starts_with('/') && rng.u8(0..10) > 0 {
        target.insert(0, '/');
    }
    if rng.u8(0..6) == 0 {
        target.push_str(rng.choice(["?q=1", "?", "?a/b", "//b", "/../b", "%41", "%2Fb"]).unwrap());
    }
    let mut headers = Vec::new();
    if rng.u8(0..20) > 0 {
        headers.push(("Host".to_owned(), near(rng, &[values(OPERATION, "hosts")])));
    }
    for (header, most) in
        [("x", 3), ("y", 2), ("origin", 1), ("access-control-request-method", 1), ("authorization", 1)]
    {
        for _ in 0..rng.usize(0..=most) {
            let value = near(rng, &[values(CONDITION, "request.headers[x]")]);
            headers.push((header.to_owned(), value));
        }
    }
    if rng.u8(0..3) == 0 {
        let address =
            rng.choice(["10.1.2.3", "192.0.2.9", "nonsense", "10.9.9.9, 10.1.2.3", "2001:db8::1"]).unwrap();
        headers.push(("X-Forwarded-For".to_owned(), address.to_owned()));
    }
    HttpRequest { method, target, headers, token: token(rng) }
}

/// A request near the policies.
pub fn request(rng: &mut Rng) -> Request {
    let addresses = [
        "10.1.2.3",
        "10.1.2.2",
        "10.1.2.4",
        "10.2.0.1",
        "192.0.2.9",
        "11.0.0.0",
        "9.255.255.255",
        "2001:db8::1",
        "2001:db9::",
        "::ffff:10.1.2.3",
    ];
    let mut address = || rng.choice(addresses).unwrap().parse().unwrap();
    let (source, proxied, server): (_, _, std::net::IpAddr) = (address(), address(), address());
    let port = *rng.choice(&[80u16, 8080, 81, 82, 0, 65535]).unwrap();
    let mut metadata = BTreeMap::new();
    if rng.u8(0..3) == 0 {
        let found: Vec<Value> =
            vec![json!("a"), json!("x"), json!(["a"]), json!(["ax", "b"]), json!([]), json!(1), json!("")];
        metadata.insert(("envoy.filters.f".to_owned(), "k".to_owned()), rng.choice(&found).unwrap().clone());
    }
    Request {
        peer: peer(rng),
        sni: (rng.u8(0..3) > 0).then(|| near(rng, &[values(CONDITION, "connection.sni")])),
        source,
        proxied_source: (rng.u8(0..5) == 0).then_some(proxied),
        destination: (server, port).into(),
        metadata,
        http: (rng.u8(0..8) > 0).then(|| http(rng)),
    }
}
