//! A readable form of trees and problems for assertions.
#![allow(dead_code, reason = "each test binary uses its own part")]

use meshproof_source::SourceId;
use meshproof_yaml::{NodeRef, Parsed, Problem, ProblemKind, Scalar, Shape, parse};

/// Reads a whole text as one document.
pub fn read(text: &str) -> Parsed<'_> {
    parse(SourceId(0), text, 0..text.len())
}

/// The tree with the text behind each node's span: `{key=>value}`, `[item]`, scalars as `value«written»`.
pub fn shown(text: &str) -> String {
    let parsed = read(text);
    match &parsed.tree {
        Some(tree) => node(text, tree.root()),
        None => format!(
            "unreadable: {:?}",
            parsed.problems.iter().map(|problem| problem.kind).collect::<Vec<_>>()
        ),
    }
}

/// A node as JSON-like text, spans shown by what they cover.
pub fn node(text: &str, node_ref: NodeRef<'_>) -> String {
    let span = node_ref.span();
    let written = &text[span.start as usize..span.end as usize];
    match node_ref.shape() {
        Shape::Mapping => {
            let entries: Vec<String> = node_ref
                .entries()
                .map(|(key, value)| format!("{}=>{}", node(text, key), node(text, value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Shape::Sequence => {
            let items: Vec<String> = node_ref.items().map(|item| node(text, item)).collect();
            format!("[{}]", items.join(", "))
        }
        Shape::Scalar => match node_ref.scalar() {
            Some(Scalar::Str(value)) if value == written => value.into_owned(),
            Some(Scalar::Str(value)) => format!("{value:?}«{written}»"),
            Some(Scalar::Null) => format!("null«{written}»"),
            Some(other) => format!("{other:?}«{written}»"),
            None => "?".to_owned(),
        },
    }
}

/// The only problem of a text, with what its span covers.
pub fn only_problem(text: &str) -> (Problem, String) {
    let mut problems = read(text).problems;
    assert_eq!(problems.len(), 1, "{text:?}: {problems:#?}");
    let problem = problems.remove(0);
    let covered = text[problem.span.start as usize..problem.span.end as usize].to_owned();
    (problem, covered)
}

/// Asserts that a text is not read, for one reason at one place.
pub fn refused(text: &str, kind: ProblemKind, covered: &str, message_part: &str) {
    let parsed = read(text);
    assert!(parsed.tree.is_none(), "{text:?} was read");
    let (problem, place) = only_problem(text);
    assert_eq!(problem.kind, kind, "{text:?}: {problem:?}");
    assert_eq!(place, covered, "{text:?}: {problem:?}");
    let said = format!("{} | {}", problem.message, problem.help.unwrap_or_default());
    assert!(said.contains(message_part), "{text:?}: {said}");
}
