//! The two ends of a flow as policies see them.

use std::net::IpAddr;

use ipnet::IpNet;
use meshproof_ir::{Capture, ClusterId, Fact, Mesh, NamespaceId, WorkloadId, is_given_later};
use meshproof_resources::{ContainerPort, Spec, TextMap, Transport};

use crate::flow::End;
use crate::holds::Holds;
use crate::selector::Label;

/// Labels that Calico gives pods, namespaces and service accounts itself (Calico documentation, "Automatic labels").
pub(crate) const CALICO_LABELS: &str = "projectcalico.org/";
/// The label that the API server gives every namespace.
pub(crate) const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The port that the injected proxy declares for its metrics (Istio 1.32, injection-template.yaml).
pub(crate) const INJECTED_PORT: (&str, u16) = ("http-envoy-prom", 15090);

/// One end.
#[derive(Clone, Copy)]
pub(crate) enum Endpoint<'m> {
    /// Pods of the cluster.
    Pod(Pod<'m>),
    /// Anything else, by its address where that is known.
    Address(Option<IpAddr>),
}

/// Pods of one workload.
#[derive(Clone, Copy)]
pub(crate) struct Pod<'m> {
    mesh: &'m Mesh,
    pub(crate) id: WorkloadId,
    pub(crate) cluster: ClusterId,
    pub(crate) namespace: NamespaceId,
    /// They run in the network of their node, and have its address.
    pub(crate) host_network: bool,
}

impl<'m> Endpoint<'m> {
    /// The end as it is; machines of WorkloadEntries are addresses.
    pub(crate) fn of(mesh: &'m Mesh, end: End) -> Self {
        let id = match end {
            End::External(address) => {
                return Endpoint::Address(address.map(|address| address.to_canonical()));
            }
            End::Workload(id) => id,
        };
        let workload = mesh.workload(id);
        match &mesh.resource(workload.resource).spec {
            Spec::WorkloadEntry(entry) => {
                let address = entry.address.as_ref().and_then(|address| address.value.parse::<IpAddr>().ok());
                Endpoint::Address(address.map(|address| address.to_canonical()))
            }
            Spec::WorkloadGroup(_) => Endpoint::Address(None),
            _ => Endpoint::Pod(Pod {
                mesh,
                id,
                cluster: mesh.namespace(workload.namespace).cluster,
                namespace: workload.namespace,
                host_network: workload.host_network,
            }),
        }
    }

    /// The pods, when the end is pods.
    pub(crate) fn pod(&self) -> Option<&Pod<'m>> {
        match self {
            Endpoint::Pod(pod) => Some(pod),
            Endpoint::Address(_) => None,
        }
    }

    /// The end as policies of another cluster see it: pods elsewhere are only addresses.
    pub(crate) fn seen_from(self, cluster: ClusterId) -> Self {
        match self {
            Endpoint::Pod(pod) if pod.cluster != cluster => Endpoint::Address(None),
            same => same,
        }
    }

    /// Whether its address lies in one of some blocks; `pod_networks` are those of all pods, when the user has said.
    pub(crate) fn is_in(&self, nets: &[IpNet], pod_networks: &[IpNet]) -> Holds {
        if nets.is_empty() {
            return Holds::No;
        }
        let pod = match self {
            Endpoint::Address(Some(address)) => return nets.iter().any(|net| net.contains(address)).into(),
            Endpoint::Address(None) => {
                return Holds::maybe("a rule asks for an address that is not known here");
            }
            Endpoint::Pod(pod) => pod,
        };
        let known = !pod_networks.is_empty() && !pod.host_network;
        let overlap = |net: &IpNet, pods: &IpNet| net.contains(pods) || pods.contains(net);
        if known && !nets.iter().any(|net| pod_networks.iter().any(|pods| overlap(net, pods))) {
            return Holds::No;
        }
        if known && pod_networks.iter().all(|pods| nets.iter().any(|net| net.contains(pods))) {
            return Holds::Yes;
        }
        Holds::maybe(format!("a rule asks for addresses, and that of {} is not known", pod.display()))
    }

    /// Whether `port` is the container port called `name`.
    pub(crate) fn has_named_port(&self, name: &str, transport: Transport, port: u16) -> Holds {
        match self {
            Endpoint::Pod(pod) => pod.has_named_port(name, transport, port),
            Endpoint::Address(_) => Holds::No,
        }
    }

    /// Whether its addresses are of IP version 4 or 6.
    pub(crate) fn is_version(&self, version: u8) -> Holds {
        match self {
            Endpoint::Address(Some(address)) => (address.is_ipv4() == (version == 4)).into(),
            _ => Holds::maybe(format!("a rule is for IPv{version} alone")),
        }
    }
}

impl<'m> Pod<'m> {
    /// `namespace/name` for people.
    pub(crate) fn display(&self) -> String {
        self.mesh.workload_display(self.id)
    }

    /// Its name alone.
    pub(crate) fn name(&self) -> &'m str {
        &self.mesh.workload(self.id).name
    }

    /// Its labels as written.
    pub(crate) fn labels(&self) -> &'m TextMap {
        &self.mesh.workload(self.id).labels
    }

    /// A label of the pods, given ones included.
    pub(crate) fn label(&self, key: &str) -> Label<'m> {
        let workload = self.mesh.workload(self.id);
        if let Some(value) = workload.labels.get(key) {
            return Label::Known(Some(&value.value));
        }
        match key.strip_prefix(CALICO_LABELS) {
            Some("namespace") => self.namespace_name(),
            Some("orchestrator") => Label::Known(Some("k8s")),
            Some("serviceaccount") => self.account_name(),
            _ if is_given_later(key) => Label::Unknown(format!(
                "pods of {} may get the label {key} when they are made",
                self.display()
            )),
            _ => Label::Known(None),
        }
    }

    fn namespace_name(&self) -> Label<'m> {
        match &self.mesh.namespace(self.namespace).name {
            Some(name) => Label::Known(Some(name)),
            None => Label::Unknown(format!("the namespace of {} is not known", self.name())),
        }
    }

    /// The name of the account.
    pub(crate) fn account_name(&self) -> Label<'m> {
        match &self.mesh.workload(self.id).service_account {
            Fact::Known(name, _) => Label::Known(Some(name)),
            Fact::Unknown(reason) => Label::Unknown(reason.clone()),
        }
    }

    /// A label of the namespace.
    pub(crate) fn namespace_label(&self, key: &str) -> Label<'m> {
        namespace_label(self.mesh, self.namespace, key)
    }

    /// A label of the service account, which only Calico looks at.
    pub(crate) fn account_label(&self, key: &str) -> Label<'m> {
        let name = match self.account_name() {
            Label::Known(Some(name)) => name,
            other => return other,
        };
        if key.strip_prefix(CALICO_LABELS) == Some("name") {
            return Label::Known(Some(name));
        }
        let mut objects = self.mesh.objects(self.cluster, Some(self.namespace), "ServiceAccount", name);
        match (objects.next(), objects.next()) {
            (Some(object), None) => {
                let value = self.mesh.resource(object).meta.labels.get(key);
                Label::Known(value.map(|value| value.value.as_str()))
            }
            // Kubernetes makes this one itself, without labels.
            (None, _) if name == "default" => Label::Known(None),
            (None, _) => Label::Unknown(format!("service account {name} is not in the input")),
            (Some(_), Some(_)) => Label::Unknown(format!("service account {name} is written twice")),
        }
    }

    /// Declared ports of containers that stay; none when the containers are not in the input.
    pub(crate) fn declared_ports(&self) -> Option<impl Iterator<Item = &'m ContainerPort> + use<'m>> {
        let mesh: &'m Mesh = self.mesh;
        let Spec::Workload(workload) = &mesh.resource(mesh.workload(self.id).resource).spec else {
            return None;
        };
        let template = workload.template.as_ref()?;
        let stays = template.containers.iter().filter(|container| !container.init || container.sidecar);
        Some(stays.flat_map(|container| &container.ports))
    }

    /// Several containers may use one name; any of their ports will do.
    fn has_named_port(&self, name: &str, transport: Transport, port: u16) -> Holds {
        let Some(mut declared) = self.declared_ports() else {
            let name = self.display();
            return Holds::maybe(format!(
                "the containers of {name} are not in the input, so their port names are not known"
            ));
        };
        let is_it = |declared: &ContainerPort| {
            declared.number.value == port
                && declared.protocol == transport
                && declared.name.as_ref().is_some_and(|written| written.value == name)
        };
        if declared.any(is_it) {
            return Holds::Yes;
        }
        if (name, port) != INJECTED_PORT || transport != Transport::Tcp {
            return Holds::No;
        }
        match &self.mesh.workload(self.id).capture {
            Fact::Known(Capture::Sidecar | Capture::SidecarHbone, _) => Holds::Yes,
            Fact::Known(..) => Holds::No,
            Fact::Unknown(reason) => Holds::maybe(reason.as_str()),
        }
    }

    /// Whether it is an endpoint of a Service, at `port` where that matters.
    pub(crate) fn serves(&self, namespace: &str, name: &str, port: Option<u16>) -> Holds {
        let mesh = self.mesh;
        let place = mesh.namespace_by_name(self.cluster, namespace);
        let object = place.and_then(|place| mesh.objects(self.cluster, Some(place), "Service", name).next());
        let Some(object) = object else {
            return Holds::maybe(format!("Service {namespace}/{name} is not in the input"));
        };
        let workload = mesh.workload(self.id);
        let is_it = |id: &meshproof_ir::ServiceId| mesh.services[id.index()].resource == object;
        let Some(service) = workload.services.iter().copied().find(is_it) else { return Holds::No };
        let Some(port) = port else { return Holds::Yes };
        let mut ports = workload.ports.iter().filter(|known| known.number == port);
        ports.any(|known| known.bindings.iter().any(|binding| binding.service == service)).into()
    }
}

/// A label of a namespace; its name is known even where its object is not in the input.
pub(crate) fn namespace_label<'m>(mesh: &'m Mesh, id: NamespaceId, key: &str) -> Label<'m> {
    let namespace = mesh.namespace(id);
    if key == NAME_LABEL || key.strip_prefix(CALICO_LABELS) == Some("name") {
        return match &namespace.name {
            Some(name) => Label::Known(Some(name)),
            None => Label::Unknown("the name of a namespace is not known".to_owned()),
        };
    }
    match &namespace.labels {
        Fact::Known(labels, _) => Label::Known(labels.get(key).map(|value| value.value.as_str())),
        Fact::Unknown(reason) => Label::Unknown(reason.clone()),
    }
}
