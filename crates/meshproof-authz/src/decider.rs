//! From policies to a decision, for any number of requests.
//!
//! Order on an Envoy chain (Istio 1.32, `listener_builder.go`, `builder.go`): CUSTOM, tokens, AUDIT, DENY, ALLOW. All
//! policies of all scopes are one heap: none overrides another. The other engines skip what they do not know.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::context::{Context, Engine};
use crate::custom::{self, BAD_CUSTOM, custom_prefix, has_too_many_providers};
use crate::evaluate::{By, Decision, Delegation, DryRunResult, Evaluation, Matched, Note};
use crate::normalize::Refusal;
use crate::policy::Policy;
use crate::ready::ReadyRule;
use crate::request::{Peer, Request, Token};
use crate::semantics::PathNormalization;
use crate::tested::{CustomOutcome, needs_allow, standings};
use crate::trace::{Dropped, Phase, PhaseTrace, PolicyTrace, RuleTrace, RuleVerdict, Standing};
use crate::view::View;
use crate::{chain, grpc, ztunnel};

/// The policies of one enforcement point, read once.
///
/// [`Decider::decision`] and its neighbours tell what becomes of a request and stop where that is clear;
/// [`Decider::evaluate`] tells why. Both ask the same tests in the same order.
#[derive(Debug)]
pub struct Decider<'a> {
    context: Cow<'a, Context>,
    policies: Vec<ReadyPolicy<'a>>,
    /// Whether a request that nothing denies needs an ALLOW rule that matches.
    needs_allow: bool,
}

#[derive(Debug)]
struct ReadyPolicy<'a> {
    policy: Policy<'a>,
    phase: Phase,
    standing: Standing,
    /// What a match of an enforced CUSTOM policy leads to.
    custom: Option<CustomOutcome<'a>>,
    /// What the enforcement point is, as it was handed in.
    context: &'a Context,
    /// In order, each read when it is first asked; none when the policy does not take part.
    rules: Vec<OnceLock<Result<ReadyRule<'a>, Dropped>>>,
}

impl<'a> ReadyPolicy<'a> {
    /// A rule; nothing where there is none, or where the policy does not take part.
    fn rule(&self, at: usize) -> Option<&Result<ReadyRule<'a>, Dropped>> {
        let written = self.policy.spec.rules.get(at)?;
        Some(self.rules.get(at)?.get_or_init(|| match self.context.engine {
            Engine::Ztunnel => ztunnel::ready(written, &self.policy),
            _ => chain::ready(written, &self.policy, self.context),
        }))
    }

    fn rules(&self) -> impl Iterator<Item = &Result<ReadyRule<'a>, Dropped>> {
        (0..self.rules.len()).filter_map(|at| self.rule(at))
    }

    fn matches(&self, view: &View<'_>) -> bool {
        self.rules().flatten().any(|rule| rule.matches(view))
    }

    fn is_enforced(&self, phase: Phase) -> bool {
        self.phase == phase && self.standing == Standing::Enforced
    }

    /// Whether a match of the CUSTOM policy refuses the request.
    fn refuses(&self) -> bool {
        match self.custom {
            Some(CustomOutcome::Unusable | CustomOutcome::OnTrial) => true,
            Some(CustomOutcome::Asked { refuses, .. }) => refuses,
            None => false,
        }
    }

    /// The name under which the engine knows the rule.
    fn rule_id(&self, rule: usize, engine: Engine) -> String {
        match engine {
            Engine::EnvoyHttp | Engine::EnvoyTcp => self.policy.rule_id(rule),
            Engine::Ztunnel => self.policy.id(),
            Engine::Grpc => format!("{}-{}-{rule}", self.policy.namespace, self.policy.name),
        }
    }
}

/// What policies see.
struct Views<'v> {
    /// Before tokens are looked at; only where a CUSTOM policy may ask.
    early: Option<View<'v>>,
    late: View<'v>,
}

impl<'v> Views<'v> {
    fn of(&self, phase: Phase) -> &View<'v> {
        self.early.as_ref().filter(|_| phase == Phase::Custom).unwrap_or(&self.late)
    }
}

impl<'a> Decider<'a> {
    /// Reads the policies that apply to the enforcement point, of every action and in any order.
    pub fn new(policies: &[Policy<'a>], context: &'a Context) -> Decider<'a> {
        let too_many = has_too_many_providers(policies, context);
        let standings = standings(policies, context);
        let ready = |(policy, standing): (&Policy<'a>, Standing)| {
            let phase = Phase::of(policy.action());
            let takes_part = matches!(standing, Standing::Enforced | Standing::DryRun);
            let rules = policy.spec.rules.iter().filter(|_| takes_part).map(|_| OnceLock::new());
            let custom = (phase == Phase::Custom && standing == Standing::Enforced)
                .then(|| custom::custom_outcome(too_many, policy, context));
            ReadyPolicy { policy: *policy, phase, standing, custom, context, rules: rules.collect() }
        };
        let ready = policies.iter().zip(standings).map(ready).collect();
        let mut seen_in = Cow::Borrowed(context);
        if context.engine == Engine::Grpc {
            // There is no proxy, so nothing normalizes paths.
            seen_in.to_mut().semantics.normalization = PathNormalization::None;
        }
        Decider { context: seen_in, policies: ready, needs_allow: needs_allow(policies, context) }
    }

    /// What becomes of the request: [`Evaluation::decision`].
    pub fn decision(&self, request: &Request) -> Decision {
        match self.views(request) {
            Ok(views) => self.outcome(request, &views).0,
            Err(_) => Decision::Reject(400),
        }
    }

    /// Whether the request is allowed and one of these rules lets it in, each as the place of its policy and its own; where
    /// no ALLOW policy applies, whether it is allowed. Costs what refuses and these rules are, and not what else lets in.
    pub fn is_allowed_by(&self, rules: impl IntoIterator<Item = (usize, usize)>, request: &Request) -> bool {
        let Some(seen) = self.seen(request) else { return false };
        let mut rules = rules.into_iter();
        self.refused(request, &seen.views).is_none()
            && (!self.needs_allow
                || rules.any(|(policy, rule)| {
                    let of_allow = |policy: &ReadyPolicy<'_>| policy.is_enforced(Phase::Allow);
                    self.policies.get(policy).is_some_and(of_allow) && seen.is_matched_by(policy, rule)
                }))
    }

    /// Whether some provider is asked about the request: [`Evaluation::delegated`].
    pub fn is_delegated(&self, request: &Request) -> bool {
        let Ok(views) = self.views(request) else { return false };
        let asking =
            self.policies.iter().filter(|policy| matches!(policy.custom, Some(CustomOutcome::Asked { .. })));
        asking.into_iter().any(|policy| policy.matches(views.of(Phase::Custom)))
    }

    /// Whether the request is marked: [`Evaluation::audit`].
    pub fn is_audited(&self, request: &Request) -> bool {
        let Ok(views) = self.views(request) else { return false };
        self.any_matches(Phase::Audit, &views) && is_marked(&self.outcome(request, &views))
    }

    /// Whether the rule matches, whatever becomes of the request. `policy` is its place in what was handed in.
    pub fn matches(&self, policy: usize, rule: usize, request: &Request) -> bool {
        self.seen(request).is_some_and(|seen| seen.is_matched_by(policy, rule))
    }

    /// What the policies see of the request, for more than one question about it; nothing when it never gets as far as
    /// to them.
    pub fn seen<'d>(&'d self, request: &'d Request) -> Option<Seen<'d, 'a>> {
        Some(Seen { decider: self, request, views: self.views(request).ok()? })
    }

    /// The rules that match, whatever becomes of the request, each as the place of its policy and its own.
    pub fn matching(&self, request: &Request) -> Vec<(usize, usize)> {
        let Ok(views) = self.views(request) else { return Vec::new() };
        let mut found = Vec::new();
        for (at, policy) in self.policies.iter().enumerate() {
            let view = views.of(policy.phase);
            let rules = policy.rules().enumerate();
            let rules = rules.filter(|(_, rule)| rule.as_ref().is_ok_and(|rule| rule.matches(view)));
            found.extend(rules.map(|(rule, _)| (at, rule)));
        }
        found
    }

    /// The decision with all its reasons.
    pub fn evaluate(&self, request: &Request) -> Evaluation {
        let views = match self.views(request) {
            Ok(views) => views,
            Err(refusal) => {
                let reason = By::Proxy(refusal.detail().to_owned());
                return Evaluation::new(Decision::Reject(400), reason);
            }
        };
        let mut evaluation = Evaluation::new(Decision::Allow, By::NoAllowPolicy);
        evaluation.notes = self.notes();
        let found = self.trace(&views, &mut evaluation);
        let of = |phase: Phase, standing: Standing| {
            let list = found.iter().filter(move |found| (found.0, found.1) == (phase, standing));
            list.map(|found| found.2.clone()).collect::<Vec<Matched>>()
        };
        let on_trial =
            |policy: &ReadyPolicy<'_>| policy.phase == Phase::Allow && policy.standing == Standing::DryRun;
        evaluation.dry_run = DryRunResult {
            deny: of(Phase::Deny, Standing::DryRun).into_iter().min(),
            allow: of(Phase::Allow, Standing::DryRun).into_iter().min(),
            has_allow: self.policies.iter().any(on_trial),
        };
        let refusing = self.ask(of(Phase::Custom, Standing::Enforced), &mut evaluation);
        let outcome = self.outcome(request, &views);
        if is_marked(&outcome) {
            evaluation.audit = of(Phase::Audit, Standing::Enforced).into_iter().min();
        }
        let deciding = match &outcome.1 {
            By::Custom => refusing,
            By::Deny => of(Phase::Deny, Standing::Enforced),
            By::Allow => of(Phase::Allow, Standing::Enforced),
            By::AllowNoneMatched | By::NoAllowPolicy | By::Proxy(_) => Vec::new(),
        };
        evaluation.set(outcome.0, outcome.1, deciding);
        evaluation
    }

    /// # Errors
    /// The request never gets as far as to policies.
    fn views<'v>(&'v self, request: &'v Request) -> Result<Views<'v>, Refusal> {
        let mut late = match self.context.engine {
            // Tokens are unknown to a gRPC server.
            Engine::Grpc => View::before_tokens(request, &self.context)?,
            _ => View::new(request, &self.context)?,
        };
        if self.context.engine == Engine::Grpc {
            // Neither is known there: the client is whoever is at the other end.
            (late.sni, late.remote) = (None, late.source);
        }
        let asks_early = self.policies.iter().any(|policy| policy.phase == Phase::Custom);
        let early = if asks_early { Some(View::before_tokens(request, &self.context)?) } else { None };
        Ok(Views { early, late })
    }

    /// Who refuses first wins; without ALLOW policies the rest passes; else one has to match.
    fn outcome(&self, request: &Request, views: &Views<'_>) -> (Decision, By) {
        if let Some(refused) = self.refused(request, views) {
            refused
        } else if !self.needs_allow {
            (Decision::Allow, By::NoAllowPolicy)
        } else if self.any_matches(Phase::Allow, views) {
            (Decision::Allow, By::Allow)
        } else {
            (Decision::Deny, By::AllowNoneMatched)
        }
    }

    /// What refuses the request before ALLOW policies are asked.
    fn refused(&self, request: &Request, views: &Views<'_>) -> Option<(Decision, By)> {
        if self.any_matches(Phase::Custom, views) {
            return Some((Decision::Deny, By::Custom));
        }
        if let Some(reason) = self.refused_token(request, views) {
            return Some((Decision::Reject(401), By::Proxy(reason.to_owned())));
        }
        self.any_matches(Phase::Deny, views).then_some((Decision::Deny, By::Deny))
    }

    /// Whether an enforced policy of the phase matches; of CUSTOM policies those through which requests are refused.
    fn any_matches(&self, phase: Phase, views: &Views<'_>) -> bool {
        let view = views.of(phase);
        let mut policies = self.policies.iter().filter(|policy| policy.is_enforced(phase));
        policies.any(|policy| (phase != Phase::Custom || policy.refuses()) && policy.matches(view))
    }

    fn refused_token<'r>(&self, request: &'r Request, views: &Views<'_>) -> Option<&'r str> {
        let http = request.http.as_ref().filter(|_| self.context.engine == Engine::EnvoyHttp)?;
        let Token::Refused(reason) = &http.token else { return None };
        (!views.late.http.as_ref()?.is_preflight()).then_some(reason)
    }

    /// Tells the story of every policy; gives the rules that match.
    fn trace(&self, views: &Views<'_>, evaluation: &mut Evaluation) -> Vec<(Phase, Standing, Matched)> {
        let engine = self.context.engine;
        let mut found = Vec::new();
        for phase in [Phase::Custom, Phase::Audit, Phase::Deny, Phase::Allow] {
            let mut traces = Vec::new();
            let of_phase = self.policies.iter().enumerate().filter(|(_, policy)| policy.phase == phase);
            for (at, policy) in of_phase {
                let rules = policy.traces(views.of(phase));
                let mut matching: Vec<usize> = rules
                    .iter()
                    .filter(|rule| rule.verdict == RuleVerdict::Matched)
                    .map(|rule| rule.rule)
                    .collect();
                if engine == Engine::Ztunnel {
                    // It only knows policies.
                    matching.truncate(1);
                }
                let matched = |rule| Matched { id: policy.rule_id(rule, engine), policy: at, rule };
                found.extend(matching.into_iter().map(|rule| (phase, policy.standing, matched(rule))));
                let (id, standing) = (policy.policy.id(), policy.standing);
                traces.push(PolicyTrace { policy: at, id, standing, rules });
            }
            if !traces.is_empty() {
                evaluation.trace.phases.push(PhaseTrace { phase, policies: traces });
            }
        }
        found
    }

    /// Asks the providers; gives the rules through which the request is refused.
    fn ask(&self, matched: Vec<Matched>, evaluation: &mut Evaluation) -> Vec<Matched> {
        let mut refusing = Vec::new();
        for mut matched in matched {
            let policy = &self.policies[matched.policy];
            match policy.custom {
                None => {}
                Some(CustomOutcome::Unusable) => {
                    matched.id = format!("{}{}{BAD_CUSTOM}", custom_prefix(&policy.policy), matched.id);
                    refusing.push(matched);
                }
                Some(CustomOutcome::OnTrial) => {
                    matched.id.insert_str(0, &custom_prefix(&policy.policy));
                    refusing.push(matched);
                }
                Some(CustomOutcome::Asked { provider, answer, refuses }) => {
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

    fn notes(&self) -> Vec<Note> {
        let policies: Vec<Policy<'_>> = self.policies.iter().map(|ready| ready.policy).collect();
        match self.context.engine {
            Engine::EnvoyHttp => chain::notes(&policies),
            Engine::Grpc => grpc::notes(&policies),
            Engine::EnvoyTcp | Engine::Ztunnel => Vec::new(),
        }
    }
}

/// A request as the policies of a [`Decider`] see it.
pub struct Seen<'d, 'a> {
    decider: &'d Decider<'a>,
    request: &'d Request,
    views: Views<'d>,
}

impl Seen<'_, '_> {
    /// Turns it into the same request of another peer.
    pub fn set_peer(&mut self, peer: &Peer) {
        let context = &self.decider.context;
        [Some(&mut self.views.late), self.views.early.as_mut()]
            .into_iter()
            .flatten()
            .for_each(|view| view.set_peer(peer, context));
    }

    /// As [`Decider::matches`].
    pub fn is_matched_by(&self, policy: usize, rule: usize) -> bool {
        let Some(policy) = self.decider.policies.get(policy) else { return false };
        let Some(Ok(rule)) = policy.rule(rule) else { return false };
        rule.matches(self.views.of(policy.phase))
    }

    /// As [`Decider::decision`].
    pub fn decision(&self) -> Decision {
        self.decider.outcome(self.request, &self.views).0
    }
}

/// AUDIT runs behind CUSTOM and tokens: what these refuse is not marked.
fn is_marked((decision, by): &(Decision, By)) -> bool {
    *by != By::Custom && !matches!(decision, Decision::Reject(_))
}

impl ReadyPolicy<'_> {
    fn traces(&self, view: &View<'_>) -> Vec<RuleTrace> {
        let rules = self.rules().zip(self.policy.spec.rules.iter()).enumerate();
        let traced = rules.map(|(at, (ready, written))| {
            let (verdict, ignored) = match ready {
                Ok(rule) => (rule.verdict(view), rule.ignored.clone()),
                Err(dropped) => (RuleVerdict::Dropped(dropped.clone()), Vec::new()),
            };
            RuleTrace { rule: at, span: written.span, verdict, ignored }
        });
        traced.collect()
    }
}
