//! From values to a request that has them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshproof_authz::{
    Certificate, Context, Engine, HttpRequest, IdentityFlavour, PathNormalization, Peer, Request, Token,
};
use serde_json::{Map, Value as Json};

use crate::cover::Point;
use crate::forwarded;
use crate::lower::remote_is_source;
use crate::test::Test;
use crate::token;
use crate::value::Value;
use crate::variable::Variable;
use crate::vocabulary::Vocabulary;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// Stands for a proxy in `x-forwarded-for`.
const PROXY: &str = "192.0.2.1";

/// A request with the values of the point; what it leaves open is ordinary.
pub(crate) fn request(point: &Point, vocabulary: &Vocabulary, context: &Context) -> Request {
    let mut draft = Draft::new(vocabulary, context);
    let mut chosen: Vec<(&Variable, &Value)> =
        point.values().map(|(variable, value)| (&vocabulary.variables[variable], value)).collect();
    chosen.sort_by_key(|(variable, _)| (*variable).clone());
    for (variable, value) in chosen {
        draft.set(variable, value);
    }
    draft.finish()
}

struct Draft<'a> {
    vocabulary: &'a Vocabulary,
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
    fn new(vocabulary: &'a Vocabulary, context: &'a Context) -> Draft<'a> {
        Draft {
            vocabulary,
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
                let halves = match &**parts {
                    [Some(both)] => {
                        let (issuer, subject) = token::read(both);
                        [Some(issuer), subject]
                    }
                    [issuer, subject] => [issuer.as_deref(), subject.as_deref()],
                    _ => return,
                };
                for (name, text) in ["iss", "sub"].into_iter().zip(halves) {
                    let text = text.map(|text| Json::String(text.to_owned()));
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
            match forwarded::entry(self.context) {
                Some(entry) => proxied_source = self.forward(remote, entry),
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

impl Draft<'_> {
    /// Makes the client address known, by the header or as the other end of the connection; which of them and how must
    /// change nothing of what tests of the header and of the source were promised. Hands back the address that another
    /// hop hands over below HTTP.
    fn forward(&mut self, remote: IpAddr, entry: u32) -> Option<IpAddr> {
        let hops = usize::try_from(entry.min(64)).unwrap_or_default();
        let Some(header) = self.vocabulary.place_of(&Variable::Header(forwarded::NAME.to_owned())) else {
            let entries = std::iter::once(remote.to_string()).chain(vec![PROXY.to_owned(); hops]);
            self.push_forwarded(&entries.collect::<Vec<String>>());
            return None;
        };
        let tests = |variable: &Variable| -> Vec<Test> {
            let place = self.vocabulary.place_of(variable).into_iter();
            let tests = place.flat_map(|place| self.vocabulary.tests_of(place));
            tests.map(|test| self.vocabulary.tests[test as usize].clone()).collect()
        };
        let (of_source, of_remote) = (tests(&Variable::SourceIp), tests(&Variable::RemoteIp));
        let atoms = forwarded::atoms(forwarded::blocks(of_source.iter().chain(&of_remote)));
        let atom = atoms.iter().find(|atom| atom.holds(remote));
        let is_alike = |address: IpAddr| atom.is_none_or(|atom| atom.holds(address));
        let lines: Vec<&str> = self
            .headers
            .iter()
            .filter(|(name, _)| name == forwarded::NAME)
            .map(|(_, line)| line.as_str())
            .collect();
        let is_connection = of_source.is_empty() || is_alike(self.source) || self.vocabulary.proxy_protocol;
        match forwarded::claimed(&lines, entry) {
            Some(claimed) if is_alike(claimed) => return None,
            None if is_connection => return self.connect_from(remote, of_source.is_empty()),
            _ => {}
        }
        let filler = self.vocabulary.kinds[header].filler().to_owned();
        // What the end of the line passes has to be passed by another line already.
        let ends = if entry == 0 {
            forwarded::ends(&tests(&Variable::Header(forwarded::NAME.to_owned())))
        } else {
            Vec::new()
        };
        let missed = ends.iter().filter(|end| !lines.iter().any(|line| line.ends_with(end.as_str())));
        let missed: Vec<&str> = missed.map(String::as_str).collect();
        let named =
            if missed.is_empty() { Some(remote) } else { atom.and_then(|atom| atom.address(&missed)) };
        match named {
            None if is_connection => {
                self.push_forwarded(&vec![filler; hops + 1]);
                self.connect_from(remote, of_source.is_empty())
            }
            named => {
                let mut entries = vec![filler.clone(), named.unwrap_or(remote).to_string()];
                entries.extend(vec![filler; hops]);
                self.push_forwarded(&entries);
                None
            }
        }
    }

    fn push_forwarded(&mut self, entries: &[String]) {
        self.headers.push((forwarded::NAME.to_owned(), entries.join(", ")));
    }

    /// The connection comes from the address, as far as its other end is told. Hands back what another hop has to say.
    fn connect_from(&mut self, remote: IpAddr, source_is_free: bool) -> Option<IpAddr> {
        if self.vocabulary.proxy_protocol {
            return Some(remote);
        }
        if source_is_free {
            self.source = remote;
        }
        None
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
