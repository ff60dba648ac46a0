//! Which Services and ServiceEntries select which pods, and to which of their ports they send.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_grammar::protocol::{Protocol, ProtocolClass};
use meshproof_resources::{
    IstioPort, PortRef, Resource, Service as ServiceSpec, ServiceEntry, ServicePort, Spec, Transport,
};

use crate::doubts::Doubts;
use crate::floating::Floating;
use crate::labels::{LabelSet, SelectorIndex};
use crate::placement::Placement;
use crate::pods::{PodKind, Pods};
use crate::scopes::Scopes;
use crate::{NamespaceId, Origin, ResourceId, Service, ServiceId};

/// How many Services are listed per workload; no pod of this world has more, and thousands of Services over thousands
/// of pods must not fill the memory.
const LIMIT: usize = 256;

/// Services and ServiceEntries with the indexes over their selectors.
pub(crate) struct Services<'a> {
    pub(crate) all: Vec<(Service, &'a ServiceSpec)>,
    resources: &'a [Resource],
    selectors: SelectorIndex<'a>,
    entries: SelectorIndex<'a>,
    /// Services whose namespace is not known, and those of named namespaces for pods whose namespace is not known.
    floating: Floating<'a>,
    named: Floating<'a>,
    /// Services that select by labels which templates need not show, by what templates show, and those of which
    /// templates show nothing.
    doubtful: SelectorIndex<'a>,
    doubtful_everywhere: HashMap<NamespaceId, Vec<u32>, RandomState>,
}

/// What sends to pods.
#[derive(Default)]
pub(crate) struct Selecting {
    pub(crate) services: Vec<ServiceId>,
    pub(crate) entries: Vec<ResourceId>,
    /// Services that may select them.
    pub(crate) maybe: Vec<ServiceId>,
    /// There are more than are listed.
    pub(crate) too_many: bool,
}

impl<'a> Services<'a> {
    pub(crate) fn new(
        resources: &'a [Resource],
        placement: &Placement,
        scopes: &Scopes,
        doubts: &'a Doubts,
    ) -> Self {
        let (mut all, mut entries) = (Vec::new(), Vec::new());
        for (id, _, namespace, resource) in placement.placed(&placement.kinds.services, resources) {
            let Spec::Service(spec) = &resource.spec else { continue };
            let of = placement.namespaces[namespace.index()].name.as_deref();
            let fqdn = of.map(|of| [resource.meta.name(), ".", of, ".svc.cluster.local"].concat());
            all.push((Service { resource: id, namespace, fqdn, workloads: Vec::new() }, spec.as_ref()));
        }
        for (id, _, namespace, resource) in placement.placed(&placement.kinds.service_entries, resources) {
            if let Spec::ServiceEntry(entry) = &resource.spec
                && let Some(selector) = &entry.workload_selector
            {
                entries.push((namespace.0, &selector.labels, id.0));
            }
        }
        let rows = || all.iter().enumerate().filter(|(_, (_, spec))| !spec.selector.is_empty());
        let selectors = SelectorIndex::new(
            rows().map(|(at, (service, spec))| (service.namespace.0, &spec.selector, at as u32)),
        );
        let mut doubtful = Vec::new();
        let mut doubtful_everywhere: HashMap<NamespaceId, Vec<u32>, RandomState> = HashMap::default();
        for (at, (service, spec)) in rows() {
            let asked = doubts.asked(service.resource, &spec.selector);
            if doubts.reason(service.resource).is_none() {
                continue;
            }
            match asked.is_empty() {
                false => doubtful.push((service.namespace.0, asked, at as u32)),
                true => {
                    let list = doubtful_everywhere.entry(service.namespace).or_default();
                    if list.len() < LIMIT {
                        list.push(at as u32);
                    }
                }
            }
        }
        let anywhere = |unnamed: bool| {
            let of_kind =
                rows().filter(move |(_, (service, _))| scopes.is_unnamed(service.namespace) == unnamed);
            Floating::new(of_kind.map(|(at, (service, spec))| {
                let cluster = placement.places[service.resource.index()].0;
                (cluster, Some(doubts.asked(service.resource, &spec.selector)), at as u32)
            }))
        };
        let floating = anywhere(true);
        let any_unnamed = placement.namespaces.iter().any(|namespace| namespace.name.is_none());
        let named = if any_unnamed { anywhere(false) } else { Floating::default() };
        Services {
            resources,
            selectors,
            entries: SelectorIndex::new(entries.into_iter()),
            floating,
            named,
            doubtful: SelectorIndex::new(doubtful.into_iter()),
            doubtful_everywhere,
            all,
        }
    }

    /// What sends to `pods`, each list in resource order. A Service without a selector has endpoints of its own and
    /// selects none; a ServiceEntry whose selector is empty selects none either.
    pub(crate) fn selecting(
        &self,
        pods: &Pods<'_>,
        labels: &LabelSet<'a>,
        scopes: &Scopes,
        tried: &mut u64,
    ) -> Selecting {
        let mut too_many = false;
        let mut lookup = |index: &SelectorIndex<'a>, namespace: NamespaceId| {
            let mut found = index.members_matching(namespace.0, labels, LIMIT + 1, tried);
            found.sort_unstable();
            too_many |= found.len() > LIMIT;
            found.truncate(LIMIT);
            found
        };
        let services: Vec<ServiceId> =
            lookup(&self.selectors, pods.namespace).into_iter().map(ServiceId).collect();
        let mut doubtful = lookup(&self.doubtful, pods.namespace);
        doubtful.extend(self.doubtful_everywhere.get(&pods.namespace).into_iter().flatten());
        let entries = lookup(&self.entries, pods.namespace).into_iter().map(ResourceId).collect();
        let mut maybe = self.floating.at(pods.cluster, labels, tried);
        if scopes.is_unnamed(pods.namespace) {
            maybe.extend(self.named.at(pods.cluster, labels, tried));
        }
        let maybe = maybe.into_iter().map(ServiceId);
        let elsewhere = maybe.filter(|id| self.all[id.index()].0.namespace != pods.namespace);
        let doubtful = doubtful.into_iter().map(ServiceId).filter(|id| services.binary_search(id).is_err());
        let maybe = elsewhere.chain(doubtful).collect();
        Selecting { services, entries, maybe, too_many }
    }

    /// A ServiceEntry.
    pub(crate) fn entry(&self, id: ResourceId) -> Option<&'a ServiceEntry> {
        match &self.resources[id.index()].spec {
            Spec::ServiceEntry(entry) => Some(entry),
            _ => None,
        }
    }
}

/// The ports of pods by name, so that a long list is not searched for every port that asks for a name.
pub(crate) struct NamedPorts<'a> {
    is_machine: bool,
    by_name: HashMap<(Transport, &'a str), u16, RandomState>,
}

impl<'a> NamedPorts<'a> {
    /// Names of containers count with their transport, those of machines without. Of equal ones the first counts.
    pub(crate) fn of(pods: &'a Pods<'_>) -> Self {
        let mut by_name = HashMap::default();
        if let PodKind::Machine { ports, .. } = &pods.kind {
            for (name, port) in *ports {
                by_name.entry((Transport::Tcp, name.value.as_str())).or_insert(port.value);
            }
            return NamedPorts { is_machine: true, by_name };
        }
        let serving = pods.containers.iter().filter(|container| !container.init || container.sidecar);
        for port in serving.flat_map(|container| &container.ports) {
            if let Some(name) = &port.name {
                by_name.entry((port.protocol, name.value.as_str())).or_insert(port.number.value);
            }
        }
        NamedPorts { is_machine: false, by_name }
    }

    fn of_machine(&self, name: &str) -> Option<u16> {
        self.by_name.get(&(Transport::Tcp, name)).copied().filter(|_| self.is_machine)
    }

    /// The port of the pods that a Service port sends to; none when it names a port that they do not declare (Istio
    /// 1.32, serviceregistry/kube/controller/util.go `FindPort`).
    pub(crate) fn target_of(&self, port: &ServicePort) -> Option<u16> {
        let number = match &port.target {
            Some(PortRef::Name(name)) if self.is_machine => return self.of_machine(&name.value),
            Some(PortRef::Name(name)) => {
                return self.by_name.get(&(port.protocol, name.value.as_str())).copied();
            }
            Some(PortRef::Number(number)) => number.value,
            None => port.port.value,
        };
        let own = port.name.as_ref().and_then(|name| self.of_machine(&name.value));
        Some(own.unwrap_or(number))
    }
}

/// The port of the pods that a ServiceEntry port sends to.
pub(crate) fn entry_target_port(port: &IstioPort, pods: &NamedPorts<'_>) -> Option<u16> {
    let named = port.name.as_ref().and_then(|name| pods.of_machine(&name.value));
    let written = port.target_port.as_ref().or(port.number.as_ref()).map(|number| number.value);
    named.or(written)
}

/// The class of a Service port: by transport, `appProtocol`, name and number.
pub fn service_port_class(port: &ServicePort) -> ProtocolClass {
    let transport = match port.protocol {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
        // Istio takes SCTP for TCP, but no proxy ever sees such traffic.
        Transport::Sctp => return ProtocolClass::Udp,
    };
    let name = port.name.as_ref().map_or("", |name| name.value.as_str());
    let app_protocol = port.app_protocol.as_ref().map(|protocol| protocol.value.as_str());
    Protocol::select(u32::from(port.port.value), name, app_protocol, Some(transport)).class()
}

/// The class of a ServiceEntry port.
pub fn entry_port_class(port: &IstioPort) -> ProtocolClass {
    let written = port.protocol.as_ref().map_or("", |protocol| protocol.value.as_str());
    Protocol::parse(written).map_or(ProtocolClass::Auto, Protocol::class)
}

/// Where the class of a Service port is written.
pub(crate) fn class_origin(port: &ServicePort) -> Origin {
    let deciding = port.app_protocol.as_ref().or(port.name.as_ref());
    Origin::Inherited(deciding.map_or(port.port.span, |text| text.span))
}
