//! Sets of requests and of callers as people say them: `GET, POST on /api/*`, `sa shop/web`.

use std::collections::BTreeSet;
use std::fmt;

use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::spiffe::SpiffeId;

use crate::boxes::{Clause, RequestBox};
use crate::test::{Half, Test};
use crate::variable::Variable;

/// Values of one list that are said; the rest is counted.
const SAID: usize = 6;

/// What a set of requests is called that leaves nothing out.
pub fn everything(is_http: bool) -> &'static str {
    if is_http { "anything" } else { "any connection" }
}

/// The requests of a box in words. `is_http`: what arrives are requests, not connections alone.
pub fn requests(of: &RequestBox, is_http: bool) -> String {
    let (mut methods, mut paths, mut rest) = (None, None, Vec::new());
    for clause in &of.clauses {
        match clause.variable {
            Variable::Method => methods = both(methods, list(clause)),
            Variable::Path => paths = both(paths, list(clause)),
            _ => rest.push(condition(clause)),
        }
    }
    let mut said = match (&methods, &paths) {
        (None, None) => everything(is_http).to_owned(),
        (Some(methods), None) => methods.clone(),
        (methods, Some(paths)) => {
            format!("{} on {paths}", methods.as_deref().unwrap_or(everything(is_http)))
        }
    };
    for condition in rest {
        said.push(' ');
        said.push_str(&condition);
    }
    said
}

/// Two clauses of one variable.
fn both(one: Option<String>, other: String) -> Option<String> {
    Some(match one {
        None => other,
        Some(one) => format!("{one} and {other}"),
    })
}

/// The values of a clause: `GET, POST`, `anything but DELETE`, `/api/* but not /api/admin`.
fn list(clause: &Clause) -> String {
    let wanted = said(&clause.variable, &clause.any_of);
    match (wanted.is_empty(), clause.none_of.is_empty()) {
        (false, true) => wanted,
        (true, _) => format!("anything but {}", said(&clause.variable, &clause.none_of)),
        (false, false) => format!("{wanted} but not {}", said(&clause.variable, &clause.none_of)),
    }
}

fn said(variable: &Variable, tests: &[Test]) -> String {
    let mut words: Vec<String> = tests.iter().map(|test| value(variable, test)).collect();
    let mut known = BTreeSet::new();
    words.retain(|word| known.insert(word.clone()));
    let left = words.len().saturating_sub(SAID);
    words.truncate(SAID);
    let text = words.join(", ");
    if left > 0 { format!("{text} and {left} more") } else { text }
}

fn condition(clause: &Clause) -> String {
    let values = list(clause);
    match &clause.variable {
        Variable::Authority => format!("at host {values}"),
        Variable::DestinationPort => format!("to port {values}"),
        Variable::Sni => format!("for server name {values}"),
        Variable::SourceIp => format!("from address {values}"),
        Variable::RemoteIp => format!("from original address {values}"),
        Variable::DestinationIp => format!("to address {values}"),
        Variable::Header(name) => format!("with header {name}: {values}"),
        Variable::Claim(path) => format!("with claim {}: {values}", path.join(".")),
        Variable::Metadata { filter, key, .. } => format!("with metadata {filter}[{key}]: {values}"),
        Variable::Peer if clause.any_of.is_empty() => match clause.none_of.as_slice() {
            [Test::Principal(Pattern::Present)] => "without an identity".to_owned(),
            others => format!("from anybody but {}", said(&clause.variable, others)),
        },
        Variable::Peer => format!("from {values}"),
        Variable::Token if clause.any_of.is_empty() => {
            format!("without a token of {}", said(&clause.variable, &clause.none_of))
        }
        Variable::Token => format!("with a token of {values}"),
        Variable::Method | Variable::Path => values,
    }
}

/// One test of the variable.
pub(crate) fn value(variable: &Variable, test: &Test) -> String {
    match test {
        Test::Absent => match variable {
            Variable::Peer => "nobody known (no client certificate)",
            Variable::Token => "nobody",
            Variable::Path => "no path (CONNECT)",
            _ => "nothing",
        }
        .to_owned(),
        Test::Principal(pattern) => principal(pattern),
        Test::Namespace(pattern) if pattern.text.contains('*') => format!("namespaces {}", pattern.text),
        Test::Namespace(pattern) => format!("namespace {}", pattern.text),
        Test::NamespaceName(Pattern::Exact(name)) => format!("namespace {name}"),
        Test::NamespaceName(pattern) => format!("namespaces {pattern}"),
        Test::ServiceAccount { namespace, name } => format!("sa {namespace}/{name}"),
        Test::TrustDomain(domain) => format!("trust domain {domain}"),
        Test::Block(block) if block.prefix_len() == block.max_prefix_len() => block.addr().to_string(),
        Test::Block(block) => block.to_string(),
        Test::Port(port) => port.to_string(),
        Test::Header(pattern) if *variable == Variable::Path => format!("{pattern} (query included)"),
        Test::Text(pattern) | Test::Header(pattern) | Test::Host(pattern) | Test::Path(pattern) => {
            match pattern {
                Pattern::Exact(text) if text.is_empty() => "''".to_owned(),
                pattern => pattern.to_string(),
            }
        }
        Test::Template(template) => template.to_string(),
        Test::Token { issuer: None | Some(Pattern::Present), subject: None | Some(Pattern::Present) } => {
            "any issuer".to_owned()
        }
        Test::Token { issuer, subject } => {
            let part = |part: &Option<Pattern>| part.as_ref().map_or("*".to_owned(), ToString::to_string);
            format!("{}/{}", part(issuer), part(subject))
        }
        Test::Word { of: Half::Issuer, pattern } => format!("issuers with the word {pattern}"),
        Test::Word { of: Half::Subject, pattern } => format!("subjects with the word {pattern}"),
    }
}

/// `sa shop/web`; trust domains are not said, since policies mean those of the mesh.
fn principal(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Present => "anybody with an identity".to_owned(),
        Pattern::Exact(text) => match SpiffeId::parse_principal(text) {
            Ok(id) => format!("sa {}/{}", id.namespace, id.service_account),
            Err(_) => format!("identity {text}"),
        },
        Pattern::Prefix(text) => {
            let namespace = text.split_once("/ns/").and_then(|(_, rest)| rest.strip_suffix("/sa/"));
            match namespace.filter(|name| !name.contains('/')) {
                Some(name) => format!("namespace {name}"),
                None => format!("identities {text}*"),
            }
        }
        Pattern::Suffix(text) => format!("identities *{text}"),
    }
}

/// Whom tests of peers and tokens admit: `sa shop/web, sa shop/cart`, `anybody but namespace dev`; nothing when everybody is.
pub fn callers(clauses: &[Clause]) -> Option<String> {
    let mut words = Vec::new();
    for clause in clauses {
        let wanted = said(&clause.variable, &clause.any_of);
        let unwanted = said(&clause.variable, &clause.none_of);
        words.push(match (&clause.variable, wanted.is_empty(), unwanted.is_empty()) {
            (Variable::Token, false, true) => format!("with a token of {wanted}"),
            (Variable::Token, false, false) => format!("with a token of {wanted} but not {unwanted}"),
            (Variable::Token, true, _) => format!("without a token of {unwanted}"),
            (_, false, true) => wanted,
            (_, true, _) => format!("anybody but {unwanted}"),
            (_, false, false) => format!("{wanted} but not {unwanted}"),
        });
    }
    (!words.is_empty()).then(|| words.join(", "))
}

impl fmt::Display for RequestBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&requests(self, true))
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RequestBox::of(vec![self.clone()]).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Test {
        Test::Path(Pattern::parse(text))
    }

    fn method(text: &str) -> Test {
        Test::Header(Pattern::parse(text))
    }

    #[test]
    fn requests_are_said_as_people_say_them() {
        let methods = Clause::any(Variable::Method, vec![method("GET"), method("POST")]);
        let paths = Clause::any(Variable::Path, vec![path("/api/*")]);
        let whole = RequestBox::of(vec![methods, paths.clone()]);
        assert_eq!(requests(&whole, true), "GET, POST on /api/*");
        assert_eq!(requests(&RequestBox::of(vec![paths]), true), "anything on /api/*");
        assert_eq!(requests(&RequestBox::all(), true), "anything");
        assert_eq!(requests(&RequestBox::all(), false), "any connection");
        let but = Clause::new(Variable::Path, vec![path("/a*")], vec![path("/ab")]);
        assert_eq!(requests(&RequestBox::of(vec![but]), true), "anything on /a* but not /ab");
        let header = Clause::any(Variable::Header("x".to_owned()), vec![method("1")]);
        assert_eq!(requests(&RequestBox::of(vec![header]), true), "anything with header x: 1");
    }

    #[test]
    fn long_lists_are_counted() {
        let paths = (0..9).map(|at| path(&format!("/{at}"))).collect();
        let whole = RequestBox::of(vec![Clause::any(Variable::Path, paths)]);
        assert_eq!(requests(&whole, true), "anything on /0, /1, /2, /3, /4, /5 and 3 more");
    }

    #[test]
    fn callers_are_said_as_people_say_them() {
        let of = |text: &str| Test::Principal(Pattern::parse(text));
        let said = |clause: Clause| callers(&[clause]);
        let peer = |any_of| Clause::any(Variable::Peer, any_of);
        let aliases = vec![of("cluster.local/ns/a/sa/b"), of("old/ns/a/sa/b"), of("cluster.local/ns/a/sa/c")];
        assert_eq!(said(peer(aliases)).as_deref(), Some("sa a/b, sa a/c"));
        assert_eq!(said(peer(vec![of("cluster.local/ns/dev/sa/*")])).as_deref(), Some("namespace dev"));
        assert_eq!(said(peer(vec![of("*")])).as_deref(), Some("anybody with an identity"));
        let not = Clause::none(Variable::Peer, vec![of("cluster.local/ns/a/sa/b")]);
        assert_eq!(said(not).as_deref(), Some("anybody but sa a/b"));
        assert_eq!(callers(&[]), None);
    }
}
