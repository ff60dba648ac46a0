//! The selector expressions of Calico policies: `app == 'web' && !(has(legacy) || tier in {'a', 'b'})`.
//!
//! Rules: Calico, `libcalico-go/lib/selector` (tokenizer and parser). `||` binds weaker than `&&`, `!` binds to one
//! test or one pair of parentheses. An empty expression selects everything.

use std::fmt;
use std::ops::Range;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while, take_while1};
use nom::combinator::{map, value};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use crate::error::ParseError;
use crate::text::{offset, shown};

/// How deep parentheses may nest. Calico has no limit; a policy that needs more than this was not written by hand.
pub const MAX_DEPTH: usize = 64;

/// An expression over the labels of one endpoint, namespace or service account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expr {
    /// `all()`: everything.
    All,
    /// `global()`: in a namespace selector, only what lies in no namespace; it holds for every label set.
    Global,
    /// `has(key)`.
    Has(String),
    /// `key == 'value'`.
    Equals(String, String),
    /// `key != 'value'`; also holds without the label.
    NotEquals(String, String),
    /// `key in {…}`, sorted and without repetition.
    In(String, Vec<String>),
    /// `key not in {…}`; also holds without the label.
    NotIn(String, Vec<String>),
    /// `key contains 'value'`.
    Contains(String, String),
    /// `key starts with 'value'`.
    StartsWith(String, String),
    /// `key ends with 'value'`.
    EndsWith(String, String),
    /// `!e`.
    Not(Box<Expr>),
    /// `a && b`: at least two.
    And(Vec<Expr>),
    /// `a || b`: at least two.
    Or(Vec<Expr>),
}

impl Expr {
    /// Reads an expression.
    ///
    /// # Errors
    /// A token out of place, an unclosed quote, list or parenthesis, line breaks (Calico only skips blanks and tabs), or
    /// parentheses deeper than [`MAX_DEPTH`].
    pub fn parse(text: &str) -> Result<Expr, ParseError> {
        let mut parser = Parse { tokens: tokenize(text)?, next: 0, end: text.len() };
        if parser.tokens.is_empty() {
            return Ok(Expr::All);
        }
        let expr = parser.any_of(0)?;
        match parser.tokens.get(parser.next) {
            None => Ok(expr),
            Some((token, at)) => Err(unexpected(*token, at.clone(), "`&&`, `||` or the end")),
        }
    }

    /// Whether the labels are selected; `label` looks one up.
    pub fn matches<'a>(&self, label: &dyn Fn(&str) -> Option<&'a str>) -> bool {
        let test = |key: &str, holds: &dyn Fn(&str) -> bool| label(key).is_some_and(holds);
        match self {
            Expr::All | Expr::Global => true,
            Expr::Has(key) => label(key).is_some(),
            Expr::Equals(key, wanted) => test(key, &|value| value == wanted),
            Expr::NotEquals(key, wanted) => !test(key, &|value| value == wanted),
            Expr::In(key, wanted) => test(key, &|value| listed(wanted, value)),
            Expr::NotIn(key, wanted) => !test(key, &|value| listed(wanted, value)),
            Expr::Contains(key, wanted) => test(key, &|value| value.contains(wanted.as_str())),
            Expr::StartsWith(key, wanted) => test(key, &|value| value.starts_with(wanted.as_str())),
            Expr::EndsWith(key, wanted) => test(key, &|value| value.ends_with(wanted.as_str())),
            Expr::Not(inner) => !inner.matches(label),
            Expr::And(parts) => parts.iter().all(|part| part.matches(label)),
            Expr::Or(parts) => parts.iter().any(|part| part.matches(label)),
        }
    }

    /// Whether `global()` occurs.
    pub fn mentions_global(&self) -> bool {
        match self {
            Expr::Global => true,
            Expr::Not(inner) => inner.mentions_global(),
            Expr::And(parts) | Expr::Or(parts) => parts.iter().any(Expr::mentions_global),
            _ => false,
        }
    }
}

fn listed(sorted: &[String], value: &str) -> bool {
    sorted.binary_search_by(|known| known.as_str().cmp(value)).is_ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Label(&'a str),
    Text(&'a str),
    Has(&'a str),
    All,
    Global,
    And,
    Or,
    Not,
    Equals,
    NotEquals,
    In,
    NotIn,
    Contains,
    StartsWith,
    EndsWith,
    OpenParen,
    CloseParen,
    OpenBrace,
    CloseBrace,
    Comma,
}

type Spot<'a> = (Token<'a>, Range<usize>);

fn blank(input: &str) -> IResult<&str, &str> {
    take_while(|c| c == ' ' || c == '\t').parse(input)
}

fn identifier(input: &str) -> IResult<&str, &str> {
    take_while1(|c: char| c.is_ascii_alphanumeric() || "_./-".contains(c)).parse(input)
}

fn symbol(input: &str) -> IResult<&str, Token<'_>> {
    alt((
        value(Token::And, tag("&&")),
        value(Token::Or, tag("||")),
        value(Token::Equals, tag("==")),
        value(Token::NotEquals, tag("!=")),
        value(Token::Not, tag("!")),
        value(Token::OpenParen, tag("(")),
        value(Token::CloseParen, tag(")")),
        value(Token::OpenBrace, tag("{")),
        value(Token::CloseBrace, tag("}")),
        value(Token::Comma, tag(",")),
        map(delimited(tag("'"), take_till(|c| c == '\''), tag("'")), Token::Text),
        map(delimited(tag("\""), take_till(|c| c == '"'), tag("\"")), Token::Text),
    ))
    .parse(input)
}

/// What may follow a label besides symbols. Calico needs no blank behind these words.
fn operator(input: &str) -> IResult<&str, Token<'_>> {
    alt((
        value(Token::Contains, tag("contains")),
        value(Token::StartsWith, (tag("starts"), blank, tag("with"))),
        value(Token::EndsWith, (tag("ends"), blank, tag("with"))),
        value(Token::NotIn, (tag("not"), blank, tag("in"))),
        value(Token::In, tag("in")),
    ))
    .parse(input)
}

fn operand(input: &str) -> IResult<&str, Token<'_>> {
    let inside = |name| preceded(tag(name), blank);
    alt((
        map(delimited(inside("has("), terminated(identifier, blank), tag(")")), Token::Has),
        value(Token::All, (inside("all("), tag(")"))),
        value(Token::Global, (inside("global("), tag(")"))),
        map(identifier, Token::Label),
    ))
    .parse(input)
}

fn tokenize(text: &str) -> Result<Vec<Spot<'_>>, ParseError> {
    let mut tokens: Vec<Spot<'_>> = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t']);
    while !rest.is_empty() {
        let after_label = matches!(tokens.last(), Some((Token::Label(_), _)));
        let word = if after_label { operator } else { operand };
        let (after, token) = alt((symbol, word)).parse(rest).map_err(|_| match tokens.as_slice() {
            [_, .., (Token::Label(word @ ("and" | "or")), at)] => word_operator(word, at.clone()),
            _ => bad_token(text, rest, after_label),
        })?;
        let start = offset(text, rest);
        // After an unreadable call such as `has(` a plain label is what is left over.
        if let Token::Label(name @ ("has" | "all" | "global")) = token
            && after.starts_with('(')
        {
            let end = start + name.len() + 1;
            let message = format!("`{name}(` is not closed properly");
            return Err(ParseError::new(start..end, message).with_help(match name {
                "has" => "write `has(key)`, with one label key and no quotes".to_owned(),
                _ => format!("write `{name}()`"),
            }));
        }
        tokens.push((token, start..start + rest.len() - after.len()));
        rest = after.trim_start_matches([' ', '\t']);
    }
    Ok(tokens)
}

fn word_operator(word: &str, at: Range<usize>) -> ParseError {
    let symbol = if word == "and" { "&&" } else { "||" };
    ParseError::new(at, format!("`{word}` is no operator")).with_help(format!("write `{symbol}`"))
}

fn bad_token(text: &str, rest: &str, after_label: bool) -> ParseError {
    let start = offset(text, rest);
    let first = rest.chars().next().unwrap_or(' ');
    let at = start..start + first.len_utf8();
    match first {
        '\'' | '"' => ParseError::new(start..text.len(), "the quoted text is not closed")
            .with_help(format!("add the closing {first}")),
        '=' => ParseError::new(at, "a single `=` is no operator").with_help("write `==`"),
        '&' | '|' => ParseError::new(at, format!("a single `{first}` is no operator"))
            .with_help(format!("write `{first}{first}`")),
        '\n' | '\r' => ParseError::new(at, "a line break cannot stand in a selector")
            .with_help("write it in one line, or fold it with `>-`"),
        _ if after_label => ParseError::new(at, "an operator is expected after the label").with_help(
            "use `==`, `!=`, `in {…}`, `not in {…}`, `contains`, `starts with`, `ends with`, or `has(key)` for presence",
        ),
        _ => ParseError::new(at, format!("the character {} cannot stand here", shown(&first.to_string()))),
    }
}

fn unexpected(token: Token<'_>, at: Range<usize>, wanted: &str) -> ParseError {
    let error = ParseError::new(at, format!("expected {wanted} here"));
    match token {
        Token::Label(name) => error.with_help(format!("quote {} if it is a value", shown(name))),
        _ => error,
    }
}

struct Parse<'a> {
    tokens: Vec<Spot<'a>>,
    next: usize,
    end: usize,
}

impl<'a> Parse<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).map(|(token, _)| *token)
    }

    fn eat(&mut self, token: Token<'a>) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn wrong(&self, wanted: &str) -> ParseError {
        match self.tokens.get(self.next) {
            Some((token, at)) => unexpected(*token, at.clone(), wanted),
            None => ParseError::new(self.end..self.end, format!("expected {wanted}, found the end")),
        }
    }

    fn any_of(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let first = self.all_of(depth)?;
        let mut parts = vec![first];
        while self.eat(Token::Or) {
            parts.push(self.all_of(depth)?);
        }
        Ok(single_or(parts, Expr::Or))
    }

    fn all_of(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let first = self.negated(depth)?;
        let mut parts = vec![first];
        while self.eat(Token::And) {
            parts.push(self.negated(depth)?);
        }
        Ok(single_or(parts, Expr::And))
    }

    fn negated(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let mut is_negated = false;
        while self.eat(Token::Not) {
            is_negated = !is_negated;
        }
        let expr = self.test(depth)?;
        Ok(if is_negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    fn test(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let expr = match self.peek() {
            Some(Token::Has(key)) => Expr::Has(key.to_owned()),
            Some(Token::All) => Expr::All,
            Some(Token::Global) => Expr::Global,
            Some(Token::Label(key)) => {
                self.next += 1;
                return self.comparison(key);
            }
            Some(Token::OpenParen) if depth >= MAX_DEPTH => {
                let at = self.tokens[self.next].1.clone();
                return Err(ParseError::new(
                    at,
                    format!("more than {MAX_DEPTH} parentheses inside each other"),
                ));
            }
            Some(Token::OpenParen) => {
                self.next += 1;
                let expr = self.any_of(depth + 1)?;
                return if self.eat(Token::CloseParen) { Ok(expr) } else { Err(self.wrong("`)`")) };
            }
            _ => return Err(self.wrong("a label, `has(key)`, `all()`, `!` or `(`")),
        };
        self.next += 1;
        Ok(expr)
    }

    fn comparison(&mut self, key: &str) -> Result<Expr, ParseError> {
        let Some(operator) = self.peek() else { return Err(self.wrong("an operator after the label")) };
        let key = key.to_owned();
        let build: fn(String, String) -> Expr = match operator {
            Token::Equals => Expr::Equals,
            Token::NotEquals => Expr::NotEquals,
            Token::Contains => Expr::Contains,
            Token::StartsWith => Expr::StartsWith,
            Token::EndsWith => Expr::EndsWith,
            Token::In | Token::NotIn => {
                self.next += 1;
                let values = self.list()?;
                return Ok(if operator == Token::In {
                    Expr::In(key, values)
                } else {
                    Expr::NotIn(key, values)
                });
            }
            _ => return Err(self.wrong("an operator after the label")),
        };
        self.next += 1;
        match self.peek() {
            Some(Token::Text(text)) => {
                self.next += 1;
                Ok(build(key, text.to_owned()))
            }
            _ => Err(self.wrong("a quoted value")),
        }
    }

    /// `{'a', 'b'}`; may be empty, and a comma may stand before the closing brace.
    fn list(&mut self) -> Result<Vec<String>, ParseError> {
        if !self.eat(Token::OpenBrace) {
            return Err(self.wrong("a list such as `{'a', 'b'}`"));
        }
        let mut values = Vec::new();
        while let Some(Token::Text(text)) = self.peek() {
            self.next += 1;
            values.push(text.to_owned());
            if !self.eat(Token::Comma) {
                break;
            }
        }
        if !self.eat(Token::CloseBrace) {
            return Err(self.wrong("a quoted value or `}`"));
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

fn single_or(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

/// A value in the quotes that it does not contain itself.
fn quoted(value: &str) -> String {
    if value.contains('\'') { format!("\"{value}\"") } else { format!("'{value}'") }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Expr], between: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        enclosed(f, part, between == " || " && matches!(part, Expr::And(_)))?;
    }
    Ok(())
}

/// A part in parentheses where it needs them to be read back as the same tree.
fn enclosed(f: &mut fmt::Formatter<'_>, part: &Expr, binds_tighter: bool) -> fmt::Result {
    match part {
        Expr::And(_) | Expr::Or(_) if !binds_tighter => write!(f, "({part})"),
        _ => write!(f, "{part}"),
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |values: &[String]| values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", ");
        match self {
            Expr::All => f.write_str("all()"),
            Expr::Global => f.write_str("global()"),
            Expr::Has(key) => write!(f, "has({key})"),
            Expr::Equals(key, value) => write!(f, "{key} == {}", quoted(value)),
            Expr::NotEquals(key, value) => write!(f, "{key} != {}", quoted(value)),
            Expr::In(key, values) => write!(f, "{key} in {{{}}}", list(values)),
            Expr::NotIn(key, values) => write!(f, "{key} not in {{{}}}", list(values)),
            Expr::Contains(key, value) => write!(f, "{key} contains {}", quoted(value)),
            Expr::StartsWith(key, value) => write!(f, "{key} starts with {}", quoted(value)),
            Expr::EndsWith(key, value) => write!(f, "{key} ends with {}", quoted(value)),
            Expr::Not(inner) => {
                f.write_str("!")?;
                enclosed(f, inner, false)
            }
            Expr::And(parts) => joined(f, parts, " && "),
            Expr::Or(parts) => joined(f, parts, " || "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &'static str)]) -> bool {
        let label = |key: &str| labels.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
        Expr::parse(selector).unwrap().matches(&label)
    }

    #[test]
    fn evaluation() {
        let web = [("app", "web"), ("tier", "front-end")];
        assert!(selects("", &[]) && selects("all()", &web) && selects("global( )", &web));
        assert!(selects("app == 'web' && has(tier)", &web));
        assert!(selects("app == \"x\" || tier starts with 'front'", &web));
        assert!(selects("tier contains 't-e' && tier ends with 'end'", &web));
        assert!(selects("app in {'web', 'api',}", &web) && !selects("app in {}", &web));
        assert!(selects("zone != 'a' && zone not in {'b'}", &web));
        assert!(selects("!!has(app) && !has(zone)", &web));
        assert!(selects("has(zone) && has(app) || has(tier)", &web));
        assert!(!selects("has(zone) && (has(app) || has(tier))", &web));
        assert!(!selects("!app == 'web'", &web));
        assert!(selects("all == 'x' || app in{'web'}", &web));
    }

    #[test]
    fn errors() {
        let at = |text: &str| Expr::parse(text).unwrap_err().at;
        assert_eq!(at("app"), 3..3);
        assert_eq!(at("app = 'x'"), 4..5);
        assert_eq!(at("app == x"), 7..8);
        assert_eq!(at("app == 'x"), 7..9);
        assert_eq!(at("(has(a)"), 7..7);
        assert_eq!(at("has(a) has(b)"), 7..13);
        assert_eq!(at("has('a')"), 0..4);
        assert_eq!(at("a ==\n'b'"), 4..5);
        assert_eq!(at("has(a) & has(b)"), 7..8);
        assert_eq!(at("a in 'b'"), 5..8);
        assert_eq!(at("a b"), 2..3);
        assert_eq!(at("has(a))"), 6..7);
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}has(a){}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(Expr::parse(&nested(MAX_DEPTH)), Ok(Expr::Has("a".into())));
        assert_eq!(Expr::parse(&nested(MAX_DEPTH + 1)).unwrap_err().at, MAX_DEPTH..MAX_DEPTH + 1);
        assert!(Expr::parse(&nested(200_000)).is_err());
        assert!(Expr::parse(&format!("{}has(a)", "!".repeat(200_001))).is_ok());
    }

    #[test]
    fn printing_keeps_the_tree() {
        for text in
            ["(a == 'x' || b == 'y') && !(has(c) && has(d))", "(has(a) && has(b)) && has(c)", "a != \"it's\""]
        {
            assert_eq!(Expr::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Expr::parse("(has(a) && has(b)) || has(c)").unwrap().to_string(),
            "has(a) && has(b) || has(c)"
        );
    }
}
