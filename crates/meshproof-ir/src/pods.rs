//! One view of everything that makes pods (or stands for a virtual machine).

use meshproof_resources::{Container, PodTemplate, Resource, Spec, Text, TextMap};
use meshproof_source::Span;

use crate::placement::Placement;
use crate::{ClusterId, NamespaceId, ResourceId};

/// Pods of one template, as written.
pub(crate) struct Pods<'a> {
    pub(crate) resource: ResourceId,
    pub(crate) name: &'a str,
    pub(crate) cluster: ClusterId,
    pub(crate) namespace: NamespaceId,
    pub(crate) labels: &'a TextMap,
    pub(crate) annotations: &'a TextMap,
    pub(crate) service_account: Option<&'a Text>,
    pub(crate) host_network: bool,
    pub(crate) containers: &'a [Container],
    /// The template.
    pub(crate) span: Span,
}

impl<'a> Pods<'a> {
    fn of_template(
        resource: ResourceId,
        name: &'a str,
        place: (ClusterId, NamespaceId),
        template: &'a PodTemplate,
    ) -> Self {
        Pods {
            resource,
            name,
            cluster: place.0,
            namespace: place.1,
            labels: &template.labels,
            annotations: &template.annotations,
            service_account: template.service_account.as_ref(),
            host_network: template.host_network,
            containers: &template.containers,
            span: template.span,
        }
    }
}

/// All pods of the input, in resource order. A Rollout that takes its template from a Deployment is that Deployment;
/// a Rollout whose Deployment is not in the input makes pods that nothing is known of.
pub(crate) fn collect<'a>(resources: &'a [Resource], placement: &Placement) -> Vec<Pods<'a>> {
    let mut found = Vec::new();
    for (at, resource) in resources.iter().enumerate() {
        let (cluster, Some(namespace)) = placement.places[at] else { continue };
        let id = ResourceId(at as u32);
        if let Spec::Workload(workload) = &resource.spec
            && let Some(template) = &workload.template
        {
            found.push(Pods::of_template(id, resource.meta.name(), (cluster, namespace), template));
        }
    }
    found
}
