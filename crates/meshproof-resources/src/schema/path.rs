//! Paths to fields, kept as a chain on the stack and written out only when something is wrong there.

use std::fmt;

/// A field of an object, as `spec.rules[0].to[1]`.
#[derive(Clone, Copy, Debug)]
pub enum Path<'p> {
    /// The whole object.
    Root,
    /// A key of a mapping.
    Field(&'p Path<'p>, &'p str),
    /// An item of a list.
    Item(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    /// The path of a key below this one.
    pub fn field(&'p self, name: &'p str) -> Path<'p> {
        Path::Field(self, name)
    }

    /// The path of a list item below this one.
    pub fn item(&'p self, index: usize) -> Path<'p> {
        Path::Item(self, index)
    }
}

/// Longer keys are cut in paths, so that a huge key does not multiply by the values below it.
const LONGEST_KEY: usize = 1024;

/// A text in quotes for a message, cut when it is long.
pub(crate) fn shown(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let part = cut(text, 80);
    if part.len() < text.len() { format!("{part:?}…") } else { format!("{text:?}") }
}

/// The start of a text, at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(cut(name, LONGEST_KEY)),
            Path::Field(parent, name) => write!(f, "{parent}.{}", cut(name, LONGEST_KEY)),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_field_accesses() {
        let (root, spec) = (Path::Root, Path::Root.field("spec"));
        let rules = spec.field("rules");
        assert_eq!(rules.item(2).field("to").to_string(), "spec.rules[2].to");
        assert_eq!(root.to_string(), "");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shown("a\"b"), r#""a\"b""#);
        assert_eq!(shown("é".repeat(50)), format!("\"{}\"…", "é".repeat(40)));
        assert_eq!(Path::Root.field(&"é".repeat(4000)).to_string().len(), LONGEST_KEY);
    }
}
