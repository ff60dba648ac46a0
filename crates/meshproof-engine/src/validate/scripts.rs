//! Scripts: what rows ask, row by row.

use super::{Checked, Marks, check, invalid};
use crate::bytes::{Reader, place};
use crate::error::OpenError;
use crate::format::{self, BLOCK_WIDE, METHOD_BYTES, METHODS, MOST_DEMANDS, MOST_LEFT, MOST_SCRIPTS, NONE};
use crate::head::Sections;
use crate::kinds::Attribute;
use crate::pool::Starts;
use crate::row::ByRows;
use crate::script::{DemandHead, Methods, Scripts, Shape, TextTest, block};
use crate::table::Table;

/// Reads what stands before the rows.
pub(crate) fn scripts<'t>(sections: &Sections<'t>, starts: Starts<'t>) -> Result<Scripts<'t>, OpenError> {
    let bytes = sections.bytes(format::SCRIPTS);
    let mut reader = Reader::new(bytes, 0);
    let most = place(reader.number());
    check(most <= MOST_LEFT, "rows that one name leaves", most)?;
    let dimension = reader.number();
    let count = reader.number();
    check(place(count) <= METHODS, "methods", 0)?;
    let mut methods = Methods::default();
    for at in 0..place(count) {
        let length = reader.number();
        let method = reader.take(length);
        check(reader.is_inside() && method.len() <= METHOD_BYTES, "a method", at)?;
        check(methods.bit(method) == 0 && !method.is_empty(), "a method", at)?;
        methods.set(at, method);
    }
    let path_bits_at = reader.number().checked_sub(1).map(place);
    check(reader.is_inside() && bytes.len() <= MOST_SCRIPTS, "the head of scripts", 0)?;
    let method_dimension = dimension.checked_sub(1).map(place);
    let from = reader.at;
    Ok(Scripts {
        bytes,
        starts,
        from,
        most,
        leading_dimension: None,
        method_dimension,
        methods,
        path_bits_at,
    })
}

/// Walks through the scripts, which stand one behind the other; gives where they begin, and how many there are.
pub(super) fn check_all(table: &Table<'_>, by_rows: &ByRows<'_>) -> Result<(Marks, usize), OpenError> {
    let scripts = &by_rows.scripts;
    let is_method =
        |at: usize| by_rows.dimensions.get(at).is_some_and(|told| told.attribute == Attribute::Method);
    check(scripts.method_dimension.is_none_or(is_method), "the dimension of methods", 0)?;
    check(by_rows.dimensions.len() <= MOST_DEMANDS, "more attributes than scripts may ask", 0)?;
    let bits = scripts.method_dimension.map_or(0, |_| scripts.methods.known());
    let mut starts = Marks::for_places(scripts.bytes.len());
    // Where it begins what is asked of requests.
    let mut parts = Marks::for_places(scripts.bytes.len());
    let mut at = scripts.from;
    let mut rows = 0;
    while at < scripts.bytes.len() {
        starts.set(at);
        rows += 1;
        let (rule, count, is_elsewhere, mut reader) = scripts.at(u32::try_from(at).unwrap_or(NONE));
        check(reader.is_inside() && usize::from(rule) < table.rule_count(), "the rule of a script", at)?;
        demands(by_rows, &mut reader, count, false, at)?;
        if is_elsewhere {
            let part = reader.number();
            check(reader.is_inside() && parts.has(place(part)), "what a row asks of requests", at)?;
        } else {
            parts.set(reader.at);
            let [methods, paths, count] = reader.chunk();
            check(methods & !bits == 0, "the methods of a row", at)?;
            let asked = reader.rest();
            demands(by_rows, &mut reader, count, true, at)?;
            check(paths == 0 || paths == path_bits(by_rows, asked, count), "the paths of a row", at)?;
        }
        check(reader.is_inside(), "a script", at)?;
        at = reader.at;
    }
    let segments = || table.segments.iter().map(|segment| place(segment.first));
    check((rows == 0) == table.segments.is_empty(), "scripts without a segment", 0)?;
    check(segments().all(|first| starts.has(first)), "a segment without scripts", 0)?;
    check(segments().next().is_none_or(|first| first == scripts.from), "scripts without a segment", 0)?;
    Ok((starts, rows))
}

/// The bits of all paths that a row lets pass; none where these may be any.
fn path_bits(by_rows: &ByRows<'_>, asked: &[u8], count: u8) -> u8 {
    let scripts = &by_rows.scripts;
    let Some(at) = scripts.path_bits_at else { return 0 };
    let mut rest = asked;
    for _ in 0..count {
        let Some((demand, tests)) = DemandHead::read(rest) else { return 0 };
        let attribute = by_rows.dimensions.get(demand.dimension).map(|told| told.attribute);
        if attribute == Some(Attribute::Path) && !demand.refuses {
            let mut reader = Reader::new(tests, 0);
            let bit = |_| TextTest::read(&mut reader).path_bit(at, &scripts.starts);
            return (0..demand.tests).map(bit).try_fold(0, |bits, bit| Some(bits | bit?)).unwrap_or_default();
        }
        let shape = attribute.map_or(Shape::Text, Shape::of);
        rest = Scripts::behind(tests, shape, demand.tests);
    }
    0
}

fn demands(
    by_rows: &ByRows<'_>,
    reader: &mut Reader<'_>,
    count: u8,
    is_of_request: bool,
    row: usize,
) -> Checked {
    let scripts = &by_rows.scripts;
    let mut last = None;
    check(usize::from(count) <= MOST_DEMANDS, "more demands than a row may have", row)?;
    for _ in 0..count {
        check(!reader.is_at_end(), "what a row asks", row)?;
        let (demand, _) = DemandHead::read(reader.rest()).ok_or(invalid("what a row asks", row))?;
        reader.at += 2;
        // One list of each kind, so that it is told what a row asks of a dimension as a whole.
        let this = (demand.dimension, demand.refuses);
        let is_told = Some(demand.dimension) == scripts.method_dimension
            || Some(demand.dimension) == scripts.leading_dimension;
        check(last < Some(this) && (demand.refuses || !is_told), "what a row asks twice", row)?;
        check(usize::from(demand.tests) <= MOST_DEMANDS, "more tests than a row may have", row)?;
        last = Some(this);
        let told = by_rows.dimensions.get(demand.dimension).ok_or(invalid("what a row asks", row))?;
        check(told.is_of_request == is_of_request, "what a row asks, and when", row)?;
        for _ in 0..demand.tests {
            check(!reader.is_at_end(), "the tests of a row", row)?;
            match Shape::of(told.attribute) {
                Shape::Text => {
                    let test = TextTest::read(reader);
                    let is_sound = reader.is_inside() && test.is_sound(told.attribute, &scripts.starts);
                    check(is_sound, "the text of a test", row)?;
                }
                Shape::Port => {
                    reader.take(2);
                }
                Shape::Address => {
                    let (network, head) = block(reader);
                    let length = if head >= BLOCK_WIDE { head - BLOCK_WIDE } else { head };
                    check(usize::from(length) <= network.len() * 8, "a block of addresses", row)?;
                }
            }
        }
        check(reader.is_inside(), "the tests of a row", row)?;
    }
    Ok(())
}
