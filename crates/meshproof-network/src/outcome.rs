//! What may become of a packet on its way through ordered policies.
//!
//! Where a rule or a policy only may apply, the evaluation goes on both ways at once. An [`Outcomes`] holds for each
//! end that the way may take the first thing that leads there.

use meshproof_ir::ResourceId;
use meshproof_source::Span;

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A rule of a policy.
    Rule(ResourceId, Span),
    /// A policy none of whose rules matches.
    Policy(ResourceId),
    /// The default action of a tier.
    Tier(usize),
}

/// Why something may come out another way.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    /// The policy in doubt; none where several are.
    pub(crate) policy: Option<ResourceId>,
    /// For people.
    pub(crate) reason: String,
}

/// Something that leads to an outcome.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    /// What decides.
    pub(crate) by: By,
    /// Why it may come out another way.
    pub(crate) doubt: Option<Doubt>,
}

/// The outcomes that are possible behind a part of the policies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) allow: Option<Cause>,
    pub(crate) deny: Option<Cause>,
    /// On to the next tier.
    pub(crate) pass: Option<Cause>,
    /// A policy selects the pods and none of its rules matches.
    pub(crate) undecided: Option<Cause>,
    /// No policy selects the pods.
    pub(crate) unselected: bool,
}

impl Outcomes {
    /// Whether anything may let the packet pass.
    pub(crate) fn may_pass(&self) -> bool {
        self.allow.is_some() || self.unselected
    }

    /// Before any policy.
    pub(crate) fn start() -> Self {
        Outcomes { unselected: true, ..Outcomes::default() }
    }

    /// Whether what follows is asked at all.
    pub(crate) fn is_open(&self) -> bool {
        self.undecided.is_some() || self.unselected
    }

    /// These policies, then those.
    pub(crate) fn then(self, next: Outcomes) -> Outcomes {
        if !self.is_open() {
            return self;
        }
        let stays = self.undecided.filter(|_| next.undecided.is_some() || next.unselected);
        Outcomes {
            allow: self.allow.or(next.allow),
            deny: self.deny.or(next.deny),
            pass: self.pass.or(next.pass),
            undecided: stays.or(next.undecided),
            unselected: self.unselected && next.unselected,
        }
    }

    /// Both groups of policies, in an order that is not known; `doubt` says why.
    pub(crate) fn in_any_order(self, other: Outcomes, doubt: &str) -> Outcomes {
        let open = self.is_open() && other.is_open();
        let ends = |one: &Outcomes| [one.allow.is_some(), one.deny.is_some(), one.pass.is_some()];
        // The order matters only where both may decide, and not the same.
        let conflict = [ends(&self), ends(&other)];
        let matters =
            (0..3).any(|left| (0..3).any(|right| left != right && conflict[0][left] && conflict[1][right]));
        let unselected = open && self.unselected && other.unselected;
        let undecided = self.undecided.or(other.undecided).filter(|_| open);
        let join = |left: Option<Cause>, right: Option<Cause>| {
            let mut cause = left.or(right)?;
            if matters {
                cause.doubt.get_or_insert_with(|| Doubt { policy: None, reason: doubt.to_owned() });
            }
            Some(cause)
        };
        Outcomes {
            allow: join(self.allow, other.allow),
            deny: join(self.deny, other.deny),
            pass: join(self.pass, other.pass),
            undecided,
            unselected,
        }
    }

    /// The same when the policy may not be in force.
    pub(crate) fn doubted(mut self, doubt: &Doubt) -> Outcomes {
        for cause in
            [&mut self.allow, &mut self.deny, &mut self.pass, &mut self.undecided].into_iter().flatten()
        {
            cause.doubt.get_or_insert_with(|| doubt.clone());
        }
        self.unselected = true;
        self
    }
}
