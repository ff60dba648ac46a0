//! What documents tell of things that the input does not hold: namespaces where operators and deployment tools make
//! objects of their own, and service accounts that RBAC speaks of.

use std::borrow::Cow;

use meshproof_resources::Kind;
use meshproof_source::SourceId;
use meshproof_yaml::{NodeRef, Shape};

/// Lists inside lists beyond this depth are not looked into.
const MAX_DEPTH: usize = 16;

/// What one document tells, or several.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// Namespaces that an object of a custom kind lies in or deploys to: its operator may create what the input does
    /// not show.
    pub operator_namespaces: Vec<String>,
    /// Subjects of role bindings, as `namespace/name`.
    pub accounts: Vec<String>,
}

impl Surroundings {
    pub(crate) fn take_in(&mut self, other: Surroundings) {
        self.operator_namespaces.extend(other.operator_namespaces);
        self.accounts.extend(other.accounts);
    }

    /// Looks at every object of a tree, also those in lists. `namespace` is that of objects that name none.
    pub(crate) fn note_all(&mut self, root: NodeRef<'_>, namespace: Option<&str>) {
        let mut stack = vec![(root, 0)];
        while let Some((node, depth)) = stack.pop() {
            if depth > MAX_DEPTH {
                continue;
            }
            match node.shape() {
                Shape::Sequence => stack.extend(node.items().map(|item| (item, depth + 1))),
                Shape::Mapping => {
                    self.note(node, namespace);
                    let items = node.get("items").filter(|items| items.shape() == Shape::Sequence);
                    stack.extend(items.map(|items| (items, depth + 1)));
                }
                Shape::Scalar => {}
            }
        }
    }

    fn note(&mut self, object: NodeRef<'_>, default: Option<&str>) {
        let (Some(api_version), Some(kind)) = (text_at(object, &["apiVersion"]), text_at(object, &["kind"]))
        else {
            return;
        };
        let own = text_at(object, &["metadata", "namespace"])
            .map(Cow::into_owned)
            .or_else(|| default.map(str::to_owned));
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        if is_binding(&kind) {
            self.accounts.extend(subjects(object, own.as_deref()));
        } else if is_foreign(group) && Kind::of(group, &kind).is_none() {
            self.operator_namespaces.extend(own);
            // Argo CD's Application and ApplicationSet; HelmRelease and Kustomization of Flux, HelmChart of k3s.
            let elsewhere: [&[&str]; 3] = [
                &["spec", "destination", "namespace"],
                &["spec", "template", "spec", "destination", "namespace"],
                &["spec", "targetNamespace"],
            ];
            let named = elsewhere.iter().filter_map(|path| text_at(object, path));
            self.operator_namespaces.extend(named.map(Cow::into_owned));
        }
    }
}

/// What a document of a kind that is not analysed tells. Most of them tell nothing, and are not parsed to find out.
pub(crate) fn of_other_kind(
    source: SourceId,
    text: &str,
    range: std::ops::Range<usize>,
    kind: &str,
    namespace: Option<&str>,
) -> Surroundings {
    let mut found = Surroundings::default();
    let document = &text[range.clone()];
    let worth_it = if is_binding(kind) {
        document.contains("ServiceAccount")
    } else {
        kind != "CustomResourceDefinition" && group_line(document).is_none_or(is_foreign)
    };
    if !worth_it {
        return found;
    }
    match meshproof_yaml::parse(source, text, range).tree {
        Some(tree) => found.note_all(tree.root(), namespace),
        // A template, as a rule. Too many namespaces only make the lints more careful.
        None if !is_binding(kind) => {
            found.operator_namespaces.extend(written_namespaces(document).map(str::to_owned));
        }
        None => {}
    }
    found
}

/// Every namespace that stands behind `namespace:` as it is, for texts that cannot be parsed.
pub(crate) fn written_namespaces(text: &str) -> impl Iterator<Item = &str> {
    const KEY: &str = "amespace:";
    memchr::memmem::find_iter(text.as_bytes(), KEY).filter_map(|at| {
        let value = text[at + KEY.len()..].trim_start_matches([' ', '\t', '"', '\'']);
        let end = value.find(|c: char| c != '-' && !c.is_ascii_alphanumeric()).unwrap_or(value.len());
        (end > 0).then(|| &value[..end])
    })
}

fn is_binding(kind: &str) -> bool {
    matches!(kind, "RoleBinding" | "ClusterRoleBinding")
}

/// Whether an API group is neither Kubernetes' nor Istio's.
fn is_foreign(group: &str) -> bool {
    group.contains('.') && !group.ends_with(".k8s.io") && !group.ends_with("istio.io")
}

/// The API group, if a line at the left margin says it plainly.
fn group_line(document: &str) -> Option<&str> {
    let line = document.lines().find_map(|line| line.strip_prefix("apiVersion:"))?;
    let value = line.split(" #").next()?.trim().trim_matches(['"', '\'']);
    let plain = |c: char| c.is_ascii_alphanumeric() || "./-".contains(c);
    (!value.is_empty() && value.chars().all(plain))
        .then(|| value.split_once('/').map_or("", |(group, _)| group))
}

fn subjects(binding: NodeRef<'_>, own: Option<&str>) -> Vec<String> {
    let subjects = binding.get("subjects").filter(|subjects| subjects.shape() == Shape::Sequence);
    let of = |subject: NodeRef<'_>| {
        if text_at(subject, &["kind"])? != "ServiceAccount" {
            return None;
        }
        let namespace = text_at(subject, &["namespace"]).or_else(|| own.map(|own| own.to_owned().into()))?;
        Some(format!("{namespace}/{}", text_at(subject, &["name"])?))
    };
    subjects.into_iter().flat_map(NodeRef::items).filter_map(of).collect()
}

/// The text at the end of a path of keys.
fn text_at<'t>(node: NodeRef<'t>, path: &[&str]) -> Option<Cow<'t, str>> {
    let mut node = node;
    for key in path {
        if node.shape() != Shape::Mapping {
            return None;
        }
        node = node.get(key)?;
    }
    node.text().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str, kind: &str) -> (String, String) {
        let found = of_other_kind(SourceId(0), text, 0..text.len(), kind, None);
        (found.operator_namespaces.join(" "), found.accounts.join(" "))
    }

    #[test]
    fn the_namespace_of_a_custom_object_is_found_however_it_is_written() {
        for metadata in [
            "metadata: {name: k, namespace: shop}\n",
            "metadata:\n    labels: {namespace: other}\n    namespace: shop # here\n",
            "metadata: {\"namespace\": \"shop\"}\n",
        ] {
            let text = format!("apiVersion: kafka.strimzi.io/v1beta2\nkind: Kafka\n{metadata}");
            assert_eq!(look(&text, "Kafka").0, "shop", "{text}");
        }
        assert_eq!(look("apiVersion: batch/v1\nkind: X\nmetadata: {namespace: shop}\n", "X").0, "");
        let template = "apiVersion: a.b/v1\nkind: X\nmetadata: {namespace: shop, name: {{ x }}-y}\n";
        assert_eq!(look(template, "X").0, "shop");
    }

    #[test]
    fn so_are_those_that_deployment_tools_fill() {
        let argo = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {namespace: argocd}\n";
        let argo = format!("{argo}spec: {{destination: {{namespace: shop}}}}\n");
        assert_eq!(look(&argo, "Application").0, "argocd shop");
        let flux =
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec: {targetNamespace: shop}\n";
        assert_eq!(look(flux, "HelmRelease").0, "shop");
    }

    #[test]
    fn objects_in_lists_count() {
        let text = concat!(
            "kind: List\nitems:\n- {apiVersion: kafka.strimzi.io/v1, kind: Kafka, metadata: {namespace: shop}}\n",
            "- {apiVersion: serving.knative.dev/v1, kind: Service, metadata: {namespace: pay}}\n",
            "- {apiVersion: v1, kind: Service, metadata: {namespace: other}}\n",
        );
        let parsed = meshproof_yaml::parse(SourceId(0), text, 0..text.len());
        let mut found = Surroundings::default();
        found.note_all(parsed.tree.as_ref().unwrap().root(), None);
        found.operator_namespaces.sort();
        assert_eq!(found.operator_namespaces, ["pay", "shop"]);
    }

    #[test]
    fn role_bindings_name_accounts() {
        let text = concat!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {namespace: shop}\n",
            "subjects:\n- {kind: ServiceAccount, name: a}\n- {kind: ServiceAccount, name: b, namespace: pay}\n",
            "- {kind: User, name: c}\n",
        );
        assert_eq!(look(text, "RoleBinding").1, "shop/a pay/b");
    }
}
