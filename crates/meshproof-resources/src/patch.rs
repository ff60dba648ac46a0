//! Kustomize patches: fragments that look like objects and must not be taken for them.

use meshproof_source::Span;
use meshproof_yaml::NodeRef;

use crate::read::text;
use crate::{Resource, Spec, Text};

/// A strategic merge patch that says so itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The `$patch` key.
    pub span: Span,
    /// Its value: `delete`, `replace` or `merge`.
    pub directive: Text,
}

impl Patch {
    /// The directive in one of the places where kustomize users write it: beside `kind`, in `metadata`, in `spec`.
    pub(crate) fn find(places: [Option<NodeRef<'_>>; 3]) -> Option<Patch> {
        places.into_iter().flatten().find_map(|place| {
            let (key, value) = place.entry("$patch")?;
            Some(Patch { span: key.span(), directive: text(value)? })
        })
    }
}

impl Resource {
    /// Why the object can only be a patch although it does not say so: something that every whole object of its kind
    /// has is missing. `None` when it may be whole. Policies have no such part, so they are never told apart here.
    pub fn partial(&self) -> Option<&'static str> {
        match &self.spec {
            Spec::Patch(_) => Some("it is marked as a kustomize patch"),
            Spec::Workload(workload) => match &workload.template {
                None if workload.workload_ref.is_none() => Some("it has no pod template"),
                Some(template) if template.containers.iter().all(|container| container.init) => {
                    Some("its pods have no container")
                }
                Some(template) if template.containers.iter().any(|container| container.image.is_none()) => {
                    Some("a container has no image")
                }
                _ => None,
            },
            Spec::Service(service) => {
                let nothing = service.ports.is_empty() && service.selector.is_empty();
                (nothing && service.external_name.is_none() && !service.headless)
                    .then_some("it has neither ports nor a selector")
            }
            _ => None,
        }
    }
}
