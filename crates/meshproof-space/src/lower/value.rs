//! Values of one policy as tests.

use foldhash::{HashSet, HashSetExt};
use meshproof_authz::{Attribute, Context, Engine, HeaderMatching, Policy};
use meshproof_grammar::cidr::Cidr;
use meshproof_grammar::namespace_pattern::NamespacePattern;
use meshproof_grammar::path_template::is_template;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::port::Port;
use meshproof_grammar::request_principal::RequestPrincipal;
use meshproof_grammar::uri_template::{UriTemplate, translate};
use meshproof_grammar::{principal, trust_domain};
use meshproof_resources::Action;

use super::Purpose;
use crate::boxes::Clause;
use crate::test::{Half, Test};
use crate::variable::Variable;

/// What the values of a policy depend on.
pub(super) struct Values<'a> {
    namespace: &'a str,
    engine: Engine,
    /// Those that replace each other; nothing in engines without aliases.
    trust_domains: Option<&'a [String]>,
    /// Tokens are looked at before the policy runs.
    sees_tokens: bool,
    /// Claims whose texts are split at blanks.
    split_claims: &'a [String],
    purpose: Purpose,
}

/// Tests of one variable.
type Group = (Variable, Vec<Test>);

impl<'a> Values<'a> {
    pub fn new(policy: &Policy<'a>, context: &'a Context, purpose: Purpose) -> Values<'a> {
        let is_envoy = matches!(context.engine, Engine::EnvoyHttp | Engine::EnvoyTcp);
        Values {
            namespace: policy.namespace,
            engine: context.engine,
            trust_domains: is_envoy.then_some(context.trust_domains.as_slice()),
            sees_tokens: context.engine == Engine::EnvoyHttp && policy.action() != Action::Custom,
            split_claims: &context.semantics.space_delimited_claims,
            purpose,
        }
    }

    /// The tests of the values, none twice, as a clause. There is a second one only where values concern different variables:
    /// metadata as text and as list. No clause at all: no request can have any of the values.
    pub fn clauses<'v>(
        &self,
        attribute: &Attribute,
        values: impl Iterator<Item = &'v str>,
        of: fn(Variable, Vec<Test>) -> Clause,
    ) -> [Option<Clause>; 2] {
        let clause = |(variable, mut tests): Group| {
            remove_repeated(&mut tests);
            of(variable, tests)
        };
        if let Attribute::Metadata { filter, key } = attribute {
            return metadata(filter, key, values).map(|group| group.map(clause));
        }
        let group = || Some((self.variable(attribute)?, self.tests(attribute, values)?));
        [group().map(clause), None]
    }

    /// What the attribute is a view of; nothing when nobody has read it yet, or ever does.
    fn variable(&self, attribute: &Attribute) -> Option<Variable> {
        Some(match attribute {
            Attribute::Principal
            | Attribute::Namespace
            | Attribute::ServiceAccount
            | Attribute::TrustDomain => Variable::Peer,
            Attribute::RequestPrincipal | Attribute::Claim(_) if !self.sees_tokens => return None,
            Attribute::RequestPrincipal => Variable::Token,
            Attribute::Claim(path) => match half(path) {
                // For one request it does not matter that this is a view of a value that others look at too.
                Some(_) if self.purpose == Purpose::Decide && self.is_split(path) => {
                    Variable::Claim(path.clone())
                }
                Some(_) => Variable::Token,
                None => Variable::Claim(path.clone()),
            },
            Attribute::SourceIp => Variable::SourceIp,
            Attribute::RemoteIp => Variable::RemoteIp,
            Attribute::DestinationIp => Variable::DestinationIp,
            Attribute::DestinationPort => Variable::DestinationPort,
            Attribute::Sni => Variable::Sni,
            Attribute::Host => Variable::Authority,
            Attribute::Method => Variable::Method,
            Attribute::Path => Variable::Path,
            Attribute::Header(name) => header(name),
            Attribute::Metadata { .. } | Attribute::Untranslatable(_) => return None,
        })
    }

    fn is_split(&self, claim: &[String]) -> bool {
        matches!(claim, [name] if self.split_claims.contains(name))
    }

    /// The tests of all values; nothing when there are none.
    fn tests<'v>(&self, attribute: &Attribute, values: impl Iterator<Item = &'v str>) -> Option<Vec<Test>> {
        let mut tests = Vec::with_capacity(values.size_hint().1.unwrap_or_default());
        values.for_each(|value| self.value(attribute, value, &mut tests));
        (!tests.is_empty()).then_some(tests)
    }

    /// Adds the tests of one value; none when no request can have it.
    fn value(&self, attribute: &Attribute, value: &str, tests: &mut Vec<Test>) {
        let pattern = || Pattern::parse(value);
        let test = match attribute {
            Attribute::Principal => {
                let principal = |value: &str| Test::Principal(Pattern::parse(value));
                let aliases = self.trust_domains.filter(|known| !principal::is_of_only(value, known));
                let Some(known) = aliases else { return tests.push(principal(value)) };
                return tests.extend(principal::expansions(value, known).map(|value| principal(&value)));
            }
            Attribute::Namespace if self.engine == Engine::Ztunnel => Test::NamespaceName(pattern()),
            Attribute::Namespace => Test::Namespace(NamespacePattern::parse(value)),
            Attribute::ServiceAccount => {
                // Cut at the first slash, all else literal, as the generator does.
                let (namespace, name) = value.split_once('/').unwrap_or((self.namespace, value));
                Test::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            Attribute::TrustDomain => {
                let written = value.to_owned();
                let Some(known) = self.trust_domains else { return tests.push(Test::TrustDomain(written)) };
                return tests
                    .extend(trust_domain::expand(&[written], known).into_iter().map(Test::TrustDomain));
            }
            Attribute::RequestPrincipal => {
                let RequestPrincipal { issuer, subject, .. } = RequestPrincipal::parse(value);
                Test::Token { issuer: Some(issuer), subject: Some(subject) }
            }
            Attribute::Claim(path) => match half(path) {
                Some(of) if self.is_split(path) => match self.purpose {
                    Purpose::Decide => Test::Text(pattern()),
                    Purpose::Reason => Test::Word { of, pattern: pattern() },
                },
                Some(Half::Issuer) => Test::Token { issuer: Some(pattern()), subject: None },
                Some(Half::Subject) => Test::Token { issuer: None, subject: Some(pattern()) },
                None => Test::Text(pattern()),
            },
            // A zone in an address matches nothing.
            Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
                match Cidr::parse(value) {
                    Ok(block) if block.zone.is_none() => Test::Block(block.network()),
                    _ => return,
                }
            }
            Attribute::DestinationPort => match Port::parse(value) {
                Ok(port) => Test::Port(port.0),
                Err(_) => return,
            },
            Attribute::Sni => Test::Text(pattern()),
            Attribute::Host => Test::Host(pattern()),
            Attribute::Method | Attribute::Header(_) => Test::Header(pattern()),
            Attribute::Path if !is_template(value) => Test::Path(pattern()),
            // A template that Envoy refuses matches nothing.
            Attribute::Path => match UriTemplate::parse(&translate(value)) {
                Ok(template) if !template.matches_nothing() => Test::Template(template),
                _ => return,
            },
            Attribute::Metadata { .. } | Attribute::Untranslatable(_) => return,
        };
        tests.push(test);
    }
}

/// The half of the token's name that a claim is.
fn half(claim: &[String]) -> Option<Half> {
    match claim {
        [name] if name == "iss" => Some(Half::Issuer),
        [name] if name == "sub" => Some(Half::Subject),
        _ => None,
    }
}

/// `[v]` asks for a list, anything else for a text: two variables.
fn metadata<'v>(filter: &str, key: &str, values: impl Iterator<Item = &'v str>) -> [Option<Group>; 2] {
    let mut groups: [Option<Group>; 2] = [None, None];
    for value in values {
        let is_list = value.starts_with('[') && value.ends_with(']');
        let text = if is_list { value.trim_matches(['[', ']']) } else { value };
        let variable = Variable::Metadata { filter: filter.to_owned(), key: key.to_owned(), is_list };
        let mut fitting =
            groups.iter_mut().filter(|group| group.as_ref().is_none_or(|(known, _)| *known == variable));
        if let Some(group) = fitting.next() {
            group.get_or_insert_with(|| (variable, Vec::new())).1.push(Test::Text(Pattern::parse(text)));
        }
    }
    groups
}

/// So many tests are compared with each other one by one.
const FEW: usize = 16;

/// Leaves the first of equal tests.
fn remove_repeated(tests: &mut Vec<Test>) {
    if tests.len() <= FEW {
        let mut at = 1;
        while at < tests.len() {
            if tests[..at].contains(&tests[at]) {
                tests.remove(at);
            } else {
                at += 1;
            }
        }
        return;
    }
    let mut known = HashSet::with_capacity(tests.len());
    let is_new: Vec<bool> = tests.iter().map(|test| known.insert(test)).collect();
    let mut is_new = is_new.into_iter();
    tests.retain(|_| is_new.next().unwrap_or(true));
}

/// Pseudo headers are looked at as such; `host` is kept as one.
fn header(name: &str) -> Variable {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        ":method" => Variable::Method,
        ":path" => Variable::Path,
        ":authority" | "host" => Variable::Authority,
        _ => Variable::Header(name),
    }
}

/// Whether header lines are joined before they are tested.
pub(crate) fn joins_headers(context: &Context) -> bool {
    context.semantics.headers == HeaderMatching::Joined
}
