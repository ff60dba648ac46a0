//! Positions of all places of a report.

use meshproof_diagnostics::Finding;
use meshproof_source::{LineColumn, SourceId, SourceMap, Span};

/// Line and column of every end of every span in a report.
///
/// A column counts characters from the start of its line. Asking for each place by itself would walk a minified file,
/// which is one line, once per finding; here the places of a file are visited in order, each from the one before.
pub(crate) struct Positions(Vec<((SourceId, u32), LineColumn)>);

impl Positions {
    /// The positions of all labels and edits of `findings`.
    pub(crate) fn of(findings: &[Finding], sources: &SourceMap) -> Self {
        let spans = findings.iter().flat_map(|finding| {
            let labels = std::iter::once(&finding.primary).chain(&finding.related).map(|label| label.span);
            labels.chain(finding.edits.iter().map(|edit| edit.span))
        });
        Positions::of_spans(spans, sources)
    }

    /// The positions of these spans.
    pub(crate) fn of_spans(spans: impl Iterator<Item = Span>, sources: &SourceMap) -> Self {
        let mut places = Vec::new();
        for span in spans {
            places.extend([(span.source, span.start), (span.source, span.end)]);
        }
        places.sort_unstable();
        places.dedup();
        let mut known: Vec<((SourceId, u32), LineColumn)> = Vec::with_capacity(places.len());
        let mut before: Option<(SourceId, usize, LineColumn)> = None;
        for (id, offset) in places {
            let source = sources.get(id);
            let at = char_start(&source.text, offset as usize);
            let position = match before {
                Some((same, from, position)) if same == id && at <= source.line_range(position.line).end => {
                    let column = position.column + source.text[from..at].chars().count();
                    LineColumn { line: position.line, column }
                }
                _ => source.line_column(offset),
            };
            before = Some((id, at, position));
            known.push(((id, offset), position));
        }
        Positions(known)
    }

    /// Where a span begins.
    pub(crate) fn start(&self, span: Span) -> LineColumn {
        self.find(span.source, span.start)
    }

    /// Where a span ends: one past its last character.
    pub(crate) fn end(&self, span: Span) -> LineColumn {
        self.find(span.source, span.end)
    }

    fn find(&self, source: SourceId, offset: u32) -> LineColumn {
        let found = self.0.binary_search_by_key(&(source, offset), |(place, _)| *place);
        found.map_or(LineColumn { line: 1, column: 1 }, |at| self.0[at].1)
    }
}

/// The start of the character that byte `offset` lies in, or the end of the text.
pub(crate) fn char_start(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use meshproof_diagnostics::{Category, Label, Level};
    use meshproof_source::Origin;

    use super::*;

    #[test]
    fn agrees_with_the_source_at_every_offset() {
        let mut sources = SourceMap::new();
        let texts = ["a: é漢\r\nb:\tx\n\n{\"k\": 1}", "", "x\r\n", "😀\n"];
        let ids = texts.map(|text| sources.add("f.yaml", text, Origin::File));
        let mut findings = Vec::new();
        for (id, text) in ids.into_iter().zip(texts) {
            for offset in (0..=text.len() as u32 + 2).rev() {
                let label = Label::new(Span::new(id, offset, offset + 1), "");
                findings.push(Finding::new("x", Level::Info, Category::Dead, "m", label));
            }
        }
        let positions = Positions::of(&findings, &sources);
        for finding in &findings {
            let span = finding.primary.span;
            assert_eq!(positions.start(span), sources.get(span.source).line_column(span.start), "{span:?}");
            assert_eq!(positions.end(span), sources.get(span.source).line_column(span.end), "{span:?}");
        }
    }
}
