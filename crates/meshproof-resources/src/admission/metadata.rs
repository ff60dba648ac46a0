//! Rules on metadata: the API server's on names and labels, istiod's on annotations.

use meshproof_yaml::{NodeRef, Scalar};

use super::issue::{Collector, Stage};
use super::view;
use crate::schema::values::{is_dns_label, is_dns_subdomain, is_label_key, is_label_value, parse_bool};
use crate::schema::{Path, shown};

/// Names, namespace and labels, by the API server's rules for objects whose name is a DNS subdomain
/// (apimachinery, `pkg/api/validation/objectmeta.go`).
pub(super) fn check(collector: &mut Collector, object: NodeRef<'_>) {
    let Some(metadata) = view::field(object, "metadata") else { return };
    let path = Path::Root.field("metadata");
    let mut refuse = |path: &Path<'_>, node: NodeRef<'_>, message: String, help: &str| {
        // `$(NAME)`, `${NAME}`, `{{ name }}`, `($name)`: something will be put there, and nobody knows what.
        if node.str().is_some_and(|text| text.contains(['$', '{'])) {
            return;
        }
        collector.push("invalid-object", Stage::Metadata, path, node, message, Some(help.to_owned()));
    };
    if let Some((node, name)) = text_of(metadata, "name").filter(|(_, name)| !is_dns_subdomain(name)) {
        refuse(
            &path.field("name"),
            node,
            format!("{} is no name for an object", shown(name)),
            "use lower-case letters, digits, `-` and `.`, a letter or digit at both ends, 253 characters at most",
        );
    }
    let is_namespace = |name: &str| is_dns_label(name) && is_dns_subdomain(name);
    if let Some((node, name)) = text_of(metadata, "namespace").filter(|(_, name)| !is_namespace(name)) {
        refuse(
            &path.field("namespace"),
            node,
            format!("{} is no name for a namespace", shown(name)),
            "use lower-case letters, digits and `-`, a letter or digit at both ends, 63 characters at most",
        );
    }
    let Some(labels) = view::field(metadata, "labels") else { return };
    let path = path.field("labels");
    for (key, value) in labels.entries() {
        let Some(name) = key.key_text() else { continue };
        if !is_label_key(&name) {
            refuse(
                &path.field(&name),
                key,
                format!("{} is no label key", shown(&name)),
                "a key is `name` or `prefix/name`: letters, digits, `-`, `_`, `.`, 63 characters at most",
            );
        }
        if let Some(text) = string(value).filter(|text| !is_label_value(text)) {
            refuse(
                &path.field(&name),
                value,
                format!("{} is no label value", shown(text)),
                "use letters, digits, `-`, `_` and `.`, a letter or digit at both ends, 63 characters at most",
            );
        }
    }
}

fn text_of<'t>(metadata: NodeRef<'t>, name: &str) -> Option<(NodeRef<'t>, &'t str)> {
    let node = metadata.get(name)?;
    string(node).map(|text| (node, text))
}

/// The text of a string; other scalars are the schema's business.
fn string(node: NodeRef<'_>) -> Option<&str> {
    matches!(node.scalar(), Some(Scalar::Str(_))).then(|| node.str())?
}

/// Annotations that istiod refuses before it looks at the spec (Istio 1.32, `validateMetadata`,
/// `checkDryRunAnnotation`). The first one that is wrong ends the check.
pub(super) fn check_annotations(
    collector: &mut Collector,
    object: NodeRef<'_>,
    is_authorization_policy: bool,
) {
    let Some(annotations) = view::field(object, "metadata").and_then(|m| view::field(m, "annotations"))
    else {
        return;
    };
    let metadata = Path::Root.field("metadata");
    let path = metadata.field("annotations");
    if let Some((key, value)) = annotations.entry("istio.io/dry-run") {
        let problem = dry_run(object, view::text(value), is_authorization_policy);
        if let Some(message) = problem {
            let token = if is_authorization_policy { value } else { key };
            collector.refuse(&path.field("istio.io/dry-run"), token, message);
            return;
        }
    }
    const RESERVED: [(&str, &str); 3] = [
        (
            "internal.istio.io/webhook-always-reject",
            "istiod refuses every object with this annotation: it tests its own webhook with it",
        ),
        ("internal.istio.io/parent-namespace", "this annotation is for istiod's own objects"),
        ("internal.istio.io/parents", "this annotation is for istiod's own objects"),
    ];
    for (name, message) in RESERVED {
        if let Some((key, _)) = annotations.entry(name) {
            collector.refuse_with_help(&path.field(name), key, message, "delete the annotation");
            return;
        }
    }
}

fn dry_run(object: NodeRef<'_>, value: &str, is_authorization_policy: bool) -> Option<String> {
    if !is_authorization_policy {
        return Some("`istio.io/dry-run` works on AuthorizationPolicy only".to_owned());
    }
    let action = view::field(object, "spec")
        .map_or(0, |spec| view::choice(spec, "action", &super::authorization_policy::ACTIONS));
    match action {
        0 | 1 => parse_bool(value).is_none().then(|| {
            format!(
                "{} is neither \"true\" nor \"false\", so the dry run is neither on nor off",
                shown(value)
            )
        }),
        _ => Some("a dry run works for ALLOW and DENY only, not for AUDIT and CUSTOM".to_owned()),
    }
}
