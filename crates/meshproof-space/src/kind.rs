//! How the values of a variable look, given every test that is made of it.

use std::sync::Arc;

use meshproof_authz::{Context, Engine, IdentityFlavour, PathNormalization};
use meshproof_grammar::pattern::Pattern;

use crate::alphabet::{Bytes, Form, TextDomain};
use crate::domain::Domain;
use crate::language::{Atom, Language, any_case, literal};
use crate::lower::joins_headers;
use crate::part::Part;
use crate::test::Test;
use crate::value::{Number, Value};
use crate::variable::Variable;
use crate::{identity, paths, token};

/// The values of a variable.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Ports or addresses: intervals that follow each other.
    Numbers(Vec<(Number, Number)>),
    /// One text in parts, each with simple tests. Either all parts are there or, when the domains say so, none
    /// (`together`) or any (not `together`).
    Parts { domains: Vec<TextDomain>, together: bool },
    /// Several texts, each with simple tests.
    Lines(TextDomain),
    /// One text or several, with tests of any sort.
    Words(Words),
}

/// Texts that need more than simple tests.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// What simple tests alone can do.
    pub domain: TextDomain,
    /// What every text is.
    pub legal: Language,
    /// What no text is.
    pub illegal: Vec<Language>,
    /// There may be several.
    pub several: bool,
}

impl Kind {
    /// A text that no test knows; empty when every character is taken.
    pub fn filler(&self) -> &str {
        match self {
            Kind::Numbers(_) => "",
            Kind::Parts { domains, .. } => domains.first().map_or("", |domain| &domain.filler),
            Kind::Lines(domain) => &domain.filler,
            Kind::Words(words) => &words.domain.filler,
        }
    }

    /// Told that boxes ask whether the variable is there at all.
    pub fn set_absent_matters(&mut self) {
        match self {
            Kind::Numbers(_) => {}
            Kind::Parts { domains, .. } => domains.iter_mut().for_each(|domain| domain.absent_matters = true),
            Kind::Lines(domain) => domain.absent_matters = true,
            Kind::Words(words) => words.domain.absent_matters = true,
        }
    }

    /// Whether there may be several values at a time.
    pub fn holds_several(&self) -> bool {
        match self {
            Kind::Lines(_) => true,
            Kind::Words(words) => words.several,
            Kind::Numbers(_) | Kind::Parts { .. } => false,
        }
    }

    /// Whether boxes ask whether the variable is there at all.
    pub fn absent_matters(&self) -> bool {
        match self {
            Kind::Numbers(_) => false,
            Kind::Parts { domains, .. } => domains.iter().any(|domain| domain.absent_matters),
            Kind::Lines(domain) => domain.absent_matters,
            Kind::Words(words) => words.domain.absent_matters,
        }
    }

    /// Chooses the text that no test knows. Where there is none, texts need a search of their own.
    pub fn fill<'a>(&mut self, shapes: impl Iterator<Item = &'a Shape> + Clone) {
        let part_texts = |at: usize| {
            let forms = shapes.clone().flat_map(|shape| match shape {
                Shape::Forms(forms) => forms.as_slice(),
                _ => &[],
            });
            forms.map(move |form| form[at].clone()).collect::<Vec<Part>>()
        };
        let simple_texts = || {
            let simple = |shape: &Shape| match shape {
                Shape::Simple(part) => Some(part.clone()),
                _ => None,
            };
            shapes.clone().filter_map(simple).collect::<Vec<Part>>()
        };
        match self {
            Kind::Numbers(_) => {}
            Kind::Parts { domains, .. } => {
                for (at, domain) in domains.iter_mut().enumerate() {
                    domain.fill(&part_texts(at));
                }
            }
            Kind::Lines(domain) => domain.fill(&simple_texts()),
            Kind::Words(words) => {
                let mut parts = simple_texts();
                let texts = shapes.clone().filter_map(|shape| match shape {
                    Shape::Language(language) => Some(Part::Exact(Arc::from(language.letters()))),
                    _ => None,
                });
                parts.extend(texts);
                words.domain.fill(&parts);
            }
        }
    }
}

impl Words {
    /// The characters that legal texts are made of.
    pub fn legal_bytes(&self) -> Bytes {
        let atoms = self.legal.sequences.iter().flatten();
        atoms.fold(Bytes::NONE, |all, atom| match atom {
            Atom::One(bytes) | Atom::Many(bytes) => all.or(*bytes),
            Atom::Open(_) | Atom::Close(_) => all,
        })
    }
}

/// A test as the search sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// A number from here to there.
    Range(Number, Number),
    /// One of these products over the parts.
    Forms(Vec<Vec<Part>>),
    /// One of the texts passes the simple test.
    Simple(Part),
    /// One of the texts is of the language.
    Language(Arc<Language>),
}

impl Shape {
    /// Whether it is met when the variable is not there.
    pub fn is_absence(&self) -> bool {
        match self {
            Shape::Forms(forms) => forms.iter().any(|form| form.contains(&Part::Absent)),
            Shape::Simple(part) => *part == Part::Absent,
            Shape::Range(..) | Shape::Language(_) => false,
        }
    }

    pub fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Shape::Range(from, to), Value::Number(number)) => from <= number && number <= to,
            (Shape::Forms(forms), Value::Parts(parts)) => forms
                .iter()
                .any(|form| form.iter().zip(parts.iter()).all(|(part, text)| part.matches(text.as_deref()))),
            (Shape::Simple(Part::Absent), Value::Lines(lines)) => lines.is_empty(),
            (Shape::Simple(part), Value::Lines(lines)) => lines.iter().any(|line| part.matches(Some(line))),
            (Shape::Simple(part), Value::Parts(parts)) => part.matches(parts[0].as_deref()),
            (Shape::Language(language), Value::Lines(lines)) => {
                lines.iter().any(|line| language.matches(line))
            }
            (Shape::Language(language), Value::Parts(parts)) => {
                parts[0].as_ref().is_some_and(|text| language.matches(text))
            }
            _ => false,
        }
    }
}

/// What values of the variable look like. `tests` are all that are made of it.
pub(crate) fn kind_of(variable: &Variable, tests: &[&Test], context: &Context, domain: &Domain) -> Kind {
    let single = |domain: TextDomain| Kind::Parts { domains: vec![domain], together: false };
    let plain = || TextDomain::new(Bytes::text(), Form::Plain).or_empty();
    match variable {
        Variable::Peer => peer(tests, context, domain),
        Variable::Token if token::has_words(tests) => token::kind(),
        Variable::Token => {
            Kind::Parts { domains: vec![plain().optional(), plain().optional()], together: false }
        }
        Variable::Path => path(tests, context),
        Variable::Authority => authority(tests),
        Variable::Method => single(TextDomain::new(Bytes::token(), Form::Plain)),
        Variable::Sni => {
            let lower = Bytes::visible().without(Bytes::range(b'A', b'Z'));
            single(TextDomain::new(lower, Form::Plain).optional())
        }
        Variable::Header(_) => {
            let line = TextDomain::new(Bytes::text().with(b'\t'), Form::Trimmed).or_empty();
            if joins_headers(context) { single(line.optional()) } else { Kind::Lines(line) }
        }
        Variable::Claim(_) | Variable::Metadata { is_list: true, .. } => Kind::Lines(plain()),
        Variable::Metadata { is_list: false, .. } => single(plain().optional()),
        Variable::DestinationPort => {
            let mut ports = domain.ports.clone();
            ports.sort_unstable();
            ports.dedup();
            let each = ports.into_iter().map(|port| (Number::port(port), Number::port(port)));
            let ranges: Vec<_> = each.collect();
            let all = vec![(Number::port(1), Number::port(u16::MAX))];
            Kind::Numbers(if ranges.is_empty() { all } else { ranges })
        }
        Variable::SourceIp | Variable::RemoteIp | Variable::DestinationIp => {
            let number = |is_v6, value| Number { is_v6, value };
            Kind::Numbers(vec![
                (number(false, 0), number(false, u128::from(u32::MAX))),
                (number(true, 0), number(true, u128::MAX)),
            ])
        }
    }
}

fn peer(tests: &[&Test], context: &Context, domain: &Domain) -> Kind {
    let foreign = domain.foreign && context.engine != Engine::Ztunnel;
    let part = |bytes| TextDomain { absent: domain.plaintext, ..TextDomain::new(bytes, Form::Plain) };
    if !foreign && tests.iter().copied().all(identity::has_forms) {
        let mut domains = vec![part(Bytes::trust_domain()), part(Bytes::name()), part(Bytes::name())];
        if !domain.workloads {
            domains.iter_mut().for_each(|part| part.alphabet = Bytes::NONE);
        }
        return Kind::Parts { domains, together: true };
    }
    let any = Bytes::visible();
    let legal = if foreign {
        Language::of(vec![Atom::One(any), Atom::Many(any)])
    } else if domain.workloads {
        identity::workloads()
    } else {
        Language::default()
    };
    let several = foreign && context.identity == IdentityFlavour::Certificate;
    Kind::Words(Words { domain: part(any), legal, illegal: Vec::new(), several })
}

fn path(tests: &[&Test], context: &Context) -> Kind {
    let mode = match context.engine {
        Engine::Grpc => PathNormalization::None,
        _ => context.semantics.normalization,
    };
    let domain = TextDomain::new(Bytes::path(mode), Form::Path(mode)).optional();
    let whole = tests.iter().any(|test| matches!(test, Test::Header(_)));
    let simple = |test: &&Test| matches!(test, Test::Path(_) | Test::Absent);
    if tests.iter().all(simple) {
        return Kind::Parts { domains: vec![domain], together: false };
    }
    let (legal, illegal) = paths::domain(mode, whole);
    Kind::Words(Words { domain, legal, illegal, several: false })
}

fn authority(tests: &[&Test]) -> Kind {
    let any_case = tests.iter().any(|test| matches!(test, Test::Host(_)));
    let exact_case = tests.iter().any(|test| matches!(test, Test::Header(_)));
    let all = Bytes::visible();
    let bytes = if any_case && !exact_case { all.without(Bytes::range(b'A', b'Z')) } else { all };
    let domain = TextDomain::new(bytes, Form::Plain).or_empty();
    if any_case && exact_case {
        let legal = Language::of(vec![Atom::Many(all)]);
        return Kind::Words(Words { domain, legal, illegal: Vec::new(), several: false });
    }
    Kind::Parts { domains: vec![domain], together: false }
}

/// The test over values of the kind.
pub(crate) fn shape_of(variable: &Variable, test: &Test, kind: &Kind) -> Shape {
    let part = |part: Part| match kind {
        Kind::Parts { .. } => Shape::Forms(vec![vec![part]]),
        _ => Shape::Simple(part),
    };
    let is_words = matches!(kind, Kind::Words(_));
    match (variable, test) {
        (_, Test::Port(port)) => Shape::Range(Number::port(*port), Number::port(*port)),
        (_, Test::Block(block)) => {
            Shape::Range(Number::address(block.network()), Number::address(block.broadcast()))
        }
        (Variable::Peer, test) if !is_words => {
            let forms = identity::forms(test).unwrap_or_default();
            Shape::Forms(forms.into_iter().map(Vec::from).collect())
        }
        (Variable::Token, Test::Token { .. } | Test::Word { .. }) if is_words => {
            Shape::Language(Arc::new(token::language(test)))
        }
        (Variable::Token, Test::Absent) if !is_words => Shape::Forms(vec![vec![Part::Absent, Part::Absent]]),
        (Variable::Token, Test::Token { issuer, subject }) => {
            let part = |pattern: &Option<Pattern>| pattern.as_ref().map_or(Part::Any, |p| simple(p, true));
            Shape::Forms(vec![vec![part(issuer), part(subject)]])
        }
        (_, Test::Absent) => part(Part::Absent),
        (Variable::Peer, test) => Shape::Language(Arc::new(identity::language(test))),
        (Variable::Path, test) if is_words => of_path(test, kind),
        (Variable::Sni, Test::Text(Pattern::Exact(text))) if text.is_empty() => part(Part::Absent),
        (_, Test::Host(pattern)) if is_words => host_language(pattern),
        (_, Test::Host(pattern)) => part(simple(&lower_case(pattern), false)),
        (_, Test::Header(pattern)) => part(simple(pattern, false)),
        (_, Test::Text(pattern) | Test::Path(pattern)) => part(simple(pattern, true)),
        _ => Shape::Forms(Vec::new()),
    }
}

fn simple(pattern: &Pattern, non_empty: bool) -> Part {
    match pattern {
        Pattern::Present if non_empty => Part::NonEmpty,
        Pattern::Present => Part::Exists,
        Pattern::Exact(text) => Part::Exact(Arc::from(text.as_str())),
        Pattern::Prefix(text) if text.is_empty() => Part::Exists,
        Pattern::Suffix(text) if text.is_empty() => Part::Exists,
        Pattern::Prefix(text) => Part::Prefix(Arc::from(text.as_str())),
        Pattern::Suffix(text) => Part::Suffix(Arc::from(text.as_str())),
    }
}

fn of_path(test: &Test, kind: &Kind) -> Shape {
    let Kind::Words(words) = kind else { return Shape::Forms(Vec::new()) };
    // The alphabet of the legal texts tells whether they have queries.
    let with_query = words.legal.sequences.len() > 2;
    match test {
        Test::Path(pattern) if !with_query => Shape::Simple(simple(pattern, true)),
        Test::Path(pattern) => Shape::Language(Arc::new(paths::of_path(pattern, with_query))),
        Test::Template(template) => Shape::Language(Arc::new(paths::of_template(template, with_query))),
        Test::Header(pattern) => Shape::Simple(simple(pattern, false)),
        _ => Shape::Forms(Vec::new()),
    }
}

fn lower_case(pattern: &Pattern) -> Pattern {
    match pattern {
        Pattern::Present => Pattern::Present,
        Pattern::Exact(text) => Pattern::Exact(text.to_ascii_lowercase()),
        Pattern::Prefix(text) => Pattern::Prefix(text.to_ascii_lowercase()),
        Pattern::Suffix(text) => Pattern::Suffix(text.to_ascii_lowercase()),
    }
}

fn host_language(pattern: &Pattern) -> Shape {
    let any = Atom::Many(Bytes::visible());
    let atoms: Vec<Atom> = match pattern {
        Pattern::Present => return Shape::Simple(Part::Exists),
        Pattern::Exact(text) => any_case(text).collect(),
        Pattern::Prefix(text) => any_case(text).chain([any]).collect(),
        Pattern::Suffix(text) => [any].into_iter().chain(any_case(text)).collect(),
    };
    Shape::Language(Arc::new(Language::of(atoms)))
}

/// A simple test over texts as a language; nothing for one that is about presence alone.
pub(crate) fn language_of(part: &Part, bytes: Bytes) -> Language {
    let any = Atom::Many(bytes);
    Language::of(match part {
        Part::Any | Part::Exists | Part::Absent => vec![any],
        Part::NonEmpty => vec![Atom::One(bytes), any],
        Part::Exact(text) => literal(text).collect(),
        Part::Prefix(text) => literal(text).chain([any]).collect(),
        Part::Suffix(text) => [any].into_iter().chain(literal(text)).collect(),
    })
}
