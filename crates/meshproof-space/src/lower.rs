//! From policies to boxes, engine by engine.
//!
//! What an engine leaves out of a rule is decided in `meshproof_authz::tested`; here values become tests and one
//! alternative of `from` with one of `to` becomes a box.

use std::sync::Arc;

use meshproof_authz::{
    ClientAddress, Context, CustomOutcome, Dropped, Engine, Policy, Standing, TestedRule, custom_outcomes,
    needs_allow, standings, tested,
};
use meshproof_resources::{Action, Rule};

use crate::boxes::RequestBox;
use crate::limit::Limit;

mod alternatives;
mod known;
mod value;

use alternatives::Alternatives;
use known::Known;
use value::Values;
pub(crate) use value::joins_headers;

/// More boxes than this make a rule too large: `from` times `to` of a hostile rule is a quarter of a million.
pub const MOST_BOXES: usize = 10_000;

/// A rule by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    /// The place of its policy in the list that was handed in.
    pub policy: usize,
    /// Its place in the policy.
    pub rule: usize,
}

/// What a match of a rule leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The request is refused: CUSTOM with a provider that cannot be asked or refuses.
    Refuse,
    /// The provider is asked.
    Delegate(String),
    /// The request is marked.
    Audit,
    /// The request is refused.
    Deny,
    /// The request is allowed unless something denies it.
    Allow,
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleBoxes {
    /// The union of these; none at all: nothing matches.
    Boxes(Vec<RequestBox>),
    /// The engine does not have the rule.
    Dropped(Dropped),
    /// What it matches is not known: it has more than [`MOST_BOXES`], or a pattern that cannot be told.
    Unknown(Limit),
}

/// A rule that takes part.
#[derive(Clone, Debug, PartialEq)]
pub struct LoweredRule {
    /// Which.
    pub id: RuleId,
    /// What a match leads to; a rule that delegates to a provider taken to refuse has an entry for each.
    pub effect: Effect,
    /// What it matches.
    pub boxes: Arc<RuleBoxes>,
}

/// The policies of one enforcement point.
#[derive(Clone, Debug, PartialEq)]
pub struct LoweredPolicies {
    /// The rules of every policy that is enforced, in order.
    pub rules: Vec<LoweredRule>,
    /// Whether a request that nothing denies needs an ALLOW rule.
    pub needs_allow: bool,
}

/// The rules of the policies as boxes.
pub fn lower(policies: &[Policy<'_>], context: &Context) -> LoweredPolicies {
    lower_for(policies, context, Purpose::Reason)
}

/// As [`lower`], for code that decides one request at a time: templates that nobody can reason about are among the tests.
pub fn lower_to_decide(policies: &[Policy<'_>], context: &Context) -> LoweredPolicies {
    lower_for(policies, context, Purpose::Decide)
}

/// What boxes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// All requests at once.
    Reason,
    /// One request.
    Decide,
}

fn lower_for(policies: &[Policy<'_>], context: &Context, purpose: Purpose) -> LoweredPolicies {
    let standings = standings(policies, context);
    let outcome_of = custom_outcomes(policies, context);
    let enforced = policies.iter().zip(&standings).enumerate();
    let enforced = enforced.filter(|(_, (_, standing))| **standing == Standing::Enforced);
    let count = |(_, (policy, _)): (_, (&Policy<'_>, _))| policy.spec.rules.len();
    let mut rules = Vec::with_capacity(enforced.clone().map(count).sum());
    let mut lowering = Lowering::new(context, purpose);
    for (at, (policy, _)) in enforced {
        let (effect, second) = match policy.action() {
            Action::Allow => (Effect::Allow, None),
            Action::Deny => (Effect::Deny, None),
            Action::Audit => (Effect::Audit, None),
            Action::Custom => match outcome_of(policy) {
                CustomOutcome::Unusable | CustomOutcome::OnTrial => (Effect::Refuse, None),
                CustomOutcome::Asked { provider, refuses, .. } => {
                    (Effect::Delegate(provider.to_owned()), refuses.then_some(Effect::Refuse))
                }
            },
        };
        for (index, rule) in policy.spec.rules.iter().enumerate() {
            let id = RuleId { policy: at, rule: index };
            let boxes = Arc::new(lowering.rule(rule, policy));
            let lowered = LoweredRule { id, effect: effect.clone(), boxes };
            let again = second.clone().map(|effect| LoweredRule { effect, ..lowered.clone() });
            rules.push(lowered);
            rules.extend(again);
        }
    }
    LoweredPolicies { rules, needs_allow: needs_allow(policies, context) }
}

/// The rules of the policies on trial, as [`lower_to_decide`], which leaves them out: their effect is what it would be without the trial.
pub fn lower_dry_run(policies: &[Policy<'_>], context: &Context) -> Vec<LoweredRule> {
    let mut rules = Vec::new();
    let standings = standings(policies, context);
    let mut lowering = Lowering::new(context, Purpose::Decide);
    for (at, _) in standings.iter().enumerate().filter(|(_, standing)| **standing == Standing::DryRun) {
        let policy = &policies[at];
        let effect = match policy.action() {
            Action::Allow => Effect::Allow,
            Action::Deny => Effect::Deny,
            // istiod only tries out these two; see `standing`.
            Action::Audit | Action::Custom => continue,
        };
        for (index, rule) in policy.spec.rules.iter().enumerate() {
            let boxes = Arc::new(lowering.rule(rule, policy));
            rules.push(LoweredRule { id: RuleId { policy: at, rule: index }, effect: effect.clone(), boxes });
        }
    }
    rules
}

/// Turns rules into boxes, one after the other. What holds the alternatives on the way is used again.
struct Lowering<'a> {
    context: &'a Context,
    purpose: Purpose,
    /// Of `from`, `to` and `when`.
    parts: [Alternatives; 3],
    known: Known<'a>,
}

impl<'a> Lowering<'a> {
    fn new(context: &'a Context, purpose: Purpose) -> Lowering<'a> {
        Lowering { context, purpose, parts: Default::default(), known: Known::default() }
    }

    fn rule(&mut self, rule: &'a Rule, policy: &Policy<'a>) -> RuleBoxes {
        match tested(rule, policy, self.context) {
            Err(dropped) => RuleBoxes::Dropped(dropped),
            Ok(rule) => self.boxes(&rule, policy).map_or_else(RuleBoxes::Unknown, RuleBoxes::Boxes),
        }
    }

    /// One box for each pair of alternatives, those that match nothing left out.
    fn boxes(&mut self, rule: &TestedRule<'a>, policy: &Policy<'a>) -> Result<Vec<RequestBox>, Limit> {
        let values = Values::new(policy, self.context, self.purpose);
        let known = &mut self.known;
        let [from, to, when] = &mut self.parts;
        match rule.from() {
            Some(items) => from.fill(&values, known, items)?,
            None => from.take_everything(),
        }
        match rule.to() {
            Some(items) => to.fill(&values, known, items)?,
            None => to.take_everything(),
        }
        when.fill(&values, known, rule.when().into_iter())?;
        if let (Some(from), Some(to), Some(when)) = (from.only(), to.only(), when.only()) {
            let mut clauses = Vec::with_capacity(from.len() + to.len() + when.len());
            [from, to, when].into_iter().for_each(|part| clauses.append(part));
            return Ok(vec![RequestBox::of(clauses)]);
        }
        let [from, to, when] = [from.list(), to.list(), when.list()];
        let count = from.len().saturating_mul(to.len()).saturating_mul(when.len());
        if count > MOST_BOXES {
            return Err(Limit::Boxes);
        }
        let mut boxes = Vec::with_capacity(count);
        for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
            boxes.extend(when.iter().map(|when| RequestBox::of([from.as_slice(), to, when].concat())));
        }
        Ok(boxes)
    }
}

/// Whether the original client address is always the other end of the connection. `proxy_protocol`: whether another
/// hop may hand over an address below HTTP.
pub(crate) fn remote_is_source(context: &Context, proxy_protocol: bool) -> bool {
    match context.engine {
        Engine::Grpc => true,
        Engine::EnvoyTcp | Engine::Ztunnel => !proxy_protocol,
        Engine::EnvoyHttp => {
            !proxy_protocol && context.semantics.client_address == ClientAddress::TrustedProxies(0)
        }
    }
}
