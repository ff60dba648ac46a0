//! Which rules match a request: the first ones, by what they lead to.

use crate::attributes::RequestAttributes;
use crate::bytes::place;
use crate::context::Context;
use crate::dimension::Dimension;
use crate::format::NONE;
use crate::index::{Gather, Store};
use crate::kinds::Effect;
use crate::live::{Live, Source, Survivors};
use crate::row::{ByRows, Seen};
use crate::rule::RuleRef;
use crate::table::Table;

/// So many rows are looked at together.
const BATCH: usize = 32;

/// Up to so many words in question, what is cheap to look up is asked before what says most.
const FEW: usize = 2;

/// The first rules that match, by what they lead to; [`NONE`] where none does.
#[derive(Clone, Copy)]
pub(crate) struct Hits {
    rules: [u32; 7],
    /// The segment of the first provider.
    pub segment: u32,
}

impl Hits {
    pub const NOTHING: Hits = Hits { rules: [NONE; 7], segment: NONE };

    #[inline(always)]
    pub fn of(&self, effect: Effect) -> Option<RuleRef> {
        let rule = self.rules[effect as usize];
        (rule != NONE).then_some(RuleRef(rule))
    }
}

/// The words, or rules of rows, that are asked about, and the providers that are left out.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub from: u32,
    pub end: u32,
    pub provider: u32,
}

impl Asked {
    #[inline(always)]
    fn has(self, place: u32) -> bool {
        place >= self.from && place < self.end
    }
}

struct OfRequest<'a, R> {
    request: &'a R,
    joins_headers: bool,
}

impl<R: RequestAttributes> Source for OfRequest<'_, R> {
    #[inline(always)]
    fn visit<'t>(&self, dimension: &Dimension<'t>, store: &Store<'t>, to: &mut impl Gather<'t>) {
        dimension.of_request(store, self.request, self.joins_headers, to);
    }
}

impl Table<'_> {
    /// The first rules that match.
    #[inline(always)]
    pub(crate) fn hits(&self, context: &Context, request: &impl RequestAttributes, asked: Asked) -> Hits {
        match &self.by_rows {
            Some(by_rows) => self.hits_by_rows(by_rows, context, request, asked),
            None => self.hits_by_words(context, request, asked),
        }
    }

    /// Asks the rows one after the other.
    fn hits_by_rows(
        &self,
        by_rows: &ByRows<'_>,
        context: &Context,
        request: &impl RequestAttributes,
        asked: Asked,
    ) -> Hits {
        let scripts = &by_rows.scripts;
        let mut seen = Seen::new(request);
        let mut hits = Hits::NOTHING;
        let mut bits = None;
        // Rules that say nothing any more.
        let mut settled = 0..0;
        for rows in context.rows().chunks(BATCH) {
            let bits = *bits.get_or_insert_with(|| seen.bits(scripts));
            let mut left = [0; BATCH];
            let mut count = 0;
            for row in rows {
                // Without a branch: which rows pass is as good as random.
                left.get_mut(count).into_iter().for_each(|to| *to = *row);
                count += usize::from(row & bits == bits);
            }
            let left = left.get(..count).unwrap_or_default();
            let touched = left.iter().fold(0, |all, row| all ^ scripts.touch(scripts.layout.place(*row)));
            std::hint::black_box(touched);
            for row in left {
                let rule = scripts.layout.rule(*row);
                let counts = asked.has(rule) && !settled.contains(&rule);
                if counts && by_rows.request_holds(*row, &mut seen) {
                    let segment = self.segment_of_rule(rule);
                    self.hit(rule, segment, asked, &mut hits);
                    settled = rule..self.segments.get(place(segment)).map_or(rule, |segment| segment.settles);
                }
            }
        }
        hits
    }

    fn hits_by_words(&self, context: &Context, request: &impl RequestAttributes, asked: Asked) -> Hits {
        let source = OfRequest { request, joins_headers: self.joins_headers };
        let live = context.live();
        let mut hits = Hits::NOTHING;
        let count = live.masks.len();
        match count {
            0 => {}
            1..=16 => self.settle::<16>(live, 0, &source, asked, &mut hits),
            17..=64 => self.settle::<64>(live, 0, &source, asked, &mut hits),
            65..=192 => self.settle::<192>(live, 0, &source, asked, &mut hits),
            _ => {
                for start in (0..count).step_by(512) {
                    self.settle::<512>(live, start, &source, asked, &mut hits);
                }
            }
        }
        hits
    }

    /// Asks the attributes about the words from `start` on, and keeps the first rules of those that are left.
    fn settle<const N: usize>(
        &self,
        live: Live<'_>,
        start: usize,
        source: &impl Source,
        asked: Asked,
        hits: &mut Hits,
    ) {
        let mut left = Survivors::<N>::new();
        left.load(live, start);
        if self.custom_end != 0 {
            left.keep(asked.from, asked.end);
        }
        let mut room = left.room();
        let first = self.driver.filter(|_| live.masks.len() > FEW);
        if let Some(driver) = first.and_then(|at| self.request.get(at))
            && !room.narrow(self, live, driver, source, true)
        {
            return;
        }
        for (at, dimension) in self.request.iter().enumerate() {
            if first != Some(at) && !room.narrow(self, live, dimension, source, false) {
                return;
            }
        }
        for (word, mask) in left.left().filter(|(_, mask)| *mask != 0) {
            // Within a word rows are ordered as rules are reported, so the first counts.
            let row = word.wrapping_mul(64).wrapping_add(mask.trailing_zeros());
            self.hit(self.row_rules.at(place(row)), self.segment_of(word), asked, hits);
        }
    }

    /// Takes a rule down that matches.
    pub(crate) fn hit(&self, rule: u32, segment: u32, asked: Asked, hits: &mut Hits) {
        let Some(effect) = self.segments.get(place(segment)).map(|segment| segment.effect) else { return };
        let Some(best) = hits.rules.get_mut(effect as usize) else { return };
        if effect != Effect::Ask {
            *best = rule.min(*best);
        } else if segment >= asked.provider && segment <= hits.segment {
            *best = if segment == hits.segment { rule.min(*best) } else { rule };
            hits.segment = segment;
        }
    }
}
