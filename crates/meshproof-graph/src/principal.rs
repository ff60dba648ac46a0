//! Whose calls a question is about, as a command names it.

use std::fmt;
use std::str::FromStr;

use meshproof_explain::Subject;

use crate::tokens::Bearer;

/// Before the issuer of a token.
const TOKEN: &str = "token:";

/// One of the two principals of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Who sends it.
    Sender(Subject),
    /// Whose token it carries, whoever sends it.
    Bearer(Bearer),
}

impl FromStr for Principal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(TOKEN) {
            Some(token) => token.parse().map(Principal::Bearer),
            None => text.parse().map(Principal::Sender),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Sender(subject) => subject.fmt(f),
            Principal::Bearer(bearer) => write!(f, "{TOKEN}{bearer}"),
        }
    }
}

impl From<Subject> for Principal {
    fn from(subject: Subject) -> Self {
        Principal::Sender(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_read_as_they_are_written() {
        for text in ["shop/web", "workload:shop/web", "plaintext", "token:https://issuer/alice"] {
            assert_eq!(text.parse::<Principal>().map(|read| read.to_string()), Ok(text.to_owned()));
        }
        assert!(matches!(
            "token:https://issuer/alice".parse(),
            Ok(Principal::Bearer(Bearer { subject: Some(_), .. }))
        ));
        assert!("token:".parse::<Principal>().is_err());
    }
}
