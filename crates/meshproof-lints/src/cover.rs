//! Whether one rule matches everything that another matches. Sound: `false` also where it cannot be told.

use meshproof_resources::{Attribute, Condition, Match, Operation, Rule, Source, Text};

use crate::accounts::principal;
use crate::patterns::covers_text;

/// Every request that `inner` matches is matched by `outer`. For rules of policies of one namespace, on the chains of
/// Envoy; at ztunnel a rule with HTTP fields may match less.
pub(crate) fn covers(outer: &Rule, inner: &Rule) -> bool {
    let from = outer.from.is_empty()
        || (!inner.from.is_empty()
            && inner.from.iter().all(|inner| outer.from.iter().any(|outer| source_covers(outer, inner))));
    let to = outer.to.is_empty()
        || (!inner.to.is_empty()
            && inner.to.iter().all(|inner| outer.to.iter().any(|outer| operation_covers(outer, inner))));
    let when = outer.when.iter().all(|outer| inner.when.iter().any(|inner| condition_covers(outer, inner)));
    from && to && when
}

fn source_covers(outer: &Source, inner: &Source) -> bool {
    fields_cover(&outer.fields(), &inner.fields(), |attribute, test| {
        attribute == Attribute::Namespaces
            && test.not_values.is_empty()
            && all_live_in(&inner.principals, test)
    })
}

fn operation_covers(outer: &Operation, inner: &Operation) -> bool {
    fields_cover(&outer.fields(), &inner.fields(), |_, _| false)
}

/// Field by field, where `otherwise` knows of an outer field that another inner one satisfies.
fn fields_cover(
    outer: &[(Attribute, &Match)],
    inner: &[(Attribute, &Match)],
    otherwise: impl Fn(Attribute, &Match) -> bool,
) -> bool {
    outer.iter().zip(inner).all(|((attribute, outer), (_, inner))| {
        let covers = |outer: &str, inner: &str| value_covers(*attribute, outer, inner);
        test_covers(outer, inner, covers, is_single(*attribute)) || otherwise(*attribute, outer)
    })
}

/// Whether every caller that a list of principals takes is of one of the namespaces; only for plain values.
fn all_live_in(principals: &Match, namespaces: &Match) -> bool {
    let of = |value: &Text| {
        let parts = principal(&value.value).filter(|_| !value.value.contains('*'))?;
        namespaces.values.iter().any(|namespace| namespace.value == parts.namespace).then_some(())
    };
    !principals.values.is_empty() && principals.values.iter().all(|value| of(value).is_some())
}

fn condition_covers(outer: &Condition, inner: &Condition) -> bool {
    // Claims and headers have several values at once, other keys have their own meaning of stars: equality is enough.
    let equal = |outer: &str, inner: &str| outer == inner;
    outer.key.value == inner.key.value && test_covers(&outer.values, &inner.values, equal, false)
}

/// A test that asks nothing covers every other; a positive list needs a narrower one, a negative list one that excludes
/// at least as much, or positive values that it does not exclude.
fn test_covers(outer: &Match, inner: &Match, covers: impl Fn(&str, &str) -> bool, single: bool) -> bool {
    let all_within = |outer: &[Text], inner: &[Text]| {
        !inner.is_empty() && inner.iter().all(|inner| outer.iter().any(|outer| covers(outer, inner)))
    };
    let positive = outer.values.is_empty() || all_within(&outer.values, &inner.values);
    let negative = outer.not_values.is_empty()
        || all_within(&inner.not_values, &outer.not_values)
        || (single
            && !inner.values.is_empty()
            && inner.values.iter().all(|value| is_apart(value, &outer.not_values)));
    positive && negative
}

/// The attribute has one value per request, so that one value excludes another.
fn is_single(attribute: Attribute) -> bool {
    matches!(attribute, Attribute::Principals | Attribute::Methods | Attribute::Paths)
}

/// A plain value that none of the excluded ones takes. Trust domains are left out of the comparison: aliases make
/// identities of different spelling one.
fn is_apart(value: &Text, excluded: &[Text]) -> bool {
    let tail = |text: &str| text.split_once('/').map_or(String::new(), |(_, tail)| tail.to_owned());
    let plain = |text: &str| !text.contains(['*', '{']);
    plain(value)
        && excluded.iter().all(|not| plain(not) && not.value != value.value && tail(not) != tail(value))
}

fn value_covers(attribute: Attribute, outer: &str, inner: &str) -> bool {
    match attribute {
        // The issuer ends at the last slash, and prefixes of identities are not expanded to aliases: with stars these
        // do not mean what their text says.
        Attribute::RequestPrincipals => outer == inner || (outer == "*" && inner != "*"),
        Attribute::Principals if outer != "*" && outer.ends_with('*') => outer == inner,
        Attribute::ServiceAccounts | Attribute::TrustDomains | Attribute::Ports => outer == inner,
        _ => covers_text(outer, inner),
    }
}
