//! Which requests there are at an enforcement point.

use std::collections::BTreeMap;

use meshproof_authz::{Context, Engine};
use meshproof_grammar::pattern::Pattern;

use crate::boxes::{Clause, RequestBox};
use crate::forwarded::Views;
use crate::test::Test;
use crate::variable::Variable;

/// Which tokens request authentication lets through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tokens {
    /// Any issuer. A verified token always has one.
    #[default]
    Any,
    /// These issuers only.
    Issuers(Vec<Issuer>),
    /// No token is ever looked at: no RequestAuthentication applies.
    None,
}

/// An issuer whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The claim `iss`.
    pub name: String,
    /// A token is for one of these, that is, its claim `aud` names it; with none it may be for anybody.
    pub audiences: Vec<String>,
}

/// The requests that a set is about. The narrower, the stronger what can be said; but what is said holds for no other
/// request. Beyond what is chosen here: there always is an authority; headers, claims and metadata hold no control
/// characters; methods are tokens of HTTP; the claims `iss` and `sub` are texts; tokens are valid; port 0 does not occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Peers without any name: plaintext, or TLS without a client certificate.
    pub plaintext: bool,
    /// Peers with the identity of a workload, from any trust domain.
    pub workloads: bool,
    /// Peers with any other certificates: names that are no workload's, or several. Only gateways with mutual TLS and
    /// meshes that trust other roots have them.
    pub foreign: bool,
    /// Tokens.
    pub tokens: Tokens,
    /// CONNECT, which has no path, and `OPTIONS *`, which has no real one.
    pub pathless: bool,
    /// Another hop may hand over the client address below HTTP (PROXY protocol).
    pub proxy_protocol: bool,
    /// The ports that connections can be made to; nothing named means every one.
    pub ports: Vec<u16>,
}

impl Default for Domain {
    /// Plaintext and workloads, any token, with requests that have no path.
    fn default() -> Self {
        Domain {
            plaintext: true,
            workloads: true,
            foreign: false,
            tokens: Tokens::Any,
            pathless: true,
            proxy_protocol: false,
            ports: Vec::new(),
        }
    }
}

/// More kinds of requests than this are not told apart.
const MOST_KINDS: usize = 256;

impl Domain {
    /// The kinds of requests in which all variables are independent, the usual ones first. `used` are the variables that
    /// policies look at, `views` how the client address goes with its header. Nothing when the kinds are too many.
    pub(crate) fn kinds(
        &self,
        used: &[Variable],
        views: &Views,
        context: &Context,
    ) -> Option<Vec<RequestBox>> {
        let has = |variable: &Variable| used.contains(variable);
        let mut kinds = vec![RequestBox::all()];
        if context.engine == Engine::Grpc && has(&Variable::Sni) {
            kinds = product(&kinds, &[vec![absent(Variable::Sni)]])?;
        }
        if has(&Variable::Path) {
            kinds = product(&kinds, &self.paths())?;
        }
        if used.iter().any(Variable::is_of_token) {
            kinds = product(&kinds, &self.tokens(used))?;
            for (outer, inner) in nested_claims(used) {
                kinds = product(&kinds, &[vec![absent(inner.clone())], vec![absent(outer.clone())]])?;
            }
        }
        for variable in used {
            let Variable::Metadata { filter, key, is_list: true } = variable else { continue };
            let text = Variable::Metadata { filter: filter.clone(), key: key.clone(), is_list: false };
            if has(&text) {
                kinds = product(&kinds, &[vec![absent(text)], vec![absent(variable.clone())]])?;
            }
        }
        if let Views::Together(together) = views {
            kinds = product(&kinds, together)?;
        }
        Some(kinds)
    }

    fn paths(&self) -> Vec<Vec<Clause>> {
        let path = |pattern| Clause::any(Variable::Path, vec![Test::Path(pattern)]);
        let mut kinds = vec![vec![path(Pattern::Prefix("/".to_owned())), no_method("CONNECT")]];
        if self.pathless {
            kinds.push(vec![method("OPTIONS"), path(Pattern::Exact("*".to_owned()))]);
            kinds.push(vec![method("CONNECT"), absent(Variable::Path)]);
        }
        kinds
    }

    /// Without a token nothing of it is there; with one there is an issuer. A CORS preflight passes with its token
    /// unread (see `meshproof_authz`).
    fn tokens(&self, used: &[Variable]) -> Vec<Vec<Clause>> {
        let of_token = used.iter().filter(|variable| variable.is_of_token());
        let mut kinds = vec![of_token.clone().cloned().map(absent).collect::<Vec<Clause>>()];
        let issuer = |pattern| Test::Token { issuer: Some(pattern), subject: None };
        let known = match &self.tokens {
            Tokens::None => return kinds,
            Tokens::Any => vec![vec![Clause::any(Variable::Token, vec![issuer(Pattern::Present)])]],
            Tokens::Issuers(issuers) => by_audiences(issuers)
                .into_iter()
                .map(|(audiences, names)| {
                    let names = names.into_iter().map(|name| issuer(Pattern::Exact(name.to_owned())));
                    let audiences = (!audiences.is_empty()).then(|| {
                        let exactly = |name: &String| Test::Text(Pattern::Exact(name.clone()));
                        let claim = Variable::Claim(vec!["aud".to_owned()]);
                        Clause::any(claim, audiences.iter().map(exactly).collect())
                    });
                    [Clause::any(Variable::Token, names.collect())].into_iter().chain(audiences).collect()
                })
                .collect(),
        };
        // Issuer and subject are texts, so nothing is inside of them.
        let inside = |variable: &&Variable| matches!(variable, Variable::Claim(path) if matches!(path[0].as_str(), "iss" | "sub"));
        let flat: Vec<Clause> = of_token.filter(inside).cloned().map(absent).collect();
        let tokens = known.into_iter().map(|token| [token, flat.clone()].concat());
        let preflight = ["origin", "access-control-request-method"].map(|name| Variable::Header(name.into()));
        if !preflight.iter().all(|header| used.contains(header)) {
            kinds.extend(tokens);
            return kinds;
        }
        let missing = preflight.map(|header| Clause::none(header, vec![Test::Text(Pattern::Present)]));
        let ordinary: Vec<Clause> = [no_method("OPTIONS")].into_iter().chain(missing).collect();
        for token in tokens {
            kinds.extend(
                ordinary.iter().map(|ordinary| [token.as_slice(), std::slice::from_ref(ordinary)].concat()),
            );
        }
        kinds
    }
}

/// Issuers whose tokens have to be for the same audiences.
fn by_audiences(issuers: &[Issuer]) -> BTreeMap<&[String], Vec<&str>> {
    let mut by_audiences: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
    for issuer in issuers {
        by_audiences.entry(&issuer.audiences).or_default().push(&issuer.name);
    }
    by_audiences
}

/// A claim that is a text or a list leaves no place for claims inside of it.
fn nested_claims(used: &[Variable]) -> Vec<(&Variable, &Variable)> {
    let claims: Vec<(&Variable, &[String])> = used
        .iter()
        .filter_map(|variable| match variable {
            Variable::Claim(path) => Some((variable, path.as_slice())),
            _ => None,
        })
        .collect();
    let mut nested = Vec::new();
    for (inner, path) in claims.iter().filter(|(_, path)| path.len() > 1) {
        let outer = claims.iter().filter(|(_, other)| other.len() < path.len() && path.starts_with(other));
        nested.extend(outer.map(|(outer, _)| (*outer, *inner)));
    }
    nested
}

fn product(kinds: &[RequestBox], alternatives: &[Vec<Clause>]) -> Option<Vec<RequestBox>> {
    if kinds.len() * alternatives.len() > MOST_KINDS {
        return None;
    }
    let pairs = kinds.iter().flat_map(|kind| alternatives.iter().map(move |more| (kind, more)));
    Some(pairs.map(|(kind, more)| RequestBox::of([kind.clauses.as_slice(), more].concat())).collect())
}

fn absent(variable: Variable) -> Clause {
    Clause::any(variable, vec![Test::Absent])
}

fn method(name: &str) -> Clause {
    Clause::any(Variable::Method, vec![Test::Header(Pattern::Exact(name.to_owned()))])
}

fn no_method(name: &str) -> Clause {
    Clause::none(Variable::Method, vec![Test::Header(Pattern::Exact(name.to_owned()))])
}
