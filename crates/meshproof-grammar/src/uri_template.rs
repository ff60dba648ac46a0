//! Path templates as Envoy reads them, behind istiod's translation of `{*}` and `{**}`.
//!
//! Rules: Istio 1.32, `authz/model/generator.go` (the translation, which looks at no borders); Envoy 1.40,
//! `uri_template_internal.cc`: a template is cut into literals, operators and variables, these become one regular
//! expression, and the whole path has to match it. Literals go in with their stars, so the star in `/x*` repeats the
//! `x`. Admission knows far fewer templates ([`crate::path_template`]); files in a repository have not met it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use nom::Parser;
use nom::bytes::complete::{tag, take_till, take_while, take_while1};
use nom::combinator::{recognize, verify};
use nom::error::Error;
use nom::sequence::delimited;

use crate::error::ParseError;
use crate::text::{offset, shown};

/// Variables a template may have.
const VARIABLES: usize = 5;
/// Few templates have more steps.
const USUAL: usize = 64;
/// Characters of a variable's name.
const NAME: usize = 16;

/// What stands between two slashes, or between the slashes of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Text; its stars repeat the character before them.
    Literal(String),
    /// `*`: one or more characters of a segment.
    One,
    /// `**`: any number of them, slashes included.
    Any,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Text or an operator.
    Part(Part),
    /// `{name}`, which means `*`, or `{name=a/*}`.
    Variable {
        /// Its name.
        name: String,
        /// What it takes; nothing means `*`.
        parts: Vec<Part>,
    },
}

/// A template that Envoy takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UriTemplate {
    /// The pieces, with a slash in front of each. A slash at the end stands before an empty literal.
    pub pieces: Vec<Piece>,
    /// Text directly behind the last piece, which is then no literal.
    pub suffix: String,
}

/// The template that istiod makes of a value of `paths`.
pub fn translate(value: &str) -> String {
    let mut template = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('{') {
        template.push_str(&rest[..at]);
        rest = &rest[at..];
        let (written, operator) = [("{**}", "**"), ("{*}", "*")]
            .into_iter()
            .find(|(written, _)| rest.starts_with(written))
            .unwrap_or(("{", "{"));
        template.push_str(operator);
        rest = &rest[written.len()..];
    }
    template.push_str(rest);
    template
}

/// The characters of literals, and of what operators match.
const fn is_literal(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '~' | '%' | '!' | '$' | '&')
        || matches!(c, '\'' | '(' | ')' | '+' | ',' | ';' | ':' | '@' | '=' | '*')
}

/// As [`is_literal`], of bytes: what is not ASCII stands in no literal.
const LITERALS: [bool; 256] = {
    let mut literals = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        literals[byte as usize] = is_literal(byte as char);
        byte += 1;
    }
    literals
};

/// The text up to the next slash, which must be a literal.
fn literal<'a>(whole: &str, input: &'a str) -> Result<(&'a str, String), ParseError> {
    let read: nom::IResult<&str, &str> = take_till(|c| c == '/').parse(input);
    let (rest, piece) = read.map_err(|_| ParseError::new(0..whole.len(), "no literal"))?;
    let at = offset(whole, input);
    // Nearly all are, and bytes are quicker to look at.
    let bad = match piece.bytes().all(|byte| LITERALS[usize::from(byte)]) {
        true => None,
        false => piece.char_indices().find(|(_, c)| !is_literal(*c)),
    };
    match bad {
        Some((bad, c)) => Err(ParseError::new(
            at + bad..at + bad + c.len_utf8(),
            format!("the character {} cannot stand here", shown(&c.to_string())),
        )),
        None if piece.is_empty() => Err(ParseError::new(at..at, "nothing stands between two slashes")),
        None => Ok((rest, piece.to_owned())),
    }
}

fn part<'a>(whole: &str, input: &'a str) -> Result<(&'a str, Part), ParseError> {
    if let Some(rest) = input.strip_prefix("**") {
        return Ok((rest, Part::Any));
    }
    if let Some(rest) = input.strip_prefix('*') {
        return Ok((rest, Part::One));
    }
    literal(whole, input).map(|(rest, text)| (rest, Part::Literal(text)))
}

/// `{name}` or `{name=…}`.
fn variable<'a>(whole: &str, input: &'a str) -> Result<(&'a str, Piece), ParseError> {
    let at = offset(whole, input);
    let mut braces = delimited(tag("{"), take_till(|c| c == '}'), tag("}"));
    let (rest, inside): (&str, &str) = braces
        .parse(input)
        .map_err(|_: nom::Err<Error<&str>>| ParseError::new(at..whole.len(), "the brace is never closed"))?;
    let name = recognize((
        take_while1(|c: char| c.is_ascii_alphabetic()),
        take_while(|c: char| c.is_ascii_alphanumeric() || c == '_'),
    ));
    let mut name = verify(name, |name: &str| name.len() <= NAME);
    let (mut open, name) = name.parse(inside).map_err(|_: nom::Err<Error<&str>>| {
        ParseError::new(
            at..whole.len() - rest.len(),
            "a variable is named with at most 16 letters, digits and underscores",
        )
    })?;
    let mut parts = Vec::new();
    if !open.is_empty() {
        let error = || ParseError::new(offset(whole, inside)..whole.len() - rest.len() - 1, "not a variable");
        open = open.strip_prefix('=').ok_or_else(error)?;
        loop {
            let (after, read) = part(whole, open)?;
            parts.push(read);
            if after.is_empty() {
                break;
            }
            open = after.strip_prefix('/').filter(|more| !more.is_empty()).ok_or_else(error)?;
        }
    }
    Ok((rest, Piece::Variable { name: name.to_owned(), parts }))
}

impl UriTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What makes Envoy refuse a listener: no leading slash, an empty segment, a character that literals do not have,
    /// something other than plain text beside an operator, an operator after `**`, a bad or repeated variable.
    pub fn parse(text: &str) -> Result<UriTemplate, ParseError> {
        let Some(mut rest) = text.strip_prefix('/') else {
            return Err(ParseError::new(0..0, "a template starts with a slash"));
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic())
            && let Some((at, c)) = text.char_indices().find(|(_, c)| !c.is_ascii_graphic())
        {
            return Err(ParseError::new(at..at + c.len_utf8(), "a template is printable ASCII"));
        }
        let mut template = UriTemplate { pieces: Vec::new(), suffix: String::new() };
        let mut order = Order::default();
        while !rest.is_empty() {
            let start = offset(text, rest);
            let (after, piece) = match rest.strip_prefix('{') {
                Some(_) => variable(text, rest)?,
                None => part(text, rest).map(|(after, part)| (after, Piece::Part(part)))?,
            };
            order.check(&piece).map_err(|message| ParseError::new(start..offset(text, after), message))?;
            template.pieces.push(piece);
            rest = match after.strip_prefix('/') {
                Some("") => {
                    template.pieces.push(Piece::Part(Part::Literal(String::new())));
                    ""
                }
                Some(more) => more,
                None if after.is_empty() => "",
                None => {
                    let (more, suffix) = literal(text, after)?;
                    if !more.is_empty() {
                        let place = offset(text, after)..text.len();
                        return Err(ParseError::new(
                            place,
                            "text beside an operator has to be the end of the template",
                        ));
                    }
                    template.suffix = suffix;
                    more
                }
            };
        }
        Ok(template)
    }

    /// Whether a normalized path (query and fragment already removed) matches. A template whose stars follow each other
    /// (`/a**`, and `**` with a star behind it) is taken by Envoy and matches nothing.
    pub fn matches(&self, path: &str) -> bool {
        self.begins(path) && Machine::new(self).is_some_and(|machine| machine.accepts(path))
    }

    /// Whether the path begins with the literals in front, which is told without a machine. Stars are left to it: one
    /// repeats what stands before it.
    fn begins(&self, path: &str) -> bool {
        let mut rest = path;
        for piece in &self.pieces {
            let Some(behind) = rest.strip_prefix('/') else { return false };
            rest = match piece {
                Piece::Part(Part::Literal(text)) if !text.contains('*') => {
                    match behind.strip_prefix(text.as_str()) {
                        Some(behind) => behind,
                        None => return false,
                    }
                }
                _ => return true,
            };
        }
        true
    }

    /// Whether no path ever matches: stars follow each other.
    pub fn matches_nothing(&self) -> bool {
        self.has_stars() && Machine::new(self).is_none()
    }

    /// Whether a literal has a star, which repeats what is before it.
    fn has_stars(&self) -> bool {
        let literals = self.pieces.iter().flat_map(|piece| match piece {
            Piece::Part(part) => std::slice::from_ref(part),
            Piece::Variable { parts, .. } => parts,
        });
        let has_star = |text: &str| text.as_bytes().contains(&b'*');
        let mut texts = literals.filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::One | Part::Any => None,
        });
        has_star(&self.suffix) || texts.any(has_star)
    }

    /// The template as literals and operators, the slashes before its parts among the literals; nothing where a
    /// literal has a star, for then only [`UriTemplate::steps`] tell it.
    pub fn runs(&self) -> Option<impl Iterator<Item = Run<'_>>> {
        let parts = self.pieces.iter().flat_map(|piece| match piece {
            Piece::Part(part) => std::slice::from_ref(part),
            Piece::Variable { parts, .. } if parts.is_empty() => &[Part::One],
            Piece::Variable { parts, .. } => parts,
        });
        let runs = parts.flat_map(|part| [Run::Literal("/"), Run::of(part)]);
        (!self.has_stars()).then(|| runs.chain([Run::Literal(&self.suffix)]))
    }

    /// The steps of the regular expression; nothing when no text matches.
    pub fn steps(&self) -> Option<Steps> {
        Machine::new(self).map(|machine| Steps { steps: machine.steps, repeated: machine.repeated })
    }

    /// What the whole path has to match, for code that reasons about all paths at once.
    pub fn expression(&self) -> Expression {
        match Machine::new(self) {
            None => Expression::Nothing,
            Some(Machine { repeated: Some(_), .. }) => Expression::RepeatedVariable,
            Some(machine) => Expression::Steps(machine.steps),
        }
    }
}

/// The regular expression of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expression {
    /// No text matches.
    Nothing,
    /// Steps one after the other, each with whether it is repeated any number of times instead of taken once.
    Steps(Vec<(Takes, bool)>),
    /// A variable is repeated as a whole, which steps cannot say.
    RepeatedVariable,
}

/// The steps of a template, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Steps {
    /// Each with whether it is repeated any number of times instead of taken once.
    pub steps: Vec<(Takes, bool)>,
    /// Those that are repeated together: a variable with a star behind it.
    pub repeated: Option<Range<usize>>,
}

/// A part of a template without stars in its literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Run<'t> {
    /// This text; it may be empty.
    Literal(&'t str),
    /// One or more characters of a segment.
    Segment,
    /// Any number of them, slashes included.
    Slashes,
}

impl<'t> Run<'t> {
    fn of(part: &'t Part) -> Run<'t> {
        match part {
            Part::Literal(text) => Run::Literal(text),
            Part::One => Run::Segment,
            Part::Any => Run::Slashes,
        }
    }
}

/// What the pieces so far forbid.
#[derive(Default)]
struct Order {
    any_seen: bool,
    names: BTreeSet<String>,
}

impl Order {
    fn check(&mut self, piece: &Piece) -> Result<(), &'static str> {
        let implicit = [Part::One];
        let parts = match piece {
            Piece::Part(part) => std::slice::from_ref(part),
            Piece::Variable { name, parts } => {
                if self.names.len() == VARIABLES {
                    return Err("a template has at most five variables");
                }
                if !self.names.insert(name.clone()) {
                    return Err("two variables have one name");
                }
                if parts.is_empty() { &implicit } else { parts.as_slice() }
            }
        };
        for part in parts.iter().filter(|part| !matches!(part, Part::Literal(_))) {
            if self.any_seen {
                return Err("an operator follows `**`");
            }
            self.any_seen = *part == Part::Any;
        }
        Ok(())
    }
}

/// What one step of the regular expression takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Takes {
    /// This byte.
    This(u8),
    /// A character of a segment.
    Segment,
    /// A character of a segment, or a slash.
    Slashes,
}

impl Takes {
    /// Whether the step takes the byte.
    pub fn takes(self, byte: u8) -> bool {
        match self {
            Takes::This(this) => this == byte,
            Takes::Segment => is_literal(char::from(byte)),
            Takes::Slashes => byte == b'/' || is_literal(char::from(byte)),
        }
    }
}

/// The regular expression: steps one after the other, each taken once or any number of times.
struct Machine {
    steps: Vec<(Takes, bool)>,
    /// Steps that are repeated together: a variable with a star behind it.
    repeated: Option<Range<usize>>,
    /// Whether the last step is repeated already.
    is_repeated: bool,
}

impl Machine {
    /// Nothing when it is no regular expression.
    fn new(template: &UriTemplate) -> Option<Machine> {
        let mut machine = Machine { steps: Vec::with_capacity(USUAL), repeated: None, is_repeated: false };
        let mut last_variable = None;
        for piece in &template.pieces {
            machine.text("/")?;
            let start = machine.steps.len();
            last_variable = None;
            match piece {
                Piece::Part(part) => machine.part(part)?,
                Piece::Variable { parts, .. } => {
                    if parts.is_empty() {
                        machine.part(&Part::One)?;
                    }
                    for (at, part) in parts.iter().enumerate() {
                        machine.text(if at > 0 { "/" } else { "" })?;
                        machine.part(part)?;
                    }
                    last_variable = Some(start..machine.steps.len());
                }
            }
        }
        let mut suffix = template.suffix.as_str();
        if let (Some(variable), Some(rest)) = (last_variable, suffix.strip_prefix('*')) {
            (machine.repeated, machine.is_repeated) = (Some(variable), true);
            suffix = rest;
        }
        machine.text(suffix)?;
        Some(machine)
    }

    fn part(&mut self, part: &Part) -> Option<()> {
        match part {
            Part::Literal(text) => return self.text(text),
            Part::One => self.steps.extend([(Takes::Segment, false), (Takes::Segment, true)]),
            Part::Any => self.steps.push((Takes::Slashes, true)),
        }
        self.is_repeated = true;
        Some(())
    }

    fn text(&mut self, text: &str) -> Option<()> {
        for byte in text.bytes() {
            if byte != b'*' {
                self.steps.push((Takes::This(byte), false));
                self.is_repeated = false;
            } else if self.is_repeated {
                return None;
            } else {
                self.steps.last_mut()?.1 = true;
                self.is_repeated = true;
            }
        }
        Some(())
    }

    /// All ways at once, so the time is linear in the path.
    fn accepts(&self, path: &str) -> bool {
        let mut open = Vec::new();
        let (mut now, mut next) = (vec![false; self.steps.len() + 1], vec![false; self.steps.len() + 1]);
        self.reach(&mut now, 0, &mut open);
        for byte in path.bytes() {
            next.fill(false);
            for (at, (takes, repeats)) in self.steps.iter().enumerate() {
                if now[at] && takes.takes(byte) {
                    self.reach(&mut next, if *repeats { at } else { at + 1 }, &mut open);
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        now.last().is_some_and(|accepts| *accepts)
    }

    /// Marks a place and those that are reached from it without a character.
    fn reach(&self, places: &mut [bool], from: usize, open: &mut Vec<usize>) {
        open.push(from);
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut places[at], true) {
                continue;
            }
            if self.steps.get(at).is_some_and(|(_, repeats)| *repeats) {
                open.push(at + 1);
            }
            if let Some(variable) = &self.repeated {
                if at == variable.start {
                    open.push(variable.end);
                } else if at == variable.end {
                    open.push(variable.start);
                }
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Literal(text) => text,
            Part::One => "*",
            Part::Any => "**",
        })
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Part(part) => part.fmt(f),
            Piece::Variable { name, parts } if parts.is_empty() => write!(f, "{{{name}}}"),
            Piece::Variable { name, parts } => {
                let parts: Vec<String> = parts.iter().map(Part::to_string).collect();
                write!(f, "{{{name}={}}}", parts.join("/"))
            }
        }
    }
}

impl fmt::Display for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pieces.is_empty() {
            return f.write_str("/");
        }
        self.pieces.iter().try_for_each(|piece| write!(f, "/{piece}"))?;
        f.write_str(&self.suffix)
    }
}
