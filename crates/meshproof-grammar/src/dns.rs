//! Names of Kubernetes objects and the keys and values of labels.
//!
//! Rules: Kubernetes, `apimachinery/pkg/util/validation` (DNS-1123 and DNS-1035 labels, subdomains, qualified names,
//! label values); Istio 1.32, `pkg/config/labels` (DNS labels in either case).

use std::fmt;

use crate::error::ParseError;
use crate::text::{pieces, shown};

/// The longest DNS label.
const LABEL_MAX: usize = 63;
/// The longest subdomain, and so the longest object name.
const SUBDOMAIN_MAX: usize = 253;

/// A lower-case DNS label: namespaces, ports, containers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsLabel(String);

/// Lower-case DNS labels with dots between: most object names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsSubdomain(String);

/// The key of a label: an optional prefix, a slash, and a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelKey {
    /// The subdomain before the slash.
    pub prefix: Option<String>,
    /// The name after it.
    pub name: String,
}

/// The value of a label; may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelValue(String);

fn too_long(text: &str, max: usize, what: &str) -> Option<ParseError> {
    let over = text.char_indices().map(|(at, _)| at).find(|at| *at >= max)?;
    (text.len() > max).then(|| {
        ParseError::new(
            over..text.len(),
            format!("{what} may have at most {max} characters, this one has {}", text.len()),
        )
    })
}

/// One run of allowed characters that starts and ends with a letter or digit.
fn check_run(text: &str, what: &str, lower: bool, inner: &str) -> Result<(), ParseError> {
    if text.is_empty() {
        return Err(ParseError::new(0..0, format!("{what} must not be empty")));
    }
    let alphanumeric = |c: char| c.is_ascii_alphanumeric() && !(lower && c.is_ascii_uppercase());
    for (at, c) in text.char_indices() {
        let is_end = at == 0 || at + c.len_utf8() == text.len();
        if alphanumeric(c) || (!is_end && inner.contains(c)) {
            continue;
        }
        let range = at..at + c.len_utf8();
        if inner.contains(c) {
            let place = if at == 0 { "start" } else { "end" };
            return Err(ParseError::new(range, format!("{what} must not {place} with `{c}`")));
        }
        let error = ParseError::new(range, format!("{} is not allowed in {what}", shown(&c.to_string())));
        return Err(if lower && c.is_ascii_uppercase() { error.with_help("use lower case") } else { error });
    }
    Ok(())
}

/// Checks a lower-case DNS-1123 label.
///
/// # Errors
/// Empty, longer than 63, other characters than `a-z 0-9 -`, or a hyphen at an end.
pub fn check_label(text: &str) -> Result<(), ParseError> {
    if let Some(error) = too_long(text, LABEL_MAX, "a DNS label") {
        return Err(error);
    }
    check_run(text, "a DNS label", true, "-")
}

/// Checks a DNS-1035 label (Service names): as [`check_label`], and a letter first.
///
/// # Errors
/// As [`check_label`], or a digit first.
pub fn check_service_name(text: &str) -> Result<(), ParseError> {
    check_label(text)?;
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(ParseError::new(0..1, "the name of a Service must start with a letter"));
    }
    Ok(())
}

/// Checks a DNS label in either case, as Istio does for host names.
///
/// # Errors
/// Empty, longer than 63, other characters than letters, digits and `-`, or a hyphen at an end.
pub fn check_any_case_label(text: &str) -> Result<(), ParseError> {
    if let Some(error) = too_long(text, LABEL_MAX, "a DNS label") {
        return Err(error);
    }
    check_run(text, "a DNS label", false, "-")
}

/// Checks a DNS-1123 subdomain.
///
/// # Errors
/// Empty, longer than 253, or a part that is not letters, digits and inner hyphens in lower case.
pub fn check_subdomain(text: &str) -> Result<(), ParseError> {
    if let Some(error) = too_long(text, SUBDOMAIN_MAX, "a name") {
        return Err(error);
    }
    for (at, piece) in pieces(text, '.') {
        check_run(piece, "a part of a name", true, "-").map_err(|error| error.shifted(at))?;
    }
    Ok(())
}

/// Checks the key of a label.
///
/// # Errors
/// A prefix that is no subdomain, more than one slash, or a name that is empty, longer than 63 or holds other characters
/// than letters, digits and inner `- _ .`.
pub fn check_label_key(text: &str) -> Result<(), ParseError> {
    LabelKey::parse(text).map(|_| ())
}

/// Checks the value of a label.
///
/// # Errors
/// Longer than 63, other characters than letters, digits and `- _ .`, or one of these three at an end.
pub fn check_label_value(text: &str) -> Result<(), ParseError> {
    if text.is_empty() {
        return Ok(());
    }
    if let Some(error) = too_long(text, LABEL_MAX, "the value of a label") {
        return Err(error);
    }
    check_run(text, "the value of a label", false, "-_.")
}

macro_rules! checked_text {
    ($type:ident, $check:ident) => {
        impl $type {
            /// Reads and checks the text.
            ///
            /// # Errors
            /// As the check function of the same language.
            pub fn parse(text: &str) -> Result<Self, ParseError> {
                $check(text).map(|()| $type(text.to_owned()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(DnsLabel, check_label);
checked_text!(DnsSubdomain, check_subdomain);
checked_text!(LabelValue, check_label_value);

impl LabelKey {
    /// Reads the key of a label.
    ///
    /// # Errors
    /// As [`check_label_key`].
    pub fn parse(text: &str) -> Result<LabelKey, ParseError> {
        let (prefix, name, start) = match text.split_once('/') {
            Some((prefix, name)) => (Some(prefix), name, prefix.len() + 1),
            None => (None, text, 0),
        };
        if let Some(prefix) = prefix {
            check_subdomain(prefix)?;
        }
        if let Some(at) = name.find('/') {
            let at = start + at;
            return Err(ParseError::new(at..at + 1, "the key of a label may hold one `/` only"));
        }
        match too_long(name, LABEL_MAX, "the name of a label") {
            Some(error) => Err(error),
            None => check_run(name, "the name of a label", false, "-_."),
        }
        .map_err(|error| error.shifted(start))?;
        Ok(LabelKey { prefix: prefix.map(str::to_owned), name: name.to_owned() })
    }
}

impl fmt::Display for LabelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.prefix {
            Some(prefix) => write!(f, "{prefix}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert!(check_label("prod-1").is_ok());
        assert_eq!(check_label("Prod").unwrap_err().at, 0..1);
        assert_eq!(check_label("a-").unwrap_err().at, 1..2);
        assert_eq!(check_label("a.b").unwrap_err().at, 1..2);
        assert_eq!(check_label("").unwrap_err().at, 0..0);
        assert!(check_label(&"a".repeat(63)).is_ok());
        assert_eq!(check_label(&"a".repeat(64)).unwrap_err().at, 63..64);
        assert!(check_label(&"é".repeat(40)).is_err());
        assert!(check_service_name("1a").is_err());
    }

    #[test]
    fn keys_and_values() {
        let key = LabelKey::parse("app.kubernetes.io/name").unwrap();
        assert_eq!((key.prefix.as_deref(), key.name.as_str()), (Some("app.kubernetes.io"), "name"));
        assert_eq!(LabelKey::parse("a/b/c").unwrap_err().at, 3..4);
        assert_eq!(LabelKey::parse("/b").unwrap_err().at, 0..0);
        assert_eq!(LabelKey::parse("a/").unwrap_err().at, 2..2);
        assert!(check_label_value("").is_ok());
        assert!(check_label_value("v1.2_3").is_ok());
        assert_eq!(check_label_value("a b").unwrap_err().at, 1..2);
    }

    #[test]
    fn long_names_cut_at_a_character() {
        let error = check_label_value(&format!("{}é", "a".repeat(62))).unwrap_err();
        assert_eq!(error.at, 62..64);
    }
}
