//! A plain scan, the way ztunnel goes through its policies: rule by rule until one matches, every attribute of a rule asked
//! until one fails.

use crate::workload::{Case, Operation, Pattern, Rule, Rules, Source};

/// Whether the request passes.
pub fn allows(rules: &Rules, case: &Case) -> bool {
    let principal = case.name.strip_prefix("spiffe://").unwrap_or_default();
    let namespace = principal.split('/').nth(2).unwrap_or_default();
    let meets = |rule: &&Rule| {
        let from = rule.sources.is_empty()
            || rule.sources.iter().any(|source| has_source(source, principal, namespace, case));
        from && rule.operations.iter().any(|operation| has_operation(operation, case))
            && rule.header.as_ref().is_none_or(|(name, pattern)| {
                case.headers.iter().any(|(key, value)| key == name && pattern.matches(value))
            })
    };
    if rules.0.iter().filter(|rule| rule.denies).any(|rule| meets(&rule)) {
        return false;
    }
    let mut allowing = rules.0.iter().filter(|rule| !rule.denies).peekable();
    allowing.peek().is_none() || allowing.any(|rule| meets(&rule))
}

fn any_or_none(patterns: &[Pattern], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
}

fn is_in((block, length): &([u8; 4], u8), address: [u8; 4]) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
    u32::from_be_bytes(*block) & mask == u32::from_be_bytes(address) & mask
}

fn has_source(source: &Source, principal: &str, namespace: &str, case: &Case) -> bool {
    any_or_none(&source.principals, principal)
        && !source.not_principals.iter().any(|pattern| pattern.matches(principal))
        && (source.namespaces.is_empty() || source.namespaces.iter().any(|own| own == namespace))
        && (source.blocks.is_empty() || source.blocks.iter().any(|block| is_in(block, case.source)))
        && !source.not_blocks.iter().any(|block| is_in(block, case.source))
}

fn has_operation(operation: &Operation, case: &Case) -> bool {
    (operation.methods.is_empty() || operation.methods.contains(&case.method))
        && !operation.not_methods.contains(&case.method)
        && any_or_none(&operation.paths, &case.path)
        && !operation.not_paths.iter().any(|pattern| pattern.matches(&case.path))
        && any_or_none(&operation.hosts, &case.host)
        && (operation.ports.is_empty() || operation.ports.contains(&case.port))
}
