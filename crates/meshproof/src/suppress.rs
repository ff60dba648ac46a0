//! Suppressions: `# meshproof: allow LINT — reason` in a comment, or the annotation `meshproof.dev/allow`.
//!
//! A comment holds for the field, list item or resource that it stands above or beside; above the first key it holds
//! for the document. The annotation holds for its object and survives rendering. Each needs a reason, and one that
//! suppresses nothing is itself reported, so that they do not outlive what they were written for.

use std::collections::HashMap;
use std::ops::Range;

use meshproof_diagnostics::{Confidence, Finding};
use meshproof_resources::Resource;
use meshproof_source::{SourceId, Span};
use meshproof_yaml::{NodeRef, Shape, Tree};

use crate::lints;

/// The word that a text must hold to be looked at.
pub(crate) const MARK: &str = "meshproof";

/// The annotation.
pub const ANNOTATION: &str = "meshproof.dev/allow";

/// One lint allowed at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suppression {
    /// The lint id as written.
    pub lint: String,
    /// Findings whose primary place begins in here are suppressed.
    pub scope: Span,
    /// Where the suppression is written.
    pub place: Span,
    /// Whether it says why.
    pub has_reason: bool,
}

/// What a document says about suppressions.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub suppressions: Vec<Suppression>,
    /// Comments that address us in words we do not understand.
    pub findings: Vec<Finding>,
}

/// Reads the comments of one document. `range` may begin before the document, with comments that lead up to it.
pub(crate) fn from_comments(
    source: SourceId,
    text: &str,
    range: Range<usize>,
    tree: Option<&Tree<'_>>,
) -> Collected {
    let mut collected = Collected::default();
    let Some(document) = text.get(range.clone()) else { return collected };
    let comments: Vec<Range<usize>> = comments(document).collect();
    if comments.is_empty() {
        return collected;
    }
    let places = tree.map(Places::of);
    let whole = Span::new(source, range.start as u32, range.end as u32);
    for comment in comments {
        let hash = range.start + comment.start;
        let place = Span::new(source, hash as u32, (range.start + comment.end) as u32);
        if places.as_ref().is_some_and(|places| places.in_scalar(hash as u32)) {
            continue;
        }
        let line = document[..comment.start].rfind('\n').map_or(0, |newline| newline + 1);
        // Behind a dash alone it speaks of the item, which begins below.
        let trailing = document[line..comment.start].contains(|c: char| c != '-' && !c.is_whitespace());
        let leading = document[..comment.start].lines().all(|line| {
            line.trim_start().starts_with('#') || line.trim().is_empty() || line.starts_with("---")
        });
        let line = (range.start + line) as u32;
        let scope = match &places {
            _ if leading && !trailing => whole,
            Some(places) => places.target(line, trailing.then_some(hash as u32)).unwrap_or(place),
            // The document does not parse: what can be said is the next line, or this one.
            None if trailing => Span::new(source, line, place.end),
            None => {
                let next = document[comment.end..].char_indices().filter(|(_, c)| *c == '\n').nth(1);
                let end = next.map_or(range.end, |(at, _)| range.start + comment.end + at);
                Span::new(source, place.end, end as u32)
            }
        };
        let rest = &document[comment.end..];
        match parse_comment(&document[comment]) {
            Ok((lints, reason)) => {
                let has_reason = reason || goes_on(rest);
                let one = |lint| Suppression { lint, scope, place, has_reason };
                collected.suppressions.extend(lints.into_iter().map(one));
            }
            Err(message) => collected.findings.push(not_understood(place, message)),
        }
    }
    collected
}

/// Whether the line below a comment is a comment too, with words that are no suppression of their own.
fn goes_on(rest: &str) -> bool {
    let below = rest.split_once('\n').and_then(|(_, below)| below.lines().next()).unwrap_or("");
    let Some(words) = below.trim_start().strip_prefix('#') else { return false };
    let words = words.trim_start_matches(['#', ' ', '\t']);
    let is_another = words.strip_prefix(MARK).is_some_and(|more| more.starts_with(':'));
    !is_another && words.contains(char::is_alphanumeric)
}

/// Reads the annotation of one object: `lint: reason; lint, lint: reason`.
pub(crate) fn from_annotation(resource: &Resource) -> Vec<Suppression> {
    let Some(annotation) = resource.meta.annotations.get(ANNOTATION) else { return Vec::new() };
    let entries = annotation.value.split(';').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .flat_map(|entry| {
            let (lints, reason) = entry.split_once(':').unwrap_or((entry, ""));
            let has_reason = !reason.trim().is_empty();
            lints.split(',').map(str::trim).filter(|lint| !lint.is_empty()).map(move |lint| Suppression {
                lint: lint.to_owned(),
                scope: resource.meta.span,
                place: annotation.span,
                has_reason,
            })
        })
        .collect()
}

/// Byte ranges of comments that begin with `# meshproof:`, up to the end of the line.
fn comments(document: &str) -> impl Iterator<Item = Range<usize>> {
    document.match_indices(MARK).filter_map(|(at, _)| {
        let before = &document[..at];
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let head = before[line..].trim_end_matches([' ', '\t']);
        let body = head.trim_end_matches('#');
        let starts = body.len() < head.len() && (body.is_empty() || body.ends_with([' ', '\t']));
        if !starts || !document[at + MARK.len()..].starts_with(':') {
            return None;
        }
        let end = document[at..].find('\n').map_or(document.len(), |length| at + length);
        let end = if document[..end].ends_with('\r') { end - 1 } else { end };
        Some(line + body.len()..end)
    })
}

/// The lints a comment allows and whether it gives a reason, or what is wrong with it.
fn parse_comment(comment: &str) -> Result<(Vec<String>, bool), String> {
    let body = comment.trim_start_matches(['#', ' ', '\t']);
    let body = body.strip_prefix(MARK).and_then(|body| body.strip_prefix(':')).unwrap_or(body).trim();
    let (verb, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
    if verb != "allow" {
        return Err(format!("`meshproof: {verb}` means nothing"));
    }
    let mut lints = Vec::new();
    let mut rest = rest.trim_start();
    loop {
        let end = rest
            .find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '-')
            .unwrap_or(rest.len());
        // Two dashes after a name are a dash before the reason.
        let end = rest[..end].find("--").unwrap_or(end);
        if end == 0 || rest.starts_with('-') {
            break;
        }
        lints.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => break,
        }
    }
    if lints.is_empty() {
        return Err("`meshproof: allow` names no lint".to_owned());
    }
    let reason = rest.trim_start_matches(|c: char| c.is_whitespace() || "—–-:(".contains(c));
    Ok((lints, reason.chars().any(char::is_alphanumeric)))
}

fn not_understood(place: Span, message: String) -> Finding {
    lints::finding(lints::UNUSED_SUPPRESSION, place, message)
        .with_help("write `# meshproof: allow LINT — reason`; `meshproof lint` lists the lints")
}

/// Where the nodes of a document begin, to find what a comment speaks of.
struct Places {
    /// Fields and list items by start; of those that begin together the outer one first.
    targets: Vec<Span>,
    /// Scalars by start.
    scalars: Vec<Span>,
}

impl Places {
    fn of(tree: &Tree<'_>) -> Self {
        let mut places = Places { targets: vec![tree.root().span()], scalars: Vec::new() };
        // A stack of our own: the depth of a document is its author's choice.
        let mut stack: Vec<NodeRef<'_>> = vec![tree.root()];
        while let Some(node) = stack.pop() {
            match node.shape() {
                Shape::Scalar => places.scalars.push(node.span()),
                Shape::Mapping => {
                    for (key, value) in node.entries() {
                        places.targets.push(key.span().to(value.span()));
                        stack.extend([key, value]);
                    }
                }
                Shape::Sequence => {
                    for item in node.items() {
                        places.targets.push(item.span());
                        stack.push(item);
                    }
                }
            }
        }
        places.targets.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        places.scalars.sort_by_key(|span| span.start);
        places
    }

    /// Whether a byte lies inside a scalar, where `#` is no comment.
    fn in_scalar(&self, at: u32) -> bool {
        let after = self.scalars.partition_point(|span| span.start <= at);
        after > 0 && self.scalars[after - 1].end > at
    }

    /// The outermost node that begins at or after `from`; before `until` if that is given.
    fn target(&self, from: u32, until: Option<u32>) -> Option<Span> {
        let span = *self.targets.get(self.targets.partition_point(|span| span.start < from))?;
        until.is_none_or(|until| span.start < until).then_some(span)
    }
}

/// Splits findings into those that stand and those that are suppressed, and adds what is to be said about the
/// suppressions themselves. `written` holds for each finding in a rendered text the place it was rendered from, where
/// a suppression counts too.
pub(crate) fn apply(
    suppressions: &[Suppression],
    findings: Vec<Finding>,
    written: &[Option<Span>],
) -> (Vec<Finding>, Vec<Finding>) {
    if suppressions.is_empty() {
        return (findings, Vec::new());
    }
    let mut used = vec![false; suppressions.len()];
    let covering = cover(suppressions, &findings, written);
    let (mut kept, mut suppressed) = (Vec::new(), Vec::new());
    for (finding, by) in findings.into_iter().zip(covering) {
        match by {
            Some(by) => {
                used[by] = true;
                suppressed.push(finding);
            }
            None => kept.push(finding),
        }
    }
    kept.extend(suppressions.iter().zip(used).flat_map(|(suppression, used)| remarks(suppression, used)));
    (kept, suppressed)
}

/// For each finding the innermost suppression that covers it. Scopes are nodes of trees, so they nest: one sweep over
/// findings and scopes in text order, with the open scopes on a stack, finds them all.
fn cover(suppressions: &[Suppression], findings: &[Finding], written: &[Option<Span>]) -> Vec<Option<usize>> {
    /// Suppressions of one lint in one text, and findings with their offsets.
    type Group = (Vec<usize>, Vec<(u32, usize)>);
    let mut groups: HashMap<(SourceId, &str), Group> = HashMap::new();
    for (at, suppression) in suppressions.iter().enumerate() {
        groups.entry((suppression.scope.source, suppression.lint.as_str())).or_default().0.push(at);
    }
    for (at, finding) in findings.iter().enumerate() {
        let places = std::iter::once(finding.primary.span).chain(written.get(at).copied().flatten());
        for place in places {
            if let Some(group) = groups.get_mut(&(place.source, finding.lint)) {
                group.1.push((place.start, at));
            }
        }
    }
    let mut covering = vec![None; findings.len()];
    for (mut scopes, mut points) in groups.into_values() {
        scopes.sort_by_key(|at| {
            let scope = suppressions[*at].scope;
            (scope.start, std::cmp::Reverse(scope.end), *at)
        });
        points.sort_unstable();
        let mut scopes = scopes.into_iter().peekable();
        let mut open: Vec<usize> = Vec::new();
        for (place, finding) in points {
            while let Some(at) = scopes.next_if(|at| suppressions[*at].scope.start <= place) {
                open.push(at);
            }
            while open.last().is_some_and(|at| suppressions[*at].scope.end < place) {
                open.pop();
            }
            covering[finding] = covering[finding].or(open.last().copied());
        }
    }
    covering
}

fn remarks(suppression: &Suppression, used: bool) -> Vec<Finding> {
    let lint = &suppression.lint;
    let remark = |lint: &'static str, message: String, help: &str| {
        lints::finding(lint, suppression.place, message).with_help(help)
    };
    let mut remarks = Vec::new();
    if !lints::is_known(lint) {
        let help = match lints::closest(lint) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "`meshproof lint` lists the lints".to_owned(),
        };
        let message = format!("there is no lint `{lint}` to allow");
        remarks.push(remark(lints::UNUSED_SUPPRESSION, message, &help));
    } else if !used {
        let message = format!("nothing here is found by {lint}, so allowing it has no effect");
        let help = "remove it; if only a part of the manifests was given, check them all";
        remarks.push(remark(lints::UNUSED_SUPPRESSION, message, help).with_confidence(Confidence::Medium));
    }
    if !suppression.has_reason {
        let message = format!("{lint} is allowed here without a reason");
        let help = format!("say why, for those who read it later: `allow {lint} — reason`");
        remarks.push(remark(lints::SUPPRESSION_WITHOUT_REASON, message, &help));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use meshproof_diagnostics::{Category, Label, Level};

    use super::*;

    const SOURCE: SourceId = SourceId(0);

    fn collect(text: &str) -> Vec<Suppression> {
        let parsed = meshproof_yaml::parse(SOURCE, text, 0..text.len());
        from_comments(SOURCE, text, 0..text.len(), parsed.tree.as_ref()).suppressions
    }

    fn scope_texts(text: &str) -> Vec<&str> {
        let cut = |s: Suppression| text[s.scope.start as usize..s.scope.end as usize].trim_end();
        collect(text).into_iter().map(cut).collect()
    }

    fn finding(lint: &'static str, at: u32) -> Finding {
        let label = Label::new(Span::new(SOURCE, at, at + 1), "");
        Finding::new(lint, Level::Error, Category::Hole, "m", label)
    }

    #[test]
    fn comments_name_lints_and_a_reason() {
        let parse = |text: &str| parse_comment(text).map(|(lints, reason)| (lints.join("+"), reason));
        let ok = |lints: &str, reason| Ok((lints.to_owned(), reason));
        assert_eq!(parse("# meshproof: allow deny-all-gap — batch runs at night"), ok("deny-all-gap", true));
        assert_eq!(parse("#meshproof: allow a, b-c -- why"), ok("a+b-c", true));
        assert_eq!(parse("# meshproof: allow a: why"), ok("a", true));
        assert_eq!(parse("# meshproof: allow a - why"), ok("a", true));
        assert_eq!(parse("# meshproof: allow a"), ok("a", false));
        assert_eq!(parse("# meshproof: allow a — "), ok("a", false));
        assert!(parse("# meshproof: allow").is_err());
        assert!(parse("# meshproof: ignore a").is_err());
    }

    #[test]
    fn a_comment_speaks_of_what_it_stands_above_or_beside() {
        let text = concat!(
            "a: 1\n",
            "b:\n",
            "  # meshproof: allow x — r\n",
            "  - c: 1\n",
            "    d: 2\n",
            "  - e: 3\n",
            "f: {g: 1} # meshproof: allow y — r\n",
        );
        assert_eq!(scope_texts(text), ["c: 1\n    d: 2", "f: {g: 1}"]);
    }

    #[test]
    fn behind_a_dash_it_holds_for_the_item() {
        let text = "a:\n- # meshproof: allow x — r\n  b: 1\n  c: 2\n- d: 3\n";
        assert_eq!(scope_texts(text), ["b: 1\n  c: 2"]);
    }

    #[test]
    fn a_reason_may_stand_on_the_next_line() {
        let reasons = |text: &str| collect(text).iter().map(|one| one.has_reason).collect::<Vec<_>>();
        assert_eq!(reasons("# meshproof: allow x —\r\n#   the batch job\r\na: 1\n"), [true]);
        assert_eq!(reasons("a: 1 # meshproof: allow x\n     # the batch job\n"), [true]);
        assert_eq!(reasons("# meshproof: allow x\n# meshproof: allow y — r\na: 1\n"), [false, true]);
        assert_eq!(reasons("# meshproof: allow x\n#\n# licence\na: 1\n"), [false]);
    }

    #[test]
    fn above_the_first_key_it_holds_for_the_document() {
        let text = "# licence\n# meshproof: allow x — r\n\n# more\na: 1\nb: 2\n";
        assert_eq!(scope_texts(text), [text.trim_end()]);
    }

    #[test]
    fn text_in_a_scalar_is_no_comment() {
        assert_eq!(
            scope_texts("a: |\n  # meshproof: allow x — r\nb: 'c # meshproof: allow x — r'\n"),
            [""; 0]
        );
    }

    #[test]
    fn a_document_that_does_not_parse_can_be_allowed_at_the_line() {
        let text = "a: 1\n# meshproof: allow yaml-syntax — r\nb: [\n";
        let found = from_comments(SOURCE, text, 0..text.len(), None).suppressions;
        assert!(found[0].scope.end as usize >= text.find('[').unwrap());
    }

    #[test]
    fn the_innermost_scope_counts_and_the_others_are_unused() {
        let suppression = |start, end| Suppression {
            lint: "yaml-syntax".into(),
            scope: Span::new(SOURCE, start, end),
            place: Span::new(SOURCE, start, start),
            has_reason: true,
        };
        let scopes = [suppression(0, 100), suppression(10, 20), suppression(30, 40)];
        let (kept, suppressed) =
            apply(&scopes, vec![finding("yaml-syntax", 12), finding("yaml-syntax", 200)], &[]);
        assert_eq!(suppressed.len(), 1);
        let unused: Vec<u32> = kept[1..].iter().map(|finding| finding.primary.span.start).collect();
        assert_eq!((kept[0].lint, unused), ("yaml-syntax", vec![0, 30]));
    }

    #[test]
    fn findings_of_other_lints_stand() {
        let scope = Suppression {
            lint: "yaml-syntx".into(),
            scope: Span::new(SOURCE, 0, 9),
            place: Span::new(SOURCE, 0, 1),
            has_reason: false,
        };
        let (kept, suppressed) = apply(&[scope], vec![finding("yaml-syntax", 1)], &[]);
        assert!(suppressed.is_empty());
        assert!(kept[1].help.as_deref().unwrap_or_default().contains("yaml-syntax"));
        assert_eq!(kept[2].lint, lints::SUPPRESSION_WITHOUT_REASON);
    }
}
