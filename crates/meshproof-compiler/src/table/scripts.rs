//! What rows ask, written row by row: for tables where the names of peers leave few rows, so that these can be asked one
//! after the other.

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::format::{
    METHOD_BYTES, METHODS, MOST_DEMANDS, MOST_SCRIPTS, NONE, OF_CONNECTION, OF_REQUEST,
};
use meshproof_engine::{Engine, TestKind, hash, path_bit};
use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Test, Variable};

use super::Uncompiled;
use super::demand::{Demand, Dimension};
use super::dimension::{DimensionParts, Parts, attribute, is_of_request};
use super::numbers::put_number;
use super::row::Rows;
use super::script_tests::{Side, stem};
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
    methods: Vec<&'b str>,
    /// From this place on four bytes of paths have bits.
    path_bits_at: Option<usize>,
    /// Where each script stands, by row.
    starts: Vec<usize>,
    pub bytes: Vec<u8>,
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
        let (mut paths, mut hosts): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
        for test in
            rows.demands.iter().flat_map(|demand| demand.any_of.iter().chain(demand.none_of.iter().copied()))
        {
            match test {
                Test::Path(pattern) => paths.push(pattern.literal().as_bytes()),
                Test::Host(pattern) => hosts.push(pattern.literal().as_bytes()),
                Test::Template(_) => {
                    scripts.templates.insert(test, spelled(&Variable::Path, test)?);
                }
                _ => {}
            }
        }
        parts.entries.starts.learn(&paths, &mut parts.pool);
        parts.entries.starts.learn_ends(&hosts, &mut parts.pool);
        scripts.path_bits_at = path_bits_at(rows, &scripts.templates);
        scripts.head(most);
        let mut room = Room::default();
        for row in &rows.rows {
            scripts.starts.push(scripts.bytes.len());
            if let Some(row) = row {
                scripts.bytes.extend((row.rule as u16).to_le_bytes());
                scripts.row(rows.demands_of(row), &mut room, parts)?;
            }
        }
        let fits = !scripts.is_too_much
            && rows.rules.len() <= usize::from(u16::MAX)
            && scripts.bytes.len() <= MOST_SCRIPTS;
        Ok(fits.then_some(scripts))
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
        let methods = methods(rows).unwrap_or_default();
        let (starts, bytes) = (Vec::with_capacity(rows.rows.len()), Vec::new());
        let known = HashMap::with_capacity(rows.rows.len());
        let is_too_much = dimensions.len() > MOST_DEMANDS;
        Scripts {
            engine,
            dimensions,
            numbers,
            leading,
            methods,
            path_bits_at: None,
            starts,
            bytes,
            is_too_much,
            known,
            templates: HashMap::new(),
        }
    }

    fn head(&mut self, most: u32) {
        let of_methods = |(variable, number): &Dimension<'_>| **variable == Variable::Method && *number == 0;
        let methods = self.dimensions.iter().position(of_methods).filter(|_| !self.methods.is_empty());
        put_number(&mut self.bytes, most);
        put_number(&mut self.bytes, methods.map_or(0, |at| at as u32 + 1));
        put_number(&mut self.bytes, self.methods.len() as u32);
        for method in &self.methods {
            put_number(&mut self.bytes, method.len() as u32);
            self.bytes.extend_from_slice(method.as_bytes());
        }
        put_number(&mut self.bytes, self.path_bits_at.map_or(0, |at| at as u32 + 1));
    }

    fn row(
        &mut self,
        demands: &'b [Demand<'b>],
        room: &mut Room<'b>,
        parts: &Parts,
    ) -> Result<(), Uncompiled> {
        room.clear();
        let Room { asked, connection, late, request } = room;
        asked.extend(demands.iter().map(|demand| (self.numbers[demand.dimension], demand)));
        asked.sort_unstable_by_key(|(number, _)| *number);
        let (mut methods, mut paths) = (0, 0);
        for (number, demand) in asked.iter().copied() {
            let to = if is_of_request(demand.variable, self.engine) { &mut *late } else { &mut *connection };
            let wanted = match () {
                // The look-up says it.
                () if Some(number as usize) == self.leading => &[][..],
                () if *demand.variable == Variable::Method
                    && demand.number == 0
                    && !self.methods.is_empty() =>
                {
                    methods = self.bits(demand.any_of);
                    &[]
                }
                () => demand.any_of,
            };
            if *demand.variable == Variable::Path && demand.number == 0 && paths == 0 {
                paths = self.path_bits(wanted);
            }
            let (refused, variable) = (demand.none_of.iter().copied(), demand.variable);
            to.demand(number << 1, variable, wanted.iter(), (parts, &self.templates))?;
            to.demand(number << 1 | 1, variable, refused, (parts, &self.templates))?;
        }
        self.is_too_much |=
            [&*connection, &*late].iter().any(|side| side.is_too_much || side.count > MOST_DEMANDS);
        request.extend([methods, paths, late.count as u8]);
        request.append(&mut late.bytes);
        self.put(connection.count as u8, &connection.bytes, request);
        Ok(())
    }

    /// What several rows ask of requests stands once.
    fn put(&mut self, count: u8, connection: &[u8], request: &[u8]) {
        let key = hash(request, false);
        let same = self.known.get(&key).filter(|(at, length)| {
            self.bytes.get(*at as usize..(at + length) as usize) == Some(request) && request.len() > SHORT
        });
        let same = same.map(|(at, _)| *at);
        self.bytes.push(count << 1 | u8::from(same.is_some()));
        self.bytes.extend_from_slice(connection);
        match same {
            Some(at) => put_number(&mut self.bytes, at),
            None => {
                self.known.insert(key, (self.bytes.len() as u32, request.len() as u32));
                self.bytes.extend_from_slice(request);
            }
        }
    }

    fn bits(&self, any_of: &[Test]) -> u8 {
        let place = |test: &Test| self.methods.iter().position(|method| exact(test) == Some(method));
        any_of.iter().filter_map(place).fold(0, |bits, at| bits | 1 << at)
    }

    /// The bits of the paths that pass one of the tests; none where they may be any.
    fn path_bits(&self, tests: &[Test]) -> u8 {
        let Some(at) = self.path_bits_at else { return 0 };
        let bits = tests.iter().map(|test| sure(test, &self.templates).map_or(0, |text| path_bit(text, at)));
        bits.reduce(|all, bit| if all == 0 || bit == 0 { 0 } else { all | bit }).unwrap_or_default()
    }

    /// Where the script of a row stands.
    pub fn place_of(&self, row: usize) -> u32 {
        self.starts.get(row).map_or(NONE, |at| *at as u32)
    }

    /// Where the script of each row stands.
    pub fn places(&self) -> Vec<u32> {
        self.starts.iter().map(|at| *at as u32).collect()
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

/// What is asked of requests in so many bytes is as short as its place.
const SHORT: usize = 4;

fn demands<'b>(rows: &'b Rows<'_>) -> impl Iterator<Item = &'b Demand<'b>> + Clone {
    rows.rows.iter().flatten().flat_map(|row| rows.demands_of(row))
}

/// The dimension that leads to rows.
pub(super) fn is_leading((variable, number): &Dimension<'_>) -> bool {
    **variable == Variable::Peer && *number == 0
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

fn exact(test: &Test) -> Option<&str> {
    match test {
        Test::Text(Pattern::Exact(text)) | Test::Header(Pattern::Exact(text)) => Some(text),
        _ => None,
    }
}

/// The methods that rows name, if they are few and all are written out.
fn methods<'b>(rows: &'b Rows<'_>) -> Option<Vec<&'b str>> {
    let mut all: Vec<&str> = Vec::new();
    let asked = demands(rows).filter(|demand| *demand.variable == Variable::Method && demand.number == 0);
    for test in asked.flat_map(|demand| demand.any_of) {
        let method = exact(test).filter(|method| (1..=METHOD_BYTES).contains(&method.len()))?;
        if !all.contains(&method) {
            all.push(method);
            (all.len() <= METHODS).then_some(())?;
        }
    }
    Some(all)
}

/// Where a row is written; what one leaves behind is room for the next.
#[derive(Default)]
struct Room<'b> {
    asked: Vec<(u32, &'b Demand<'b>)>,
    connection: Side,
    late: Side,
    request: Vec<u8>,
}

impl Room<'_> {
    fn clear(&mut self) {
        self.asked.clear();
        self.connection.clear();
        self.late.clear();
        self.request.clear();
    }
}

/// The text that every path begins with that passes the test.
fn sure<'t>(test: &'t Test, templates: &'t Templates) -> Option<&'t [u8]> {
    match test {
        Test::Path(Pattern::Exact(text) | Pattern::Prefix(text)) => Some(text.as_bytes()),
        Test::Template(_) => {
            let spelled = templates.get(&std::ptr::from_ref(test))?;
            (spelled.kind == TestKind::Template).then(|| stem(&spelled.first))
        }
        _ => None,
    }
}

/// Where four bytes tell the paths of the rows apart best; nothing where they say little.
fn path_bits_at(rows: &Rows<'_>, templates: &Templates) -> Option<usize> {
    let paths = demands(rows).filter(|demand| *demand.variable == Variable::Path && demand.number == 0);
    let tests: Vec<Option<&[u8]>> =
        paths.flat_map(|demand| demand.any_of).take(SAMPLE).map(|test| sure(test, templates)).collect();
    let left = |at: usize| {
        let mut counts = [0usize; 9];
        for test in &tests {
            let bit = test.map_or(0, |text| path_bit(text, at));
            counts[if bit == 0 { 8 } else { bit.trailing_zeros() as usize }] += 1;
        }
        // Of a path that some test lets pass, how many tests have its bit, or none.
        let squares: usize = counts[..8].iter().map(|count| count * count).sum();
        counts[8] + squares / tests.len().max(1)
    };
    let at = (0..FARTHEST).min_by_key(|at| left(*at))?;
    (left(at) * 4 < tests.len() * 3).then_some(at)
}

/// So many tests say where paths differ, and so far from their start it is looked for.
const SAMPLE: usize = 4096;
const FARTHEST: usize = 48;
