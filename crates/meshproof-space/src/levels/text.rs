//! The classes of one text, on three levels: which point it is; if none, its prefix and its suffix.
//!
//! A prefix and all that goes on from it is one stretch of classes, and every pair of a prefix and a suffix is met by
//! `prefix·filler·suffix`.

use std::sync::Arc;

use super::number_of;
use crate::alphabet::{Form, TextDomain};
use crate::limit::Limit;
use crate::nodes::{ALL, NodeId, Nodes};
use crate::part::Part;

/// A text that is missing.
const ABSENT: u32 = 0;
/// The empty text.
const EMPTY: u32 = 1;

/// How many levels one text takes.
pub(super) const LEVELS: u32 = 3;

/// The classes of one text.
#[derive(Debug)]
pub(super) struct TextClasses {
    domain: TextDomain,
    /// Ordered. They are the points from 2 on; behind them stand all other texts.
    exact: Vec<Arc<str>>,
    /// Ordered, the empty one first.
    prefixes: Vec<String>,
    /// Turned around and ordered, the empty one first.
    suffixes: Vec<String>,
}

impl TextClasses {
    pub fn new<'a>(domain: &TextDomain, tests: impl Iterator<Item = &'a Part>) -> Result<TextClasses, Limit> {
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

    /// Whether it may be missing.
    pub fn may_be_absent(&self) -> bool {
        self.domain.absent
    }

    /// The missing text.
    pub fn absent(level: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        nodes.stretches(level, &[(ABSENT, EMPTY)], ALL)
    }

    /// The texts that there are.
    pub fn legal(&self, level: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
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

    /// The texts that pass the simple test.
    pub fn passing(&self, part: &Part, level: u32, nodes: &mut Nodes) -> Result<NodeId, Limit> {
        let end = self.other() + 1;
        let points = |passes: &dyn Fn(&str) -> bool| -> Vec<(u32, u32)> {
            let passing = self.exact.iter().enumerate().filter(|(_, text)| passes(text));
            passing.map(|(at, _)| (number_of(at) + 2, number_of(at) + 3)).collect()
        };
        match part {
            Part::Any => Ok(ALL),
            Part::Absent => TextClasses::absent(level, nodes),
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
    pub fn text(&self, class: impl Fn(u32) -> Option<u32>) -> Result<Option<Arc<str>>, Limit> {
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
