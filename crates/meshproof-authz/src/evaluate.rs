//! From policies to a decision.
//!
//! Order on an Envoy chain (Istio 1.32, `listener_builder.go`, `builder.go`): CUSTOM, tokens, AUDIT, DENY, ALLOW. All
//! policies of all scopes are one heap: none overrides another.

use std::collections::BTreeSet;
use std::fmt;

use meshproof_resources::{Action, Rule, Text};
use meshproof_source::Span;

use crate::attribute::Attribute;
use crate::context::{Context, Engine, ProviderAnswer, ProviderKind};
use crate::matchers::{self, Surroundings};
use crate::normalize::Refusal;
use crate::policy::Policy;
use crate::request::{Request, Token};
use crate::rule::{Setting, judge};
use crate::tested::CustomOutcome;
use crate::trace::{Ignored, Phase, PhaseTrace, PolicyTrace, RuleTrace, RuleVerdict, Standing, Trace};
use crate::view::View;
use crate::{grpc, ztunnel};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// It passes.
    Allow,
    /// Policies refuse it: 403, or a closed connection.
    Deny,
    /// It is refused before policies are asked: 400 or 401.
    Reject(u16),
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// A CUSTOM policy: its provider refuses, or cannot be asked.
    Custom,
    /// A DENY policy.
    Deny,
    /// An ALLOW policy.
    Allow,
    /// There are ALLOW policies and none matches.
    AllowNoneMatched,
    /// Nothing refuses and there is no ALLOW policy.
    NoAllowPolicy,
    /// The proxy itself, with its reason.
    Proxy(String),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            By::Custom => "CUSTOM",
            By::Deny => "DENY",
            By::Allow => "ALLOW",
            By::AllowNoneMatched => "ALLOW-none-matched",
            By::NoAllowPolicy => "no-allow-policy",
            By::Proxy(reason) => reason,
        })
    }
}

/// A rule that matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matched {
    /// The name under which the engine knows it: `ns[N]-policy[P]-rule[i]` in Envoy, `N/P` in ztunnel, `N-P-i` in gRPC.
    pub id: String,
    /// The place of its policy in the list that was handed in.
    pub policy: usize,
    /// Its place in the policy.
    pub rule: usize,
}

/// A provider that is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Delegation {
    /// Its name.
    pub provider: String,
    /// The rule that sends the request there.
    pub rule: Matched,
    /// What it is taken to answer.
    pub answer: ProviderAnswer,
}

/// What the dry-run policies would have done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DryRunResult {
    /// The DENY rule that would have matched.
    pub deny: Option<Matched>,
    /// The ALLOW rule that would have matched.
    pub allow: Option<Matched>,
    /// There are ALLOW policies on trial, so without a match they would have refused.
    pub has_allow: bool,
}

/// Something that makes the decision less than certain, or surprising.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// What.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// The decision with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What becomes of the request, given that every provider in `delegated` whose answer is not known says yes.
    pub decision: Decision,
    /// What decided.
    pub by: By,
    /// The deciding rule: of those that match, the one whose name is lexically smallest, as Envoy reports it.
    pub rule: Option<Matched>,
    /// All rules that match in the deciding phase, by name.
    pub matched: Vec<Matched>,
    /// The AUDIT rule that marks the request; nothing when it is refused earlier.
    pub audit: Option<Matched>,
    /// The providers that are asked, by name.
    pub delegated: Vec<Delegation>,
    /// What dry-run policies would have done.
    pub dry_run: DryRunResult,
    /// What to be careful about.
    pub notes: Vec<Note>,
    /// Rule by rule.
    pub trace: Trace,
}

impl Evaluation {
    pub(crate) fn new(decision: Decision, by: By) -> Evaluation {
        Evaluation {
            decision,
            by,
            rule: None,
            matched: Vec::new(),
            audit: None,
            delegated: Vec::new(),
            dry_run: DryRunResult::default(),
            notes: Vec::new(),
            trace: Trace::default(),
        }
    }

    /// Sets the outcome; `matched` are the rules that decide.
    pub(crate) fn set(&mut self, decision: Decision, by: By, mut matched: Vec<Matched>) {
        matched.sort();
        (self.decision, self.by) = (decision, by);
        self.rule = matched.first().cloned();
        self.matched = matched;
    }

    /// The last step of every engine: who denies wins; without ALLOW policies the rest passes; else one has to match.
    pub(crate) fn conclude(&mut self, denying: Vec<Matched>, has_allow: bool, allowing: Vec<Matched>) {
        if !denying.is_empty() {
            self.set(Decision::Deny, By::Deny, denying);
        } else if !has_allow {
            self.set(Decision::Allow, By::NoAllowPolicy, Vec::new());
        } else if allowing.is_empty() {
            self.set(Decision::Deny, By::AllowNoneMatched, Vec::new());
        } else {
            self.set(Decision::Allow, By::Allow, allowing);
        }
    }
}

/// Decides one request. `policies` are those that apply to the enforcement point, of every action and in any order.
pub fn evaluate(policies: &[Policy<'_>], request: &Request, context: &Context) -> Evaluation {
    match context.engine {
        Engine::EnvoyHttp | Engine::EnvoyTcp => envoy(policies, request, context),
        Engine::Ztunnel => ztunnel::evaluate(policies, request, context),
        Engine::Grpc => grpc::evaluate(policies, request, context),
    }
}

/// An Envoy chain.
fn envoy(policies: &[Policy<'_>], request: &Request, context: &Context) -> Evaluation {
    let views = View::before_tokens(request, context)
        .and_then(|early| View::new(request, context).map(|view| (early, view)));
    let (early, view) = match views {
        Ok(views) => views,
        Err(refusal) => return refused(refusal),
    };
    let mut evaluation = Evaluation::new(Decision::Allow, By::NoAllowPolicy);
    evaluation.notes = notes(policies, context.engine);
    let mut shown = Rulings::default();
    for phase in [Phase::Custom, Phase::Audit, Phase::Deny, Phase::Allow] {
        let view = if phase == Phase::Custom { &early } else { &view };
        shown.phase(policies, phase, view, context);
    }
    decide(&mut evaluation, policies, request, context, &shown);
    evaluation.trace = shown.trace;
    evaluation
}

pub(crate) fn refused(refusal: Refusal) -> Evaluation {
    Evaluation::new(Decision::Reject(400), By::Proxy(refusal.detail().to_owned()))
}

/// Which rules match, by phase.
#[derive(Default)]
struct Rulings {
    trace: Trace,
    enforced: Vec<(Phase, Matched)>,
    dry: Vec<(Phase, Matched)>,
}

impl Rulings {
    fn phase(&mut self, policies: &[Policy<'_>], phase: Phase, view: &View<'_>, context: &Context) {
        let mut traces = Vec::new();
        let too_many = has_too_many_providers(policies, context);
        for (at, policy) in
            policies.iter().enumerate().filter(|(_, policy)| Phase::of(policy.action()) == phase)
        {
            let standing = standing(policy, context, too_many);
            let setting = Setting {
                view,
                near: surroundings(policy, context),
                action: policy.action(),
                is_tcp: context.engine == Engine::EnvoyTcp,
            };
            let rules = match standing {
                Standing::Skipped => Vec::new(),
                _ => rule_traces(policy, |rule| judge(rule, setting)),
            };
            for rule in rules.iter().filter(|rule| rule.verdict == RuleVerdict::Matched) {
                let matched = Matched { id: policy.rule_id(rule.rule), policy: at, rule: rule.rule };
                let list = if standing == Standing::DryRun { &mut self.dry } else { &mut self.enforced };
                list.push((phase, matched));
            }
            traces.push(PolicyTrace { policy: at, id: policy.id(), standing, rules });
        }
        if !traces.is_empty() {
            self.trace.phases.push(PhaseTrace { phase, policies: traces });
        }
    }

    fn of(list: &[(Phase, Matched)], phase: Phase) -> Vec<Matched> {
        list.iter().filter(|(of, _)| *of == phase).map(|(_, matched)| matched.clone()).collect()
    }
}

/// Judges every rule of a policy.
pub(crate) fn rule_traces(
    policy: &Policy<'_>,
    judge: impl Fn(&Rule) -> (RuleVerdict, Vec<Ignored>),
) -> Vec<RuleTrace> {
    let rules = policy.spec.rules.iter().enumerate();
    rules
        .map(|(at, rule)| {
            let (verdict, ignored) = judge(rule);
            RuleTrace { rule: at, span: rule.span, verdict, ignored }
        })
        .collect()
}

fn surroundings<'a>(policy: &Policy<'a>, context: &'a Context) -> Surroundings<'a> {
    Surroundings { policy_namespace: policy.namespace, trust_domains: Some(&context.trust_domains) }
}

pub(crate) fn standing(policy: &Policy<'_>, context: &Context, too_many: bool) -> Standing {
    let is_usable = !too_many && provider_problem(policy, context).is_none();
    match policy.action() {
        // Istio 1.32, `builder.go`: without a usable provider the rules on trial are forgotten.
        Action::Custom if policy.is_dry_run() && !is_usable => Standing::Skipped,
        Action::Custom if context.engine == Engine::EnvoyTcp && is_usable => {
            let kind =
                provider_name(policy).and_then(|name| context.providers.get(name)).map(|found| found.kind);
            if kind == Some(ProviderKind::Http) { Standing::Skipped } else { Standing::Enforced }
        }
        // With one, they stand among those that refuse. Admission knows no such policy.
        Action::Custom => Standing::Enforced,
        _ if policy.is_dry_run() => Standing::DryRun,
        _ => Standing::Enforced,
    }
}

fn provider_name<'a>(policy: &Policy<'a>) -> Option<&'a str> {
    policy.spec.provider.as_ref().map(|name| name.value.as_str()).filter(|name| !name.is_empty())
}

/// Whether several providers meet where istiod only knows one (Istio 1.32, `builder.go`).
pub(crate) fn has_too_many_providers(policies: &[Policy<'_>], context: &Context) -> bool {
    let customs = policies.iter().filter(|policy| policy.action() == Action::Custom);
    let providers: BTreeSet<Option<&str>> = customs.map(provider_name).collect();
    providers.len() > 1 && !context.semantics.multiple_custom_providers
}

/// What istiod appends to the names of rules that no provider can be asked about.
pub(crate) const BAD_CUSTOM: &str = "-deny-due-to-bad-CUSTOM-action";

/// What istiod writes before the names of a CUSTOM policy's rules.
pub(crate) fn custom_prefix(policy: &Policy<'_>) -> String {
    let provider = provider_name(policy).map(|name| format!("{name}-")).unwrap_or_default();
    format!("istio-ext-authz-{provider}")
}

/// Why the provider of a CUSTOM policy cannot be asked (Istio 1.32, `extauthz.go`).
fn provider_problem(policy: &Policy<'_>, context: &Context) -> Option<&'static str> {
    match provider_name(policy) {
        None => Some("the policy names no provider"),
        Some(name) if !context.providers.contains_key(name) => {
            Some("the mesh has no usable provider of that name")
        }
        Some(_) => None,
    }
}

fn decide(
    evaluation: &mut Evaluation,
    policies: &[Policy<'_>],
    request: &Request,
    context: &Context,
    found: &Rulings,
) {
    let enforced = |phase| Rulings::of(&found.enforced, phase);
    let dry = |phase| Rulings::of(&found.dry, phase);
    let dry_allow = |policy: &Policy<'_>| policy.action() == Action::Allow && policy.is_dry_run();
    evaluation.dry_run = DryRunResult {
        deny: dry(Phase::Deny).into_iter().min(),
        allow: dry(Phase::Allow).into_iter().min(),
        has_allow: policies.iter().any(dry_allow),
    };
    let refusing = custom(evaluation, policies, context, enforced(Phase::Custom));
    if !refusing.is_empty() {
        return evaluation.set(Decision::Deny, By::Custom, refusing);
    }
    if let Some(reason) = refused_token(request, context) {
        return evaluation.set(Decision::Reject(401), By::Proxy(reason), Vec::new());
    }
    evaluation.audit = enforced(Phase::Audit).into_iter().min();
    let has_allow = policies.iter().any(|policy| policy.action() == Action::Allow && !policy.is_dry_run());
    evaluation.conclude(enforced(Phase::Deny), has_allow, enforced(Phase::Allow));
}

/// What becomes of a request that the CUSTOM policy matches.
pub(crate) fn custom_outcome<'a>(
    too_many: bool,
    policy: &Policy<'a>,
    context: &Context,
) -> CustomOutcome<'a> {
    let provider = provider_name(policy).and_then(|name| Some((name, context.providers.get(name)?)));
    let Some((name, provider)) = provider.filter(|_| !too_many) else { return CustomOutcome::Unusable };
    if policy.is_dry_run() {
        return CustomOutcome::OnTrial;
    }
    let refuses = match provider.answer {
        ProviderAnswer::Unknown | ProviderAnswer::Allow => false,
        ProviderAnswer::Deny => true,
        ProviderAnswer::Error => !provider.fail_open,
    };
    CustomOutcome::Asked { provider: name, answer: provider.answer, refuses }
}

/// Asks the providers; gives the rules through which the request is refused.
fn custom(
    evaluation: &mut Evaluation,
    policies: &[Policy<'_>],
    context: &Context,
    matched: Vec<Matched>,
) -> Vec<Matched> {
    let too_many = has_too_many_providers(policies, context);
    let mut refusing = Vec::new();
    for mut matched in matched {
        let policy = &policies[matched.policy];
        match custom_outcome(too_many, policy, context) {
            CustomOutcome::Unusable => {
                matched.id = format!("{}{}{BAD_CUSTOM}", custom_prefix(policy), matched.id);
                refusing.push(matched);
            }
            CustomOutcome::OnTrial => {
                matched.id.insert_str(0, &custom_prefix(policy));
                refusing.push(matched);
            }
            CustomOutcome::Asked { provider, answer, refuses } => {
                if refuses {
                    refusing.push(matched.clone());
                }
                let delegation = Delegation { provider: provider.to_owned(), rule: matched, answer };
                evaluation.delegated.push(delegation);
            }
        }
    }
    evaluation.delegated.sort_by(|a, b| (&a.provider, &a.rule).cmp(&(&b.provider, &b.rule)));
    refusing
}

fn refused_token(request: &Request, context: &Context) -> Option<String> {
    let http = request.http.as_ref().filter(|_| context.engine == Engine::EnvoyHttp)?;
    let Token::Refused(reason) = &http.token else { return None };
    let preflight = View::before_tokens(request, context).ok()?.http?.is_preflight();
    (!preflight).then(|| reason.clone())
}

/// Values that make Envoy refuse what istiod sends.
fn notes(policies: &[Policy<'_>], engine: Engine) -> Vec<Note> {
    if engine != Engine::EnvoyHttp {
        return Vec::new();
    }
    let operations =
        policies.iter().flat_map(|policy| policy.spec.rules.iter()).flat_map(|rule| rule.to.iter());
    operations
        .flat_map(|operation| operation.paths.values.iter().chain(operation.paths.not_values.iter()))
        .filter(|value: &&Text| matchers::template_is_refused(&value.value))
        .map(|value| Note {
            message: format!(
                "Envoy refuses the path template `{}` and with it the whole listener; what it then does depends on the \
                 configuration it had before",
                value.value
            ),
            span: value.span,
        })
        .collect()
}

/// What a note says of a property that an engine does not test reliably.
pub(crate) fn unreliable(attribute: &Attribute) -> bool {
    matches!(
        attribute,
        Attribute::RequestPrincipal
            | Attribute::Claim(_)
            | Attribute::Metadata { .. }
            | Attribute::Sni
            | Attribute::RemoteIp
    )
}
