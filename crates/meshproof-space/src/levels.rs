//! Classes of values: values that pass the same tests are one class, and the classes of a variable are the levels of a
//! diagram.
//!
//! A text is a point of its own when a test names it; all others are told apart by their longest prefix and their longest
//! suffix that tests know, each on a level of its own, where a prefix and all that goes on from it is one stretch. Every
//! pair of them is met by `prefix·filler·suffix`. Several texts are one yes or no for each test; what tests imply of each
//! other is part of the set of all requests.

use std::sync::Arc;

use crate::alphabet::{Form, TextDomain};
use crate::kind::{Kind, Shape, Words};
use crate::language::{Language, Reading, texts};
use crate::limit::Limit;
use crate::nodes::{ALL, NONE, NodeId, Nodes};
use crate::part::{Demand, Part};
use crate::value::{Number, Value};
use crate::values::{familiar, language_of_test};
use crate::vocabulary::{TestId, VariableId, Vocabulary};

/// States that the search for the classes of texts with languages may look at.
const MOST_STATES: usize = 20_000;
/// Texts with languages that may be told apart.
const MOST_TEXTS: usize = 2_000;
/// Tests of a variable with several texts: each is compared with each.
const MOST_TESTS: usize = 64;

/// The levels of one variable.
#[derive(Debug)]
pub(crate) struct Levels {
    /// The first of them.
    pub first: u32,
    classes: Classes,
}

#[derive(Debug)]
enum Classes {
    /// One level: from each border to the next.
    Numbers { borders: Vec<Number>, legal: Vec<(Number, Number)> },
    /// Three levels for each part.
    Parts { parts: Vec<TextClasses>, together: bool },
    /// One level: a value for each set of tests that some text passes.
    Words(Vec<Value>),
    /// One level for each test.
    Lines { domain: TextDomain, parts: Vec<Part> },
}

/// A text that is missing.
const ABSENT: u32 = 0;
/// The empty text.
const EMPTY: u32 = 1;

/// The classes of one text: which point it is; if none, its prefix and its suffix.
#[derive(Debug)]
struct TextClasses {
    domain: TextDomain,
    /// Ordered. They are the points from 2 on; behind them stand all other texts.
    exact: Vec<Arc<str>>,
    /// Ordered, the empty one first.
    prefixes: Vec<String>,
    /// Turned around and ordered, the empty one first.
    suffixes: Vec<String>,
}

impl Levels {
    /// The levels of the variable from `first` on.
    ///
    /// # Errors
    /// Its values cannot be told apart this way.
    pub fn new(variable: VariableId, vocabulary: &Vocabulary, first: u32) -> Result<Levels, Limit> {
        let shapes = || vocabulary.tests_of(variable).map(|test| vocabulary.shape(test));
        let classes = match &vocabulary.kinds[variable] {
            Kind::Numbers(legal) => {
                let mut borders: Vec<Number> = legal.iter().map(|(from, _)| *from).collect();
                borders.extend(legal.iter().filter_map(|(_, to)| to.next()));
                for shape in shapes() {
                    if let Shape::Range(from, to) = shape {
                        borders.push(*from);
                        borders.extend(to.next());
                    }
                }
                borders.push(Number { is_v6: false, value: 0 });
                borders.sort_unstable();
                borders.dedup();
                Classes::Numbers { borders, legal: legal.clone() }
            }
            Kind::Parts { domains, together } => {
                let of_part = |(at, domain): (usize, &TextDomain)| {
                    let forms = shapes().flat_map(|shape| match shape {
                        Shape::Forms(forms) => forms.as_slice(),
                        _ => &[],
                    });
                    TextClasses::new(domain, forms.map(|form| &form[at]))
                };
                let parts: Result<Vec<TextClasses>, Limit> =
                    domains.iter().enumerate().map(of_part).collect();
                Classes::Parts { parts: parts?, together: *together }
            }
            Kind::Words(words) => Classes::Words(word_classes(words, variable, vocabulary)?),
            Kind::Lines(domain) => {
                Classes::Lines { domain: domain.clone(), parts: line_tests(domain, shapes())? }
            }
        };
        Ok(Levels { first, classes })
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        let len = match &self.classes {
            Classes::Numbers { .. } | Classes::Words(_) => 1,
            Classes::Parts { parts, .. } => 3 * parts.len(),
            Classes::Lines { parts, .. } => parts.len(),
        };
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    /// The values that there are.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn legal(&self, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        match &self.classes {
            Classes::Numbers { borders, legal } => {
                let stretches: Vec<(u32, u32)> =
                    legal.iter().map(|(from, to)| number_stretch(borders, *from, *to)).collect();
                nodes.stretches(self.first, &stretches, ALL)
            }
            Classes::Words(values) => nodes.stretches(self.first, &[(0, number_of(values.len()))], ALL),
            Classes::Parts { parts, together } => self.legal_parts(parts, *together, nodes),
            Classes::Lines { domain, parts } => self.legal_lines(domain, parts, nodes),
        }
    }

    fn legal_parts(&self, parts: &[TextClasses], together: bool, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let (mut there, mut absent, mut each) = (ALL, ALL, ALL);
        for (at, part) in parts.iter().enumerate().rev() {
            let level = self.first + 3 * number_of(at);
            let of_there = part.legal(level, nodes)?;
            let of_absent = match part.domain.absent {
                true => nodes.stretches(level, &[(ABSENT, EMPTY)], ALL)?,
                false => NONE,
            };
            let of_each = nodes.either(of_there, of_absent)?;
            there = nodes.both(of_there, there)?;
            absent = nodes.both(of_absent, absent)?;
            each = nodes.both(of_each, each)?;
        }
        if together { nodes.either(there, absent) } else { Ok(each) }
    }

    /// What the tests of several texts imply: some line passes both, or none passes the first.
    fn legal_lines(&self, domain: &TextDomain, parts: &[Part], nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let passes =
            |at: usize, nodes: &mut Nodes| nodes.stretches(self.first + number_of(at), &[(1, 2)], ALL);
        let mut legal = ALL;
        for (at, part) in parts.iter().enumerate() {
            let own = passes(at, nodes)?;
            let least = Demand::Free.and(part).map_or(Ok(Vec::new()), |demand| demand.least(domain))?;
            let mut least = least.into_iter().flatten();
            let implied = match (part, least.next()) {
                (_, None) => NONE,
                // A text that is there is empty or not.
                (Part::Exists, _) => {
                    let known = [Part::NonEmpty, Part::Exact(Arc::from(""))];
                    let mut either = NONE;
                    for kind in known {
                        if let Some(place) = parts.iter().position(|part| *part == kind) {
                            let passed = passes(place, nodes)?;
                            either = nodes.either(either, passed)?;
                        }
                    }
                    if either == NONE { ALL } else { either }
                }
                (_, Some(text)) => {
                    let mut all = ALL;
                    for (place, _) in parts.iter().enumerate().filter(|(_, other)| other.matches(Some(&text)))
                    {
                        let passed = passes(place, nodes)?;
                        all = nodes.both(all, passed)?;
                    }
                    all
                }
            };
            let missed = nodes.without(ALL, own)?;
            let holds = nodes.either(missed, implied)?;
            legal = nodes.both(legal, holds)?;
        }
        Ok(legal)
    }

    /// The values that pass the test.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn passing(
        &self,
        test: TestId,
        variable: VariableId,
        vocabulary: &Vocabulary,
        nodes: &mut Nodes,
    ) -> Result<NodeId, Limit> {
        let shape = vocabulary.shape(test);
        match (&self.classes, shape) {
            (Classes::Numbers { borders, .. }, Shape::Range(from, to)) => {
                nodes.stretches(self.first, &[number_stretch(borders, *from, *to)], ALL)
            }
            (Classes::Words(values), _) => {
                let passes = |value: &Value| vocabulary.passed(variable, value).binary_search(&test).is_ok();
                let passing = values.iter().enumerate().filter(|(_, value)| passes(value));
                let stretches: Vec<(u32, u32)> =
                    passing.map(|(at, _)| (number_of(at), number_of(at) + 1)).collect();
                nodes.stretches(self.first, &stretches, ALL)
            }
            (Classes::Parts { parts, .. }, Shape::Forms(forms)) => {
                let mut union = NONE;
                for form in forms {
                    let mut product = ALL;
                    for (at, (part, classes)) in form.iter().zip(parts).enumerate().rev() {
                        let passing = classes.passing(part, self.first + 3 * number_of(at), nodes)?;
                        product = nodes.both(passing, product)?;
                    }
                    union = nodes.either(union, product)?;
                }
                Ok(union)
            }
            (Classes::Lines { .. }, Shape::Simple(Part::Absent)) => self.absent(nodes),
            (Classes::Lines { parts, .. }, Shape::Simple(part)) => {
                match parts.iter().position(|known| known == part) {
                    Some(at) => nodes.stretches(self.first + number_of(at), &[(1, 2)], ALL),
                    None => Ok(NONE),
                }
            }
            _ => Ok(NONE),
        }
    }

    /// The value that is missing.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn absent(&self, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        match &self.classes {
            Classes::Numbers { .. } => Ok(NONE),
            Classes::Words(values) => {
                let at = values.iter().position(|value| *value == Value::text(None));
                let stretch = at.map(|at| (number_of(at), number_of(at) + 1));
                nodes.stretches(self.first, stretch.as_slice(), ALL)
            }
            Classes::Parts { parts, .. } => {
                let mut all = ALL;
                for at in (0..parts.len()).rev() {
                    let own = nodes.stretches(self.first + 3 * number_of(at), &[(ABSENT, EMPTY)], ALL)?;
                    all = nodes.both(own, all)?;
                }
                Ok(all)
            }
            // The first test of several texts is that there is one.
            Classes::Lines { .. } => nodes.stretches(self.first, &[(0, 1)], ALL),
        }
    }

    /// A value of the classes; `class` gives them by level, nothing where it does not matter.
    ///
    /// # Errors
    /// Every character is taken at the place where another one is needed.
    pub fn value(&self, class: impl Fn(u32) -> Option<u32>) -> Result<Option<Value>, Limit> {
        if (self.first..self.first + self.len()).all(|level| class(level).is_none()) {
            return Ok(None);
        }
        Ok(match &self.classes {
            Classes::Numbers { borders, legal } => {
                let at = class(self.first).unwrap_or(0) as usize;
                borders.get(at).map(|border| familiar(*border, borders.get(at + 1), legal)).map(Value::Number)
            }
            Classes::Words(values) => values.get(class(self.first).unwrap_or(0) as usize).cloned(),
            Classes::Parts { parts, .. } => {
                let texts: Result<Vec<Option<Arc<str>>>, Limit> = parts
                    .iter()
                    .enumerate()
                    .map(|(at, part)| part.text(|level| class(self.first + 3 * number_of(at) + level)))
                    .collect();
                Some(Value::Parts(texts?.into()))
            }
            Classes::Lines { domain, parts } => {
                let is_passed = |at: &usize| class(self.first + number_of(*at)) == Some(1);
                // The text of a test for presence is needed only where no other one is there.
                let says_most = (0..parts.len()).filter(is_passed).map(|at| &parts[at]).rev();
                let mut lines: Vec<Arc<str>> = Vec::new();
                for part in says_most {
                    if lines.is_empty() || !lines.iter().any(|line| part.matches(Some(line))) {
                        let least =
                            Demand::Free.and(part).map_or(Ok(Vec::new()), |part| part.least(domain))?;
                        lines.extend(least.into_iter().flatten().next());
                    }
                }
                lines.sort();
                lines.dedup();
                Some(Value::Lines(lines.into()))
            }
        })
    }
}

/// A place as the number of a class or a level.
fn number_of(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The classes from one number to another, both included.
fn number_stretch(borders: &[Number], from: Number, to: Number) -> (u32, u32) {
    let start = borders.partition_point(|border| *border < from);
    let end = borders.partition_point(|border| *border <= to);
    (number_of(start), number_of(end))
}

impl TextClasses {
    fn new<'a>(domain: &TextDomain, tests: impl Iterator<Item = &'a Part>) -> Result<TextClasses, Limit> {
        if domain.crowded.is_some() && domain.has_letters() {
            return Err(Limit::Values);
        }
        let mut exact: Vec<Arc<str>> = Vec::new();
        let (mut prefixes, mut suffixes) = (vec![String::new()], vec![String::new()]);
        for test in tests {
            match test {
                Part::Exact(text) => exact.push(Arc::clone(text)),
                Part::Prefix(text) => prefixes.push(text.to_string()),
                Part::Suffix(text) => suffixes.push(turned(text)),
                _ => {}
            }
        }
        if matches!(domain.form, Form::Path(_)) {
            // Paths that no other path stands for.
            exact.extend([Arc::from("*"), Arc::from("//")]);
        }
        exact.retain(|text| !text.is_empty());
        exact.sort_unstable();
        exact.dedup();
        for texts in [&mut prefixes, &mut suffixes] {
            texts.sort_unstable();
            texts.dedup();
        }
        Ok(TextClasses { domain: domain.clone(), exact, prefixes, suffixes })
    }

    /// The class of all texts that are no points.
    fn other(&self) -> u32 {
        2 + number_of(self.exact.len())
    }

    /// The texts that there are.
    fn legal(&self, level: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let mut points: Vec<(u32, u32)> = Vec::new();
        if self.domain.is_legal("") {
            points.push((EMPTY, EMPTY + 1));
        }
        for (at, text) in self.exact.iter().enumerate().filter(|(_, text)| self.domain.is_legal(text)) {
            debug_assert!(!text.is_empty());
            points.push((number_of(at) + 2, number_of(at) + 3));
        }
        let points = nodes.stretches(level, &points, ALL)?;
        // A filler stands between them, so prefixes and suffixes are legal each for itself.
        let is_met = |prefix: &str, suffix: &str, is_prefix: bool| {
            let Some(text) = self.joined(prefix, suffix) else { return false };
            let longest = match is_prefix {
                true => longest(&self.prefixes, &text) == prefix,
                false => longest(&self.suffixes, &turned(&text)) == turned(suffix),
            };
            longest && self.domain.is_legal(&text)
        };
        let stretches = |texts: &[String], is_met: &dyn Fn(&String) -> bool| -> Vec<(u32, u32)> {
            let met = texts.iter().enumerate().filter(|(_, text)| is_met(text));
            met.map(|(at, _)| (number_of(at), number_of(at) + 1)).collect()
        };
        let of_suffixes = stretches(&self.suffixes, &|text| is_met("", &turned(text), false));
        let of_prefixes = stretches(&self.prefixes, &|text| is_met(text, "", true));
        let below = nodes.stretches(level + 2, &of_suffixes, ALL)?;
        let below = nodes.stretches(level + 1, &of_prefixes, below)?;
        let others = nodes.stretches(level, &[(self.other(), self.other() + 1)], below)?;
        nodes.either(points, others)
    }

    fn passing(&self, part: &Part, level: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let end = self.other() + 1;
        let points = |passes: &dyn Fn(&str) -> bool| -> Vec<(u32, u32)> {
            let passing = self.exact.iter().enumerate().filter(|(_, text)| passes(text));
            passing.map(|(at, _)| (number_of(at) + 2, number_of(at) + 3)).collect()
        };
        match part {
            Part::Any => Ok(ALL),
            Part::Absent => nodes.stretches(level, &[(ABSENT, EMPTY)], ALL),
            Part::Exists => nodes.stretches(level, &[(EMPTY, end)], ALL),
            Part::NonEmpty => nodes.stretches(level, &[(EMPTY + 1, end)], ALL),
            Part::Exact(text) if text.is_empty() => nodes.stretches(level, &[(EMPTY, EMPTY + 1)], ALL),
            Part::Exact(text) => nodes.stretches(level, &points(&|point| point == &**text), ALL),
            Part::Prefix(text) => {
                let below = nodes.stretches(level + 1, &[family(&self.prefixes, text)], ALL)?;
                self.point_or_other(&points(&|point| point.starts_with(&**text)), below, level, nodes)
            }
            Part::Suffix(text) => {
                let below = nodes.stretches(level + 2, &[family(&self.suffixes, &turned(text))], ALL)?;
                self.point_or_other(&points(&|point| point.ends_with(&**text)), below, level, nodes)
            }
        }
    }

    fn point_or_other(
        &self,
        points: &[(u32, u32)],
        below: NodeId,
        level: u32,
        nodes: &mut Nodes,
    ) -> Result<NodeId, Limit> {
        let points = nodes.stretches(level, points, ALL)?;
        let others = nodes.stretches(level, &[(self.other(), self.other() + 1)], below)?;
        nodes.either(points, others)
    }

    /// `prefix·filler·suffix`.
    fn joined(&self, prefix: &str, suffix: &str) -> Option<String> {
        let start = if self.domain.start.starts_with(prefix) { self.domain.start } else { prefix };
        let filler = self.domain.filler_between(start, suffix)?;
        Some([start, &filler, suffix].concat())
    }

    /// A text of the classes.
    fn text(&self, class: impl Fn(u32) -> Option<u32>) -> Result<Option<Arc<str>>, Limit> {
        let class_of = |level, or| class(level).unwrap_or(or);
        Ok(match class_of(0, self.other()) {
            ABSENT => None,
            EMPTY => Some(Arc::from("")),
            point if point < self.other() => self.exact.get(point as usize - 2).cloned(),
            _ => {
                let prefix = self.prefixes.get(class_of(1, 0) as usize).map_or("", String::as_str);
                let suffix =
                    self.suffixes.get(class_of(2, 0) as usize).map_or(String::new(), |it| turned(it));
                Some(Arc::from(self.joined(prefix, &suffix).ok_or(Limit::Values)?))
            }
        })
    }
}

fn turned(text: &str) -> String {
    text.chars().rev().collect()
}

/// The longest of the ordered texts that the text starts with; the empty one is always there.
fn longest<'a>(texts: &'a [String], text: &str) -> &'a str {
    let found = texts.iter().filter(|known| text.starts_with(known.as_str()));
    found.max_by_key(|known| known.len()).map_or("", String::as_str)
}

/// A text and all that go on from it.
fn family(texts: &[String], text: &str) -> (u32, u32) {
    let start = texts.partition_point(|known| known.as_str() < text);
    let len = texts[start..].iter().take_while(|known| known.starts_with(text)).count();
    (number_of(start), number_of(start + len))
}

/// A text for every set of tests that some text passes together.
fn word_classes(words: &Words, variable: VariableId, vocabulary: &Vocabulary) -> Result<Vec<Value>, Limit> {
    // A value of several texts would need a class for every set of such sets.
    if words.several {
        return Err(Limit::Patterns);
    }
    let bytes = words.legal_bytes();
    let own: Vec<Language> =
        vocabulary.tests_of(variable).map(|test| language_of_test(test, vocabulary, bytes)).collect();
    let mut languages: Vec<&Language> = vec![&words.legal];
    languages.extend(&words.illegal);
    let illegal: Vec<usize> = (1..languages.len()).collect();
    languages.extend(&own);
    let reading = Reading {
        languages: &languages,
        wanted: &[vec![0]],
        refused: &illegal,
        alphabet: bytes,
        filler: words.domain.filler.bytes().next().unwrap_or(b'x'),
        limit: MOST_STATES,
    };
    let found = texts(&reading).ok_or(Limit::Patterns)?;
    if found.len() > MOST_TEXTS {
        return Err(Limit::Patterns);
    }
    let absent = words.domain.absent.then(|| Value::text(None));
    let texts = found.into_iter().map(|text| Value::text(Some(&Arc::from(text))));
    Ok(absent.into_iter().chain(texts).collect())
}

/// The tests of several texts, each once: presence first, prefixes before what goes on from them.
fn line_tests<'a>(domain: &TextDomain, shapes: impl Iterator<Item = &'a Shape>) -> Result<Vec<Part>, Limit> {
    if domain.crowded.is_some() && domain.has_letters() {
        return Err(Limit::Values);
    }
    let mut parts: Vec<Part> = shapes
        .filter_map(|shape| match shape {
            Shape::Simple(Part::Absent | Part::Any) => None,
            Shape::Simple(part) => Some(part.clone()),
            _ => None,
        })
        .collect();
    parts.push(Part::Exists);
    let empty = Part::Exact(Arc::from(""));
    if parts.contains(&Part::NonEmpty) || parts.contains(&empty) {
        parts.extend([Part::NonEmpty, empty]);
    }
    let rank = |part: &Part| match part {
        Part::Exists => 0,
        Part::NonEmpty => 1,
        Part::Prefix(_) => 2,
        Part::Suffix(_) => 3,
        _ => 4,
    };
    parts.sort_by(|a, b| (rank(a), a.literal()).cmp(&(rank(b), b.literal())));
    parts.dedup();
    if parts.len() > MOST_TESTS { Err(Limit::Patterns) } else { Ok(parts) }
}
