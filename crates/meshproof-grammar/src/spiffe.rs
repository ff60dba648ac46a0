//! Workload identities: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
//!
//! Rules: Istio 1.32, `pkg/spiffe/spiffe.go`; ztunnel, `src/identity/manager.rs` (exactly five parts). A policy names
//! the same identity without `spiffe://`, which is then called a principal.

use std::fmt;

use nom::bytes::complete::{tag, take_till};
use nom::combinator::opt;
use nom::{IResult, Parser};

use crate::error::ParseError;
use crate::text::{offset, shown};

/// The scheme that certificates carry and policies leave out.
pub const SCHEME: &str = "spiffe://";

/// The identity that the mesh gives to a workload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    /// The trust domain, for instance `cluster.local`.
    pub trust_domain: String,
    /// The namespace of the workload.
    pub namespace: String,
    /// The service account that the workload runs as.
    pub service_account: String,
}

/// Everything up to the next slash, the slash itself being consumed.
fn part(input: &str) -> IResult<&str, (&str, Option<&str>)> {
    (take_till(|c| c == '/'), opt(tag("/"))).parse(input)
}

impl SpiffeId {
    /// An identity from its parts; an `@` in the trust domain becomes a dot, as in Istio's certificates.
    pub fn new(trust_domain: &str, namespace: &str, service_account: &str) -> SpiffeId {
        SpiffeId {
            trust_domain: trust_domain.replace('@', "."),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
        }
    }

    /// Reads a full identity, with `spiffe://`.
    ///
    /// # Errors
    /// A missing scheme, a wrong number of parts, parts that are not `ns` and `sa`, an empty part, or a trust domain
    /// with characters that SPIFFE does not allow.
    pub fn parse(text: &str) -> Result<SpiffeId, ParseError> {
        let (rest, scheme) = opt(tag::<_, _, nom::error::Error<&str>>(SCHEME))
            .parse(text)
            .map_err(|_| ParseError::new(0..0, "not a SPIFFE id"))?;
        if scheme.is_none() {
            return Err(ParseError::new(0..0, format!("{} does not start with `spiffe://`", shown(text)))
                .with_help(
                    "a SPIFFE id reads `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`",
                ));
        }
        SpiffeId::parse_principal(rest).map_err(|error| error.shifted(SCHEME.len()))
    }

    /// Reads an identity as policies write it, without `spiffe://`.
    ///
    /// # Errors
    /// As [`SpiffeId::parse`], and a leading `spiffe://`.
    pub fn parse_principal(text: &str) -> Result<SpiffeId, ParseError> {
        if text.starts_with(SCHEME) {
            return Err(ParseError::new(0..SCHEME.len(), "a principal is written without `spiffe://`")
                .with_help("remove the prefix"));
        }
        let mut rest = text;
        let mut parts = [""; 5];
        for (index, slot) in parts.iter_mut().enumerate() {
            let (after, (piece, slash)) =
                part(rest).map_err(|_| ParseError::new(0..text.len(), "not a principal"))?;
            let at = offset(text, piece);
            check_part(index, piece).map_err(|error| error.shifted(at))?;
            if slash.is_none() && index < 4 {
                let missing = ["/ns", "/<namespace>", "/sa", "/<service account>"][index..].concat();
                return Err(ParseError::new(
                    text.len()..text.len(),
                    format!("{} is not a whole identity: `{missing}` is missing", shown(text)),
                )
                .with_help("an identity reads `<trust domain>/ns/<namespace>/sa/<service account>`"));
            }
            if slash.is_some() && index == 4 {
                let end = at + piece.len();
                return Err(ParseError::new(end..text.len(), "an identity ends with the service account"));
            }
            *slot = piece;
            rest = after;
        }
        Ok(SpiffeId {
            trust_domain: parts[0].to_owned(),
            namespace: parts[2].to_owned(),
            service_account: parts[4].to_owned(),
        })
    }

    /// The identity as policies write it, without `spiffe://`.
    pub fn principal(&self) -> String {
        format!("{}/ns/{}/sa/{}", self.trust_domain, self.namespace, self.service_account)
    }
}

fn check_part(index: usize, piece: &str) -> Result<(), ParseError> {
    let all = 0..piece.len();
    match index {
        1 | 3 => {
            let keyword = if index == 1 { "ns" } else { "sa" };
            if piece == keyword {
                return Ok(());
            }
            Err(ParseError::new(all, format!("expected `{keyword}` here, found {}", shown(piece))))
        }
        _ => {
            let name = ["trust domain", "", "namespace", "", "service account"][index];
            if piece.is_empty() {
                return Err(ParseError::new(all, format!("the {name} is empty")));
            }
            let allowed = |c: char| {
                if index == 0 {
                    c.is_ascii_alphanumeric() || "-._".contains(c)
                } else {
                    !c.is_whitespace() && !c.is_control() && c != '*'
                }
            };
            match piece.char_indices().find(|(_, c)| !allowed(*c)) {
                None => Ok(()),
                Some((at, c)) => Err(ParseError::new(
                    at..at + c.len_utf8(),
                    format!("the character {} cannot stand in a {name}", shown(&c.to_string())),
                )),
            }
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/ns/{}/sa/{}", self.trust_domain, self.namespace, self.service_account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings() {
        let id = SpiffeId::parse("spiffe://cluster.local/ns/prod/sa/web").unwrap();
        assert_eq!(id.principal(), "cluster.local/ns/prod/sa/web");
        assert_eq!(SpiffeId::parse_principal(&id.principal()).unwrap(), id);
        assert_eq!(SpiffeId::new("me@corp", "a", "b").trust_domain, "me.corp");
    }

    #[test]
    fn errors_point_at_the_part() {
        let at = |text: &str| SpiffeId::parse(text).unwrap_err().at;
        assert_eq!(at("cluster.local/ns/a/sa/b"), 0..0);
        assert_eq!(at("spiffe://td/namespace/a/sa/b"), 12..21);
        assert_eq!(at("spiffe://td/ns//sa/b"), 15..15);
        assert_eq!(at("spiffe://td/ns/a"), 16..16);
        assert_eq!(at("spiffe://td/ns/a/sa/b/c"), 21..23);
        assert_eq!(at("spiffe://t d/ns/a/sa/b"), 10..11);
    }
}
