//! Single rules out of the policies of a place, where a question about them needs none of the others.

use meshproof_authz::{Policy, Request};
use meshproof_resources::{AuthorizationPolicy, Field, Rule};
use meshproof_space::{Domain, RuleId, Space};

use crate::Context;
use crate::rule_worth::RuleAt;
use crate::shown::rule_of;
use crate::stage::Stage;

/// So many of the rules that refuse something are enough to show a request that is refused.
const SHOWN: usize = 8;

/// The policy with these rules in place of its own, which are not even copied.
pub(crate) fn with_rules(spec: &AuthorizationPolicy, rules: Vec<Rule>) -> AuthorizationPolicy {
    AuthorizationPolicy {
        span: spec.span,
        selector: spec.selector.clone(),
        target_refs: spec.target_refs.clone(),
        action: spec.action.clone(),
        provider: spec.provider.clone(),
        rules: Field { key: None, items: rules },
    }
}

/// A request of the domain that this rule, written in the policy of `rule`, matches and that one of the others refuses.
/// Read are these alone, so what is found has to be put to all policies of the place.
pub(crate) fn refused(
    ctx: &Context<'_>,
    stage: &Stage<'_>,
    (rule, written): (RuleAt, &Rule),
    by: &[RuleAt],
    domain: &Domain,
) -> Option<Box<Request>> {
    let excerpt = |rule: RuleAt, written: &Rule| {
        let own = *stage.at.policies.get(stage.place(rule)?)?;
        Some((own, with_rules(own.spec, vec![written.clone()])))
    };
    let others = by.iter().take(SHOWN).filter_map(|other| excerpt(*other, rule_of(ctx, *other)?));
    let read: Vec<(Policy<'_>, AuthorizationPolicy)> =
        std::iter::once(excerpt(rule, written)?).chain(others).collect();
    let policies: Vec<Policy<'_>> = read.iter().map(|(own, spec)| Policy { spec, ..*own }).collect();
    let space = Space::new(&policies, &stage.at.chain, domain);
    space.find_refused(RuleId { policy: 0, rule: 0 }).ok().flatten()
}
