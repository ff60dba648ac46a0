//! Which tests of a variable a value passes, without asking each of them.

use foldhash::{HashMap, HashMapExt};

use crate::kind::Shape;
use crate::part::Part;
use crate::value::{Number, Value};
use crate::vocabulary::TestId;

/// Look-up tables over the tests of one variable. A product is found by its most selective part and asked in full.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    /// Part by part.
    exact: Vec<Texts>,
    prefix: Affixes,
    suffix: Affixes,
    blocks: Blocks,
    /// Asked one by one.
    others: Vec<TestId>,
}

/// So many tests are asked one by one.
const FEW: usize = 8;

type Texts = HashMap<Box<str>, Vec<TestId>>;

/// Texts by part and length, so that only as many look-ups are needed as there are lengths.
#[derive(Debug, Default)]
struct Affixes(Vec<(usize, usize, Texts)>);

/// Ranges that start at a multiple of their size, as blocks of addresses and single ports do.
#[derive(Debug, Default)]
struct Blocks {
    /// By first number and size.
    starts: HashMap<(Number, u32), Vec<TestId>>,
    /// The sizes that occur, as powers of two.
    sizes: Vec<u32>,
}

impl Blocks {
    /// Whether the range is a block, which is then known.
    fn insert(&mut self, from: Number, to: Number, test: TestId) -> bool {
        let span = to.value.wrapping_sub(from.value);
        if from.is_v6 != to.is_v6 || span & span.wrapping_add(1) != 0 || from.value & span != 0 {
            return false;
        }
        let size = u128::BITS - span.leading_zeros();
        if !self.sizes.contains(&size) {
            self.sizes.push(size);
        }
        self.starts.entry((from, size)).or_default().push(test);
        true
    }

    fn holding(&self, number: Number) -> impl Iterator<Item = TestId> + '_ {
        let found = self.sizes.iter().filter_map(move |size| {
            let span = u128::MAX.checked_shr(u128::BITS - size).unwrap_or(0);
            self.starts.get(&(Number { value: number.value & !span, ..number }, *size))
        });
        found.flatten().copied()
    }
}

impl Affixes {
    fn insert(&mut self, part: usize, text: &str, test: TestId) {
        let known = self.0.iter().position(|(of, length, _)| (*of, *length) == (part, text.len()));
        let at = known.unwrap_or_else(|| {
            self.0.push((part, text.len(), HashMap::new()));
            self.0.len() - 1
        });
        self.0[at].2.entry(text.into()).or_default().push(test);
    }
}

impl Matcher {
    pub fn new<'a>(tests: impl Iterator<Item = (TestId, &'a Shape)> + Clone) -> Matcher {
        let mut matcher = Matcher {
            exact: Vec::new(),
            prefix: Affixes::default(),
            suffix: Affixes::default(),
            blocks: Blocks::default(),
            others: Vec::new(),
        };
        if tests.clone().nth(FEW).is_none() {
            matcher.others = tests.map(|(id, _)| id).collect();
            return matcher;
        }
        for (id, shape) in tests {
            match shape {
                Shape::Forms(forms) => forms.iter().for_each(|form| matcher.insert(id, form)),
                Shape::Simple(part) => matcher.insert(id, std::slice::from_ref(part)),
                Shape::Language(language) => {
                    let start: Option<Vec<u8>> =
                        language.start().iter().map(crate::alphabet::Bytes::only).collect();
                    match start.map(String::from_utf8) {
                        Some(Ok(text)) if !text.is_empty() => matcher.prefix.insert(0, &text, id),
                        _ => matcher.others.push(id),
                    }
                }
                Shape::Range(from, to) => {
                    if !matcher.blocks.insert(*from, *to, id) {
                        matcher.others.push(id);
                    }
                }
            }
        }
        matcher.others.dedup();
        matcher
    }

    fn insert(&mut self, id: TestId, form: &[Part]) {
        let rank = |part: &Part| match part {
            Part::Exact(_) => 0,
            Part::Prefix(_) | Part::Suffix(_) => 1,
            _ => 2,
        };
        // Trust domains say least, so of equal parts the later one is taken.
        let chosen = form.iter().enumerate().rev().min_by_key(|(_, part)| rank(part));
        match chosen {
            Some((at, Part::Exact(text))) => {
                if self.exact.len() <= at {
                    self.exact.resize_with(at + 1, HashMap::new);
                }
                self.exact[at].entry(text.as_ref().into()).or_default().push(id);
            }
            Some((at, Part::Prefix(text))) => self.prefix.insert(at, text, id),
            Some((at, Part::Suffix(text))) => self.suffix.insert(at, text, id),
            _ => self.others.push(id),
        }
    }

    /// The tests that the value passes.
    pub fn passed(&self, value: &Value, shapes: &[Shape]) -> Vec<TestId> {
        let mut candidates = self.others.clone();
        match value {
            Value::Number(number) => candidates.extend(self.blocks.holding(*number)),
            Value::Parts(parts) => {
                let there = parts.iter().enumerate().filter_map(|(at, text)| Some((at, text.as_deref()?)));
                there.for_each(|(at, text)| self.look_up(at, text, &mut candidates));
            }
            Value::Lines(lines) => lines.iter().for_each(|line| self.look_up(0, line, &mut candidates)),
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|test| shapes[*test as usize].matches(value));
        candidates
    }

    fn look_up(&self, part: usize, text: &str, candidates: &mut Vec<TestId>) {
        let mut add = |found: Option<&Vec<TestId>>| candidates.extend(found.into_iter().flatten());
        add(self.exact.get(part).and_then(|texts| texts.get(text)));
        for (_, length, texts) in self.prefix.0.iter().filter(|(of, ..)| *of == part) {
            add(text.get(..*length).and_then(|start| texts.get(start)));
        }
        for (_, length, texts) in self.suffix.0.iter().filter(|(of, ..)| *of == part) {
            let end = text.len().checked_sub(*length).and_then(|at| text.get(at..));
            add(end.and_then(|end| texts.get(end)));
        }
    }
}
