//! Values of `principals` and `source.principal`.
//!
//! Rules: Istio 1.32, `pilot/pkg/security/authz/model/generator.go` (how a value is tested) and
//! `pilot/pkg/security/trustdomain/bundle.go` (how trust domains are replaced). Every string is accepted; a value whose
//! shape no mesh identity can have is reported by [`PrincipalPattern::problem`].

use std::borrow::Cow;
use std::fmt;

use crate::error::ParseError;
use crate::pattern::Pattern;
use crate::spiffe::SCHEME;
use crate::text::{pieces, shown};
use crate::trust_domain::overlaps;

/// The trust domain name that stands for "the local one and its aliases".
const LOCAL: &str = "cluster.local";

/// How an identity is written in a policy: four slashes between five parts.
const SHAPE: &str = "<trust domain>/ns/<namespace>/sa/<service account>";

/// One value, as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrincipalPattern {
    /// The match pattern over the identity without `spiffe://`.
    pub pattern: Pattern,
}

/// The three variable parts of a five-part value, stars included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrincipalParts {
    /// The part before `/ns/`.
    pub trust_domain: String,
    /// The part between `/ns/` and `/sa/`.
    pub namespace: String,
    /// The part after `/sa/`.
    pub service_account: String,
}

impl PrincipalPattern {
    /// Reads a value. Every string is one.
    pub fn parse(text: &str) -> PrincipalPattern {
        PrincipalPattern { pattern: Pattern::parse(text) }
    }

    /// The parts of a value of the shape `td/ns/n/sa/s`; nothing for every other shape.
    pub fn parts(&self) -> Option<PrincipalParts> {
        let text = self.to_string();
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [trust_domain, "ns", namespace, "sa", service_account] => Some(PrincipalParts {
                trust_domain: (*trust_domain).to_owned(),
                namespace: (*namespace).to_owned(),
                service_account: (*service_account).to_owned(),
            }),
            _ => None,
        }
    }

    /// Envoy: whether a name of the peer certificate (a URI SAN with its scheme, a DNS name, a subject) matches.
    pub fn matches_name(&self, name: &str) -> bool {
        match (&self.pattern, name.strip_prefix(SCHEME)) {
            (Pattern::Present, _) => !name.is_empty(),
            (pattern, Some(principal)) => pattern.matches(principal),
            (_, None) => false,
        }
    }

    /// ztunnel: whether the identity without `spiffe://` matches.
    pub fn matches_principal(&self, principal: &str) -> bool {
        self.pattern.matches(principal)
    }

    /// Why no identity that the mesh issues can ever match, with the part that is wrong. Names from outside the mesh
    /// (SPIRE, client certificates at a gateway) may have other shapes, so this is a statement about workloads only.
    pub fn problem(&self) -> Option<ParseError> {
        let text = self.to_string();
        if text.starts_with(SCHEME) || text.strip_prefix('*').is_some_and(|rest| rest.starts_with(SCHEME)) {
            let at = text.find(SCHEME).unwrap_or(0);
            return Some(
                ParseError::new(
                    at..at + SCHEME.len(),
                    "principals are written without `spiffe://`, so this value can never match",
                )
                .with_help("remove `spiffe://`"),
            );
        }
        if let Some(oddity) = self.pattern.oddity() {
            return Some(
                ParseError::new(oddity.at, oddity.kind.explanation())
                    .with_help("an identity never holds a star; use one `*`, first or last"),
            );
        }
        match &self.pattern {
            Pattern::Present => None,
            Pattern::Exact(literal) => exact_problem(literal),
            Pattern::Prefix(literal) => prefix_problem(literal),
            Pattern::Suffix(literal) => suffix_problem(literal).map(|error| error.shifted(1)),
        }
    }
}

fn exact_problem(literal: &str) -> Option<ParseError> {
    let parts: Vec<(usize, &str)> = pieces(literal, '/').collect();
    if parts.len() < 5 {
        return Some(too_short(literal, &parts));
    }
    prefix_problem(literal).or_else(|| whole_part_problem(4, parts[4]))
}

/// A text of fewer than five parts, with advice for the usual slips.
fn too_short(literal: &str, parts: &[(usize, &str)]) -> ParseError {
    let help = match parts {
        [(_, name)] => format!(
            "write `*/ns/<namespace>/sa/{name}`, or `serviceAccounts: [\"<namespace>/{name}\"]` if only the name is known"
        ),
        [(_, namespace), (_, account)] if *namespace != "ns" && *namespace != "sa" => format!(
            "write `*/ns/{namespace}/sa/{account}`, or use `serviceAccounts: [\"{namespace}/{account}\"]`"
        ),
        _ => format!("a principal reads `{SHAPE}`"),
    };
    ParseError::new(
        0..literal.len(),
        format!("{} is not a whole identity, so it can never match", shown(literal)),
    )
    .with_help(help)
}

/// Some identity must start with the text: every part but the last is whole.
fn prefix_problem(literal: &str) -> Option<ParseError> {
    let parts: Vec<(usize, &str)> = pieces(literal, '/').collect();
    if let Some((start, _)) = parts.get(5) {
        return Some(too_long(start - 1..literal.len()));
    }
    let last = parts.len() - 1;
    for (index, part) in parts.iter().enumerate() {
        let problem = if index < last {
            whole_part_problem(index, *part)
        } else {
            keyword(index)
                .filter(|keyword| !keyword.starts_with(part.1))
                .map(|keyword| expected(keyword, *part))
        };
        if problem.is_some() {
            return problem;
        }
    }
    None
}

/// Some identity must end with the text: every part but the first is whole.
fn suffix_problem(literal: &str) -> Option<ParseError> {
    let parts: Vec<(usize, &str)> = pieces(literal, '/').collect();
    if parts.len() > 5 {
        return Some(too_long(0..parts[parts.len() - 5].0));
    }
    let skipped = 5 - parts.len();
    for (index, part) in parts.iter().enumerate() {
        let place = skipped + index;
        let problem = if index > 0 {
            whole_part_problem(place, *part)
        } else {
            keyword(place)
                .filter(|keyword| !keyword.ends_with(part.1))
                .map(|keyword| expected(keyword, *part))
        };
        if problem.is_some() {
            return problem;
        }
    }
    None
}

fn keyword(place: usize) -> Option<&'static str> {
    match place {
        1 => Some("ns"),
        3 => Some("sa"),
        _ => None,
    }
}

fn whole_part_problem(place: usize, part: (usize, &str)) -> Option<ParseError> {
    match keyword(place) {
        Some(keyword) if keyword != part.1 => Some(expected(keyword, part)),
        Some(_) => None,
        None if part.1.is_empty() => {
            let name = ["trust domain", "", "namespace", "", "service account"][place];
            Some(ParseError::new(
                part.0..part.0,
                format!("the {name} is empty, so this value can never match"),
            ))
        }
        None => None,
    }
}

fn expected(keyword: &str, part: (usize, &str)) -> ParseError {
    ParseError::new(
        part.0..part.0 + part.1.len(),
        format!("an identity has `{keyword}` where {} stands, so this value can never match", shown(part.1)),
    )
    .with_help(format!("a principal reads `{SHAPE}`"))
}

fn too_long(at: std::ops::Range<usize>) -> ParseError {
    ParseError::new(at, "an identity has five parts; these are too many, so this value can never match")
        .with_help(format!("a principal reads `{SHAPE}`"))
}

/// What Envoy receives for a value: one value per trust domain of the mesh (its own first, then the aliases), or the
/// value itself. Only a five-part value whose trust domain is `cluster.local` or one of the mesh's is replaced; four
/// parts (`cluster.local/ns/foo/*`) stay as they are. ztunnel and proxyless gRPC do not replace anything.
pub fn expand(pattern: &str, trust_domains: &[String]) -> Vec<String> {
    let mut expanded: Vec<String> = Vec::with_capacity(trust_domains.len());
    for value in expansions(pattern, trust_domains) {
        if !expanded.iter().any(|known| *known == value) {
            expanded.push(value.into_owned());
        }
    }
    expanded
}

/// Whether [`expansions`] of the value are the value itself: it is of the only trust domain there is.
pub fn is_of_only(pattern: &str, trust_domains: &[String]) -> bool {
    let [only] = trust_domains else { return false };
    pattern.strip_prefix(only.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// As [`expand`], one value after the other; some may be told twice.
pub fn expansions<'p>(pattern: &'p str, trust_domains: &[String]) -> impl Iterator<Item = Cow<'p, str>> {
    let parts = pattern.split_once('/').filter(|(written, rest)| {
        rest.bytes().filter(|byte| *byte == b'/').count() == 3
            && *written != "*"
            && (*written == LOCAL || trust_domains.iter().any(|known| overlaps(written, known)))
    });
    let replaced = parts.into_iter().flat_map(move |(written, rest)| {
        trust_domains.iter().map(move |known| {
            let stays =
                *known == written || written.strip_prefix('*').is_some_and(|ending| known.ends_with(ending));
            if stays { Cow::Borrowed(pattern) } else { Cow::Owned([known, "/", rest].concat()) }
        })
    });
    parts.is_none().then_some(Cow::Borrowed(pattern)).into_iter().chain(replaced)
}

impl fmt::Display for PrincipalPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pattern.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_at(text: &str) -> Option<std::ops::Range<usize>> {
        PrincipalPattern::parse(text).problem().map(|error| error.at)
    }

    #[test]
    fn shapes_that_can_match() {
        for text in [
            "*",
            "cluster.local/ns/a/sa/b",
            "*/ns/a/sa/b",
            "*/sa/b",
            "*a/b",
            "*-admin",
            "cluster.local/*",
            "cluster.local/ns/foo/*",
            "cluster.local/n*",
            "clus*",
            "cluster.local/ns/a/sa/*",
            "*/b",
            "*ns/a/sa/b",
        ] {
            assert_eq!(problem_at(text), None, "{text}");
        }
    }

    #[test]
    fn shapes_that_cannot() {
        assert_eq!(problem_at("spiffe://cluster.local/ns/a/sa/b"), Some(0..9));
        assert_eq!(problem_at("sleep"), Some(0..5));
        assert_eq!(problem_at("prod/sleep"), Some(0..10));
        assert_eq!(problem_at("td/ns/a/sa"), Some(0..10));
        assert_eq!(problem_at("td/namespace/a/*"), Some(3..12));
        assert_eq!(problem_at("td/ns/a/sa/b/c"), Some(12..14));
        assert_eq!(problem_at("*/ns/b"), Some(2..4));
        assert_eq!(problem_at("*/sa/"), Some(5..5));
        assert_eq!(problem_at("td/ns/*/sa/b"), Some(6..7));
        assert_eq!(problem_at("td/ns//sa/b"), Some(6..6));
        assert_eq!(problem_at(""), Some(0..0));
    }

    #[test]
    fn replacement_of_trust_domains() {
        let known = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mesh = known(&["td1", "td2"]);
        assert_eq!(expand("cluster.local/ns/a/sa/b", &mesh), ["td1/ns/a/sa/b", "td2/ns/a/sa/b"]);
        assert_eq!(expand("td2/ns/a/sa/b", &mesh), ["td1/ns/a/sa/b", "td2/ns/a/sa/b"]);
        assert_eq!(expand("cluster.local/ns/a/*", &mesh), ["cluster.local/ns/a/*"]);
        assert_eq!(expand("*/ns/a/sa/b", &mesh), ["*/ns/a/sa/b"]);
        assert_eq!(expand("other/ns/a/sa/b", &mesh), ["other/ns/a/sa/b"]);
        let aliases = known(&["new-td", "old-td", "x"]);
        assert_eq!(expand("*-td/ns/a/sa/b", &aliases), ["*-td/ns/a/sa/b", "x/ns/a/sa/b"]);
        assert_eq!(expand("spiffe://td1/ns/a/sa/b", &mesh), ["spiffe://td1/ns/a/sa/b"]);
    }

    #[test]
    fn only_presence_accepts_other_names() {
        assert!(PrincipalPattern::parse("*").matches_name("client.example"));
        assert!(!PrincipalPattern::parse("*example").matches_name("client.example"));
        assert!(PrincipalPattern::parse("*/sa/b").matches_name("spiffe://td/ns/a/sa/b"));
    }
}
