//! What rows ask, written row by row: for tables where the names of peers leave few rows, so that these can be asked one
//! after the other.

use std::collections::hash_map::Entry;

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::format::{MOST_DEMANDS, MOST_SCRIPTS, NONE, OF_CONNECTION, OF_REQUEST};
use meshproof_engine::{Engine, hash};
use meshproof_space::{Test, Variable};

use super::Uncompiled;
use super::bits::Bits;
use super::demand::{DEMANDS, Demand, Dimension};
use super::dimension::{DimensionParts, Parts, attribute, is_of_request};
use super::numbers::put_number;
use super::pool::Learned;
use super::row::Rows;
use super::script_tests::Lists;
use super::test::{Spelled, spelled};

/// The scripts of a table.
pub(super) struct Scripts<'b> {
    engine: Engine,
    /// In the order in which they are asked.
    pub dimensions: Vec<Dimension<'b>>,
    /// The places there of the dimensions of the rows.
    numbers: Vec<u32>,
    /// Of the one that is looked up.
    pub leading: Option<usize>,
    bits: Bits<'b>,
    pub bytes: Vec<u8>,
    /// The rows in their order, each in 64 bits.
    pub rows: Vec<u8>,
    /// Some row asks more than a script can hold.
    is_too_much: bool,
    /// What is asked of requests, by its hash.
    known: HashMap<u64, (u32, u32)>,
    templates: Templates,
}

/// The templates of paths, spelled out, by where they stand in the boxes.
pub(super) type Templates = HashMap<*const Test, Spelled>;

impl<'b> Scripts<'b> {
    /// Writes what every row asks; nothing for rows that ask too much for the places of scripts. `most`: the rows that one
    /// name may leave.
    ///
    /// # Errors
    /// A template cannot be told.
    pub fn write(
        rows: &'b Rows<'_>,
        parts: &mut Parts,
        engine: Engine,
        most: u32,
    ) -> Result<Option<Scripts<'b>>, Uncompiled> {
        let mut scripts = Scripts::prepare(rows, engine);
        let learned = scripts.learn(rows, parts)?;
        scripts.bits = Bits::new(rows, &scripts.templates);
        scripts.head(most);
        let behind_head = scripts.bytes.len();
        let written = scripts.demands(rows, &learned, parts)?;
        let mut room = Room::default();
        let mut asked = Vec::with_capacity(rows.rows.len());
        for row in rows.rows.iter().flatten() {
            asked.push((row, scripts.row(rows.asked_of(row), &written, &mut room)));
        }
        let fits = !scripts.is_too_much
            && rows.rules.len() <= usize::from(u16::MAX)
            && scripts.bytes.len() <= MOST_SCRIPTS;
        if !fits {
            return Ok(None);
        }
        let Some(layout) = scripts.bits.layout(scripts.bytes.len(), rows.rules.len()) else {
            return Ok(None);
        };
        scripts.bytes[behind_head - 1] = layout.paths.values() as u8;
        let bits_of = |demand| scripts.bits.of_demand(demand, layout, &scripts.templates);
        let bits: Vec<_> = rows.demands.iter().map(bits_of).collect();
        for (row, (place, asks_connection)) in asked {
            let open = layout.row(place, row.rule as u32, asks_connection);
            let told = rows.asked_of(row).iter().filter_map(|demand| bits[*demand as usize]);
            let row = told.fold(open, |row, (field, bits)| layout.with(field, row, bits));
            scripts.rows.extend(row.to_le_bytes());
        }
        Ok(Some(scripts))
    }

    /// Looks for what texts have in common, and spells templates out; gives what is known of each test, demand by demand.
    fn learn(&mut self, rows: &'b Rows<'_>, parts: &mut Parts) -> Result<Vec<Learned>, Uncompiled> {
        let (mut paths, mut hosts): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
        let mut learned = Vec::with_capacity(rows.demands.len() * 2);
        for test in rows.demands.iter().flat_map(Demand::tests) {
            learned.push(match test {
                Test::Path(pattern) => {
                    paths.push(pattern.literal().as_bytes());
                    Learned::Start(0)
                }
                Test::Host(pattern) => {
                    hosts.push(pattern.literal().as_bytes());
                    Learned::End(0)
                }
                Test::Template(_) => {
                    if let Entry::Vacant(free) = self.templates.entry(std::ptr::from_ref(test)) {
                        free.insert(spelled(&Variable::Path, test)?);
                    }
                    Learned::Nothing
                }
                _ => Learned::Nothing,
            });
        }
        let starts = &mut parts.entries.starts;
        let mut begins = starts.learn(&paths, &mut parts.pool).into_iter();
        let mut ends = starts.learn_ends(&hosts, &mut parts.pool).into_iter();
        for learned in &mut learned {
            match learned {
                Learned::Start(number) => *number = begins.next().unwrap_or_default(),
                Learned::End(number) => *number = ends.next().unwrap_or_default(),
                Learned::Nothing => {}
            }
        }
        Ok(learned)
    }

    fn prepare(rows: &'b Rows<'_>, engine: Engine) -> Scripts<'b> {
        let of_rows = &rows.dimensions;
        let mut order: Vec<usize> = (0..of_rows.len()).collect();
        order.sort_unstable_by_key(|at| (rank(of_rows[*at].0), of_rows[*at]));
        let dimensions: Vec<Dimension<'b>> = order.iter().map(|at| of_rows[*at]).collect();
        let mut numbers = vec![0; of_rows.len()];
        for (number, at) in order.into_iter().enumerate() {
            numbers[at] = number as u32;
        }
        let leading = dimensions.iter().position(is_leading);
        let known = HashMap::with_capacity(rows.rows.len());
        let is_too_much = dimensions.len() > MOST_DEMANDS;
        Scripts {
            engine,
            dimensions,
            numbers,
            leading,
            bits: Bits::default(),
            bytes: Vec::with_capacity(expected_bytes(rows.rows.len() * DEMANDS)),
            rows: Vec::with_capacity(rows.rows.len() * 8),
            is_too_much,
            known,
            templates: HashMap::new(),
        }
    }

    /// Writes what stands before all else.
    fn head(&mut self, most: u32) {
        put_number(&mut self.bytes, most);
        self.bits.put(&mut self.bytes, |variable| {
            let of = |dimension: &Dimension<'_>| *dimension.0 == variable && dimension.1 == 0;
            self.dimensions.iter().position(of).map_or(0, |at| at as u32 + 1)
        });
    }

    /// Writes every demand, as far as look-ups and bits do not tell it. `learned` is of all their tests.
    fn demands(
        &mut self,
        rows: &'b Rows<'_>,
        learned: &[Learned],
        parts: &Parts,
    ) -> Result<Written, Uncompiled> {
        let mut to =
            Lists { bytes: Vec::with_capacity(expected_bytes(rows.demands.len())), ..Lists::default() };
        let mut demands = Vec::with_capacity(rows.demands.len());
        let mut rest = learned;
        for demand in &rows.demands {
            let (wanted, behind) = rest.split_at(demand.any_of.len());
            let (refused, behind) = behind.split_at(demand.none_of.len());
            rest = behind;
            let (number, variable) = (self.numbers[demand.dimension as usize], demand.variable);
            let (start, count) = (to.bytes.len() as u32, to.count);
            // The look-up says it, or the bits.
            let is_told = Some(number as usize) == self.leading || self.bits.tell(demand);
            let any_of = if is_told { &[] } else { demand.any_of };
            let wanted = any_of.iter().zip(wanted.iter().copied());
            to.demand(number << 1, variable, wanted, (parts, &self.templates))?;
            let refused = demand.none_of.iter().copied().zip(refused.iter().copied());
            to.demand(number << 1 | 1, variable, refused, (parts, &self.templates))?;
            let (end, count) = (to.bytes.len() as u32, (to.count - count) as u8);
            let is_of_request = is_of_request(variable, self.engine);
            demands.push(WrittenDemand { number, start, end, count, is_of_request });
        }
        self.is_too_much |= to.is_too_much;
        Ok(Written { bytes: to.bytes, demands })
    }

    /// Writes what the row asks that has no bits; gives where that stands, and whether it begins with what is asked of
    /// connections.
    fn row(&mut self, asked: &[u32], written: &Written, room: &mut Room) -> (u32, bool) {
        let Room { order, connection, request } = room;
        order.clear();
        connection.clear();
        request.clear();
        let asked = asked.iter().map(|at| written.demands[*at as usize]);
        order.extend(asked.filter(|demand| demand.count > 0));
        order.sort_unstable_by_key(|demand| demand.number);
        let mut counts = [0usize; 2];
        request.push(0);
        for demand in order.iter() {
            let to = if demand.is_of_request { &mut *request } else { &mut *connection };
            to.extend_from_slice(&written.bytes[demand.start as usize..demand.end as usize]);
            counts[usize::from(demand.is_of_request)] += usize::from(demand.count);
        }
        self.is_too_much |= counts.iter().any(|count| *count > MOST_DEMANDS);
        request[0] = counts[1] as u8;
        self.put(counts[0] as u8, connection, request)
    }

    /// What several rows ask of requests stands once.
    fn put(&mut self, count: u8, connection: &[u8], request: &[u8]) -> (u32, bool) {
        let key = hash(request, false);
        let same = self
            .known
            .get(&key)
            .filter(|(at, length)| self.bytes.get(*at as usize..(at + length) as usize) == Some(request));
        let same = same.map(|(at, _)| *at);
        if count == 0
            && let Some(at) = same
        {
            return (at, false);
        }
        let start = self.bytes.len() as u32;
        if count > 0 {
            let same = same.filter(|_| request.len() > SHORT);
            self.bytes.push(count << 1 | u8::from(same.is_some()));
            self.bytes.extend_from_slice(connection);
            if let Some(at) = same {
                put_number(&mut self.bytes, at);
                return (start, true);
            }
        }
        self.known.insert(key, (self.bytes.len() as u32, request.len() as u32));
        self.bytes.extend_from_slice(request);
        (start, count > 0)
    }

    /// The dimensions as the table has them; `leading` is the one with its index.
    pub fn dimension_parts(&self, parts: &mut Parts, leading: Option<DimensionParts>) -> Vec<DimensionParts> {
        let mut leading = leading;
        let mut all = Vec::with_capacity(self.dimensions.len());
        for (at, (variable, _)) in self.dimensions.iter().enumerate() {
            let own = leading.take_if(|_| Some(at) == self.leading);
            let (attribute, name) = attribute(variable);
            let is_late = is_of_request(variable, self.engine);
            all.push(own.unwrap_or_else(|| DimensionParts {
                attribute,
                asked: if is_late { OF_REQUEST } else { OF_CONNECTION },
                name: parts.pool.add(name.as_bytes()),
                wanting: NONE,
                refusing: NONE,
                indexes: Vec::new(),
                intervals: None,
                tests: [0, 0],
                spelled: 0,
                indifferent: NONE,
            }));
        }
        all
    }
}

/// About so many bytes are written of so many demands.
fn expected_bytes(demands: usize) -> usize {
    demands.saturating_mul(16).min(MOST_SCRIPTS)
}

/// What is asked of requests in so many bytes is as short as its place.
const SHORT: usize = 4;

/// The dimension that leads to rows.
pub(super) fn is_leading((variable, number): &Dimension<'_>) -> bool {
    matches!(variable, Variable::Peer) && *number == 0
}

/// What is quick to ask and says much comes first.
fn rank(variable: &Variable) -> u8 {
    match variable {
        Variable::DestinationPort | Variable::Method => 0,
        Variable::SourceIp | Variable::RemoteIp | Variable::DestinationIp | Variable::Path => 1,
        Variable::Sni | Variable::Authority => 2,
        _ => 3,
    }
}

/// Demands as scripts have them.
struct Written {
    bytes: Vec<u8>,
    /// By demand where it stands.
    demands: Vec<WrittenDemand>,
}

#[derive(Clone, Copy)]
struct WrittenDemand {
    /// Of its dimension.
    number: u32,
    start: u32,
    end: u32,
    /// How many lists it is: what is wanted, and what is refused.
    count: u8,
    is_of_request: bool,
}

/// Where a row is written; what one leaves behind is room for the next.
#[derive(Default)]
struct Room {
    order: Vec<WrittenDemand>,
    connection: Vec<u8>,
    request: Vec<u8>,
}
