//! All texts of a run and the way from byte offsets to lines and columns.

use std::sync::{Arc, OnceLock};

use crate::{SourceId, Span};

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file as it stands on disk.
    File,
    /// Standard input.
    Stdin,
    /// The output of a renderer (`kubectl kustomize`, `kustomize build`, `helm template`) over a folder.
    Rendered {
        /// The command that wrote it, as a person would type it.
        by: String,
    },
}

/// One text.
#[derive(Debug)]
pub struct Source {
    /// The path as given by the user (with `/`), `<stdin>`, or the rendered folder.
    pub name: String,
    /// The decoded text.
    pub text: Arc<str>,
    /// Where it comes from.
    pub origin: Origin,
    lines: OnceLock<Vec<u32>>,
}

/// A position as editors show it: both start at 1; the column counts characters, a tab being one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Source {
    fn line_starts(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let newlines = memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|at| at as u32 + 1);
            std::iter::once(0).chain(newlines).collect()
        })
    }

    /// Line and column of a byte offset; offsets past the end are taken as the end.
    pub fn line_column(&self, offset: u32) -> LineColumn {
        let starts = self.line_starts();
        let mut offset = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = starts.partition_point(|start| *start as usize <= offset);
        let start = starts[line - 1] as usize;
        LineColumn { line, column: self.text[start..offset].chars().count() + 1 }
    }

    /// Byte range of a line (from 1) without its line break; empty past the last line.
    pub fn line_range(&self, line: usize) -> std::ops::Range<usize> {
        let starts = self.line_starts();
        let Some(start) = line.checked_sub(1).and_then(|at| starts.get(at)) else {
            return self.text.len()..self.text.len();
        };
        let start = *start as usize;
        let end = starts.get(line).map_or(self.text.len(), |next| *next as usize - 1);
        let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
        start..end
    }

    /// How many lines the text has; a last line without content counts.
    pub fn line_count(&self) -> usize {
        self.line_starts().len()
    }
}

/// Owns every text that was read in a run.
#[derive(Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a text in. Texts must be shorter than 4 GiB; readers refuse larger files before they come here.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>, origin: Origin) -> SourceId {
        let id = SourceId(self.sources.len() as u32);
        self.sources.push(Source { name: name.into(), text: text.into(), origin, lines: OnceLock::new() });
        id
    }

    /// The text behind an id of this map.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.sources[id.0 as usize]
    }

    /// All texts in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        self.sources.iter().enumerate().map(|(at, source)| (SourceId(at as u32), source))
    }

    /// The text a span covers.
    pub fn snippet(&self, span: Span) -> &str {
        self.get(span.source).text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Where a span begins.
    pub fn position(&self, span: Span) -> LineColumn {
        self.get(span.source).line_column(span.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let mut map = SourceMap::new();
        let id = map.add("a.yaml", "a: é\r\nb: x\n", Origin::File);
        let source = map.get(id);
        assert_eq!(source.line_column(0), LineColumn { line: 1, column: 1 });
        assert_eq!(source.line_column(5), LineColumn { line: 1, column: 5 });
        assert_eq!(source.line_column(10), LineColumn { line: 2, column: 4 });
        assert_eq!(source.line_column(u32::MAX), LineColumn { line: 3, column: 1 });
        assert_eq!(&source.text[source.line_range(1)], "a: é");
        assert_eq!(&source.text[source.line_range(2)], "b: x");
        assert_eq!(source.line_range(9), 12..12);
    }

    #[test]
    fn an_offset_inside_a_character_is_taken_as_its_start() {
        let mut map = SourceMap::new();
        let id = map.add("a.yaml", "é", Origin::File);
        assert_eq!(map.get(id).line_column(1).column, 1);
    }
}
