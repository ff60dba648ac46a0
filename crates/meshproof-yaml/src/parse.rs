//! From a byte range to a tree: choosing the reader and collecting what is wrong.

use std::ops::Range;

use meshproof_source::{SourceId, Span};

use crate::{Problem, ProblemKind, Tree, check, events};

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
    let (mut tree, mut problems) = events::read(source, text, start..end);
    if tree.as_ref().is_some_and(|tree| !check::keys(tree, &mut problems)) {
        tree = None;
    }
    check::separators(source, text, start..end, &mut problems);
    check::invisible(source, text, start..end, tree.as_ref(), &mut problems);
    problems.sort_by_key(|problem| problem.span.start);
    Parsed { tree, problems }
}
