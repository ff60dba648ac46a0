//! Names of Kubernetes and DNS, by the rules of `istio/pkg/config/labels` and `apimachinery/validation`.

/// A DNS-1123 label as Istio takes it: letters (upper case too), digits, hyphens inside; 63 bytes at most.
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_label(text)
}

fn is_label(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// A first label of a host that may be `*`, `*name` or `*-name`.
pub fn is_wildcard_dns_label(text: &str) -> bool {
    if text.len() > 63 {
        return false;
    }
    let rest = text.strip_prefix("*-").or_else(|| text.strip_prefix('*')).unwrap_or(text);
    text == "*" || is_label(rest)
}

/// A lower-case DNS subdomain of at most 253 bytes: what most objects may be called.
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|part| is_label(part) && !part.bytes().any(|b| b.is_ascii_uppercase()))
}

/// The name part of a label key, or a label value that is not empty: letters, digits, `-`, `_`, `.`, with a letter
/// or digit at both ends. Length is the caller's business.
pub fn is_qualified_name(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A label key: an optional DNS prefix with a slash, and a name of at most 63 bytes.
pub fn is_label_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    name.len() <= 63
        && is_qualified_name(name)
        && prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_label))
}

/// A label value by the API server's rule: empty, or a name of at most 63 bytes.
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || (text.len() <= 63 && is_qualified_name(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_hosts() {
        assert!(is_dns_label("A-1") && !is_dns_label("-a") && !is_dns_label("") && !is_dns_label("a_b"));
        assert!(is_dns_label(&"a".repeat(63)) && !is_dns_label(&"a".repeat(64)));
        for (text, valid) in [
            ("*", true),
            ("*a", true),
            ("*-a", true),
            ("a", true),
            ("*-", false),
            ("a*", false),
            ("**", false),
            ("", false),
        ] {
            assert_eq!(is_wildcard_dns_label(text), valid, "{text}");
        }
    }

    #[test]
    fn label_keys_and_values() {
        assert!(is_label_key("app") && is_label_key("a.b/c_d") && is_label_key("A/b"));
        assert!(!is_label_key("a/b/c") && !is_label_key("") && !is_label_key("/a") && !is_label_key("a b"));
        assert!(
            is_label_value("") && is_label_value("v1.2_x") && !is_label_value("-v") && !is_label_value("a/b")
        );
    }

    #[test]
    fn names_of_objects() {
        assert!(is_dns_subdomain("p.q") && is_dns_subdomain("a-1"));
        for bad in ["P", "-p", "p_q", "", "a..b"] {
            assert!(!is_dns_subdomain(bad), "{bad:?}");
        }
    }
}
