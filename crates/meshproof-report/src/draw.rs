//! The use of miette: one stretch of lines with labels under them.

use std::fmt;

use meshproof_diagnostics::Level;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents, ThemeStyles,
};

use crate::Style;

/// Lines as they are shown, each ended by a line break.
pub(crate) struct Excerpt {
    pub(crate) text: String,
    /// Number of the first line in its file, from 1.
    pub(crate) first_line: usize,
    pub(crate) line_count: usize,
}

impl SourceCode for Excerpt {
    /// Always all of it: an excerpt is no longer than what is to be drawn.
    fn read_span<'a>(
        &'a self,
        _span: &SourceSpan,
        _lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let all = SourceSpan::from((0, self.text.len()));
        let line = self.first_line - 1;
        Ok(Box::new(MietteSpanContents::new(self.text.as_bytes(), all, line, 0, self.line_count)))
    }
}

/// A label over bytes of an excerpt.
pub(crate) struct Mark {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: String,
    pub(crate) primary: bool,
}

/// miette's report of one excerpt, which it asks for through the diagnostic.
struct Drawing<'a> {
    labels: Vec<LabeledSpan>,
    excerpt: &'a Excerpt,
}

impl fmt::Debug for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Drawing<'_> {
    /// The message is ours to write.
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Drawing<'_> {}

impl Diagnostic for Drawing<'_> {
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.excerpt)
    }
}

/// The characters of frames in a style.
pub(crate) struct Frame {
    /// Begins the first header.
    pub(crate) top: String,
    /// Begins the header of a further stretch.
    pub(crate) middle: String,
    /// Begins the header of a place after which nothing comes.
    pub(crate) last: String,
    /// Closes the frame.
    pub(crate) bottom: String,
}

impl Frame {
    pub(crate) fn new(style: Style) -> Self {
        let characters = theme(style).characters;
        let corner = |corner: char| format!("{corner}{}", characters.hbar);
        let bottom = format!("{}{}", characters.lbot, characters.hbar.to_string().repeat(4));
        Frame {
            top: corner(characters.ltop),
            middle: corner(characters.lcross),
            last: corner(characters.lbot),
            bottom,
        }
    }
}

fn theme(style: Style) -> GraphicalTheme {
    if style.unicode { GraphicalTheme::unicode_nocolor() } else { GraphicalTheme::none() }
}

/// The lines of an excerpt with its marks, without header and footer.
pub(crate) fn draw(excerpt: &Excerpt, mut marks: Vec<Mark>, level: Level, style: Style) -> Vec<String> {
    // miette goes by offset and hands its colours out in that order.
    marks.sort_by_key(|mark| (mark.start, mark.end));
    // It would push the second of two equal underlines aside, so they become one with both texts.
    marks.dedup_by(|later, kept| {
        let same = (later.start, later.end) == (kept.start, kept.end);
        if same {
            kept.primary |= later.primary;
            if !kept.text.is_empty() && !later.text.is_empty() {
                kept.text.push('\n');
            }
            kept.text.push_str(&later.text);
        }
        same
    });
    let mut theme = theme(style);
    if style.color {
        theme.styles = ThemeStyles::ansi();
        let primary = match level {
            Level::Error => theme.styles.error,
            Level::Warning => theme.styles.warning,
            Level::Info => theme.styles.advice,
        };
        let other = theme.styles.highlights.last().copied().unwrap_or(theme.styles.advice);
        theme.styles.highlights =
            marks.iter().map(|mark| if mark.primary { primary } else { other }).collect();
    }
    let frame = Frame::new(style);
    let labels = marks
        .into_iter()
        .map(|mark| {
            LabeledSpan::new((!mark.text.is_empty()).then_some(mark.text), mark.start, mark.end - mark.start)
        })
        .collect();
    let drawing = Drawing { labels, excerpt };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_wrap_lines(false);
    let mut report = String::new();
    // Writing to a string does not fail, and an excerpt gives every span it is asked for.
    if handler.render_report(&mut report, &drawing).is_err() {
        return excerpt.text.lines().map(str::to_owned).collect();
    }
    report
        .lines()
        .skip_while(|line| !line.trim_start().starts_with(&frame.top))
        .skip(1)
        .take_while(|line| !line.trim_start().starts_with(&frame.bottom))
        .map(|line| line.trim_end().to_owned())
        .collect()
}
