//! Principals of requests: whoever holds a token of an issuer, as rules name them.

use std::fmt;

use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Clause, RequestBox, Test, Variable};

use crate::peers::Peers;

/// Tokens of a class by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u32);

/// Holders of a token that a rule asks for. Whether the token has to have a subject at all makes no other class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenPrincipal {
    /// What the issuer has to be; nothing when any will do.
    pub issuer: Option<Pattern>,
    /// What the subject has to be; nothing when any will do.
    pub subject: Option<Pattern>,
}

/// Classes of one caller's tokens that are told apart where several tests of tokens have to hold.
const CLASSES: usize = 64;

impl TokenPrincipal {
    fn of(test: &Test) -> Option<TokenPrincipal> {
        let named = |part: &Option<Pattern>| part.clone().filter(|pattern| *pattern != Pattern::Present);
        match test {
            Test::Token { issuer, subject } => {
                Some(TokenPrincipal { issuer: named(issuer), subject: named(subject) })
            }
            Test::Word { .. } => Some(TokenPrincipal { issuer: None, subject: None }),
            _ => None,
        }
    }

    /// Whether a token of this issuer, and of this subject where one is named, may be one of these.
    pub fn admits(&self, issuer: &str, subject: Option<&str>) -> bool {
        let is_met = |pattern: &Option<Pattern>, value: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(value))
        };
        is_met(&self.issuer, issuer) && subject.is_none_or(|subject| is_met(&self.subject, subject))
    }

    /// Holders of a token that is both; nothing where there plainly is none.
    fn and(&self, other: &TokenPrincipal) -> Option<TokenPrincipal> {
        Some(TokenPrincipal {
            issuer: narrower(&self.issuer, &other.issuer)?,
            subject: narrower(&self.subject, &other.subject)?,
        })
    }

    /// As a question names it, where it is one issuer: `token:https://issuer/alice`.
    pub fn as_asked(&self) -> Option<String> {
        match (&self.issuer, &self.subject) {
            (Some(Pattern::Exact(issuer)), None) => Some(format!("token:{issuer}")),
            (Some(Pattern::Exact(issuer)), Some(Pattern::Exact(subject))) => {
                Some(format!("token:{issuer}/{subject}"))
            }
            _ => None,
        }
    }
}

/// What meets both; the first where that is no pattern, and nothing where no value does.
fn narrower(one: &Option<Pattern>, other: &Option<Pattern>) -> Option<Option<Pattern>> {
    match (one, other) {
        (Some(Pattern::Exact(text)), Some(pattern)) | (Some(pattern), Some(Pattern::Exact(text))) => {
            pattern.matches(text).then(|| Some(Pattern::Exact(text.clone())))
        }
        (None, pattern) | (pattern, _) => Some(pattern.clone()),
    }
}

/// `token of https://issuer`, `token of https://issuer for alice`, `token of any issuer`.
impl fmt::Display for TokenPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Some(issuer) => write!(f, "token of {issuer}")?,
            None => f.write_str("token of any issuer")?,
        }
        match &self.subject {
            Some(subject) => write!(f, " for {subject}"),
            None => Ok(()),
        }
    }
}

impl Peers {
    /// Whose tokens get somebody in; none where no token is asked for. What a rule asks for twice counts once.
    pub fn tokens(&self) -> Vec<TokenPrincipal> {
        let lists = self.clauses.iter().filter(|clause| clause.variable == Variable::Token);
        let mut lists = lists.filter(|clause| !clause.any_of.is_empty()).map(|clause| {
            let mut list: Vec<TokenPrincipal> = clause.any_of.iter().filter_map(TokenPrincipal::of).collect();
            list.sort();
            list.dedup();
            list
        });
        let mut found = lists.next().unwrap_or_default();
        for list in lists {
            if found.len() * list.len() > CLASSES {
                continue;
            }
            found = found.iter().flat_map(|one| list.iter().filter_map(|other| one.and(other))).collect();
            found.sort();
            found.dedup();
        }
        found
    }

    /// The same callers, who have a token where the requests ask for claims of it.
    pub(crate) fn with_claims_of(mut self, requests: &RequestBox) -> Peers {
        let mut claims =
            requests.clauses.iter().filter(|clause| matches!(clause.variable, Variable::Claim(_)));
        let is_met_without =
            |clause: &Clause| clause.any_of.is_empty() || clause.any_of.contains(&Test::Absent);
        let asks = |clause: &Clause| clause.variable == Variable::Token && !clause.any_of.is_empty();
        if claims.any(|clause| !is_met_without(clause)) && !self.clauses.iter().any(asks) {
            let any = Test::Token { issuer: Some(Pattern::Present), subject: None };
            self.clauses.push(Clause::any(Variable::Token, vec![any]));
        }
        self
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
    /// Whether it may be one of these.
    pub fn is_one_of(&self, token: &TokenPrincipal) -> bool {
        token.admits(&self.issuer, self.subject.as_deref())
            || self.whole().is_some_and(|whole| token.admits(&whole, None))
    }

    /// An issuer may have slashes of its own, so that all of it may be one.
    fn whole(&self) -> Option<String> {
        self.subject.as_ref().map(|subject| format!("{}/{subject}", self.issuer))
    }

    /// Requests that carry it.
    pub(crate) fn requests(&self) -> RequestBox {
        let exactly = |text: &String| Some(Pattern::Exact(text.clone()));
        let subject = self.subject.as_ref().and_then(exactly);
        let mut tests = vec![Test::Token { issuer: exactly(&self.issuer), subject }];
        tests.extend(self.whole().map(|whole| Test::Token { issuer: exactly(&whole), subject: None }));
        RequestBox::of(vec![Clause::any(Variable::Token, tests)])
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

impl fmt::Display for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.issuer)?;
        self.subject.as_ref().map_or(Ok(()), |subject| write!(f, "/{subject}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(issuer: Option<&str>, subject: Option<&str>) -> Peers {
        let pattern = |text: Option<&str>| text.map(Pattern::parse);
        let test = Test::Token { issuer: pattern(issuer), subject: pattern(subject) };
        Peers { clauses: vec![Clause::any(Variable::Token, vec![test])] }
    }

    #[test]
    fn tokens_are_told_by_issuer_and_subject() {
        let meets = |text: &str, peers: &Peers| {
            let bearer: Bearer = text.parse().unwrap();
            peers.tokens().iter().any(|token| bearer.is_one_of(token))
        };
        let named = asking(Some("https://issuer"), Some("alice"));
        assert_eq!(named.tokens()[0].to_string(), "token of https://issuer for alice");
        assert!(meets("https://issuer/alice", &named) && meets("https://issuer", &named));
        assert!(!meets("https://issuer/bob", &named) && !meets("https://other", &named));
        let any = asking(Some("https://issuer/realms/a"), Some("*"));
        assert_eq!(any.tokens()[0].to_string(), "token of https://issuer/realms/a");
        assert!(meets("https://issuer/realms/a", &any) && meets("https://issuer/realms/a/bob", &any));
        assert!(!meets("https://issuer", &Peers::default()));
        assert!("".parse::<Bearer>().is_err());
    }

    #[test]
    fn what_has_to_hold_together_is_one_class() {
        let both =
            |one: Peers, other: Peers| Peers { clauses: [one.clauses, other.clauses].concat() }.tokens();
        let words = |tokens: Vec<TokenPrincipal>| tokens.iter().map(ToString::to_string).collect::<Vec<_>>();
        let alice = both(asking(Some("https://issuer"), Some("*")), asking(None, Some("alice")));
        assert_eq!(words(alice), ["token of https://issuer for alice"]);
        let narrow = both(asking(Some("https://*"), None), asking(Some("https://issuer"), None));
        assert_eq!(words(narrow), ["token of https://issuer"]);
        assert_eq!(words(both(asking(Some("a"), None), asking(Some("b"), None))), Vec::<String>::new());
    }

    #[test]
    fn claims_take_a_token() {
        let claim =
            |tests| RequestBox::of(vec![Clause::any(Variable::Claim(vec!["role".to_owned()]), tests)]);
        let admin = claim(vec![Test::Text(Pattern::parse("admin"))]);
        let found = Peers::default().with_claims_of(&admin).tokens();
        assert_eq!(found[0].to_string(), "token of any issuer");
        let own = asking(Some("https://issuer"), None);
        assert_eq!(own.clone().with_claims_of(&admin), own);
        let none = claim(vec![Test::Absent]);
        assert_eq!(Peers::default().with_claims_of(&none), Peers::default());
    }
}
