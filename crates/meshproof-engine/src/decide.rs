//! What becomes of a request.

use crate::attributes::{Connection, RequestAttributes};
use crate::bytes::place;
use crate::context::Context;
use crate::format::NONE;
use crate::hits::{Asked, Hits};
use crate::kinds::Effect;
use crate::rule::{ProviderRef, RuleRef};
use crate::table::Table;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It is refused: 403, or a closed connection.
    Deny,
    /// A provider has to be asked. If it refuses, so is the request; else go on with [`Table::decide_after`].
    AskProvider(ProviderRef),
    /// A connection alone does not decide; see [`Table::decide_connection`].
    NeedsL7,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// A CUSTOM policy.
    Custom,
    /// A DENY policy.
    Deny,
    /// An ALLOW policy.
    Allow,
    /// There are ALLOW policies and none matches.
    AllowNoneMatched,
    /// Nothing refuses and there is no ALLOW policy.
    NoAllowPolicy,
    /// The context is of another table, or was never prepared: refused. Prepare it again.
    Stale,
    /// There is no table, or none that can be read: refused.
    NoTable,
}

/// What policies on trial would have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DryRun {
    /// The DENY rule that would have matched.
    pub deny: Option<RuleRef>,
    /// The ALLOW rule that would have matched.
    pub allow: Option<RuleRef>,
}

/// What becomes of a request, and why. Names of rules come from [`Table::rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// What becomes of it.
    pub verdict: Verdict,
    /// What decided.
    pub phase: Phase,
    /// The deciding rule: of those that match the first in the order of reports that the table was made with.
    pub rule: Option<RuleRef>,
    /// The AUDIT rule that marks the request.
    pub audit: Option<RuleRef>,
    /// What policies on trial would have done.
    pub dry_run: DryRun,
}

impl Decision {
    /// What is said when there is no table to ask: a request that nobody can judge is refused.
    pub const NO_TABLE: Decision = Decision::because(Verdict::Deny, Phase::NoTable);

    const fn because(verdict: Verdict, phase: Phase) -> Decision {
        let dry_run = DryRun { deny: None, allow: None };
        Decision { verdict, phase, rule: None, audit: None, dry_run }
    }

    /// Whether the request passes.
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

impl<'t> Table<'t> {
    /// Decides a request on a prepared connection. CUSTOM policies come first, so the answer may be that a provider is to
    /// be asked. A context of another table refuses ([`Phase::Stale`]); [`Table::decide_on`] prepares it again instead.
    ///
    /// Policies behind CUSTOM see tokens, those of CUSTOM do not. Where the verification of tokens changes the request (it
    /// takes the token out of `authorization`), ask [`Table::custom`] before it and [`Table::policies`] behind it.
    #[inline]
    pub fn decide(&self, context: &Context, request: &impl RequestAttributes) -> Decision {
        match self.custom(context, request, None) {
            Some(decision) => decision,
            None => self.policies(context, request),
        }
    }

    /// Goes on after the provider let the request pass: the next provider, or the policies behind CUSTOM.
    pub fn decide_after(
        &self,
        provider: ProviderRef,
        context: &Context,
        request: &impl RequestAttributes,
    ) -> Decision {
        match self.custom(context, request, Some(provider)) {
            Some(decision) => decision,
            None => self.policies(context, request),
        }
    }

    /// Decides a request, and prepares the context first when it is of another table, as after a reload. The context belongs
    /// to the connection: it still holds for the one that it was last prepared for, so for a new connection, or one whose
    /// names changed, call [`Table::prepare`].
    #[inline]
    pub fn decide_on(
        &self,
        connection: &Connection<'_>,
        context: &mut Context,
        request: &impl RequestAttributes,
    ) -> Decision {
        if !self.is_prepared(context) {
            self.prepare(connection, context);
        }
        self.decide(context, request)
    }

    /// Whether the context was prepared for a table with these bytes.
    #[inline(always)]
    pub fn is_prepared(&self, context: &Context) -> bool {
        context.is_of(self.stamp)
    }

    /// What CUSTOM policies say: nothing, that the request is refused, or which provider is to be asked, those after
    /// `after` in the order of their names.
    #[inline]
    pub fn custom(
        &self,
        context: &Context,
        request: &impl RequestAttributes,
        after: Option<ProviderRef>,
    ) -> Option<Decision> {
        if !self.is_prepared(context) {
            return Some(Decision::because(Verdict::Deny, Phase::Stale));
        }
        if self.custom_end == 0 {
            return None;
        }
        let from = after.map_or(0, |provider| provider.0.saturating_add(1));
        let hits = self.hits(context, request, Asked { from: 0, end: self.custom_end, provider: from });
        let rule = hits.of(Effect::Refuse);
        if rule.is_some() {
            return Some(Decision { rule, ..Decision::because(Verdict::Deny, Phase::Custom) });
        }
        let rule = hits.of(Effect::Ask)?;
        let verdict = Verdict::AskProvider(ProviderRef(hits.segment));
        Some(Decision { rule: Some(rule), ..Decision::because(verdict, Phase::Custom) })
    }

    /// What the policies behind CUSTOM say.
    #[inline]
    pub fn policies(&self, context: &Context, request: &impl RequestAttributes) -> Decision {
        if !self.is_prepared(context) {
            return Decision::because(Verdict::Deny, Phase::Stale);
        }
        let asked = Asked { from: self.custom_end, end: NONE, provider: 0 };
        self.conclude(&self.hits(context, request, asked))
    }

    #[inline(always)]
    fn conclude(&self, hits: &Hits) -> Decision {
        let (deny, allow) = (hits.of(Effect::Deny), hits.of(Effect::Allow));
        let (verdict, phase, rule) = match (deny, self.needs_allow, allow) {
            (Some(rule), ..) => (Verdict::Deny, Phase::Deny, Some(rule)),
            (None, false, _) => (Verdict::Allow, Phase::NoAllowPolicy, None),
            (None, true, Some(rule)) => (Verdict::Allow, Phase::Allow, Some(rule)),
            (None, true, None) => (Verdict::Deny, Phase::AllowNoneMatched, None),
        };
        let dry_run = DryRun { deny: hits.of(Effect::DryDeny), allow: hits.of(Effect::DryAllow) };
        Decision { verdict, phase, rule, audit: hits.of(Effect::Audit), dry_run }
    }

    /// Decides a connection without a request: what is not HTTP, or HTTP that has not come yet. The answer is
    /// [`Verdict::NeedsL7`] when it depends on what the request will be.
    pub fn decide_connection(&self, context: &Context) -> Decision {
        self.connection_from(context, 0)
    }

    /// Goes on after the provider let the connection pass.
    pub fn decide_connection_after(&self, provider: ProviderRef, context: &Context) -> Decision {
        self.connection_from(context, provider.0.saturating_add(1))
    }

    fn connection_from(&self, context: &Context, provider: u32) -> Decision {
        if !self.is_prepared(context) {
            return Decision::because(Verdict::Deny, Phase::Stale);
        }
        let mut hits = Hits::NOTHING;
        let (mut may_refuse, mut may_allow) = (false, false);
        let asked = Asked { from: 0, end: NONE, provider };
        let mut take = |rule: u32, segment: u32, is_open: bool| {
            let effect = self.segments.get(place(segment)).map(|segment| segment.effect);
            if effect == Some(Effect::Ask) && segment < provider {
                return;
            }
            if !is_open {
                return self.hit(rule, segment, asked, &mut hits);
            }
            may_refuse |= matches!(effect, Some(Effect::Refuse | Effect::Ask | Effect::Deny));
            may_allow |= effect == Some(Effect::Allow);
        };
        if let Some(by_rows) = &self.by_rows {
            for row in context.rows() {
                let rule = by_rows.scripts.layout.rule(*row);
                take(rule, self.segment_of_rule(rule), by_rows.asks_request(*row));
            }
        }
        let live = context.live();
        for (word, rows) in live.words().zip(live.masks.iter().copied()) {
            let open = rows & self.looks_at_request.get(place(word)).copied().unwrap_or_default();
            for (rows, is_open) in
                [(open, true), (rows & !open, false)].into_iter().filter(|(rows, _)| *rows != 0)
            {
                // Within a word rows are ordered as rules are reported, so the first counts.
                let row = word.wrapping_mul(64).wrapping_add(rows.trailing_zeros());
                take(self.row_rules.at(place(row)), self.segment_of(word), is_open);
            }
        }
        let custom =
            |verdict, rule| Decision { rule: Some(rule), ..Decision::because(verdict, Phase::Custom) };
        if let Some(rule) = hits.of(Effect::Refuse) {
            return custom(Verdict::Deny, rule);
        }
        let said = self.conclude(&hits);
        // Whatever a provider says, and whatever the request is.
        if said.phase == Phase::Deny {
            return said;
        }
        if may_refuse || (self.needs_allow && may_allow && hits.of(Effect::Allow).is_none()) {
            return Decision { verdict: Verdict::NeedsL7, rule: None, ..said };
        }
        match hits.of(Effect::Ask) {
            Some(rule) => custom(Verdict::AskProvider(ProviderRef(hits.segment)), rule),
            None => said,
        }
    }
}
