//! The names of peers.

use crate::bytes::position;
use crate::kinds::Engine;

/// The parts that a table looks up of the name of a workload (`spiffe://…`): its trust domain, its namespace, and
/// `namespace/sa/account`. Nothing for every other name.
pub fn workload_parts(name: &[u8], engine: Engine) -> Option<[&[u8]; 3]> {
    Identity::of_workload(name, engine).map(|found| [found.trust_domain, found.namespace, found.tail])
}

/// How names of URI SANs of the mesh begin.
pub(crate) const SCHEME: &[u8] = b"spiffe://";

/// A name in its parts, without copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity<'n> {
    /// `td/ns/namespace/sa/account`.
    pub principal: &'n [u8],
    /// `td`.
    pub trust_domain: &'n [u8],
    /// `namespace`.
    pub namespace: &'n [u8],
    /// `account`.
    pub account: &'n [u8],
    /// `namespace/sa/account`.
    pub tail: &'n [u8],
}

impl<'n> Identity<'n> {
    /// The name of a workload: `spiffe://td/ns/namespace/sa/account`, no part empty; nothing for every other name.
    pub fn parse(name: &'n [u8]) -> Option<Identity<'n>> {
        let principal = name.strip_prefix(SCHEME)?;
        let slash = position(principal, [b'/'])?;
        let (trust_domain, rest) = principal.split_at(slash);
        let tail = rest.strip_prefix(b"/ns/")?;
        let slash = position(tail, [b'/'])?;
        let (namespace, rest) = tail.split_at(slash);
        let account = rest.strip_prefix(b"/sa/")?;
        let is_whole = !trust_domain.is_empty() && !namespace.is_empty() && !account.is_empty();
        (is_whole && position(account, [b'/']).is_none()).then_some(Identity {
            principal,
            trust_domain,
            namespace,
            account,
            tail,
        })
    }

    /// The one name that ztunnel knows: an identity of a workload, its parts of the characters that they can have.
    pub fn of_ztunnel(name: &'n [u8]) -> Option<Identity<'n>> {
        let identity = Identity::parse(name)?;
        let is_of_domain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
        let is_of_name = |c: char| !c.is_whitespace() && !c.is_control() && c != '*';
        let tail = std::str::from_utf8(identity.tail).ok()?;
        (identity.trust_domain.iter().all(is_of_domain) && tail.chars().all(is_of_name)).then_some(identity)
    }

    /// The name of a workload all parts of which are looked up.
    #[inline]
    pub fn of_workload(name: &'n [u8], engine: Engine) -> Option<Identity<'n>> {
        match engine {
            Engine::Ztunnel => Identity::of_ztunnel(name),
            _ => Identity::parse(name).filter(Identity::is_plain),
        }
    }

    /// Whether Envoy's tests of namespaces find the namespace in its place and nowhere else. They look for `/ns/` in the
    /// whole name, and a trust domain or namespace called `ns` makes one more.
    pub fn is_plain(&self) -> bool {
        self.trust_domain != b"ns" && self.namespace != b"ns"
    }
}

/// `.*/ns/PATTERN/.*`, every star of the pattern for any text (Istio 1.32, `authz/model/generator.go`).
pub(crate) fn has_namespace(name: &[u8], pattern: &[u8]) -> bool {
    // The piece before the first star of the pattern follows `/ns/`, the one behind its last stands before a slash.
    let mut rest = name;
    let mut pieces = pattern.split(|byte| *byte == b'*').peekable();
    let mut is_first = true;
    while let Some(piece) = pieces.next() {
        let is_last = pieces.peek().is_none();
        let head: &[u8] = if is_first { b"/ns/" } else { b"" };
        let end: &[u8] = if is_last { b"/" } else { b"" };
        match find_joined(rest, [head, piece, end]) {
            Some(behind) => rest = rest.get(behind..).unwrap_or_default(),
            None => return false,
        }
        is_first = false;
    }
    true
}

/// The place behind the first occurrence of the three texts in a row.
fn find_joined(text: &[u8], parts: [&[u8]; 3]) -> Option<usize> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    (0..=text.len().checked_sub(length)?).find_map(|start| {
        let mut rest = text.get(start..)?;
        for part in parts {
            rest = rest.strip_prefix(part)?;
        }
        Some(start + length)
    })
}

/// `spiffe://.+/ns/NS/(.+/|)sa/SA(/.+)?` over the whole name (Istio 1.32, `authz/model/generator.go`).
pub(crate) fn belongs_to(name: &[u8], namespace: &[u8], account: &[u8]) -> bool {
    let Some(identity) = name.strip_prefix(SCHEME) else { return false };
    // The trust domain has one character at least. The first `/ns/NS/` leaves the most room for the rest.
    let first = match std::str::from_utf8(identity) {
        Ok(text) => text.chars().next().map_or(0, char::len_utf8),
        Err(_) => 1,
    };
    let Some(from) = identity.get(first..).filter(|_| first > 0) else { return false };
    let Some(behind) = find_joined(from, [b"/ns/", namespace, b"/"]) else { return false };
    let rest = from.get(behind..).unwrap_or_default();
    let starts = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(slash, _)| slash + 1);
    std::iter::once(0).chain(starts.filter(|start| *start > 1)).any(|start| {
        let after = rest.get(start..).and_then(|text| text.strip_prefix(b"sa/".as_slice()));
        let after = after.and_then(|text| text.strip_prefix(account));
        after.is_some_and(|after| after.is_empty() || (after.len() > 1 && after.starts_with(b"/")))
    })
}

/// `*`: any SPIFFE name. Without star: it starts with `spiffe://VALUE/`. Else `spiffe://A[^/]*B/.*` for `A*B`; later
/// stars are literal.
pub(crate) fn lies_in(name: &[u8], value: &[u8]) -> bool {
    let Some(identity) = name.strip_prefix(SCHEME) else { return false };
    if value == b"*" {
        return true;
    }
    let Some(star) = value.iter().position(|byte| *byte == b'*') else {
        return identity.strip_prefix(value).is_some_and(|rest| rest.starts_with(b"/"));
    };
    let (start, end) = (value.get(..star).unwrap_or_default(), value.get(star + 1..).unwrap_or_default());
    let Some(rest) = identity.strip_prefix(start) else { return false };
    let free = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    (0..=free).any(|at| {
        let after = rest.get(at..).and_then(|text| text.strip_prefix(end));
        after.is_some_and(|after| after.starts_with(b"/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let of = |name: &'static str| Identity::parse(name.as_bytes());
        let identity = of("spiffe://td/ns/a/sa/b").expect("an identity");
        assert_eq!((identity.trust_domain, identity.namespace), (&b"td"[..], &b"a"[..]));
        assert_eq!((identity.account, identity.tail), (&b"b"[..], &b"a/sa/b"[..]));
        for other in [
            "td/ns/a/sa/b",
            "spiffe:///ns/a/sa/b",
            "spiffe://td/ns/a/sa/",
            "spiffe://td/ns/a/sa/b/c",
            "spiffe://td/x/ns/a/sa/b",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        for other in ["spiffe://t*/ns/a/sa/b", "spiffe://td/ns/a/sa/b*", "spiffe://td/ns/a /sa/b"] {
            assert!(of(other).is_some() && Identity::of_ztunnel(other.as_bytes()).is_none(), "{other}");
        }
        assert!(!of("spiffe://td/ns/ns/sa/b").expect("an identity").is_plain());
    }

    #[test]
    fn namespaces() {
        let has = |pattern: &str, name: &str| has_namespace(name.as_bytes(), pattern.as_bytes());
        assert!(has("foo", "spiffe://td/ns/foo/sa/x") && !has("foo", "spiffe://td/ns/foobar/sa/x"));
        assert!(has("*", "spiffe://td/ns/foo/sa/x") && has("f*o*", "spiffe://td/ns/foo/sa/x"));
        assert!(has("*a", "spiffe://td/ns/foo/sa/x") && !has("*b", "spiffe://td/ns/foo/sa/x"));
        assert!(!has("*", "client.example") && !has("", "/ns/x/"));
    }
}
