//! All lints: id, level, category, one line, the check, and the page that explains it.

use meshproof_diagnostics::{Category, Finding, Level};

use crate::Context;

/// One lint.
pub struct Lint {
    /// Kebab-case id, forever the same.
    pub id: &'static str,
    /// The level of its gravest findings; single findings may be milder.
    pub level: Level,
    /// What kind of harm it tells of.
    pub category: Category,
    /// One line for lists.
    pub summary: &'static str,
    /// Looks at the mesh; absent for findings that other parts of the program raise while reading.
    pub check: Option<fn(&Context<'_>) -> Vec<Finding>>,
    /// Its page, in Markdown.
    pub doc: &'static str,
}

macro_rules! lints {
    ($($id:literal $level:ident $category:ident $check:expr; $summary:literal;)*) => {
        &[$(Lint {
            id: $id,
            level: Level::$level,
            category: Category::$category,
            summary: $summary,
            check: $check,
            doc: include_str!(concat!("../../../docs/lints/", $id, ".md")),
        }),*]
    };
}

/// Every lint, sorted by id.
#[rustfmt::skip]
pub static LINTS: &[Lint] = lints! {
    "conflicting-rules" Error Conflict Some(crate::conflicting_rules::check);
        "two objects that cannot both have their way, where one silently loses";
    "default-open" Warning Hole Some(crate::default_open::check);
        "a workload without any policy beside locked ones";
    "deny-all-gap" Error Outage Some(crate::deny_all_gap::check);
        "a port that nobody may reach although somebody is clearly meant to";
    "permissive-mtls" Error Hole Some(crate::permissive_mtls::check);
        "a port that takes plaintext although identity rules or a STRICT nearby say otherwise";
    "selector-matches-nothing" Warning Dead Some(crate::selector_matches_nothing::check);
        "a selector that finds no pod";
    "split-rule" Error Hole Some(crate::split_rule::check);
        "`from` and `to` as two rules, so that the second lets anybody in";
    "unknown-principal" Warning Dead Some(crate::unknown_principal::check);
        "a principal, service account or namespace that names nobody";
};

/// The lint of an id.
pub fn lint(id: &str) -> Option<&'static Lint> {
    LINTS.binary_search_by(|lint| lint.id.cmp(id)).ok().and_then(|at| LINTS.get(at))
}

/// Asks every lint. The order of the findings is that of the lints, then that of the input.
pub fn run(ctx: &Context<'_>) -> Vec<Finding> {
    use rayon::prelude::*;
    let mut findings: Vec<Finding> =
        LINTS.par_iter().filter_map(|lint| lint.check).map(|check| check(ctx)).flatten_iter().collect();
    drop_repeated(&mut findings);
    findings
}

/// Lints that say of one token what `deny-all-gap` says better, with its consequence and a proof.
const WEAKER: &[&str] = &[
    "method-case",
    "misplaced-wildcard",
    "never-matching-value",
    "selector-matches-nothing",
    "spiffe-prefix",
    "unknown-principal",
];

/// Drops findings about a token that a proven finding already explains. Also for findings of other parts of the
/// program, put together with those of [`run`].
pub fn drop_repeated(findings: &mut Vec<Finding>) {
    let explained: std::collections::HashSet<_> = findings
        .iter()
        .filter(|finding| finding.lint == crate::deny_all_gap::ID)
        .flat_map(|finding| std::iter::once(&finding.primary).chain(&finding.related))
        .map(|label| label.span)
        .collect();
    findings.retain(|finding| !WEAKER.contains(&finding.lint) || !explained.contains(&finding.primary.span));
}
