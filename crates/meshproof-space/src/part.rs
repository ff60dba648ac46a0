//! Simple tests of one text, what several of them ask together, and the least text that meets that.
//!
//! Least: `prefix·filler·suffix`, the filler being a text that no test of the variable knows, meets what was asked and
//! nothing else that can be avoided. Hence these texts are all that a search has to try.

use std::sync::Arc;

use crate::alphabet::TextDomain;
use crate::limit::Limit;

/// A test of one text, or of one part of a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// No demand.
    Any,
    /// It is not there.
    Absent,
    /// It is there.
    Exists,
    /// It is there and not empty.
    NonEmpty,
    Exact(Arc<str>),
    Prefix(Arc<str>),
    Suffix(Arc<str>),
}

impl Part {
    pub fn matches(&self, text: Option<&str>) -> bool {
        match (self, text) {
            (Part::Any, _) | (Part::Absent, None) | (Part::Exists, Some(_)) => true,
            (Part::NonEmpty, Some(text)) => !text.is_empty(),
            (Part::Exact(wanted), Some(text)) => text == &**wanted,
            (Part::Prefix(wanted), Some(text)) => text.starts_with(&**wanted),
            (Part::Suffix(wanted), Some(text)) => text.ends_with(&**wanted),
            _ => false,
        }
    }

    /// Whether every text that passes the other test plainly passes this one too.
    pub fn holds_all_of(&self, other: &Part) -> bool {
        match (self, other) {
            (Part::Any, _) => true,
            (Part::Exists, other) => !matches!(other, Part::Any | Part::Absent),
            (Part::Prefix(own), Part::Prefix(text)) => text.starts_with(&**own),
            (Part::Suffix(own), Part::Suffix(text)) => text.ends_with(&**own),
            (own, Part::Exact(text)) => own.matches(Some(text)),
            (own, other) => own == other,
        }
    }

    /// The text written in the test.
    pub fn literal(&self) -> &str {
        match self {
            Part::Exact(text) | Part::Prefix(text) | Part::Suffix(text) => text,
            _ => "",
        }
    }
}

/// What several tests of one text ask together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Demand {
    Free,
    Absent,
    Exact(Arc<str>),
    Affixes { prefix: Arc<str>, suffix: Arc<str>, non_empty: bool },
}

impl Demand {
    /// That it is there.
    pub fn there() -> Demand {
        let none: Arc<str> = Arc::from("");
        Demand::Affixes { prefix: none.clone(), suffix: none, non_empty: false }
    }

    /// With one test more; nothing when both cannot hold.
    pub fn and(&self, part: &Part) -> Option<Demand> {
        let demand = match (self, part) {
            (demand, Part::Any) => demand.clone(),
            (Demand::Free | Demand::Absent, Part::Absent) => Demand::Absent,
            (Demand::Absent, _) | (_, Part::Absent) => return None,
            (Demand::Exact(text), part) => {
                part.matches(Some(text)).then(|| Demand::Exact(Arc::clone(text)))?
            }
            (Demand::Free, Part::Exact(text)) => Demand::Exact(Arc::clone(text)),
            (Demand::Free, part) => Demand::there().and(part)?,
            (Demand::Affixes { prefix, suffix, non_empty }, Part::Exact(text)) => {
                let fits = text.starts_with(&**prefix)
                    && text.ends_with(&**suffix)
                    && !(*non_empty && text.is_empty());
                fits.then(|| Demand::Exact(Arc::clone(text)))?
            }
            (demand @ Demand::Affixes { .. }, Part::Exists) => demand.clone(),
            (Demand::Affixes { prefix, suffix, .. }, Part::NonEmpty) => {
                Demand::Affixes { prefix: prefix.clone(), suffix: suffix.clone(), non_empty: true }
            }
            (Demand::Affixes { prefix, suffix, non_empty }, Part::Prefix(text)) => {
                let longer = longer(prefix, text, |long, short| long.starts_with(short))?;
                Demand::Affixes { prefix: longer, suffix: suffix.clone(), non_empty: *non_empty }
            }
            (Demand::Affixes { prefix, suffix, non_empty }, Part::Suffix(text)) => {
                let longer = longer(suffix, text, |long, short| long.ends_with(short))?;
                Demand::Affixes { prefix: prefix.clone(), suffix: longer, non_empty: *non_empty }
            }
        };
        Some(demand)
    }

    /// The least texts that meet it; usually one. Of the empty text and another one neither is less.
    ///
    /// # Errors
    /// Every character is taken at the place where another one is needed.
    pub fn least(&self, domain: &TextDomain) -> Result<Vec<Option<Arc<str>>>, Limit> {
        let mut found = Vec::new();
        match self {
            Demand::Free if domain.absent && !domain.absent_matters => found.push(None),
            Demand::Absent if domain.absent => found.push(None),
            Demand::Absent => {}
            Demand::Exact(text) if domain.is_legal(text) => found.push(Some(Arc::clone(text))),
            Demand::Exact(_) => {}
            Demand::Free => {
                found.extend(domain.absent.then_some(None));
                found.extend(Demand::there().least(domain)?);
            }
            Demand::Affixes { prefix, suffix, non_empty } => {
                let start = if domain.start.starts_with(&**prefix) { domain.start } else { prefix };
                let filler = domain.filler_between(start, suffix).ok_or(Limit::Values)?;
                let text = [start, &filler, suffix].concat();
                if domain.is_legal(&text) {
                    found.push(Some(Arc::from(text)));
                }
                let may_be_empty = prefix.is_empty() && suffix.is_empty() && !non_empty;
                if may_be_empty && domain.empty_matters && domain.is_legal("") {
                    found.push(Some(Arc::from("")));
                }
            }
        }
        Ok(found)
    }
}

fn longer(a: &Arc<str>, b: &Arc<str>, extends: fn(&str, &str) -> bool) -> Option<Arc<str>> {
    if extends(a, b) {
        Some(Arc::clone(a))
    } else if extends(b, a) {
        Some(Arc::clone(b))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_holds_all_of_another_is_passed_by_what_passes_that() {
        let texts = ["", "a", "b", "aa", "ab", "ba", "aba"];
        let written = texts.iter().map(|text| Arc::from(*text));
        let mut parts = vec![Part::Any, Part::Absent, Part::Exists, Part::NonEmpty];
        let of = |text: Arc<str>| [Part::Exact(text.clone()), Part::Prefix(text.clone()), Part::Suffix(text)];
        parts.extend(written.flat_map(of));
        let mut holding = 0;
        for (own, other) in parts.iter().flat_map(|own| parts.iter().map(move |other| (own, other))) {
            if own.holds_all_of(other) {
                holding += 1;
                let mut passing = std::iter::once(None).chain(texts.iter().copied().map(Some));
                let missed = passing.find(|text| other.matches(*text) && !own.matches(*text));
                assert_eq!(missed, None, "{own:?} {other:?}");
            }
        }
        assert!(holding > 2 * parts.len(), "{holding}");
    }
}
