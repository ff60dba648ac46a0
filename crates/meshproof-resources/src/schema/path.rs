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

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
