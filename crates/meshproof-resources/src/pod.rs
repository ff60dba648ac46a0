//! Pods and everything that makes pods: Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob,
//! ReplicationController, Argo Rollout.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{
    entries, is_true, items, key_name, mapping, mapping_at, number, port_ref, text, text_at, text_map,
    text_map_at, transport,
};
use crate::{Text, TextMap};

/// A workload object: the template of its pods and what stands around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The pods it makes; absent when a Rollout refers to another object (`workloadRef`).
    pub template: Option<PodTemplate>,
    /// `spec.workloadRef` of a Rollout: kind and name.
    pub workload_ref: Option<(Text, Text)>,
    /// `spec.selector.matchLabels` (or the plain selector of a ReplicationController).
    pub selector: TextMap,
    /// `spec.replicas`.
    pub replicas: Option<Spanned<u32>>,
}

/// A pod, or the template of pods.
#[derive(Clone, Debug, PartialEq)]
pub struct PodTemplate {
    /// The template (or the Pod object).
    pub span: Span,
    /// Labels of the pods.
    pub labels: TextMap,
    /// Annotations of the pods.
    pub annotations: TextMap,
    /// `serviceAccountName` (or the deprecated `serviceAccount`).
    pub service_account: Option<Text>,
    /// `hostNetwork`.
    pub host_network: bool,
    /// `containers`, then init containers.
    pub containers: Vec<Container>,
}

/// One container.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Name.
    pub name: Option<Text>,
    /// Image.
    pub image: Option<Text>,
    /// Declared ports.
    pub ports: Vec<ContainerPort>,
    /// An init container.
    pub init: bool,
    /// An init container with `restartPolicy: Always` (native sidecar).
    pub sidecar: bool,
    /// `securityContext.runAsUser`, else that of the pod.
    pub run_as_user: Option<Spanned<i64>>,
    /// Ports (number or name) that HTTP, TCP and gRPC probes of this container use; the bool tells HTTP probes.
    pub probes: Vec<(PortRef, bool)>,
    /// Values of `env`, and items of `command` and `args`, that may hold the address of a Service: those with a
    /// `://`, a `.svc` or a port after a colon; at most [`MENTIONS`] of them.
    pub addresses: Vec<Text>,
}

/// Texts of a container that are kept for the addresses in them.
pub const MENTIONS: usize = 64;
/// Longer texts are programs or documents, of which nobody can say what they call.
const LONGEST: usize = 1024;

/// A declared container port.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerPort {
    /// Number.
    pub number: Spanned<u16>,
    /// Name.
    pub name: Option<Text>,
    /// Transport.
    pub protocol: Transport,
}

/// `protocol` of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Transport {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRef {
    /// By number.
    Number(Spanned<u16>),
    /// By container port name.
    Name(Text),
}

impl Workload {
    /// Reads `spec` of `object`, whose kind says where the pods stand.
    pub(crate) fn decode(kind: &str, spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut workload =
            Workload { template: None, workload_ref: None, selector: TextMap::default(), replicas: None };
        if kind == "Pod" {
            workload.template = Some(PodTemplate::decode(object));
            return workload;
        }
        for (key, value) in entries(spec) {
            match key_name(key) {
                "template" => workload.template = mapping(value).map(PodTemplate::decode),
                "jobTemplate" if kind == "CronJob" => {
                    let template = mapping_at(value, "spec").and_then(|spec| mapping_at(spec, "template"));
                    workload.template = template.map(PodTemplate::decode);
                }
                "workloadRef" => {
                    workload.workload_ref = text_at(value, "kind").zip(text_at(value, "name"));
                }
                "selector" if kind == "ReplicationController" => workload.selector = text_map(key, value),
                "selector" => workload.selector = text_map_at(value, "matchLabels"),
                "replicas" => workload.replicas = number(value),
                _ => {}
            }
        }
        workload
    }
}

impl PodTemplate {
    /// Reads a Pod or a pod template: both are `metadata` and `spec`.
    pub(crate) fn decode(node: NodeRef<'_>) -> Self {
        let mut template = PodTemplate {
            span: node.span(),
            labels: TextMap::default(),
            annotations: TextMap::default(),
            service_account: None,
            host_network: false,
            containers: Vec::new(),
        };
        for (key, value) in entries(node.get("metadata")) {
            match key_name(key) {
                "labels" => template.labels = text_map(key, value),
                "annotations" => template.annotations = text_map(key, value),
                _ => {}
            }
        }
        let (mut deprecated_account, mut init, mut user) = (None, Vec::new(), None);
        for (key, value) in entries(node.get("spec")) {
            match key_name(key) {
                "serviceAccountName" => template.service_account = text(value),
                "serviceAccount" => deprecated_account = text(value),
                "hostNetwork" => template.host_network = is_true(value),
                "containers" => template.containers = containers(value, false),
                "initContainers" => init = containers(value, true),
                "securityContext" => user = value.get("runAsUser").and_then(number::<i64>),
                _ => {}
            }
        }
        template.service_account = template.service_account.or(deprecated_account);
        template.containers.append(&mut init);
        for container in &mut template.containers {
            if container.run_as_user.is_none() {
                container.run_as_user.clone_from(&user);
            }
        }
        template
    }
}

fn containers(list: NodeRef<'_>, init: bool) -> Vec<Container> {
    items(list, |item| mapping(item).map(|item| container(item, init)))
}

fn container(node: NodeRef<'_>, init: bool) -> Container {
    let mut container = Container {
        name: None,
        image: None,
        ports: Vec::new(),
        init,
        sidecar: false,
        run_as_user: None,
        probes: Vec::new(),
        addresses: Vec::new(),
    };
    for (key, value) in node.entries() {
        match key_name(key) {
            "name" => container.name = text(value),
            "image" => container.image = text(value),
            "ports" => container.ports = items(value, container_port),
            "restartPolicy" => container.sidecar = init && value.str() == Some("Always"),
            "securityContext" => container.run_as_user = value.get("runAsUser").and_then(number),
            "env" => note(&mut container.addresses, value.items().filter_map(env_value)),
            "command" | "args" => note(&mut container.addresses, called_items(value)),
            "livenessProbe" | "readinessProbe" | "startupProbe" => container.probes.extend(probe(value)),
            _ => {}
        }
    }
    container
}

/// Words in the names of variables and flags whose addresses are compared, shown or left alone, and not called.
const NOT_CALLED: &[&str] = &[
    "no_proxy",
    "no-proxy",
    "origin",
    "cors",
    "allow",
    "redirect",
    "issuer",
    "audience",
    "external",
    "public",
    "advertise",
];

fn is_not_called(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NOT_CALLED.iter().any(|word| name.contains(word))
}

/// The value of a variable, unless its name says that nobody calls it.
fn env_value(item: NodeRef<'_>) -> Option<NodeRef<'_>> {
    let name = item.get("name").and_then(|name| name.str().map(is_not_called));
    item.get("value").filter(|_| name != Some(true))
}

/// Items of a command line, without flags of which the name says that nobody calls their value.
fn called_items(list: NodeRef<'_>) -> impl Iterator<Item = NodeRef<'_>> {
    let mut skips_next = false;
    list.items().filter(move |item| {
        let Some(text) = item.str() else { return false };
        let (flag, value) = text.split_once('=').map_or((text, None), |(flag, value)| (flag, Some(value)));
        let is_other = flag.starts_with('-') && is_not_called(flag);
        let skips = skips_next || is_other;
        skips_next = is_other && value.is_none();
        !skips
    })
}

/// Keeps the texts that may hold an address.
fn note<'t>(kept: &mut Vec<Text>, values: impl Iterator<Item = NodeRef<'t>>) {
    let may_hold = |text: &&str| {
        let ports = || text.match_indices(':').any(|(at, _)| text[at + 1..].starts_with(is_digit));
        text.len() <= LONGEST && (text.contains("://") || text.contains(".svc") || ports())
    };
    for value in values.filter(|value| value.str().as_ref().is_some_and(may_hold)) {
        if kept.len() >= MENTIONS {
            return;
        }
        kept.extend(text(value));
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn container_port(node: NodeRef<'_>) -> Option<ContainerPort> {
    Some(ContainerPort {
        number: number(node.get("containerPort")?)?,
        name: text_at(node, "name"),
        protocol: transport(node.get("protocol")),
    })
}

/// The port of a probe and whether the probe is HTTP; `exec` probes have none.
fn probe(node: NodeRef<'_>) -> Option<(PortRef, bool)> {
    let (handler, http) = [("httpGet", true), ("tcpSocket", false), ("grpc", false)]
        .into_iter()
        .find_map(|(name, http)| Some((mapping_at(node, name)?, http)))?;
    Some((port_ref(handler.get("port")?)?, http))
}
