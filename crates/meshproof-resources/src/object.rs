//! What every object has.

use meshproof_diagnostics::ResourceName;
use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{entries, is_true, key_name, text, text_at, text_map};

/// A string with its place.
pub type Text = Spanned<String>;

/// A list and the place of the field that holds it; an absent field has no place and no items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<T> {
    /// Place of the key, when the field is written.
    pub key: Option<Span>,
    /// Its items.
    pub items: Vec<T>,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Field { key: None, items: Vec::new() }
    }
}

impl<T> std::ops::Deref for Field<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.items
    }
}

/// A map of strings in the order written (labels, annotations, selectors).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextMap {
    /// Place of the field's key, when written.
    pub key: Option<Span>,
    /// Keys and values; of equal keys only the last is kept.
    pub entries: Vec<(Text, Text)>,
}

impl TextMap {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Text> {
        self.entries.iter().find(|(name, _)| name.value == key).map(|(_, value)| value)
    }

    /// Whether every pair of `self` stands in `labels` (Istio 1.32, labels/instance.go `SubsetOf`).
    pub fn is_subset_of(&self, labels: &TextMap) -> bool {
        self.entries
            .iter()
            .all(|(key, value)| labels.get(key).is_some_and(|other| other.value == value.value))
    }

    /// No entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// `metadata`, and the type of the object.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// `apiVersion` as written.
    pub api_version: Text,
    /// `kind` as written.
    pub kind: Text,
    /// `metadata.name`; absent with `generateName` or by mistake.
    pub name: Option<Text>,
    /// `metadata.namespace` as written, or as the kustomization or the command line says.
    pub namespace: Option<Text>,
    /// `metadata.labels`.
    pub labels: TextMap,
    /// `metadata.annotations`.
    pub annotations: TextMap,
    /// `metadata.creationTimestamp`, in dumps of live clusters.
    pub creation_timestamp: Option<Text>,
    /// Kind and name of the controller that made it (`metadata.ownerReferences`), in dumps of live clusters.
    pub owner: Option<Box<(Text, Text)>>,
    /// The whole object.
    pub span: Span,
}

impl Meta {
    /// Name as written, empty when absent.
    pub fn name(&self) -> &str {
        self.name.as_ref().map_or("", |name| name.value.as_str())
    }

    /// Where to point when the object as a whole is meant: its name, else its kind.
    pub fn name_span(&self) -> Span {
        self.name.as_ref().map_or(self.kind.span, |name| name.span)
    }

    /// Kind, namespace and name for findings.
    pub fn resource_name(&self) -> ResourceName {
        ResourceName {
            kind: self.kind.value.clone(),
            namespace: self.namespace.as_ref().map(|namespace| namespace.value.clone()),
            name: self.name().to_owned(),
        }
    }
}

/// `selector.matchLabels` of Istio objects; present but empty differs from absent on some engines.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The `selector` value.
    pub span: Span,
    /// Whether `matchLabels` is written at all (ztunnel tells `{}` from `matchLabels: {}`).
    pub has_match_labels: bool,
    /// The pairs.
    pub match_labels: TextMap,
}

/// One entry of `targetRefs`.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetRef {
    /// The entry.
    pub span: Span,
    /// API group; empty for core.
    pub group: String,
    /// Kind.
    pub kind: Text,
    /// Name.
    pub name: Text,
    /// Namespace; admission refuses it when not empty.
    pub namespace: Option<Text>,
}

/// The owner that is marked as controller.
fn controller(owners: NodeRef<'_>) -> Option<Box<(Text, Text)>> {
    let owner = owners.items().find(|owner| owner.get("controller").is_some_and(is_true))?;
    Some(Box::new((text_at(owner, "kind")?, text_at(owner, "name")?)))
}

/// What `kubectl apply` leaves behind: a copy of the object, of no interest and large.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Meta {
    /// Reads the `metadata` of `object`.
    pub(crate) fn decode(
        api_version: Text,
        kind: Text,
        metadata: Option<NodeRef<'_>>,
        object: NodeRef<'_>,
    ) -> Self {
        let mut meta = Meta {
            api_version,
            kind,
            name: None,
            namespace: None,
            labels: TextMap::default(),
            annotations: TextMap::default(),
            creation_timestamp: None,
            owner: None,
            span: object.span(),
        };
        for (key, value) in entries(metadata) {
            match key_name(key) {
                "name" => meta.name = text(value),
                "namespace" => meta.namespace = text(value).filter(|namespace| !namespace.value.is_empty()),
                "labels" => meta.labels = text_map(key, value),
                "annotations" => {
                    meta.annotations = text_map(key, value);
                    meta.annotations.entries.retain(|(name, _)| name.value != LAST_APPLIED);
                }
                "creationTimestamp" => meta.creation_timestamp = text(value),
                "ownerReferences" => meta.owner = controller(value),
                _ => {}
            }
        }
        meta
    }
}
