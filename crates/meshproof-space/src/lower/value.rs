//! Values of one policy as tests.

use foldhash::{HashSet, HashSetExt};
use meshproof_authz::{Attribute, Context, Engine, HeaderMatching, Policy, TestedField, TestedItem};
use meshproof_grammar::cidr::Cidr;
use meshproof_grammar::namespace_pattern::NamespacePattern;
use meshproof_grammar::path_template::is_template;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::port::Port;
use meshproof_grammar::request_principal::RequestPrincipal;
use meshproof_grammar::uri_template::{Expression, UriTemplate, translate};
use meshproof_grammar::{principal, trust_domain};
use meshproof_resources::Action;

use super::{MOST_BOXES, Purpose};
use crate::boxes::Clause;
use crate::limit::Limit;
use crate::test::{Half, Test};
use crate::variable::Variable;

/// What the values of a policy depend on.
pub(super) struct Lowering<'a> {
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

impl<'a> Lowering<'a> {
    pub fn new(policy: &Policy<'a>, context: &'a Context, purpose: Purpose) -> Lowering<'a> {
        let is_envoy = matches!(context.engine, Engine::EnvoyHttp | Engine::EnvoyTcp);
        Lowering {
            namespace: policy.namespace,
            engine: context.engine,
            trust_domains: is_envoy.then_some(context.trust_domains.as_slice()),
            sees_tokens: context.engine == Engine::EnvoyHttp && policy.action() != Action::Custom,
            split_claims: &context.semantics.space_delimited_claims,
            purpose,
        }
    }

    /// The item as alternatives of clauses, none at all when one of its fields can never hold.
    ///
    /// # Errors
    /// They are more than [`MOST_BOXES`], or a value cannot be told.
    pub fn item(&self, item: &TestedItem<'_>) -> Result<Vec<Vec<Clause>>, Limit> {
        let mut alternatives: Vec<Vec<Clause>> = vec![Vec::new()];
        for field in item {
            let field = self.field(field)?;
            if alternatives.len().saturating_mul(field.len()) > MOST_BOXES {
                return Err(Limit::Boxes);
            }
            let pairs = alternatives.iter().flat_map(|one| field.iter().map(move |other| (one, other)));
            alternatives = pairs.map(|(one, other)| [one.as_slice(), other].concat()).collect();
        }
        Ok(alternatives)
    }

    /// The alternatives of a field. There are several only when its values concern different variables: metadata as
    /// text and as list.
    fn field(&self, field: &TestedField<'_>) -> Result<Vec<Vec<Clause>>, Limit> {
        let any_of = self.by_variable(&field.attribute, &field.any_of)?;
        let none_of = self.by_variable(&field.attribute, &field.none_of)?;
        let refused: Vec<Clause> =
            none_of.into_iter().map(|(variable, tests)| Clause::none(variable, tests)).collect();
        if field.any_of.is_empty() {
            return Ok(vec![refused]);
        }
        let with = |(variable, tests): (Variable, Vec<Test>)| {
            let mut clauses = vec![Clause::any(variable, tests)];
            clauses.extend(refused.iter().cloned());
            clauses
        };
        Ok(any_of.into_iter().map(with).collect())
    }

    /// The tests of the values, those of one variable together and none twice.
    fn by_variable(
        &self,
        attribute: &Attribute,
        values: &[&str],
    ) -> Result<Vec<(Variable, Vec<Test>)>, Limit> {
        let mut groups: Vec<(Variable, Vec<Test>)> = Vec::new();
        for value in values {
            for (variable, test) in self.value(attribute, value)? {
                match groups.iter_mut().find(|(known, _)| *known == variable) {
                    Some((_, tests)) => tests.push(test),
                    None => groups.push((variable, vec![test])),
                }
            }
        }
        for (_, tests) in &mut groups {
            let mut known = HashSet::new();
            tests.retain(|test| known.insert(test.clone()));
        }
        Ok(groups)
    }

    /// One value; nothing when no request can have it.
    fn value(&self, attribute: &Attribute, value: &str) -> Result<Vec<(Variable, Test)>, Limit> {
        let pattern = || Pattern::parse(value);
        let one = |variable, test| vec![(variable, test)];
        Ok(match attribute {
            Attribute::Principal => {
                let values = match self.trust_domains {
                    Some(known) => principal::expand(value, known),
                    None => vec![value.to_owned()],
                };
                let tests = values.iter().map(|value| Test::Principal(Pattern::parse(value)));
                tests.map(|test| (Variable::Peer, test)).collect()
            }
            Attribute::Namespace if self.engine == Engine::Ztunnel => {
                one(Variable::Peer, Test::NamespaceName(pattern()))
            }
            Attribute::Namespace => one(Variable::Peer, Test::Namespace(NamespacePattern::parse(value))),
            Attribute::ServiceAccount => {
                // Cut at the first slash, all else literal, as the generator does.
                let (namespace, name) = value.split_once('/').unwrap_or((self.namespace, value));
                let (namespace, name) = (namespace.to_owned(), name.to_owned());
                one(Variable::Peer, Test::ServiceAccount { namespace, name })
            }
            Attribute::TrustDomain => {
                let values = match self.trust_domains {
                    Some(known) => trust_domain::expand(&[value.to_owned()], known),
                    None => vec![value.to_owned()],
                };
                values.into_iter().map(|value| (Variable::Peer, Test::TrustDomain(value))).collect()
            }
            Attribute::RequestPrincipal if self.sees_tokens => {
                let RequestPrincipal { issuer, subject, .. } = RequestPrincipal::parse(value);
                one(Variable::Token, Test::Token { issuer: Some(issuer), subject: Some(subject) })
            }
            Attribute::Claim(path) if self.sees_tokens => {
                let name = if let [name] = path.as_slice() { name.as_str() } else { "" };
                let half = match name {
                    "iss" => Some(Half::Issuer),
                    "sub" => Some(Half::Subject),
                    _ => None,
                };
                let is_split = self.split_claims.iter().any(|split| split == name);
                match (half, is_split) {
                    // For one request it does not matter that this is a view of a value that others look at too.
                    (Some(_), true) if self.purpose == Purpose::Decide => {
                        one(Variable::Claim(path.clone()), Test::Text(pattern()))
                    }
                    (Some(of), true) => one(Variable::Token, Test::Word { of, pattern: pattern() }),
                    (Some(Half::Issuer), false) => {
                        one(Variable::Token, Test::Token { issuer: Some(pattern()), subject: None })
                    }
                    (Some(Half::Subject), false) => {
                        one(Variable::Token, Test::Token { issuer: None, subject: Some(pattern()) })
                    }
                    (None, _) => one(Variable::Claim(path.clone()), Test::Text(pattern())),
                }
            }
            // Nobody has read the token yet, or ever does.
            Attribute::RequestPrincipal | Attribute::Claim(_) => Vec::new(),
            Attribute::SourceIp => block(Variable::SourceIp, value),
            Attribute::RemoteIp => block(Variable::RemoteIp, value),
            Attribute::DestinationIp => block(Variable::DestinationIp, value),
            Attribute::DestinationPort => match Port::parse(value) {
                Ok(port) => one(Variable::DestinationPort, Test::Port(port.0)),
                Err(_) => Vec::new(),
            },
            Attribute::Sni => one(Variable::Sni, Test::Text(pattern())),
            Attribute::Host => one(Variable::Authority, Test::Host(pattern())),
            Attribute::Method => one(Variable::Method, Test::Header(pattern())),
            Attribute::Path => path(value),
            Attribute::Header(name) => one(header(name), Test::Header(pattern())),
            Attribute::Metadata { filter, key } => {
                let is_list = value.starts_with('[') && value.ends_with(']');
                let text = if is_list { value.trim_matches(['[', ']']) } else { value };
                let variable = Variable::Metadata { filter: filter.clone(), key: key.clone(), is_list };
                one(variable, Test::Text(Pattern::parse(text)))
            }
            Attribute::Untranslatable(_) => Vec::new(),
        })
    }
}

/// A zone in an address matches nothing.
fn block(variable: Variable, value: &str) -> Vec<(Variable, Test)> {
    match Cidr::parse(value) {
        Ok(block) if block.zone.is_none() => vec![(variable, Test::Block(block.network()))],
        _ => Vec::new(),
    }
}

/// A template that Envoy refuses matches nothing.
fn path(value: &str) -> Vec<(Variable, Test)> {
    if !is_template(value) {
        return vec![(Variable::Path, Test::Path(Pattern::parse(value)))];
    }
    let Ok(template) = UriTemplate::parse(&translate(value)) else { return Vec::new() };
    let matches_some = template.expression() != Expression::Nothing;
    if matches_some { vec![(Variable::Path, Test::Template(template))] } else { Vec::new() }
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
