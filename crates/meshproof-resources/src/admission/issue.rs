//! One thing that is wrong with an object.

use meshproof_source::Span;
use meshproof_yaml::NodeRef;

use crate::schema::Path;

/// Who objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The API server refuses the object for its metadata: name, namespace, labels.
    Metadata,
    /// The API server refuses the object for the CRD's schema or rules.
    Crd,
    /// The webhook of istiod refuses the object.
    Webhook,
    /// The API server drops the field and takes the rest.
    Pruned,
    /// The webhook takes the object with a warning.
    Warning,
    /// Nobody objects, and it is wrong all the same.
    Mistake,
}

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The stable id of the rule family: `invalid-object`, `null-field`, `unquoted-scalar`, `unknown-field`,
    /// `admission-warning`, or one of the ids in [`mistakes`](super::mistakes).
    pub lint: &'static str,
    /// Who objects.
    pub stage: Stage,
    /// The field, as `spec.rules[0].to[1]`.
    pub path: String,
    /// The token to show.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Gathers issues while an object is walked.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub issues: Vec<Issue>,
}

impl Collector {
    /// The webhook refuses the object because of `node`.
    pub fn refuse(&mut self, path: &Path<'_>, node: NodeRef<'_>, message: impl Into<String>) {
        self.push("invalid-object", Stage::Webhook, path, node, message.into(), None);
    }

    /// The same, with advice.
    pub fn refuse_with_help(
        &mut self,
        path: &Path<'_>,
        node: NodeRef<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push("invalid-object", Stage::Webhook, path, node, message.into(), Some(help.into()));
    }

    /// The webhook takes the object and warns.
    pub fn warn(
        &mut self,
        path: &Path<'_>,
        node: NodeRef<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push("admission-warning", Stage::Warning, path, node, message.into(), Some(help.into()));
    }

    /// Runs checks whose warnings istiod loses on the way: it keeps only the errors of subsets and ports.
    pub fn errors_only(&mut self, checks: impl FnOnce(&mut Self)) {
        let mut inner = Collector::default();
        checks(&mut inner);
        inner.issues.retain(|issue| issue.stage != Stage::Warning);
        self.issues.append(&mut inner.issues);
    }

    /// Any other issue.
    pub fn push(
        &mut self,
        lint: &'static str,
        stage: Stage,
        path: &Path<'_>,
        node: NodeRef<'_>,
        message: String,
        help: Option<String>,
    ) {
        self.issues.push(Issue { lint, stage, path: path.to_string(), span: node.span(), message, help });
    }
}
