//! What clients can name: hosts of Services and ServiceEntries, with their ports.

use std::collections::HashMap;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    ClusterId, Mesh, NamespaceId, ResourceId, ServiceId, entry_port_class, service_port_class, sort_by_age,
};
use meshproof_resources::{
    Location, Resolution as WrittenResolution, Service, ServiceEntry, ServicePort, Spec,
};

use crate::export::{self, Seen};
use crate::hosts::HostTable;

/// One host of one object.
#[derive(Debug)]
pub(crate) struct HostService<'m> {
    pub(crate) resource: ResourceId,
    pub(crate) host: &'m str,
    pub(crate) namespace: NamespaceId,
    pub(crate) written: Written<'m>,
    /// Index into [`Registry::groups`].
    pub(crate) group: u32,
}

/// The object behind a host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Written<'m> {
    Service(ServiceId, &'m Service),
    Entry(&'m ServiceEntry),
}

/// How a client gets to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// It is told every endpoint.
    Endpoints,
    /// It asks DNS for the addresses that are written.
    Dns,
    /// It sends to the address that was dialled.
    Passthrough,
    /// It is another name of another host.
    Alias,
}

/// Objects of one namespace for one host: they share their endpoints, and the accounts that clients accept.
#[derive(Debug)]
pub(crate) struct Group {
    /// The oldest first.
    pub(crate) members: Vec<u32>,
    pub(crate) accounts: OnceLock<Vec<String>>,
}

/// A port of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostPort<'m> {
    /// Index into [`Registry::services`].
    pub(crate) service: u32,
    /// Index into the ports of the object.
    pub(crate) index: usize,
    pub(crate) number: u16,
    pub(crate) name: &'m str,
    pub(crate) class: ProtocolClass,
}

/// All hosts of a mesh.
#[derive(Debug)]
pub(crate) struct Registry<'m> {
    mesh: &'m Mesh,
    pub(crate) services: Vec<HostService<'m>>,
    pub(crate) groups: Vec<Group>,
    /// By cluster, each list the oldest first.
    by_host: HashMap<ClusterId, HostTable<Vec<u32>>, RandomState>,
}

impl<'m> Registry<'m> {
    pub(crate) fn new(mesh: &'m Mesh) -> Self {
        let mut registry =
            Registry { mesh, services: Vec::new(), groups: Vec::new(), by_host: HashMap::default() };
        for (at, service) in mesh.services.iter().enumerate() {
            let Spec::Service(spec) = &mesh.resource(service.resource).spec else { continue };
            let Some(host) = &service.fqdn else { continue };
            let id = ServiceId(at as u32);
            registry.add(service.resource, host, service.namespace, Written::Service(id, spec));
        }
        for (at, resource) in mesh.resources.iter().enumerate() {
            let Spec::ServiceEntry(entry) = &resource.spec else { continue };
            let id = ResourceId(at as u32);
            let Some(namespace) = mesh.placement[at].1 else { continue };
            for host in entry.hosts.iter() {
                registry.add(id, &host.value, namespace, Written::Entry(entry));
            }
        }
        registry.sort();
        registry.group();
        registry
    }

    fn add(&mut self, resource: ResourceId, host: &'m str, namespace: NamespaceId, written: Written<'m>) {
        let at = self.services.len() as u32;
        let cluster = self.mesh.namespace(namespace).cluster;
        self.by_host.entry(cluster).or_default().entry(host).push(at);
        self.services.push(HostService { resource, host, namespace, written, group: 0 });
    }

    /// Puts the oldest of each host first. Services come before ServiceEntries, which never take a host from them.
    fn sort(&mut self) {
        let services = &self.services;
        for list in self.by_host.values_mut().flat_map(HostTable::values_mut).filter(|list| list.len() > 1) {
            let mut ids: Vec<ResourceId> = list.iter().map(|at| services[*at as usize].resource).collect();
            sort_by_age(&mut ids, &self.mesh.resources);
            let rank: HashMap<ResourceId, usize, RandomState> =
                ids.into_iter().enumerate().map(|(rank, id)| (id, rank)).collect();
            list.sort_by_key(|at| {
                let service = &services[*at as usize];
                (service.is_entry(), rank.get(&service.resource).copied())
            });
        }
    }

    fn group(&mut self) {
        let mut known: HashMap<(NamespaceId, &str), u32, RandomState> = HashMap::default();
        for list in self.by_host.values().flat_map(HostTable::values) {
            for at in list {
                let service = &mut self.services[*at as usize];
                let next = self.groups.len() as u32;
                service.group = *known.entry((service.namespace, service.host)).or_insert(next);
                if service.group == next {
                    self.groups.push(Group { members: Vec::new(), accounts: OnceLock::new() });
                }
                self.groups[service.group as usize].members.push(*at);
            }
        }
    }

    /// The objects of a host in a cluster, the oldest first; those of the most specific wildcard when none names it.
    pub(crate) fn of_host(&self, cluster: ClusterId, host: &str) -> &[u32] {
        let found = self.by_host.get(&cluster).and_then(|hosts| hosts.most_specific(host));
        found.map_or(&[], Vec::as_slice)
    }

    pub(crate) fn mesh(&self) -> &'m Mesh {
        self.mesh
    }

    pub(crate) fn service(&self, at: u32) -> &HostService<'m> {
        &self.services[at as usize]
    }

    /// How the object is seen from a namespace.
    pub(crate) fn seen(&self, at: u32, from: NamespaceId) -> Option<Seen> {
        let service = self.service(at);
        let name = |id: NamespaceId| self.mesh.namespace(id).name.as_deref();
        let own = self.mesh.namespace(service.namespace);
        let defaults = &self.mesh.settings_of(own.cluster).default_service_export_to;
        let (own, from) = (name(service.namespace), name(from));
        match service.written {
            Written::Service(..) => {
                export::seen(export::of_service(self.mesh, service.resource), defaults, own, from)
            }
            Written::Entry(entry) => export::seen(export::values(&entry.export_to), defaults, own, from),
        }
    }

    /// The namespaces that the object names in its `exportTo`.
    pub(crate) fn exported_by_name(&self, at: u32) -> Vec<NamespaceId> {
        let service = self.service(at);
        let cluster = self.mesh.namespace(service.namespace).cluster;
        let named = |name: &str| self.mesh.namespace_by_name(cluster, name);
        match service.written {
            Written::Service(..) => {
                export::of_service(self.mesh, service.resource).filter_map(named).collect()
            }
            Written::Entry(entry) => export::values(&entry.export_to).filter_map(named).collect(),
        }
    }

    /// The ports of an object.
    pub(crate) fn ports(&self, at: u32) -> Vec<HostPort<'m>> {
        match self.service(at).written {
            Written::Service(_, service) => {
                let port = |(index, port): (usize, &'m ServicePort)| HostPort {
                    service: at,
                    index,
                    number: port.port.value,
                    name: port.name.as_ref().map_or("", |name| &name.value),
                    class: service_port_class(port),
                };
                service.ports.iter().enumerate().map(port).collect()
            }
            Written::Entry(entry) => {
                let ports = entry.ports.iter().enumerate();
                let port = ports.filter_map(|(index, port)| {
                    Some(HostPort {
                        service: at,
                        index,
                        number: port.number.as_ref()?.value,
                        name: port.name.as_ref().map_or("", |name| &name.value),
                        class: entry_port_class(port),
                    })
                });
                port.collect()
            }
        }
    }
}

impl HostService<'_> {
    pub(crate) fn is_entry(&self) -> bool {
        matches!(self.written, Written::Entry(_))
    }

    pub(crate) fn resolution(&self) -> Resolution {
        match self.written {
            Written::Service(_, service) if is_external_name(service) => Resolution::Alias,
            Written::Service(_, service) if service.headless => Resolution::Passthrough,
            Written::Service(..) => Resolution::Endpoints,
            Written::Entry(entry) => match entry.resolution.as_ref().map(|resolution| resolution.value) {
                Some(WrittenResolution::Static) => Resolution::Endpoints,
                Some(
                    WrittenResolution::Dns | WrittenResolution::DnsRoundRobin | WrittenResolution::DynamicDns,
                ) => Resolution::Dns,
                Some(WrittenResolution::None) | None => Resolution::Passthrough,
            },
        }
    }

    /// Outside of the mesh: no automatic mutual TLS.
    pub(crate) fn is_external(&self) -> bool {
        match self.written {
            Written::Service(_, service) => is_external_name(service),
            Written::Entry(entry) => entry.effective_location() == Location::MeshExternal,
        }
    }
}

fn is_external_name(service: &Service) -> bool {
    service.service_type.as_ref().is_some_and(|written| written.value == "ExternalName")
}
