//! `cargo xtask docs`: documents that follow from the code.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use meshproof_diagnostics::{Category, Level};
use meshproof_lints::LINTS;

/// Writes `docs/lints/README.md`, or with `check` only compares it.
///
/// # Errors
/// When the page cannot be written, is out of date, or a lint's own page tells another level or category.
pub fn run(check: bool) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lints");
    let stale: Vec<&str> =
        LINTS.iter().filter(|lint| !has_heading(lint.doc, lint)).map(|lint| lint.id).collect();
    if !stale.is_empty() {
        let message = format!(
            "these pages under docs/lints do not begin with id, level and category as registered: {}",
            stale.join(", ")
        );
        return Err(io::Error::other(message));
    }
    let page = folder.join("README.md");
    let index = index();
    if !check {
        return fs::write(page, index);
    }
    if fs::read_to_string(page).unwrap_or_default() == index {
        return Ok(());
    }
    Err(io::Error::other("docs/lints/README.md is out of date: run `cargo xtask docs`"))
}

/// A page begins with the id and a line such as `error, warning or info · hole`, the gravest level first.
fn has_heading(page: &str, lint: &meshproof_lints::Lint) -> bool {
    let mut lines = page.lines().filter(|line| !line.is_empty());
    let title = lines.next() == Some(&*format!("# {}", lint.id));
    let told = lines.next().and_then(|line| line.split_once(" · "));
    title
        && told.is_some_and(|(levels, told)| {
            levels.starts_with(level(lint.level)) && told == category(lint.category)
        })
}

fn index() -> String {
    let mut page = String::from(
        "# Lints\n\n`meshproof lint LINT` shows the same pages. The level is that of a lint's gravest findings.\n\n\
         | lint | level | category | what it tells of |\n|---|---|---|---|\n",
    );
    for lint in LINTS {
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| [{id}]({id}.md) | {level} | {category} | {summary} |",
            id = lint.id,
            level = level(lint.level),
            category = category(lint.category),
            summary = lint.summary,
        );
    }
    page
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

fn category(category: Category) -> &'static str {
    match category {
        Category::Hole => "hole",
        Category::Outage => "outage",
        Category::Conflict => "conflict",
        Category::Dead => "dead",
        Category::Invalid => "invalid",
        Category::Hygiene => "hygiene",
    }
}
