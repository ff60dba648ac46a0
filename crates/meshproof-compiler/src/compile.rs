//! Which proxies have which chains.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use meshproof_authz::{Context, Engine, IdentityFlavour, Policy, context_of, policy_of, unknown_settings};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{
    Attachments, Called, Capture, ClusterId, Fact, GatewayId, GatewayRole, Layer, Mesh, PortCapture,
    Settings, Workload, WorkloadId,
};

use crate::chain::{ChainFilters, chain_filters};

/// Attachments in doubt that one doubt names.
const NAMED: usize = 3;

/// What chains are translated to.
pub(crate) trait Target<'m> {
    /// A chain, translated.
    type Output: Clone + std::fmt::Debug;
    /// Whether it serves ztunnel and gRPC servers too, not only chains of Envoy.
    const TAKES_ALL_ENGINES: bool;

    /// Translates the policies of a chain.
    fn chain(&mut self, policies: &[Policy<'m>], context: &Context, settings: &'m Settings) -> Self::Output;

    /// What is in doubt about it.
    fn doubts(chain: &Self::Output) -> Vec<String>;

    /// Whether it depends on where identities come from.
    fn has_identity(chain: &Self::Output) -> bool;
}

/// Envoy's filters.
struct EnvoyRbac;

impl<'m> Target<'m> for EnvoyRbac {
    type Output = ChainFilters;
    const TAKES_ALL_ENGINES: bool = false;

    fn chain(&mut self, policies: &[Policy<'m>], context: &Context, settings: &'m Settings) -> ChainFilters {
        chain_filters(policies, context, settings)
    }

    fn doubts(chain: &ChainFilters) -> Vec<String> {
        chain.doubts.iter().cloned().collect()
    }

    fn has_identity(chain: &ChainFilters) -> bool {
        !chain.filters.is_empty()
    }
}

/// The filters of every proxy of a mesh.
#[derive(Clone, Debug)]
pub struct Compiled<F = ChainFilters> {
    /// Proxies that take what was compiled, sorted by cluster, namespace and name.
    pub proxies: Vec<Proxy<F>>,
    /// Workloads in the mesh whose policies another engine enforces.
    pub not_emitted: Vec<NotEmitted>,
}

/// A workload without filters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotEmitted {
    /// The workload.
    pub workload: WorkloadId,
    /// Why.
    pub reason: String,
}

/// One proxy.
#[derive(Clone, Debug)]
pub struct Proxy<F = ChainFilters> {
    /// Its workload; of a Gateway that istiod deploys, what stands for its pods.
    pub workload: WorkloadId,
    /// `sidecar`, `gateway` or `waypoint`; `ztunnel` and `grpc` where they are compiled for.
    pub role: &'static str,
    /// Its chains: those of services, then those for everything else.
    pub chains: Vec<Chain<F>>,
    /// What only holds if something is as assumed. Sentences without a final stop.
    pub doubts: BTreeSet<String>,
}

/// Chains with the same filters.
#[derive(Clone, Debug)]
pub struct Chain<F = ChainFilters> {
    /// The service to which calls are addressed; only at waypoints, where nothing means a workload.
    pub service: Option<Called>,
    /// Their ports: those of the workload, at waypoints those of the service.
    pub ports: Vec<ChainPort>,
    /// What they speak.
    pub layer: Layer,
    /// Their filters, which proxies with the same policies share.
    pub filters: Arc<F>,
    /// Whether a filter that verifies tokens stands among them.
    pub verifies_tokens: bool,
}

/// A port of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainPort {
    /// This one.
    Number(u16),
    /// Every port without chains of its own.
    Other,
}

/// Compiles every workload of a mesh. Each distinct list of policies is translated once.
pub fn compile(mesh: &Mesh) -> Compiled {
    compile_for(mesh, &mut EnvoyRbac)
}

/// As [`compile`], for any target.
pub(crate) fn compile_for<'m, T: Target<'m>>(mesh: &'m Mesh, target: &mut T) -> Compiled<T::Output> {
    let mut compiler = Compiler::new(mesh, target);
    let mut compiled = Compiled { proxies: Vec::new(), not_emitted: Vec::new() };
    for (id, workload) in mesh.workloads_with_ids() {
        match compiler.proxy(id, workload) {
            Ok(proxy) => compiled.proxies.extend(proxy),
            Err(reason) => compiled.not_emitted.push(NotEmitted { workload: id, reason }),
        }
    }
    let place = |id: WorkloadId| {
        let workload = mesh.workload(id);
        let cluster = mesh.namespace(workload.namespace).cluster;
        (cluster, mesh.namespace_display(workload.namespace), workload.name.as_str(), id)
    };
    compiled.proxies.sort_by_key(|proxy| place(proxy.workload));
    compiled.not_emitted.sort_by_key(|left| place(left.workload));
    compiled
}

impl<F> Compiled<F> {
    /// The same with other chains.
    pub(crate) fn map<G>(self, to: impl Fn(&F) -> G) -> Compiled<G> {
        let chain = |chain: Chain<F>| {
            let Chain { service, ports, layer, filters, verifies_tokens } = chain;
            Chain { service, ports, layer, filters: Arc::new(to(&filters)), verifies_tokens }
        };
        let proxy = |proxy: Proxy<F>| {
            let Proxy { workload, role, chains, doubts } = proxy;
            Proxy { workload, role, chains: chains.into_iter().map(chain).collect(), doubts }
        };
        Compiled { proxies: self.proxies.into_iter().map(proxy).collect(), not_emitted: self.not_emitted }
    }
}

/// The policies of a proxy, translated.
struct Translated<F> {
    http: Arc<F>,
    tcp: Arc<F>,
    /// What is in doubt about the list itself.
    doubts: BTreeSet<String>,
}

impl<F> Translated<F> {
    fn of(&self, layer: Layer) -> &Arc<F> {
        match layer {
            Layer::Http => &self.http,
            Layer::Tcp => &self.tcp,
        }
    }
}

struct Compiler<'m, 't, T: Target<'m>> {
    mesh: &'m Mesh,
    target: &'t mut T,
    /// By what the lists of workloads share, and by the engines of both layers.
    shared: Shared<T::Output>,
    /// Gateways of the Gateway API by the pods of their proxies.
    gateways: HashMap<WorkloadId, Vec<GatewayId>, RandomState>,
}

type Shared<F> = HashMap<(ClusterId, [usize; 3], [Engine; 2]), Arc<Translated<F>>, RandomState>;
/// The engines of the HTTP and TCP chains of Envoy.
const ENVOY: [Engine; 2] = [Engine::EnvoyHttp, Engine::EnvoyTcp];

impl<'m, 't, T: Target<'m>> Compiler<'m, 't, T> {
    fn new(mesh: &'m Mesh, target: &'t mut T) -> Self {
        let mut gateways: HashMap<WorkloadId, Vec<GatewayId>, RandomState> = HashMap::default();
        for (id, gateway) in mesh.gateways_with_ids() {
            gateway.workloads.iter().for_each(|pods| gateways.entry(*pods).or_default().push(id));
        }
        Compiler { mesh, target, shared: HashMap::default(), gateways }
    }

    /// The proxy of a workload; none outside of the mesh. The error says who else enforces its policies.
    fn proxy(&mut self, id: WorkloadId, workload: &Workload) -> Result<Option<Proxy<T::Output>>, String> {
        let mut doubts = BTreeSet::new();
        let capture = match &workload.capture {
            Fact::Known(capture, _) => *capture,
            Fact::Unknown(reason) => {
                doubts.insert(format!("whether it has a proxy is not known ({reason}); taken as a sidecar"));
                Capture::Sidecar
            }
        };
        let (role, chains) = match capture {
            Capture::Sidecar => ("sidecar", self.sidecar(workload, &mut doubts)),
            Capture::SidecarHbone => {
                let chains = self.sidecar(workload, &mut doubts);
                if chains.iter().any(|chain| T::has_identity(&chain.filters)) {
                    doubts.insert(
                        "it also takes HBONE, where identities come from filter state; those chains are not emitted"
                            .to_owned(),
                    );
                }
                ("sidecar", chains)
            }
            Capture::Gateway => ("gateway", self.gateway(id, workload, &mut doubts)),
            Capture::Waypoint => ("waypoint", self.waypoint(id, &mut doubts)),
            Capture::Ambient if T::TAKES_ALL_ENGINES => {
                ("ztunnel", vec![self.single(workload, Engine::Ztunnel, &mut doubts)])
            }
            Capture::ProxylessGrpc if T::TAKES_ALL_ENGINES => {
                ("grpc", vec![self.single(workload, Engine::Grpc, &mut doubts)])
            }
            Capture::Ambient => {
                return Err("ztunnel enforces its policies, which takes no RBAC filters".into());
            }
            Capture::ProxylessGrpc => {
                return Err(
                    "a gRPC server enforces its policies itself, without filter chains of Envoy".into()
                );
            }
            Capture::None => return Ok(None),
        };
        Ok(Some(Proxy { workload: id, role, chains, doubts }))
    }

    fn sidecar(&mut self, workload: &Workload, doubts: &mut BTreeSet<String>) -> Vec<Chain<T::Output>> {
        let (mut http, mut tcp) = (Vec::new(), Vec::new());
        for port in workload.ports.iter().filter(|port| port.capture == PortCapture::Captured) {
            let class = match &port.protocol {
                Fact::Known(class, _) => *class,
                Fact::Unknown(reason) => {
                    let number = port.number;
                    doubts.insert(format!(
                        "the protocol of port {number} is not known ({reason}); taken as either"
                    ));
                    ProtocolClass::Auto
                }
            };
            add_port(ChainPort::Number(port.number), class, &mut http, &mut tcp);
        }
        if workload.other_ports == PortCapture::Captured {
            add_port(ChainPort::Other, ProtocolClass::Auto, &mut http, &mut tcp);
        }
        self.chains(workload, (http, tcp), doubts)
    }

    /// The ports of a gateway are those of its listeners. Of Gateways of Istio's own API the mesh does not tell them.
    fn gateway(
        &mut self,
        id: WorkloadId,
        workload: &Workload,
        doubts: &mut BTreeSet<String>,
    ) -> Vec<Chain<T::Output>> {
        let (mut http, mut tcp) = (BTreeSet::new(), BTreeSet::new());
        let gateways = self.gateways.get(&id).map_or(&[][..], Vec::as_slice);
        for port in gateways.iter().flat_map(|gateway| self.mesh.gateway_ports(*gateway)) {
            let number = ChainPort::Number(port.number);
            http.extend(port.http.then_some(number));
            tcp.extend(port.tcp.then_some(number));
        }
        if gateways.is_empty() {
            http.insert(ChainPort::Other);
            tcp.insert(ChainPort::Other);
        }
        self.chains(workload, (http.into_iter().collect(), tcp.into_iter().collect()), doubts)
    }

    /// Chains with the policies of the workload.
    fn chains(
        &mut self,
        workload: &Workload,
        (http, tcp): (Vec<ChainPort>, Vec<ChainPort>),
        doubts: &mut BTreeSet<String>,
    ) -> Vec<Chain<T::Output>> {
        let translated = self.translated(workload, ENVOY);
        let verifies_tokens = !workload.request_authentications.is_empty();
        let layers = [(Layer::Http, http), (Layer::Tcp, tcp)];
        let layers = layers.into_iter().filter(|(_, ports)| !ports.is_empty());
        doubts.extend(translated.doubts.iter().cloned());
        let chain = |(layer, ports)| {
            let filters = Arc::clone(translated.of(layer));
            doubts.extend(T::doubts(&filters));
            let verifies_tokens = verifies_tokens && layer == Layer::Http;
            Chain { service: None, ports, layer, filters, verifies_tokens }
        };
        layers.map(chain).collect()
    }

    /// The one chain of a workload whose policies no Envoy enforces.
    fn single(
        &mut self,
        workload: &Workload,
        engine: Engine,
        doubts: &mut BTreeSet<String>,
    ) -> Chain<T::Output> {
        let layer = if engine == Engine::Grpc { Layer::Http } else { Layer::Tcp };
        let translated = self.translated(workload, [engine; 2]);
        doubts.extend(translated.doubts.iter().cloned());
        let filters = Arc::clone(translated.of(layer));
        Chain { service: None, ports: vec![ChainPort::Other], layer, filters, verifies_tokens: false }
    }

    fn translated(&mut self, workload: &Workload, engines: [Engine; 2]) -> Arc<Translated<T::Output>> {
        let cluster = self.mesh.namespace(workload.namespace).cluster;
        let key = (cluster, workload.policies.sharing_key(), engines);
        if let Some(known) = self.shared.get(&key) {
            return Arc::clone(known);
        }
        let flavour = IdentityFlavour::Certificate;
        let new = Arc::new(translate(self.mesh, self.target, cluster, &workload.policies, flavour, engines));
        self.shared.insert(key, Arc::clone(&new));
        new
    }

    /// Chains for every port of every service that a waypoint serves, and those for traffic to workloads.
    fn waypoint(&mut self, id: WorkloadId, doubts: &mut BTreeSet<String>) -> Vec<Chain<T::Output>> {
        let mesh = self.mesh;
        let gateways = self.gateways.get(&id).cloned().unwrap_or_default();
        let is_waypoint = |id: &GatewayId| mesh.gateway(*id).role == GatewayRole::Waypoint;
        let mut chains = Vec::new();
        for gateway in gateways.into_iter().filter(is_waypoint) {
            let cluster = mesh.namespace(mesh.gateway(gateway).namespace).cluster;
            // Most services have no policy of their own.
            let mut known: HashMap<Vec<u32>, Arc<Translated<T::Output>>, RandomState> = HashMap::default();
            let target = &mut *self.target;
            let mut add = |service: Option<Called>, ports: Vec<(ChainPort, ProtocolClass)>| {
                let attached = match service {
                    Some(called) => mesh.waypoint_policies(gateway, called),
                    None => mesh.direct_policies(gateway),
                };
                let ids: Vec<u32> = attached.authorization.iter().map(|attached| attached.policy.0).collect();
                let translated = known.entry(ids).or_insert_with(|| {
                    let flavour = IdentityFlavour::FilterState;
                    Arc::new(translate(mesh, target, cluster, &attached.authorization, flavour, ENVOY))
                });
                let (mut http, mut tcp) = (Vec::new(), Vec::new());
                ports.into_iter().for_each(|(port, class)| add_port(port, class, &mut http, &mut tcp));
                doubts.extend(translated.doubts.iter().cloned());
                let layers = [(Layer::Http, http), (Layer::Tcp, tcp)];
                for (layer, ports) in layers.into_iter().filter(|(_, ports)| !ports.is_empty()) {
                    let filters = Arc::clone(translated.of(layer));
                    doubts.extend(T::doubts(&filters));
                    let verifies_tokens = layer == Layer::Http && !attached.request_authentication.is_empty();
                    chains.push(Chain { service, ports, layer, filters, verifies_tokens });
                }
            };
            for called in mesh.served_by(gateway).iter().filter(|called| called.is_service()) {
                let ports = mesh.chain_ports(*called).into_iter();
                add(Some(*called), ports.map(|port| (ChainPort::Number(port.number), port.class)).collect());
            }
            add(None, vec![(ChainPort::Other, ProtocolClass::Auto)]);
        }
        chains
    }
}

/// Adds a port to the chains that its class has.
fn add_port(port: ChainPort, class: ProtocolClass, http: &mut Vec<ChainPort>, tcp: &mut Vec<ChainPort>) {
    if matches!(class, ProtocolClass::Http | ProtocolClass::Auto) {
        http.push(port);
    }
    if matches!(class, ProtocolClass::Tcp | ProtocolClass::Auto) {
        tcp.push(port);
    }
}

fn translate<'m, T: Target<'m>>(
    mesh: &'m Mesh,
    target: &mut T,
    cluster: ClusterId,
    attached: &Attachments,
    identity: IdentityFlavour,
    [http, tcp]: [Engine; 2],
) -> Translated<T::Output> {
    let policies: Vec<_> = attached.iter().filter_map(|attached| policy_of(mesh, attached.policy)).collect();
    let settings = mesh.settings_of(cluster);
    let mut chain = |engine| {
        let mut context = context_of(mesh, cluster, engine);
        context.identity = identity;
        Arc::new(target.chain(&policies, &context, settings))
    };
    let http_chain = chain(http);
    let tcp_chain = if tcp == http { Arc::clone(&http_chain) } else { chain(tcp) };
    let mut doubts = BTreeSet::new();
    if !policies.is_empty() {
        doubts.extend(unknown_settings(settings).map(str::to_owned));
    }
    let uncertain =
        || attached.iter().filter_map(|attached| Some((attached, attached.certain.as_ref().err()?)));
    for (attached, reason) in uncertain().take(NAMED) {
        let meta = &mesh.resource(attached.policy).meta;
        doubts.insert(format!("{} only may be attached, and is taken to be: {reason}", meta.name()));
    }
    let more = uncertain().count().saturating_sub(NAMED);
    if more > 0 {
        doubts.insert(format!("{more} more policies only may be attached, and are taken to be"));
    }
    Translated { http: http_chain, tcp: tcp_chain, doubts }
}
