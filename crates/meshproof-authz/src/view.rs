//! The request as the policies of one engine see it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use meshproof_grammar::spiffe::SpiffeId;
use serde_json::{Map, Value};

use crate::context::{Context, Engine, IdentityFlavour};
use crate::normalize::{Refusal, read_target};
use crate::request::{HttpRequest, Peer, Request, Token};
use crate::semantics::{ClientAddress, HeaderMatching};

/// Everything that a test can look at.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The names of the peer; one that matches is enough.
    pub names: Vec<String>,
    /// The address at the other end of the hop.
    pub source: IpAddr,
    /// The original client address.
    pub remote: IpAddr,
    /// The address that the connection was made to.
    pub destination: IpAddr,
    /// The port that it was made to.
    pub port: u16,
    /// In lower case, as Envoy keeps it.
    pub sni: Option<String>,
    /// Dynamic metadata, by filter and key.
    pub metadata: &'a BTreeMap<(String, String), Value>,
    /// The HTTP part, where the engine sees one.
    pub http: Option<HttpView<'a>>,
    /// The peer as ztunnel knows it.
    workload: Option<Workload>,
}

/// The one identity of a peer, for an engine that knows no other names.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub id: SpiffeId,
    /// Without scheme.
    pub principal: String,
}

/// The HTTP part.
#[derive(Clone, Debug)]
pub struct HttpView<'a> {
    /// The method.
    pub method: String,
    /// The host with its port, as sent.
    pub authority: Option<String>,
    /// Normalized, with its query.
    pub full_path: Option<String>,
    /// Names in lower case, values without surrounding blanks, `host` left out.
    headers: Vec<(String, String)>,
    matching: HeaderMatching,
    /// What a verified token says; nothing before it is looked at.
    pub claims: Option<&'a Map<String, Value>>,
    space_delimited: &'a [String],
}

impl<'a> View<'a> {
    /// What policies see once tokens were looked at: AUDIT, DENY, ALLOW.
    ///
    /// # Errors
    /// The request never gets as far as to policies.
    pub fn new(request: &'a Request, context: &'a Context) -> Result<View<'a>, Refusal> {
        let mut view = View::before_tokens(request, context)?;
        let Some((http, sent)) = view.http.as_mut().zip(request.http.as_ref()) else { return Ok(view) };
        // A CORS preflight passes request authentication unseen (Istio 1.32, `policy_applier.go`).
        if let Token::Verified { claims, forwarded } = &sent.token
            && !http.is_preflight()
        {
            http.claims = Some(claims);
            if !forwarded {
                http.headers.retain(|(name, _)| name != "authorization");
            }
        }
        Ok(view)
    }

    /// What CUSTOM policies see, which run before tokens are looked at.
    ///
    /// # Errors
    /// The request never gets as far as to policies.
    pub fn before_tokens(request: &'a Request, context: &'a Context) -> Result<View<'a>, Refusal> {
        let connection = request.proxied_source.unwrap_or(request.source);
        let sees_http = matches!(context.engine, Engine::EnvoyHttp | Engine::Grpc);
        let http = match &request.http {
            Some(http) if sees_http => Some(HttpView::new(http, context)?),
            _ => None,
        };
        let mut view = View {
            workload: None,
            names: Vec::new(),
            source: request.source,
            remote: http.as_ref().map_or(connection, |http| {
                client_address(http, context.semantics.client_address).unwrap_or(connection)
            }),
            destination: request.destination.ip(),
            port: request.destination.port(),
            sni: request.sni.as_ref().map(|name| name.to_ascii_lowercase()),
            metadata: &request.metadata,
            http,
        };
        view.set_peer(&request.peer, context);
        Ok(view)
    }

    /// The same from another peer.
    pub(crate) fn set_peer(&mut self, peer: &Peer, context: &Context) {
        self.names = names(peer, context.identity);
        let first = self.names.first().filter(|_| context.engine == Engine::Ztunnel);
        let workload = first.and_then(|name| SpiffeId::parse(name).ok());
        self.workload = workload.map(|id| Workload { principal: id.principal(), id });
    }

    /// The peer as a workload of the mesh, at ztunnel.
    pub(crate) fn workload(&self) -> Option<&Workload> {
        self.workload.as_ref()
    }
}

impl<'a> HttpView<'a> {
    fn new(http: &'a HttpRequest, context: &'a Context) -> Result<HttpView<'a>, Refusal> {
        let semantics = &context.semantics;
        let target = read_target(&http.method, &http.target, semantics.normalization)?;
        let mut headers: Vec<(String, String)> = http
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
            .collect();
        let host = headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.clone());
        headers.retain(|(name, _)| name != "host");
        Ok(HttpView {
            method: http.method.clone(),
            authority: target.authority.or(host),
            full_path: target.path,
            headers,
            matching: semantics.headers,
            claims: None,
            space_delimited: &semantics.space_delimited_claims,
        })
    }

    /// The path without its query.
    pub fn path(&self) -> Option<&str> {
        let path = self.full_path.as_deref()?;
        Some(path.split_once('?').map_or(path, |(path, _)| path))
    }

    /// The lines of a header that is no pseudo header, in order; `name` is in small letters.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values that a header test looks at, one after the other. Envoy keeps `host` as `:authority`; pseudo headers
    /// can be asked for too, and `:path` is the normalized path with its query. `name` is in lower case.
    pub fn header(&self, name: &str) -> Vec<Cow<'_, str>> {
        match name {
            ":method" => vec![Cow::from(&self.method)],
            ":path" => self.full_path.iter().map(Cow::from).collect(),
            ":authority" | "host" => self.authority.iter().map(Cow::from).collect(),
            _ => {
                let lines: Vec<&str> = self.lines(name).collect();
                match self.matching {
                    HeaderMatching::Joined if lines.len() > 1 => vec![Cow::from(lines.join(","))],
                    _ => lines.into_iter().map(Cow::from).collect(),
                }
            }
        }
    }

    /// The texts that a claim holds: itself, or the elements of a list. Numbers, booleans and objects hold none.
    pub fn claim(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut value = self.claims?.get(first)?;
        for name in rest {
            value = value.as_object()?.get(name)?;
        }
        Some(match value {
            Value::String(text) if rest.is_empty() && self.space_delimited.contains(first) => {
                text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
            }
            Value::String(text) => vec![text.clone()],
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        })
    }

    /// A claim that is a plain text.
    pub fn text_claim(&self, name: &str) -> Option<&str> {
        self.claims?.get(name)?.as_str()
    }

    /// Whether browsers ask before they send the real request; Envoy's test of it.
    pub fn is_preflight(&self) -> bool {
        let has = |name: &str| self.header(name).iter().any(|value| !value.is_empty());
        self.method == "OPTIONS" && has("origin") && has("access-control-request-method")
    }
}

fn names(peer: &Peer, flavour: IdentityFlavour) -> Vec<String> {
    match (peer, flavour) {
        (Peer::Anonymous, _) => Vec::new(),
        (Peer::Principal(name), _) => vec![name.clone()],
        (Peer::Certificate(certificate), IdentityFlavour::Certificate) => {
            let subject = Some(&certificate.subject).filter(|subject| !subject.is_empty());
            certificate.uris.iter().chain(&certificate.dns).chain(subject).cloned().collect()
        }
        (Peer::Certificate(certificate), IdentityFlavour::FilterState) if certificate.uris.is_empty() => {
            Vec::new()
        }
        (Peer::Certificate(certificate), IdentityFlavour::FilterState) => vec![certificate.uris.join(",")],
    }
}

/// The client address that the header claims, when it can be read (Envoy, `Utility::getLastAddressFromXFF`): a plain
/// address, without port and without brackets.
fn client_address(http: &HttpView<'_>, rule: ClientAddress) -> Option<IpAddr> {
    let skipped = match rule {
        ClientAddress::Forwarded(hops) => hops,
        ClientAddress::TrustedProxies(hops) => hops.checked_sub(1)?,
    };
    let lines: Vec<&str> = http
        .headers
        .iter()
        .filter(|(name, _)| name == "x-forwarded-for")
        .map(|(_, value)| value.as_str())
        .collect();
    let entry = lines.join(",").rsplit(',').nth(usize::try_from(skipped).ok()?)?.trim().to_owned();
    entry.parse().ok()
}
