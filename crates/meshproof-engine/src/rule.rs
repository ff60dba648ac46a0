//! Names of what decided.

use std::fmt;

use crate::bytes::{Numbers, U32s, place};
use crate::error::OpenError;
use crate::format::{NONE, POLICY};
use crate::kinds::Engine;
use crate::table::Table;

/// A rule of a table. Rules are ordered as they are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef(pub(crate) u32);

/// A provider of a table. Providers are ordered by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderRef(pub(crate) u32);

/// A rule by its policy and its place there. Its text is the name under which the engine reports it: Envoy
/// `ns[N]-policy[P]-rule[i]`, ztunnel `N/P`, gRPC `N-P-i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'t> {
    /// The namespace of the policy.
    pub namespace: &'t str,
    /// The name of the policy.
    pub policy: &'t str,
    /// The place of the rule in the policy, from 0.
    pub rule: u32,
    engine: Engine,
    /// What istiod writes around the name of a CUSTOM rule whose provider cannot be asked.
    around: [&'t str; 2],
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { namespace, policy, rule, engine, around: [before, behind] } = self;
        f.write_str(before)?;
        match engine {
            Engine::EnvoyHttp | Engine::EnvoyTcp => {
                write!(f, "ns[{namespace}]-policy[{policy}]-rule[{rule}]")
            }
            Engine::Ztunnel => write!(f, "{namespace}/{policy}"),
            Engine::Grpc => write!(f, "{namespace}-{policy}-{rule}"),
        }?;
        f.write_str(behind)
    }
}

/// By rule its place in its policy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RulePlaces<'t> {
    Narrow(&'t [u8]),
    Wide(U32s<'t>),
}

impl RulePlaces<'_> {
    pub fn get(self, rule: usize) -> Option<u32> {
        match self {
            RulePlaces::Narrow(places) => places.get(rule).copied().map(u32::from),
            RulePlaces::Wide(places) => (rule < places.len()).then(|| places.at(rule)),
        }
    }
}

/// The policies of rules, and their places there.
pub(crate) fn rules(bytes: &[u8], is_wide: bool) -> Result<(Numbers<'_>, RulePlaces<'_>), OpenError> {
    let (size, policy) = if is_wide { (8, 4) } else { (3, 2) };
    let count = bytes.len() / size;
    let halves = bytes.split_at_checked(count * policy).filter(|_| bytes.len().is_multiple_of(size));
    let (policies, places) = halves.ok_or(OpenError::Invalid { what: "half a rule", at: 0 })?;
    let places = if is_wide { RulePlaces::Wide(U32s::new(places)) } else { RulePlaces::Narrow(places) };
    Ok((Numbers::new(policies, is_wide), places))
}

impl<'t> Table<'t> {
    /// The rule; nothing for one of another table.
    pub fn rule(&self, rule: RuleRef) -> Option<Rule<'t>> {
        let at = place(rule.0);
        let rule = self.rule_places.get(at)?;
        let policy = place(self.rule_policies.at(at)).wrapping_mul(POLICY);
        let text = |at: usize| {
            let text = self.store.entries.pool().text(self.policies.at(policy + at));
            std::str::from_utf8(text).unwrap_or_default()
        };
        let around = text(2).split_once('\0').unwrap_or_default().into();
        Some(Rule { namespace: text(0), policy: text(1), rule, engine: self.store.engine, around })
    }

    /// The name of a provider; nothing for one of another table.
    pub fn provider(&self, provider: ProviderRef) -> Option<&'t str> {
        self.segments.get(place(provider.0)).map(|segment| segment.provider)
    }

    /// All rules, in the order in which they are reported.
    pub fn rules(&self) -> impl Iterator<Item = RuleRef> + use<'t> {
        (0..u32::try_from(self.rule_policies.len()).unwrap_or(NONE)).map(RuleRef)
    }
}
