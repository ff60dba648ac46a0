//! `restriction-without-effect`: a rule that asks for a caller, while a wider ALLOW rule lets in everybody whom it was meant
//! to keep out.

mod claims;

use meshproof_authz::{Attribute, Decision, Request, attributes_of, evaluate};
use meshproof_diagnostics::{Category, Confidence, Finding, Label};
use meshproof_resources::Action;
use meshproof_space::{Clause, LoweredRule, Outcome, RequestBox, RuleBoxes, RuleId, Space, Variable};

use crate::Context;
use crate::rule_worth::{Cover, RuleAt, Verdict};
use crate::shadowed_rule::level;
use crate::shown::{
    first_matching, matches, named_first, rule_name, rule_names, rule_of, rule_span, with_known_caller,
    witness,
};

const ID: &str = "restriction-without-effect";

/// Boxes of a rule in which a request is sought that slips through.
const TRIED: usize = 8;

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for policy in ctx.policies.iter().filter(|policy| policy.enforces(Action::Allow)) {
        for at in 0..policy.rules.len() {
            let rule = (policy.id, at);
            match ctx.worths().verdict(rule) {
                Verdict::Superfluous(cover) => findings.extend(finding(ctx, rule, cover)),
                Verdict::Fine => {
                    let cover = claims::cover(ctx, rule);
                    findings.extend(cover.and_then(|cover| finding(ctx, rule, &cover)));
                }
                _ => {}
            }
        }
    }
    findings
}

/// What a rule asks of callers and the rules that cover it do not, in words; nothing when it merely repeats them.
pub(crate) fn defeated(ctx: &Context<'_>, rule: RuleAt, cover: &Cover) -> Option<Vec<String>> {
    let allows =
        |rule: &RuleAt| ctx.policies.get(rule.0).is_some_and(|policy| policy.enforces(Action::Allow));
    if !allows(&rule) || !cover.by.iter().all(allows) {
        return None;
    }
    let asked = demands(ctx, rule);
    let covered: Vec<Demand> = cover.by.iter().flat_map(|other| demands(ctx, *other)).collect();
    let left: Vec<String> =
        asked.iter().filter(|demand| !covered.contains(demand)).map(Demand::name).collect();
    (!left.is_empty()).then_some(left)
}

/// A property of the caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Demand {
    Identity,
    Token,
    Claim(Vec<String>),
    Header(String),
    Address,
}

impl Demand {
    fn name(&self) -> String {
        match self {
            Demand::Identity => "identity".to_owned(),
            Demand::Token => "token".to_owned(),
            Demand::Claim(path) => format!("claim `{}`", path.join(".")),
            Demand::Header(name) => format!("header `{name}`"),
            Demand::Address => "address".to_owned(),
        }
    }

    fn of(variable: &Variable) -> Option<Demand> {
        match variable {
            Variable::Peer => Some(Demand::Identity),
            Variable::Token => Some(Demand::Token),
            Variable::Claim(path) => Some(Demand::Claim(path.clone())),
            Variable::Header(name) => Some(Demand::Header(name.clone())),
            Variable::SourceIp | Variable::RemoteIp => Some(Demand::Address),
            _ => None,
        }
    }

    fn of_attribute(attribute: &Attribute) -> Option<Demand> {
        match attribute {
            Attribute::Principal
            | Attribute::Namespace
            | Attribute::ServiceAccount
            | Attribute::TrustDomain => Some(Demand::Identity),
            Attribute::RequestPrincipal => Some(Demand::Token),
            Attribute::Claim(path) => Some(Demand::Claim(path.clone())),
            // Path, method and host of the request, by another name.
            Attribute::Header(name) if name.starts_with(':') || name.eq_ignore_ascii_case("host") => None,
            Attribute::Header(name) => Some(Demand::Header(name.to_ascii_lowercase())),
            Attribute::SourceIp | Attribute::RemoteIp => Some(Demand::Address),
            _ => None,
        }
    }
}

/// What a rule asks of the caller, as far as that is written.
fn demands(ctx: &Context<'_>, rule: RuleAt) -> Vec<Demand> {
    let Some(written) = rule_of(ctx, rule) else { return Vec::new() };
    let mut demands: Vec<Demand> =
        attributes_of(written).filter_map(|attribute| Demand::of_attribute(&attribute)).collect();
    demands.sort_unstable();
    demands.dedup();
    demands
}

fn finding(ctx: &Context<'_>, rule: RuleAt, cover: &Cover) -> Option<Finding> {
    let left = defeated(ctx, rule, cover)?;
    let policy = ctx.policies.get(rule.0)?;
    let written = rule_of(ctx, rule)?;
    let what = left.join(" and ");
    let others = rule_names(ctx, Some(rule), &cover.by);
    let message = format!(
        "{} restricts nobody: whatever {what} it asks for, {others} allows the same requests without",
        rule_name(ctx, rule),
    );
    let label = Label::new(rule_span(written), format!("this {what} is not needed"));
    let mut finding = Finding::new(ID, level(ctx, rule, &cover.by), Category::Hole, message, label)
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_help("narrow the wider rule, for instance with notPaths; to restrict what others allow, write a DENY policy");
    for other in cover.by.iter().take(3) {
        if let Some(other) = rule_of(ctx, *other) {
            finding = finding.with_related(rule_span(other), "this rule lets them in");
        }
    }
    let slipping = slipping(ctx, rule, cover);
    Some(match slipping {
        Some(witness) => finding.with_witness(witness),
        None => finding,
    })
}

/// A request of the operations of the rule that passes and does not meet what the rule asks for.
fn slipping(ctx: &Context<'_>, rule: RuleAt, cover: &Cover) -> Option<meshproof_diagnostics::Witness> {
    let (point, at) = ctx.worths().at(ctx, cover.point, cover.chain)?;
    let place = point.policies.iter().position(|id| *id == rule.0)?;
    let id = RuleId { policy: place, rule: rule.1 };
    let slips = |evaluation: &meshproof_authz::Evaluation| {
        evaluation.decision == Decision::Allow && !matches(evaluation, place, rule.1)
    };
    let request: Request = named_first(|domain| {
        let space = Space::new(&at.policies, &at.chain, domain);
        let lowered = space.rules().iter().find(|known| known.id == id)?;
        let probes = strangers(lowered);
        let space = Space::with_probes(&at.policies, &at.chain, domain, &probes);
        let mut found = (0..probes.len()).filter_map(|probe| space.find_in(Outcome::Allowed, probe).ok()?);
        found.find(|request| slips(&evaluate(&at.policies, request, &at.chain))).map(|request| *request)
    })?;
    let request = with_known_caller(ctx, &at, request, |request, decider| {
        !decider.matches(place, rule.1, request) && decider.decision(request) == Decision::Allow
    });
    let evaluation = evaluate(&at.policies, &request, &at.chain);
    let mut reasons = vec![format!("{} does not match", rule_name(ctx, rule))];
    let by = first_matching(point, &evaluation, &cover.by);
    reasons.extend(by.map(|other| format!("{} matches, and one rule is enough", rule_name(ctx, other))));
    let written: Vec<_> = rule_of(ctx, rule).into_iter().collect();
    Some(witness(ctx, point, &at, &request, &written, reasons))
}

/// Boxes of requests that fail one demand of the rule on the caller and meet everything else.
fn strangers(rule: &LoweredRule) -> Vec<RequestBox> {
    let RuleBoxes::Boxes(boxes) = &*rule.boxes else { return Vec::new() };
    let mut found = Vec::new();
    for each in boxes.iter().take(TRIED) {
        for (at, clause) in each.clauses.iter().enumerate() {
            if Demand::of(&clause.variable).is_none() {
                continue;
            }
            let negated = match clause.any_of.is_empty() {
                false => Clause::none(clause.variable.clone(), clause.any_of.clone()),
                true => Clause::any(clause.variable.clone(), clause.none_of.clone()),
            };
            let mut clauses = each.clauses.clone();
            clauses[at] = negated;
            // Other demands on the caller may go with it: who has no token has no claims.
            clauses
                .retain(|other| Demand::of(&other.variable).is_none() || other.variable == clause.variable);
            found.push(RequestBox::of(clauses));
        }
    }
    found
}
