//! One attribute of a table.

use foldhash::{HashMap, HashMapExt};
use meshproof_authz::{Context, HeaderMatching};
use meshproof_engine::format::{NONE, OF_CONNECTION, OF_REQUEST};
use meshproof_engine::{Attribute, Engine, View};
use meshproof_space::{Test, Variable};

use super::Uncompiled;
use super::interval::{Intervals, intervals};
use super::links::{Links, Records};
use super::pool::{Pool, Text};
use super::row::{Demand, Rows};
use super::set::SetStore;
use super::test::{Placement, Spelled, normal, passes, placement, spelled};
use super::view::{IndexParts, Lengths, Placed, ViewTests};

/// What rows ask of an attribute: tests with the rows that want and that refuse them.
pub(super) struct Demands {
    pub variable: Variable,
    pub number: usize,
    /// In the order in which they were met.
    tests: Vec<(Test, [Vec<u32>; 2])>,
    ids: HashMap<Test, usize>,
    /// Rows that want something, and that refuse something.
    pub wanting: Vec<u32>,
    pub refusing: Vec<u32>,
}

/// Collects what all rows ask, attribute by attribute.
pub(super) fn collect(rows: &Rows<'_>) -> Vec<Demands> {
    let mut ids: HashMap<(Variable, usize), usize> = HashMap::new();
    let mut all: Vec<Demands> = Vec::new();
    for (row, content) in rows.rows.iter().enumerate() {
        for demand in content.iter().flat_map(|row| &row.demands) {
            let Demand { variable, number, any_of, none_of } = demand;
            let id = match ids.get(&(variable.as_ref().clone(), *number)) {
                Some(id) => *id,
                None => {
                    all.push(Demands::new(variable.as_ref().clone(), *number));
                    ids.insert((variable.as_ref().clone(), *number), all.len() - 1);
                    all.len() - 1
                }
            };
            all[id].add(row as u32, any_of, none_of);
        }
    }
    all.sort_by(|a, b| (&a.variable, a.number).cmp(&(&b.variable, b.number)));
    all
}

impl Demands {
    fn new(variable: Variable, number: usize) -> Demands {
        let (tests, ids) = (Vec::new(), HashMap::new());
        Demands { variable, number, tests, ids, wanting: Vec::new(), refusing: Vec::new() }
    }

    fn add(&mut self, row: u32, any_of: &[Test], none_of: &[&Test]) {
        self.wanting.extend((!any_of.is_empty()).then_some(row));
        self.refusing.extend((!none_of.is_empty()).then_some(row));
        let sides = any_of.iter().map(|test| (test, 0)).chain(none_of.iter().map(|test| (*test, 1)));
        for (test, side) in sides {
            let id = match self.ids.get(test) {
                Some(id) => *id,
                None => {
                    let normal = normal(test);
                    let id = self.ids.get(&normal).copied().unwrap_or(self.tests.len());
                    if id == self.tests.len() {
                        self.tests.push((normal.clone(), [Vec::new(), Vec::new()]));
                        self.ids.insert(normal, id);
                    }
                    self.ids.insert(test.clone(), id);
                    id
                }
            };
            let rows = &mut self.tests[id].1[side];
            if rows.last() != Some(&row) {
                rows.push(row);
            }
        }
    }

    /// About how many rows a value leads to: the smaller, the better to begin with.
    pub fn breadth(&self, rows: usize) -> usize {
        let wanted: usize = self.tests.iter().map(|(_, [wanted, _])| wanted.len()).sum();
        rows - self.wanting.len() + wanted / self.tests.len().max(1)
    }

    /// Whether the attribute is asked of each request.
    pub fn is_of_request(&self, engine: Engine) -> bool {
        match self.variable {
            Variable::Peer
            | Variable::DestinationPort
            | Variable::Sni
            | Variable::SourceIp
            | Variable::DestinationIp => false,
            Variable::RemoteIp => engine == Engine::EnvoyHttp,
            _ => true,
        }
    }
}

/// The attribute and its name in a table.
pub(super) fn attribute(variable: &Variable) -> (Attribute, String) {
    let plain = |attribute| (attribute, String::new());
    match variable {
        Variable::Peer => plain(Attribute::Peer),
        Variable::Token => plain(Attribute::Token),
        Variable::Path => plain(Attribute::Path),
        Variable::Authority => plain(Attribute::Authority),
        Variable::Method => plain(Attribute::Method),
        Variable::DestinationPort => plain(Attribute::Port),
        Variable::Sni => plain(Attribute::Sni),
        Variable::SourceIp => plain(Attribute::SourceIp),
        Variable::RemoteIp => plain(Attribute::RemoteIp),
        Variable::DestinationIp => plain(Attribute::DestinationIp),
        Variable::Header(name) => (Attribute::Header, name.clone()),
        Variable::Claim(path) => (Attribute::Claim, path.join("\0")),
        Variable::Metadata { filter, key, is_list: false } => {
            (Attribute::MetadataText, format!("{filter}\0{key}"))
        }
        Variable::Metadata { filter, key, is_list: true } => {
            (Attribute::MetadataList, format!("{filter}\0{key}"))
        }
    }
}

/// The sections that attributes share.
pub(super) struct Parts {
    pub sets: SetStore,
    pub records: Records,
    pub pool: Pool,
    /// Tests: kind, texts, sets.
    pub tests: Vec<(u32, [Text; 2], [u32; 2])>,
}

/// An attribute as the table has it.
pub(super) struct DimensionParts {
    pub attribute: Attribute,
    pub asked: u32,
    pub name: Text,
    pub wanting: u32,
    pub refusing: u32,
    pub indexes: Vec<IndexParts>,
    pub intervals: Option<Intervals>,
    pub tests: [u32; 2],
    pub has_all_tests: bool,
    pub indifferent: u32,
}

impl Demands {
    /// Builds the attribute. `all_rows` are the rows of the table.
    ///
    /// # Errors
    /// There is no room, or a template cannot be told.
    pub fn build(
        &self,
        parts: &mut Parts,
        all_rows: &[u32],
        context: &Context,
        engine: Engine,
    ) -> Result<DimensionParts, Uncompiled> {
        let (attribute, name) = attribute(&self.variable);
        let is_number = matches!(
            self.variable,
            Variable::DestinationPort | Variable::SourceIp | Variable::RemoteIp | Variable::DestinationIp
        );
        let is_joined = context.semantics.headers == HeaderMatching::Joined
            && matches!(self.variable, Variable::Header(_));
        let has_all_tests = is_number || is_joined || self.variable == Variable::Peer;
        let first_test = parts.tests.len();
        let mut placed: Vec<(&Test, Placed)> = Vec::with_capacity(self.tests.len());
        let mut views: Vec<ViewTests> = Vec::new();
        for (test, [wanted, refused]) in &self.tests {
            let mut set = |rows: &[u32]| match rows {
                [] => Ok(None),
                rows => parts.sets.add(rows).map(Some),
            };
            let mut one = Placed { wanted: set(wanted)?, refused: set(refused)?, test: None };
            let place = placement(&self.variable, test, engine);
            if has_all_tests || place.as_ref().is_some_and(|place| place.verify) {
                let Spelled { kind, first, second } = spelled(&self.variable, test)?;
                let texts = [parts.pool.add(&first), parts.pool.add(&second)];
                let sets = [one.wanted.unwrap_or(NONE), one.refused.unwrap_or(NONE)];
                parts.tests.push((kind.code(), texts, sets));
                one.test = Some(parts.tests.len() as u32 - 1);
            }
            placed.push((test, one));
            let Some(place) = place else { continue };
            view_of(&mut views, &place).add(&place, one);
        }
        let tests = [first_test as u32, (parts.tests.len() - first_test) as u32];
        let (indexes, intervals) = if is_number {
            let found = intervals(placed.iter().copied(), &mut parts.records)?;
            (Vec::new(), Some(found))
        } else {
            (self.indexes(&views, &placed, first_test as u32, parts, engine)?, None)
        };
        let wants = |row: &u32| self.wanting.binary_search(row).is_ok();
        let indifferent: Vec<u32> = all_rows.iter().filter(|row| !wants(row)).copied().collect();
        Ok(DimensionParts {
            attribute,
            asked: if self.is_of_request(engine) { OF_REQUEST } else { OF_CONNECTION },
            name: parts.pool.add(name.as_bytes()),
            wanting: parts.sets.bitmap(self.wanting.iter().copied()),
            refusing: match self.refusing.as_slice() {
                [] => NONE,
                rows => parts.sets.bitmap(rows.iter().copied()),
            },
            indexes,
            intervals,
            tests,
            has_all_tests,
            indifferent: parts.sets.add(&indifferent)?,
        })
    }

    fn indexes(
        &self,
        views: &[ViewTests],
        placed: &[(&Test, Placed)],
        first_test: u32,
        parts: &mut Parts,
        engine: Engine,
    ) -> Result<Vec<IndexParts>, Uncompiled> {
        // By the number of a test in the table what it is.
        let by_number: HashMap<u32, usize> =
            placed.iter().enumerate().filter_map(|(at, (_, one))| Some((one.test?, at))).collect();
        debug_assert!(by_number.keys().all(|number| *number >= first_test));
        let lengths: Vec<Lengths> = views.iter().map(ViewTests::lengths).collect();
        let Parts { records, pool, .. } = parts;
        let mut built = Vec::new();
        for view in views {
            // What a whole text passes is known now; of a token the other half is missing, of a peer the rest of its name.
            let is_part = matches!(view.view, View::Issuer | View::Subject)
                || (self.variable == Variable::Peer && view.view != View::Whole);
            let settle = |text: &[u8], links: Links| {
                if is_part {
                    return links;
                }
                let mut settled = Links { tests: Vec::new(), ..links.clone() };
                let text = String::from_utf8_lossy(text);
                for test in &links.tests {
                    let Some((test, one)) = by_number.get(test).and_then(|at| placed.get(*at)) else {
                        continue;
                    };
                    if passes(&self.variable, test, &text, engine) {
                        settled.join(&Links {
                            wanted: one.wanted.into_iter().collect(),
                            refused: one.refused.into_iter().collect(),
                            ..Links::default()
                        });
                    }
                }
                settled
            };
            let resolve = |text: &[u8], own: &Lengths| {
                let mut links = settle(text, view.all_of(text, own));
                if self.variable == Variable::Peer && view.view == View::Whole {
                    for (part, (other, lengths)) in parts_of(text).iter().flat_map(|parts| {
                        let others =
                            views.iter().zip(&lengths).filter(|(other, _)| other.view != View::Whole);
                        others.map(|(other, lengths)| (parts.of(other.view), (other, lengths)))
                    }) {
                        links.join(&settle(text, other.all_of(part, lengths)));
                    }
                }
                links
            };
            built.push(view.build(records, pool, resolve)?);
        }
        Ok(built)
    }
}

/// The parts of `td/ns/namespace/sa/account`.
struct PeerParts<'t> {
    trust_domain: &'t [u8],
    namespace: &'t [u8],
    tail: &'t [u8],
}

impl<'t> PeerParts<'t> {
    fn of(&self, view: View) -> &'t [u8] {
        match view {
            View::TrustDomain => self.trust_domain,
            View::Namespace => self.namespace,
            _ => self.tail,
        }
    }
}

/// Nothing for a text that no workload is called; it is never looked up.
fn parts_of(text: &[u8]) -> Option<PeerParts<'_>> {
    let text = std::str::from_utf8(text).ok()?;
    let (trust_domain, tail) = text.split_once("/ns/")?;
    let (namespace, _) = tail.split_once("/sa/")?;
    Some(PeerParts {
        trust_domain: trust_domain.as_bytes(),
        namespace: namespace.as_bytes(),
        tail: tail.as_bytes(),
    })
}

/// The tests of the view; that of whole names stands first.
fn view_of<'v>(views: &'v mut Vec<ViewTests>, place: &Placement) -> &'v mut ViewTests {
    let found = views.iter().position(|view| (view.view, view.fold) == (place.view, place.fold));
    let at = found.unwrap_or_else(|| {
        let at = if place.view == View::Whole { 0 } else { views.len() };
        views.insert(at, ViewTests::new(place.view, place.fold));
        at
    });
    &mut views[at]
}
