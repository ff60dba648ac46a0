//! Single values that no request has: identities of nobody, methods in lower case, paths that no path equals.

use meshproof_grammar::path_template::is_template;
use meshproof_grammar::pattern::Pattern;
use meshproof_resources::{Attribute, Text};

use super::{Cause, Never};
use crate::accounts::{Accounts, Existence, principal};

/// Why nobody can have an identity.
pub(crate) fn identity(
    attribute: Attribute,
    value: &Text,
    namespace: Option<&str>,
    accounts: &Accounts<'_>,
) -> Option<Never> {
    match attribute {
        Attribute::Principals => dead_principal(value, accounts),
        Attribute::ServiceAccounts => {
            let (namespace, account) = match value.value.split_once('/') {
                Some(parts) => parts,
                None => (namespace?, value.value.as_str()),
            };
            let short = !value.value.contains('/');
            missing(value, accounts.account(namespace, account), namespace, account, |meant| {
                let account = meant.split_once('/').filter(|_| short).map_or(meant, |(_, account)| account);
                account.to_owned()
            })
        }
        Attribute::Namespaces if !value.value.contains('*') => match accounts.namespace(&value.value) {
            Existence::Missing { certain, meant: Some(meant) } => Some(Never {
                span: value.span,
                reason: format!("no namespace {} is in the input; did you mean {meant}?", value.value),
                cause: Cause::Identity,
                certain,
                fix: Some(meant),
            }),
            _ => None,
        },
        _ => None,
    }
}

fn dead_principal(value: &Text, accounts: &Accounts<'_>) -> Option<Never> {
    let text = value.value.as_str();
    let never = |reason: String, certain: bool, fix: Option<String>| {
        Some(Never { span: value.span, reason, cause: Cause::Identity, certain, fix })
    };
    if let Some(bare) = text.strip_prefix("spiffe://") {
        let reason = "principals are written without `spiffe://`; with it the value matches nobody";
        return never(reason.to_owned(), true, Some(bare.to_owned()));
    }
    if text.contains('*') {
        let oddity = Pattern::parse(text).oddity()?;
        return never(format!("{}, and no identity contains one", oddity.kind.explanation()), true, None);
    }
    if let Some(parts) = principal(text) {
        if !accounts.is_own_trust_domain(parts.trust_domain) {
            return None;
        }
        let existence = accounts.account(parts.namespace, parts.account);
        return missing(value, existence, parts.namespace, parts.account, |meant| {
            let (namespace, account) = meant.split_once('/').unwrap_or((parts.namespace, meant));
            format!("{}/ns/{namespace}/sa/{account}", parts.trust_domain)
        });
    }
    let shape = "TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT";
    if !text.is_empty() && !text.contains('/') {
        return never(format!("`{text}` is no whole identity; principals look like {shape}"), true, None);
    }
    // `namespace/account` belongs into serviceAccounts.
    let (namespace, account) = text.split_once('/').filter(|(_, account)| !account.contains('/'))?;
    if !accounts.contains(namespace, account) {
        return None;
    }
    let fix = format!("{}/ns/{namespace}/sa/{account}", accounts.trust_domain());
    never(format!("`{text}` is no whole identity; principals look like {shape}"), true, Some(fix))
}

fn missing(
    value: &Text,
    existence: Existence,
    namespace: &str,
    account: &str,
    rewrite: impl Fn(&str) -> String,
) -> Option<Never> {
    let Existence::Missing { certain, meant } = existence else { return None };
    let mut reason = format!("no service account {namespace}/{account}");
    if let Some(meant) = &meant {
        reason.push_str(&format!("; did you mean {meant}?"));
    }
    let fix = meant.as_deref().map(rewrite);
    Some(Never { span: value.span, reason, cause: Cause::Identity, certain, fix })
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// Methods are compared letter by letter, and clients send the standard ones in upper case.
pub(super) fn method(value: &Text) -> Option<Never> {
    let upper = value.value.to_ascii_uppercase();
    if upper == value.value || !METHODS.contains(&upper.as_str()) {
        return None;
    }
    Some(Never {
        span: value.span,
        reason: format!("methods are compared case-sensitively and clients send {upper}"),
        cause: Cause::Value,
        certain: true,
        fix: Some(upper),
    })
}

/// Paths that no normalized path equals: the query is cut off before the test, and a path begins with a slash.
pub(super) fn path(value: &Text) -> Option<Never> {
    let text = value.value.as_str();
    if text.is_empty() || is_template(text) {
        return None;
    }
    let never = |reason: &str, certain: bool, fix: Option<String>| {
        Some(Never { span: value.span, reason: reason.to_owned(), cause: Cause::Value, certain, fix })
    };
    let pattern = Pattern::parse(text);
    if pattern.literal().contains(['?', '#']) {
        return never("the query and fragment are removed before paths are compared", true, None);
    }
    if !matches!(pattern, Pattern::Suffix(_) | Pattern::Present) && !text.starts_with('/') {
        return never("every path begins with `/`", true, Some(format!("/{text}")));
    }
    // A client may send a star, but nobody writes a policy for that.
    let oddity = pattern.oddity()?;
    never(oddity.kind.explanation(), false, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshproof_source::{SourceId, Span, Spanned};

    fn text(value: &str) -> Text {
        Spanned::new(value.to_owned(), Span::new(SourceId(0), 0, 0))
    }

    #[test]
    fn only_standard_methods_in_lower_case_never_match() {
        assert_eq!(method(&text("get")).and_then(|never| never.fix).as_deref(), Some("GET"));
        assert!(method(&text("Delete")).is_some());
        assert!(method(&text("GET")).is_none());
        assert!(method(&text("purge")).is_none());
        assert!(method(&text("*")).is_none());
    }

    #[test]
    fn a_path_with_a_query_or_without_a_slash_never_matches() {
        assert!(path(&text("/a?x=1")).is_some_and(|never| never.certain));
        assert!(path(&text("api/*")).is_some_and(|never| never.certain));
        assert!(path(&text("/a/*/b")).is_some_and(|never| !never.certain));
        for fine in ["/a", "/a*", "*", "*.png", "/a/{*}/b", "/a/*"] {
            assert!(path(&text(fine)).is_none(), "{fine}");
        }
    }
}
