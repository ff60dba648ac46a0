//! A table, opened.

use crate::bytes::{Numbers, U64s, U128s, place};
use crate::dimension::Dimension;
use crate::error::OpenError;
use crate::format;
use crate::head::{Head, Sections, content_hash};
use crate::index::Store;
use crate::kinds::{Attribute, Effect, Engine};
use crate::lookup::Entries;
use crate::pool::{Pool, Starts};
use crate::row::{ByRows, Told};
use crate::rule::{RulePlaces, rules};
use crate::script::Scripts;
use crate::set::Sets;
use crate::test::Tests;
use crate::validate;

/// The policies of one enforcement point, ready to decide. It borrows the bytes; copies of it share them.
#[derive(Clone, Debug)]
pub struct Table<'t> {
    pub(crate) store: Store<'t>,
    /// The first eight bytes of the hash; never zero.
    pub(crate) stamp: u64,
    pub(crate) joins_headers: bool,
    pub(crate) needs_allow: bool,
    pub(crate) has_dry_allow: bool,
    pub(crate) in_policy_order: bool,
    /// All rows, as a set.
    pub(crate) everything: u32,
    pub(crate) segments: Vec<Segment<'t>>,
    /// By word its segment; with scripts nothing.
    segment_of: Vec<u32>,
    /// Words, with scripts rules, of CUSTOM policies, which come first.
    pub(crate) custom_end: u32,
    pub(crate) connection: Vec<Dimension<'t>>,
    pub(crate) request: Vec<Dimension<'t>>,
    /// The place in `request` of the attribute that leads to rows.
    pub(crate) driver: Option<usize>,
    /// What rows ask stands in scripts, row by row, and only names of peers are looked up.
    pub(crate) has_scripts: bool,
    pub(crate) by_rows: Option<ByRows<'t>>,
    /// Rows that look at the request.
    pub(crate) looks_at_request: Vec<u64>,
    pub(crate) row_rules: Numbers<'t>,
    /// By rule its policy, and its place there.
    pub(crate) rule_policies: Numbers<'t>,
    pub(crate) rule_places: RulePlaces<'t>,
    pub(crate) policies: Numbers<'t>,
    hash: [u8; 32],
    size: usize,
}

/// Rows that lead to the same thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'t> {
    pub effect: Effect,
    /// Its first word; with scripts its first rule.
    pub first: u32,
    /// Up to this word or rule, what stands behind a match says nothing any more: a later rule of the segment is not the one
    /// that is reported, and what is denied is not allowed.
    pub settles: u32,
    pub provider: &'t str,
}

impl<'t> Table<'t> {
    /// Opens a table. Everything in it is looked at once; behind that no place in it can lie outside.
    ///
    /// # Errors
    /// What is wrong with the bytes. There is no way to use such a table; refuse every request.
    pub fn open(bytes: &'t [u8]) -> Result<Table<'t>, OpenError> {
        let head = Head::read(bytes)?;
        if content_hash(bytes) != head.hash {
            return Err(OpenError::Corrupt);
        }
        let table = Table::assemble(&head, bytes)?;
        validate::table(&table, &head.sections)?;
        Ok(table)
    }

    /// Puts the parts together; places inside of them are not looked at.
    fn assemble(head: &Head<'t>, bytes: &'t [u8]) -> Result<Table<'t>, OpenError> {
        let sections = &head.sections;
        let pool = Pool(sections.bytes(format::POOL));
        let starts = Starts { places: sections.numbers(format::STARTS), pool };
        let words = place(head.words);
        let columns = U64s::new(sections.bytes(format::COLUMNS));
        let entries = sections.bytes(format::ENTRIES);
        let store = Store {
            engine: head.engine,
            indexes: sections.numbers(format::INDEXES),
            sets: Sets {
                columns,
                stride: columns.len().checked_div(words).unwrap_or_default(),
                groups: U64s::new(sections.bytes(format::SETS)),
                lists: sections.bytes(format::LISTS),
                words,
            },
            entries: Entries { bytes: entries, starts, place_bits: format::place_bits(entries.len()) },
            slots: sections.numbers(format::SLOTS),
            lengths: sections.numbers(format::LENGTHS),
            tests: Tests { bytes: sections.bytes(format::TESTS), starts },
            borders: sections.numbers(format::BORDERS),
            wide_borders: U128s::new(sections.bytes(format::WIDE_BORDERS)),
        };
        validate::runs(sections)?;
        let is_wide = head.settings & format::WIDE_RULES != 0;
        let has_scripts = head.settings & format::BY_ROWS != 0;
        let (rule_policies, rule_places) = rules(sections.bytes(format::RULES), is_wide)?;
        let mut table = Table {
            store,
            stamp: head.stamp(),
            joins_headers: head.settings & format::HEADERS_JOINED != 0,
            needs_allow: head.settings & format::NEEDS_ALLOW != 0,
            has_dry_allow: head.settings & format::HAS_DRY_ALLOW != 0,
            in_policy_order: head.settings & format::POLICY_ORDER != 0,
            everything: head.everything,
            segments: validate::segments(sections, head.words, is_wide, has_scripts)?,
            segment_of: Vec::new(),
            custom_end: 0,
            connection: Vec::new(),
            request: Vec::new(),
            driver: None,
            has_scripts,
            by_rows: None,
            looks_at_request: vec![0; words],
            row_rules: Numbers::new(if has_scripts { &[] } else { sections.bytes(format::ROWS) }, is_wide),
            rule_policies,
            rule_places,
            policies: Numbers::new(sections.bytes(format::POLICIES), head.settings & format::WIDE_NAMES != 0),
            hash: head.hash,
            size: bytes.len(),
        };
        table.lay_out_segments(head.words);
        if !table.has_scripts {
            table.read_dimensions(sections)?;
        } else {
            table.read_scripts(sections)?;
        }
        Ok(table)
    }

    fn lay_out_segments(&mut self, words: u32) {
        let last = if self.has_scripts { u32::MAX } else { words };
        let ends = self.segments.iter().skip(1).map(|segment| segment.first).chain([last]);
        let ends: Vec<u32> = ends.collect();
        let decided = self.segments.partition_point(|segment| segment.effect <= Effect::Allow);
        let decided = decided.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(last);
        for (at, (segment, end)) in self.segments.iter_mut().zip(ends).enumerate() {
            if !self.has_scripts {
                let count = place(end.saturating_sub(segment.first));
                self.segment_of.extend(std::iter::repeat_n(u32::try_from(at).unwrap_or(u32::MAX), count));
            }
            if matches!(segment.effect, Effect::Refuse | Effect::Ask) {
                self.custom_end = end;
            }
            segment.settles = if segment.effect == Effect::Deny { decided } else { end };
        }
    }

    /// The segment of a word.
    #[inline]
    pub(crate) fn segment_of(&self, word: u32) -> u32 {
        self.segment_of.get(place(word)).copied().unwrap_or_default()
    }

    /// The segment of a rule that has rows; of tables with scripts.
    #[inline]
    pub(crate) fn segment_of_rule(&self, rule: u32) -> u32 {
        let behind = self.segments.partition_point(|segment| segment.first <= rule);
        u32::try_from(behind.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn read_dimensions(&mut self, sections: &Sections<'t>) -> Result<(), OpenError> {
        let numbers = sections.numbers(format::DIMENSIONS);
        // Columns are gone through once, however many attributes name the same.
        let mut looked = vec![false; self.store.sets.stride];
        for at in 0..numbers.len() / format::DIMENSION {
            let (dimension, asked) = validate::dimension(self, numbers, at)?;
            if !dimension.is_of_request {
                self.connection.push(dimension);
                continue;
            }
            if asked == format::DRIVER {
                self.driver = Some(self.request.len());
            }
            for column in [Some(dimension.wanting), dimension.refusing].into_iter().flatten() {
                if let Some(at) = looked.get_mut(column) {
                    *at = true;
                }
            }
            self.request.push(dimension);
        }
        for (word, looks) in self.looks_at_request.iter_mut().enumerate() {
            let block = self.store.sets.block(u32::try_from(word).unwrap_or(u32::MAX));
            let columns = looked.iter().enumerate().filter(|(_, looked)| **looked);
            *looks = columns.fold(0, |all, (column, _)| all | block.at(column));
        }
        // What is cheap to look up and leaves little comes first.
        let rank = |dimension: &Dimension<'t>| match dimension.attribute {
            Attribute::Method => 0,
            Attribute::Path | Attribute::RemoteIp => 1,
            Attribute::Authority => 2,
            _ => 3,
        };
        let driver =
            self.driver.and_then(|at| self.request.get(at)).map(|driver| (driver.attribute, driver.name));
        self.request.sort_by_key(rank);
        // The first demand of an attribute stands before its further ones, so it is found first.
        self.driver = driver.and_then(|(attribute, name)| {
            self.request
                .iter()
                .position(|dimension| (dimension.attribute, dimension.name) == (attribute, name))
        });
        // The first one leads to rows; it is that of the names where there is one.
        self.connection.sort_by_key(|dimension| dimension.attribute != Attribute::Peer);
        Ok(())
    }

    /// Of a table that has scripts: the dimensions by number, and that of the names of peers with its index.
    fn read_scripts(&mut self, sections: &Sections<'t>) -> Result<(), OpenError> {
        let numbers = sections.numbers(format::DIMENSIONS);
        let (mut told, mut leading) = (Vec::new(), None);
        for at in 0..numbers.len() / format::DIMENSION {
            let (dimension, _) = validate::dimension(self, numbers, at)?;
            let Dimension { attribute, name, is_of_request, .. } = dimension;
            told.push(Told { attribute, name, is_of_request });
            if dimension.indifferent.is_some() {
                let is_only = dimension.attribute == Attribute::Peer && leading.is_none();
                let what = "the attribute that leads to scripts";
                is_only.then_some(()).ok_or(OpenError::Invalid { what, at: at as u32 })?;
                leading = Some(at);
                self.connection.push(dimension);
            }
        }
        let scripts = validate::scripts(sections, self.store.entries.starts, self.rule_policies.len())?;
        let scripts = Scripts { leading_dimension: leading, ..scripts };
        let (engine, joins_headers) = (self.store.engine, self.joins_headers);
        let first =
            |attribute| told.iter().position(|told| told.attribute == attribute).unwrap_or(usize::MAX);
        let path = first(Attribute::Path);
        self.by_rows = Some(ByRows { scripts, dimensions: told, path, engine, joins_headers });
        Ok(())
    }

    /// Whose reading of the policies it holds.
    pub fn engine(&self) -> Engine {
        self.store.engine
    }

    /// The hash of its content: equal tables have equal hashes.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Rows of rules: alternatives of `from` times alternatives of `to`.
    pub fn row_count(&self) -> usize {
        match &self.by_rows {
            Some(by_rows) => by_rows.scripts.rows.len(),
            None => (0..self.row_rules.len()).filter(|row| self.row_rules.at(*row) != format::NONE).count(),
        }
    }

    /// Words of 64 rows each that a set of rows has.
    pub fn row_words(&self) -> usize {
        self.store.sets.words
    }

    /// Whether what rows ask stands row by row, so that only names of peers are looked up.
    pub fn is_told_by_rows(&self) -> bool {
        self.has_scripts
    }

    /// Rules that have a row.
    pub fn rule_count(&self) -> usize {
        self.rule_policies.len()
    }

    /// Whether a request that nothing denies needs an ALLOW rule.
    pub fn needs_allow(&self) -> bool {
        self.needs_allow
    }

    /// Whether ALLOW policies are on trial, so that without a match of one the request would have been refused.
    pub fn has_dry_allow(&self) -> bool {
        self.has_dry_allow
    }

    /// Whether the lines of a header count as one text with commas: Envoy before 1.37.1.
    pub fn joins_headers(&self) -> bool {
        self.joins_headers
    }

    /// Whether the first rule in the order of the policies is reported, instead of the one with the least name.
    pub fn reports_in_policy_order(&self) -> bool {
        self.in_policy_order
    }
}
