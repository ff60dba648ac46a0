//! What the API server and the webhook of istiod say of an object.
//!
//! An object meets three judges: the API server's rules on metadata, the CRD (structural schema and CEL rules), and
//! the validating webhook of istiod, which sees what the schema left of the object. [`review`] asks all three, even
//! where a real cluster stops at the first, so that one run shows everything that is wrong. [`mistakes`] adds what
//! none of them notices.

mod authorization_policy;
mod client_tls;
mod connection_pool;
mod decode;
mod destination_rule;
mod issue;
mod jwks;
mod load_balancer;
mod locality;
mod metadata;
pub mod mistakes;
mod peer_authentication;
mod request_authentication;
mod security_values;
mod selector;
mod view;

pub use issue::{Issue, Stage};

use std::collections::HashSet;

use meshproof_yaml::NodeRef;

use crate::schema::{self, Found, Path, Schema, Violation, ViolationKind};
use issue::Collector;

/// What admission says of one object.
#[derive(Clone, Debug, Default)]
pub struct Review {
    /// Everything that is wrong, each place once.
    pub issues: Vec<Issue>,
    /// The structural schema of the CRD refuses the object, or its version is not served.
    pub schema_refuses: bool,
    /// A CEL rule of the CRD refuses the object. API servers ask the rules about objects that the schema takes.
    pub rules_refuse: bool,
    /// The webhook refuses the object, or would, were it asked.
    pub webhook_refuses: bool,
}

/// Everything that admission says of one object, and the [`mistakes`] that it does not notice; empty for kinds that no
/// schema is known of.
pub fn admit(object: NodeRef<'_>) -> Vec<Issue> {
    let mut issues = review(object).issues;
    let mut mistakes = mistakes::find(object);
    if !mistakes.is_empty() {
        // One token, one finding.
        let known: HashSet<&str> = issues.iter().map(|issue| &*issue.path).collect();
        mistakes.retain(|mistake| !known.contains(&*mistake.path));
    }
    issues.append(&mut mistakes);
    issues
}

/// The verdict of each judge, with the issues.
pub fn review(object: NodeRef<'_>) -> Review {
    let text = |name| object.get(name).and_then(NodeRef::str).unwrap_or("");
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let mut review = Review::default();
    let schema = match schema::find(api_version, kind) {
        Found::Unknown => return review,
        Found::Served(schema) => {
            review.crd(schema.check(object));
            schema
        }
        Found::OtherVersion(served) => {
            review.schema_refuses = true;
            review.issues.push(not_served(object, group, kind, served));
            // The webhook does not look at the version, and all versions are alike to it.
            match served.first().map(|version| schema::find(&format!("{group}/{version}"), kind)) {
                Some(Found::Served(schema)) => schema,
                _ => return review,
            }
        }
    };
    let mut collector = Collector::default();
    metadata::check(&mut collector, object);
    review.issues.append(&mut collector.issues);
    review.webhook(object, group, kind, schema);
    review
}

impl Review {
    fn crd(&mut self, violations: Vec<Violation>) {
        for violation in violations {
            let (stage, lint) = match violation.kind {
                ViolationKind::UnknownField { .. } => (Stage::Pruned, "unknown-field"),
                ViolationKind::Null => (Stage::Crd, "null-field"),
                ViolationKind::UnquotedScalar => (Stage::Crd, "unquoted-scalar"),
                _ => (Stage::Crd, "invalid-object"),
            };
            if stage == Stage::Crd {
                let refuses = match violation.kind {
                    ViolationKind::Rule => &mut self.rules_refuse,
                    _ => &mut self.schema_refuses,
                };
                *refuses = true;
            }
            let Violation { path, span, message, help, .. } = violation;
            self.issues.push(Issue { lint, stage, path, span, message, help });
        }
    }

    fn webhook(&mut self, object: NodeRef<'_>, group: &str, kind: &str, schema: Schema) {
        let validate: fn(&mut Collector, NodeRef<'_>) = match (group, kind) {
            ("security.istio.io", "AuthorizationPolicy") => authorization_policy::validate,
            ("security.istio.io", "PeerAuthentication") => peer_authentication::validate,
            ("security.istio.io", "RequestAuthentication") => request_authentication::validate,
            ("networking.istio.io", "DestinationRule") => destination_rule::validate,
            _ => return,
        };
        let mut collector = Collector::default();
        decode::check(&mut collector, schema, object);
        // What does not fit the types is not looked at further, as in istiod.
        if collector.issues.is_empty() {
            metadata::check_annotations(&mut collector, object, kind == "AuthorizationPolicy");
        }
        if collector.issues.is_empty() {
            validate(&mut collector, object);
        }
        self.webhook_refuses = collector.issues.iter().any(|issue| issue.stage == Stage::Webhook);
        // One token, one finding: what the CRD has said is not said again.
        let known: HashSet<_> = self.issues.iter().map(|issue| issue.span).collect();
        collector.issues.retain(|issue| issue.stage != Stage::Webhook || !known.contains(&issue.span));
        self.issues.append(&mut collector.issues);
    }
}

fn not_served(object: NodeRef<'_>, group: &str, kind: &str, served: &[&str]) -> Issue {
    let node = object.get("apiVersion").unwrap_or(object);
    let versions = served.iter().map(|version| format!("`{group}/{version}`")).collect::<Vec<_>>().join(", ");
    Issue {
        lint: "invalid-object",
        stage: Stage::Crd,
        path: Path::Root.field("apiVersion").to_string(),
        span: node.span(),
        message: format!("API servers do not serve {kind} in `{}`", node.str().unwrap_or_default()),
        help: Some(format!("served are {versions}; they have the same fields")),
    }
}

#[cfg(test)]
mod tests;
