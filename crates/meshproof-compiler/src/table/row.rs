//! Rows: one alternative of `from` with one of `to`, and everything of `when`.

use std::borrow::Cow;
use std::ops::Range;

use foldhash::HashMap;
use meshproof_authz::{Context, Policy};
use meshproof_engine as engine;
use meshproof_space::{LoweredRule, RuleBoxes};

use super::demand::{DEMANDS, Demand, DemandStore, Dimension};
use super::order::order_of;
use super::report::{Report, reports};
use super::{Lowered, ReportOrder, Uncompiled};

/// More rows than this make a table too large.
const MOST_ROWS: usize = 4 << 20;
/// And more demands of them all.
const MOST_ASKED: usize = 64 << 20;

/// The rules of one enforcement point as rows, in their order.
#[derive(Default)]
pub(super) struct Rows<'b> {
    /// What the rows lead to; those of one segment stand together.
    pub segments: Vec<Segment>,
    /// Rules in the order in which they are reported, segment by segment.
    pub rules: Vec<Rule>,
    /// Policies by their place in what was handed in, each with what is written around the names of its rules.
    pub policies: Vec<(usize, [String; 2])>,
    /// Rows by number; free places at the end of a segment are nothing.
    pub rows: Vec<Option<Row>>,
    /// The demands of all rows, rule by rule: so they were made, and so what they point to is near each other.
    pub demands: Vec<Demand<'b>>,
    /// What the rows make demands of, in the order in which it was met.
    pub dimensions: Vec<Dimension<'b>>,
    /// The places of demands, row by row.
    asked: Vec<u32>,
}

pub(super) struct Segment {
    pub effect: engine::Effect,
    pub provider: String,
    pub first_word: usize,
}

pub(super) struct Rule {
    /// Its place in `policies` of the rows.
    pub policy: usize,
    pub rule: usize,
}

pub(super) struct Row {
    pub rule: usize,
    /// Where the places of its demands stand.
    asked: Range<u32>,
}

/// A rule on its way to a segment.
struct Entry<'l> {
    report: Report<'l>,
    rule: &'l LoweredRule,
}

/// The rows of a segment, and what they are sorted by.
struct Unsorted<'b> {
    places: Vec<Cow<'b, [u8]>>,
    rows: Vec<Option<Row>>,
}

/// What rows have in common with earlier ones.
struct Known<'b> {
    /// Policies by their place, and whether something is written around their names: that is the same for all rules.
    policies: HashMap<(usize, bool), usize>,
    demands: DemandStore<'b>,
}

impl<'l> Entry<'l> {
    fn segment(&self) -> (engine::Effect, &'l str) {
        (self.report.effect, self.report.provider)
    }
}

impl<'b> Rows<'b> {
    /// The rows of the rules.
    ///
    /// # Errors
    /// A rule that is not known exactly, or too many rows.
    pub fn new(
        lowered: &'b Lowered,
        policies: &[Policy<'_>],
        context: &Context,
        order: ReportOrder,
    ) -> Result<Rows<'b>, Uncompiled> {
        let report_of = reports(policies, context);
        let entry = |(rule, on_trial)| Entry { report: report_of(rule, on_trial), rule };
        let mut entries: Vec<Entry<'_>> = lowered.all().map(entry).collect();
        entries.sort_by(|a, b| {
            let by_name = || match order {
                ReportOrder::Name => a.report.name.cmp(&b.report.name),
                ReportOrder::Policy => std::cmp::Ordering::Equal,
            };
            a.segment().cmp(&b.segment()).then_with(by_name).then(a.rule.id.cmp(&b.rule.id))
        });
        // Most rules are one row or two.
        let most = entries.len() * 3 / 2;
        let mut rows = Rows {
            rules: Vec::with_capacity(entries.len()),
            rows: Vec::with_capacity(most),
            asked: Vec::with_capacity(most * DEMANDS),
            ..Rows::default()
        };
        let mut known = Known { policies: HashMap::default(), demands: DemandStore::new(entries.len()) };
        let mut entries = entries.into_iter().peekable();
        while let Some(first) = entries.next() {
            let (effect, provider) = first.segment();
            let left = most - rows.rows.len().min(most);
            let mut segment = Unsorted { places: Vec::with_capacity(left), rows: Vec::with_capacity(left) };
            let mut next = Some(first);
            while let Some(entry) = next {
                rows.rule(entry, policies, &mut known, &mut segment, context)?;
                next = entries.next_if(|entry| entry.segment() == (effect, provider));
            }
            rows.segment(effect, provider, segment)?;
        }
        (rows.demands, rows.dimensions) = (known.demands.demands, known.demands.dimensions);
        Ok(rows)
    }

    /// What a row asks, as the places of demands.
    pub fn asked_of(&self, row: &Row) -> &[u32] {
        &self.asked[row.asked.start as usize..row.asked.end as usize]
    }

    /// Brings the rows of each word in the order of reports: the first of them that matches is the one to report.
    pub fn sort_words(&mut self) {
        let rule_of = |row: &Option<Row>| row.as_ref().map_or(usize::MAX, |row| row.rule);
        self.rows.chunks_mut(64).for_each(|word| word.sort_by_key(rule_of));
    }

    /// By row, how many there are before it: free places are none.
    pub fn numbers(&self) -> Vec<u32> {
        let before = |count: &mut u32, row: &Option<Row>| {
            let number = *count;
            *count += u32::from(row.is_some());
            Some(number)
        };
        self.rows.iter().scan(0, before).collect()
    }

    /// The first rule of a segment that has a row.
    pub fn first_rule(&self, segment: &Segment) -> u32 {
        let of_segment =
            self.rows[segment.first_word * 64..].iter().take_while(|row| row.is_some()).flatten();
        of_segment.map(|row| row.rule as u32).min().unwrap_or_default()
    }

    /// Adds a rule and its rows.
    fn rule(
        &mut self,
        entry: Entry<'b>,
        policies: &[Policy<'_>],
        known: &mut Known<'b>,
        segment: &mut Unsorted<'b>,
        context: &Context,
    ) -> Result<(), Uncompiled> {
        let boxes = match &*entry.rule.boxes {
            RuleBoxes::Boxes(boxes) => boxes,
            RuleBoxes::Dropped(_) => return Ok(()),
            RuleBoxes::Unknown(limit) => {
                let policy = policies.get(entry.rule.id.policy).map(Policy::id).unwrap_or_default();
                return Err(Uncompiled::Rule { policy, rule: entry.rule.id.rule, limit: *limit });
            }
        };
        let of = entry.rule.id.policy;
        let around = entry.report.around;
        let policy = *known.policies.entry((of, around.is_some())).or_insert_with(|| {
            self.policies.push((of, around.map_or_else(Default::default, |around| *around)));
            self.policies.len() - 1
        });
        self.rules.push(Rule { policy, rule: entry.rule.id.rule });
        let rule = self.rules.len() - 1;
        for each in boxes {
            let start = self.asked.len();
            known.demands.add(each, context, &mut self.asked);
            segment.places.push(known.demands.place_of(&self.asked[start..]));
            segment.rows.push(Some(Row { rule, asked: start as u32..self.asked.len() as u32 }));
        }
        if segment.rows.len() + self.rows.len() > MOST_ROWS || self.asked.len() > MOST_ASKED {
            return Err(Uncompiled::TooLarge);
        }
        Ok(())
    }

    /// Adds the rows of a segment. Rows of sources that are near each other stand together, so that a peer leaves few
    /// words, or rows that are read one after the other.
    fn segment(
        &mut self,
        effect: engine::Effect,
        provider: &str,
        unsorted: Unsorted<'b>,
    ) -> Result<(), Uncompiled> {
        let Unsorted { places, mut rows } = unsorted;
        if rows.is_empty() {
            return Ok(());
        }
        let first_word = self.rows.len() / 64;
        self.segments.push(Segment { effect, provider: provider.to_owned(), first_word });
        // They come rule by rule, and of one place stay so.
        let places: Vec<&[u8]> = places.iter().map(Cow::as_ref).collect();
        self.rows.extend(order_of(&places).into_iter().map(|at| rows[at as usize].take()));
        let whole = self.rows.len().next_multiple_of(64);
        self.rows.resize_with(whole, || None);
        Ok(())
    }
}
