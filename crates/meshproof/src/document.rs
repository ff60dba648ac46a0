//! One document: parsed, judged, decoded, and its tree dropped again.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use meshproof_diagnostics::Finding;
use meshproof_report::Skipped;
use meshproof_resources::admission;
use meshproof_resources::{Decoded, Issue, Kind, Resource, Spec, decode_with_text};
use meshproof_source::{SourceId, Span};
use meshproof_yaml::{
    NodeRef, Problem, Relevance, Shape, TemplateKind, is_placeholder, may_matter, template_marker,
};

use crate::lints;
use crate::suppress::{self, Suppression};
use crate::surroundings::{self, Surroundings};

/// Lists inside lists beyond this depth are not read by the decoder either.
const MAX_LIST_DEPTH: usize = 8;

/// One document and what is known of its file.
pub(crate) struct Job<'a> {
    pub source: SourceId,
    /// The whole text of the source.
    pub text: &'a str,
    /// The document.
    pub range: Range<usize>,
    /// Where the comments begin that lead up to it, maybe before a `---` line.
    pub lead: usize,
    /// Whether comments are to be looked at.
    pub has_mark: bool,
    /// Namespace of objects that name none.
    pub namespace: Option<&'a str>,
    /// Whether the path of the file speaks of patches.
    pub in_patch_file: bool,
}

/// What one document gave.
#[derive(Debug, Default)]
pub(crate) struct DocumentOutcome {
    pub resources: Vec<Resource>,
    pub findings: Vec<Finding>,
    pub suppressions: Vec<Suppression>,
    pub skipped: Option<(SkipCode, String)>,
    /// Objects in it, or 1.
    pub objects: usize,
    /// What it tells of things that the input does not hold.
    pub surroundings: Surroundings,
}

/// Stable name of a reason not to analyse.
pub(crate) type SkipCode = &'static str;

/// Looks at one document. Whatever goes wrong in here stays in here.
pub(crate) fn look_at(job: &Job<'_>) -> DocumentOutcome {
    catch_unwind(AssertUnwindSafe(|| read(job))).unwrap_or_else(|payload| DocumentOutcome {
        findings: vec![internal_error(
            Span::new(job.source, job.range.start as u32, job.range.start as u32),
            "this document",
            payload.as_ref(),
        )],
        objects: 1,
        ..DocumentOutcome::default()
    })
}

/// The finding for a panic that was caught.
pub(crate) fn internal_error(span: Span, what: &str, payload: &(dyn std::any::Any + Send)) -> Finding {
    let said = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned());
    lints::finding(lints::INTERNAL_ERROR, span, format!("meshproof failed on {what}, which was not analysed: {said}"))
    .with_help("this is a bug in meshproof, not in your manifests: please report it with the file, if you can share it")
}

fn read(job: &Job<'_>) -> DocumentOutcome {
    let mut outcome = DocumentOutcome { objects: 1, ..DocumentOutcome::default() };
    let document = &job.text[job.range.clone()];
    if let Relevance::Skip { kind } = may_matter(document) {
        outcome.surroundings =
            surroundings::of_other_kind(job.source, job.text, job.range.clone(), kind, job.namespace);
        return outcome;
    }
    if let Some(marker) = template_marker(document) {
        outcome.skipped = Some((template_code(marker.kind), format!("it is {}", marker.kind.name())));
        return outcome;
    }
    let parsed = meshproof_yaml::parse(job.source, job.text, job.range.clone());
    let Some(tree) = parsed.tree else {
        if names_known_kind(document) {
            outcome.findings.extend(parsed.problems.into_iter().map(problem_finding));
            collect_comments(job, None, &mut outcome);
        } else {
            let why = parsed.problems.first().map_or("it does not parse", |problem| problem.message.as_str());
            outcome.skipped = Some((
                "unreadable-document",
                format!("it names no kind that is analysed, and does not parse as YAML: {why}"),
            ));
        }
        return outcome;
    };
    let mut decoded = Decoded::default();
    decode_with_text(tree.root(), job.text, &mut decoded);
    outcome.objects = (decoded.resources.len() + decoded.unknown_kinds.values().sum::<usize>()).max(1);
    if !decoded.unknown_kinds.is_empty() {
        outcome.surroundings.note_all(tree.root(), job.namespace);
    }
    if !decoded.resources.is_empty() {
        outcome.findings.extend(parsed.problems.into_iter().map(problem_finding));
        review_objects(job, tree.root(), &decoded.resources, &mut outcome.findings);
    }
    for issue in decoded.issues {
        // Admission says the same of a version, and more.
        if !outcome.findings.iter().any(|finding| finding.primary.span == issue.span) {
            outcome.findings.push(issue_finding(issue));
        }
    }
    if !outcome.findings.is_empty() || !decoded.resources.is_empty() {
        collect_comments(job, Some(&tree), &mut outcome);
    }
    if let Some(reason) =
        decoded.resources.iter().find_map(|resource| patch_reason(resource, job.in_patch_file))
    {
        outcome.skipped =
            Some(("kustomize-patch", format!("{reason}, so it can only be a part of a whole object")));
        decoded.resources.retain(|resource| patch_reason(resource, job.in_patch_file).is_none());
    }
    if job.has_mark {
        outcome.suppressions.extend(decoded.resources.iter().flat_map(suppress::from_annotation));
    }
    outcome.resources = decoded.resources;
    outcome
}

/// Why an object is taken for a patch: it says so, or it is incomplete and its file or its name (`*`) says so. Without
/// a word from anywhere an incomplete object is what somebody meant to apply.
fn patch_reason(resource: &Resource, in_patch_file: bool) -> Option<&'static str> {
    let is_marked = matches!(resource.spec, Spec::Patch(_));
    if is_marked || in_patch_file || resource.meta.name() == "*" { resource.partial() } else { None }
}

/// Asks admission about every decoded object.
fn review_objects(job: &Job<'_>, root: NodeRef<'_>, resources: &[Resource], findings: &mut Vec<Finding>) {
    let by_start: HashMap<u32, &Resource> =
        resources.iter().map(|resource| (resource.meta.span.start, resource)).collect();
    let mut stack = vec![(root, 0)];
    while let Some((node, depth)) = stack.pop() {
        if node.shape() == Shape::Sequence && depth < 2 * MAX_LIST_DEPTH {
            stack.extend(node.items().map(|item| (item, depth + 1)));
            continue;
        }
        match by_start.get(&node.span().start) {
            Some(resource) if patch_reason(resource, job.in_patch_file).is_some() => {}
            Some(resource) => {
                let mut name = resource.meta.resource_name();
                if !is_cluster_wide(resource) {
                    name.namespace = name.namespace.or_else(|| job.namespace.map(str::to_owned));
                }
                let issues = admission::admit(node).into_iter();
                let issues = issues.filter(|issue| !is_filled_in_later(job.text, issue.span));
                findings.extend(issues.map(|issue| admission_finding(issue).with_resource(name.clone())));
            }
            // Whatever was read below this is a list.
            None => stack.extend(node.get("items").map(|items| (items, depth + 1))),
        }
    }
    findings.sort_by_key(|finding| finding.primary.span.start);
}

/// Whether the token is a placeholder, of which nothing can be said: those of [`is_placeholder`], `$(name)` as
/// kustomize replaces it, and `($name)` as chainsaw does.
fn is_filled_in_later(text: &str, span: Span) -> bool {
    let token = text.get(span.start as usize..span.end as usize).unwrap_or("");
    let token = token.trim_matches(['"', '\'']);
    let in_parentheses = |open: &str| {
        token.find(open).is_some_and(|at| {
            let name = token[at + open.len()..].split(')').next().unwrap_or("");
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        })
    };
    is_placeholder(token) || in_parentheses("$(") || in_parentheses("($")
}

fn admission_finding(issue: admission::Issue) -> Finding {
    let mut finding = lints::finding(issue.lint, issue.span, issue.message);
    finding.help = issue.help;
    finding
}

/// The reason under which a template is listed.
fn template_code(kind: TemplateKind) -> SkipCode {
    match kind {
        TemplateKind::Helm => "helm-template",
        TemplateKind::Jinja => "jinja-template",
        TemplateKind::Angle => "angle-template",
        TemplateKind::Ytt => "ytt-template",
        TemplateKind::Envsubst | TemplateKind::Other => "placeholder",
    }
}

fn collect_comments(job: &Job<'_>, tree: Option<&meshproof_yaml::Tree<'_>>, outcome: &mut DocumentOutcome) {
    if !job.has_mark {
        return;
    }
    let collected = suppress::from_comments(job.source, job.text, job.lead..job.range.end, tree);
    outcome.suppressions.extend(collected.suppressions);
    outcome.findings.extend(collected.findings);
}

/// Objects that live in no namespace.
pub(crate) fn is_cluster_wide(resource: &Resource) -> bool {
    match &resource.spec {
        Spec::Namespace | Spec::GatewayClass(_) | Spec::CalicoTier(_) | Spec::ApiBackends(_) => true,
        Spec::CalicoPolicy(policy) => policy.global,
        Spec::CalicoNetworkSet(set) => set.global,
        Spec::OtherNetworkPolicy { cluster_wide } => *cluster_wide,
        _ => false,
    }
}

/// Whether the text has a line that gives it a kind we analyse; used where the text does not parse.
pub(crate) fn names_known_kind(document: &str) -> bool {
    document.lines().any(|line| {
        let line = line.trim_start_matches([' ', '\t', '-', '{', '"', '\'']);
        let Some(value) = line.strip_prefix("kind") else { return false };
        let value = value.trim_start_matches(['"', '\'', ' ', '\t']);
        let Some(value) = value.strip_prefix(':') else { return false };
        let word: String = value
            .trim_start_matches([' ', '\t', '"', '\''])
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        word == "List"
            || Kind::names()
                .any(|name| name != "ConfigMap" && name == word.strip_suffix("List").unwrap_or(&word))
    })
}

/// The finding for a problem of the text.
pub(crate) fn problem_finding(problem: Problem) -> Finding {
    let mut finding = lints::finding(lints::of_problem(problem.kind), problem.span, problem.message);
    finding.help = problem.help;
    match problem.related {
        Some(first) => finding.with_related(first, "it stands here too"),
        None => finding,
    }
}

fn issue_finding(issue: Issue) -> Finding {
    let mut finding = lints::finding(issue.lint, issue.span, issue.message);
    finding.help = issue.help;
    finding
}

/// An entry for the list of what was not analysed.
pub(crate) fn skipped(file: &str, line: Option<usize>, code: SkipCode, reason: impl Into<String>) -> Skipped {
    Skipped { file: file.to_owned(), line, reason_code: code, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_document_is_ours_when_a_line_says_so() {
        assert!(names_known_kind("apiVersion: v1\nkind: Service\n\tx"));
        assert!(names_known_kind("{\"kind\" : \"AuthorizationPolicyList\", "));
        assert!(names_known_kind("- kind: List\n"));
        assert!(!names_known_kind("kind: ConfigMap\ndata: Service\n"));
        assert!(!names_known_kind("kinds: Service\n"));
    }

    #[test]
    fn a_panic_is_a_finding_of_its_document() {
        // A range outside of the text cannot come from the splitter; here it stands for a bug of ours.
        let job = Job {
            source: SourceId(0),
            text: "kind: Service\n",
            range: 100..200,
            lead: 100,
            has_mark: false,
            namespace: None,
            in_patch_file: false,
        };
        let outcome = look_at(&job);
        assert_eq!(outcome.findings.len(), 1);
        assert_eq!(outcome.findings[0].lint, lints::INTERNAL_ERROR);
        assert_eq!(outcome.findings[0].level, meshproof_diagnostics::Level::Error);
    }

    #[test]
    fn placeholders_are_not_judged() {
        let judged = |token: &str| !is_filled_in_later(token, Span::new(SourceId(0), 0, token.len() as u32));
        assert!(!judged("\"$(kfp-namespace)\"") && !judged("($namespace)") && !judged("${NS}"));
        assert!(judged("Web_Shop") && judged("(web)") && judged("$()"));
    }
}
