//! Boxes as people say them: `GET or POST on /api/* from namespace web, not on /api/admin*`.

use std::fmt;

use crate::boxes::{Clause, RequestBox};
use crate::test::{Half, Test};
use crate::variable::Variable;
use meshproof_grammar::pattern::Pattern;

impl fmt::Display for RequestBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut clauses: Vec<&Clause> = self.clauses.iter().collect();
        clauses.sort_by_key(|clause| place(&clause.variable));
        let wanted: Vec<String> = clauses
            .iter()
            .filter(|clause| !clause.any_of.is_empty())
            .map(|clause| phrase(&clause.variable, &clause.any_of))
            .collect();
        let refused: Vec<String> = clauses
            .iter()
            .filter(|clause| !clause.none_of.is_empty())
            .map(|clause| format!("not {}", phrase(&clause.variable, &clause.none_of)))
            .collect();
        let names_method = clauses.iter().any(|it| it.variable == Variable::Method && !it.any_of.is_empty());
        let start = if names_method { Vec::new() } else { vec!["anything".to_owned()] };
        let start = [start, wanted].concat().join(" ");
        f.write_str(&[vec![start], refused].concat().join(", "))
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RequestBox::of(vec![self.clone()]).fmt(f)
    }
}

/// Where a sentence says it.
fn place(variable: &Variable) -> usize {
    match variable {
        Variable::Method => 0,
        Variable::Path => 1,
        Variable::Authority => 2,
        Variable::DestinationPort => 3,
        Variable::DestinationIp => 4,
        Variable::Peer => 5,
        Variable::SourceIp => 6,
        Variable::RemoteIp => 7,
        Variable::Sni => 8,
        Variable::Token => 9,
        Variable::Claim(_) => 10,
        Variable::Header(_) => 11,
        Variable::Metadata { .. } => 12,
    }
}

/// The tests of one variable, of which one holds.
fn phrase(variable: &Variable, tests: &[Test]) -> String {
    let listed = tests.iter().map(|test| said(variable, test)).collect::<Vec<String>>().join(" or ");
    match variable {
        Variable::Method => listed,
        Variable::Path => format!("on {listed}"),
        Variable::Authority => format!("to host {listed}"),
        Variable::DestinationPort => format!("to port {listed}"),
        Variable::DestinationIp => format!("to address {listed}"),
        Variable::Peer => format!("from {listed}"),
        Variable::SourceIp => format!("from address {listed}"),
        Variable::RemoteIp => format!("from client address {listed}"),
        Variable::Sni => format!("with server name {listed}"),
        Variable::Token => format!("with {listed}"),
        Variable::Claim(path) => format!("with claim {} {listed}", path.join(".")),
        Variable::Header(name) => format!("with header {name} {listed}"),
        Variable::Metadata { filter, key, .. } => format!("with metadata {filter} {key} {listed}"),
    }
}

/// One test of the variable.
pub(crate) fn said(variable: &Variable, test: &Test) -> String {
    match (variable, test) {
        (Variable::Peer, Test::Absent) => "nobody known (no client certificate)".to_owned(),
        (Variable::Token, Test::Absent) => "no token".to_owned(),
        (Variable::Path, Test::Absent) => "no path (CONNECT)".to_owned(),
        (_, Test::Absent) => "absent".to_owned(),
        (_, Test::Principal(Pattern::Present)) => "any identity".to_owned(),
        (_, Test::Principal(pattern)) => pattern.to_string(),
        (_, Test::Namespace(pattern)) => format!("namespace {pattern}"),
        (_, Test::NamespaceName(pattern)) => format!("namespace {pattern}"),
        (_, Test::ServiceAccount { namespace, name }) => format!("service account {namespace}/{name}"),
        (_, Test::TrustDomain(value)) => format!("trust domain {value}"),
        (_, Test::Block(block)) if block.prefix_len() == block.max_prefix_len() => block.addr().to_string(),
        (_, Test::Block(block)) => block.to_string(),
        (_, Test::Port(port)) => port.to_string(),
        (Variable::Method, Test::Header(Pattern::Present)) => "any method".to_owned(),
        (Variable::Path, Test::Header(pattern)) => format!("{pattern} (query included)"),
        (Variable::Path, Test::Path(Pattern::Present)) => "any path".to_owned(),
        (_, Test::Text(pattern) | Test::Header(pattern) | Test::Host(pattern) | Test::Path(pattern)) => {
            match pattern {
                Pattern::Exact(text) if text.is_empty() => "''".to_owned(),
                pattern => pattern.to_string(),
            }
        }
        (_, Test::Template(template)) => format!("{template} (template)"),
        (_, Test::Token { issuer, subject }) => token(issuer.as_ref(), subject.as_ref()),
        (_, Test::Word { of: Half::Issuer, pattern }) => format!("a token with {pattern} in its issuer"),
        (_, Test::Word { of: Half::Subject, pattern }) => format!("a token with {pattern} in its subject"),
    }
}

fn token(issuer: Option<&Pattern>, subject: Option<&Pattern>) -> String {
    match (issuer, subject) {
        (None | Some(Pattern::Present), None | Some(Pattern::Present)) => "a token".to_owned(),
        (Some(issuer), None | Some(Pattern::Present)) => format!("a token of issuer {issuer}"),
        (None | Some(Pattern::Present), Some(subject)) => format!("a token of subject {subject}"),
        (Some(issuer), Some(subject)) => format!("a token of issuer {issuer} and subject {subject}"),
    }
}
