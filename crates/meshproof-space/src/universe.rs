//! What several enforcement points have in common, so that their sets can be compared: variables, tests, boxes, kinds of
//! requests.

use foldhash::HashSet;
use meshproof_authz::{Context, Request};

use crate::bits::Bits;
use crate::boxes::RequestBox;
use crate::cover::{Cover, Point};
use crate::domain::Domain;
use crate::forwarded::{self, Views};
use crate::index::Index;
use crate::limit::Limit;
use crate::lower::{Effect, LoweredPolicies, LoweredRule, RuleBoxes, remote_is_source};
use crate::prepared::PreparedId;
use crate::rescue::Rescue;
use crate::vocabulary::{Collector, Column, CubeId, Vocabulary};
use crate::witness;

/// More boxes than this are not looked at.
const MOST_CUBES: usize = 200_000;

/// The rules of one enforcement point in the vocabulary of a universe.
#[derive(Debug)]
pub(crate) struct Rules {
    pub rules: Vec<LoweredRule>,
    /// The boxes of each rule; nothing when they are too many.
    pub cubes: Vec<Option<Vec<CubeId>>>,
    pub needs_allow: bool,
}

/// Points with one vocabulary.
#[derive(Debug)]
pub(crate) struct Universe {
    pub vocabulary: Vocabulary,
    pub points: Vec<Rules>,
    /// Boxes that were handed in beside the policies.
    pub probes: Vec<CubeId>,
    /// The box of every request.
    pub all: CubeId,
    /// The kinds of requests, each as columns.
    pub kinds: Result<Vec<Vec<Column>>, Limit>,
    /// Whether the kinds hold no points that are no requests. Else what is found may not be confirmed, and that there is
    /// nothing stays certain.
    pub is_exact: bool,
    pub rescue: Rescue,
    context: Context,
}

impl Universe {
    /// The policies of the points, and further boxes. The points read requests in the same way ([`are_comparable`]), that
    /// of the context.
    pub fn new(
        points: Vec<LoweredPolicies>,
        context: &Context,
        domain: &Domain,
        probes: &[RequestBox],
    ) -> Universe {
        let mut collector = Collector::new(remote_is_source(context, domain.proxy_protocol));
        let mut room = MOST_CUBES;
        let points: Vec<Rules> = points
            .into_iter()
            .map(|lowered| {
                let cubes = lowered.rules.iter().map(|rule| match &*rule.boxes {
                    RuleBoxes::Boxes(boxes) if boxes.len() <= room => {
                        room -= boxes.len();
                        Some(boxes.iter().map(|each| collector.cube(each)).collect())
                    }
                    RuleBoxes::Dropped(_) => Some(Vec::new()),
                    _ => None,
                });
                let cubes = cubes.collect();
                Rules { rules: lowered.rules, cubes, needs_allow: lowered.needs_allow }
            })
            .collect();
        let probes = probes.iter().map(|probe| collector.cube(probe)).collect();
        let all = collector.cube(&RequestBox::all());
        collector.only_kinds_follow();
        let mut views = forwarded::views(|variable| collector.tests_of(variable), context, domain);
        let mut kinds = domain.kinds(collector.variables(), &views, context);
        if kinds.is_none() && views != Views::Apart {
            // Taken for independent, more requests are looked at than there are.
            views = Views::Unknown;
            kinds = domain.kinds(collector.variables(), &views, context);
        }
        let kinds: Option<Vec<CubeId>> =
            kinds.map(|kinds| kinds.iter().map(|kind| collector.cube(kind)).collect());
        let vocabulary = collector.finish(context, domain);
        let columns = |cube: CubeId| vocabulary.columns_of(cube).cloned().collect::<Vec<Column>>();
        let kinds = kinds.map(|kinds| kinds.into_iter().map(columns).collect()).ok_or(Limit::Kinds);
        let is_exact = views != Views::Unknown;
        Universe {
            vocabulary,
            points,
            probes,
            all,
            kinds,
            is_exact,
            rescue: Rescue::default(),
            context: context.clone(),
        }
    }

    /// Answers questions about a union of boxes.
    pub fn cover(&self, cubes: Vec<CubeId>) -> Cover<'_> {
        Cover::new(Index::new(cubes, &self.vocabulary), &self.vocabulary)
    }

    /// A request of all the boxes, of some kind, that none of the living boxes of the cover holds.
    ///
    /// # Errors
    /// A limit was hit.
    pub fn escape(
        &self,
        cubes: &[CubeId],
        cover: &mut Cover<'_>,
        alive: &Bits,
    ) -> Result<Option<Point>, Limit> {
        let mut touched = Vec::new();
        let mut limit = None;
        for at in 0..self.kinds.as_ref().map_err(|limit| *limit)?.len() {
            let target = self.target(cubes, at, cover);
            match cover.escape(&target, alive.clone()) {
                Ok(Some(point)) => return Ok(Some(point)),
                Ok(None) => touched.append(&mut cover.touched),
                Err(hit) => limit = Some(hit),
            }
        }
        if let Some(limit) = limit {
            return self.rescued(cubes, cover, alive, limit);
        }
        touched.sort_unstable();
        touched.dedup();
        cover.touched = touched;
        Ok(None)
    }

    /// The boxes of the cover that hold some request of the box; nothing when it has none.
    ///
    /// # Errors
    /// A limit was hit.
    pub fn holding(&self, cube: CubeId, cover: &mut Cover<'_>) -> Result<Option<Bits>, Limit> {
        for at in 0..self.kinds.as_ref().map_err(|limit| *limit)?.len() {
            let target = self.target(&[cube], at, cover);
            if let Some(bits) = cover.holding(&target)? {
                return Ok(Some(bits));
            }
        }
        Ok(None)
    }

    /// What all the boxes ask, variable by variable.
    pub fn joined(&self, cubes: &[CubeId]) -> Vec<Column> {
        cubes.iter().fold(Vec::new(), |joined, cube| {
            let columns: Vec<Column> = self.vocabulary.columns_of(*cube).cloned().collect();
            Column::merged(&joined, &columns)
        })
    }

    /// The boxes together, in one kind of requests.
    pub fn target(&self, cubes: &[CubeId], kind: usize, cover: &mut Cover<'_>) -> Vec<PreparedId> {
        let of_kind = self.kinds.as_ref().map_or(&[][..], |kinds| &kinds[kind]);
        if let [cube] = cubes {
            let own = self.vocabulary.cube(*cube);
            let mut target: Vec<PreparedId> = Vec::with_capacity(own.len() + of_kind.len());
            for column in own {
                let variable = self.vocabulary.column(*column).variable;
                let more = of_kind.iter().find(|column| column.variable == variable);
                target.push(cover.prepared.add_of_kind(*column, kind, more));
            }
            let asks = |variable| own.iter().any(|own| self.vocabulary.column(*own).variable == variable);
            for column in of_kind.iter().filter(|column| !asks(column.variable)) {
                target.push(cover.prepared.add(column.clone()));
            }
            return target;
        }
        let joined = Column::merged(of_kind, &self.joined(cubes));
        joined.into_iter().map(|column| cover.prepared.add(column)).collect()
    }

    /// The point as a request.
    pub fn request(&self, point: &Point) -> Request {
        witness::request(point, &self.vocabulary, &self.context)
    }
}

/// Whether a request can be put to both points.
pub(crate) fn are_comparable(a: &Context, b: &Context) -> bool {
    let semantics = (&a.semantics, &b.semantics);
    a.engine == b.engine
        && a.identity == b.identity
        && semantics.0.normalization == semantics.1.normalization
        && semantics.0.headers == semantics.1.headers
        && semantics.0.client_address == semantics.1.client_address
        && semantics.0.space_delimited_claims == semantics.1.space_delimited_claims
}

/// A union of conjunctions of boxes, without a union of boxes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Region {
    pub within: Vec<Vec<CubeId>>,
    pub except: Vec<CubeId>,
    /// Some box of `within` is not known.
    pub is_partial: bool,
}

impl Rules {
    /// The boxes of the rules with such an effect, and whether some are not known.
    pub fn cubes_where(&self, wanted: impl Fn(&Effect) -> bool) -> (Vec<CubeId>, bool) {
        let chosen = self.rules.iter().zip(&self.cubes).filter(|(rule, _)| wanted(&rule.effect));
        let (mut cubes, mut is_partial) = (Vec::new(), false);
        for (_, of_rule) in chosen {
            match of_rule {
                Some(of_rule) => cubes.extend(of_rule),
                None => is_partial = true,
            }
        }
        cubes.sort_unstable();
        cubes.dedup();
        (cubes, is_partial)
    }

    /// A region of all boxes with such an effect.
    pub fn region(&self, wanted: impl Fn(&Effect) -> bool, except: Vec<CubeId>) -> Region {
        let (cubes, is_partial) = self.cubes_where(wanted);
        Region { within: cubes.into_iter().map(|cube| vec![cube]).collect(), except, is_partial }
    }

    /// The boxes that refuse requests.
    pub fn refusing(&self) -> Vec<CubeId> {
        self.refusing_or_partial().0
    }

    /// The boxes that refuse requests, and whether some are not known.
    pub fn refusing_or_partial(&self) -> (Vec<CubeId>, bool) {
        self.cubes_where(|effect| matches!(effect, Effect::Deny | Effect::Refuse))
    }

    /// What passes as long as nothing refuses it.
    pub fn passing(&self, all: CubeId) -> Region {
        if self.needs_allow {
            self.region(|effect| *effect == Effect::Allow, Vec::new())
        } else {
            Region { within: vec![vec![all]], ..Region::default() }
        }
    }
}

/// Requests of a region, each with the conjunction that it was found in.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub requests: Vec<(Vec<CubeId>, Box<Request>)>,
    /// Why there may be more.
    pub limit: Option<Limit>,
}

impl Universe {
    /// A request of the region that the check confirms.
    ///
    /// # Errors
    /// There is none as far as is known, and a limit was hit.
    pub fn find(
        &self,
        region: &Region,
        confirm: impl Fn(&Request) -> bool,
    ) -> Result<Option<Box<Request>>, Limit> {
        let mut found = self.find_each(region, 1, confirm);
        match found.requests.pop() {
            Some((_, request)) => Ok(Some(request)),
            None => found.limit.map_or(Ok(None), Err),
        }
    }

    /// A request of all the boxes that no box of the cover holds and that the check confirms.
    ///
    /// # Errors
    /// There is none as far as is known, and a limit was hit.
    pub fn find_beside(
        &self,
        cubes: &Vec<CubeId>,
        cover: &mut Cover<'_>,
        confirm: impl Fn(&Request) -> bool,
    ) -> Result<Option<Box<Request>>, Limit> {
        let mut found = self.find_within(&[cubes], cover, 1, confirm);
        match found.requests.pop() {
            Some((_, request)) => Ok(Some(request)),
            None => found.limit.map_or(Ok(None), Err),
        }
    }

    /// Up to `most` requests of the region that the check confirms, one for each conjunction at most.
    pub fn find_each(&self, region: &Region, most: usize, confirm: impl Fn(&Request) -> bool) -> Found {
        let mut found = Found { limit: region.is_partial.then_some(Limit::Boxes), ..Found::default() };
        let except: HashSet<CubeId> = region.except.iter().copied().collect();
        let covered = |cubes: &&Vec<CubeId>| cubes.iter().any(|cube| except.contains(cube));
        let within: Vec<&Vec<CubeId>> = region.within.iter().filter(|cubes| !covered(cubes)).collect();
        if within.is_empty() {
            return found;
        }
        let mut cover = self.cover(region.except.clone());
        let more = self.find_within(&within, &mut cover, most, confirm);
        found.limit = more.limit.or(found.limit);
        found.requests = more.requests;
        found
    }

    fn find_within(
        &self,
        within: &[&Vec<CubeId>],
        cover: &mut Cover<'_>,
        most: usize,
        confirm: impl Fn(&Request) -> bool,
    ) -> Found {
        let mut found = Found::default();
        let alive = Bits::all(cover.len());
        for cubes in within {
            match self.escape(cubes, cover, &alive) {
                Ok(None) => {}
                Ok(Some(point)) => {
                    let request = self.request(&point);
                    if !confirm(&request) {
                        found.limit = Some(Limit::Unconfirmed);
                        continue;
                    }
                    found.requests.push(((*cubes).clone(), Box::new(request)));
                    if found.requests.len() == most {
                        return found;
                    }
                }
                Err(hit) => found.limit = Some(hit),
            }
        }
        found
    }
}
