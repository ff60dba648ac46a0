//! What can be wrong with a document that parses: equal keys, keys that cannot be keys, characters that nobody sees,
//! separators that only YAML takes for one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use meshproof_source::{SourceId, Span};

use crate::build::MAX_PROBLEMS;
use crate::tree::Node;
use crate::{NodeRef, Problem, ProblemKind, Shape, Style, Tree, syntax};

/// Mappings with more keys are checked with a hash map.
const FEW_KEYS: usize = 16;

/// A key and what tells it from most others without looking at its text again.
struct Key<'t> {
    node: NodeRef<'t>,
    /// Length and first bytes; equal for equal texts.
    print: u64,
    /// Whether its text in JSON may be another than the one written.
    may_change: bool,
}

impl<'t> Key<'t> {
    fn new(node: NodeRef<'t>, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut first = [0; 8];
        let length = bytes.len().min(7);
        first[..length].copy_from_slice(&bytes[..length]);
        first[7] = bytes.len() as u8;
        let may_change = node.style() == Style::Plain && !starts_like_a_name(text);
        Key { node, print: u64::from_le_bytes(first), may_change }
    }
}

fn add(problems: &mut Vec<Problem>, problem: Problem) {
    if problems.len() < MAX_PROBLEMS {
        problems.push(problem);
    }
}

/// Reports duplicate keys. False when a key is one that Kubernetes' reader refuses, so that the document is not read.
pub(crate) fn keys(tree: &Tree<'_>, problems: &mut Vec<Problem>) -> bool {
    let mut readable = true;
    let mut keys: Vec<Key<'_>> = Vec::with_capacity(FEW_KEYS);
    for (index, node) in tree.nodes.iter().enumerate() {
        if node.shape != Shape::Mapping || node.flags & Node::COPIED != 0 {
            continue;
        }
        keys.clear();
        for (key, _) in NodeRef::new(tree, index as u32).entries() {
            let Some(text) = key.str() else {
                let span = key.span();
                let content = tree.text.get(node.start as usize..span.end as usize).unwrap_or("");
                add(problems, syntax::key_is_collection(span, content));
                readable = false;
                continue;
            };
            let entry = Key::new(key, text);
            if entry.may_change && key.is_null() {
                add(problems, syntax::key_is_null(key.span()));
                readable = false;
            } else if key.node().flags & Node::MERGED == 0 {
                keys.push(entry);
            }
        }
        if keys.len() <= FEW_KEYS {
            for (at, key) in keys.iter().enumerate().skip(1) {
                if let Some(first) = keys[..at].iter().find(|earlier| same(earlier, key)) {
                    add(problems, duplicate(first.node, key.node));
                }
            }
        } else {
            let mut seen: HashMap<Cow<'_, str>, NodeRef<'_>> = HashMap::with_capacity(keys.len());
            for Key { node: key, .. } in &keys {
                let first = seen.entry(key.key_text().unwrap_or_default()).or_insert(*key);
                if first.node() != key.node() {
                    add(problems, duplicate(*first, *key));
                }
            }
        }
    }
    readable
}

/// Whether two keys are one key in JSON. Only plain scalars that are no strings have another text there.
fn same(left: &Key<'_>, right: &Key<'_>) -> bool {
    if left.print == right.print && left.node.str() == right.node.str() {
        return true;
    }
    (left.may_change || right.may_change) && left.node.key_text() == right.node.key_text()
}

/// A plain scalar that surely is a string: longer than `false`, or not beginning like a boolean, number or null.
fn starts_like_a_name(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') | None => false,
        Some(_) => {
            text.len() > 5 || !text.starts_with(['y', 'Y', 'n', 'N', 't', 'T', 'f', 'F', 'o', 'O', '~'])
        }
    }
}

fn duplicate(first: NodeRef<'_>, second: NodeRef<'_>) -> Problem {
    let name = second.key_text().unwrap_or_default();
    Problem {
        kind: ProblemKind::DuplicateKey,
        span: second.span(),
        message: format!(
            "the key `{name}` stands twice in this mapping; the last one counts, the first is lost"
        ),
        help: Some("remove one of them or join their values".to_owned()),
        related: Some(first.span()),
    }
}

/// Reports lines at which a YAML stream goes on with another document though the line splitter of Istio and
/// Kubernetes did not split: their readers take the first document and drop the rest. A lone carriage return ends a
/// line in YAML (1.2.2 §5.4) and not for them.
pub(crate) fn separators(source: SourceId, text: &str, range: Range<usize>, problems: &mut Vec<Problem>) {
    let document = &text[range.clone()];
    let bytes = document.as_bytes();
    if !document.contains("---") && !document.contains("...") {
        return;
    }
    let mut something_before = false;
    let mut at = 0;
    let mut ended_by: Option<Range<usize>> = None;
    // Between the two characters of `\r\n` this finds an empty line, which changes nothing.
    for line in document.split_inclusive(['\n', '\r']) {
        let start = at;
        at += line.len();
        let content = line.trim_end();
        let marker = |marker: &str| content.starts_with(marker) && is_marker(content);
        if let Some(end) = &ended_by {
            // Comments, directives and further end markers after `...` lose nothing.
            if content.trim_start().is_empty() || content.trim_start().starts_with('#') || marker("...") {
                continue;
            }
            let message =
                "the document ends at `...`; Istio and Kubernetes do not read what follows".to_owned();
            let help = "put a bare `---` line there instead".to_owned();
            problems.push(ambiguous(source, range.start, end.clone(), message, help));
            return;
        }
        if marker("---") {
            if something_before {
                let span = start..start + content.len();
                let shown = &document[span.clone()];
                let (message, help) = if shown == "---" {
                    let message = "this `---` stands between lone carriage returns, which end no line for Istio and Kubernetes; \
                        what follows is not read";
                    (message.to_owned(), "save the file with line feeds, for example with `mac2unix`")
                } else {
                    let message = format!(
                        "`{shown}` starts a new YAML document, but Istio splits only at a line of nothing but `---`; what follows is not read"
                    );
                    (message, "put `---` on a line of its own")
                };
                problems.push(ambiguous(source, range.start, span, message, help.to_owned()));
                return;
            }
            something_before = true;
        } else if marker("...") {
            if something_before {
                ended_by = Some(start..start + content.len());
            }
        } else if !content.is_empty() && !content.trim_start().starts_with('#') && bytes[start] != b'%' {
            something_before = true;
        }
    }
}

/// Whether a line begins with `---` or `...` as a word of its own.
pub(crate) fn is_marker(line: &str) -> bool {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
}

fn ambiguous(source: SourceId, base: usize, at: Range<usize>, message: String, help: String) -> Problem {
    Problem {
        kind: ProblemKind::AmbiguousSeparator,
        span: Span::new(source, (base + at.start) as u32, (base + at.end) as u32),
        message,
        help: Some(help),
        related: None,
    }
}

/// Reports characters that change what is read without being seen: line separators anywhere, and others in keys and
/// in values that are no prose.
pub(crate) fn invisible(
    source: SourceId,
    text: &str,
    range: Range<usize>,
    tree: Option<&Tree<'_>>,
    problems: &mut Vec<Problem>,
) {
    let document = &text[range.clone()];
    if document.is_ascii() {
        return;
    }
    for (offset, character) in document.char_indices().filter(|(_, character)| is_line_separator(*character))
    {
        let start = range.start + offset;
        problems.push(Problem {
            kind: ProblemKind::InvisibleCharacter,
            span: Span::new(source, start as u32, (start + character.len_utf8()) as u32),
            message: format!(
                "U+{:04X} ({}) is a line break for Kubernetes and an ordinary character for other readers",
                character as u32,
                name(character)
            ),
            help: Some("replace it by an ordinary space or line break".to_owned()),
            related: None,
        });
    }
    let Some(tree) = tree else { return };
    let mut next_key = KeyWalk::default();
    for (index, node) in tree.nodes.iter().enumerate() {
        if problems.len() >= 2 * MAX_PROBLEMS {
            return;
        }
        let is_key = next_key.step(index, node);
        if node.shape != Shape::Scalar
            || node.flags & Node::COPIED != 0
            || !matches!(node.style, Style::Plain | Style::SingleQuoted | Style::DoubleQuoted)
        {
            continue;
        }
        let written = &text[node.start as usize..node.end as usize];
        if written.is_ascii() || (!is_key && written.contains([' ', '\n'])) {
            continue;
        }
        for (offset, character) in written.char_indices().filter(|(_, character)| is_invisible(*character)) {
            if joins_visible(written, offset, character) {
                continue;
            }
            let start = node.start as usize + offset;
            problems.push(Problem {
                kind: ProblemKind::InvisibleCharacter,
                span: Span::new(source, start as u32, (start + character.len_utf8()) as u32),
                message: format!(
                    "the {} contains U+{:04X} ({}), which nobody sees: it is another name than it looks",
                    if is_key { "key" } else { "value" },
                    character as u32,
                    name(character)
                ),
                help: Some("delete the character".to_owned()),
                related: None,
            });
        }
    }
}

/// Tells keys from values while walking the nodes in order.
#[derive(Default)]
struct KeyWalk {
    /// Open collections: end, whether a mapping, whether a key comes next.
    open: Vec<(u32, bool, bool)>,
}

impl KeyWalk {
    fn step(&mut self, index: usize, node: &Node) -> bool {
        while self.open.last().is_some_and(|(end, _, _)| *end as usize <= index) {
            self.open.pop();
        }
        let is_key = match self.open.last_mut() {
            Some((_, true, key_next)) => {
                let is_key = *key_next;
                *key_next = !is_key;
                is_key
            }
            _ => false,
        };
        if node.shape != Shape::Scalar {
            self.open.push((node.next, node.shape == Shape::Mapping, true));
        }
        is_key
    }
}

fn is_line_separator(character: char) -> bool {
    matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{a0}' | '\u{ad}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{200f}' | '\u{202a}'..='\u{202f}'
        | '\u{205f}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{3000}' | '\u{feff}')
}

/// Joiners between letters of scripts that need them, and inside emoji, are part of what one sees.
fn joins_visible(text: &str, offset: usize, character: char) -> bool {
    let before = text[..offset].chars().next_back();
    let after = text[offset + character.len_utf8()..].chars().next();
    matches!(character, '\u{200c}' | '\u{200d}')
        && before.is_some_and(|character| !character.is_ascii())
        && after.is_some_and(|character| !character.is_ascii())
}

fn name(character: char) -> &'static str {
    match character {
        '\u{85}' => "next line",
        '\u{a0}' | '\u{202f}' => "no-break space",
        '\u{ad}' => "soft hyphen",
        '\u{200b}' => "zero width space",
        '\u{200c}' | '\u{200d}' => "zero width joiner",
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => "direction mark",
        '\u{2028}' => "line separator",
        '\u{2029}' => "paragraph separator",
        '\u{feff}' => "byte order mark",
        '\u{2060}'..='\u{2064}' => "invisible joiner",
        _ => "special space",
    }
}
