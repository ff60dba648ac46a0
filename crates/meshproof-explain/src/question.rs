//! What is asked: who sends what to whom, in the words of the command line.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use meshproof_grammar::spiffe::SpiffeId;
use meshproof_ir::Layer;
use serde_json::{Map, Value};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A service account: whatever runs under it.
    Account {
        /// Its namespace.
        namespace: String,
        /// Its name.
        account: String,
    },
    /// A workload with its identity, its proxy and its namespace.
    Workload {
        /// Its namespace.
        namespace: String,
        /// Its name, or `KIND/NAME`.
        name: String,
    },
    /// An identity, without scheme (`cluster.local/ns/a/sa/b`), of whoever proves it.
    Identity(String),
    /// Somebody without an identity, in or outside of the cluster.
    Plaintext(Option<IpAddr>),
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "plaintext" {
            return Ok(Subject::Plaintext(None));
        }
        if let Some(address) = text.strip_prefix("plaintext:") {
            let address = address.parse().map_err(|_| {
                format!("`{address}` is no IP address; write plaintext:10.0.0.7, or plaintext alone")
            })?;
            return Ok(Subject::Plaintext(Some(address)));
        }
        if let Some(workload) = text.strip_prefix("workload:") {
            let (namespace, name) = workload_parts(workload)
                .ok_or_else(|| format!("`{text}` names no workload; write workload:NAMESPACE/NAME"))?;
            return Ok(Subject::Workload { namespace, name });
        }
        if text.contains("/ns/") || text.starts_with("spiffe://") {
            let full = if text.contains("://") { text.to_owned() } else { format!("spiffe://{text}") };
            return match SpiffeId::parse(&full) {
                Ok(id) => Ok(Subject::Identity(id.principal())),
                Err(error) => Err(format!("`{text}` is no SPIFFE id: {error}")),
            };
        }
        two_parts(text).map(|(namespace, account)| Subject::Account { namespace, account }).ok_or_else(|| {
            format!(
                "`{text}` names no client; write NAMESPACE/SERVICEACCOUNT, workload:NAMESPACE/NAME, a SPIFFE id, \
                 plaintext or plaintext:IP"
            )
        })
    }
}

impl Subject {
    /// The namespace that short names of the client mean.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Subject::Account { namespace, .. } | Subject::Workload { namespace, .. } => Some(namespace),
            Subject::Identity(principal) => principal.split('/').nth(2),
            Subject::Plaintext(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Account { namespace, account } => write!(f, "{namespace}/{account}"),
            Subject::Workload { namespace, name } => write!(f, "workload:{namespace}/{name}"),
            Subject::Identity(principal) => write!(f, "spiffe://{principal}"),
            Subject::Plaintext(None) => f.write_str("plaintext"),
            Subject::Plaintext(Some(address)) => write!(f, "plaintext:{address}"),
        }
    }
}

/// The workload that is asked for: `NAMESPACE/NAME`, and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its namespace.
    pub namespace: String,
    /// Its name, or `KIND/NAME`.
    pub name: String,
    /// The port of the pods, not that of a Service; may be left out where there is but one.
    pub port: Option<u16>,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("workload:").unwrap_or(text);
        let (workload, port) = match text.rsplit_once(':') {
            Some((workload, port)) => (workload, Some(port_number(port)?)),
            None => (text, None),
        };
        let (namespace, name) = workload_parts(workload)
            .ok_or_else(|| format!("`{text}` names no workload; write NAMESPACE/NAME:PORT"))?;
        Ok(Destination { namespace, name, port })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// By which way the client calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Through the Service that leads to the port, when there is one.
    #[default]
    Fitting,
    /// Through the service of this host name.
    Service {
        /// As the client writes it: `ledger`, `ledger.payments` or the whole name.
        host: String,
        /// The port of the Service.
        port: Option<u16>,
    },
    /// At the address of the pod.
    Direct,
}

impl Way {
    /// Reads `HOST[:PORT]`.
    ///
    /// # Errors
    /// An empty host, or a port that is none.
    pub fn service(text: &str) -> Result<Way, String> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port_number(port)?)),
            None => (text, None),
        };
        if host.is_empty() {
            return Err("write the host of a service: HOST or HOST:PORT".to_owned());
        }
        Ok(Way::Service { host: host.to_ascii_lowercase(), port })
    }
}

/// The HTTP part of what is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpParts {
    /// `GET`.
    pub method: String,
    /// The path as the client writes it, with its query.
    pub path: String,
    /// The header `Host`; the name that the client calls if not given.
    pub host: Option<String>,
    /// Further headers in order; names may repeat.
    pub headers: Vec<(String, String)>,
    /// Claims of a token that verifies, where somebody looks at tokens.
    pub claims: Map<String, Value>,
    /// A token is sent that does not verify.
    pub bad_token: bool,
}

impl Default for HttpParts {
    fn default() -> Self {
        HttpParts {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            host: None,
            headers: Vec::new(),
            claims: Map::new(),
            bad_token: false,
        }
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Who.
    pub from: Subject,
    /// To whom.
    pub to: Destination,
    /// The cluster of the client, where several are read together; by default that of the workload, if it has the client.
    pub from_cluster: Option<String>,
    /// The cluster of the workload; by default each that has it.
    pub to_cluster: Option<String>,
    /// By which way.
    pub way: Way,
    /// Whether the client speaks HTTP.
    pub speaks: Layer,
    /// What it sends, if it does.
    pub http: HttpParts,
    /// The address of the client as the next hop sees it.
    pub source_ip: Option<IpAddr>,
    /// The address of the original client, where a proxy in front tells it.
    pub remote_ip: Option<IpAddr>,
    /// The server name that the client asks for in its TLS handshake.
    pub sni: Option<String>,
}

/// Adds a claim: `sub=alice`, `realm_access[roles]=admin`, `aud=["a","b"]`. A name that comes again makes a list.
///
/// # Errors
/// Text without `=`, brackets that do not close, a claim that is a text here and an object there.
pub fn add_claim(claims: &mut Map<String, Value>, text: &str) -> Result<(), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is no claim; write NAME=VALUE, for example sub=alice"))?;
    let path = claim_path(name)
        .ok_or_else(|| format!("`{name}` names no claim; write nested ones as realm_access[roles]"))?;
    let value = match value.as_bytes().first() {
        Some(b'[' | b'{' | b'"') => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
        _ => Value::from(value),
    };
    let mut at = claims;
    let (last, outer) = path.split_last().ok_or_else(|| format!("`{text}` names no claim"))?;
    for step in outer {
        let inner = at.entry((*step).to_owned()).or_insert_with(|| Value::Object(Map::new()));
        at = inner
            .as_object_mut()
            .ok_or_else(|| format!("the claim `{step}` of `{text}` already has a value"))?;
    }
    match at.get_mut(*last) {
        None => {
            at.insert((*last).to_owned(), value);
        }
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
    Ok(())
}

/// `a[b][c]` as `a`, `b`, `c`.
fn claim_path(name: &str) -> Option<Vec<&str>> {
    let Some((first, rest)) = name.split_once('[') else {
        return (!name.is_empty()).then(|| vec![name]);
    };
    let inner = rest.strip_suffix(']')?;
    let path: Vec<&str> = std::iter::once(first).chain(inner.split("][")).collect();
    path.iter().all(|step| !step.is_empty() && !step.contains(['[', ']'])).then_some(path)
}

/// Reads a header: `x-user=alice` or `x-user: alice`.
///
/// # Errors
/// Text without a name, a name that HTTP does not allow, line breaks.
pub fn header(text: &str) -> Result<(String, String), String> {
    let text = &line(text)?;
    let at = text.find(['=', ':']).filter(|at| *at > 0);
    let at =
        at.ok_or_else(|| format!("`{text}` is no header; write NAME=VALUE, for example x-user=alice"))?;
    let name = method(text[..at].trim()).map_err(|_| format!("`{}` is no name of a header", &text[..at]))?;
    Ok((name, text[at + 1..].trim_start().to_owned()))
}

/// A method as HTTP allows it.
///
/// # Errors
/// Characters that no method has.
pub fn method(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_token) {
        true => Ok(text.to_owned()),
        false => Err("a method has letters, digits and signs only, for example GET".to_owned()),
    }
}

/// Text that can stand in one line of a request.
///
/// # Errors
/// Line breaks and NUL, with which no request would ever be sent.
pub fn line(text: &str) -> Result<String, String> {
    match text.contains(['\r', '\n', '\0']) {
        true => Err("line breaks and NUL cannot be sent".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn two_parts(text: &str) -> Option<(String, String)> {
    let (first, second) = text.split_once('/')?;
    let both = !first.is_empty() && !second.is_empty() && !second.contains('/');
    both.then(|| (first.to_owned(), second.to_owned()))
}

/// `NAMESPACE/NAME`, or `NAMESPACE/KIND/NAME` with the kind as part of the name.
fn workload_parts(text: &str) -> Option<(String, String)> {
    let (namespace, name) = text.split_once('/')?;
    let is_name = match name.split_once('/') {
        Some((kind, name)) => !kind.is_empty() && !name.is_empty() && !name.contains('/'),
        None => !name.is_empty(),
    };
    (is_name && !namespace.is_empty()).then(|| (namespace.to_owned(), name.to_owned()))
}

fn port_number(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("`{text}` is no port (1 to 65535)"))
}
