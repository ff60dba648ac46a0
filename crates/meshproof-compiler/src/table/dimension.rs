//! One attribute of a table.

use foldhash::{HashMap, HashMapExt};
use meshproof_authz::{Context, HeaderMatching};
use std::borrow::Cow;

use meshproof_engine::format::{NONE, OF_CONNECTION, OF_REQUEST, SPELLED_ALL, SPELLED_PARTS};
use meshproof_engine::{Attribute, Engine, View, is_workload};
use meshproof_space::{Test, Variable};

use super::Uncompiled;
use super::interval::{Intervals, intervals};
use super::links::{Entries, Links};
use super::pool::Pool;
use super::row::{Demand, Rows};
use super::set::SetStore;
use super::test::{Key, Placement, normal, passes, placement, spelled};
use super::tests::TestStore;
use super::view::{IndexParts, Lengths, Placed, ViewTests};

/// What rows ask of an attribute: tests with the rows that want and that refuse them.
pub(super) struct Demands<'b> {
    pub variable: &'b Variable,
    pub number: usize,
    /// In the order in which they were met.
    tests: Vec<(Cow<'b, Test>, [Vec<u32>; 2])>,
    ids: HashMap<Cow<'b, Test>, usize>,
    /// Rows that want something, and that refuse something.
    pub wanting: Vec<u32>,
    pub refusing: Vec<u32>,
}

/// Collects what all rows ask, attribute by attribute, of those that are wished for.
pub(super) fn collect<'b>(rows: &'b Rows<'_>, wishes: impl Fn(&Demand<'_>) -> bool) -> Vec<Demands<'b>> {
    let mut ids: HashMap<(&Variable, usize), usize> = HashMap::new();
    let mut all: Vec<Demands<'b>> = Vec::new();
    for (row, content) in rows.rows.iter().enumerate() {
        for demand in content.iter().flat_map(|row| &row.demands).filter(|demand| wishes(demand)) {
            let Demand { variable, number, any_of, none_of } = demand;
            let id = *ids.entry((variable.as_ref(), *number)).or_insert_with(|| {
                all.push(Demands::new(variable.as_ref(), *number));
                all.len() - 1
            });
            all[id].add(row as u32, any_of, none_of);
        }
    }
    all.sort_by(|a, b| (a.variable, a.number).cmp(&(b.variable, b.number)));
    all
}

impl<'b> Demands<'b> {
    fn new(variable: &'b Variable, number: usize) -> Demands<'b> {
        let (tests, ids) = (Vec::new(), HashMap::new());
        Demands { variable, number, tests, ids, wanting: Vec::new(), refusing: Vec::new() }
    }

    fn add(&mut self, row: u32, any_of: &'b [Test], none_of: &[&'b Test]) {
        self.wanting.extend((!any_of.is_empty()).then_some(row));
        self.refusing.extend((!none_of.is_empty()).then_some(row));
        let sides = any_of.iter().map(|test| (test, 0)).chain(none_of.iter().map(|test| (*test, 1)));
        for (test, side) in sides {
            let id = *self.ids.entry(normal(test)).or_insert_with_key(|test| {
                self.tests.push((test.clone(), [Vec::new(), Vec::new()]));
                self.tests.len() - 1
            });
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

    /// The tests, each with the rows that want and that refuse it.
    pub fn tests(&self) -> impl Iterator<Item = (&Test, &[Vec<u32>; 2])> {
        self.tests.iter().map(|(test, rows)| (test.as_ref(), rows))
    }

    /// Leaves out what rows refuse.
    pub fn only_wanted(mut self) -> Self {
        self.tests.retain(|(_, [wanted, _])| !wanted.is_empty());
        self.tests.iter_mut().for_each(|(_, [_, refused])| refused.clear());
        self.refusing.clear();
        self.ids.clear();
        self
    }
}

/// Whether the attribute is asked of each request.
pub(super) fn is_of_request(variable: &Variable, engine: Engine) -> bool {
    match variable {
        Variable::Peer
        | Variable::DestinationPort
        | Variable::Sni
        | Variable::SourceIp
        | Variable::DestinationIp => false,
        Variable::RemoteIp => engine == Engine::EnvoyHttp,
        _ => true,
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
    pub entries: Entries,
    pub pool: Pool,
    pub tests: TestStore,
}

/// An attribute as the table has it.
pub(super) struct DimensionParts {
    pub attribute: Attribute,
    pub asked: u32,
    pub name: u32,
    pub wanting: u32,
    pub refusing: u32,
    pub indexes: Vec<IndexParts>,
    pub intervals: Option<Intervals>,
    /// From one place up to another.
    pub tests: [u32; 2],
    pub spelled: u32,
    pub indifferent: u32,
}

impl Demands<'_> {
    /// Builds the attribute.
    ///
    /// # Errors
    /// There is no room, or a template cannot be told.
    pub fn build(
        &self,
        parts: &mut Parts,
        context: &Context,
        engine: Engine,
    ) -> Result<DimensionParts, Uncompiled> {
        let (attribute, name) = attribute(self.variable);
        let is_number = matches!(
            self.variable,
            Variable::DestinationPort | Variable::SourceIp | Variable::RemoteIp | Variable::DestinationIp
        );
        let is_joined = context.semantics.headers == HeaderMatching::Joined
            && matches!(self.variable, Variable::Header(_));
        let which = match self.variable {
            _ if is_number || is_joined => SPELLED_ALL,
            Variable::Peer => SPELLED_PARTS,
            _ => 0,
        };
        let placements: Vec<Option<Placement>> =
            self.tests.iter().map(|(test, _)| placement(self.variable, test, engine)).collect();
        let texts = placements.iter().flatten().filter_map(|place| match &place.key {
            Key::Exact(text) | Key::Prefix(text) => Some(text.as_slice()),
            _ => None,
        });
        parts.entries.starts.learn(texts, &mut parts.pool);
        // Tests that one text leads to stand together.
        let mut order: Vec<usize> = (0..self.tests.len()).collect();
        order.sort_by_key(|at| placements[*at].as_ref().filter(|place| place.verify).map(|place| &place.key));
        let first_test = parts.tests.end()?;
        let mut placed: Vec<(&Test, Placed)> = Vec::with_capacity(self.tests.len());
        let mut views: Vec<ViewTests> = Vec::new();
        for at in order {
            let (test, [wanted, refused]) = &self.tests[at];
            let mut set = |rows: &[u32]| match rows {
                [] => Ok(None),
                rows => parts.sets.add(rows).map(Some),
            };
            let mut one = Placed { wanted: set(wanted)?, refused: set(refused)?, test: None };
            let place = placements[at].as_ref();
            let is_told = match which {
                SPELLED_ALL => true,
                SPELLED_PARTS => !matches!(**test, Test::Principal(_)),
                _ => false,
            };
            if is_told || place.is_some_and(|place| place.verify) {
                let told = spelled(self.variable, test)?;
                let (sets, starts) = (&mut parts.sets, &parts.entries.starts);
                one.test = Some(parts.tests.add(&told, [one.wanted, one.refused], sets, starts)?);
            }
            placed.push((test, one));
            let Some(place) = place else { continue };
            view_of(&mut views, place).add(place, one);
        }
        let tests = [first_test, parts.tests.end()?];
        let (indexes, intervals) = if is_number {
            let found = intervals(placed.iter().copied(), &mut parts.entries, &mut parts.sets)?;
            (Vec::new(), Some(found))
        } else {
            (self.indexes(&views, &placed, parts, engine)?, None)
        };
        Ok(DimensionParts {
            attribute,
            asked: if is_of_request(self.variable, engine) { OF_REQUEST } else { OF_CONNECTION },
            name: parts.pool.add(name.as_bytes()),
            wanting: parts.sets.column(&self.wanting)?,
            refusing: match self.refusing.as_slice() {
                [] => NONE,
                rows => parts.sets.column(rows)?,
            },
            indexes,
            intervals,
            tests,
            spelled: which,
            indifferent: NONE,
        })
    }

    fn indexes(
        &self,
        views: &[ViewTests],
        placed: &[(&Test, Placed)],
        parts: &mut Parts,
        engine: Engine,
    ) -> Result<Vec<IndexParts>, Uncompiled> {
        // By the place of a test in the table what it is.
        let by_place: HashMap<u32, usize> =
            placed.iter().enumerate().filter_map(|(at, (_, one))| Some((one.test?, at))).collect();
        let lengths: Vec<Lengths> = views.iter().map(ViewTests::lengths).collect();
        let Parts { entries, sets, .. } = parts;
        let mut built = Vec::new();
        for view in views {
            // What a whole text passes is known now; of a token the other half is missing, of a peer the rest of its name.
            let is_part = matches!(view.view, View::Issuer | View::Subject)
                || (*self.variable == Variable::Peer && view.view != View::Whole);
            let settle = |text: &[u8], links: Links| {
                if is_part {
                    return links;
                }
                let mut settled = Links { tests: Vec::new(), ..links.clone() };
                let text = String::from_utf8_lossy(text);
                for test in &links.tests {
                    let Some((test, one)) = by_place.get(test).and_then(|at| placed.get(*at)) else {
                        continue;
                    };
                    if passes(self.variable, test, &text, engine) {
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
                if *self.variable != Variable::Peer || view.view != View::Whole {
                    return (links, true);
                }
                let Some(parts) = parts_of(text, engine) else { return (links, false) };
                for (other, lengths) in
                    views.iter().zip(&lengths).filter(|(other, _)| other.view != View::Whole)
                {
                    links.join(&settle(text, other.all_of(parts.of(other.view), lengths)));
                }
                (links, true)
            };
            built.push(view.build(entries, sets, resolve)?);
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

/// Nothing for a text that no workload is called: its parts are not looked up.
fn parts_of(text: &[u8], engine: Engine) -> Option<PeerParts<'_>> {
    if !is_workload(&[b"spiffe://", text].concat(), engine) {
        return None;
    }
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
