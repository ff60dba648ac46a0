//! The CEL rules of the CRDs, one hand-written check each.
//!
//! The generated tables keep the text of every `x-kubernetes-validations` rule; [`Rule::of`] recognises it. A rule
//! sees values of the wrong type too (the CRD refuses those anyway) and says nothing about them.

use meshproof_source::Span;
use meshproof_yaml::{NodeRef, Scalar, Shape};

use super::shown;
use super::values::{is_dns_label, parse_duration, parse_int, parse_request_url, parse_url};

/// A rule that the program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Durations parse and last a millisecond at least.
    DurationAtLeastOneMillisecond,
    /// Keys are port numbers.
    KeysArePorts,
    /// No key of a map holds a star.
    NoWildcardKeys,
    /// No key of a map is empty.
    NoEmptyKeys,
    /// A value without stars.
    NoWildcard,
    /// A string that must be empty: references across namespaces.
    Empty,
    /// An absolute URL with one of these schemes.
    UrlScheme,
    /// At most one of some fields.
    AtMostOne(&'static [&'static str]),
    /// `serviceAccounts` beside `principals` or `namespaces`.
    ServiceAccountsAlone,
    /// `portLevelMtls` without a selector that has labels.
    PortLevelNeedsSelector,
    /// A port number.
    Port,
    /// Not the lone star.
    NotStar,
    /// Endpoint addresses: a Unix socket path is absolute.
    SocketIsAbsolute,
    /// Endpoint addresses: a Unix socket path is no folder.
    SocketIsNoFolder,
    /// Endpoints: a Unix socket has no ports.
    SocketWithoutPorts,
    /// Endpoints: an address, or a network that stands for one.
    AddressOrNetwork,
    /// Keys are port names.
    KeysArePortNames,
    /// ServiceEntry: no number stands twice among the ports.
    DistinctPortNumbers,
    /// ServiceEntry: CIDR addresses need a resolution of NONE or STATIC.
    CidrNeedsStaticOrNone,
    /// ServiceEntry: resolution NONE has no endpoints.
    NoneWithoutEndpoints,
    /// ServiceEntry: DNS_ROUND_ROBIN has one endpoint.
    RoundRobinOneEndpoint,
    /// EnvoyFilter: `waypoint` belongs to context WAYPOINT, and only there.
    WaypointContext,
    /// WorkloadGroup probes: scheme.
    ProbeScheme,
}

/// A broken rule.
pub(super) struct Broken {
    /// The token, when it is a part of the value that was checked.
    pub span: Option<Span>,
    /// The key below the value that is wrong.
    pub key: Option<String>,
    pub message: String,
    pub help: Option<String>,
}

impl Broken {
    fn new(message: impl Into<String>) -> Option<Broken> {
        Some(Broken { span: None, key: None, message: message.into(), help: None })
    }

    fn at(node: NodeRef<'_>, message: impl Into<String>) -> Option<Broken> {
        Some(Broken { span: Some(node.span()), key: None, message: message.into(), help: None })
    }

    fn at_key(node: NodeRef<'_>, key: &str, message: impl Into<String>) -> Option<Broken> {
        Some(Broken {
            span: Some(node.span()),
            key: Some(key.to_owned()),
            message: message.into(),
            help: None,
        })
    }

    fn help(self, help: &str) -> Broken {
        Broken { help: Some(help.to_owned()), ..self }
    }
}

const ATTACHMENTS: &[&str] = &["selector", "targetRef", "targetRefs"];

impl Rule {
    /// The rule of a CRD's text. Texts are those of Istio's `crd-all.gen.yaml`; rules of other CRDs are not known.
    pub fn of(text: &str) -> Option<Rule> {
        let compact: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(match &*compact {
            "duration(self) >= duration('1ms')" => Rule::DurationAtLeastOneMillisecond,
            "self.all(key, 0 < int(key) && int(key) <= 65535)" => Rule::KeysArePorts,
            r#"self.all(key, !key.contains("*"))"# => Rule::NoWildcardKeys,
            "self.all(key, key.size() != 0)" => Rule::NoEmptyKeys,
            r#"!self.contains("*")"# => Rule::NoWildcard,
            "self.size() == 0" => Rule::Empty,
            r#"url(self).getScheme() in ["http", "https"]"# => Rule::UrlScheme,
            "(has(self.selector) ? 1 : 0) + (has(self.targetRef) ? 1 : 0) + (has(self.targetRefs) ? 1 : 0) <= 1" => {
                Rule::AtMostOne(ATTACHMENTS)
            }
            "(has(self.jwksUri) ? 1 : 0) + (has(self.jwks_uri) ? 1 : 0) + (has(self.jwks) ? 1 : 0) <= 1" => {
                Rule::AtMostOne(&["jwksUri", "jwks_uri", "jwks"])
            }
            "(has(self.workloadSelector) ? 1 : 0) + (has(self.targetRefs) ? 1 : 0) <= 1" => {
                Rule::AtMostOne(&["workloadSelector", "targetRefs"])
            }
            "(has(self.workloadSelector) ? 1 : 0) + (has(self.endpoints) ? 1 : 0) <= 1" => {
                Rule::AtMostOne(&["workloadSelector", "endpoints"])
            }
            "(has(self.tlsCertificates) ? 1 : 0) + (has(self.credentialNames) ? 1 : 0) <= 1" => {
                Rule::AtMostOne(&["tlsCertificates", "credentialNames"])
            }
            "(has(self.credentialName) ? 1 : 0) + (has(self.credentialNames) ? 1 : 0) <= 1" => {
                Rule::AtMostOne(&["credentialName", "credentialNames"])
            }
            "(has(self.credentialNames) ? 1 : 0) + (has(self.tlsCertificates) ? 1 : 0) <= 1" => {
                Rule::AtMostOne(&["credentialNames", "tlsCertificates"])
            }
            "(has(self.serviceAccounts) || has(self.notServiceAccounts)) ? (!has(self.principals) && \
             !has(self.notPrincipals) && !has(self.namespaces) && !has(self.notNamespaces)) : true" => {
                Rule::ServiceAccountsAlone
            }
            "has(self.portLevelMtls) ? (((has(self.selector) && has(self.selector.matchLabels)) ? \
             self.selector.matchLabels : {}).size() > 0) : true" => Rule::PortLevelNeedsSelector,
            "0 < self && self <= 65535" => Rule::Port,
            r#"self != "*""# => Rule::NotStar,
            r#"self.startsWith("unix://") ? (self.substring(7, 8) == "/" || self.substring(7, 8) == "@") : true"# => {
                Rule::SocketIsAbsolute
            }
            r#"self.startsWith("unix://") ? !self.endsWith("/") : true"# => Rule::SocketIsNoFolder,
            r#"(has(self.address) ? self.address : "").startsWith("unix://") ? !has(self.ports) : true"# => {
                Rule::SocketWithoutPorts
            }
            "has(self.address) || has(self.network)" => Rule::AddressOrNetwork,
            r#"self.all(key, size(key) < 63 && key.matches("^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$"))"# => {
                Rule::KeysArePortNames
            }
            "self.all(l1, self.exists_one(l2, l1.number == l2.number))" => Rule::DistinctPortNumbers,
            r#"!((has(self.addresses) ? self.addresses : []).exists(k, k.contains("/")) && !((has(self.resolution) ? self.resolution : "NONE") in ["STATIC", "NONE"]))"# => {
                Rule::CidrNeedsStaticOrNone
            }
            r#"((has(self.resolution) ? self.resolution : "NONE") == "NONE") ? !has(self.endpoints) : true"# => {
                Rule::NoneWithoutEndpoints
            }
            r#"((has(self.resolution) ? self.resolution : "") == "DNS_ROUND_ROBIN") ? ((has(self.endpoints) ? self.endpoints : []).size() <= 1) : true"# => {
                Rule::RoundRobinOneEndpoint
            }
            r#"has(self.context) ? ((self.context == "WAYPOINT") ? has(self.waypoint) : !has(self.waypoint)) : !has(self.waypoint)"# => {
                Rule::WaypointContext
            }
            r#"self in ["", "HTTP", "HTTPS"]"# => Rule::ProbeScheme,
            _ => return None,
        })
    }

    /// Checks a value; `None` when it keeps the rule.
    pub(super) fn check(self, value: NodeRef<'_>) -> Option<Broken> {
        match self {
            Rule::DurationAtLeastOneMillisecond => duration(string(value)?),
            Rule::KeysArePorts => keys(
                value,
                |key| parse_int(key).is_some_and(|port| (1..=65535).contains(&port)),
                |key| {
                    format!(
                        "{} is no port: keys of `portLevelMtls` are port numbers from 1 to 65535",
                        shown(key)
                    )
                },
            ),
            Rule::NoWildcardKeys => keys(
                value,
                |key| !key.contains('*'),
                |key| {
                    format!(
                        "the label key {} has a `*`: selectors take whole keys and values only",
                        shown(key)
                    )
                },
            ),
            Rule::NoEmptyKeys => {
                keys(value, |key| !key.is_empty(), |_| "a label key cannot be empty".to_owned())
            }
            Rule::NoWildcard => {
                let text = string(value).filter(|text| text.contains('*'))?;
                Broken::new(format!(
                    "the label value {} has a `*`: selectors take whole keys and values only",
                    shown(&text)
                ))
            }
            Rule::Empty => {
                string(value).filter(|text| !text.is_empty())?;
                Broken::new("a reference cannot name another namespace, not even its own").map(|broken| {
                    broken.help("delete `namespace`: the target is looked up beside the policy")
                })
            }
            Rule::UrlScheme => url_scheme(string(value)?),
            Rule::AtMostOne(names) => at_most_one(value, names),
            Rule::ServiceAccountsAlone => service_accounts_alone(value),
            Rule::PortLevelNeedsSelector => port_level_needs_selector(value),
            Rule::Port => port(value),
            Rule::NotStar => {
                string(value).filter(|text| text == "*")?;
                Broken::new("the host cannot be `*`")
            }
            Rule::SocketIsAbsolute => {
                let text = string(value)?;
                let path = text.strip_prefix("unix://").filter(|path| !path.starts_with(['/', '@']))?;
                Broken::new(format!("the socket {} must be an absolute path or start with `@`", shown(path)))
            }
            Rule::SocketIsNoFolder => {
                string(value).filter(|text| text.starts_with("unix://") && text.ends_with('/'))?;
                Broken::new("the socket is a folder: it ends with a slash")
            }
            Rule::SocketWithoutPorts => {
                string(value.get("address")?).filter(|text| text.starts_with("unix://"))?;
                let (key, _) = value.entry("ports")?;
                Broken::at(key, "an endpoint at a Unix socket has no ports")
            }
            Rule::AddressOrNetwork => {
                let lacks = value.shape() == Shape::Mapping
                    && value.get("address").or(value.get("network")).is_none();
                lacks
                    .then(|| Broken::new("an endpoint needs an `address`, or a `network` that stands for it"))
                    .flatten()
            }
            Rule::KeysArePortNames => keys(
                value,
                |key| key.len() < 63 && is_dns_label(key),
                |key| format!("{} is no port name", shown(key)),
            ),
            Rule::DistinctPortNumbers => distinct_port_numbers(value),
            Rule::CidrNeedsStaticOrNone => {
                let resolution = value.get("resolution").and_then(string).unwrap_or("NONE".into());
                let block = value
                    .get("addresses")?
                    .items()
                    .find(|item| item.str().is_some_and(|a| a.contains('/')))?;
                if matches!(&*resolution, "STATIC" | "NONE") {
                    return None;
                }
                Broken::at(block, "address blocks (CIDR) need `resolution: NONE` or `STATIC`")
            }
            Rule::NoneWithoutEndpoints => {
                let resolution = value.get("resolution").and_then(string).unwrap_or("NONE".into());
                let (key, _) = value.entry("endpoints").filter(|_| resolution == "NONE")?;
                Broken::at(key, "with `resolution: NONE` (the default) there can be no endpoints")
            }
            Rule::RoundRobinOneEndpoint => {
                string(value.get("resolution")?).filter(|resolution| resolution == "DNS_ROUND_ROBIN")?;
                let second = value.get("endpoints")?.items().nth(1)?;
                Broken::at(second, "`resolution: DNS_ROUND_ROBIN` takes one endpoint only")
            }
            Rule::WaypointContext => {
                let in_waypoint =
                    value.get("context").and_then(string).is_some_and(|context| context == "WAYPOINT");
                match value.entry("waypoint") {
                    Some((key, _)) if !in_waypoint => {
                        Broken::at(key, "`waypoint` matches only with `context: WAYPOINT`")
                    }
                    None if in_waypoint => Broken::new("`context: WAYPOINT` needs a `waypoint` match"),
                    _ => None,
                }
            }
            Rule::ProbeScheme => {
                let text = string(value).filter(|text| !matches!(&**text, "" | "HTTP" | "HTTPS"))?;
                Broken::new(format!("the scheme cannot be {}: it is HTTP or HTTPS", shown(text)))
            }
        }
    }
}

type Text<'t> = std::borrow::Cow<'t, str>;

fn string(value: NodeRef<'_>) -> Option<Text<'_>> {
    match value.scalar()? {
        Scalar::Str(text) => Some(text),
        _ => None,
    }
}

fn keys(value: NodeRef<'_>, good: impl Fn(&str) -> bool, message: impl Fn(&str) -> String) -> Option<Broken> {
    for (key, _) in value.entries() {
        let Some(text) = key.key_text() else { continue };
        if !good(&text) {
            return Broken::at_key(key, &text, message(&text));
        }
    }
    None
}

fn duration(text: Text<'_>) -> Option<Broken> {
    match parse_duration(&text) {
        Some(nanoseconds) if nanoseconds >= 1_000_000 => None,
        Some(_) => Broken::new(format!("{} is too short: the least is 1ms", shown(text))),
        None => Broken::new(format!("{} is no duration", shown(text)))
            .map(|broken| broken.help("write a number with a unit, such as `5s`, `100ms` or `1h30m`")),
    }
}

/// CEL's `url()` takes what `url.ParseRequestURI` takes and parses it again with `url.Parse`.
fn url_scheme(text: Text<'_>) -> Option<Broken> {
    let url = parse_request_url(&text).and_then(|_| parse_url(&text));
    if url.is_some_and(|url| matches!(&*url.scheme, "http" | "https")) {
        return None;
    }
    Broken::new(format!("{} must be a URL that starts with http:// or https://", shown(text)))
}

fn at_most_one(value: NodeRef<'_>, names: &[&str]) -> Option<Broken> {
    let (second, _) = names.iter().filter_map(|name| value.entry(name)).nth(1)?;
    let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Broken::at(second, format!("only one of {names} can be set"))
}

fn service_accounts_alone(source: NodeRef<'_>) -> Option<Broken> {
    source.entry("serviceAccounts").or_else(|| source.entry("notServiceAccounts"))?;
    let others = ["principals", "notPrincipals", "namespaces", "notNamespaces"];
    let (other, _) = others.iter().find_map(|name| source.entry(name))?;
    Broken::at(other, "service accounts cannot be combined with principals or namespaces in one source").map(
        |broken| {
            broken.help("put one of them in a source of its own (sources are alternatives), or use one form")
        },
    )
}

fn port_level_needs_selector(spec: NodeRef<'_>) -> Option<Broken> {
    let (key, _) = spec.entry("portLevelMtls")?;
    let labels = spec.get("selector").and_then(|selector| selector.get("matchLabels"));
    if labels.is_some_and(|labels| labels.entries().next().is_some()) {
        return None;
    }
    Broken::at(key, "`portLevelMtls` works only with a selector that has labels").map(|broken| {
        broken.help("add `selector.matchLabels`: ports belong to workloads, not to a namespace")
    })
}

fn port(value: NodeRef<'_>) -> Option<Broken> {
    let number = match value.scalar()? {
        Scalar::Int(number) => u64::try_from(number).unwrap_or(0),
        Scalar::Uint(number) => number,
        _ => return None,
    };
    if (1..=65535).contains(&number) {
        return None;
    }
    Broken::new("a port is a number from 1 to 65535")
}

fn distinct_port_numbers(ports: NodeRef<'_>) -> Option<Broken> {
    let mut seen = std::collections::HashSet::new();
    for port in ports.items() {
        let Some(number) = port.get("number") else { continue };
        if !seen.insert(number.str()?) {
            return Broken::at(number, "this port number stands twice");
        }
    }
    None
}
