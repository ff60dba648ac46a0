//! One line per finding, for `grep` and editors: `file:line:column: error[lint] message`.

use std::io::{self, Write};

use meshproof_diagnostics::Finding;
use meshproof_source::SourceMap;

use crate::clean::clean;
use crate::position::Positions;
use crate::style::level_name;
use crate::{Style, Summary};

/// Writes the findings and the closing lines.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut dyn Write,
    findings: &[Finding],
    sources: &SourceMap,
    summary: &Summary,
    style: Style,
) -> io::Result<()> {
    let positions = Positions::of(findings, sources);
    for finding in findings {
        let span = finding.primary.span;
        let position = positions.start(span);
        let level = style.level(finding.level, level_name(finding.level));
        let message = style.glyphs(clean(&finding.message).into_owned());
        writeln!(
            out,
            "{}:{}:{}: {level}[{}] {message}",
            clean(&sources.get(span.source).name),
            position.line,
            position.column,
            finding.lint
        )?;
    }
    summary.write(out, style)
}
