//! What every lint may look at: the mesh, the texts, the world around the input, and indexes computed once.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    EnforcementPoint, Mesh, NamespaceId, PortCapture, ResourceId, Workload, WorkloadId, WorkloadPort,
};
use meshproof_network::Network;
use meshproof_resources::Resource;
use meshproof_source::{SourceId, SourceMap, Span};
use meshproof_transport::Transport;

use crate::accounts::Accounts;
use crate::automatic::AutomaticCall;
use crate::clients::Clients;
use crate::images::Images;
use crate::policies::Policies;
use crate::rule_worth::RuleWorths;
use crate::selectors::LabelIndex;
use crate::written_calls::WrittenCall;

/// What is known about the world outside of the input. The default takes the input as all there is.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Why objects that are not in the mesh may exist all the same ("3 templated files were skipped"). Claims that
    /// rest on an absence are then no errors.
    pub incomplete: Option<String>,
    /// Namespaces that exist elsewhere.
    pub external_namespaces: Vec<String>,
    /// Service accounts that exist elsewhere, as `namespace/name`.
    pub external_accounts: Vec<String>,
    /// Namespaces, or `namespace/name`, where policies are added at run time.
    pub external_policies: Vec<String>,
    /// Namespaces where the input has objects of kinds that it does not know: operators may make accounts and pods
    /// from them, so absences there are less than certain.
    pub operator_namespaces: HashSet<String>,
    /// Places inside of objects that the API server or istiod refuses, sorted: what is said of such objects beside other
    /// ones would be about objects that never exist.
    pub refused: Vec<(SourceId, u32)>,
}

/// Everything a lint needs.
pub struct Context<'a> {
    /// The mesh.
    pub mesh: &'a Mesh,
    /// All texts.
    pub sources: &'a SourceMap,
    /// What surrounds the input.
    pub world: &'a World,
    pub(crate) accounts: Accounts<'a>,
    pub(crate) policies: Policies<'a>,
    pub(crate) labels: LabelIndex<'a>,
    incomplete_namespaces: HashSet<NamespaceId>,
    transport: OnceLock<Transport<'a>>,
    network: OnceLock<Network<'a>>,
    clients: OnceLock<Clients<'a>>,
    automatic: OnceLock<Vec<AutomaticCall>>,
    worths: OnceLock<RuleWorths>,
    alike: OnceLock<Vec<Vec<WorkloadId>>>,
    images: OnceLock<Images<'a>>,
    written_calls: OnceLock<Vec<WrittenCall<'a>>>,
}

impl<'a> Context<'a> {
    /// Computes the shared indexes; linear in the size of the mesh.
    pub fn new(mesh: &'a Mesh, sources: &'a SourceMap, world: &'a World) -> Self {
        let incomplete_namespaces = incomplete_namespaces(mesh);
        let accounts = Accounts::new(mesh, sources, world, &incomplete_namespaces);
        let policies = Policies::new(mesh, &accounts);
        let labels = LabelIndex::new(mesh);
        Context {
            mesh,
            sources,
            world,
            accounts,
            policies,
            labels,
            incomplete_namespaces,
            transport: OnceLock::new(),
            network: OnceLock::new(),
            clients: OnceLock::new(),
            automatic: OnceLock::new(),
            worths: OnceLock::new(),
            alike: OnceLock::new(),
            images: OnceLock::new(),
            written_calls: OnceLock::new(),
        }
    }

    /// What clients send and what servers make of it; built when it is first asked.
    pub(crate) fn transport(&self) -> &Transport<'a> {
        self.transport.get_or_init(|| Transport::new(self.mesh))
    }

    /// What network policies let through; built when it is first asked.
    pub(crate) fn network(&self) -> &Network<'a> {
        self.network.get_or_init(|| Network::new(self.mesh))
    }

    /// Who follows which DestinationRule; found out when it is first asked.
    pub(crate) fn clients(&self) -> &Clients<'a> {
        self.clients.get_or_init(|| Clients::new(self))
    }

    /// Calls that no DestinationRule decides and that end otherwise than with mutual TLS; found when first asked.
    pub(crate) fn automatic(&self) -> &[AutomaticCall] {
        self.automatic.get_or_init(|| crate::automatic::find(self))
    }

    /// What each rule is worth wherever it applies; found when it is first asked.
    pub(crate) fn worths(&self) -> &RuleWorths {
        self.worths.get_or_init(|| RuleWorths::new(self, false))
    }

    /// Finds that out by all threads, before lints run beside each other.
    pub(crate) fn work_out_worths(&self) {
        if self.worths.get().is_none() {
            // Somebody else may have been faster, with the same result.
            let _ = self.worths.set(RuleWorths::new(self, true));
        }
    }

    /// Workloads with policies, in groups of those that fare alike; found when first asked.
    pub(crate) fn alike(&self) -> &[Vec<WorkloadId>] {
        self.alike.get_or_init(|| crate::alike::groups(self))
    }

    /// Pods by image; sorted when first asked.
    pub(crate) fn images(&self) -> &Images<'a> {
        self.images.get_or_init(|| Images::new(self))
    }

    /// Services that pods name in their settings; found when first asked.
    pub(crate) fn written_calls(&self) -> &[WrittenCall<'a>] {
        self.written_calls.get_or_init(|| crate::written_calls::find(self))
    }

    /// The object behind an id.
    pub fn resource(&self, id: ResourceId) -> &'a Resource {
        &self.mesh.resources[id.index()]
    }

    /// Namespace of an object.
    pub fn namespace_of(&self, id: ResourceId) -> Option<NamespaceId> {
        self.mesh.placement[id.index()].1
    }

    /// Name of a namespace, for people.
    pub fn namespace_name(&self, id: NamespaceId) -> &'a str {
        self.mesh.namespaces[id.index()].name.as_deref().unwrap_or("(namespace not given)")
    }

    /// `namespace/name` of a workload; the name alone when the namespace is not given.
    pub fn workload_name(&self, workload: &Workload) -> String {
        match &self.mesh.namespaces[workload.namespace.index()].name {
            Some(namespace) => format!("{namespace}/{}", workload.name),
            None => workload.name.clone(),
        }
    }

    /// The id of a workload of the mesh.
    pub(crate) fn workload_id(&self, workload: &Workload) -> Option<WorkloadId> {
        let at = self.mesh.workloads.binary_search_by_key(&workload.resource, |other| other.resource).ok()?;
        Some(WorkloadId(at as u32))
    }

    /// Where to point when a workload is meant.
    pub fn workload_span(&self, workload: &Workload) -> Span {
        self.resource(workload.resource).meta.name_span()
    }

    /// Whether objects of this namespace may exist, or look different, beyond what the mesh shows.
    pub fn is_incomplete(&self, namespace: NamespaceId) -> bool {
        self.world.incomplete.is_some() || self.incomplete_namespaces.contains(&namespace)
    }

    /// Whether operators may make pods and accounts in this namespace.
    pub(crate) fn has_operators(&self, namespace: NamespaceId) -> bool {
        let name = self.mesh.namespaces[namespace.index()].name.as_deref();
        name.is_some_and(|name| self.world.operator_namespaces.contains(name))
    }

    /// Whether something outside of the input adds policies to this namespace.
    pub fn has_external_policies(&self, namespace: NamespaceId) -> bool {
        let Some(name) = self.mesh.namespaces[namespace.index()].name.as_deref() else { return false };
        self.world.external_policies.iter().any(|entry| entry.split('/').next() == Some(name))
    }

    /// Whether the API server or istiod refuses the object.
    pub(crate) fn is_refused(&self, id: ResourceId) -> bool {
        let span = self.resource(id).meta.span;
        let at = self.world.refused.partition_point(|place| *place < (span.source, span.start));
        self.world.refused.get(at).is_some_and(|place| *place < (span.source, span.end))
    }

    /// Whether a namespace is the root namespace.
    pub fn is_root(&self, namespace: NamespaceId) -> bool {
        self.mesh.is_root(namespace)
    }

    /// The text a span covers without its quotes, and the span of just that.
    pub fn inner(&self, span: Span) -> Span {
        let text = self.sources.snippet(span).as_bytes();
        match (text.first(), text.last()) {
            (Some(b'"' | b'\''), Some(b'"' | b'\'')) if text.len() >= 2 => span.part(1, text.len() - 1),
            _ => span,
        }
    }
}

/// Namespaces with at least one object of an unrendered folder.
fn incomplete_namespaces(mesh: &Mesh) -> HashSet<NamespaceId> {
    let mut found = HashSet::new();
    if !mesh.has_unrendered() {
        return found;
    }
    let mut by_source: HashMap<SourceId, bool> = HashMap::new();
    for (at, resource) in mesh.resources.iter().enumerate() {
        let Some(namespace) = mesh.placement[at].1 else { continue };
        let unrendered = by_source
            .entry(resource.meta.span.source)
            .or_insert_with(|| mesh.unrendered(ResourceId(at as u32)).is_some());
        if *unrendered {
            found.insert(namespace);
        }
    }
    found
}

/// Ports that a workload serves, as far as a container or a Service says so.
pub(crate) fn served_ports(workload: &Workload) -> impl Iterator<Item = &WorkloadPort> {
    let served = |port: &&WorkloadPort| port.declared.is_some() || !port.bindings.is_empty();
    workload.ports.iter().filter(served).filter(|port| !port.protocol.is(&ProtocolClass::Udp))
}

/// Those of them whose traffic the enforcement point sees.
pub(crate) fn captured_ports(workload: &Workload) -> impl Iterator<Item = &WorkloadPort> {
    served_ports(workload).filter(|port| port.capture == PortCapture::Captured)
}

/// Whether a workload's ports are those that its enforcement point listens on. Gateways listen on what Gateway objects
/// say and waypoints on Service ports, so nothing is claimed about ports there.
pub(crate) fn knows_ports(point: EnforcementPoint) -> bool {
    matches!(point, EnforcementPoint::Sidecar | EnforcementPoint::Ztunnel | EnforcementPoint::ProxylessGrpc)
}
