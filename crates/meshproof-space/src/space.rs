//! The sets of one enforcement point.

use meshproof_authz::{Context, Policy, Request};

use crate::boxes::RequestBox;
use crate::confirm::Confirm;
use crate::domain::Domain;
use crate::limit::Limit;
use crate::lower::{Effect, LoweredPolicies, LoweredRule, RuleId, lower};
use crate::universe::{Region, Rules, Universe};
use crate::vocabulary::CubeId;

/// What becomes of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// They pass, given that every provider whose answer is not known says yes.
    Allowed,
    /// Policies refuse them.
    Denied,
    /// Some provider is asked about them.
    Delegated,
    /// They are marked.
    Audited,
}

/// A request that shows something, confirmed by the evaluator; nothing when it is proven that there is none; or why
/// neither is known.
pub type Answer = Result<Option<Box<Request>>, Limit>;

/// Everything that can be asked about the policies of one enforcement point.
#[derive(Debug)]
pub struct Space<'a> {
    pub(crate) universe: Universe,
    pub(crate) confirm: Confirm<'a>,
}

impl<'a> Space<'a> {
    /// The policies that apply, of every action, over the requests of the domain.
    pub fn new(policies: &'a [Policy<'a>], context: &'a Context, domain: &Domain) -> Space<'a> {
        Space::with_probes(policies, context, domain, &[])
    }

    /// As [`Space::new`], with further boxes to ask about ([`Space::find_in`]).
    pub fn with_probes(
        policies: &'a [Policy<'a>],
        context: &'a Context,
        domain: &Domain,
        probes: &[RequestBox],
    ) -> Space<'a> {
        let lowered = lower(policies, context);
        let universe = Universe::new(vec![lowered], context, domain, probes);
        Space { universe, confirm: Confirm::new(policies, context) }
    }

    /// As [`Space::new`], of policies that were lowered for the context before.
    pub(crate) fn of(
        lowered: LoweredPolicies,
        policies: &'a [Policy<'a>],
        context: &'a Context,
        domain: &Domain,
    ) -> Space<'a> {
        let universe = Universe::new(vec![lowered], context, domain, &[]);
        Space { universe, confirm: Confirm::new(policies, context) }
    }

    /// The rules that take part, in the order of the policies. A rule of a CUSTOM policy whose provider is taken to refuse
    /// stands here twice.
    pub fn rules(&self) -> &[LoweredRule] {
        &self.point().rules
    }

    /// A request with this outcome.
    pub fn find(&self, outcome: Outcome) -> Answer {
        self.find_among(outcome, &[])
    }

    /// A request of the probe with this outcome. `probe` is its place in what was handed in.
    pub fn find_in(&self, outcome: Outcome, probe: usize) -> Answer {
        match self.universe.probes.get(probe) {
            Some(cube) => self.find_among(outcome, &[*cube]),
            None => Ok(None),
        }
    }

    /// A request that the rule matches; without one it never matches.
    pub fn find_match(&self, rule: RuleId) -> Answer {
        let region = self.rule_region(rule, Vec::new());
        self.universe.find(&region, |request| self.confirm.matches(rule, request))
    }

    /// A request with the outcome which only this rule gives it: no other rule of its effect matches.
    pub fn find_decided_by(&self, rule: RuleId) -> Answer {
        let point = self.point();
        let Some(effect) = point.rules.iter().find(|known| known.id == rule).map(|known| &known.effect)
        else {
            return Ok(None);
        };
        let others = point.rules.iter().zip(&point.cubes);
        let others = others.filter(|(other, _)| other.id != rule && other.effect == *effect);
        let except = others.filter_map(|(_, cubes)| cubes.as_ref()).flatten().copied().collect();
        let region = self.rule_region(rule, except);
        let same: Vec<RuleId> =
            point.rules.iter().filter(|other| other.effect == *effect).map(|other| other.id).collect();
        self.universe.find(&region, |request| {
            let matched = self.confirm.matching(request);
            matched.contains(&rule) && matched.iter().all(|other| *other == rule || !same.contains(other))
        })
    }

    /// A request that the ALLOW rule matches and that is refused nevertheless.
    pub fn find_refused(&self, rule: RuleId) -> Answer {
        let mut region = self.rule_region(rule, Vec::new());
        let refusing = self.point().refusing();
        region.within = region
            .within
            .iter()
            .flat_map(|own| refusing.iter().map(move |other| [own.as_slice(), &[*other]].concat()))
            .collect();
        self.universe.find(&region, |request| {
            self.confirm.matches(rule, request) && self.confirm.has_outcome(request, Outcome::Denied)
        })
    }

    /// A request that the ALLOW rule matches and that passes.
    pub fn find_passing(&self, rule: RuleId) -> Answer {
        let region = self.rule_region(rule, self.point().refusing());
        self.universe.find(&region, |request| {
            self.confirm.matches(rule, request) && self.confirm.has_outcome(request, Outcome::Allowed)
        })
    }

    pub(crate) fn point(&self) -> &Rules {
        &self.universe.points[0]
    }

    /// The boxes of the rule.
    pub(crate) fn rule_region(&self, rule: RuleId, except: Vec<CubeId>) -> Region {
        let mut region = Region { except, ..Region::default() };
        let point = self.point();
        let own = point.rules.iter().zip(&point.cubes).find(|(known, _)| known.id == rule);
        match own {
            Some((_, Some(cubes))) => region.within = cubes.iter().map(|cube| vec![*cube]).collect(),
            Some((_, None)) => region.is_partial = true,
            None => {}
        }
        region
    }

    fn find_among(&self, outcome: Outcome, probe: &[CubeId]) -> Answer {
        let mut limit = None;
        for mut region in regions(self.point(), outcome, self.universe.all) {
            region.within.iter_mut().for_each(|cubes| cubes.extend(probe));
            match self.universe.find(&region, |request| self.confirm.has_outcome(request, outcome)) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(hit) => limit = Some(hit),
            }
        }
        limit.map_or(Ok(None), Err)
    }
}

/// The requests with the outcome, as a union of regions.
pub(crate) fn regions(point: &Rules, outcome: Outcome, all: CubeId) -> Vec<Region> {
    match outcome {
        Outcome::Allowed => vec![Region { except: point.refusing(), ..point.passing(all) }],
        Outcome::Denied => {
            let refused = |effect: &Effect| matches!(effect, Effect::Deny | Effect::Refuse);
            let mut regions = vec![point.region(refused, Vec::new())];
            if point.needs_allow {
                let allowed = point.cubes_where(|effect| *effect == Effect::Allow).0;
                regions.push(Region { within: vec![vec![all]], except: allowed, is_partial: false });
            }
            regions
        }
        Outcome::Delegated => {
            vec![point.region(|effect| matches!(effect, Effect::Delegate(_)), Vec::new())]
        }
        Outcome::Audited => {
            let refused = point.cubes_where(|effect| *effect == Effect::Refuse).0;
            vec![point.region(|effect| *effect == Effect::Audit, refused)]
        }
    }
}
