//! From decoded objects to the mesh.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use meshproof_resources::{MtlsMode, Resource};
use meshproof_source::{SourceId, SourceMap};

use crate::ambient::AmbientPeerAuthentication;
use crate::attachment::{Policies, PolicyKind};
use crate::capture::capture;
use crate::doubts::Doubts;
use crate::envoy_filter::EnvoyFilters;
use crate::identity::{DEFAULT_ACCOUNT, Identities};
use crate::inbound::InboundCapture;
use crate::index::Index;
use crate::ingress_route::SelectingEntries;
use crate::labels::LabelSet;
use crate::mesh_config;
use crate::peer_authentication::PeerAuthentications;
use crate::peer_modes::PeerModes;
use crate::placement::{Placement, place};
use crate::pods::{Account, Pods, collect};
use crate::ports::PortSources;
use crate::scopes::Scopes;
use crate::services::Services;
use crate::sidecars::Sidecars;
use crate::target_refs::References;
use crate::unrendered::Unrendered;
use crate::waypoint_chains::Waypoints;
use crate::{
    Capture, EffectiveMode, Fact, Mesh, Origin, Settings, SettingsOverride, Workload, WorkloadId,
    WorkloadPort,
};

/// One decoded object and the cluster it was read for.
#[derive(Clone, Debug)]
pub struct ResourceInput {
    /// The object.
    pub resource: Resource,
    /// The cluster as named on the command line.
    pub cluster: Option<String>,
}

impl From<Resource> for ResourceInput {
    fn from(resource: Resource) -> Self {
        ResourceInput { resource, cluster: None }
    }
}

impl From<(Resource, Option<String>)> for ResourceInput {
    fn from((resource, cluster): (Resource, Option<String>)) -> Self {
        ResourceInput { resource, cluster }
    }
}

/// What is known beside the objects themselves.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// Namespace of objects that name none (`-n`).
    pub namespace: Option<String>,
    /// The user's word on the mesh; beats the manifests.
    pub settings: SettingsOverride,
    /// Gateway objects that select no pods of the input stand for pods of their own, for questions.
    pub presumes_gateways: bool,
    /// Folder of each source (index = source): objects without a namespace in one folder share one.
    pub folders: Vec<String>,
    /// Folders whose objects are not what is applied (patches, templates, kustomizations that were not rendered),
    /// each with the reason. Folders below count too; name the base of an overlay as well.
    pub unrendered: Vec<(String, String)>,
}

impl BuildOptions {
    /// Options with the folder of every source; standard input is a folder of its own.
    pub fn for_sources(sources: &SourceMap) -> Self {
        let folders = sources.iter().map(|(_, source)| folder_of(&source.name).to_owned()).collect();
        BuildOptions { folders, ..BuildOptions::default() }
    }

    pub(crate) fn folder(&self, source: SourceId) -> &str {
        self.folders.get(source.0 as usize).map_or("", String::as_str)
    }
}

/// The folder part of a path with `/`.
fn folder_of(name: &str) -> &str {
    if name == "<stdin>" {
        return name;
    }
    name.rsplit_once('/').map_or(".", |(folder, _)| folder)
}

impl Mesh {
    /// Joins everything the input says. The order of `inputs` has no meaning beyond ids: objects are numbered by
    /// source and offset.
    pub fn build(mut inputs: Vec<ResourceInput>, options: &BuildOptions) -> Mesh {
        inputs.sort_by_key(|input| (input.resource.meta.span.source, input.resource.meta.span.start));
        let clusters: Vec<Option<String>> = inputs.iter_mut().map(|input| input.cluster.take()).collect();
        let resources: Vec<Resource> = inputs.into_iter().map(|input| input.resource).collect();
        let mut placement = place(&resources, &clusters, options);
        drop(clusters);
        let settings = mesh_config::settings(&resources, &placement, &options.settings);
        if options.presumes_gateways {
            placement.add_homes(&settings);
        }
        let scopes = Scopes::new(&placement, &settings);
        let Analysed { workloads, services, references, peer_modes, tried } =
            analyse(&resources, &placement, &settings, &scopes);
        let identities = Identities::new(&resources, &placement.namespaces, &workloads, &settings);
        let mut mesh = Mesh {
            resources,
            placement: placement.places,
            settings: settings.first().cloned().unwrap_or_default(),
            clusters: placement.clusters,
            namespaces: placement.namespaces,
            workloads,
            services,
            gateways: Vec::new(),
            gateway_names: Vec::new(),
            deployed_names: Vec::new(),
            references,
            waypoints: Waypoints::default(),
            selecting_entries: SelectingEntries::default(),
            cluster_settings: settings,
            identities,
            selectors_tried: tried,
            peer_modes,
            index: Index::default(),
            unrendered: Unrendered::new(&options.folders, &options.unrendered),
        };
        mesh.link();
        mesh.index = Index::new(&mesh);
        mesh.add_gateways(&placement.kinds);
        mesh
    }

    /// Fills the lists that lead from namespaces and services to workloads.
    fn link(&mut self) {
        for (at, workload) in self.workloads.iter().enumerate() {
            let id = WorkloadId(at as u32);
            self.namespaces[workload.namespace.index()].workloads.push(id);
            for service in &workload.services {
                self.services[service.index()].workloads.push(id);
            }
        }
        for (at, service) in self.services.iter().enumerate() {
            self.namespaces[service.namespace.index()].services.push(crate::ServiceId(at as u32));
        }
    }
}

/// What every workload is looked up in.
struct Tables<'a> {
    resources: &'a [Resource],
    placement: &'a Placement,
    settings: &'a [Settings],
    scopes: &'a Scopes,
    services: Services<'a>,
    peers: PeerAuthentications<'a>,
    policies: Policies<'a>,
    requests: Policies<'a>,
    sidecars: Sidecars<'a>,
    filters: EnvoyFilters<'a>,
}

/// What comes of looking workloads up.
struct Analysed {
    workloads: Vec<Workload>,
    services: Vec<crate::Service>,
    references: References,
    peer_modes: PeerModes,
    tried: u64,
}

fn analyse(
    resources: &[Resource],
    placement: &Placement,
    settings: &[Settings],
    scopes: &Scopes,
) -> Analysed {
    let doubts = &Doubts::new(resources, placement);
    let policies = |kind| Policies::new(kind, resources, placement, scopes, doubts);
    let ((pods, services), (peers, (policies, requests))) = rayon::join(
        || (collect(resources, placement, scopes), Services::new(resources, placement, scopes, doubts)),
        || {
            let peers = PeerAuthentications::new(resources, placement, scopes, doubts);
            (peers, (policies(PolicyKind::Authorization), policies(PolicyKind::Request)))
        },
    );
    let sidecars = Sidecars::new(resources, placement);
    let filters = EnvoyFilters::new(resources, placement);
    let tables = Tables {
        resources,
        placement,
        settings,
        scopes,
        services,
        peers,
        policies,
        requests,
        sidecars,
        filters,
    };
    let tried = AtomicU64::new(0);
    let workloads = pods.par_iter().with_min_len(64).map(|pods| tables.workload(pods, &tried)).collect();
    let peer_modes = PeerModes::new(&tables.peers, resources, placement, scopes);
    let services = tables.services.all.into_iter().map(|(service, _)| service).collect();
    let references = References {
        authorization: tables.policies.into_references(),
        request: tables.requests.into_references(),
    };
    Analysed { workloads, services, references, peer_modes, tried: tried.into_inner() }
}

impl Tables<'_> {
    fn workload(&self, pods: &Pods<'_>, all_tried: &AtomicU64) -> Workload {
        let mut tried = 0;
        let settings = &self.settings[pods.cluster.index()];
        let namespace = &self.placement.namespaces[pods.namespace.index()];
        let labels = LabelSet::new(&pods.labels);
        let capture = capture(pods, namespace, settings);
        let place = (pods.cluster, pods.namespace);
        let in_force = self.peers.in_force(place, self.scopes, &labels, &mut tried);
        let ambient = capture.is(&Capture::Ambient).then(|| self.peers.ambient(place, self.scopes, &labels));
        let selecting = self.services.selecting(pods, &labels, self.scopes, &mut tried);
        let inbound = InboundCapture::new(pods, &capture, settings);
        let sidecar = match capture.known() {
            Some(Capture::Sidecar | Capture::SidecarHbone) | None => {
                self.sidecars.at(place, self.scopes, &labels, &mut tried)
            }
            Some(_) => None,
        };
        let ingress = sidecar.and_then(|id| self.sidecars.ingress(id));
        let sources = PortSources {
            pods,
            selecting: &selecting,
            services: &self.services,
            resources: self.resources,
            inbound: &inbound,
            ingress: ingress.as_deref(),
            in_force: &in_force,
        };
        let mut ports = sources.ports();
        let mut mode = in_force.mode.clone();
        if let Some(ambient) = &ambient {
            as_enforced_by_ztunnel(ambient, &mut mode, &mut ports);
        }
        let mut attached =
            |policies: &Policies<'_>| policies.at(pods, &capture, &labels, self.scopes, settings, &mut tried);
        let (policies, request_authentications) = (attached(&self.policies), attached(&self.requests));
        let envoy_filters = self.filters.at(pods, &capture, &labels, self.scopes, &mut tried);
        all_tried.fetch_add(tried, Ordering::Relaxed);
        Workload {
            resource: pods.resource,
            name: pods.name.clone().into_owned(),
            namespace: pods.namespace,
            labels: pods.labels.clone().into_owned(),
            service_account: service_account(pods),
            host_network: pods.host_network,
            ports,
            other_ports: inbound.of_others(),
            mode,
            ambient,
            policies,
            request_authentications,
            envoy_filters,
            sidecar,
            services: selecting.services,
            capture,
        }
    }
}

fn service_account(pods: &Pods<'_>) -> Fact<String> {
    match &pods.service_account {
        Account::Written(account) => Fact::Known(account.value.clone(), Origin::Written(account.span)),
        Account::Generated(name) => Fact::Known(name.clone(), Origin::Default),
        Account::Default => Fact::Known(DEFAULT_ACCOUNT.to_owned(), Origin::Default),
        Account::Unknown => Fact::Unknown(format!("the pods of {} are not in the input", pods.name)),
    }
}

/// ztunnel knows two answers to plaintext. Where its answer is not what the written mode says, the mode in force is
/// the one that describes it.
fn as_enforced_by_ztunnel(
    ambient: &AmbientPeerAuthentication,
    mode: &mut EffectiveMode,
    ports: &mut [WorkloadPort],
) {
    let correct = |mode: &mut EffectiveMode, refuses: bool| {
        if let Fact::Known(mode, _) = &mut mode.mode
            && (*mode == MtlsMode::Strict) != refuses
        {
            *mode = if refuses { MtlsMode::Strict } else { MtlsMode::Permissive };
        }
    };
    correct(mode, ambient.strict);
    for port in ports {
        correct(&mut port.mode, ambient.refuses_plaintext(port.number));
    }
}
