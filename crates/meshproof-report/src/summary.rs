//! What a run looked at, what it found, and what it left out.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use meshproof_diagnostics::{Finding, Level};

use crate::Style;
use crate::clean::{clean, wrap};

/// An input that was not analysed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file as findings name it.
    pub file: String,
    /// The line of the document that was skipped, when it is not the whole file.
    pub line: Option<usize>,
    /// Stable kebab-case name of the reason: a noun in the singular that reads well after a number
    /// (`helm-template`, `patch`).
    pub reason_code: &'static str,
    /// The reason as a sentence for this input.
    pub reason: String,
}

/// Numbers of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files that were read.
    pub files: usize,
    /// Files of other types in the folders, not read.
    pub other_files: usize,
    /// Documents in them, lists counted by item.
    pub documents: usize,
    /// Workloads of the mesh.
    pub workloads: usize,
    /// How long it took; `None` leaves it out.
    pub elapsed: Option<Duration>,
    /// Findings at error level.
    pub errors: usize,
    /// Findings at warning level.
    pub warnings: usize,
    /// Findings at info level.
    pub infos: usize,
    /// Findings that a comment, an annotation or the baseline silenced.
    pub suppressed: usize,
    /// What was not analysed, and why.
    pub skipped: Vec<Skipped>,
}

impl Summary {
    /// Counts findings per level.
    pub fn count(&mut self, findings: &[Finding]) {
        for finding in findings {
            match finding.level {
                Level::Error => self.errors += 1,
                Level::Warning => self.warnings += 1,
                Level::Info => self.infos += 1,
            }
        }
    }

    /// `checked 412 files, 1,204 documents, 96 workloads in 0.21 s: 2 errors, 5 warnings`.
    pub(crate) fn line(&self) -> String {
        let mut line = format!(
            "checked {}, {}, {}",
            counted(self.files, "file"),
            counted(self.documents, "document"),
            counted(self.workloads, "workload")
        );
        if let Some(elapsed) = self.elapsed {
            line.push_str(" in ");
            line.push_str(&duration(elapsed));
        }
        let mut results = Vec::new();
        if self.errors > 0 {
            results.push(counted(self.errors, "error"));
        }
        if self.warnings > 0 {
            results.push(counted(self.warnings, "warning"));
        }
        if self.infos > 0 {
            results.push(format!("{} info", thousands(self.infos)));
        }
        if results.is_empty() {
            results.push("no findings".to_owned());
        }
        if self.suppressed > 0 {
            results.push(format!("{} suppressed", thousands(self.suppressed)));
        }
        line.push_str(": ");
        line.push_str(&results.join(", "));
        line
    }

    /// `14 templated files (Helm), 3 patches`, the most frequent reason first; `None` when nothing was skipped.
    pub(crate) fn skipped_by_reason(&self) -> Option<String> {
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for skipped in &self.skipped {
            *groups.entry(skipped.reason_code).or_default() += 1;
        }
        let mut groups: Vec<(&str, usize)> = groups.into_iter().collect();
        groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let groups: Vec<String> = groups.into_iter().map(|(code, count)| reason(code, count)).collect();
        (!groups.is_empty()).then(|| groups.join(", "))
    }

    /// The closing lines of a report for people.
    pub(crate) fn write(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        if style.verbose {
            for skipped in &self.skipped {
                let line = skipped.line.map_or(String::new(), |line| format!(":{line}"));
                writeln!(out, "not analysed: {}{line}: {}", clean(&skipped.file), clean(&skipped.reason))?;
            }
            if !self.skipped.is_empty() {
                writeln!(out)?;
            }
        }
        writeln!(out, "{}", style.bold(&self.line()))?;
        if let Some(groups) = self.skipped_by_reason() {
            let pointer = if style.verbose { "" } else { "; listed with --output json or -v" };
            for (at, line) in
                wrap(&format!("not analysed: {groups}{pointer}"), style.width).iter().enumerate()
            {
                writeln!(out, "{}{line}", if at == 0 { "" } else { "  " })?;
            }
        }
        Ok(())
    }
}

/// A reason with its number. Codes without an entry are nouns already.
fn reason(code: &str, count: usize) -> String {
    let (one, many) = match code {
        "helm-template" => ("templated file (Helm)", "templated files (Helm)"),
        "jinja-template" => ("templated file (Jinja)", "templated files (Jinja)"),
        "angle-template" => ("templated file ({{< >}})", "templated files ({{< >}})"),
        "ytt-template" => ("templated file (ytt)", "templated files (ytt)"),
        "template-file" => ("template file", "template files"),
        "placeholder" => ("file with placeholders", "files with placeholders"),
        "not-found" => ("missing file", "missing files"),
        "permission-denied" => ("file without read permission", "files without read permission"),
        "special-file" => ("special file", "special files"),
        "too-large" => ("file above the size limit", "files above the size limit"),
        "not-utf8" => ("file that is not UTF-8", "files that are not UTF-8"),
        "nul-byte" => ("binary file", "binary files"),
        "unreadable" => ("unreadable file", "unreadable files"),
        "link" => ("link to a folder elsewhere", "links to folders elsewhere"),
        _ => return counted(count, &code.replace('-', " ")),
    };
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

/// A number with its noun in the right form.
fn counted(count: usize, noun: &str) -> String {
    let count_text = thousands(count);
    if count == 1 {
        return format!("{count_text} {noun}");
    }
    let consonant_y =
        noun.ends_with('y') && !noun.ends_with("ay") && !noun.ends_with("ey") && !noun.ends_with("oy");
    if consonant_y {
        format!("{count_text} {}ies", &noun[..noun.len() - 1])
    } else if ["s", "x", "ch", "sh"].iter().any(|ending| noun.ends_with(ending)) {
        format!("{count_text} {noun}es")
    } else {
        format!("{count_text} {noun}s")
    }
}

/// `1204` as `1,204`.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 0.1 { format!("{} ms", elapsed.as_millis()) } else { format!("{seconds:.2} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(reason_code: &'static str) -> Skipped {
        Skipped { file: "a.yaml".into(), line: None, reason_code, reason: "because".into() }
    }

    #[test]
    fn the_last_line_counts_with_the_right_nouns() {
        let mut summary = Summary {
            files: 412,
            documents: 1_204_096,
            workloads: 96,
            elapsed: Some(Duration::from_millis(214)),
            errors: 2,
            warnings: 5,
            ..Summary::default()
        };
        assert_eq!(
            summary.line(),
            "checked 412 files, 1,204,096 documents, 96 workloads in 0.21 s: 2 errors, 5 warnings"
        );
        summary = Summary { files: 1, documents: 1, workloads: 1, errors: 1, infos: 2, ..Summary::default() };
        assert_eq!(summary.line(), "checked 1 file, 1 document, 1 workload: 1 error, 2 info");
        summary =
            Summary { elapsed: Some(Duration::from_micros(4_300)), suppressed: 1, ..Summary::default() };
        assert_eq!(
            summary.line(),
            "checked 0 files, 0 documents, 0 workloads in 4 ms: no findings, 1 suppressed"
        );
    }

    #[test]
    fn skipped_input_is_grouped_by_reason() {
        let mut summary = Summary::default();
        assert_eq!(summary.skipped_by_reason(), None);
        summary.skipped =
            ["patch", "helm-template", "patch", "patch", "unreadable-document", "query", "query"]
                .map(skipped)
                .to_vec();
        assert_eq!(
            summary.skipped_by_reason().unwrap(),
            "3 patches, 2 queries, 1 templated file (Helm), 1 unreadable document"
        );
    }

    #[test]
    fn thousands_are_separated() {
        let shown = [0, 999, 1000, 12_345, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
