//! Tests of policies as tests of a table: how one is spelled out, where an index finds it, and what it says.

use std::borrow::Cow;
use std::ops::Deref;

use meshproof_engine::format::{
    LONGEST, MOST_STEPS, STEP_LITERAL, STEP_SEGMENT, STEP_SLASHES, TAKES_SEGMENT, TAKES_SLASHES, TAKES_THIS,
};
use meshproof_engine::{Engine, TestKind, View};
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::uri_template::{Run, Steps, Takes, UriTemplate};
use meshproof_space::{Test, Variable};

use super::Uncompiled;

/// A test as a table spells it out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spelled {
    pub kind: TestKind,
    pub first: Vec<u8>,
    pub second: Vec<u8>,
}

/// Where an index finds a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement<'t> {
    pub view: View,
    /// The value is looked at in small letters.
    pub fold: bool,
    pub key: Key<'t>,
    /// What the index finds may still fail, so the test itself is asked too.
    pub verify: bool,
}

/// What a value has to be to come across a test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'t> {
    Exact(Cow<'t, [u8]>),
    Prefix(Cow<'t, [u8]>),
    Suffix(Cow<'t, [u8]>),
    /// There.
    There,
    /// There, not empty, without a line break.
    Line,
}

/// A test in one form for all ways of writing its value.
#[derive(Clone, Debug)]
pub(super) enum Normal<'t> {
    /// As it is written.
    Written(&'t Test),
    /// In small letters.
    Small(Box<Test>),
}

impl Deref for Normal<'_> {
    type Target = Test;

    fn deref(&self) -> &Test {
        match self {
            Normal::Written(test) => test,
            Normal::Small(test) => test,
        }
    }
}

/// The test in its one form.
pub(super) fn normal(test: &Test) -> Normal<'_> {
    let Test::Host(pattern) = test else { return Normal::Written(test) };
    if !pattern.literal().contains(|c: char| c.is_ascii_uppercase()) {
        return Normal::Written(test);
    }
    let lower = |text: &String| text.to_ascii_lowercase();
    Normal::Small(Box::new(Test::Host(match pattern {
        Pattern::Present => Pattern::Present,
        Pattern::Exact(text) => Pattern::Exact(lower(text)),
        Pattern::Prefix(text) => Pattern::Prefix(lower(text)),
        Pattern::Suffix(text) => Pattern::Suffix(lower(text)),
    })))
}

/// The test, spelled out.
///
/// # Errors
/// A template that is too long.
pub(super) fn spelled(variable: &Variable, test: &Test) -> Result<Spelled, Uncompiled> {
    use TestKind as Kind;
    let of = |kind, text: &str| Spelled { kind, first: text.as_bytes().to_vec(), second: Vec::new() };
    let by = |pattern: &Pattern, kinds: [Kind; 4]| match pattern {
        Pattern::Present => of(kinds[0], ""),
        Pattern::Exact(text) => of(kinds[1], text),
        Pattern::Prefix(text) => of(kinds[2], text),
        Pattern::Suffix(text) => of(kinds[3], text),
    };
    Ok(match test {
        Test::Absent => return Err(Uncompiled::Internal("a policy that wants an attribute to be missing")),
        Test::Word { .. } => {
            return Err(Uncompiled::Internal("words of a token, which are those of a claim"));
        }
        Test::Principal(pattern) => by(
            pattern,
            [Kind::PrincipalPresent, Kind::PrincipalExact, Kind::PrincipalPrefix, Kind::PrincipalSuffix],
        ),
        Test::Namespace(pattern) => of(Kind::NamespaceGlob, &pattern.text),
        Test::NamespaceName(pattern) => by(
            pattern,
            [Kind::NamespacePresent, Kind::NamespaceExact, Kind::NamespacePrefix, Kind::NamespaceSuffix],
        ),
        Test::ServiceAccount { namespace, name } => {
            Spelled { second: name.as_bytes().to_vec(), ..of(Kind::Account, namespace) }
        }
        Test::TrustDomain(domain) => of(Kind::TrustDomain, domain),
        Test::Block(block) => {
            let number = match block.network() {
                std::net::IpAddr::V4(address) => u128::from(u32::from(address)),
                std::net::IpAddr::V6(address) => u128::from(address),
            };
            let mut first = number.to_le_bytes().to_vec();
            first.extend([if block.network().is_ipv4() { 4 } else { 6 }, block.prefix_len()]);
            Spelled { kind: Kind::Block, first, second: Vec::new() }
        }
        Test::Port(port) => {
            Spelled { kind: Kind::Port, first: port.to_le_bytes().to_vec(), second: Vec::new() }
        }
        Test::Text(pattern) if *variable == Variable::Sni => {
            by(pattern, [Kind::Line, Kind::HostExact, Kind::HostPrefix, Kind::HostSuffix])
        }
        Test::Text(pattern) => by(pattern, [Kind::Line, Kind::Exact, Kind::Prefix, Kind::Suffix]),
        Test::Header(pattern) => by(pattern, [Kind::Exists, Kind::Exact, Kind::Prefix, Kind::Suffix]),
        Test::Host(pattern) => {
            by(pattern, [Kind::Exists, Kind::HostExact, Kind::HostPrefix, Kind::HostSuffix])
        }
        Test::Path(pattern) => {
            by(pattern, [Kind::PathLine, Kind::PathExact, Kind::PathPrefix, Kind::PathSuffix])
        }
        Test::Template(template) => template_of(template)?,
        Test::Token { issuer, subject } => {
            let [first, second] = [issuer, subject].map(|half| {
                let (letter, text) = match half {
                    None => (b'-', ""),
                    Some(Pattern::Present) => (b'*', ""),
                    Some(Pattern::Exact(text)) => (b'=', text.as_str()),
                    Some(Pattern::Prefix(text)) => (b'<', text.as_str()),
                    Some(Pattern::Suffix(text)) => (b'>', text.as_str()),
                };
                [&[letter], text.as_bytes()].concat()
            });
            Spelled { kind: Kind::Token, first, second }
        }
    })
}

/// A template as literals and operators; where a literal repeats a character, step by step.
fn template_of(template: &UriTemplate) -> Result<Spelled, Uncompiled> {
    let Some(runs) = template.runs() else { return steps_of(template) };
    let mut first = Vec::with_capacity(64);
    // Literals that follow each other are one, which is told behind its length.
    let mut literal: Option<usize> = None;
    let close = |first: &mut Vec<u8>, literal: Option<usize>| -> Result<(), Uncompiled> {
        let Some(at) = literal else { return Ok(()) };
        let length = u16::try_from(first.len() - at).map_err(|_| Uncompiled::Template)?;
        first[at - 2..at].copy_from_slice(&length.to_le_bytes());
        Ok(())
    };
    // Goes through the pieces in one loop each, which is several times as quick as one after the other.
    { runs }.try_for_each(|run| {
        let operator = match run {
            Run::Literal("") => return Ok(()),
            Run::Literal(text) => {
                literal.get_or_insert_with(|| {
                    first.extend([STEP_LITERAL, 0, 0]);
                    first.len()
                });
                first.extend_from_slice(text.as_bytes());
                return Ok(());
            }
            Run::Segment => STEP_SEGMENT,
            Run::Slashes => STEP_SLASHES,
        };
        close(&mut first, literal.take())?;
        first.push(operator);
        Ok(())
    })?;
    close(&mut first, literal)?;
    // Most paths of a stem end otherwise, which is quickly seen.
    let second = literal.map_or(Vec::new(), |at| first[at..].to_vec());
    Ok(Spelled { kind: TestKind::Template, first, second })
}

fn steps_of(template: &UriTemplate) -> Result<Spelled, Uncompiled> {
    let Some(Steps { steps, repeated }) = template.steps() else { return Err(Uncompiled::Template) };
    if steps.len() > MOST_STEPS {
        return Err(Uncompiled::Template);
    }
    let step = |(takes, repeats): &(Takes, bool)| {
        let (class, byte) = match takes {
            Takes::This(byte) => (TAKES_THIS, *byte),
            Takes::Segment => (TAKES_SEGMENT, 0),
            Takes::Slashes => (TAKES_SLASHES, 0),
        };
        [class | if *repeats { 0x80 } else { 0 }, byte]
    };
    let ends = repeated.map(|range| [range.start, range.end]).into_iter().flatten();
    let second = ends.flat_map(|end| (end as u16).to_le_bytes()).collect();
    Ok(Spelled { kind: TestKind::Steps, first: steps.iter().flat_map(step).collect(), second })
}

/// Where the test is found; nothing for those of numbers, which intervals say.
pub(super) fn placement<'t>(variable: &Variable, test: &'t Test, engine: Engine) -> Option<Placement<'t>> {
    let at = |view, key| Placement { view, fold: false, key, verify: false };
    let asked = |view, key| Placement { verify: true, ..at(view, key) };
    let found = match test {
        Test::Block(_) | Test::Port(_) | Test::Word { .. } | Test::Absent => return None,
        Test::Principal(pattern) => at(View::Whole, key(pattern, Key::There)),
        Test::NamespaceName(pattern) => at(View::Namespace, key(pattern, Key::There)),
        Test::Namespace(pattern) => namespace(&pattern.text),
        Test::ServiceAccount { namespace, name } => {
            let is_plain = !namespace.contains('/') && !name.contains('/');
            let tail = format!("{namespace}/sa/{name}");
            if is_plain || engine == Engine::Ztunnel {
                at(View::Account, Key::Exact(tail.into_bytes().into()))
            } else {
                asked(View::Whole, Key::There)
            }
        }
        Test::TrustDomain(value) => trust_domain(value),
        Test::Text(pattern) if *variable == Variable::Sni => {
            Placement { fold: true, ..at(View::Whole, key(pattern, Key::Line)) }
        }
        Test::Text(pattern) => at(View::Whole, key(pattern, Key::Line)),
        Test::Header(pattern) => at(View::Whole, key(pattern, Key::There)),
        Test::Host(pattern) => Placement { fold: true, ..at(View::Whole, key(pattern, Key::There)) },
        Test::Path(pattern) => at(View::Path, key(pattern, Key::Line)),
        Test::Template(template) => {
            let Steps { steps, repeated } = template.steps()?;
            // What is repeated may also be missing.
            let sure = repeated.map_or(steps.len(), |range| range.start);
            let stem = steps.iter().take(sure).map_while(|step| match step {
                (Takes::This(byte), false) => Some(*byte),
                _ => None,
            });
            asked(View::Path, Key::Prefix(stem.collect()))
        }
        Test::Token { issuer, subject } => token(issuer.as_ref(), subject.as_ref()),
    };
    Some(short_enough(found))
}

/// Texts that are too long for a slot are asked one by one.
fn short_enough(found: Placement<'_>) -> Placement<'_> {
    match &found.key {
        Key::Exact(text) | Key::Prefix(text) | Key::Suffix(text) if text.len() > LONGEST => {
            Placement { key: Key::There, verify: true, ..found }
        }
        Key::Prefix(text) | Key::Suffix(text) if text.is_empty() => Placement { key: Key::There, ..found },
        _ => found,
    }
}

fn key<'t>(pattern: &'t Pattern, present: Key<'t>) -> Key<'t> {
    match pattern {
        Pattern::Present => present,
        Pattern::Exact(text) => Key::Exact(text.as_bytes().into()),
        Pattern::Prefix(text) => Key::Prefix(text.as_bytes().into()),
        Pattern::Suffix(text) => Key::Suffix(text.as_bytes().into()),
    }
}

/// Envoy's test of namespaces. In the name of a workload `/ns/` stands once, and its namespace behind it; a star at the
/// end stops there too, because a slash follows. A star in front runs on to the account.
fn namespace(text: &str) -> Placement<'_> {
    let at = |key, verify| Placement { view: View::Namespace, fold: false, key, verify };
    match text.strip_suffix('*') {
        Some(start) if !start.contains(['*', '/']) => at(Key::Prefix(start.as_bytes().into()), false),
        None if !text.contains(['*', '/']) => at(Key::Exact(text.as_bytes().into()), false),
        _ => at(Key::There, true),
    }
}

fn trust_domain(value: &str) -> Placement<'_> {
    let at = |key, verify| Placement { view: View::TrustDomain, fold: false, key, verify };
    match value.split_once('*') {
        _ if value.contains('/') => at(Key::There, true),
        None => at(Key::Exact(value.as_bytes().into()), false),
        Some(("", "")) => at(Key::There, false),
        Some((start, "")) => at(Key::Prefix(start.as_bytes().into()), false),
        Some(("", end)) if !end.contains('*') => at(Key::Suffix(end.as_bytes().into()), false),
        Some(_) => at(Key::There, true),
    }
}

/// The half that says most leads to the test; the other one is asked.
fn token<'t>(issuer: Option<&'t Pattern>, subject: Option<&'t Pattern>) -> Placement<'t> {
    let at = |view, pattern: &'t Pattern, verify| Placement {
        view,
        fold: false,
        key: key(pattern, Key::Line),
        verify,
    };
    let is_vague = |pattern: &Pattern| matches!(pattern, Pattern::Present);
    match (issuer, subject) {
        (Some(issuer), None) => at(View::Issuer, issuer, false),
        (None, Some(subject)) => at(View::Subject, subject, false),
        (Some(issuer), Some(subject)) if is_vague(subject) => at(View::Issuer, issuer, true),
        (Some(_), Some(subject)) => at(View::Subject, subject, true),
        // No test of a policy; it would hold for every request.
        (None, None) => at(View::Issuer, &Pattern::Present, true),
    }
}

/// What the policies mean: whether a text passes the test. Of peers the text is a name without `spiffe://`, of paths one
/// without query.
pub(super) fn passes(variable: &Variable, test: &Test, text: &str, engine: Engine) -> bool {
    let line = |pattern: &Pattern, text: &str| {
        pattern.matches(text) && !(matches!(pattern, Pattern::Present) && text.contains('\n'))
    };
    match test {
        Test::Principal(pattern) => pattern.matches(text),
        Test::Namespace(pattern) => pattern.matches_name(&format!("spiffe://{text}")),
        Test::NamespaceName(pattern) => {
            text.split('/').nth(2).is_some_and(|namespace| pattern.matches(namespace))
        }
        Test::ServiceAccount { namespace, name } if engine == Engine::Ztunnel => {
            text.split_once("/ns/").is_some_and(|(_, tail)| tail == format!("{namespace}/sa/{name}"))
        }
        Test::ServiceAccount { namespace, name } => {
            let account = meshproof_grammar::service_account::ServiceAccountRef {
                namespace: Some(namespace.clone()),
                name: name.clone(),
            };
            account.matches_name(&format!("spiffe://{text}"), namespace)
        }
        Test::TrustDomain(value) => {
            let domain = text.split('/').next().unwrap_or_default();
            match value.split_once('*') {
                _ if value == "*" => true,
                None => text.strip_prefix(value.as_str()).is_some_and(|rest| rest.starts_with('/')),
                Some((start, end)) if !end.contains('/') && !start.contains('/') => {
                    domain.len() >= start.len() + end.len()
                        && domain.starts_with(start)
                        && domain.ends_with(end)
                }
                Some((start, end)) => {
                    let Some(rest) = text.strip_prefix(start) else { return false };
                    let free = rest.find('/').unwrap_or(rest.len());
                    let end = format!("{end}/");
                    rest.match_indices(end.as_str()).any(|(at, _)| at <= free)
                }
            }
        }
        Test::Text(pattern) if *variable == Variable::Sni => line(pattern, &text.to_ascii_lowercase()),
        Test::Text(pattern) | Test::Path(pattern) => line(pattern, text),
        Test::Header(pattern) => pattern.matches_header(text),
        Test::Host(pattern) => pattern.matches_host(text),
        Test::Template(template) => template.matches(text),
        Test::Token { .. } | Test::Word { .. } | Test::Block(_) | Test::Port(_) | Test::Absent => false,
    }
}
