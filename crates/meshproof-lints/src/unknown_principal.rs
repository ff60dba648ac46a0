//! `unknown-principal`: identities that name nothing in the input.

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_resources::{Attribute, Match};

use crate::Context;
use crate::deny_all_gap::closed::SHOWN;
use crate::never_matches::{attribute_name, identity};
use crate::policies::Policy;

const ID: &str = "unknown-principal";

/// Runs the lint: one finding per name, and one for all further names of a long list.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for policy in ctx.policies.iter() {
        let own = policy.namespace.and_then(|id| ctx.mesh.namespaces[id.index()].name.as_deref());
        for rule in policy.spec.rules.iter() {
            for source in rule.from.iter() {
                for (attribute, test) in source.fields() {
                    in_list(ctx, policy, own, attribute, test, &mut findings);
                }
            }
            for condition in rule.when.iter() {
                let attribute = match condition.key.value.as_str() {
                    "source.principal" => Attribute::Principals,
                    "source.namespace" => Attribute::Namespaces,
                    "source.serviceAccount" => Attribute::ServiceAccounts,
                    _ => continue,
                };
                in_list(ctx, policy, own, attribute, &condition.values, &mut findings);
            }
        }
    }
    findings
}

fn in_list(
    ctx: &Context<'_>,
    policy: &Policy<'_>,
    namespace: Option<&str>,
    attribute: Attribute,
    test: &Match,
    findings: &mut Vec<Finding>,
) {
    let start = findings.len();
    let mut further = 0;
    for value in test.values.iter().chain(test.not_values.iter()) {
        // Prefixes and stars are shapes, which other lints tell of; here it is about names.
        if value.value.starts_with("spiffe://") || value.value.contains('*') {
            continue;
        }
        let Some(never) = identity(attribute, value, namespace, &ctx.accounts) else { continue };
        // A list of thousands of strangers is one mistake; `deny-all-gap` shows as many of them.
        if findings.len() - start > SHOWN + 1 {
            further += 1;
            continue;
        }
        let field = attribute_name(attribute);
        let message = format!("{} names nobody in `{field}`: {}", policy.name(), value.value);
        let confidence = if never.certain { Confidence::Medium } else { Confidence::Low };
        let mut finding =
            Finding::new(ID, Level::Warning, Category::Dead, message, Label::new(value.span, never.reason))
                .with_resource(policy.meta.resource_name())
                .with_confidence(confidence);
        finding = match never.fix {
            Some(fix) => finding.with_help(format!("write {fix}")).with_edit(ctx.inner(value.span), fix),
            None => finding.with_help(
                "name an account that pods run under, or declare it under external.serviceAccounts in meshproof.yaml",
            ),
        };
        findings.push(finding);
    }
    if let Some(last) = findings.last_mut().filter(|_| further > 0) {
        last.message.push_str(&format!(" (and {further} more of the list)"));
    }
}
