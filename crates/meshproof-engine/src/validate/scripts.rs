//! Scripts: what rows ask, row by row.

use super::{Checked, Marks, check, found, invalid};
use crate::bytes::{Reader, U64s, place};
use crate::error::OpenError;
use crate::format::{
    self, BLOCK_WIDE, METHOD_BYTES, METHODS, MOST_DEMANDS, MOST_LEFT, MOST_SCRIPTS, PATH_BITS, PORTS,
};
use crate::head::Sections;
use crate::kinds::Attribute;
use crate::layout::RowLayout;
use crate::named::{Methods, Ports};
use crate::pool::Starts;
use crate::row::ByRows;
use crate::script::{DemandHead, Scripts, Shape, TextTest, block};
use crate::table::Table;

/// Reads what stands before the scripts; there are so many rules.
pub(crate) fn scripts<'t>(
    sections: &Sections<'t>,
    starts: Starts<'t>,
    rules: usize,
) -> Result<Scripts<'t>, OpenError> {
    let bytes = sections.bytes(format::SCRIPTS);
    let mut reader = Reader::new(bytes, 0);
    let most = place(reader.number());
    check(most <= MOST_LEFT, "rows that one name leaves", most)?;
    let port_dimension = reader.number().checked_sub(1).map(place);
    let count = reader.number();
    check(place(count) <= PORTS && (count == 0) == port_dimension.is_none(), "ports", 0)?;
    let mut ports = Ports::default();
    for at in 0..place(count) {
        let port = u16::try_from(reader.number()).map_err(|_| invalid("a port", at))?;
        check(reader.is_inside() && ports.number(port).is_none(), "a port", at)?;
        ports.add(port);
    }
    let method_dimension = reader.number().checked_sub(1).map(place);
    let count = reader.number();
    check(place(count) <= METHODS && (count == 0) == method_dimension.is_none(), "methods", 0)?;
    let mut methods: Vec<&[u8]> = Vec::new();
    for at in 0..place(count) {
        let length = reader.number();
        let method = reader.take(length);
        check(reader.is_inside() && (1..=METHOD_BYTES).contains(&method.len()), "a method", at)?;
        methods.push(method);
    }
    let methods = Methods::new(&methods).ok_or(invalid("the methods", 0))?;
    let path_bits_at = reader.number().checked_sub(1).map(place);
    let paths = reader.number();
    check(paths <= PATH_BITS && (paths == 0 || path_bits_at.is_some()), "the bits of paths", 0)?;
    check(reader.is_inside() && bytes.len() <= MOST_SCRIPTS, "the head of scripts", 0)?;
    let layout = RowLayout::new(bytes.len(), rules, [ports.known().len() as u32, count, paths]);
    Ok(Scripts {
        rows: U64s::new(sections.bytes(format::ROWS)),
        layout: layout.ok_or(invalid("the bits of rows", 0))?,
        bytes,
        starts,
        from: reader.at,
        most,
        leading_dimension: None,
        port_dimension,
        ports,
        method_dimension,
        methods,
        path_bits_at: path_bits_at.filter(|_| paths > 0),
    })
}

/// Looks at rows and scripts.
pub(super) fn check_all(table: &Table<'_>, by_rows: &ByRows<'_>) -> Checked {
    let scripts = &by_rows.scripts;
    let is_of = |dimension: Option<usize>, attribute| {
        let told = dimension.map(|at| by_rows.dimensions.get(at));
        told.is_none_or(|told| told.is_some_and(|told| told.attribute == attribute))
    };
    check(is_of(scripts.port_dimension, Attribute::Port), "the dimension of ports", 0)?;
    check(is_of(scripts.method_dimension, Attribute::Method), "the dimension of methods", 0)?;
    check(by_rows.dimensions.len() <= MOST_DEMANDS, "more attributes than scripts may ask", 0)?;
    let parts = Parts::walk(by_rows)?;
    let layout = scripts.layout;
    for (at, row) in scripts.rows.iter().enumerate() {
        check(place(layout.rule(row)) < table.rule_count(), "the rule of a row", at)?;
        let fields = [layout.ports, layout.methods, layout.paths];
        check(fields.into_iter().all(|field| field.is_sound(row)), "the bits of a row", at)?;
        let paths = parts.paths_of(layout, row).ok_or(invalid("what a row asks", at))?;
        let asked = layout.paths.asked(row);
        check(asked.is_none() || asked == paths, "the paths of a row", at)?;
    }
    check((scripts.rows.len() == 0) == table.segments.is_empty(), "rows without a segment", 0)
}

/// What stands in scripts, with where it begins, in the order in which it stands there.
#[derive(Default)]
struct Parts {
    /// What is asked of connections, with where what is asked of requests stands.
    of_connections: Vec<(usize, usize)>,
    /// What is asked of requests, with the bits of the paths that pass; nothing where these may be any.
    of_requests: Vec<(usize, Option<u64>)>,
}

impl Parts {
    /// Walks through the scripts, which stand one behind the other.
    fn walk(by_rows: &ByRows<'_>) -> Result<Parts, OpenError> {
        let Scripts { layout, bytes, rows, .. } = &by_rows.scripts;
        let mut asks_connection = Marks::for_places(bytes.len());
        rows.iter()
            .filter(|row| layout.asks_connection(*row))
            .for_each(|row| asks_connection.set(layout.place(row)));
        let mut parts = Parts::default();
        let mut reader = Reader::new(bytes, by_rows.scripts.from);
        while !reader.is_at_end() {
            let at = reader.at;
            if asks_connection.has(at) {
                let head = reader.byte();
                demands(by_rows, &mut reader, head >> 1, false, at)?;
                let request = if head & 1 != 0 { place(reader.number()) } else { reader.at };
                parts.of_connections.push((at, request));
                check(reader.is_inside(), "a script", at)?;
                if head & 1 != 0 {
                    continue;
                }
            }
            let at = reader.at;
            check(!reader.is_at_end(), "a script", at)?;
            let count = reader.byte();
            let asked = reader.rest();
            demands(by_rows, &mut reader, count, true, at)?;
            check(reader.is_inside(), "a script", at)?;
            parts.of_requests.push((at, path_bits(by_rows, asked, count)));
        }
        Ok(parts)
    }

    /// The bits of the paths that a row lets pass by what it asks; nothing at all where it asks nothing that stands here.
    fn paths_of(&self, layout: RowLayout, row: u64) -> Option<Option<u64>> {
        let mut at = layout.place(row);
        if layout.asks_connection(row) {
            (_, at) = found(&self.of_connections, at)?;
        }
        Some(found(&self.of_requests, at)?.1)
    }
}

/// The bits of all paths that a row lets pass; nothing where these may be any.
fn path_bits(by_rows: &ByRows<'_>, asked: &[u8], count: u8) -> Option<u64> {
    let scripts = &by_rows.scripts;
    let (at, field) = (scripts.path_bits_at?, scripts.layout.paths);
    let mut rest = asked;
    for _ in 0..count {
        let (demand, tests) = DemandHead::read(rest)?;
        let attribute = by_rows.dimensions.get(demand.dimension).map(|told| told.attribute);
        if attribute == Some(Attribute::Path) && !demand.refuses {
            let mut reader = Reader::new(tests, 0);
            let bit = |_| TextTest::read(&mut reader).path_bit(at, field.values(), &scripts.starts);
            return (0..demand.tests).map(bit).try_fold(0, |bits, bit| Some(bits | field.bit(Some(bit?))));
        }
        let shape = attribute.map_or(Shape::Text, Shape::of);
        rest = Scripts::behind(tests, shape, demand.tests);
    }
    None
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
        let told = [scripts.port_dimension, scripts.method_dimension, scripts.leading_dimension];
        let is_told = told.contains(&Some(demand.dimension));
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
                    let (head, network, _) =
                        block(reader.rest()).ok_or(invalid("the tests of a row", row))?;
                    reader.at += 1 + network.len();
                    let length = if head >= BLOCK_WIDE { head - BLOCK_WIDE } else { head };
                    check(usize::from(length) <= network.len() * 8, "a block of addresses", row)?;
                }
            }
        }
        check(reader.is_inside(), "the tests of a row", row)?;
    }
    Ok(())
}
