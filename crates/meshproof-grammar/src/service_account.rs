//! Values of `serviceAccounts`: `account` or `namespace/account`.
//!
//! Rules: Istio 1.32, `pkg/config/validation/validation.go` and `pilot/pkg/security/authz/model/generator.go`.

use std::fmt;

use nom::bytes::complete::{tag, take_till};
use nom::combinator::{opt, rest};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::error::ParseError;
use crate::spiffe::SCHEME;
use crate::text::{offset, shown};

/// The longest value that is admitted.
const MAX: usize = 320;

/// A service account, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceAccountRef {
    /// The written namespace; without it the namespace of the *policy* is meant, in the root namespace too.
    pub namespace: Option<String>,
    /// The name of the account.
    pub name: String,
}

fn halves(input: &str) -> IResult<&str, (&str, Option<&str>)> {
    (take_till(|c| c == '/'), opt(preceded(tag("/"), rest))).parse(input)
}

impl ServiceAccountRef {
    /// Reads a value as istiod's webhook does.
    ///
    /// # Errors
    /// Empty, longer than 320 characters, a star, more than one slash, or an empty half.
    pub fn parse(text: &str) -> Result<ServiceAccountRef, ParseError> {
        if text.is_empty() {
            return Err(ParseError::new(0..0, "a service account must not be empty"));
        }
        if text.len() > MAX {
            let start = text.char_indices().map(|(at, _)| at).find(|at| *at >= MAX).unwrap_or(0);
            let message =
                format!("a service account may have at most {MAX} characters, this one has {}", text.len());
            return Err(ParseError::new(start..text.len(), message));
        }
        if let Some(at) = text.find('*') {
            return Err(ParseError::new(at..at + 1, "wildcards are not allowed in a service account")
                .with_help("use `principals` with a pattern, such as `*/ns/prod/sa/*`"));
        }
        let (_, (first, second)) =
            halves(text).map_err(|_| ParseError::new(0..text.len(), "not a service account"))?;
        let Some(second) = second else {
            return Ok(ServiceAccountRef { namespace: None, name: first.to_owned() });
        };
        let second_at = offset(text, second);
        if let Some(at) = second.find('/') {
            let at = second_at + at;
            let error = ParseError::new(at..at + 1, format!("{} has more than one `/`", shown(text)));
            return Err(error
                .with_help("write `account` or `namespace/account`; whole identities go to `principals`"));
        }
        if first.is_empty() {
            return Err(ParseError::new(0..0, "the namespace before `/` is empty"));
        }
        if second.is_empty() {
            return Err(ParseError::new(second_at..second_at, "the service account after `/` is empty"));
        }
        Ok(ServiceAccountRef { namespace: Some(first.to_owned()), name: second.to_owned() })
    }

    /// The namespace meant by a policy of the given namespace.
    pub fn namespace_in<'a>(&'a self, policy_namespace: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(policy_namespace)
    }

    /// Envoy: whether a name of the peer certificate belongs to the account, in any trust domain. The whole name has to
    /// match `spiffe://.+/ns/NS/(.+/|)sa/SA(/.+)?`, so further parts between and behind are accepted.
    pub fn matches_name(&self, name: &str, policy_namespace: &str) -> bool {
        let Some(identity) = name.strip_prefix(SCHEME) else { return false };
        let namespace = self.namespace_in(policy_namespace);
        // The trust domain needs one character at least, so the first `/ns/NS/` counts from there on. Any later one
        // leaves less room for `sa/SA`, so the first is enough; it may overlap with nothing before it.
        let Some(first) = identity.char_indices().nth(1).map(|(at, _)| at) else { return false };
        let rests = identity[first..].match_indices('/').map(|(slash, _)| &identity[first + slash..]);
        let mut found =
            rests.filter_map(|rest| rest.strip_prefix("/ns/")?.strip_prefix(namespace)?.strip_prefix('/'));
        let Some(behind) = found.next() else { return false };
        let starts = behind.match_indices('/').map(|(slash, _)| slash + 1).filter(|start| *start > 1);
        std::iter::once(0).chain(starts).any(|start| {
            let account = behind[start..].strip_prefix("sa/");
            let after = account.and_then(|account| account.strip_prefix(self.name.as_str()));
            after.is_some_and(|after| after.is_empty() || (after.len() > 1 && after.starts_with('/')))
        })
    }
}

impl fmt::Display for ServiceAccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long() {
        let short = ServiceAccountRef::parse("sleep").unwrap();
        assert_eq!(short.namespace_in("istio-system"), "istio-system");
        assert!(short.matches_name("spiffe://td/ns/foo/sa/sleep", "foo"));
        assert!(!short.matches_name("spiffe://td/ns/foo/sa/sleeper", "foo"));
        let long = ServiceAccountRef::parse("prod/web").unwrap();
        assert!(long.matches_name("spiffe://td/ns/prod/sa/web", "foo"));
        assert!(long.matches_name("spiffe://td/x/ns/prod/y/sa/web/z", "foo"));
        assert!(long.matches_name("spiffe://td/ns/ns/prod/sa/web", "foo"), "two places may overlap");
        assert!(!long.matches_name("spiffe:///ns/prod/sa/web", "foo"));
        assert!(!long.matches_name("spiffe://td/ns/prod/xsa/web", "foo"));
        assert!(!long.matches_name("spiffe://td/ns/prod//sa/web", "foo"));
    }

    #[test]
    fn errors() {
        let at = |text: &str| ServiceAccountRef::parse(text).unwrap_err().at;
        assert_eq!(at(""), 0..0);
        assert_eq!(at("a/*"), 2..3);
        assert_eq!(at("a/b/c"), 3..4);
        assert_eq!(at("/a"), 0..0);
        assert_eq!(at("a/"), 2..2);
        assert_eq!(at(&"a".repeat(321)), 320..321);
    }
}
