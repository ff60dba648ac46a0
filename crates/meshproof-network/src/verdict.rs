//! What is answered.

use meshproof_ir::ResourceId;
use meshproof_source::Span;

/// Whether packets get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Passage {
    /// They do.
    Allowed,
    /// They are dropped.
    Denied,
    /// The input cannot tell.
    Unknown,
}

/// An object that has a say, and the place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deciding {
    /// The policy.
    pub object: ResourceId,
    /// The rule that decides; the name of the policy where no rule does.
    pub span: Span,
}

/// What the policies of one end say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The answer.
    pub passage: Passage,
    /// Why, in one line for people.
    pub reason: String,
    /// Who decides: the rule that allows or denies; the policies that select the end when none of their rules matches
    /// (the first few); what leaves it open when the answer is unknown. Empty where no policy has a say.
    pub deciding: Vec<Deciding>,
}

/// What the policies of both ends say; packets pass when both allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// May the destination receive it?
    pub ingress: Leg,
    /// May the source send it?
    pub egress: Leg,
}

impl Verdict {
    /// Both legs together: denied where one denies, else unknown where one is unknown.
    pub fn passage(&self) -> Passage {
        match (self.ingress.passage, self.egress.passage) {
            (Passage::Denied, _) | (_, Passage::Denied) => Passage::Denied,
            (Passage::Unknown, _) | (_, Passage::Unknown) => Passage::Unknown,
            (Passage::Allowed, Passage::Allowed) => Passage::Allowed,
        }
    }

    /// The leg that settles [`Verdict::passage`].
    pub fn deciding_leg(&self) -> &Leg {
        if self.ingress.passage == self.passage() { &self.ingress } else { &self.egress }
    }
}

impl Leg {
    pub(crate) fn allowed(reason: impl Into<String>) -> Leg {
        Leg { passage: Passage::Allowed, reason: reason.into(), deciding: Vec::new() }
    }
}
