//! One attribute of a table.

use foldhash::HashMap;
use meshproof_authz::{Context, HeaderMatching};
use meshproof_engine::format::{NONE, OF_CONNECTION, OF_REQUEST, SPELLED_ALL, SPELLED_PARTS};
use meshproof_engine::{Attribute, Engine, View, workload_parts};
use meshproof_space::{Test, Variable};

use super::Uncompiled;
use super::demands::Demands;
use super::interval::{Intervals, intervals};
use super::links::{Entries, Links};
use super::pool::Pool;
use super::set::SetStore;
use super::test::{Key, Placement, passes, spelled};
use super::tests::TestStore;
use super::view::{IndexParts, Lengths, Placed, ViewTests};

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
    /// Builds the attribute; its tests are found at `placements`.
    ///
    /// # Errors
    /// There is no room, or a template cannot be told.
    pub fn build(
        &self,
        placements: &[Option<Placement<'_>>],
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
        let texts = placements.iter().flatten().filter_map(|place| match &place.key {
            Key::Exact(text) | Key::Prefix(text) => Some(text.as_ref()),
            _ => None,
        });
        parts.entries.starts.learn(&texts.collect::<Vec<_>>(), &mut parts.pool);
        // Tests that one text leads to stand together.
        let mut order: Vec<usize> = (0..self.tests.len()).collect();
        order.sort_by_key(|at| placements[*at].as_ref().filter(|place| place.verify).map(|place| &place.key));
        let first_test = parts.tests.end()?;
        let mut placed: Vec<(&Test, Placed)> = Vec::with_capacity(self.tests.len());
        let mut views: Vec<ViewTests<'_>> = Vec::new();
        for at in order {
            let (test, list) = &self.tests[at];
            let [wanted, refused] = self.lists.each_ref().map(|lists| lists.of(*list));
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
        views.iter_mut().for_each(ViewTests::sort);
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
        views: &[ViewTests<'_>],
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
            let settle = |text: &[u8], links: &mut Links| {
                if is_part || links.tests.is_empty() {
                    return;
                }
                let text = String::from_utf8_lossy(text);
                for place in std::mem::take(&mut links.tests) {
                    let Some((test, one)) = by_place.get(&place).and_then(|at| placed.get(*at)) else {
                        continue;
                    };
                    if passes(self.variable, test, &text, engine) {
                        links.join(&Links {
                            wanted: one.wanted.into_iter().collect(),
                            refused: one.refused.into_iter().collect(),
                            ..Links::default()
                        });
                    }
                }
            };
            let mut name = SCHEME.to_vec();
            let mut more = Links::default();
            // Whole names come in their order, so that the next one is mostly of the same namespace.
            let mut last: Vec<(Vec<u8>, Links)> = vec![Default::default(); views.len()];
            let resolve = |text: &[u8], own: &Lengths, links: &mut Links| {
                view.join_others(text, own, links);
                settle(text, links);
                if *self.variable != Variable::Peer || view.view != View::Whole {
                    return true;
                }
                name.truncate(SCHEME.len());
                name.extend_from_slice(text);
                // The parts of a text that no workload is called are not looked up.
                let Some([trust_domain, namespace, tail]) = workload_parts(&name, engine) else {
                    return false;
                };
                for ((other, lengths), (last, known)) in views.iter().zip(&lengths).zip(&mut last) {
                    let part = match other.view {
                        View::Whole => continue,
                        View::TrustDomain => trust_domain,
                        View::Namespace => namespace,
                        _ => tail,
                    };
                    // None is empty.
                    if last.as_slice() != part {
                        *last = part.to_vec();
                        other.links_of(part, known);
                        other.join_others(part, lengths, known);
                    }
                    more.copy(known);
                    settle(text, &mut more);
                    links.join(&more);
                }
                true
            };
            built.push(view.build(entries, sets, resolve)?);
        }
        Ok(built)
    }
}

/// How the names of workloads begin.
const SCHEME: &[u8] = b"spiffe://";

/// The tests of the view; that of whole names stands first.
fn view_of<'v, 't>(views: &'v mut Vec<ViewTests<'t>>, place: &Placement<'_>) -> &'v mut ViewTests<'t> {
    let found = views.iter().position(|view| (view.view, view.fold) == (place.view, place.fold));
    let at = found.unwrap_or_else(|| {
        let at = if place.view == View::Whole { 0 } else { views.len() };
        views.insert(at, ViewTests::new(place.view, place.fold));
        at
    });
    &mut views[at]
}
