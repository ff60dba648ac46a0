//! Which of several objects Istio takes to be the oldest.

use meshproof_resources::{Meta, Resource};

use crate::ResourceId;
use crate::labels::SelectorIndex;

/// Sorts objects as Istio orders them: by creation time, then name, then namespace (Istio 1.32, model/config.go
/// `configCompareByCreationTime`). Manifests in Git have no creation time; when one of the objects lacks it, names
/// alone decide, as they do for objects created in one second.
pub fn sort_by_age(ids: &mut [ResourceId], resources: &[Resource]) {
    if ids.len() < 2 {
        return;
    }
    let meta = |id: &ResourceId| &resources[id.index()].meta;
    let dated = all_dated(ids.iter().map(meta));
    let key = |id: &ResourceId| {
        let meta = meta(id);
        let created = if dated { created(meta) } else { None };
        let namespace = meta.namespace.as_ref().map_or("", |namespace| namespace.value.as_str());
        (created, meta.name(), namespace, *id)
    };
    ids.sort_unstable_by(|left, right| key(left).cmp(&key(right)));
}

/// Puts the oldest of each class first.
pub(crate) fn sort_classes_by_age(index: &mut SelectorIndex<'_>, resources: &[Resource]) {
    for class in 0..index.classes() {
        let members = index.members_mut(class);
        if members.len() > 1 {
            let mut ids: Vec<ResourceId> = members.iter().copied().map(ResourceId).collect();
            sort_by_age(&mut ids, resources);
            members.iter_mut().zip(ids).for_each(|(member, id)| *member = id.0);
        }
    }
}

/// Whether every object has a creation time.
pub fn all_dated<'a>(mut metas: impl Iterator<Item = &'a Meta>) -> bool {
    metas.all(|meta| created(meta).is_some())
}

/// Creation time; RFC 3339 in UTC with seconds, as the API server writes it, sorts as text.
pub(crate) fn created(meta: &Meta) -> Option<&str> {
    let text = meta.creation_timestamp.as_ref()?.value.as_str();
    (text.len() == 20 && text.ends_with('Z')).then_some(text)
}
