//! Sets of requests beside the evaluator: what was decided about one request has to be in the boxes of the rules, and a
//! search through all requests must not deny that there is such a request.

use std::collections::BTreeMap;

use meshproof_authz::{Context, Decision, Evaluation, Peer, Policy, Request, Token};
use meshproof_space::{Domain, Effect, Limit, LoweredPolicies, Outcome, RuleBoxes, Space, lower};
use serde_json::Value;

// What a box means, told without any of the machinery of the library; its own tests use it too.
#[path = "../../../meshproof-space/tests/worlds/reading.rs"]
mod reading;

use reading::lies_in;

/// The answers about the policies of one scene, by context and domain.
#[derive(Default)]
pub(super) struct Sets {
    asked: BTreeMap<String, Asked>,
    /// Decisions that the sets told as well.
    pub told: u64,
}

struct Asked {
    lowered: LoweredPolicies,
    /// Outcomes that no request has, as far as is known.
    impossible: Vec<Outcome>,
    /// What the evaluator did not confirm.
    unconfirmed: Vec<Outcome>,
}

/// The outcomes that requests are searched for.
const OUTCOMES: [Outcome; 4] = [Outcome::Allowed, Outcome::Denied, Outcome::Audited, Outcome::Delegated];

impl Sets {
    /// What they say of other policies is forgotten.
    pub(super) fn clear(&mut self) {
        self.asked.clear();
    }

    /// Where the sets contradict the evaluator, which was held against what was recorded. `scene` tells contexts of the
    /// same policies apart.
    pub(super) fn difference(
        &mut self,
        scene: &str,
        policies: &[Policy<'_>],
        request: &Request,
        context: &Context,
        evaluation: &Evaluation,
    ) -> Option<String> {
        let passes = match evaluation.decision {
            Decision::Allow => true,
            Decision::Deny => false,
            // Refused before any policy is looked at.
            Decision::Reject(_) => return None,
        };
        let domain = domain_of(request);
        let semantics = &context.semantics;
        let key = format!("{scene} {domain:?} {:?} {:?}", semantics.normalization, semantics.client_address);
        let asked = self.asked.entry(key).or_insert_with(|| Asked::new(policies, context, &domain));
        if let Some(outcome) = asked.unconfirmed.first() {
            return Some(format!("a request that is said to be {outcome:?} is not"));
        }
        let audited = evaluation.audit.is_some();
        let told = told(&asked.lowered, request, context)?;
        self.told += 1;
        if told != (passes, audited) {
            return Some(format!(
                "the boxes say {told:?} (passes, audited), the evaluator {:?}",
                (passes, audited)
            ));
        }
        let outcome = if passes { Outcome::Allowed } else { Outcome::Denied };
        let has = [
            (outcome, true),
            (Outcome::Audited, audited),
            (Outcome::Delegated, !evaluation.delegated.is_empty()),
        ];
        let denied = has.iter().find(|(outcome, has)| *has && asked.impossible.contains(outcome));
        denied.map(|(outcome, _)| format!("no request is said to be {outcome:?}, and this one is"))
    }
}

impl Asked {
    fn new(policies: &[Policy<'_>], context: &Context, domain: &Domain) -> Asked {
        let space = Space::new(policies, context, domain);
        let mut asked =
            Asked { lowered: lower(policies, context), impossible: Vec::new(), unconfirmed: Vec::new() };
        for outcome in OUTCOMES {
            match space.find(outcome) {
                Ok(None) => asked.impossible.push(outcome),
                Err(Limit::Unconfirmed) => asked.unconfirmed.push(outcome),
                Ok(Some(_)) | Err(_) => {}
            }
        }
        asked
    }
}

/// The narrowest domain with the request.
fn domain_of(request: &Request) -> Domain {
    let is_ordinary = match &request.peer {
        Peer::Anonymous => true,
        Peer::Principal(name) => is_workload(name),
        Peer::Certificate(certificate) => {
            certificate.dns.is_empty()
                && certificate.subject.is_empty()
                && certificate.uris.len() == 1
                && is_workload(&certificate.uris[0])
        }
    };
    Domain { foreign: !is_ordinary, proxy_protocol: request.proxied_source.is_some(), ..Domain::default() }
}

fn is_workload(name: &str) -> bool {
    meshproof_grammar::spiffe::SpiffeId::parse(name).is_ok()
}

/// Whether the request passes, and whether it is marked; nothing when the boxes of a rule are not known.
fn told(lowered: &LoweredPolicies, request: &Request, context: &Context) -> Option<(bool, bool)> {
    // CUSTOM policies run before tokens are looked at.
    let mut unread = request.clone();
    if let Some(http) = &mut unread.http {
        http.token = Token::None;
    }
    let (mut refused, mut unasked, mut audited, mut allowed) = (false, false, false, !lowered.needs_allow);
    for rule in &lowered.rules {
        let is_custom = matches!(rule.effect, Effect::Delegate(_) | Effect::Refuse);
        let seen = if is_custom { &unread } else { request };
        let matches = match &*rule.boxes {
            RuleBoxes::Boxes(boxes) => boxes.iter().any(|of| lies_in(seen, of, context)),
            RuleBoxes::Dropped(_) => false,
            RuleBoxes::Unknown(_) => return None,
        };
        match rule.effect {
            Effect::Refuse => unasked |= matches,
            Effect::Deny => refused |= matches,
            Effect::Allow => allowed |= matches,
            Effect::Audit => audited |= matches,
            Effect::Delegate(_) => {}
        }
    }
    Some((allowed && !refused && !unasked, audited && !unasked))
}

/// The filters of a chain, held against the sets of its policies: which rules it has, and that nothing passes, or is
/// refused, where no filter has a rule for it.
///
/// # Errors
/// Where they contradict each other.
pub(super) fn agree(policies: &[Policy<'_>], context: &Context, filters: &Value) -> Result<(), String> {
    let space = Space::new(policies, context, &Domain::default());
    let filters = filters.as_array().into_iter().flatten();
    let enforced: Vec<&Value> =
        filters.filter(|filter| filter["shadow"] != true && filter["custom"] != true).collect();
    let filter = |action: &str| enforced.iter().find(|filter| filter["action"] == action);
    // A policy without rules stands in a chain with a rule that matches nothing.
    let without_rules = policies.iter().filter(|policy| policy.spec.rules.is_empty());
    let never: Vec<String> = without_rules.map(|policy| policy.rule_id(0)).collect();
    let rules = |action: &str| -> Vec<&str> {
        let rules = filter(action).and_then(|filter| filter["rules"].as_array()).into_iter().flatten();
        let names = rules.filter_map(Value::as_str).filter(|name| !never.iter().any(|rule| rule == name));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names
    };
    for (action, effect) in [("ALLOW", Effect::Allow), ("DENY", Effect::Deny), ("LOG", Effect::Audit)] {
        let kept = |boxes: &RuleBoxes| !matches!(boxes, RuleBoxes::Dropped(_));
        let own = space.rules().iter().filter(|rule| rule.effect == effect && kept(&rule.boxes));
        let mut said: Vec<String> = own.map(|rule| policies[rule.id.policy].rule_id(rule.id.rule)).collect();
        said.sort();
        let recorded = rules(action);
        if said != recorded {
            return Err(format!("{action} has the rules {recorded:?}, the boxes are those of {said:?}"));
        }
    }
    let allows = filter("ALLOW").is_some();
    if allows && rules("ALLOW").is_empty() && !matches!(space.find(Outcome::Allowed), Ok(None)) {
        return Err("nothing passes, and some request is said to".to_owned());
    }
    let asks = space.rules().iter().any(|rule| matches!(rule.effect, Effect::Refuse | Effect::Delegate(_)));
    let all_pass = !allows && rules("DENY").is_empty() && !asks;
    if all_pass && !matches!(space.find(Outcome::Denied), Ok(None)) {
        return Err("everything passes, and some request is said not to".to_owned());
    }
    Ok(())
}
