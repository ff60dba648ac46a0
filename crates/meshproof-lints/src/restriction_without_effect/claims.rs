//! Claims that are asked for beside a rule that wants any token.
//!
//! A rule about claims also matches tokens without a subject, which `requestPrincipals` never does, so strictly it adds
//! something. Tokens have subjects, and for those the question is asked here.

use meshproof_authz::{Attribute, Engine, Policy, attributes_of};
use meshproof_resources::{Action, AuthorizationPolicy, Condition, Field, Match, Rule};
use meshproof_source::Spanned;
use meshproof_space::{Domain, Space, Worth};

use crate::Context;
use crate::rule_worth::{Cover, RuleAt};
use crate::shown::rule_of;

/// Places looked at per rule; one that applies at more is not judged.
const PLACES: usize = 64;

/// The rules that cover the rule for tokens with a subject, at every HTTP chain that has it.
pub(super) fn cover(ctx: &Context<'_>, rule: RuleAt) -> Option<Cover> {
    let written = rule_of(ctx, rule)?;
    let attributes: Vec<Attribute> = attributes_of(written).collect();
    let asks_claim = attributes.iter().any(|attribute| matches!(attribute, Attribute::Claim(_)));
    if !asks_claim || attributes.contains(&Attribute::RequestPrincipal) {
        return None;
    }
    let places = ctx.worths().places(rule.0);
    if places.is_empty() || places.len() > PLACES {
        return None;
    }
    let mut first = None;
    for place in places {
        let cover = cover_at(ctx, rule, *place)?;
        first.get_or_insert(cover);
    }
    first
}

fn cover_at(ctx: &Context<'_>, rule: RuleAt, point: usize) -> Option<Cover> {
    let (place, at) = ctx.worths().at(ctx, point, 0)?;
    let allows = at.policies.iter().filter(|policy| policy.action() == Action::Allow).count();
    if at.chain.engine != Engine::EnvoyHttp || allows < 2 || place.is_unsettled(ctx.mesh) {
        return None;
    }
    let own = place.policies.iter().position(|id| *id == rule.0)?;
    let policy = *at.policies.get(own)?;
    let with = |rules: Vec<Rule>| AuthorizationPolicy {
        rules: Field { key: None, items: rules },
        ..policy.spec.clone()
    };
    let others = policy.spec.rules.iter().enumerate().filter(|(at, _)| *at != rule.1);
    let others = with(others.map(|(_, rule)| rule.clone()).collect());
    let narrowed = with(vec![with_subject(rule_of(ctx, rule)?)]);
    // Last, so that of rules that cover each other it is the one to go.
    let mut policies = at.policies.clone();
    policies[own] = Policy { spec: &others, ..policy };
    policies.push(Policy { spec: &narrowed, ..policy });
    let space = Space::new(&policies, &at.chain, &Domain::default());
    let last = policies.len() - 1;
    let worths = space.worths();
    let (_, worth) = space.rules().iter().zip(worths).find(|(known, _)| known.id.policy == last)?;
    let Worth::Superfluous(by) = worth else { return None };
    let number = |id: meshproof_space::RuleId| {
        let shifted = id.policy == own && id.rule >= rule.1;
        (place.policies[id.policy], id.rule + usize::from(shifted))
    };
    Some(Cover { point, chain: 0, by: by.into_iter().map(number).collect() })
}

/// The rule for tokens that have a subject.
fn with_subject(rule: &Rule) -> Rule {
    let text = |value: &str| Spanned::new(value.to_owned(), rule.span);
    let any = Match { values: Field { key: None, items: vec![text("*")] }, not_values: Field::default() };
    let condition = Condition { key: text("request.auth.principal"), values: any, span: rule.span };
    let mut rule = rule.clone();
    rule.when.items.push(condition);
    rule
}
