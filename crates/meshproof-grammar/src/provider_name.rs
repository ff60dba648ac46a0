//! Names of `extensionProviders` that can serve a CUSTOM policy.
//!
//! Rules: Istio 1.32, `pkg/config/validation/agent/extensionprovider.go`: a lower-case DNS-1123 label. Older versions
//! were wider; since then such a provider counts as invalid and requests that match its policies are denied.

use std::fmt;

use crate::dns::check_label;
use crate::error::ParseError;

/// A usable provider name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderName(String);

impl ProviderName {
    /// Reads a name.
    ///
    /// # Errors
    /// Empty, longer than 63, upper case, `_`, `.`, or a hyphen at an end.
    pub fn parse(text: &str) -> Result<ProviderName, ParseError> {
        check_label(text).map(|()| ProviderName(text.to_owned())).map_err(|error| match error.help {
            Some(_) => error,
            None => error
                .with_help("a provider name has lower-case letters, digits and inner hyphens, 63 at most"),
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(ProviderName::parse("ext-authz").is_ok());
        assert_eq!(ProviderName::parse("ext_authz").unwrap_err().at, 3..4);
        assert_eq!(ProviderName::parse("").unwrap_err().at, 0..0);
    }
}
