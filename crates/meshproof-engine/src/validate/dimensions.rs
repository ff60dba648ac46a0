//! Segments and dimensions, and that nothing that they point to overlaps.

use super::{Checked, check, invalid, is_inside};
use crate::bytes::{Reader, U32s, place};
use crate::dimension::Dimension;
use crate::error::OpenError;
use crate::format::{self, DIMENSION, DRIVER, INDEX, NONE, OF_REQUEST, SPELLED_PARTS};
use crate::head::Sections;
use crate::kinds::{Attribute, Effect, Engine, View};
use crate::pool::Pool;
use crate::table::{Segment, Table};

/// The segments: they begin with the first word, follow each other, and stand in the order of effects and of providers.
pub(crate) fn segments<'t>(
    sections: &Sections<'t>,
    words: u32,
    is_wide: bool,
    has_scripts: bool,
) -> Result<Vec<Segment<'t>>, OpenError> {
    let bytes = sections.bytes(format::SEGMENTS);
    let numbers = U32s::new(bytes);
    check(bytes.len().is_multiple_of(12), "half a segment", 0)?;
    // Rows are counted in 32 bits.
    check(words <= NONE / 64, "too many rows", 0)?;
    let rows = sections.bytes(format::ROWS).len();
    let size = if is_wide { 4 } else { 2 };
    let is_whole = match has_scripts {
        true => rows.is_multiple_of(8),
        false => Some(rows) == place(words).checked_mul(64 * size),
    };
    check(is_whole, "rows and words do not fit", 0)?;
    let mut segments: Vec<Segment<'t>> = Vec::new();
    let pool = Pool(sections.bytes(format::POOL));
    for at in 0..numbers.len() / 3 {
        let number = |place: usize| numbers.at(at * 3 + place);
        let effect = Effect::of_code(number(0)).ok_or(invalid("unknown effect of a segment", at))?;
        let provider = pool.checked(number(2)).ok_or(invalid("the provider of a segment", at))?;
        let segment = Segment { effect, first: number(1), settles: 0, provider };
        let follows = match segments.last() {
            None => segment.first == 0 || has_scripts,
            Some(last) => {
                let order = (last.effect, last.provider) < (effect, provider);
                order && last.first < segment.first
            }
        };
        // Rules of scripts are looked at later.
        check(follows && (segment.first < words || has_scripts), "segments do not follow each other", at)?;
        segments.push(segment);
    }
    check((words == 0) == segments.is_empty() || has_scripts, "rows without a segment", 0)?;
    check(words == 0 || !has_scripts, "words beside scripts", 0)?;
    Ok(segments)
}

/// Runs of one part of a table that overlapped would be looked at again and again, so there is room for each in its own
/// right.
pub(crate) fn runs(sections: &Sections<'_>) -> Checked {
    let length = |section: usize, size: usize| (sections.bytes(section).len() / size) as u64;
    let dimensions = sections.numbers(format::DIMENSIONS);
    let (mut indexes_in_all, mut tests, mut names) = (0, 0, 0);
    let pool = sections.bytes(format::POOL);
    let length_of = |name: u32| u64::from(Reader::new(pool, place(name)).number());
    let segments = sections.numbers(format::SEGMENTS);
    for at in 0..segments.len() / 3 {
        names += length_of(segments.at(at * 3 + 2));
    }
    for at in 0..dimensions.len() / DIMENSION {
        let number = |place: usize| u64::from(dimensions.at(at * DIMENSION + place));
        indexes_in_all += number(6);
        tests += number(8).saturating_sub(number(7));
        names += length_of(dimensions.at(at * DIMENSION + 2));
    }
    check(indexes_in_all <= length(format::INDEXES, INDEX * 4), "the indexes of attributes overlap", 0)?;
    check(tests <= length(format::TESTS, 1), "the tests of attributes overlap", 0)?;
    // Several demands of one attribute share its name, and these are few.
    check(names <= 16 * pool.len() as u64, "the names of attributes and providers overlap", 0)?;
    let indexes = sections.numbers(format::INDEXES);
    let (mut lengths, mut borders, mut wide, mut slots) = (0, 0, 0, 0);
    for at in 0..indexes.len() / INDEX {
        let number = |place: usize| u64::from(indexes.at(at * INDEX + place));
        if number(0) == u64::from(View::Number.code()) {
            borders += number(3) * 2 + number(6);
            wide += number(6);
        } else {
            lengths += number(7) + number(11);
            slots += number(3) + number(5) + number(9);
        }
    }
    check(lengths <= length(format::LENGTHS, 4), "lengths overlap", 0)?;
    check(slots <= length(format::SLOTS, 4), "slots overlap", 0)?;
    check(borders <= length(format::BORDERS, 4), "borders overlap", 0)?;
    check(wide <= length(format::WIDE_BORDERS, 16), "borders overlap", 0)
}

/// Reads one dimension; its sets and records are looked at later.
pub(crate) fn dimension<'t>(
    table: &Table<'t>,
    numbers: U32s<'t>,
    at: usize,
) -> Result<(Dimension<'t>, u32), OpenError> {
    let number = |place: usize| numbers.at(at * DIMENSION + place);
    let attribute = Attribute::of_code(number(0)).ok_or(invalid("unknown attribute", at))?;
    let asked = number(1);
    check(asked <= DRIVER, "how an attribute is asked", at)?;
    check(asked != DRIVER || table.driver.is_none(), "two attributes lead", at)?;
    let is_of_request = match attribute {
        Attribute::Peer | Attribute::Port | Attribute::Sni => false,
        Attribute::SourceIp | Attribute::DestinationIp => false,
        // Envoy's HTTP filter knows the original client, from headers.
        Attribute::RemoteIp => table.store.engine == Engine::EnvoyHttp,
        _ => true,
    };
    check(is_of_request == (asked >= OF_REQUEST), "how an attribute is asked", at)?;
    let store = &table.store;
    let name = store.entries.pool().checked(number(2)).ok_or(invalid("the name of an attribute", at))?;
    // Scripts say what rows ask, so there are neither columns nor, but for names of peers, indexes.
    let has_scripts = table.has_scripts;
    let column = |column: u32| {
        let is_one = match has_scripts {
            true => column == NONE,
            false => place(column) < store.sets.stride || store.sets.words == 0,
        };
        if is_one { Ok(place(column)) } else { Err(invalid("the rows of an attribute", at)) }
    };
    check(is_inside(number(5), number(6), store.indexes.len() / INDEX), "the indexes of an attribute", at)?;
    let tests = [number(7), number(8)];
    check(
        tests[0] <= tests[1] && place(tests[1]) <= store.tests.bytes.len(),
        "the tests of an attribute",
        at,
    )?;
    check(number(9) <= SPELLED_PARTS, "the tests of an attribute", at)?;
    let dimension = Dimension {
        attribute,
        is_of_request: asked >= OF_REQUEST,
        name,
        wanting: column(number(3))?,
        refusing: if number(4) == NONE { None } else { Some(column(number(4))?) },
        indexes: (number(5)..number(5) + number(6)).map(|index| table.store.index(index)).collect(),
        tests,
        spelled: number(9),
        indifferent: (number(10) != NONE).then(|| number(10)),
    };
    let has_numbers = dimension.indexes.iter().any(|index| index.view == View::Number);
    let is_number = matches!(
        attribute,
        Attribute::Port | Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp
    );
    let has_right = match has_scripts {
        true => dimension.indexes.is_empty() || (attribute == Attribute::Peer && !has_numbers),
        false => has_numbers == is_number && (!is_number || dimension.indexes.len() == 1),
    };
    check(has_right, "the indexes of an attribute", at)?;
    Ok((dimension, asked))
}
