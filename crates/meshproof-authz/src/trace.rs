//! Why it was decided so: per phase, per policy, per rule.

use meshproof_resources::{Action, Text};
use meshproof_source::Span;

use crate::attribute::Attribute;

/// The steps of an engine, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// CUSTOM policies; before tokens are looked at.
    Custom,
    /// AUDIT policies; never decide.
    Audit,
    /// DENY policies.
    Deny,
    /// ALLOW policies.
    Allow,
}

impl Phase {
    /// The phase of an action.
    pub fn of(action: Action) -> Phase {
        match action {
            Action::Custom => Phase::Custom,
            Action::Audit => Phase::Audit,
            Action::Deny => Phase::Deny,
            Action::Allow => Phase::Allow,
        }
    }
}

/// The whole story. Phases behind the deciding one are told too, so that near misses can be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// In the order in which they run; a phase without policies is left out.
    pub phases: Vec<PhaseTrace>,
}

/// One phase.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseTrace {
    /// Which.
    pub phase: Phase,
    /// Its policies, in the order given.
    pub policies: Vec<PolicyTrace>,
}

/// Whether a policy takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It decides.
    Enforced,
    /// It only reports what it would do.
    DryRun,
    /// The engine never gets it: AUDIT, CUSTOM, targetRefs or a dry run at ztunnel; AUDIT and CUSTOM in gRPC.
    NotSent,
    /// CUSTOM over HTTP on a TCP chain: the provider cannot be asked.
    Skipped,
}

/// One policy.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyTrace {
    /// Its place in the list that was handed in.
    pub policy: usize,
    /// `namespace/name`.
    pub id: String,
    /// Whether it takes part.
    pub standing: Standing,
    /// Its rules in order; none when it has none or does not take part.
    pub rules: Vec<RuleTrace>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleTrace {
    /// Its place in the policy.
    pub rule: usize,
    /// Where it stands.
    pub span: Span,
    /// What became of it.
    pub verdict: RuleVerdict,
    /// Values and fields that the engine leaves out of the rule.
    pub ignored: Vec<Ignored>,
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleVerdict {
    /// It matches.
    Matched,
    /// It does not. Every test that fails, of each part (`from`, `to`, `when`) that does not hold, in the order of the
    /// rule.
    Failed(Vec<FailedTest>),
    /// The engine does not have the rule.
    Dropped(Dropped),
}

impl RuleVerdict {
    /// How many tests would have to come out differently for the rule to match: of a part with alternatives, those of
    /// the nearest one. Nothing when it matches or can never match.
    pub fn tests_short(&self) -> Option<usize> {
        let RuleVerdict::Failed(failed) = self else { return None };
        let nearest = |of_part: fn(&Part) -> bool| {
            let of_items = failed.chunk_by(|a, b| a.part == b.part);
            of_items.filter(|tests| of_part(&tests[0].part)).map(<[FailedTest]>::len).min().unwrap_or(0)
        };
        let conditions = failed.iter().filter(|test| matches!(test.part, Part::When(_))).count();
        Some(
            nearest(|part| matches!(part, Part::From(_)))
                + nearest(|part| matches!(part, Part::To(_)))
                + conditions,
        )
    }
}

/// Which part of a rule, and which of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// `from[i].source`.
    From(usize),
    /// `to[i].operation`.
    To(usize),
    /// `when[i]`.
    When(usize),
}

/// A test that fails.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedTest {
    /// Where.
    pub part: Part,
    /// The alternative.
    pub span: Span,
    /// The field (`notPaths`), or the key of a condition.
    pub field: String,
    /// What it looks at; nothing for an item without a test.
    pub attribute: Option<Attribute>,
    /// Whether none of the values was to match.
    pub negated: bool,
    /// The values. Empty: ztunnel finds nothing in this item that it can test, and such an item never matches.
    pub wanted: Vec<Text>,
    /// What the request has there; nothing when it has no such thing.
    pub has: Vec<String>,
}

/// Why a rule is not there.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// Why.
    pub reason: Reason,
    /// The field or key to blame.
    pub field: String,
    /// Where it stands.
    pub span: Span,
}

/// A value or a list that does not count, although the rule does.
#[derive(Clone, Debug, PartialEq)]
pub struct Ignored {
    /// Why.
    pub reason: Reason,
    /// The field or key.
    pub field: String,
    /// Where it stands.
    pub span: Span,
}

/// Why an engine cannot use something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A property of HTTP on a TCP chain.
    HttpOnly,
    /// A property that ztunnel does not know.
    NotInZtunnel,
    /// No port.
    BadPort,
    /// No address or block.
    BadAddress,
    /// A key that istiod cannot translate.
    UntranslatableKey,
    /// A key that istiod does not know.
    UnknownKey,
}

impl Reason {
    /// One clause for a message, without a final stop.
    pub fn explanation(self) -> &'static str {
        match self {
            Reason::HttpOnly => "it exists in HTTP only and this is TCP",
            Reason::NotInZtunnel => "ztunnel does not know it",
            Reason::BadPort => "it is not a port",
            Reason::BadAddress => "it is not an address or block",
            Reason::UntranslatableKey => "istiod cannot translate the key",
            Reason::UnknownKey => "istiod does not know the key",
        }
    }
}
