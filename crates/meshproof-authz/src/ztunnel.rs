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
use crate::rule::{FieldTest, Item, ReadRule};
use crate::trace::{Dropped, Ignored, Reason, Standing};
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
            is_known(attribute, item.is_condition()) && matchers::unusable(attribute, value).is_none()
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
pub(crate) fn is_known(attribute: &Attribute, in_condition: bool) -> bool {
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

/// What ztunnel leaves out; and the first of it that drops a rule of an ALLOW policy.
fn unusable(rule: &ReadRule<'_>) -> (Option<Ignored>, Vec<Ignored>) {
    let mut first = None;
    let mut ignored = Vec::new();
    for item in rule.items() {
        let in_condition = item.is_condition();
        for test in &item.tests {
            first = first.or_else(|| layer_seven(test, in_condition));
            ignored.extend(left_out(test, in_condition));
        }
    }
    (first, ignored)
}

/// The first value of the test that drops a rule of an ALLOW policy: ztunnel has no test for its property. The fields
/// `trustDomains` and `notTrustDomains` are forgotten in the conversion without dropping anything. Bad ports and addresses
/// are skipped.
pub(crate) fn layer_seven(test: &FieldTest<'_>, in_condition: bool) -> Option<Ignored> {
    let forgotten = test.attribute == Attribute::TrustDomain && !in_condition;
    let drops = !forgotten && !is_known(&test.attribute, in_condition);
    drops.then(|| left_out(test, in_condition).next()).flatten()
}

/// Values of the test that ztunnel cannot test.
fn left_out(test: &FieldTest<'_>, in_condition: bool) -> impl Iterator<Item = Ignored> {
    let known = is_known(&test.attribute, in_condition);
    test.halves().into_iter().flat_map(move |(_, name, values)| {
        values.iter().filter_map(move |value| {
            let reason = match known {
                true => matchers::unusable(&test.attribute, &value.value)?,
                false => Reason::NotInZtunnel,
            };
            Some(Ignored { reason, field: name.to_owned(), span: value.span })
        })
    })
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
