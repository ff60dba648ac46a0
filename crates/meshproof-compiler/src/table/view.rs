//! The index of one view of an attribute.

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::View;
use meshproof_engine::format::NONE;

use super::Uncompiled;
use super::affix::AffixLengths;
use super::links::{Entries, Links};
use super::order::order_of;
use super::set::{SetId, SetStore};
use super::slots::{Slot, boundary, filter, lay_out, slot};
use super::test::{Key, Placement};

/// Tests of one view, by what leads to them.
pub(super) struct ViewTests<'t> {
    pub view: View,
    pub fold: bool,
    /// Tests of whole texts; sorted before they are looked at.
    exact: Vec<Exact<'t>>,
    pub prefixes: HashMap<&'t [u8], Links>,
    pub suffixes: HashMap<&'t [u8], Links>,
    pub there: Links,
    pub line: Links,
}

/// A test of a whole text, and whether the test itself is asked too.
type Exact<'t> = (&'t [u8], Placed, bool);

/// A test with the sets of the rows that look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub wanted: Option<SetId>,
    pub refused: Option<SetId>,
    /// Its place among the tests that are spelled out; only of those that have to be asked.
    pub test: Option<u32>,
}

/// The index as the table has it: slots, and of prefixes and suffixes the filter with the lengths.
pub(super) struct IndexParts {
    pub view: View,
    pub fold: bool,
    pub exact: Vec<Slot>,
    pub prefixes: (Vec<Slot>, Vec<u32>),
    pub suffixes: (Vec<Slot>, Vec<u32>),
    pub there: u32,
    pub line: u32,
}

impl<'t> ViewTests<'t> {
    pub fn new(view: View, fold: bool) -> ViewTests<'t> {
        let maps = || HashMap::new();
        ViewTests {
            view,
            fold,
            exact: Vec::new(),
            prefixes: maps(),
            suffixes: maps(),
            there: Links::default(),
            line: Links::default(),
        }
    }

    pub fn add(&mut self, placement: &'t Placement<'_>, placed: Placed) {
        let links = match &placement.key {
            Key::Exact(text) => return self.exact.push((text, placed, placement.verify)),
            Key::Prefix(text) => self.prefixes.entry(text).or_default(),
            Key::Suffix(text) => self.suffixes.entry(text).or_default(),
            Key::There => &mut self.there,
            Key::Line => &mut self.line,
        };
        links.add(placed, placement.verify);
    }

    /// Brings whole texts in their order.
    pub fn sort(&mut self) {
        let texts: Vec<&[u8]> = self.exact.iter().map(|(text, _, _)| *text).collect();
        self.exact = order_of(&texts).into_iter().map(|at| self.exact[at as usize]).collect();
    }

    /// What the whole text leads to.
    pub fn links_of(&self, text: &[u8], links: &mut Links) {
        links.clear();
        let first = self.exact.partition_point(|(own, _, _)| *own < text);
        let same = self.exact[first..].iter().take_while(|(own, _, _)| *own == text);
        same.for_each(|(_, placed, verify)| links.add(*placed, *verify));
    }

    /// Adds what a text leads to by its start and by its end, and because it is there.
    pub fn join_others(&self, text: &[u8], lengths: &Lengths, all: &mut Links) {
        for start in lengths.prefixes.parts(text, false) {
            self.prefixes.get(start).into_iter().for_each(|links| all.join(links));
        }
        for end in lengths.suffixes.parts(text, true) {
            self.suffixes.get(end).into_iter().for_each(|links| all.join(links));
        }
        all.join(&self.there);
        if !self.line.is_empty() && !text.is_empty() && !text.contains(&b'\n') {
            all.join(&self.line);
        }
    }

    pub fn lengths(&self) -> Lengths {
        let of =
            |texts: &HashMap<&[u8], Links>, is_suffix| AffixLengths::new(texts.keys().copied(), is_suffix);
        Lengths { prefixes: of(&self.prefixes, false), suffixes: of(&self.suffixes, true) }
    }

    /// Builds the index. `resolve` adds everything else that an exact text leads to, and tells whether that is all there is
    /// to find; it is not where the tests that are left have to be asked.
    ///
    /// # Errors
    /// There is no room.
    pub fn build(
        &self,
        entries: &mut Entries,
        sets: &mut SetStore,
        mut resolve: impl FnMut(&[u8], &Lengths, &mut Links) -> bool,
    ) -> Result<IndexParts, Uncompiled> {
        let lengths = self.lengths();
        let prefixes = affixes(&self.prefixes, &lengths.prefixes.lengths(), false, entries, sets)?;
        let suffixes = affixes(&self.suffixes, &lengths.suffixes.lengths(), true, entries, sets)?;
        let mut slots = Vec::with_capacity(self.exact.len());
        let (mut own, mut all) = (Links::default(), Links::default());
        for same in self.exact.chunk_by(|(a, _, _), (b, _, _)| a == b) {
            let Some((text, _, _)) = same.first() else { continue };
            own.clear();
            same.iter().for_each(|(_, placed, verify)| own.add(*placed, *verify));
            all.copy(&own);
            let is_all = resolve(text, &lengths, &mut all);
            // Where there are too many, a look-up finds them by the way of a text that nobody wrote.
            let is_whole = is_all && all.is_short();
            let entry = entries.add(text, if is_whole { &all } else { &own }, is_whole, None, sets)?;
            slots.push(slot(text, entry));
        }
        let mut one = |links: &Links| match links.is_empty() {
            true => Ok(NONE),
            false => entries.add_bare(links, sets),
        };
        let (there, line) = (one(&self.there)?, one(&self.line)?);
        Ok(IndexParts {
            view: self.view,
            fold: self.fold,
            exact: lay_out(&slots)?,
            prefixes,
            suffixes,
            there,
            line,
        })
    }
}

/// The lengths of prefixes and suffixes.
pub(super) struct Lengths {
    prefixes: AffixLengths,
    suffixes: AffixLengths,
}

/// So many sets of shorter affixes are told again with a longer one.
const RETOLD: usize = 2;

/// Prefixes or suffixes with the texts that announce them.
fn affixes(
    texts: &HashMap<&[u8], Links>,
    lengths: &[usize],
    is_suffix: bool,
    entries: &mut Entries,
    sets: &mut SetStore,
) -> Result<(Vec<Slot>, Vec<u32>), Uncompiled> {
    let part = |text: &'_ [u8], length: usize| {
        if is_suffix { text.len() - length..text.len() } else { 0..length }
    };
    let mut sorted: Vec<(&[u8], &Links)> = texts.iter().map(|(text, links)| (*text, links)).collect();
    sorted.sort_unstable_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    let mut known: HashMap<&[u8], u32> = HashMap::with_capacity(texts.len());
    let mut slots = Vec::with_capacity(texts.len());
    for (text, own) in sorted {
        let mut links = own.clone();
        let mut parent = None;
        let shorter = lengths.iter().rev().filter(|length| **length < text.len());
        for length in shorter {
            let affix = &text[part(text, *length)];
            let Some(inner) = texts.get(affix) else { continue };
            let retold = links.len() - own.len() + inner.len();
            if retold > RETOLD || !inner.tests.is_empty() {
                parent = known.get(affix).copied();
                break;
            }
            links.join(inner);
        }
        let entry = entries.add(text, &links, true, parent, sets)?;
        known.insert(text, entry);
        slots.push(slot(text, entry));
    }
    let boundary = boundary(texts.keys().copied(), is_suffix);
    if boundary.is_none() {
        add_markers(&mut slots, texts, &known, lengths, part, entries)?;
    }
    Ok((lay_out(&slots)?, filter(texts.keys().copied(), lengths, is_suffix, boundary)))
}

/// The search for the longest affix halves the lengths; a text is announced at every length where it has to go on.
fn add_markers<'x>(
    slots: &mut Vec<(u64, u32)>,
    texts: &HashMap<&'x [u8], Links>,
    known: &HashMap<&[u8], u32>,
    lengths: &[usize],
    part: impl Fn(&[u8], usize) -> std::ops::Range<usize>,
    entries: &mut Entries,
) -> Result<(), Uncompiled> {
    let mut announced: HashMap<&'x [u8], ()> = HashMap::new();
    let mut sorted: Vec<&'x [u8]> = texts.keys().copied().collect();
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
            let entry = entries.add_marker(marker, best.copied())?;
            slots.push(slot(marker, entry));
        }
    }
    Ok(())
}
