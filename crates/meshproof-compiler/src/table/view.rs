//! The index of one view of an attribute.

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::View;
use meshproof_engine::format::NONE;

use super::Uncompiled;
use super::links::{Links, MOST_IN_RECORD, Records};
use super::pool::Pool;
use super::slots::{Entry, Slot, lay_out};
use super::test::{Key, Placement};

/// Tests of one view, by what leads to them.
pub(super) struct ViewTests {
    pub view: View,
    pub fold: bool,
    pub exact: HashMap<Vec<u8>, Links>,
    pub prefixes: HashMap<Vec<u8>, Links>,
    pub suffixes: HashMap<Vec<u8>, Links>,
    pub there: Links,
    pub line: Links,
}

/// A test with the sets of the rows that look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub wanted: Option<u32>,
    pub refused: Option<u32>,
    /// Its place among the tests that are spelled out; only of those that have to be asked.
    pub test: Option<u32>,
}

/// The index as the table has it, its texts without place.
pub(super) struct IndexParts {
    pub view: View,
    pub fold: bool,
    pub exact: Vec<Slot>,
    pub prefixes: (Vec<Slot>, Vec<u32>),
    pub suffixes: (Vec<Slot>, Vec<u32>),
    pub there: u32,
    pub line: u32,
}

impl ViewTests {
    pub fn new(view: View, fold: bool) -> ViewTests {
        let maps = || HashMap::new();
        ViewTests {
            view,
            fold,
            exact: maps(),
            prefixes: maps(),
            suffixes: maps(),
            there: Links::default(),
            line: Links::default(),
        }
    }

    pub fn add(&mut self, placement: &Placement, placed: Placed) {
        let links = match &placement.key {
            Key::Exact(text) => self.exact.entry(text.clone()).or_default(),
            Key::Prefix(text) => self.prefixes.entry(text.clone()).or_default(),
            Key::Suffix(text) => self.suffixes.entry(text.clone()).or_default(),
            Key::There => &mut self.there,
            Key::Line => &mut self.line,
        };
        if placement.verify {
            links.tests.extend(placed.test);
            return;
        }
        links.own_wanted |= placed.wanted.is_some();
        links.own_refused |= placed.refused.is_some();
        links.wanted.extend(placed.wanted);
        links.refused.extend(placed.refused);
    }

    /// Everything that a text leads to: what it is, starts with, ends with.
    pub fn all_of(&self, text: &[u8], lengths: &Lengths) -> Links {
        let mut all = self.exact.get(text).cloned().unwrap_or_default();
        for length in lengths.prefixes.iter().filter(|length| **length <= text.len()) {
            self.prefixes.get(&text[..*length]).into_iter().for_each(|links| all.join(links));
        }
        for length in lengths.suffixes.iter().filter(|length| **length <= text.len()) {
            self.suffixes.get(&text[text.len() - length..]).into_iter().for_each(|links| all.join(links));
        }
        all.join(&self.there);
        if !text.is_empty() && !text.contains(&b'\n') {
            all.join(&self.line);
        }
        all
    }

    pub fn lengths(&self) -> Lengths {
        let of = |texts: &HashMap<Vec<u8>, Links>| {
            let mut lengths: Vec<usize> = texts.keys().map(Vec::len).collect();
            lengths.sort_unstable();
            lengths.dedup();
            lengths
        };
        Lengths { prefixes: of(&self.prefixes), suffixes: of(&self.suffixes) }
    }

    /// Builds the index. `resolve` gives everything that an exact text leads to, or nothing when the tests that are left
    /// have to be asked.
    ///
    /// # Errors
    /// There is no room.
    pub fn build(
        &self,
        records: &mut Records,
        pool: &mut Pool,
        resolve: impl Fn(&[u8], &Lengths) -> Links,
    ) -> Result<IndexParts, Uncompiled> {
        let lengths = self.lengths();
        let mut exact: Vec<(&Vec<u8>, &Links)> = self.exact.iter().collect();
        exact.sort_unstable_by_key(|(text, _)| *text);
        let mut entries = Vec::with_capacity(exact.len());
        for (text, own) in exact {
            let all = resolve(text, &lengths);
            // Where there are too many, a look-up finds them by the way of a text that nobody wrote.
            let is_whole = all.is_short();
            let record = split(records, if is_whole { &all } else { own }, is_whole, None)?;
            entries.push(Entry::new(text, pool.add(text), record));
        }
        let one = |records: &mut Records, links: &Links| match links.is_empty() {
            true => Ok(NONE),
            false => split(records, links, true, None),
        };
        Ok(IndexParts {
            view: self.view,
            fold: self.fold,
            exact: lay_out(&entries),
            prefixes: affixes(&self.prefixes, &lengths.prefixes, false, records, pool)?,
            suffixes: affixes(&self.suffixes, &lengths.suffixes, true, records, pool)?,
            there: one(records, &self.there)?,
            line: one(records, &self.line)?,
        })
    }
}

/// The lengths of prefixes and suffixes, ascending.
pub(super) struct Lengths {
    pub prefixes: Vec<usize>,
    pub suffixes: Vec<usize>,
}

/// A record of any number of tests, in parts that follow each other, in front of a parent. `complete`: no parent and no
/// part follows, and nothing else is to be looked for.
fn split(
    records: &mut Records,
    links: &Links,
    complete: bool,
    parent: Option<u32>,
) -> Result<u32, Uncompiled> {
    let mut record = parent;
    for tests in links.tests.chunks(MOST_IN_RECORD).skip(1) {
        record = Some(records.add(&Links { tests: tests.to_vec(), ..Links::default() }, false, record)?);
    }
    let tests: Vec<u32> = links.tests.iter().take(MOST_IN_RECORD).copied().collect();
    records.add(&Links { tests, ..links.clone() }, complete && record.is_none(), record)
}

/// Prefixes or suffixes with the texts that announce them.
fn affixes(
    texts: &HashMap<Vec<u8>, Links>,
    lengths: &[usize],
    is_suffix: bool,
    records: &mut Records,
    pool: &mut Pool,
) -> Result<(Vec<Slot>, Vec<u32>), Uncompiled> {
    let part = |text: &'_ [u8], length: usize| {
        if is_suffix { text.len() - length..text.len() } else { 0..length }
    };
    let mut sorted: Vec<(&Vec<u8>, &Links)> = texts.iter().collect();
    sorted.sort_unstable_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    let mut known: HashMap<&[u8], u32> = HashMap::new();
    let mut entries = Vec::new();
    for (text, own) in sorted {
        let mut links = own.clone();
        let mut parent = None;
        let shorter = lengths.iter().rev().filter(|length| **length < text.len());
        for length in shorter {
            let affix = &text[part(text, *length)];
            let Some(inner) = texts.get(affix) else { continue };
            let mut joined = links.clone();
            joined.join(inner);
            if !joined.is_short() {
                parent = known.get(affix).copied();
                break;
            }
            links = joined;
        }
        let record = split(records, &links, true, parent)?;
        known.insert(text, record);
        entries.push(Entry::new(text, pool.add(text), record));
    }
    add_markers(&mut entries, texts, &known, lengths, part, pool);
    Ok((lay_out(&entries), lengths.iter().map(|length| *length as u32).collect()))
}

/// The search for the longest affix halves the lengths; a text is announced at every length where it has to go on.
fn add_markers<'x>(
    entries: &mut Vec<Entry>,
    texts: &'x HashMap<Vec<u8>, Links>,
    known: &HashMap<&[u8], u32>,
    lengths: &[usize],
    part: impl Fn(&[u8], usize) -> std::ops::Range<usize>,
    pool: &mut Pool,
) {
    let mut announced: HashMap<&'x [u8], ()> = HashMap::new();
    let mut sorted: Vec<&'x Vec<u8>> = texts.keys().collect();
    sorted.sort_unstable();
    for text in sorted {
        let Ok(wanted) = lengths.binary_search(&text.len()) else { continue };
        let (mut low, mut high) = (0, lengths.len());
        while low < high {
            let middle = (low + high) / 2;
            if middle == wanted {
                break;
            }
            if middle > wanted {
                high = middle;
                continue;
            }
            low = middle + 1;
            let range = part(text, lengths[middle]);
            let marker = &text[range.clone()];
            if known.contains_key(marker) || announced.insert(marker, ()).is_some() {
                continue;
            }
            let shorter = lengths.iter().rev().filter(|length| **length < marker.len());
            let best =
                shorter.map(|length| &marker[part(marker, *length)]).find_map(|affix| known.get(affix));
            let whole = pool.add(text);
            let place = if range.start == 0 { whole.start(marker.len()) } else { whole.end(marker.len()) };
            let record = best.copied().unwrap_or(NONE);
            entries.push(Entry { is_marker: true, ..Entry::new(marker, place, record) });
        }
    }
}
