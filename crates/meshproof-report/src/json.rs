//! The versioned JSON report. `"format": 1` promises these keys; later releases of the same format may add some.
//!
//! Lines and columns count from 1, columns in characters; `endLine` and `endColumn` are one past the last character.

use std::io::{self, Write};

use meshproof_diagnostics::{Category, Confidence, Finding, Level, ResourceName, Witness};
use meshproof_source::{SourceMap, Span};
use serde::Serialize;

use crate::Summary;
use crate::clean::is_hidden;
use crate::position::Positions;

#[derive(Serialize)]
struct Report<'a> {
    format: u32,
    findings: Vec<JsonFinding<'a>>,
    summary: JsonSummary,
    skipped: Vec<JsonSkipped<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonFinding<'a> {
    lint: &'a str,
    level: Level,
    category: Category,
    confidence: Confidence,
    message: &'a str,
    resource: Option<&'a ResourceName>,
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    related: Vec<JsonRelated<'a>>,
    help: Option<&'a str>,
    witness: Option<&'a Witness>,
    edits: Vec<JsonEdit<'a>>,
    fingerprint: String,
}

#[derive(Serialize)]
struct JsonRelated<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonEdit<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    replacement: &'a str,
}

#[derive(Serialize)]
struct JsonSummary {
    error: usize,
    warning: usize,
    info: usize,
    suppressed: usize,
    skipped: usize,
    files: usize,
    other_files: usize,
    documents: usize,
    workloads: usize,
}

#[derive(Serialize)]
struct JsonSkipped<'a> {
    file: &'a str,
    line: Option<usize>,
    reason: &'a str,
    code: &'a str,
}

/// Writes the whole report as one JSON object and a line break.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut dyn Write,
    findings: &[Finding],
    sources: &SourceMap,
    summary: &Summary,
) -> io::Result<()> {
    let positions = Positions::of(findings, sources);
    let report = Report {
        format: 1,
        findings: findings.iter().map(|finding| convert(finding, sources, &positions)).collect(),
        summary: JsonSummary {
            error: summary.errors,
            warning: summary.warnings,
            info: summary.infos,
            suppressed: summary.suppressed,
            skipped: summary.skipped.len(),
            files: summary.files,
            other_files: summary.other_files,
            documents: summary.documents,
            workloads: summary.workloads,
        },
        skipped: summary
            .skipped
            .iter()
            .map(|skipped| JsonSkipped {
                file: &skipped.file,
                line: skipped.line,
                reason: &skipped.reason,
                code: skipped.reason_code,
            })
            .collect(),
    };
    let text = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
    out.write_all(escape_hidden(text).as_bytes())?;
    out.write_all(b"\n")
}

fn convert<'a>(finding: &'a Finding, sources: &'a SourceMap, positions: &Positions) -> JsonFinding<'a> {
    let file = |span: Span| sources.get(span.source).name.as_str();
    let span = finding.primary.span;
    let (start, end) = (positions.start(span), positions.end(span));
    JsonFinding {
        lint: finding.lint,
        level: finding.level,
        category: finding.category,
        confidence: finding.confidence,
        message: &finding.message,
        resource: finding.resource.as_ref(),
        file: file(span),
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
        related: finding
            .related
            .iter()
            .map(|label| {
                let at = positions.start(label.span);
                let file = file(label.span);
                JsonRelated { file, line: at.line, column: at.column, message: &label.text }
            })
            .collect(),
        help: finding.help.as_deref(),
        witness: finding.witness.as_ref(),
        edits: finding
            .edits
            .iter()
            .map(|edit| {
                let (start, end) = (positions.start(edit.span), positions.end(edit.span));
                JsonEdit {
                    file: file(edit.span),
                    line: start.line,
                    column: start.column,
                    end_line: end.line,
                    end_column: end.column,
                    replacement: &edit.replacement,
                }
            })
            .collect(),
        fingerprint: finding.fingerprint(),
    }
}

/// Escapes what JSON allows in a string and a terminal acts on (0x80–0x9f, marks of direction). Outside of strings
/// JSON is ASCII, so every such character lies in one; blanks and line breaks of the layout stay.
pub(crate) fn escape_hidden(json: String) -> String {
    let acts = |character: char| !character.is_ascii() && is_hidden(character) || character == '\u{7f}';
    if !json.chars().any(acts) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if acts(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}
