//! Values of an attribute, at least one of each class that its tests tell apart.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use meshproof_authz::{Context, Engine};
use meshproof_engine::Probe;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::uri_template::Takes;
use meshproof_space::{Test, Variable};

/// A value to try.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Text(String),
    Token(Option<String>, Option<String>),
    Address(IpAddr),
    Port(u16),
}

impl Value {
    pub fn probe(&self) -> Probe<'_> {
        match self {
            Value::Text(text) => Probe::Text(text.as_bytes()),
            Value::Token(issuer, subject) => {
                Probe::Token(issuer.as_deref().map(str::as_bytes), subject.as_deref().map(str::as_bytes))
            }
            Value::Address(address) => Probe::Address(*address),
            Value::Port(port) => Probe::Port(*port),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Token(issuer, subject) => write!(f, "{issuer:?} and {subject:?}"),
            Value::Address(address) => address.fmt(f),
            Value::Port(port) => port.fmt(f),
        }
    }
}

/// Prefixes are joined with so many suffixes, and parts of tokens and names with each other.
const JOINED: usize = 24;

/// Values for the tests of a variable.
pub(super) fn values<'t>(
    variable: &Variable,
    tests: impl Iterator<Item = &'t Test>,
    context: &Context,
) -> BTreeSet<Value> {
    let tests: Vec<&Test> = tests.collect();
    match variable {
        Variable::Peer => peers(&tests, context.engine == Engine::Ztunnel),
        Variable::Token => tokens(&tests),
        Variable::DestinationPort => numbers(&tests),
        Variable::SourceIp | Variable::RemoteIp | Variable::DestinationIp => numbers(&tests),
        _ => {
            let mut values = BTreeSet::new();
            for test in &tests {
                match test {
                    Test::Template(template) => {
                        if let Some(template) = template.steps() {
                            values.extend(paths(&template.steps));
                        }
                    }
                    Test::Text(pattern)
                    | Test::Header(pattern)
                    | Test::Host(pattern)
                    | Test::Path(pattern) => {
                        values.extend(beside(pattern.literal()));
                    }
                    _ => {}
                }
            }
            values.extend(beside(""));
            values.insert("a\nb".to_owned());
            let literal = |is_suffix: bool| {
                tests.iter().filter_map(move |test| match test {
                    Test::Text(pattern)
                    | Test::Header(pattern)
                    | Test::Host(pattern)
                    | Test::Path(pattern) => {
                        (matches!(pattern, Pattern::Suffix(_)) == is_suffix).then(|| pattern.literal())
                    }
                    _ => None,
                })
            };
            let suffixes: Vec<&str> = literal(true).take(JOINED).collect();
            for start in literal(false).take(JOINED * JOINED) {
                values.extend(suffixes.iter().map(|end| format!("{start}~{end}")));
            }
            if *variable == Variable::Path {
                let queried: Vec<String> = values.iter().map(|path| format!("{path}?q")).collect();
                values.extend(queried);
            }
            // Names that a proxy hands over are in small letters, hosts and server names in any case.
            let capitals: Vec<String> = match variable {
                Variable::Authority | Variable::Sni => {
                    values.iter().map(|text| text.to_uppercase()).collect()
                }
                _ => Vec::new(),
            };
            values.extend(capitals);
            values.into_iter().map(Value::Text).collect()
        }
    }
}

/// The text, and what lies right beside it.
fn beside(text: &str) -> Vec<String> {
    let mut values = vec![text.to_owned(), format!("{text}~"), format!("~{text}"), format!("~{text}~")];
    let mut characters = text.chars();
    if characters.next_back().is_some() {
        values.push(characters.as_str().to_owned());
    }
    let mut characters = text.chars();
    if characters.next().is_some() {
        values.push(characters.as_str().to_owned());
    }
    values
}

/// Paths of a template: operators take as little as they can, or more; and paths beside.
fn paths(steps: &[(Takes, bool)]) -> Vec<String> {
    let path = |more: &str, slashes: &str| {
        let mut path = String::new();
        for (takes, repeats) in steps {
            match (takes, repeats) {
                (Takes::This(byte), false) => path.push(char::from(*byte)),
                (Takes::This(byte), true) => path.extend((0..more.len()).map(|_| char::from(*byte))),
                (Takes::Segment, false) => path.push('x'),
                (Takes::Segment, true) => path.push_str(more),
                (Takes::Slashes, _) => path.push_str(slashes),
            }
        }
        path
    };
    let found = [path("", ""), path("y", "z"), path("yy", "z/z"), path("/", "/")];
    found.iter().flat_map(|path| beside(path)).collect()
}

fn numbers(tests: &[&Test]) -> BTreeSet<Value> {
    let mut values = BTreeSet::new();
    for test in tests {
        match test {
            Test::Port(port) => {
                values.extend([port.saturating_sub(1), *port, port.saturating_add(1)].map(Value::Port));
            }
            Test::Block(block) => {
                let (from, to) = (block.network(), block.broadcast());
                values.extend(
                    [before(from), Some(from), Some(to), behind(to)]
                        .into_iter()
                        .flatten()
                        .map(Value::Address),
                );
            }
            _ => {}
        }
    }
    if tests.iter().any(|test| matches!(test, Test::Block(_))) {
        let ends: [&[u8]; 2] = [&[0; 4], &[255; 4]];
        for end in ends {
            let v4: [u8; 4] = [end[0]; 4];
            values.extend([Value::Address(v4.into()), Value::Address([end[0]; 16].into())]);
        }
    }
    values
}

fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => Some(IpAddr::V4(u32::from(address).checked_sub(1)?.into())),
        IpAddr::V6(address) => Some(IpAddr::V6(u128::from(address).checked_sub(1)?.into())),
    }
}

fn behind(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => Some(IpAddr::V4(u32::from(address).checked_add(1)?.into())),
        IpAddr::V6(address) => Some(IpAddr::V6(u128::from(address).checked_add(1)?.into())),
    }
}

fn tokens(tests: &[&Test]) -> BTreeSet<Value> {
    let mut halves: [BTreeSet<Option<String>>; 2] = Default::default();
    for half in &mut halves {
        half.extend([None, Some(String::new()), Some("~".to_owned()), Some("a\nb".to_owned())]);
    }
    let mut values = BTreeSet::new();
    for test in tests {
        let Test::Token { issuer, subject } = test else { continue };
        let texts = |half: &Option<Pattern>| beside(half.as_ref().map_or("", Pattern::literal));
        for first in texts(issuer) {
            for second in texts(subject) {
                values.insert(Value::Token(Some(first.clone()), Some(second)));
            }
            halves[0].insert(Some(first));
        }
        halves[1].extend(texts(subject).into_iter().map(Some));
    }
    let [issuers, subjects] = halves;
    for (at, issuer) in issuers.iter().enumerate() {
        for (other, subject) in subjects.iter().enumerate() {
            if at < JOINED || other < JOINED {
                values.insert(Value::Token(issuer.clone(), subject.clone()));
            }
        }
    }
    values
}

/// Names of workloads: the parts that policies write, and strangers, put together. Other names are told test by test.
fn peers(tests: &[&Test], is_ztunnel: bool) -> BTreeSet<Value> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut parts: [BTreeSet<String>; 3] = Default::default();
    for part in &mut parts {
        part.extend(["x", "xx"].map(str::to_owned));
    }
    let inside = |text: &str| !text.is_empty() && !text.contains('/');
    let add = |part: &mut BTreeSet<String>, text: &str| {
        let more = [format!("{text}z"), format!("z{text}")];
        part.extend(beside(text).into_iter().chain(more).filter(|text| inside(text)));
    };
    for test in tests {
        match test {
            Test::Principal(pattern) => {
                let pieces: Vec<&str> = pattern.literal().split('/').collect();
                let skipped = if matches!(pattern, Pattern::Suffix(_)) {
                    5usize.saturating_sub(pieces.len())
                } else {
                    0
                };
                let mut whole = ["x", "ns", "x", "sa", "x"].map(str::to_owned);
                for (at, piece) in pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty()) {
                    let place = at + skipped;
                    if let 0 | 2 | 4 = place {
                        add(&mut parts[place / 2], piece);
                        whole[place] = (*piece).to_owned();
                    }
                }
                for ending in ["", "~", "z"] {
                    let mut one = whole.clone();
                    one[4].push_str(ending);
                    names.insert(one.join("/"));
                    let mut one = whole.clone();
                    one[2].push_str(ending);
                    names.insert(one.join("/"));
                    names.insert(format!("{ending}{}", whole.join("/")));
                }
            }
            Test::Namespace(pattern) => {
                pattern.text.split(['*', '/']).for_each(|piece| add(&mut parts[1], piece))
            }
            Test::NamespaceName(pattern) => add(&mut parts[1], pattern.literal()),
            Test::ServiceAccount { namespace, name } => {
                names.insert(format!("x/ns/{namespace}/sa/{name}"));
                names.insert(format!("x/ns/{namespace}/sa/{name}~"));
                names.insert(format!("x/ns/~{namespace}/sa/{name}"));
            }
            Test::TrustDomain(domain) => domain.split(['*', '/']).for_each(|piece| add(&mut parts[0], piece)),
            _ => {}
        }
    }
    let [domains, namespaces, accounts] = &parts;
    for (at, domain) in domains.iter().enumerate() {
        for (other, namespace) in namespaces.iter().enumerate() {
            for (last, account) in accounts.iter().enumerate() {
                // Every part meets a stranger in the other places, and the first few each other.
                let few = [at, other, last].iter().filter(|place| **place >= 6).count();
                let strangers =
                    [domain, namespace, account].iter().filter(|part| part.as_str() == "x").count();
                if few == 0 || strangers >= 2 {
                    names.insert(format!("{domain}/ns/{namespace}/sa/{account}"));
                }
            }
        }
    }
    let is_name = |name: &String| {
        let pieces: Vec<&str> = name.split('/').collect();
        let plain = if is_ztunnel {
            // It takes no other characters, and a namespace may be called `ns`.
            let is_of_domain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            pieces.first().is_some_and(|domain| domain.chars().all(is_of_domain)) && !name.contains('*')
        } else {
            pieces.first() != Some(&"ns") && pieces.get(2) != Some(&"ns")
        };
        matches!(pieces.as_slice(), [_, "ns", _, "sa", _])
            && pieces.iter().all(|piece| !piece.is_empty())
            && plain
    };
    // Names that are not those of workloads are looked up as a whole.
    let whole = tests.iter().filter_map(|test| match test {
        Test::Principal(pattern) if !is_ztunnel => Some(beside(pattern.literal())),
        _ => None,
    });
    let odd: Vec<String> = whole.flatten().filter(|name| name.contains('/') && !is_name(name)).collect();
    let names = names.into_iter().filter(is_name).chain(odd);
    names.map(|name| Value::Text(format!("spiffe://{name}"))).collect()
}
