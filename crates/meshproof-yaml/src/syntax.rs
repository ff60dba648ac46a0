//! Syntax problems in the reader's words: what YAML saw, where, and what to write instead.

use std::ops::Range;

use granit_parser::{ErrorKind, ScanError};
use meshproof_source::Span;

use crate::build::MAX_DEPTH;
use crate::{Problem, ProblemKind, Tree};

fn problem(kind: ProblemKind, span: Span, message: impl Into<String>, help: &str) -> Problem {
    let help = (!help.is_empty()).then(|| help.to_owned());
    Problem { kind, span, message: message.into(), help, related: None }
}

pub(crate) fn too_deep(span: Span) -> Problem {
    let message =
        format!("more than {MAX_DEPTH} mappings and lists inside each other; the document is not read");
    problem(ProblemKind::TooLarge, span, message, "")
}

pub(crate) fn alias_bomb(span: Span, budget: usize) -> Problem {
    let message = format!("the aliases of this document expand to more than {budget} values; it is not read");
    problem(ProblemKind::AliasBomb, span, message, "write the values out, or repeat fewer of them")
}

pub(crate) fn alias_to_itself(tree: &Tree<'_>, span: Span) -> Problem {
    let name = tree.text.get(span.start as usize..span.end as usize).unwrap_or("");
    let message = format!("the alias `{name}` stands inside the value that it repeats, which never ends");
    problem(ProblemKind::AliasBomb, span, message, "")
}

pub(crate) fn unknown_alias(tree: &Tree<'_>, at: Range<usize>) -> Problem {
    let name = tree.text.get(at.clone()).unwrap_or("");
    let message = format!(
        "unquoted `{name}` is an alias in YAML, and there is no anchor `&{}`",
        name.trim_start_matches('*')
    );
    problem(
        ProblemKind::Syntax,
        tree.at(at.start, at.end),
        message,
        &format!("for the text, quote it: \"{name}\""),
    )
}

pub(crate) fn merge_needs_mapping(span: Span) -> Problem {
    let help = "`<<:` takes an alias of a mapping, a mapping, or a list of them";
    problem(ProblemKind::Syntax, span, "the value of a merge key is not a mapping", help)
}

pub(crate) fn wrong_tag(span: Span, content: &str, tag: &str) -> Problem {
    problem(ProblemKind::Syntax, span, format!("`{}` cannot be read as !!{tag}", shorten(content)), "")
}

pub(crate) fn key_is_collection(span: Span, content: &str) -> Problem {
    let template = content.starts_with("{{") || content.starts_with("{%");
    let help = if template {
        "this looks like a template: render it first, or quote it if the braces are meant"
    } else {
        "quote the key if it is a text"
    };
    problem(ProblemKind::Syntax, span, "a mapping or list cannot be a key", help)
}

pub(crate) fn key_is_null(span: Span) -> Problem {
    problem(
        ProblemKind::Syntax,
        span,
        "this key is empty (null)",
        "write a name before the `:`, or quote it if it is a text",
    )
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// An error of the event parser, put into words.
pub(crate) fn scan(tree: &Tree<'_>, error: &ScanError, range: Range<usize>) -> Problem {
    let mut at = (range.start + error.marker().byte_offset().unwrap_or(0)).min(range.end);
    while !tree.text.is_char_boundary(at) {
        at -= 1;
    }
    let place = Place { text: tree.text, range, at };
    let (span, message, help) = place.explain(error);
    let kind = match error.kind() {
        ErrorKind::RecursionLimitExceeded => ProblemKind::TooLarge,
        _ => ProblemKind::Syntax,
    };
    problem(kind, tree.at(span.start, span.end), message, &help)
}

struct Place<'t> {
    text: &'t str,
    range: Range<usize>,
    at: usize,
}

impl Place<'_> {
    fn explain(&self, error: &ScanError) -> (Range<usize>, String, String) {
        let here = self.token(self.at);
        let token = &self.text[here.clone()];
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => {
                let message = format!(
                    "more than {MAX_DEPTH} mappings and lists inside each other; the document is not read"
                );
                (self.character(), message, String::new())
            }
            ErrorKind::MissingAnchorOrAliasName => {
                let what = if token.starts_with('&') { "an anchor" } else { "an alias" };
                let message = format!("unquoted `{token}` begins {what} in YAML, and the name is missing");
                (here.clone(), message, format!("for the text, quote it: \"{token}\""))
            }
            ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabNotAllowed
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabAtBlockScalarStart => {
                let message = "a tab stands where YAML wants spaces".to_owned();
                (self.tab(), message, "indent with spaces; YAML does not allow tabs there".to_owned())
            }
            ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
                let message =
                    format!("the control character U+{:04X} is not allowed in YAML", *character as u32);
                (self.character(), message, "remove it; the file may be binary or damaged".to_owned())
            }
            ErrorKind::UnexpectedCharacter { character } => {
                let message = format!("an unquoted value cannot begin with `{character}`");
                (here.clone(), message, format!("quote it: \"{token}\""))
            }
            ErrorKind::MappingValueNotAllowed => {
                let message = "a `:` followed by a space makes a key, and a key cannot stand here".to_owned();
                let help =
                    "quote the value if the colon belongs to it; otherwise check line break and indentation";
                (self.character(), message, self.template_or(help))
            }
            ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => {
                let message = "a list item `-` cannot stand here".to_owned();
                (self.character(), message, "put the list on lines of its own, below its key".to_owned())
            }
            ErrorKind::BomInsideDocument => {
                let message = "a byte order mark (U+FEFF) stands inside the document".to_owned();
                (self.character(), message, "remove it; files joined with `cat` leave it behind".to_owned())
            }
            ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
                let message =
                    "a quoted text is not closed, or goes on at the indentation of its key".to_owned();
                (self.line(), message, "close the quote on the line where it opens".to_owned())
            }
            ErrorKind::UnclosedFlowCollection { open } => {
                let message = format!("`{open}` is not closed");
                (self.character(), message, self.template_or(""))
            }
            ErrorKind::UnexpectedEofFlowSequence
            | ErrorKind::UnexpectedEofFlowMapping
            | ErrorKind::UnexpectedEofImplicitFlowMapping
            | ErrorKind::InvalidColonPlacement
            | ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator => {
                let message = "`,` or the closing bracket is missing in a `[…]` or `{…}`".to_owned();
                (
                    self.character(),
                    message,
                    self.template_or("quote values that contain `,`, `:`, brackets or braces"),
                )
            }
            ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::SimpleKeyExpected
            | ErrorKind::InvalidSimpleKey => {
                let message =
                    "this line does not continue the mapping: a key with `:` is expected".to_owned();
                let help = "check the indentation, the colon, and that the key is on one line of at most 1024 characters";
                (self.line(), message, self.template_or(help))
            }
            ErrorKind::ExpectedBlockSequenceEntry => {
                let message = "this line does not continue the list: an item with `-` is expected".to_owned();
                (self.line(), message, self.template_or("check the indentation"))
            }
            ErrorKind::ExpectedDocumentStart => {
                let message =
                    "the document has ended before this line, which belongs to nothing above".to_owned();
                (self.line(), message, self.template_or("check the indentation"))
            }
            ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => {
                let message = format!("`{token}` stands behind a closing quote");
                (
                    here.clone(),
                    message,
                    "escape the quote inside the text, or quote with the other kind".to_owned(),
                )
            }
            ErrorKind::UnknownQuotedScalarEscape => {
                let at = self.unknown_escape();
                let message = format!(
                    "`{}` is no escape, and in double quotes a backslash begins one",
                    &self.text[at.clone()]
                );
                (at, message, "write `\\\\` for a backslash, or use single quotes".to_owned())
            }
            ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
                let message = format!("`{open}` is closed by `{close}`");
                (self.character(), message, self.template_or(""))
            }
            ErrorKind::InvalidIndentation => {
                (self.line(), "the indentation fits nothing above".to_owned(), self.template_or(""))
            }
            _ => (self.character(), format!("this is not YAML: {}", error.info()), self.template_or("")),
        }
    }

    fn template_or(&self, help: &str) -> String {
        let line = &self.text[self.line_bounds()];
        if line.contains("{{") || line.contains("{%") || line.contains("${") {
            return "this looks like a template: render it first".to_owned();
        }
        help.to_owned()
    }

    fn character(&self) -> Range<usize> {
        let length = self.text[self.at..self.range.end].chars().next().map_or(0, char::len_utf8);
        self.at..self.at + length
    }

    /// The word that begins at a byte, up to white space or a flow indicator.
    fn token(&self, at: usize) -> Range<usize> {
        let length = self.text[at..self.range.end]
            .char_indices()
            .find(|(offset, character)| {
                *offset > 0 && (character.is_whitespace() || ",]}".contains(*character))
            })
            .map_or(self.range.end - at, |(offset, _)| offset);
        at..at + length.min(self.text[at..self.range.end].len())
    }

    fn line_bounds(&self) -> Range<usize> {
        let start = self.text[self.range.start..self.at]
            .rfind('\n')
            .map_or(self.range.start, |at| self.range.start + at + 1);
        let end = self.text[self.at..self.range.end].find('\n').map_or(self.range.end, |at| self.at + at);
        start..end
    }

    /// The line of the error without indentation and line break.
    fn line(&self) -> Range<usize> {
        let bounds = self.line_bounds();
        let line = &self.text[bounds.clone()];
        let start = bounds.start + (line.len() - line.trim_start().len());
        let end = start.max(bounds.start + line.trim_end().len());
        start..end
    }

    /// The first escape behind the error's place that YAML does not know.
    fn unknown_escape(&self) -> Range<usize> {
        let mut characters = self.text[self.at..self.range.end].char_indices();
        while let Some((offset, character)) = characters.next() {
            if character != '\\' {
                continue;
            }
            match characters.next() {
                Some((_, known)) if "0abt\tnvfre \"/\\N_LPxuU\r\n".contains(known) => {}
                Some((_, unknown)) => {
                    let start = self.at + offset;
                    return start..start + 1 + unknown.len_utf8();
                }
                None => break,
            }
        }
        self.character()
    }

    /// The tabs that begin the line or stand before the error.
    fn tab(&self) -> Range<usize> {
        let bounds = self.line_bounds();
        let indentation =
            self.text[bounds.clone()].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let lead = bounds.start..bounds.start + indentation;
        let area = if self.text[lead.clone()].contains('\t') {
            lead
        } else if self.text[bounds.clone()].contains('\t') {
            bounds
        } else {
            // In a plain scalar over several lines the error is told at its beginning.
            self.at..self.range.end
        };
        let Some(offset) = self.text[area.clone()].find('\t') else { return self.character() };
        let start = area.start + offset;
        let length = self.text[start..area.end].bytes().take_while(|byte| *byte == b'\t').count();
        start..start + length
    }
}
