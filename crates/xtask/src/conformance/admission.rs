//! Vectors of kind `admission`: who refuses an object, which fields are dropped, whether there is a warning.

use std::fmt::Write;

use meshproof_resources::admission::{self, Stage};
use meshproof_source::SourceId;
use serde_json::Value;

use super::{Outcome, Replay};

/// Replays `admission` lines. Objects are written as JSON and read like any manifest.
pub(super) struct Admission;

/// The parts of a verdict that must agree.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    crd: bool,
    webhook: bool,
    warning: bool,
    /// Sorted. Recorded only for objects that the CRD takes.
    unknown_fields: Vec<String>,
}

impl Replay for Admission {
    fn line(&mut self, kind: &str, line: &Value) -> Outcome {
        if kind != "admission" {
            return Outcome::Unknown;
        }
        let Some(object) = line.get("object") else {
            return Outcome::Failed("the line has no object".to_owned());
        };
        let recorded = recorded(line);
        let text = object.to_string();
        let parsed = meshproof_yaml::parse(SourceId(0), &text, 0..text.len());
        let Some(tree) = parsed.tree else {
            return Outcome::Failed(format!("the object cannot be read: {:?}", parsed.problems));
        };
        let review = admission::review(tree.root());
        let said = said(&review, !recorded.unknown_fields.is_empty());
        if said == recorded {
            return Outcome::Passed;
        }
        let mut difference = format!("recorded {recorded:?}, said {said:?}");
        for name in ["crd", "webhook", "warning"] {
            if let Some(message) = line.get(name).and_then(Value::as_str) {
                let _ = write!(difference, "\n  {name}: {message}");
            }
        }
        for issue in &review.issues {
            let _ = write!(difference, "\n  {:?} {}: {}", issue.stage, issue.path, issue.message);
        }
        let _ = write!(difference, "\n  {text}");
        Outcome::Failed(difference)
    }
}

fn recorded(line: &Value) -> Verdict {
    let has = |name: &str| line.get(name).is_some();
    let fields = line.get("unknown_fields").and_then(Value::as_array);
    let mut unknown_fields: Vec<String> =
        fields.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    unknown_fields.sort();
    Verdict { crd: has("crd"), webhook: has("webhook"), warning: has("warning"), unknown_fields }
}

/// The recorder asked the schema, then looked for unknown fields, then asked the CEL rules, and stopped at the first
/// of the three that had something to say. An API server drops the fields and goes on to the rules.
fn said(review: &admission::Review, stopped_at_unknown_fields: bool) -> Verdict {
    let of = |stage: Stage| review.issues.iter().filter(move |issue| issue.stage == stage);
    let crd = review.schema_refuses || (review.rules_refuse && !stopped_at_unknown_fields);
    let mut unknown_fields: Vec<String> = of(Stage::Pruned).map(|issue| issue.path.clone()).collect();
    unknown_fields.sort();
    if crd {
        unknown_fields.clear();
    }
    Verdict {
        crd,
        webhook: review.webhook_refuses,
        warning: of(Stage::Warning).next().is_some(),
        unknown_fields,
    }
}
