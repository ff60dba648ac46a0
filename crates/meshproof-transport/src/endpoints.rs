//! The endpoints of a host, as istiod tells them to clients (mutual-TLS reference §2.6, §6).

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use meshproof_grammar::spiffe::{SCHEME, SpiffeId};
use meshproof_ir::{
    Capture, EffectiveMode, Fact, Mesh, NamespaceId, Origin, ResourceId, ServiceId, WorkloadId,
};
use meshproof_resources::{IstioPort, Resource, ServiceEntry, Spec, TextMap, WorkloadEntry};

use crate::EndpointAddress;
use crate::registry::{HostPort, Registry, Resolution, Written};

/// The label by which an endpoint says that a proxy of the mesh is there.
const TLS_MODE: &str = "security.istio.io/tlsMode";
/// The label that an EndpointSlice names its Service with.
const SLICE_OF: &str = "kubernetes.io/service-name";

/// What an endpoint says of a proxy beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TlsMode {
    /// It takes mutual TLS of the mesh.
    Istio,
    /// There is none.
    Disabled,
    /// A word of the user's own, which counts as neither.
    Other,
}

/// One endpoint of a port.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint<'m> {
    pub(crate) address: EndpointAddress,
    pub(crate) port: u16,
    pub(crate) tls_mode: Fact<TlsMode>,
    pub(crate) labels: Option<&'m TextMap>,
    /// The PeerAuthentication mode of the port, as clients are told; absent means the default.
    pub(crate) mode: Option<&'m EffectiveMode>,
}

/// Ways from objects to endpoints that the mesh does not keep.
#[derive(Debug)]
pub(crate) struct Endpoints<'m> {
    mesh: &'m Mesh,
    /// Workloads that a ServiceEntry selects.
    of_entry: HashMap<ResourceId, Vec<WorkloadId>, RandomState>,
    /// Endpoints objects and EndpointSlices by the Service that they belong to.
    written: HashMap<(NamespaceId, &'m str), Vec<ResourceId>, RandomState>,
}

impl<'m> Endpoints<'m> {
    pub(crate) fn new(mesh: &'m Mesh) -> Self {
        let mut of_entry: HashMap<ResourceId, Vec<WorkloadId>, RandomState> = HashMap::default();
        for (id, workload) in mesh.workloads_with_ids() {
            for binding in workload.ports.iter().flat_map(|port| &port.service_entries) {
                let list = of_entry.entry(binding.entry).or_default();
                if list.last() != Some(&id) {
                    list.push(id);
                }
            }
        }
        let mut written: HashMap<(NamespaceId, &'m str), Vec<ResourceId>, RandomState> = HashMap::default();
        for (at, resource) in mesh.resources.iter().enumerate() {
            let (Spec::Endpoints(_), Some(namespace)) = (&resource.spec, mesh.placement[at].1) else {
                continue;
            };
            written.entry((namespace, service_of(resource))).or_default().push(ResourceId(at as u32));
        }
        Endpoints { mesh, of_entry, written }
    }

    /// The endpoints of a port of a host, those of every object that shares the host in its namespace. The reason, when
    /// the input does not hold them.
    pub(crate) fn of_port(
        &self,
        registry: &Registry<'m>,
        port: &HostPort<'m>,
    ) -> (Vec<Endpoint<'m>>, Option<String>) {
        let mut found = Vec::new();
        let mut missing = None;
        let group = &registry.groups[registry.service(port.service).group as usize];
        for member in &group.members {
            let same_name = registry.ports(*member).into_iter().filter(|other| other.name == port.name);
            for port in same_name {
                missing = missing.or(self.add(registry, &port, &mut found));
            }
        }
        (found, missing)
    }

    fn add(
        &self,
        registry: &Registry<'m>,
        port: &HostPort<'m>,
        found: &mut Vec<Endpoint<'m>>,
    ) -> Option<String> {
        let service = registry.service(port.service);
        match service.written {
            Written::Service(id, spec) => {
                for workload in self.selected(id, spec.headless) {
                    let ports = self.mesh.workload(workload).ports.iter();
                    let bound = ports.filter(|of_pods| {
                        of_pods.bindings.iter().any(|to| to.service == id && to.port == port.index)
                    });
                    found.extend(bound.map(|bound| self.of_workload(workload, bound.number)));
                }
                if spec.selector.is_empty() && service.resolution() != Resolution::Alias {
                    return self.add_written(service.namespace, service.resource, port, found);
                }
            }
            Written::Entry(entry) if entry.workload_selector.is_some() => {
                for workload in self.of_entry.get(&service.resource).into_iter().flatten() {
                    let ports = self.mesh.workload(*workload).ports.iter();
                    let bound = ports.filter(|of_pods| {
                        let to = |to: &meshproof_ir::EntryBinding| {
                            to.entry == service.resource && to.port == port.index
                        };
                        of_pods.service_entries.iter().any(to)
                    });
                    found.extend(bound.map(|bound| self.of_workload(*workload, bound.number)));
                }
            }
            Written::Entry(entry) => {
                self.add_inline(service.resource, entry, port, found);
                if entry.endpoints.is_empty() && service.resolution() == Resolution::Dns {
                    found.push(Endpoint {
                        address: EndpointAddress::Address(service.host.to_owned()),
                        port: port.number,
                        tls_mode: Fact::Known(TlsMode::Disabled, Origin::Default),
                        labels: None,
                        mode: None,
                    });
                }
            }
        }
        None
    }

    /// The workloads behind a Service. Machines are never behind a headless one (Istio 1.32,
    /// serviceregistry/kube/controller/controller.go `collectWorkloadInstanceEndpoints`).
    fn selected(&self, id: ServiceId, headless: bool) -> impl Iterator<Item = WorkloadId> {
        let mesh = self.mesh;
        let selected = mesh.services[id.index()].workloads.iter().copied();
        selected.filter(move |id| !headless || !is_machine(mesh, *id))
    }

    fn add_inline(
        &self,
        id: ResourceId,
        entry: &'m ServiceEntry,
        port: &HostPort<'m>,
        found: &mut Vec<Endpoint<'m>>,
    ) {
        let Some(of_entry) = entry.ports.get(port.index) else { return };
        for (at, endpoint) in entry.endpoints.iter().enumerate() {
            let Some(address) = &endpoint.address else { continue };
            let number = port_of(endpoint, of_entry).unwrap_or(port.number);
            found.push(Endpoint {
                address: EndpointAddress::Address(address.value.clone()),
                port: number,
                tls_mode: of_machine(&endpoint.labels, endpoint),
                labels: Some(&endpoint.labels),
                mode: self.mesh.endpoint_mode(id, at, number),
            });
        }
    }

    /// Endpoints that somebody writes for a Service without a selector; the reason when nobody does.
    fn add_written(
        &self,
        namespace: NamespaceId,
        service: ResourceId,
        port: &HostPort<'m>,
        found: &mut Vec<Endpoint<'m>>,
    ) -> Option<String> {
        let name = self.mesh.resource(service).meta.name();
        let Some(objects) = self.written.get(&(namespace, name)) else {
            return Some(format!("Service {name} has no selector, and its endpoints are not in the input"));
        };
        for id in objects {
            let Spec::Endpoints(endpoints) = &self.mesh.resource(*id).spec else { continue };
            for subset in &endpoints.subsets {
                let named = |written: &&meshproof_resources::EndpointPort| {
                    written.name.as_ref().map_or("", |name| name.value.as_str()) == port.name
                };
                let Some(written) = subset.ports.iter().find(named) else { continue };
                let number = written.number.as_ref().map_or(port.number, |number| number.value);
                found.extend(subset.addresses.iter().map(|address| Endpoint {
                    address: EndpointAddress::Address(address.address.value.clone()),
                    port: number,
                    tls_mode: Fact::Known(TlsMode::Disabled, Origin::Default),
                    labels: None,
                    mode: None,
                }));
            }
        }
        None
    }

    /// A workload as an endpoint.
    pub(crate) fn of_workload(&self, id: WorkloadId, port: u16) -> Endpoint<'m> {
        let workload = self.mesh.workload(id);
        let at = workload.ports.binary_search_by_key(&port, |port| port.number).ok();
        let own = at.and_then(|at| workload.ports.get(at));
        Endpoint {
            address: EndpointAddress::Workload(id),
            port,
            tls_mode: tls_mode(self.mesh, id),
            labels: Some(&workload.labels),
            mode: Some(own.map_or(&workload.mode, |port| &port.mode)),
        }
    }

    /// The SPIFFE ids that clients accept from the servers of a host: those of all its endpoints, with the aliases of
    /// the trust domain, and those that the object names (Istio 1.32, model/push_context.go `initServiceAccounts`).
    pub(crate) fn accounts<'r>(&self, registry: &'r Registry<'m>, service: u32) -> &'r [String] {
        let group = &registry.groups[registry.service(service).group as usize];
        group.accounts.get_or_init(|| {
            let mut accounts = self.collect_accounts(registry, &group.members);
            for twin in registry.twins(service) {
                let other = &registry.groups[registry.service(twin).group as usize];
                accounts.extend(self.collect_accounts(registry, &other.members));
            }
            accounts.sort_unstable();
            accounts.dedup();
            accounts
        })
    }

    fn collect_accounts(&self, registry: &Registry<'m>, members: &[u32]) -> Vec<String> {
        let mut accounts: BTreeSet<String> = BTreeSet::new();
        for member in members {
            let service = registry.service(*member);
            match service.written {
                Written::Service(id, spec) => {
                    let bound = self.selected(id, spec.headless).filter(|workload| {
                        let ports = &self.mesh.workload(*workload).ports;
                        ports.iter().any(|port| port.bindings.iter().any(|to| to.service == id))
                    });
                    accounts.extend(bound.filter_map(|workload| account(self.mesh, workload)));
                }
                Written::Entry(entry) if entry.workload_selector.is_some() => {
                    let selected = self.of_entry.get(&service.resource).into_iter().flatten();
                    accounts.extend(selected.filter_map(|workload| account(self.mesh, *workload)));
                }
                Written::Entry(entry) => {
                    let (domain, own) = domain_and_name(self.mesh, service.namespace);
                    let named = entry.endpoints.iter().filter_map(|endpoint| {
                        let account = endpoint.service_account.as_ref()?;
                        if account.value.is_empty() {
                            return None;
                        }
                        Some(SpiffeId::new(domain?, own?, &account.value).to_string())
                    });
                    accounts.extend(named);
                }
            }
        }
        // Of several objects the youngest says which other names are good.
        if let Some(last) = members.last() {
            accounts.extend(self.named_accounts(registry, *last));
        }
        let mut aliases = Vec::new();
        if let Some(first) = members.first() {
            let namespace = self.mesh.namespace(registry.service(*first).namespace);
            aliases.clone_from(&self.mesh.settings_of(namespace.cluster).trust_domain_aliases);
        }
        let expanded: Vec<String> =
            accounts.iter().flat_map(|id| aliases.iter().filter_map(|alias| in_domain(id, alias))).collect();
        accounts.extend(expanded);
        accounts.into_iter().collect()
    }

    fn named_accounts(&self, registry: &Registry<'m>, member: u32) -> Vec<String> {
        let service = registry.service(member);
        if let Written::Entry(entry) = service.written {
            return entry.subject_alt_names.iter().map(|name| name.value.clone()).collect();
        }
        let annotations = &self.mesh.resource(service.resource).meta.annotations;
        let listed = |key: &str| {
            let text = annotations.get(key).map_or("", |value| value.value.as_str());
            text.split(',').map(str::trim).filter(|name| !name.is_empty())
        };
        let mut names: Vec<String> =
            listed("alpha.istio.io/canonical-serviceaccounts").map(str::to_owned).collect();
        let (domain, own) = domain_and_name(self.mesh, service.namespace);
        if let (Some(domain), Some(own)) = (domain, own) {
            names.extend(
                listed("alpha.istio.io/kubernetes-serviceaccounts")
                    .map(|account| SpiffeId::new(domain, own, account).to_string()),
            );
        }
        names
    }
}

/// Whether a workload is a machine, not pods.
pub(crate) fn is_machine(mesh: &Mesh, id: WorkloadId) -> bool {
    let spec = &mesh.resource(mesh.workload(id).resource).spec;
    matches!(spec, Spec::WorkloadEntry(_) | Spec::WorkloadGroup(_))
}

/// What a workload says of a proxy beside it: its label, which injection sets where the user did not.
pub(crate) fn tls_mode(mesh: &Mesh, id: WorkloadId) -> Fact<TlsMode> {
    let workload = mesh.workload(id);
    if let Spec::WorkloadEntry(entry) = &mesh.resource(workload.resource).spec {
        return of_machine(&workload.labels, entry);
    }
    if let Some(label) = workload.labels.get(TLS_MODE) {
        return Fact::Known(word(&label.value), Origin::Written(label.span));
    }
    match &workload.capture {
        Fact::Known(Capture::Sidecar | Capture::SidecarHbone, origin) => Fact::Known(TlsMode::Istio, *origin),
        Fact::Known(_, origin) => Fact::Known(TlsMode::Disabled, *origin),
        Fact::Unknown(reason) => Fact::Unknown(reason.clone()),
    }
}

/// A machine has a proxy when it says so, or has an account that its proxy needs.
fn of_machine(labels: &TextMap, entry: &WorkloadEntry) -> Fact<TlsMode> {
    if let Some(label) = labels.get(TLS_MODE) {
        return Fact::Known(word(&label.value), Origin::Written(label.span));
    }
    match entry.service_account.as_ref().filter(|account| !account.value.is_empty()) {
        Some(account) => Fact::Known(TlsMode::Istio, Origin::Written(account.span)),
        None => Fact::Known(TlsMode::Disabled, Origin::Default),
    }
}

fn word(label: &str) -> TlsMode {
    match label {
        "istio" => TlsMode::Istio,
        "disabled" => TlsMode::Disabled,
        _ => TlsMode::Other,
    }
}

/// The port of an endpoint: its own of that name, else what the ServiceEntry says.
fn port_of(endpoint: &WorkloadEntry, port: &IstioPort) -> Option<u16> {
    let name = port.name.as_ref().map(|name| name.value.as_str());
    let own = endpoint.ports.iter().find(|(key, _)| Some(key.value.as_str()) == name);
    let own = own.map(|(_, number)| number.value).filter(|number| *number > 0);
    own.or_else(|| port.target_port.as_ref().map(|number| number.value))
}

fn service_of(resource: &Resource) -> &str {
    let of_slice = resource.meta.labels.get(SLICE_OF).map(|name| name.value.as_str());
    of_slice.unwrap_or_else(|| resource.meta.name())
}

/// The id of a workload as clients are told; machines without a written account have none.
fn account(mesh: &Mesh, id: WorkloadId) -> Option<String> {
    let workload = mesh.workload(id);
    if let Spec::WorkloadEntry(entry) = &mesh.resource(workload.resource).spec {
        entry.service_account.as_ref().filter(|account| !account.value.is_empty())?;
    }
    mesh.identity_of(id)?.spiffe_id()
}

fn domain_and_name(mesh: &Mesh, namespace: NamespaceId) -> (Option<&str>, Option<&str>) {
    let namespace = mesh.namespace(namespace);
    let domain = mesh.settings_of(namespace.cluster).trust_domain.known().map(String::as_str);
    (domain, namespace.name.as_deref())
}

/// The same account in another trust domain; none for names of another form.
fn in_domain(id: &str, domain: &str) -> Option<String> {
    let (_, rest) = id.strip_prefix(SCHEME)?.split_once('/')?;
    let is_account = matches!(rest.split('/').collect::<Vec<_>>().as_slice(), ["ns", _, "sa", _]);
    is_account.then(|| format!("{SCHEME}{domain}/{rest}"))
}
