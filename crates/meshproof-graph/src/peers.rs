//! What a rule asks of whoever calls: the identity of the peer, and the token.

use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::spiffe::SCHEME;
use meshproof_space::{Clause, RequestBox, Test, Variable};

/// Tests of the caller alone: those of its identity and of its token. Without any, everybody meets them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peers {
    /// All have to hold.
    pub clauses: Vec<Clause>,
}

impl Peers {
    /// Parts a box into what it asks of the caller and what it asks of the request.
    pub(crate) fn part(mut whole: RequestBox) -> (Peers, RequestBox) {
        let mut clauses = Vec::new();
        whole.clauses.retain(|clause| {
            let is_of_caller = matches!(clause.variable, Variable::Peer | Variable::Token);
            if is_of_caller {
                clauses.push(clause.clone());
            }
            !is_of_caller
        });
        (Peers { clauses }, whole)
    }

    /// Whether nothing is asked.
    pub fn is_anybody(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Without the tests of identities.
    pub(crate) fn without_identity(&self) -> Peers {
        let of_token = |clause: &&Clause| clause.variable == Variable::Token;
        Peers { clauses: self.clauses.iter().filter(of_token).cloned().collect() }
    }

    /// Whether there is at most one list of tests, so that whoever meets one of it is let in.
    pub(crate) fn is_simple(&self) -> bool {
        self.clauses.len() <= 1
    }

    /// Whether an identity is asked for.
    pub(crate) fn asks_for_identity(&self) -> bool {
        self.clauses.iter().any(|clause| clause.variable == Variable::Peer)
    }

    /// Whether a token is asked for.
    pub fn asks_for_token(&self) -> bool {
        self.clauses.iter().any(|clause| clause.variable == Variable::Token)
    }

    /// Whether a peer with this identity (without scheme; nothing for plaintext) meets the tests of identities.
    pub fn admits(&self, principal: Option<&str>) -> bool {
        let holds = |test: &Test| holds(test, principal);
        self.clauses.iter().filter(|clause| clause.variable == Variable::Peer).all(|clause| {
            (clause.any_of.is_empty() || clause.any_of.iter().any(holds)) && !clause.none_of.iter().any(holds)
        })
    }

    /// The first list of tests of which one has to hold for the identity.
    pub(crate) fn wanted(&self) -> Option<&[Test]> {
        let mut lists = self.clauses.iter().filter(|clause| clause.variable == Variable::Peer);
        lists.find_map(|clause| (!clause.any_of.is_empty()).then_some(clause.any_of.as_slice()))
    }

    /// The tests with a list of them that an identity meets, so that two callers with equal lists fare alike.
    pub(crate) fn signature(&self, principal: Option<&str>) -> Vec<bool> {
        let tests = self.clauses.iter().filter(|clause| clause.variable == Variable::Peer);
        tests
            .flat_map(|clause| clause.any_of.iter().chain(&clause.none_of))
            .map(|test| holds(test, principal))
            .collect()
    }
}

/// Only this peer.
pub(crate) fn exactly(principal: Option<&str>) -> Clause {
    let test = match principal {
        None => Test::Absent,
        Some(principal) => Test::Principal(Pattern::Exact(principal.to_owned())),
    };
    Clause::any(Variable::Peer, vec![test])
}

/// Whether an identity passes a test (authorization reference; `meshproof_authz::matchers::identity`).
fn holds(test: &Test, principal: Option<&str>) -> bool {
    let Some(principal) = principal else { return matches!(test, Test::Absent) };
    match test {
        Test::Principal(pattern) => pattern.matches(principal),
        Test::Namespace(pattern) => pattern.matches_name(&format!("{SCHEME}{principal}")),
        Test::NamespaceName(pattern) => namespace_of(principal).is_some_and(|name| pattern.matches(name)),
        Test::ServiceAccount { namespace, name } => {
            let mut parts = principal.splitn(2, '/');
            let rest = parts.nth(1).and_then(|rest| rest.strip_prefix("ns/"));
            let rest = rest.and_then(|rest| rest.strip_prefix(namespace.as_str()));
            rest.and_then(|rest| rest.strip_prefix("/sa/")) == Some(name.as_str())
        }
        Test::TrustDomain(domain) => {
            let own = principal.split('/').next().unwrap_or_default();
            match domain.split_once('*') {
                None => own == domain,
                Some((start, end)) => {
                    own.len() >= start.len() + end.len() && own.starts_with(start) && own.ends_with(end)
                }
            }
        }
        _ => false,
    }
}

/// The namespace of an identity.
pub(crate) fn namespace_of(principal: &str) -> Option<&str> {
    principal.split('/').nth(2)
}
