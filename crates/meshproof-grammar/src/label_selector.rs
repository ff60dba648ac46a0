//! Kubernetes label selectors: `matchLabels` and `matchExpressions`, and the same thing as one string
//! (`app=web,tier in (a,b),!legacy`).
//!
//! Rules: Kubernetes, `apimachinery/pkg/labels/selector.go`. `NotIn` and `!=` also match objects without the label.

use std::fmt;
use std::ops::Range;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::{IResult, Parser};

use crate::dns::{check_label_key, check_label_value};
use crate::error::ParseError;
use crate::text::{offset, shown};

/// How a label is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// The label is there and has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The label is an integer above the one value.
    GreaterThan,
    /// The label is an integer below the one value.
    LessThan,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement {
    /// The key of the label.
    pub key: String,
    /// The kind of test.
    pub operator: Operator,
    /// The values, sorted and without repetition.
    pub values: Vec<String>,
}

/// All tests have to hold; without any, everything is selected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    /// The tests, in the order written.
    pub requirements: Vec<Requirement>,
}

impl Operator {
    /// Reads the `operator` of a match expression.
    ///
    /// # Errors
    /// Anything but `In`, `NotIn`, `Exists`, `DoesNotExist`, in this case.
    pub fn parse(text: &str) -> Result<Operator, ParseError> {
        let known = [
            ("In", Operator::In),
            ("NotIn", Operator::NotIn),
            ("Exists", Operator::Exists),
            ("DoesNotExist", Operator::DoesNotExist),
        ];
        if let Some((_, operator)) = known.iter().find(|(name, _)| *name == text) {
            return Ok(*operator);
        }
        let error =
            ParseError::new(0..text.len(), format!("{} is not an operator of selectors", shown(text)));
        Err(match known.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((name, _)) => error.with_help(format!("write `{name}`")),
            None => error.with_help("use `In`, `NotIn`, `Exists` or `DoesNotExist`"),
        })
    }
}

impl Requirement {
    /// A test; the values are sorted and freed of repetitions.
    pub fn new(key: impl Into<String>, operator: Operator, mut values: Vec<String>) -> Requirement {
        values.sort_unstable();
        values.dedup();
        Requirement { key: key.into(), operator, values }
    }

    /// Whether the value of the label (nothing when it is absent) passes.
    pub fn accepts(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.binary_search_by(|known| known.as_str().cmp(value)).is_ok();
        match self.operator {
            Operator::In => value.is_some_and(listed),
            Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.bound(value).is_some_and(|(value, bound)| value > bound),
            Operator::LessThan => self.bound(value).is_some_and(|(value, bound)| value < bound),
        }
    }

    fn bound(&self, value: Option<&str>) -> Option<(i64, i64)> {
        match self.values.as_slice() {
            [bound] => Some((value?.parse().ok()?, bound.parse().ok()?)),
            _ => None,
        }
    }

    /// Why the API server refuses the test: the number of values does not fit the operator. Positions are meaningless
    /// here (`0..0`), the parts stand in different places of a manifest; keys and values are checked by [`crate::dns`].
    pub fn problem(&self) -> Option<ParseError> {
        let message = match (self.operator, self.values.as_slice()) {
            (Operator::In | Operator::NotIn, []) => "`In` and `NotIn` need at least one value",
            (Operator::Exists | Operator::DoesNotExist, [_, ..]) => {
                "`Exists` and `DoesNotExist` take no values"
            }
            (Operator::GreaterThan | Operator::LessThan, values) => match values {
                [value] if value.parse::<i64>().is_ok() => return None,
                _ => "a comparison needs exactly one integer",
            },
            _ => return None,
        };
        Some(ParseError::new(0..0, message))
    }
}

impl LabelSelector {
    /// A selector from `matchLabels` and `matchExpressions`.
    pub fn new<K: Into<String>, V: Into<String>>(
        labels: impl IntoIterator<Item = (K, V)>,
        expressions: impl IntoIterator<Item = Requirement>,
    ) -> LabelSelector {
        let equal = |(key, value): (K, V)| Requirement::new(key, Operator::In, vec![value.into()]);
        LabelSelector { requirements: labels.into_iter().map(equal).chain(expressions).collect() }
    }

    /// Whether the labels are selected; `label` looks one up.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.accepts(label(&requirement.key)))
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Reads the string form.
    ///
    /// # Errors
    /// A token out of place, an unclosed list, or a key or value that labels cannot have.
    pub fn parse(text: &str) -> Result<LabelSelector, ParseError> {
        let mut tokens = Tokens { text, rest: text };
        let mut requirements = Vec::new();
        if tokens.peek().kind == Kind::End {
            return Ok(LabelSelector { requirements });
        }
        loop {
            requirements.push(tokens.requirement()?);
            let next = tokens.next();
            match next.kind {
                Kind::End => return Ok(LabelSelector { requirements }),
                Kind::Symbol(",") => {}
                _ => return Err(next.unexpected("`,` or the end")),
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    Word(&'a str),
    Symbol(&'a str),
    End,
}

struct Token<'a> {
    kind: Kind<'a>,
    at: Range<usize>,
}

impl Token<'_> {
    fn unexpected(&self, wanted: &str) -> ParseError {
        let found = match self.kind {
            Kind::Word(text) | Kind::Symbol(text) => shown(text),
            Kind::End => "the end".to_owned(),
        };
        ParseError::new(self.at.clone(), format!("expected {wanted}, found {found}"))
    }
}

/// The string that is left to read.
struct Tokens<'a> {
    text: &'a str,
    rest: &'a str,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn token(input: &str) -> IResult<&str, Kind<'_>> {
    let (input, _) = take_while(is_space).parse(input)?;
    if input.is_empty() {
        return Ok((input, Kind::End));
    }
    let symbol =
        alt((tag("=="), tag("!="), tag("="), tag("!"), tag(">"), tag("<"), tag("("), tag(")"), tag(",")));
    let word = take_while1(|c: char| !is_space(c) && !"=!><(),".contains(c));
    alt((symbol.map(Kind::Symbol), word.map(Kind::Word))).parse(input)
}

impl<'a> Tokens<'a> {
    fn read(&self) -> (&'a str, Token<'a>) {
        // Every character starts a symbol, a word or white space, so reading cannot fail.
        let (rest, kind) = token(self.rest).unwrap_or((&self.text[self.text.len()..], Kind::End));
        let length = match kind {
            Kind::Word(text) | Kind::Symbol(text) => text.len(),
            Kind::End => 0,
        };
        let end = offset(self.text, rest);
        (rest, Token { kind, at: end - length..end })
    }

    fn peek(&self) -> Token<'a> {
        self.read().1
    }

    fn next(&mut self) -> Token<'a> {
        let (rest, token) = self.read();
        self.rest = rest;
        token
    }

    fn key(&mut self) -> Result<&'a str, ParseError> {
        let token = self.next();
        match token.kind {
            Kind::Word(key) => {
                check_label_key(key).map_err(|error| error.shifted(token.at.start))?;
                Ok(key)
            }
            _ => Err(token.unexpected("the key of a label")),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, ParseError> {
        if self.peek().kind == Kind::Symbol("!") {
            self.next();
            return Ok(Requirement::new(self.key()?, Operator::DoesNotExist, Vec::new()));
        }
        let key = self.key()?;
        if matches!(self.peek().kind, Kind::End | Kind::Symbol(",")) {
            return Ok(Requirement::new(key, Operator::Exists, Vec::new()));
        }
        let token = self.next();
        let (operator, is_list) = match token.kind {
            Kind::Word("in") => (Operator::In, true),
            Kind::Word("notin") => (Operator::NotIn, true),
            Kind::Symbol("=" | "==") => (Operator::In, false),
            Kind::Symbol("!=") => (Operator::NotIn, false),
            Kind::Symbol(">") => (Operator::GreaterThan, false),
            Kind::Symbol("<") => (Operator::LessThan, false),
            _ => return Err(token.unexpected("`=`, `!=`, `in`, `notin`, `>`, `<` or `,`")),
        };
        let start = self.peek().at.start;
        let values = if is_list { self.list()? } else { vec![self.value()?] };
        let requirement = Requirement::new(key, operator, values);
        match requirement.problem() {
            Some(error) => Err(ParseError { at: start..offset(self.text, self.rest), ..error }),
            None => Ok(requirement),
        }
    }

    /// A value, which may be empty.
    fn value(&mut self) -> Result<String, ParseError> {
        let token = self.peek();
        match token.kind {
            Kind::Word(value) => {
                self.next();
                check_label_value(value).map_err(|error| error.shifted(token.at.start))?;
                Ok(value.to_owned())
            }
            Kind::End | Kind::Symbol("," | ")") => Ok(String::new()),
            Kind::Symbol(_) => Err(token.unexpected("a value")),
        }
    }

    fn list(&mut self) -> Result<Vec<String>, ParseError> {
        let open = self.next();
        if open.kind != Kind::Symbol("(") {
            return Err(open.unexpected("`(`"));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            let token = self.next();
            match token.kind {
                Kind::Symbol(",") => {}
                Kind::Symbol(")") => return Ok(values),
                _ => return Err(token.unexpected("`,` or `)`")),
            }
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            Operator::GreaterThan => "Gt",
            Operator::LessThan => "Lt",
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let list = self.values.join(",");
        match (self.operator, self.values.len()) {
            (Operator::In, 1) => write!(f, "{key}={list}"),
            (Operator::NotIn, 1) => write!(f, "{key}!={list}"),
            (Operator::In, _) => write!(f, "{key} in ({list})"),
            (Operator::NotIn, _) => write!(f, "{key} notin ({list})"),
            (Operator::Exists, _) => f.write_str(key),
            (Operator::DoesNotExist, _) => write!(f, "!{key}"),
            (Operator::GreaterThan, _) => write!(f, "{key}>{list}"),
            (Operator::LessThan, _) => write!(f, "{key}<{list}"),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &'static str)]) -> bool {
        let selector = LabelSelector::parse(selector).unwrap();
        selector.matches(|key| labels.iter().find(|(known, _)| *known == key).map(|(_, value)| *value))
    }

    #[test]
    fn evaluation() {
        assert!(selects("", &[]));
        assert!(selects("app=web", &[("app", "web")]));
        assert!(!selects("app=web", &[]));
        assert!(selects("app!=web", &[]));
        assert!(selects("app notin (web, x)", &[("app", "y")]));
        assert!(selects("a,c in (d,e),!f", &[("a", ""), ("c", "e")]));
        assert!(!selects("!f", &[("f", "")]));
        assert!(selects("a in ()", &[("a", "")]));
        assert!(!selects("a in ()", &[]));
        assert!(selects("n>5", &[("n", "6")]) && !selects("n>5", &[("n", "x")]) && !selects("n<5", &[]));
        assert!(selects("in in (in)", &[("in", "in")]));
    }

    #[test]
    fn errors() {
        let at = |text: &str| LabelSelector::parse(text).unwrap_err().at;
        assert_eq!(at("a,"), 2..2);
        assert_eq!(at("a b"), 2..3);
        assert_eq!(at("a in (b"), 7..7);
        assert_eq!(at("a in b"), 5..6);
        assert_eq!(at("!a=b"), 2..3);
        assert_eq!(at("a/b/c=d"), 3..4);
        assert_eq!(at("a=b c"), 4..5);
        assert_eq!(at("a=_"), 2..3);
        assert_eq!(at("n > x"), 4..5);
        assert_eq!(at(",a"), 0..1);
    }

    #[test]
    fn expressions() {
        let none: [(&str, &str); 0] = [];
        let wanted = Requirement::new("tier", Operator::In, vec!["b".into(), "a".into(), "b".into()]);
        let selector = LabelSelector::new([("app", "web")], [wanted]);
        assert_eq!(selector.to_string(), "app=web,tier in (a,b)");
        assert!(LabelSelector::new(none, []).is_empty());
        assert!(Requirement::new("a", Operator::In, vec![]).problem().is_some());
        assert!(Requirement::new("a", Operator::Exists, vec!["x".into()]).problem().is_some());
        assert_eq!(Operator::parse("exists").unwrap_err().help.as_deref(), Some("write `Exists`"));
    }
}
