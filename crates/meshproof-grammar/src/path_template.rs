//! Path templates: `/users/{*}/files/{**}`.
//!
//! What istiod's webhook admits: Istio 1.32, `pkg/config/security/security.go` (`CheckValidPathTemplate`). What an
//! admitted template means: Envoy's URI template matcher, where `{*}` is one or more path characters without a slash
//! and `{**}` is any number of them with slashes, and the whole path has to match. What Envoy makes of any other text
//! is [`crate::uri_template`].

use std::fmt;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::combinator::{all_consuming, map, value};
use nom::{IResult, Parser};

use crate::error::ParseError;
use crate::text::{pieces, shown};

/// One piece between slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Literal text; empty only before the first and after the last slash.
    Literal(String),
    /// `{*}`: exactly one non-empty segment.
    One,
    /// `{**}`: any text, slashes included, possibly none.
    Any,
}

/// A path with at least one `{*}` or `{**}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathTemplate {
    /// The pieces between slashes, in order; a leading slash gives an empty first piece.
    pub segments: Vec<Segment>,
}

/// Whether Istio reads this value as a template instead of a match pattern.
pub fn is_template(text: &str) -> bool {
    text.as_bytes().contains(&b'{') && (text.contains("{*}") || text.contains("{**}"))
}

/// The characters that `{*}` and literals may hold: RFC 3986 `pchar`.
fn is_pchar(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~%!$&'()+,;:@=".contains(c)
}

/// The characters of a request path that the operators accept. The literal star was added to Envoy with the fix of
/// CVE-2025-46821; older proxies do not match such paths.
fn is_matched(c: char) -> bool {
    is_pchar(c) || c == '*'
}

fn segment(input: &str) -> IResult<&str, Segment> {
    all_consuming(alt((
        value(Segment::One, tag("{*}")),
        value(Segment::Any, tag("{**}")),
        map(take_while1(is_pchar), |text: &str| Segment::Literal(text.to_owned())),
    )))
    .parse(input)
}

/// The first segment with a brace that belongs to no operator. Istio rejects these in paths without a template too.
pub(crate) fn stray_brace(text: &str) -> Option<ParseError> {
    pieces(text, '/')
        .find(|(_, piece)| *piece != "{*}" && *piece != "{**}" && piece.contains(['{', '}']))
        .map(|(start, piece)| {
            ParseError::new(
                start..start + piece.len(),
                format!(
                    "the segment {} holds a brace, but only `{{*}}` and `{{**}}` are understood",
                    shown(piece)
                ),
            )
            .with_help(if piece.contains("{*}") || piece.contains("{**}") {
                "an operator fills a whole segment: nothing may stand beside it between two slashes"
            } else {
                "write `{*}` for one segment or `{**}` for the rest; segments cannot be named"
            })
        })
}

impl PathTemplate {
    /// Reads a template as istiod's webhook does.
    ///
    /// # Errors
    /// No operator at all, a brace beside an operator, an operator after `{**}`, an empty segment inside, or a
    /// character that is not allowed in a path segment.
    pub fn parse(text: &str) -> Result<PathTemplate, ParseError> {
        if !is_template(text) {
            return Err(ParseError::new(0..text.len(), "a path template needs `{*}` or `{**}`"));
        }
        let inner = text.trim_matches('/');
        let start = text.len() - text.trim_start_matches('/').len();
        let end = start + inner.len();
        let mut any_seen = false;
        let mut segments = Vec::new();
        for (at, piece) in pieces(text, '/') {
            if at < start || (at >= end && piece.is_empty()) {
                segments.push(Segment::Literal(String::new()));
                continue;
            }
            let (_, read) = segment(piece).map_err(|_| segment_error(text, at, piece))?;
            if any_seen && read_is_operator(&read) {
                return Err(ParseError::new(
                    at..at + piece.len(),
                    format!("{} follows `{{**}}`", shown(piece)),
                )
                .with_help("`{**}` must be the last operator; only literal segments may follow it"));
            }
            any_seen |= read == Segment::Any;
            segments.push(read);
        }
        Ok(PathTemplate { segments })
    }

    /// Whether a normalized path (query and fragment already removed) matches. Takes time linear in the path.
    pub fn matches(&self, path: &str) -> bool {
        let mut rest = path;
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                match rest.strip_prefix('/') {
                    Some(after) => rest = after,
                    None => return false,
                }
            }
            match segment {
                Segment::Literal(text) => match rest.strip_prefix(text.as_str()) {
                    Some(after) => rest = after,
                    None => return false,
                },
                Segment::One => {
                    let after = rest.trim_start_matches(is_matched);
                    if after.len() == rest.len() {
                        return false;
                    }
                    rest = after;
                }
                Segment::Any => {
                    let ending = self.text_after(index + 1);
                    return rest
                        .strip_suffix(ending.as_str())
                        .is_some_and(|middle| middle.chars().all(|c| is_matched(c) || c == '/'));
                }
            }
        }
        rest.is_empty()
    }

    /// What stands after `{**}`; only literals can.
    fn text_after(&self, from: usize) -> String {
        self.segments[from..].iter().map(|segment| format!("/{segment}")).collect()
    }
}

fn read_is_operator(segment: &Segment) -> bool {
    matches!(segment, Segment::One | Segment::Any)
}

fn segment_error(text: &str, at: usize, piece: &str) -> ParseError {
    if piece.is_empty() {
        return ParseError::new(at..at, "an empty segment (`//`) is not allowed in a path template");
    }
    if piece.contains(['{', '}'])
        && let Some(error) = stray_brace(&text[at..at + piece.len()])
    {
        return error.shifted(at);
    }
    let (bad, c) = piece.char_indices().find(|(_, c)| !is_pchar(*c)).unwrap_or((0, ' '));
    let error = ParseError::new(
        at + bad..at + bad + c.len_utf8(),
        format!("the character {} is not allowed in a path template", shown(&c.to_string())),
    );
    if c == '*' { error.with_help("a wildcard inside a template is written `{*}` or `{**}`") } else { error }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Segment::Literal(text) => text,
            Segment::One => "{*}",
            Segment::Any => "{**}",
        })
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            write!(f, "{segment}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> PathTemplate {
        PathTemplate::parse(text).unwrap()
    }

    #[test]
    fn envoy_meaning() {
        assert!(template("/foo/{**}").matches("/foo/"));
        assert!(!template("/foo/{**}").matches("/foo"));
        assert!(template("/foo/{**}").matches("/foo/a/b"));
        assert!(!template("/foo/{**}/").matches("/foo/bar/baz.txt"));
        assert!(template("/foo/{**}/").matches("/foo//"));
        assert!(template("/{*}/b").matches("/a/b"));
        assert!(!template("/{*}/b").matches("//b"));
        assert!(!template("/{*}").matches("/a/b"));
        assert!(!template("/{**}").matches("/a\"b"));
        assert!(template("/a/{**}/z").matches("/a/x/y/z"));
        assert!(!template("/a/{**}/z").matches("/a/z"));
        assert!(template("/{*}").matches("/a*b"));
    }

    #[test]
    fn errors_point_at_the_segment() {
        let at = |text: &str| PathTemplate::parse(text).unwrap_err().at;
        assert_eq!(at("/a/{*}b/{**}"), 3..7);
        assert_eq!(at("/{**}/{*}"), 6..9);
        assert_eq!(at("/{*}/*"), 5..6);
        assert_eq!(at("/{*}//a"), 5..5);
        assert_eq!(at("/{*}/é"), 5..7);
    }

    #[test]
    fn slashes_at_the_ends_are_free() {
        assert_eq!(template("//a/{*}//").to_string(), "//a/{*}//");
    }
}
