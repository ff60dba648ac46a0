//! ztunnel: connections, one identity, clauses instead of rules.
//!
//! Rules: Istio 1.32, `serviceregistry/ambient/authorization.go` (what is sent) and ztunnel, `rbac.rs`, `state.rs` (what
//! is decided).

use meshproof_grammar::namespace_pattern::NamespacePattern;
use meshproof_grammar::principal::PrincipalPattern;
use meshproof_grammar::service_account::ServiceAccountRef;
use meshproof_resources::{Action, Rule, Text};

use crate::attribute::Attribute;
use crate::context::Context;
use crate::matchers::{self, Surroundings, Wanted, identity};
use crate::policy::Policy;
use crate::ready::{Keep, ReadyRule};
use crate::rule::{Item, ReadRule};
use crate::trace::{Dropped, Ignored, Part, Reason, Standing};
use crate::view::Workload;

/// Whether and how a policy takes part.
pub(crate) fn standing(policy: &Policy<'_>, context: &Context) -> Standing {
    let is_sent =
        matches!(policy.action(), Action::Allow | Action::Deny) && policy.spec.target_refs.is_empty();
    match (is_sent, policy.is_dry_run()) {
        (true, false) => Standing::Enforced,
        (true, true) if context.semantics.ztunnel_dry_run => Standing::DryRun,
        _ => Standing::NotSent,
    }
}

/// The rule as ztunnel has it. An item without any test never matches.
///
/// # Errors
/// Why ztunnel does not have it.
pub(crate) fn ready<'a>(rule: &'a Rule, policy: &Policy<'a>) -> Result<ReadyRule<'a>, Dropped> {
    // An unknown key is one more that ztunnel does not know: the condition is there and nothing in it can be tested.
    let read = ReadRule::new(rule).map_err(|dropped| Dropped { reason: Reason::NotInZtunnel, ..dropped })?;
    let (layer_seven, ignored) = unusable(&read);
    if policy.action() == Action::Allow
        && let Some(Ignored { reason, field, span }) = layer_seven
    {
        return Err(Dropped { reason, field, span });
    }
    let keep = Keep {
        can_test: |item: &Item<'a>, attribute: &Attribute, value: &str| {
            is_known(attribute, item) && matchers::unusable(attribute, value).is_none()
        },
        read: |attribute: &Attribute, values: &[&'a Text]| {
            let values = values.iter().map(|value| value.value.as_str());
            wanted(attribute, values, policy.namespace)
        },
        wants_tests: true,
    };
    Ok(ReadyRule::new(&read, &keep, ignored))
}

/// Whether ztunnel has a test for the property here. Conditions know fewer than fields: `source.serviceAccount` and
/// `source.trustDomain` count as layer 7.
pub(crate) fn is_known(attribute: &Attribute, item: &Item<'_>) -> bool {
    let in_condition = matches!(item.part, Part::When(_));
    match attribute {
        Attribute::Principal
        | Attribute::Namespace
        | Attribute::SourceIp
        | Attribute::DestinationIp
        | Attribute::DestinationPort => true,
        Attribute::ServiceAccount => !in_condition,
        _ => false,
    }
}

/// What ztunnel leaves out; and the first of it that drops a rule of an ALLOW policy. The fields `trustDomains` and
/// `notTrustDomains` are forgotten in the conversion without dropping anything. Bad ports and addresses are skipped.
pub(crate) fn unusable(rule: &ReadRule<'_>) -> (Option<Ignored>, Vec<Ignored>) {
    let mut layer_seven = None;
    let mut ignored = Vec::new();
    for item in rule.items() {
        for test in &item.tests {
            let known = is_known(&test.attribute, item);
            let forgotten = test.attribute == Attribute::TrustDomain && !matches!(item.part, Part::When(_));
            for (_, name, values) in test.halves() {
                for value in values {
                    let reason = match known {
                        true => matchers::unusable(&test.attribute, &value.value),
                        false => Some(Reason::NotInZtunnel),
                    };
                    let Some(reason) = reason else { continue };
                    let entry = Ignored { reason, field: name.to_owned(), span: value.span };
                    if !known && !forgotten {
                        layer_seven.get_or_insert_with(|| entry.clone());
                    }
                    ignored.push(entry);
                }
            }
        }
    }
    (layer_seven, ignored)
}

/// One value that the identity of a peer may have.
#[derive(Debug)]
pub(crate) enum Test<'a> {
    Principal(PrincipalPattern),
    Namespace(NamespacePattern),
    /// With the namespace of the policy.
    ServiceAccount(ServiceAccountRef, &'a str),
}

impl Test<'_> {
    /// Identities are compared as written: no alias, no `cluster.local` for the mesh's own trust domain.
    pub fn is_met(&self, peer: &Workload) -> bool {
        match self {
            Test::Principal(pattern) => pattern.matches_principal(&peer.principal),
            Test::Namespace(pattern) => pattern.matches_namespace(&peer.id.namespace),
            Test::ServiceAccount(account, namespace) => {
                peer.id.namespace == account.namespace_in(namespace)
                    && peer.id.service_account == account.name
            }
        }
    }
}

/// Reads the values of a list.
fn wanted<'a>(
    attribute: &Attribute,
    values: impl Iterator<Item = &'a str>,
    namespace: &'a str,
) -> Wanted<'a> {
    let test: fn(&'a str, &'a str) -> Test<'a> = match attribute {
        Attribute::Principal => |value, _| Test::Principal(PrincipalPattern::parse(value)),
        Attribute::Namespace => |value, _| Test::Namespace(NamespacePattern::parse(value)),
        Attribute::ServiceAccount => {
            |value, namespace| Test::ServiceAccount(identity::service_account_ref(value), namespace)
        }
        // Addresses and ports are the same everywhere.
        _ => {
            let near = Surroundings { policy_namespace: namespace, trust_domains: None };
            return Wanted::new(attribute, values, near);
        }
    };
    Wanted::Workload(values.map(|value| test(value, namespace)).collect())
}
