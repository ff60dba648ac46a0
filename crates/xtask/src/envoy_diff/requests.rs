//! Requests that almost match a set of policies: its own values, and one change away from them.

use std::collections::BTreeMap;

use fastrand::Rng;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};

use super::certificates::IDENTITIES;
use super::generate::pick;
use super::metadata;

/// The values that policies ask for, by field or key.
pub(super) struct Wanted(BTreeMap<String, Vec<String>>);

impl Wanted {
    /// Collects them.
    pub(super) fn new(policies: &[Value]) -> Wanted {
        let mut wanted = Wanted(BTreeMap::new());
        for rule in policies.iter().filter_map(|policy| policy["spec"]["rules"].as_array()).flatten() {
            let list = |name: &str| rule[name].as_array().into_iter().flatten();
            let items =
                list("from").map(|item| &item["source"]).chain(list("to").map(|item| &item["operation"]));
            for (field, values) in items.filter_map(Value::as_object).flatten() {
                let field = field.strip_prefix("not").map_or_else(|| field.clone(), str::to_lowercase);
                wanted.add(&field, values);
            }
            for condition in list("when") {
                let key = condition["key"].as_str().unwrap_or_default().to_lowercase();
                wanted.add(&key, &condition["values"]);
                wanted.add(&key, &condition["notValues"]);
            }
        }
        wanted
    }

    fn add(&mut self, key: &str, values: &Value) {
        let values = values.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        self.0.entry(key.to_lowercase()).or_default().extend(values);
    }

    /// One of the values of these fields with its star filled in, changed a little half of the time; one of `others`
    /// when there is none, and sometimes anyway.
    fn near(&self, rng: &mut Rng, fields: &[&str], others: &[&str]) -> String {
        let values: Vec<&String> = fields.iter().filter_map(|field| self.0.get(*field)).flatten().collect();
        if values.is_empty() || rng.u8(..5) == 0 {
            return pick(rng, others).to_owned();
        }
        let value = values[rng.usize(..values.len())].replace("{**}", pick(rng, &["", "q", "q/r"]));
        let value = value.replace("{*}", pick(rng, &["", "q", "q%2Fr", "q/r"]));
        let value = value.replace("{id=a/*}", "a/q").replace("{id}", "q");
        let value = value.replace('*', pick(rng, &["", "x", "x.y"]));
        changed(rng, value)
    }

    fn asks_about(&self, start: &str) -> bool {
        self.0.keys().any(|key| key.starts_with(start))
    }
}

/// One step beside a boundary.
fn changed(rng: &mut Rng, mut value: String) -> String {
    match rng.u8(..12) {
        0 => value.push('x'),
        1 => value.insert(0, 'x'),
        2 => {
            value.pop();
        }
        3 => value = value.to_uppercase(),
        4 => value = value.to_lowercase(),
        5 => value.push('.'),
        _ => {}
    }
    value
}

/// One request in the form of the vectors, for a proxy with this listener.
pub(super) fn request(rng: &mut Rng, wanted: &Wanted, is_tcp: bool, listener: &str) -> Value {
    let mut request = json!({ "proto": if is_tcp { "tcp" } else { "http" }, "src_ip": "127.0.0.1" });
    connection(rng, wanted, &mut request);
    if !is_tcp {
        http(rng, wanted, listener, &mut request);
    }
    if rng.u8(..20) < if wanted.asks_about("experimental.") { 15 } else { 1 } {
        request["metadata"] = metadata::written(tier(rng, wanted, is_tcp));
    }
    request
}

fn connection(rng: &mut Rng, wanted: &Wanted, request: &mut Value) {
    let kind = rng.u8(..10);
    request["tls"] = json!(kind > 1);
    if kind > 2 {
        // The plain identities are more likely than the odd ones.
        let range = if rng.bool() { 6 } else { IDENTITIES.len() };
        request["peer"] = IDENTITIES[rng.usize(..range)].written();
    }
    if kind > 1 && rng.u8(..5) > 0 {
        let others = ["shop.example", "SHOP.example", "a.shop.example", "outbound_.80_._.shop.foo.svc"];
        let name = wanted.near(rng, &["connection.sni"], &others);
        if matches!(ServerName::try_from(name.as_str()), Ok(ServerName::DnsName(_))) && !name.ends_with('.') {
            request["sni"] = json!(name);
        }
    }
    let port = wanted.near(rng, &["ports", "destination.port"], &["80", "8080"]);
    let port = port.parse::<u16>().ok().filter(|port| *port > 0).unwrap_or(81);
    let far = rng.u8(..6) == 0;
    let to = if far { ["2001:db8::1", "2001:db8::4"] } else { ["10.1.0.1", "10.1.0.2"] };
    request["dst"] = json!([pick(rng, &to), port]);
    if far {
        request["pp_src"] = json!(pick(rng, &["2001:db8::1", "2001:db8::2", "::ffff:127.0.0.1"]));
    } else if rng.u8(..4) == 0 {
        request["pp_src"] = json!(pick(rng, &["203.0.113.127", "203.0.113.128", "127.0.0.2"]));
    }
}

fn http(rng: &mut Rng, wanted: &Wanted, listener: &str, request: &mut Value) {
    request["listener"] = json!(listener);
    request["normalize"] = json!(if listener == "gateway" { "base" } else { listener });
    let method =
        wanted.near(rng, &["methods", "request.headers[:method]"], &["GET", "POST", "HEAD", "OPTIONS"]);
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    request["method"] = json!(if is_method { method.as_str() } else { "GET" });
    request["path"] = json!(path(rng, wanted));
    let host = wanted.near(
        rng,
        &["hosts", "request.headers[host]"],
        &["shop.example", "SHOP.EXAMPLE", "shop.example:80", "a.shop.example", ".shop.example"],
    );
    let mut headers = vec![json!(["Host", host])];
    if wanted.asks_about("request.headers[x-tag]") || rng.u8(..8) == 0 {
        for _ in 0..rng.usize(0..=2) {
            let value = wanted.near(rng, &["request.headers[x-tag]"], &["", "on", "off", "on,off"]);
            headers.push(json!([pick(rng, &["x-tag", "X-TAG"]), value]));
        }
    }
    if rng.u8(..4) == 0 {
        let forwarded = [
            "203.0.113.127",
            "203.0.113.128",
            "10.9.9.9, 203.0.113.127",
            "203.0.113.127,10.9.9.9",
            "2001:db8::1",
            "no address",
            "203.0.113.127, no address",
            "203.0.113.127:80",
            "",
        ];
        headers.push(json!(["x-forwarded-for", pick(rng, &forwarded)]));
    }
    request["headers"] = json!(headers);
    let likely =
        if wanted.asks_about("request.auth") || wanted.asks_about("requestprincipals") { 15 } else { 2 };
    if rng.u8(..20) < likely {
        request["jwt"] = claims(rng, wanted);
    }
}

/// A value of the metadata: over HTTP of any kind, else text.
fn tier(rng: &mut Rng, wanted: &Wanted, is_tcp: bool) -> Value {
    let key = format!("experimental.{}[{}]", metadata::FILTER, metadata::KEY);
    let text = wanted.near(rng, &[&key], &["gold", "golden", "old", ""]);
    let text = text.trim_matches(['[', ']']).to_owned();
    match rng.u8(..8) {
        _ if is_tcp => json!(text),
        0..3 => json!([text, "x"]),
        3 => json!([]),
        4 => json!(7),
        5 => json!(["x", 7, ""]),
        _ => json!(text),
    }
}

fn path(rng: &mut Rng, wanted: &Wanted) -> String {
    let path =
        wanted.near(rng, &["paths", "request.headers[:path]"], &["/", "/a", "/a/b", "/a/x.txt", "/A/b"]);
    let path = path.replace(' ', "%20");
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    match rng.u8(..32) {
        0 => format!("{path}/"),
        1 => path.replacen('/', "//", 1),
        2 => format!("{path}?q=/a/b"),
        3 => format!("/.{path}"),
        4 => format!("/x/..{path}"),
        5 => path.replacen('a', "%61", 1),
        6 => format!("{path};v=1"),
        7 => format!("{path}%2Fb"),
        8 => format!("{path}/%2e%2e"),
        9 => path.replace('/', "\\").replacen('\\', "/", 1),
        10 => format!("http://shop.example{path}"),
        11 => format!("{path}#part"),
        12 => format!("{path}%zz"),
        13 => format!("{path}%00"),
        14 => path.replace('/', "//"),
        15 => format!("{path}/.."),
        16 => format!("{path}%5cb"),
        17 => format!("{path}[b]"),
        _ => path,
    }
}

fn claims(rng: &mut Rng, wanted: &Wanted) -> Value {
    // The second one has expired.
    let ends: u64 = if rng.u8(..20) == 0 { 1_000_000_000 } else { 4_000_000_000 };
    let mut claims =
        json!({ "iss": pick(rng, &["https://a.io", "https://a.io", "a", "https://a.io/b"]), "exp": ends });
    if rng.u8(..6) > 0 {
        claims["sub"] = json!(pick(rng, &["eve", "eve", "steve", "e", "", "b/eve"]));
    }
    let audience = wanted.near(rng, &["request.auth.audiences"], &["api", "web"]);
    let odd = [
        json!(["admin", "x"]),
        json!([]),
        json!(""),
        json!(7),
        json!(["x", 7]),
        json!({ "admin": 1 }),
        json!(true),
    ];
    let mut set = |rng: &mut Rng, name: &str, value: Value| {
        if rng.u8(..3) > 0 {
            claims[name] = value;
        }
    };
    let list = rng.bool();
    set(rng, "aud", if list { json!(["web", audience]) } else { json!(audience) });
    let presenter = wanted.near(rng, &["request.auth.presenter"], &["cli", "x"]);
    set(rng, "azp", json!(presenter));
    let group = wanted.near(rng, &["request.auth.claims[groups]"], &["admin", "dev"]);
    let group = match rng.u8(..3) {
        0 => odd[rng.usize(..odd.len())].clone(),
        1 => json!([group, "x"]),
        _ => json!(group),
    };
    set(rng, "groups", group);
    let scope = pick(rng, &["read", "read write", "write  read", "reader", ""]);
    set(rng, "scope", json!(scope));
    let team = wanted.near(rng, &["request.auth.claims[org][team]"], &["red", "blue"]);
    let organization = match rng.u8(..4) {
        0 => json!({ "team": [team, "x"] }),
        1 => json!(team),
        _ => json!({ "team": team }),
    };
    set(rng, "org", organization);
    claims
}
