//! Sets of rows as a table holds them, each once.

use std::ops::Range;

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::format::{GROUP_WORDS, NARROW_ROWS, NONE, SET_COLUMN, SET_GROUPS, SET_LIST, SET_ROWS};

use super::Uncompiled;
use super::numbers::put_number;

/// A set by its number here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SetId(u32);

/// Up to so many rows are told one by one.
const FEW_ROWS: usize = 16;
/// Up to so many bytes of rows stand wherever they are needed.
const FEW_BYTES: usize = 6;
/// Columns have a bit for every row, so where each row asks for a header of its own there are as many as rows: they may
/// take 256 MB.
const MOST_COLUMN_WORDS: usize = 32 << 20;
/// Sets outside of records are told by 30 bits.
const MOST_PLACES: usize = 1 << 30;

enum Form {
    /// Rows one by one, with where they are told, and where they stand for all who share them.
    Rows(Range<usize>, Option<u32>),
    /// How the set is told, wherever it stands.
    Code(u32),
}

/// The sets of a table.
pub(super) struct SetStore {
    words: usize,
    /// Which of the rows with scripts each row is. With scripts every set is told one by one, and there are no columns.
    scripts: Option<Vec<u32>>,
    forms: Vec<Form>,
    /// The rows of sets that are told one by one.
    told: Vec<u8>,
    /// The sets of a single row by that row, and all others.
    single: Vec<Option<SetId>>,
    known: HashMap<Box<[u32]>, SetId>,
    /// Sets with a bit per row.
    columns: Vec<Vec<u64>>,
    /// The section of sets of many rows.
    pub groups: Vec<u64>,
    /// The section of sets of few rows that several share.
    pub lists: Vec<u8>,
}

impl SetStore {
    pub fn new(words: usize) -> SetStore {
        SetStore {
            words,
            scripts: None,
            forms: Vec::new(),
            told: Vec::new(),
            single: Vec::new(),
            known: HashMap::new(),
            columns: Vec::new(),
            groups: Vec::new(),
            lists: Vec::new(),
        }
    }

    /// Sets of rows with scripts; by row, which of these it is.
    pub fn of_scripts(rows: Vec<u32>) -> SetStore {
        SetStore { scripts: Some(rows), ..SetStore::new(0) }
    }

    /// The set of the rows, which ascend.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn add(&mut self, rows: &[u32]) -> Result<SetId, Uncompiled> {
        let next = SetId(self.forms.len() as u32);
        let known = match rows {
            [row] => {
                let row = *row as usize;
                self.single.resize(self.single.len().max(row + 1), None);
                *self.single[row].get_or_insert(next)
            }
            rows => match self.known.get(rows) {
                Some(known) => *known,
                None => {
                    self.known.insert(rows.into(), next);
                    next
                }
            },
        };
        if known == next {
            let form = self.form(rows)?;
            self.forms.push(form);
        }
        Ok(known)
    }

    /// Few rows are told one by one. Many are told by words, and with a bit per row when that is not much more, for there
    /// a word is found at once.
    fn form(&mut self, rows: &[u32]) -> Result<Form, Uncompiled> {
        if rows.len() <= FEW_ROWS || self.scripts.is_some() {
            let start = self.told.len();
            let mut last = 0;
            for row in rows {
                match &self.scripts {
                    Some(scripts) => put_row(&mut self.told, scripts[*row as usize], scripts.len()),
                    None => put_number(&mut self.told, *row - last),
                }
                last = *row;
            }
            return Ok(Form::Rows(start..self.told.len(), None));
        }
        let count = self.words.div_ceil(GROUP_WORDS);
        let mut masks: Vec<(usize, u64)> = Vec::new();
        for row in rows {
            let word = (row / 64) as usize;
            match masks.last_mut() {
                Some((last, mask)) if *last == word => *mask |= 1 << (row % 64),
                _ => masks.push((word, 1 << (row % 64))),
            }
        }
        if self.words <= 2 * (count + masks.len()) {
            return Ok(Form::Code(self.column(rows)? << 2 | SET_COLUMN));
        }
        let at = self.groups.len();
        self.groups.resize(at + count, 0);
        for (word, mask) in &masks {
            self.groups[at + word / GROUP_WORDS] |= 1 << (word % GROUP_WORDS);
            self.groups.push(*mask);
        }
        let mut before = 0u64;
        for group in &mut self.groups[at..at + count] {
            let words = u64::from(group.count_ones());
            *group |= before << 32;
            before += words;
        }
        Ok(Form::Code(code(SET_GROUPS, at)?))
    }

    /// A bit per row, always in that form; gives the number of the column, or that there is none.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn column(&mut self, rows: &[u32]) -> Result<u32, Uncompiled> {
        if self.scripts.is_some() {
            return Ok(NONE);
        }
        if (self.columns.len() + 1).saturating_mul(self.words) > MOST_COLUMN_WORDS {
            return Err(Uncompiled::TooLarge);
        }
        let mut column = vec![0; self.words];
        rows.iter().for_each(|row| column[(row / 64) as usize] |= 1 << (row % 64));
        self.columns.push(column);
        Ok(self.columns.len() as u32 - 1)
    }

    /// The section of columns: all of the first word, then all of the second, and so on.
    pub fn columns(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.words).flat_map(|word| self.columns.iter().map(move |column| column[word]))
    }

    /// How the set is told outside of records.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn code(&mut self, id: SetId) -> Result<u32, Uncompiled> {
        match &mut self.forms[id.0 as usize] {
            Form::Code(code) => Ok(*code),
            Form::Rows(_, Some(place)) => code(SET_LIST, *place as usize),
            Form::Rows(told, place) => {
                let at = self.lists.len();
                put_number(&mut self.lists, told.len() as u32);
                self.lists.extend_from_slice(&self.told[told.clone()]);
                *place = Some(at as u32);
                code(SET_LIST, at)
            }
        }
    }

    /// Writes the set into a record. `own`: nobody else is likely to need it.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn put(&mut self, to: &mut Vec<u8>, id: SetId, own: bool) -> Result<(), Uncompiled> {
        if let Form::Rows(told, _) = &self.forms[id.0 as usize]
            && (own || told.len() <= FEW_BYTES)
        {
            put_number(to, (told.len() as u32) << 2 | SET_ROWS);
            to.extend_from_slice(&self.told[told.clone()]);
            return Ok(());
        }
        let code = self.code(id)?;
        put_number(to, code);
        Ok(())
    }
}

/// Writes which of so many rows with scripts it is.
fn put_row(to: &mut Vec<u8>, row: u32, rows: usize) {
    let bytes = row.to_le_bytes();
    to.extend_from_slice(if rows > NARROW_ROWS { &bytes } else { &bytes[..2] });
}

fn code(kind: u32, place: usize) -> Result<u32, Uncompiled> {
    if place < MOST_PLACES { Ok((place as u32) << 2 | kind) } else { Err(Uncompiled::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_bounded() {
        let mut sets = SetStore::new(MOST_COLUMN_WORDS + 1);
        assert_eq!(sets.column(&[]), Err(Uncompiled::TooLarge));
        assert_eq!(SetStore::new(2).column(&[64]), Ok(0));
    }
}
