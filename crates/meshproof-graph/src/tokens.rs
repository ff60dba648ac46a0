//! Principals of requests: whoever holds a token of an issuer, as rules name them.

use std::fmt;

use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Test, Variable};

use crate::peers::Peers;

/// Holders of a token that a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenPrincipal {
    /// What the issuer has to be; nothing when any will do.
    pub issuer: Option<Pattern>,
    /// What the subject has to be.
    pub subject: Option<Pattern>,
}

impl TokenPrincipal {
    /// Whether a token of this issuer, and of this subject where one is named, may be one of these.
    pub fn admits(&self, issuer: &str, subject: Option<&str>) -> bool {
        let is_met = |pattern: &Option<Pattern>, value: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(value))
        };
        is_met(&self.issuer, issuer) && subject.is_none_or(|subject| is_met(&self.subject, subject))
    }
}

/// `token of https://issuer`, `token of https://issuer for alice`, `token of any issuer`.
impl fmt::Display for TokenPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.issuer.as_ref().filter(|issuer| **issuer != Pattern::Present) {
            Some(issuer) => write!(f, "token of {issuer}")?,
            None => f.write_str("token of any issuer")?,
        }
        match self.subject.as_ref().filter(|subject| **subject != Pattern::Present) {
            Some(subject) => write!(f, " for {subject}"),
            None => Ok(()),
        }
    }
}

impl Peers {
    /// Whose tokens get somebody in; none where no token is asked for. What a rule asks for twice counts once.
    pub fn tokens(&self) -> Vec<TokenPrincipal> {
        let clauses = self.clauses.iter().filter(|clause| clause.variable == Variable::Token);
        let mut found: Vec<TokenPrincipal> = clauses
            .flat_map(|clause| &clause.any_of)
            .filter_map(|test| match test {
                Test::Token { issuer, subject } => {
                    Some(TokenPrincipal { issuer: issuer.clone(), subject: subject.clone() })
                }
                _ => None,
            })
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

/// A token as a question names it: `ISSUER` or `ISSUER/SUBJECT`, the subject behind the last slash, as in policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `sub`; any where it is not named.
    pub subject: Option<String>,
}

impl Bearer {
    /// Whether the holder meets what is asked of tokens; false where no token is asked for.
    pub fn meets(&self, peers: &Peers) -> bool {
        // An issuer may have slashes of its own, so that the whole may be one.
        let whole = self.subject.as_ref().map(|subject| format!("{}/{subject}", self.issuer));
        peers.tokens().iter().any(|token| {
            token.admits(&self.issuer, self.subject.as_deref())
                || whole.as_ref().is_some_and(|whole| token.admits(whole, None))
        })
    }
}

impl std::str::FromStr for Bearer {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        match written.rsplit_once('/') {
            _ if written.is_empty() => {
                Err("an issuer is missing; write it as ISSUER or ISSUER/SUBJECT".to_owned())
            }
            Some((issuer, subject))
                if !issuer.is_empty() && !issuer.ends_with('/') && !subject.is_empty() =>
            {
                Ok(Bearer { issuer: issuer.to_owned(), subject: Some(subject.to_owned()) })
            }
            _ => Ok(Bearer { issuer: written.to_owned(), subject: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use meshproof_space::Clause;

    use super::*;

    fn asking(issuer: Option<&str>, subject: Option<&str>) -> Peers {
        let pattern = |text: Option<&str>| text.map(Pattern::parse);
        let test = Test::Token { issuer: pattern(issuer), subject: pattern(subject) };
        Peers { clauses: vec![Clause::any(Variable::Token, vec![test])] }
    }

    #[test]
    fn tokens_are_told_by_issuer_and_subject() {
        let of = |text: &str| text.parse::<Bearer>().unwrap();
        let named = asking(Some("https://issuer"), Some("alice"));
        assert_eq!(named.tokens()[0].to_string(), "token of https://issuer for alice");
        assert!(of("https://issuer/alice").meets(&named) && of("https://issuer").meets(&named));
        assert!(!of("https://issuer/bob").meets(&named) && !of("https://other").meets(&named));
        let any = asking(Some("https://issuer/realms/a"), Some("*"));
        assert_eq!(any.tokens()[0].to_string(), "token of https://issuer/realms/a");
        assert!(of("https://issuer/realms/a").meets(&any) && of("https://issuer/realms/a/bob").meets(&any));
        assert!(!of("https://issuer").meets(&Peers::default()));
        assert!("".parse::<Bearer>().is_err());
    }
}
