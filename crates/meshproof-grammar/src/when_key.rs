//! Keys of `when` conditions.
//!
//! What istiod's webhook admits: Istio 1.32, `pkg/config/security/security.go` (`ValidateAttribute`). What the key then
//! stands for: `pilot/pkg/security/authz/model/{model,generator,util}.go`. Between the two lie keys that are admitted and
//! cannot be translated; they become [`WhenKey::Unusable`].

use std::fmt;

use nom::bytes::complete::{tag, take_till};
use nom::combinator::{all_consuming, rest};
use nom::multi::many1;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use crate::error::ParseError;
use crate::text::shown;

/// The attribute that a condition tests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhenKey {
    /// `source.ip`: the peer address of this hop.
    SourceIp,
    /// `remote.ip`: the original client address.
    RemoteIp,
    /// `source.namespace`.
    SourceNamespace,
    /// `source.serviceAccount`.
    SourceServiceAccount,
    /// `source.principal`.
    SourcePrincipal,
    /// `source.trustDomain`.
    SourceTrustDomain,
    /// `request.auth.principal`: issuer and subject of the token.
    RequestPrincipal,
    /// `request.auth.audiences`.
    RequestAudiences,
    /// `request.auth.presenter`.
    RequestPresenter,
    /// `request.auth.claims[a][b]`: a claim, by its path.
    RequestClaim(Vec<String>),
    /// `request.headers[name]`, the name as written.
    RequestHeader(String),
    /// `destination.ip`.
    DestinationIp,
    /// `destination.port`.
    DestinationPort,
    /// `connection.sni`.
    ConnectionSni,
    /// `experimental.envoy.filters.a.b[key]`: dynamic metadata of an Envoy filter.
    EnvoyFilter {
        /// The filter, `envoy.filters.a.b`.
        filter: String,
        /// The metadata key.
        key: String,
    },
    /// Admitted because only the start and the brackets are checked, but not translatable: an ALLOW rule with it is
    /// dropped, elsewhere the condition is.
    Unusable(String),
}

const HEADERS: &str = "request.headers";
const CLAIMS: &str = "request.auth.claims";
const EXPERIMENTAL: &str = "experimental.envoy.filters.";

/// The keys without brackets.
const PLAIN: [(&str, WhenKey); 12] = [
    ("source.ip", WhenKey::SourceIp),
    ("remote.ip", WhenKey::RemoteIp),
    ("source.namespace", WhenKey::SourceNamespace),
    ("source.serviceAccount", WhenKey::SourceServiceAccount),
    ("source.principal", WhenKey::SourcePrincipal),
    ("source.trustDomain", WhenKey::SourceTrustDomain),
    ("request.auth.principal", WhenKey::RequestPrincipal),
    ("request.auth.audiences", WhenKey::RequestAudiences),
    ("request.auth.presenter", WhenKey::RequestPresenter),
    ("destination.ip", WhenKey::DestinationIp),
    ("destination.port", WhenKey::DestinationPort),
    ("connection.sni", WhenKey::ConnectionSni),
];

fn bracketed(input: &str) -> IResult<&str, &str> {
    delimited(tag("["), take_till(|c| c == '[' || c == ']'), tag("]")).parse(input)
}

/// `[a][b]`, or, when the brackets are irregular, everything inside the outer pair as one name.
fn claim_path(text: &str) -> Option<Vec<String>> {
    if let Ok((_, names)) = all_consuming(many1(bracketed)).parse(text) {
        return Some(names.into_iter().map(str::to_owned).collect());
    }
    outer_brackets(text).map(|name| vec![name.to_owned()])
}

fn outer_brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

fn after_tag<'a>(prefix: &'static str, text: &'a str) -> Option<&'a str> {
    preceded(tag::<_, _, nom::error::Error<&str>>(prefix), rest).parse(text).ok().map(|(_, rest)| rest)
}

impl WhenKey {
    /// Reads a key as istiod's webhook does.
    ///
    /// # Errors
    /// An empty or unknown key, or one with malformed brackets; with the key that was probably meant, if there is one.
    pub fn parse(text: &str) -> Result<WhenKey, ParseError> {
        if text.is_empty() {
            return Err(ParseError::new(0..0, "the key of a condition must not be empty"));
        }
        if let Some((_, key)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Ok(key.clone());
        }
        for family in [HEADERS, CLAIMS, EXPERIMENTAL] {
            if let Some(brackets) = after_tag(family, text) {
                check_brackets(text, family)?;
                return Ok(bracket_key(text, family, brackets));
            }
        }
        Err(unknown(text))
    }

    /// Whether the key only exists in HTTP requests, so that TCP chains cannot test it.
    pub fn is_http_only(&self) -> bool {
        match self {
            WhenKey::RequestHeader(_)
            | WhenKey::RequestClaim(_)
            | WhenKey::RequestPrincipal
            | WhenKey::RequestAudiences
            | WhenKey::RequestPresenter => true,
            WhenKey::Unusable(text) => text.starts_with("request."),
            _ => false,
        }
    }

    /// Whether ztunnel can test the key (Istio 1.32, `serviceregistry/ambient/authorization.go`); it counts every other
    /// key as one of layer 7.
    pub fn is_known_to_ztunnel(&self) -> bool {
        matches!(
            self,
            WhenKey::SourceIp
                | WhenKey::SourceNamespace
                | WhenKey::SourcePrincipal
                | WhenKey::DestinationIp
                | WhenKey::DestinationPort
        )
    }

    /// Whether the values are addresses or blocks.
    pub fn takes_addresses(&self) -> bool {
        matches!(self, WhenKey::SourceIp | WhenKey::RemoteIp | WhenKey::DestinationIp)
    }

    /// Whether a CUSTOM policy may use the key: it runs before tokens and identities are looked at.
    pub fn is_allowed_in_custom(&self) -> bool {
        match self {
            WhenKey::SourceNamespace
            | WhenKey::SourceServiceAccount
            | WhenKey::SourceTrustDomain
            | WhenKey::SourcePrincipal => false,
            key => !key.to_string().starts_with("request.auth."),
        }
    }

    /// What an admitted key does not do that its text seems to say, with the place.
    pub fn oddity(&self) -> Option<ParseError> {
        let text = self.to_string();
        match self {
            WhenKey::Unusable(_) => {
                let family = if text.starts_with(HEADERS) { HEADERS } else { CLAIMS };
                let end = text.find('[').unwrap_or(text.len());
                let error = ParseError::new(
                    family.len()..end,
                    format!(
                        "nothing may stand between `{family}` and `[`; istiod admits this key and cannot use it"
                    ),
                );
                Some(error.with_help(format!("write `{family}{}`", &text[end..])))
            }
            WhenKey::RequestHeader(name) => {
                let start = HEADERS.len() + 1;
                let bad = name.char_indices().find(|(_, c)| !is_header_char(*c))?;
                Some(name_oddity(start + bad.0, bad.1, "the name of a header"))
            }
            WhenKey::RequestClaim(path) => {
                let mut start = CLAIMS.len() + 1;
                for name in path {
                    if name.is_empty() {
                        return Some(ParseError::new(start..start, "the name of a claim is empty"));
                    }
                    if let Some((at, c)) = name.char_indices().find(|(_, c)| "[]\"'".contains(*c)) {
                        return Some(name_oddity(start + at, c, "the name of a claim"));
                    }
                    start += name.len() + 2;
                }
                None
            }
            _ => None,
        }
    }
}

/// A character of a header name, or the colon of a pseudo header.
fn is_header_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:".contains(c)
}

fn name_oddity(at: usize, c: char, what: &str) -> ParseError {
    let message = format!("{} becomes a part of {what}, so it can hardly match", shown(&c.to_string()));
    let error = ParseError::new(at..at + c.len_utf8(), message);
    if c == '"' || c == '\'' {
        error.with_help("write the name in the brackets without quotes")
    } else {
        error
    }
}

/// The webhook's check: a bracket somewhere, one at the end, and something inside.
fn check_brackets(text: &str, family: &str) -> Result<(), ParseError> {
    let example = match family {
        HEADERS => "request.headers[x-user]",
        CLAIMS => "request.auth.claims[groups]",
        _ => "experimental.envoy.filters.network.mysql_proxy[db.table]",
    };
    let end = text.len();
    let error = match text.find('[') {
        None => ParseError::new(end..end, "the name in brackets is missing"),
        Some(_) if !text.ends_with(']') => ParseError::new(end..end, "the closing `]` is missing at the end"),
        Some(open) if open + 2 >= end => ParseError::new(open..end, "the brackets are empty"),
        Some(_) => return Ok(()),
    };
    let help = match (text.strip_prefix(family).and_then(|rest| rest.strip_prefix('.')), family) {
        (Some(name), HEADERS | CLAIMS) if !name.is_empty() && !name.contains('[') => {
            format!("write `{family}[{name}]`")
        }
        _ => format!("write it as in `{example}`"),
    };
    Err(error.with_help(help))
}

fn bracket_key(text: &str, family: &str, brackets: &str) -> WhenKey {
    let key = match family {
        HEADERS => outer_brackets(brackets).map(|name| WhenKey::RequestHeader(name.to_owned())),
        CLAIMS => claim_path(brackets).map(WhenKey::RequestClaim),
        _ => text["experimental.".len()..]
            .strip_suffix(']')
            .and_then(|inner| inner.split_once('['))
            .map(|(filter, key)| WhenKey::EnvoyFilter { filter: filter.to_owned(), key: key.to_owned() }),
    };
    key.unwrap_or_else(|| WhenKey::Unusable(text.to_owned()))
}

fn unknown(text: &str) -> ParseError {
    let all = 0..text.len();
    match text {
        "destination.namespace" => {
            return ParseError::new(all, "`destination.namespace` does not exist any more")
                .with_help("put the policy into that namespace");
        }
        "destination.name" | "destination.user" => {
            return ParseError::new(all, format!("`{text}` existed in v1alpha1 only"))
                .with_help("select workloads with `selector` or `targetRefs`");
        }
        _ if text.starts_with("destination.labels") => {
            return ParseError::new(all, "`destination.labels` does not exist any more")
                .with_help("select workloads with `selector`");
        }
        _ => {}
    }
    let error = ParseError::new(all, format!("{} is not a key that conditions know", shown(text)));
    match nearest(text) {
        Some(meant) => error.with_help(format!("did you mean `{meant}`?")),
        None => error,
    }
}

/// A known key at a small distance: wrong case first, then few typing errors in the part before the brackets.
fn nearest(text: &str) -> Option<String> {
    let end = text.find('[').unwrap_or(text.len());
    let (name, brackets) = text.split_at(end);
    let families = [HEADERS, CLAIMS];
    let candidates = PLAIN.iter().map(|(known, _)| *known).filter(|_| brackets.is_empty());
    let with_brackets = families.into_iter().filter(|_| !brackets.is_empty());
    let best = candidates
        .chain(with_brackets)
        .map(|known| (distance(&name.to_ascii_lowercase(), &known.to_ascii_lowercase()), known))
        .min()?;
    (best.0 <= 3).then(|| format!("{}{brackets}", best.1))
}

/// Edit distance, capped: texts whose lengths differ by more than 3 are far apart. Both are short, the first is cut.
fn distance(text: &str, known: &str) -> usize {
    let (text, known) = (text.as_bytes(), known.as_bytes());
    if text.len().abs_diff(known.len()) > 3 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (i, a) in text.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in known.iter().enumerate() {
            let replace = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[known.len()]
}

impl fmt::Display for WhenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhenKey::RequestHeader(name) => write!(f, "{HEADERS}[{name}]"),
            WhenKey::RequestClaim(path) => {
                f.write_str(CLAIMS)?;
                path.iter().try_for_each(|name| write!(f, "[{name}]"))
            }
            WhenKey::EnvoyFilter { filter, key } => write!(f, "experimental.{filter}[{key}]"),
            WhenKey::Unusable(text) => f.write_str(text),
            plain => {
                let name = PLAIN.iter().find(|(_, key)| key == plain).map(|(name, _)| *name);
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> WhenKey {
        WhenKey::parse(text).unwrap()
    }

    #[test]
    fn brackets() {
        assert_eq!(key("request.headers[X-User]"), WhenKey::RequestHeader("X-User".into()));
        assert_eq!(key("request.auth.claims[a][b]"), WhenKey::RequestClaim(vec!["a".into(), "b".into()]));
        assert_eq!(key("request.auth.claims[a]x[b]"), WhenKey::RequestClaim(vec!["a]x[b".into()]));
        assert_eq!(
            key("experimental.envoy.filters.network.mysql_proxy[db.table]"),
            WhenKey::EnvoyFilter {
                filter: "envoy.filters.network.mysql_proxy".into(),
                key: "db.table".into()
            }
        );
    }

    #[test]
    fn admitted_but_unusable() {
        for text in ["request.headersX[a]", "request.auth.claims.foo[a]"] {
            assert_eq!(key(text), WhenKey::Unusable(text.into()));
            assert!(key(text).oddity().is_some());
            assert!(key(text).is_http_only());
        }
        assert_eq!(key("request.headers[\"a\"]").oddity().unwrap().at, 16..17);
        assert_eq!(key("request.headers[a][b]").oddity().unwrap().at, 17..18);
        assert_eq!(key("request.auth.claims[a][]").oddity().unwrap().at, 23..23);
        assert_eq!(key("request.headers[:authority]").oddity(), None);
    }

    #[test]
    fn suggestions() {
        let help = |text: &str| WhenKey::parse(text).unwrap_err().help.unwrap_or_default();
        assert_eq!(help("source.serviceaccount"), "did you mean `source.serviceAccount`?");
        assert_eq!(help("request.header[x]"), "did you mean `request.headers[x]`?");
        assert_eq!(help("request.headers.foo"), "write `request.headers[foo]`");
        assert_eq!(help("source.labels[x]"), "");
        assert_eq!(help("nothing.like.it"), "");
    }

    #[test]
    fn custom_and_ztunnel() {
        assert!(!key("request.auth.claims[a]").is_allowed_in_custom());
        assert!(!key("request.auth.claims.foo[a]").is_allowed_in_custom());
        assert!(key("request.headers[a]").is_allowed_in_custom());
        assert!(!key("source.serviceAccount").is_known_to_ztunnel());
    }
}
