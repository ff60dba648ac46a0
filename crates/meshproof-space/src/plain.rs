//! What rules are worth where that is plain: most rules name a path, a method or a caller that no other one takes. One
//! request for each is thought up from what the rule names, and held against the others test by test, without any search.
//! Rules that repeat another one word by word add nothing. Where some rule is not plain, nothing is said.

use std::borrow::Cow;

use meshproof_authz::{Context, Engine, PathNormalization};
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::spiffe::SCHEME;

use crate::alphabet::{Bytes, Form, TextDomain};
use crate::boxes::{Clause, RequestBox};
use crate::lower::{Effect, LoweredPolicies, LoweredRule, RuleBoxes};
use crate::rules::Worth;
use crate::test::Test;
use crate::variable::Variable;

/// With more boxes than this an index is faster than comparing each with each.
const MOST_BOXES: usize = 48;
/// So many values of one list are tried.
const TRIED: usize = 4;

/// What each rule is worth, in order; nothing when that takes a search. The requests are those of the default domain.
pub(crate) fn worths(lowered: &LoweredPolicies, context: &Context) -> Option<Vec<Worth>> {
    let rules = &lowered.rules;
    let count = |rule: &LoweredRule| match &*rule.boxes {
        RuleBoxes::Boxes(boxes) => Some(boxes.len()),
        RuleBoxes::Dropped(_) => Some(0),
        RuleBoxes::Unknown(_) => None,
    };
    let boxes: Option<usize> = rules.iter().map(count).sum();
    if boxes? > MOST_BOXES || rules.len() > MOST_BOXES {
        return None;
    }
    let mut worths: Vec<Worth> = Vec::with_capacity(rules.len());
    for rule in rules {
        let repeats = |other: &LoweredRule| other.effect == rule.effect && other.boxes == rule.boxes;
        let first = rules.iter().zip(&worths).find(|(other, worth)| **worth == Worth::Adds && repeats(other));
        worths.push(match (&*rule.boxes, first) {
            (RuleBoxes::Dropped(_), _) => Worth::Dropped,
            (_, Some((first, _))) => Worth::Superfluous(vec![first.id]),
            (_, None) => Worth::Adds,
        });
    }
    let staying: Vec<(&LoweredRule, &[RequestBox])> = rules
        .iter()
        .zip(&worths)
        .filter(|(_, worth)| **worth == Worth::Adds)
        .map(|(rule, _)| match &*rule.boxes {
            RuleBoxes::Boxes(boxes) => (rule, boxes.as_slice()),
            _ => (rule, [].as_slice()),
        })
        .collect();
    let adds = |at: usize| {
        let (rule, boxes) = staying[at];
        let against = |other: &Effect| {
            let refuses = matches!(other, Effect::Deny | Effect::Refuse);
            *other == rule.effect || (rule.effect == Effect::Allow && refuses)
        };
        let others =
            staying.iter().enumerate().filter(|(other, (rule, _))| *other != at && against(&rule.effect));
        let others: Vec<&RequestBox> = others.flat_map(|(_, (_, boxes))| *boxes).collect();
        let paths = path_domain(context);
        boxes.iter().any(|own| escapes(own, &others, &paths))
    };
    (0..staying.len()).all(adds).then_some(worths)
}

fn path_domain(context: &Context) -> TextDomain {
    let mode = match context.engine {
        Engine::Grpc => PathNormalization::None,
        _ => context.semantics.normalization,
    };
    TextDomain::new(Bytes::path(mode), Form::Path(mode))
}

/// A request; whatever it does not say is missing from it, and addresses are any.
#[derive(Clone)]
struct Sketch<'b> {
    /// The name without `spiffe://`, and its three parts.
    peer: Option<(Cow<'b, str>, [&'b str; 3])>,
    path: Cow<'b, str>,
    method: &'b str,
    authority: Cow<'b, str>,
    port: u16,
}

/// Whether some request of the box, made of what it names, is plainly in none of the others.
fn escapes(own: &RequestBox, others: &[&RequestBox], paths: &TextDomain) -> bool {
    let mut sketch = Sketch {
        peer: None,
        path: Cow::Borrowed("/"),
        method: "GET",
        authority: Cow::Borrowed("x"),
        port: 8080,
    };
    for clause in own.clauses.iter().filter(|clause| !clause.any_of.is_empty()) {
        if !clause.any_of.iter().take(TRIED).any(|test| sketch.meet(&clause.variable, test, paths)) {
            return false;
        }
    }
    let is_alone = |sketch: &Sketch<'_>| {
        own.clauses.iter().all(|clause| sketch.meets(clause) == Some(true))
            && others
                .iter()
                .all(|other| other.clauses.iter().any(|clause| sketch.meets(clause) == Some(false)))
    };
    if is_alone(&sketch) {
        return true;
    }
    own.clauses.iter().any(|clause| {
        clause.any_of.iter().take(TRIED).skip(1).any(|test| {
            let mut other = sketch.clone();
            other.meet(&clause.variable, test, paths) && is_alone(&other)
        })
    })
}

impl<'b> Sketch<'b> {
    /// Takes a value that passes the test, where it is plain how one looks.
    fn meet(&mut self, variable: &Variable, test: &'b Test, paths: &TextDomain) -> bool {
        match (variable, test) {
            (Variable::Peer, test) => match peer(test) {
                Some(peer) => self.peer = Some(peer),
                None => return false,
            },
            (Variable::Path, Test::Path(pattern)) => match path(pattern, paths) {
                Some(path) => self.path = path,
                None => return false,
            },
            // CONNECT has no path, and OPTIONS may be a preflight request.
            (Variable::Method, Test::Header(Pattern::Exact(name)))
                if is_made_of(name, TOKEN) && !matches!(name.as_str(), "CONNECT" | "OPTIONS") =>
            {
                self.method = name;
            }
            (Variable::Authority, Test::Host(Pattern::Exact(host))) if is_made_of(host, VISIBLE) => {
                self.authority = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    true => Cow::Owned(host.to_ascii_lowercase()),
                    false => Cow::Borrowed(host.as_str()),
                };
            }
            (Variable::DestinationPort, Test::Port(port)) if *port != 0 => self.port = *port,
            _ => return false,
        }
        true
    }

    /// Whether it meets the clause; nothing when that is not plain.
    fn meets(&self, clause: &Clause) -> Option<bool> {
        let passes = |test: &Test| self.passes(&clause.variable, test);
        let wanted = clause.any_of.is_empty() || any(clause.any_of.iter().map(passes))?;
        Some(wanted && !any(clause.none_of.iter().map(passes))?)
    }

    fn passes(&self, variable: &Variable, test: &Test) -> Option<bool> {
        match (variable, test) {
            (_, Test::Absent) => None,
            (Variable::Peer, test) => match &self.peer {
                None => Some(false),
                Some((name, parts)) => passes_name(test, name, parts),
            },
            (Variable::Path, Test::Path(pattern)) => Some(pattern.matches(&self.path)),
            (Variable::Path, Test::Template(template)) => Some(template.matches(&self.path)),
            (Variable::Path, Test::Header(pattern)) => Some(pattern.matches_header(&self.path)),
            (Variable::Method, Test::Header(pattern)) => Some(pattern.matches_header(self.method)),
            (Variable::Authority, Test::Header(pattern)) => Some(pattern.matches_header(&self.authority)),
            (Variable::Authority, Test::Host(pattern)) => Some(pattern.matches_host(&self.authority)),
            (Variable::DestinationPort, Test::Port(port)) => Some(*port == self.port),
            // The empty server name is a missing one.
            (Variable::Sni, Test::Text(Pattern::Exact(name))) if name.is_empty() => Some(true),
            (Variable::Sni | Variable::Token | Variable::Header(_), _) => Some(false),
            (Variable::Claim(_) | Variable::Metadata { .. }, _) => Some(false),
            _ => None,
        }
    }
}

/// Whether one of them is true; nothing when none is for certain and one may be.
fn any(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all_known = true;
    for answer in answers {
        match answer {
            Some(true) => return Some(true),
            Some(false) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(false)
}

const TOKEN: fn(u8) -> bool = |byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
const VISIBLE: fn(u8) -> bool = |byte| byte.is_ascii_graphic();

/// Whether the text is legal plainly.
fn is_made_of(text: &str, legal: fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(legal)
}

/// The name of a workload that passes the test, with trust domain, namespace and account.
fn peer(test: &Test) -> Option<(Cow<'_, str>, [&str; 3])> {
    let is_plain =
        |part: &str| is_made_of(part, |byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let (name, parts) = match test {
        Test::Principal(Pattern::Exact(name)) => {
            let mut pieces = name.split('/');
            let mut next = || pieces.next();
            let (domain, ns, namespace, sa, account) = (next()?, next()?, next()?, next()?, next()?);
            if (ns, sa) != ("ns", "sa") || next().is_some() {
                return None;
            }
            (Cow::Borrowed(name.as_str()), [domain, namespace, account])
        }
        Test::Namespace(pattern) => account("x", &pattern.text),
        Test::NamespaceName(Pattern::Exact(namespace)) => account("x", namespace),
        Test::ServiceAccount { namespace, name } => account(name, namespace),
        _ => return None,
    };
    parts.iter().all(|part| is_plain(part)).then_some((name, parts))
}

fn account<'t>(name: &'t str, namespace: &'t str) -> (Cow<'t, str>, [&'t str; 3]) {
    const DOMAIN: &str = "cluster.local";
    (Cow::Owned([DOMAIN, "/ns/", namespace, "/sa/", name].concat()), [DOMAIN, namespace, name])
}

fn passes_name(test: &Test, name: &str, [_, namespace, account]: &[&str; 3]) -> Option<bool> {
    Some(match test {
        Test::Principal(pattern) => pattern.matches(name),
        Test::Namespace(pattern) => pattern.matches_name(&[SCHEME, name].concat()),
        Test::NamespaceName(pattern) => pattern.matches(namespace),
        Test::ServiceAccount { namespace: of, name } => of == namespace && name == account,
        Test::TrustDomain(domain) if !domain.contains('*') => {
            name.strip_prefix(domain.as_str()).is_some_and(|rest| rest.starts_with('/'))
        }
        _ => return None,
    })
}

/// A path that passes the test and that normalization leaves alone.
fn path<'t>(pattern: &'t Pattern, paths: &TextDomain) -> Option<Cow<'t, str>> {
    let candidates: [Cow<'t, str>; 2] = match pattern {
        Pattern::Exact(text) => [Cow::Borrowed(text.as_str()), Cow::Borrowed("")],
        Pattern::Prefix(text) => [Cow::Borrowed(text.as_str()), Cow::Owned([text, "x"].concat())],
        Pattern::Suffix(text) => [Cow::Owned(["/x", text].concat()), Cow::Owned(["/", text].concat())],
        Pattern::Present => [Cow::Borrowed("/x"), Cow::Borrowed("")],
    };
    candidates.into_iter().find(|path| path.starts_with('/') && paths.is_legal(path))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lower::RuleId;

    fn of(variable: Variable, value: &str) -> Clause {
        let pattern = Pattern::parse(value);
        let test = match variable {
            Variable::Peer => Test::Principal(pattern),
            Variable::Path => Test::Path(pattern),
            _ => Test::Header(pattern),
        };
        Clause::any(variable, vec![test])
    }

    fn told(rules: &[(Effect, &[Clause])]) -> Option<Vec<Worth>> {
        let rule = |(at, (effect, clauses)): (usize, &(Effect, &[Clause]))| LoweredRule {
            id: RuleId { policy: 0, rule: at },
            effect: effect.clone(),
            boxes: Arc::new(RuleBoxes::Boxes(vec![RequestBox::of(clauses.to_vec())])),
        };
        let rules = rules.iter().enumerate().map(rule).collect();
        worths(&LoweredPolicies { rules, needs_allow: true }, &Context::new(Engine::EnvoyHttp))
    }

    #[test]
    fn rules_that_name_what_no_other_takes_add_something() {
        let a = || of(Variable::Peer, "td/ns/a/sa/a");
        let (read, write) = (of(Variable::Method, "GET"), of(Variable::Method, "POST"));
        let adds = |count: usize| Some(vec![Worth::Adds; count]);
        assert_eq!(
            told(&[(Effect::Allow, &[a(), read.clone()]), (Effect::Allow, &[a(), write.clone()])]),
            adds(2)
        );
        let paths = |text: &str| of(Variable::Path, text);
        assert_eq!(told(&[(Effect::Allow, &[paths("/a*")]), (Effect::Allow, &[paths("/b/")])]), adds(2));
        assert_eq!(told(&[(Effect::Allow, &[paths("/a")]), (Effect::Allow, &[paths("/a*")])]), None);
        assert_eq!(told(&[(Effect::Allow, &[paths("/a")]), (Effect::Deny, &[read])]), None);
        assert_eq!(
            told(&[(Effect::Allow, &[paths("/a")]), (Effect::Deny, std::slice::from_ref(&write))]),
            adds(2)
        );
        assert_eq!(told(&[(Effect::Allow, &[paths("/a/../b")]), (Effect::Allow, &[write])]), None);
        assert_eq!(told(&[(Effect::Allow, &[paths("no")])]), None);
    }

    #[test]
    fn the_first_of_equal_rules_stays() {
        let rule = [of(Variable::Path, "/a")];
        let first = Worth::Superfluous(vec![RuleId { policy: 0, rule: 0 }]);
        let found = told(&[(Effect::Allow, &rule), (Effect::Allow, &rule), (Effect::Deny, &[])]);
        assert_eq!(found, None);
        let found = told(&[(Effect::Allow, &rule), (Effect::Allow, &rule), (Effect::Audit, &rule)]);
        assert_eq!(found, Some(vec![Worth::Adds, first, Worth::Adds]));
    }
}
