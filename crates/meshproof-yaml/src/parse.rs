//! From a byte range to a tree: choosing the reader and collecting what is wrong.

use std::ops::Range;

use meshproof_source::{SourceId, Span};

use crate::{Problem, ProblemKind, Tree, check, events, fast, json};

/// Longer documents are not read; a cluster dump as one `List` stays far below.
const MAX_DOCUMENT: usize = 256 << 20;

/// What came out of one document.
#[derive(Debug)]
pub struct Parsed<'t> {
    /// The tree; `None` when the document could not be read, and then a problem says why. A document of nothing but
    /// comments is a tree whose root is null.
    pub tree: Option<Tree<'t>>,
    /// What is wrong with the text, in the order of the places.
    pub problems: Vec<Problem>,
}

/// Reads one document, `range` of the text of `source`, as sigs.k8s.io/yaml would. Spans count from the start of
/// `text`.
pub fn parse(source: SourceId, text: &str, range: Range<usize>) -> Parsed<'_> {
    parse_with(source, text, range, Reader::Any)
}

/// Which of the readers may be used. All give the same tree; they are told apart for tests and measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The fastest that takes the document.
    Any,
    /// Only the fast reader; documents that it leaves to others give neither tree nor problem.
    FastOnly,
    /// Only the general reader of YAML.
    General,
}

/// [`parse`] with a choice of the reader.
pub fn parse_with(source: SourceId, text: &str, range: Range<usize>, reader: Reader) -> Parsed<'_> {
    let end = range.end.min(text.len());
    let mut start = range.start.min(end);
    if text.get(start..end).is_some_and(|document| document.starts_with('\u{feff}')) {
        start += '\u{feff}'.len_utf8();
    }
    let Some(document) = text.get(start..end) else { return Parsed { tree: None, problems: Vec::new() } };
    if document.len() > MAX_DOCUMENT || end > u32::MAX as usize {
        let message =
            format!("this document has {} MiB; documents over 256 MiB are not read", document.len() >> 20);
        let problem = Problem {
            kind: ProblemKind::TooLarge,
            span: Span::new(source, start as u32, start as u32),
            message,
            help: Some("split it at `---` lines into smaller documents".to_owned()),
            related: None,
        };
        return Parsed { tree: None, problems: vec![problem] };
    }
    let (mut tree, mut problems) = read(source, text, start..end, reader);
    if tree.as_ref().is_some_and(|tree| !check::keys(tree, &mut problems)) {
        tree = None;
    }
    check::invisible(source, text, start..end, tree.as_ref(), &mut problems);
    problems.sort_by_key(|problem| problem.span.start);
    Parsed { tree, problems }
}

fn read(
    source: SourceId,
    text: &str,
    range: Range<usize>,
    reader: Reader,
) -> (Option<Tree<'_>>, Vec<Problem>) {
    if reader != Reader::General {
        let first = text[range.clone()].trim_start_matches([' ', '\t', '\r', '\n']).bytes().next();
        let json =
            matches!(first, Some(b'{' | b'[')).then(|| json::read(source, text, range.clone())).flatten();
        if let Some(tree) = json.or_else(|| fast::read(source, text, range.clone())) {
            return (Some(tree), Vec::new());
        }
        if reader == Reader::FastOnly {
            return (None, Vec::new());
        }
    }
    let (tree, mut problems) = events::read(source, text, range.clone());
    // The other readers take no document with such lines.
    check::separators(source, text, range, &mut problems);
    (tree, problems)
}
