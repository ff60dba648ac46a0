//! A decision with its reasons.

use std::fmt;

use meshproof_source::Span;

use crate::context::{Context, ProviderAnswer};
use crate::decider::Decider;
use crate::policy::Policy;
use crate::request::Request;
use crate::trace::Trace;

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
}

/// Decides one request. `policies` are those that apply to the enforcement point, of every action and in any order.
/// Whoever has many requests, or only needs the decision, reads the policies once with [`Decider::new`].
pub fn evaluate(policies: &[Policy<'_>], request: &Request, context: &Context) -> Evaluation {
    Decider::new(policies, context).evaluate(request)
}
