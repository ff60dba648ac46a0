//! From values to a request that has them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshproof_authz::{
    Certificate, ClientAddress, Context, Engine, HttpRequest, IdentityFlavour, PathNormalization, Peer,
    Request, Token,
};
use serde_json::{Map, Value as Json};

use crate::cover::Point;
use crate::lower::remote_is_source;
use crate::value::Value;
use crate::variable::Variable;
use crate::vocabulary::Vocabulary;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// Stands for a proxy in `x-forwarded-for`.
const PROXY: &str = "192.0.2.1";

/// A request with the values of the point; what it leaves open is ordinary.
pub(crate) fn request(point: &Point, vocabulary: &Vocabulary, context: &Context) -> Request {
    let mut draft = Draft::new(context);
    let mut chosen: Vec<(&Variable, &Value)> =
        point.iter().map(|(variable, value)| (&vocabulary.variables[*variable], value)).collect();
    chosen.sort_by_key(|(variable, _)| (*variable).clone());
    for (variable, value) in chosen {
        draft.set(variable, value);
    }
    draft.finish()
}

struct Draft<'a> {
    context: &'a Context,
    peer: Peer,
    sni: Option<String>,
    source: IpAddr,
    remote: Option<IpAddr>,
    destination: IpAddr,
    port: u16,
    metadata: std::collections::BTreeMap<(String, String), Json>,
    method: String,
    path: Option<String>,
    authority: String,
    headers: Vec<(String, String)>,
    claims: Map<String, Json>,
}

impl<'a> Draft<'a> {
    fn new(context: &'a Context) -> Draft<'a> {
        Draft {
            context,
            peer: Peer::Anonymous,
            sni: None,
            source: CLIENT,
            remote: None,
            destination: SERVER,
            port: 8080,
            metadata: Default::default(),
            method: "GET".to_owned(),
            path: Some("/".to_owned()),
            authority: "example.com".to_owned(),
            headers: Vec::new(),
            claims: Map::new(),
        }
    }

    fn set(&mut self, variable: &Variable, value: &Value) {
        let text = || match value {
            Value::Parts(parts) => parts[0].as_deref().map(str::to_owned),
            _ => None,
        };
        let lines = || match value {
            Value::Lines(lines) => lines.iter().map(|line| line.to_string()).collect(),
            _ => text().into_iter().collect::<Vec<String>>(),
        };
        let address = |or| match value {
            Value::Number(number) => number.to_address(),
            _ => or,
        };
        match variable {
            Variable::Peer => self.peer = peer(value, self.context),
            Variable::Token => {
                let Value::Parts(parts) = value else { return };
                for (name, text) in ["iss", "sub"].into_iter().zip(parts.iter()) {
                    let text = text.as_deref().map(|text| Json::String(text.to_owned()));
                    self.claims.extend(text.map(|text| (name.to_owned(), text)));
                }
            }
            Variable::Path => self.path = text(),
            Variable::Authority => self.authority = text().unwrap_or_default(),
            Variable::Method => self.method = text().unwrap_or_default(),
            Variable::DestinationPort => {
                if let Value::Number(number) = value {
                    self.port = u16::try_from(number.value).unwrap_or_default();
                }
            }
            Variable::Sni => self.sni = text(),
            Variable::SourceIp => self.source = address(CLIENT),
            Variable::RemoteIp => self.remote = Some(address(CLIENT)),
            Variable::DestinationIp => self.destination = address(SERVER),
            Variable::Header(name) => {
                self.headers.extend(lines().into_iter().map(|line| (name.clone(), line)))
            }
            Variable::Claim(path) => {
                let split =
                    path.len() == 1 && self.context.semantics.space_delimited_claims.contains(&path[0]);
                match lines().as_slice() {
                    [] => {}
                    [line] if !split => insert(&mut self.claims, path, Json::String(line.clone())),
                    lines => insert(&mut self.claims, path, Json::from(lines)),
                }
            }
            Variable::Metadata { filter, key, is_list } => {
                let found = lines();
                let value = match found.first() {
                    None => return,
                    Some(_) if *is_list => Json::from(found),
                    Some(text) => Json::String(text.clone()),
                };
                self.metadata.insert((filter.clone(), key.clone()), value);
            }
        }
    }

    fn finish(mut self) -> Request {
        let is_http = matches!(self.context.engine, Engine::EnvoyHttp | Engine::Grpc);
        let mut proxied_source = None;
        if let Some(remote) = self.remote.filter(|_| !remote_is_source(self.context, true)) {
            let hops = match self.context.semantics.client_address {
                _ if !is_http => None,
                ClientAddress::Forwarded(hops) => Some(hops),
                ClientAddress::TrustedProxies(hops) => hops.checked_sub(1),
            };
            match hops {
                Some(hops) => {
                    let mut entries = vec![remote.to_string()];
                    entries.extend((0..hops.min(64)).map(|_| PROXY.to_owned()));
                    self.headers.push(("x-forwarded-for".to_owned(), entries.join(", ")));
                }
                None => proxied_source = Some(remote),
            }
        }
        let token = if self.claims.is_empty() {
            Token::None
        } else {
            Token::Verified { claims: std::mem::take(&mut self.claims), forwarded: true }
        };
        let target = match &self.path {
            Some(path) if self.method != "CONNECT" => as_sent(path, self.context),
            _ => self.authority.clone(),
        };
        self.headers.insert(0, ("host".to_owned(), self.authority.clone()));
        let http = HttpRequest { method: self.method, target, headers: self.headers, token };
        Request {
            peer: self.peer,
            sni: self.sni,
            source: self.source,
            proxied_source,
            destination: SocketAddr::new(self.destination, self.port),
            metadata: self.metadata,
            http: is_http.then_some(http),
        }
    }
}

fn peer(value: &Value, context: &Context) -> Peer {
    match value {
        Value::Parts(parts) => match parts.iter().map(Option::as_deref).collect::<Vec<_>>().as_slice() {
            [Some(domain), Some(namespace), Some(account)] => {
                Peer::workload(&format!("{domain}/ns/{namespace}/sa/{account}"))
            }
            [Some(name)] if context.identity == IdentityFlavour::FilterState => {
                Peer::Principal((*name).to_owned())
            }
            [Some(name)] => certificate([*name].into_iter()),
            _ => Peer::Anonymous,
        },
        Value::Lines(lines) if !lines.is_empty() => certificate(lines.iter().map(|line| &**line)),
        _ => Peer::Anonymous,
    }
}

fn certificate<'a>(names: impl Iterator<Item = &'a str>) -> Peer {
    let (uris, dns) = names.map(str::to_owned).partition(|name| name.contains("://"));
    Peer::Certificate(Certificate { uris, dns, subject: String::new() })
}

/// Puts a claim at its path.
fn insert(claims: &mut Map<String, Json>, path: &[String], value: Json) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        claims.insert(first.clone(), value);
        return;
    }
    let inner = claims.entry(first.clone()).or_insert_with(|| Json::Object(Map::new()));
    if let Some(inner) = inner.as_object_mut() {
        insert(inner, rest, value);
    }
}

/// The path as it has to be sent to be seen like this: what normalization would decode is escaped once more, so that
/// `%41` is left of `%%341`.
fn as_sent(path: &str, context: &Context) -> String {
    let mode = match context.engine {
        Engine::Grpc => PathNormalization::None,
        _ => context.semantics.normalization,
    };
    if mode == PathNormalization::None {
        return path.to_owned();
    }
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let bytes = path.as_bytes();
    let mut sent = String::with_capacity(path.len());
    for (at, character) in path.char_indices() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| character == '%');
        let changes = byte.is_some_and(|byte| {
            let decoded = byte.is_ascii_alphanumeric() || b"-._~\0".contains(&byte);
            decoded || (mode == PathNormalization::DecodeAndMergeSlashes && b"/\\".contains(&byte))
        });
        sent.push(character);
        if changes {
            // The first digit, which stands next, is written as an escape.
            sent.push_str("%3");
            continue;
        }
    }
    match query {
        Some(query) => sent + "?" + query,
        None => sent,
    }
}
