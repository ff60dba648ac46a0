//! Which Services select which pods, and to which of their ports they send.

use meshproof_resources::{Container, PortRef, Resource, Service as ServiceSpec, ServicePort, Spec};

use crate::labels::{LabelSet, SelectorIndex};
use crate::placement::Placement;
use crate::{NamespaceId, ResourceId, Service, ServiceId};

/// Services and the index over their selectors.
pub(crate) struct Services<'a> {
    pub(crate) all: Vec<(Service, &'a ServiceSpec)>,
    selectors: SelectorIndex<'a>,
}

impl<'a> Services<'a> {
    pub(crate) fn new(resources: &'a [Resource], placement: &Placement) -> Self {
        let mut all = Vec::new();
        for (at, resource) in resources.iter().enumerate() {
            let Spec::Service(spec) = &resource.spec else { continue };
            let (_, Some(namespace)) = placement.places[at] else { continue };
            let of_namespace = placement.namespaces[namespace.index()].name.as_deref();
            let fqdn = of_namespace.map(|name| format!("{}.{name}.svc.cluster.local", resource.meta.name()));
            let resource = ResourceId(at as u32);
            all.push((Service { resource, namespace, fqdn, workloads: Vec::new() }, spec.as_ref()));
        }
        let selectors = SelectorIndex::new(
            all.iter()
                .enumerate()
                .map(|(at, (service, spec))| (service.namespace.0, &spec.selector, at as u32)),
        );
        Services { all, selectors }
    }

    /// Services that select pods with `labels` in `namespace`, in resource order. A Service without a selector has
    /// endpoints of its own and selects none.
    pub(crate) fn selecting(
        &self,
        namespace: NamespaceId,
        labels: &LabelSet<'a>,
        tried: &mut u64,
    ) -> Vec<ServiceId> {
        let mut found = Vec::new();
        *tried += self.selectors.matching(namespace.0, labels, usize::MAX, &mut found);
        found.sort_unstable();
        found.into_iter().map(ServiceId).collect()
    }
}

/// The port of the pods that a Service port sends to; none when it names a port that they do not declare (Istio 1.32,
/// serviceregistry/kube/controller/util.go `FindPort`).
pub(crate) fn target_port(port: &ServicePort, containers: &[Container]) -> Option<u16> {
    let name = match &port.target {
        None => return Some(port.port.value),
        Some(PortRef::Number(number)) => return Some(number.value),
        Some(PortRef::Name(name)) => name,
    };
    let serving = containers.iter().filter(|container| !container.init || container.sidecar);
    let mut ports = serving.flat_map(|container| &container.ports);
    let found = ports.find(|candidate| {
        candidate.protocol == port.protocol
            && candidate.name.as_ref().is_some_and(|candidate| candidate.value == name.value)
    });
    found.map(|port| port.number.value)
}
