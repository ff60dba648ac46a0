//! How the output for people looks.

use std::io::IsTerminal;

use meshproof_diagnostics::Level;

/// Look of the plain text output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to colour with ANSI sequences.
    pub color: bool,
    /// Whether frames and arrows may leave ASCII.
    pub unicode: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Whether to show everything: lines around each place, every related place, each skipped input.
    pub verbose: bool,
}

impl Default for Style {
    /// What a pipe gets: no colour, 100 columns.
    fn default() -> Self {
        Style { color: false, unicode: true, width: 100, verbose: false }
    }
}

impl Style {
    /// The style that fits standard output: the terminal's width and character set, or the default in a pipe, so
    /// that logs do not depend on the machine that wrote them.
    pub fn for_stdout(color: bool, verbose: bool) -> Self {
        if !std::io::stdout().is_terminal() {
            return Style { color, verbose, ..Style::default() };
        }
        let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
        Style { color, unicode: supports_unicode::on(supports_unicode::Stream::Stdout), width, verbose }
    }

    /// A text in the colour of a level.
    pub(crate) fn level(self, level: Level, text: &str) -> String {
        let code = match level {
            Level::Error => "31;1",
            Level::Warning => "33;1",
            Level::Info => "36;1",
        };
        self.paint(code, text)
    }

    /// A text in the colour of a verdict.
    pub(crate) fn verdict(self, verdict: meshproof_explain::Verdict, text: &str) -> String {
        let code = match verdict {
            meshproof_explain::Verdict::Allow => "32;1",
            meshproof_explain::Verdict::Deny => "31;1",
        };
        self.paint(code, text)
    }

    /// A text in the colour of something that works, that fails, or that is neither.
    pub(crate) fn result(self, works: Option<bool>, text: &str) -> String {
        match works {
            Some(true) => self.paint("32;1", text),
            Some(false) => self.paint("31;1", text),
            None => self.paint("33;1", text),
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn place(self, text: &str) -> String {
        self.paint("36", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Our own arrows and dots in the character set of the terminal.
    pub(crate) fn glyphs(self, text: String) -> String {
        if self.unicode || text.is_ascii() {
            return text;
        }
        text.replace('→', "->").replace('…', "...").replace('×', "x")
    }
}

/// The name of a level in every output.
pub(crate) fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "info",
    }
}
