//! What rows ask, read back from their scripts.

use std::collections::{BTreeMap, HashMap};

use crate::bytes::{Reader, place};
use crate::format::BLOCK_WIDE;
use crate::kinds::{Attribute, TestKind};
use crate::row::ByRows;
use crate::script::{DemandHead, Scripts, Shape, TextTest, block};
use crate::table::Table;

use super::{StoredAttribute, StoredTest};

/// Where it stands what rows ask of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Where {
    /// Its tests, at a place in the scripts.
    At(usize),
    /// The values of these bits of a row.
    Bits(u64),
}

/// What some rows ask of an attribute.
pub(super) struct Asks {
    pub head: DemandHead,
    pub rows: Vec<u32>,
}

/// A test without its rows.
type Spelled = (TestKind, Vec<u8>, Vec<u8>);

impl<'t> Table<'t> {
    /// What rows ask of an attribute, by where it stands.
    pub(super) fn demands_of(&self, by_rows: &ByRows<'t>, attribute: usize) -> HashMap<Where, Asks> {
        let mut all: HashMap<Where, Asks> = HashMap::new();
        each_demand(by_rows, |row, head, at| {
            if head.dimension == attribute {
                let asks = all.entry(at).or_insert_with(|| Asks { head, rows: Vec::new() });
                asks.rows.push(row);
            }
        });
        all
    }

    /// The attributes, with all that rows ask of them.
    pub(super) fn attributes_of_scripts(&self, by_rows: &ByRows<'t>) -> Vec<StoredAttribute> {
        let mut tests: Vec<BTreeMap<Spelled, [Vec<u32>; 2]>> =
            vec![BTreeMap::new(); by_rows.dimensions.len()];
        let mut asking: Vec<[Vec<u32>; 2]> = vec![Default::default(); by_rows.dimensions.len()];
        each_demand(by_rows, |row, head, at| {
            let side = usize::from(head.refuses);
            let Some(rows) = asking.get_mut(head.dimension).and_then(|sides| sides.get_mut(side)) else {
                return;
            };
            rows.push(row);
            for test in spelled(by_rows, head, at) {
                let Some(tests) = tests.get_mut(head.dimension) else { continue };
                let sides = tests.entry(test).or_default();
                sides.get_mut(side).into_iter().for_each(|rows| rows.push(row));
            }
        });
        let all: Vec<u32> = self.stored_rows().map(|row| row.row).collect();
        let described = by_rows.dimensions.iter().zip(tests).zip(asking).enumerate();
        let described = described.map(|(at, ((told, tests), [wanting, refusing]))| {
            let tests = tests.into_iter().map(|((kind, first, second), [wanted, refused])| StoredTest {
                kind,
                first,
                second,
                wanted,
                refused,
            });
            let mut stored = StoredAttribute {
                attribute: told.attribute,
                name: told.name.to_owned(),
                is_of_request: told.is_of_request,
                is_driver: false,
                wanting,
                refusing,
                indifferent: None,
                tests: tests.collect(),
            };
            let leads = by_rows.scripts.leading_dimension == Some(at);
            if let Some(leading) = self.connection.first().filter(|_| leads) {
                let indifferent =
                    leading.indifferent.map(|set| self.rows(self.store.sets.get(set))).unwrap_or_default();
                let wants = |row: &&u32| indifferent.binary_search(row).is_err();
                stored.wanting = all.iter().filter(wants).copied().collect();
                stored.indifferent = Some(indifferent);
                stored.tests.extend(self.tests_of(leading));
            }
            stored
        });
        described.collect()
    }
}

/// Visits what every row asks.
fn each_demand(by_rows: &ByRows<'_>, mut visit: impl FnMut(u32, DemandHead, Where)) {
    let scripts = &by_rows.scripts;
    let fields =
        [(scripts.port_dimension, scripts.layout.ports), (scripts.method_dimension, scripts.layout.methods)];
    for (at, row) in scripts.rows.iter().enumerate() {
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        let mut demands = |reader: &mut Reader<'_>, count: u8| {
            for _ in 0..count {
                let Some((head, tests)) = DemandHead::read(reader.rest()) else { return };
                visit(number, head, Where::At(reader.at + 2));
                let told = by_rows.dimensions.get(head.dimension);
                let shape = told.map_or(Shape::Text, |told| Shape::of(told.attribute));
                let rest = Scripts::behind(tests, shape, head.tests);
                reader.at = reader.bytes.len().saturating_sub(rest.len());
            }
        };
        let mut place_of_request = scripts.layout.place(row);
        if scripts.layout.asks_connection(row) {
            let (count, is_elsewhere, mut reader) = scripts.of_connection(row);
            demands(&mut reader, count);
            place_of_request = if is_elsewhere { place(reader.number()) } else { reader.at };
        }
        let mut reader = Reader::new(scripts.bytes, place_of_request);
        let count = reader.byte();
        demands(&mut reader, count);
        for (dimension, field) in fields {
            if let (Some(dimension), Some(bits)) = (dimension, field.asked(row)) {
                visit(number, DemandHead { dimension, refuses: false, tests: 0 }, Where::Bits(bits));
            }
        }
    }
}

/// The tests of a demand.
fn spelled(by_rows: &ByRows<'_>, head: DemandHead, at: Where) -> Vec<Spelled> {
    let Scripts { bytes, layout, ports, methods, starts, .. } = &by_rows.scripts;
    let Some(told) = by_rows.dimensions.get(head.dimension) else { return Vec::new() };
    let port = |at: u32| ports.known().get(place(at)).copied().unwrap_or_default().to_le_bytes().to_vec();
    let at = match at {
        Where::Bits(bits) if told.attribute == Attribute::Port => {
            let ports = layout.ports.numbers(bits).map(port);
            return ports.map(|port| (TestKind::Port, port, Vec::new())).collect();
        }
        Where::Bits(bits) => {
            let methods = layout.methods.numbers(bits).map(|at| methods.name(at));
            return methods.map(|method| (TestKind::Exact, method, Vec::new())).collect();
        }
        Where::At(at) => at,
    };
    let mut reader = Reader::new(bytes, at);
    let one = |_| match Shape::of(told.attribute) {
        Shape::Text => TextTest::read(&mut reader).spelled(told.attribute, starts),
        Shape::Port => Some((TestKind::Port, reader.take(2).to_vec(), Vec::new())),
        Shape::Address => {
            let (head, network, behind) = block(reader.rest())?;
            reader.at = reader.bytes.len() - behind.len();
            let number = network.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
            let family = if head >= BLOCK_WIDE { [6, head - BLOCK_WIDE] } else { [4, head] };
            Some((TestKind::Block, [&number.to_le_bytes()[..], &family].concat(), Vec::new()))
        }
    };
    (0..head.tests).filter_map(one).collect()
}
