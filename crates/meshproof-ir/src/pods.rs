//! One view of everything that makes pods or stands for a virtual machine.

use std::borrow::Cow;
use std::collections::HashSet;

use foldhash::fast::RandomState;
use meshproof_resources::{
    Container, PodTemplate, Resource, Spec, Text, TextMap, WorkloadEntry, WorkloadGroup,
};
use meshproof_source::{Span, Spanned};

use crate::capture::GATEWAY_NAME;
use crate::deployed;
use crate::placement::Placement;
use crate::presumed;
use crate::scopes::Scopes;
use crate::{ClusterId, NamespaceId, ResourceId};

pub(crate) static NO_LABELS: TextMap = TextMap { key: None, entries: Vec::new() };

/// Pods of one template, as written.
pub(crate) struct Pods<'a> {
    pub(crate) resource: ResourceId,
    pub(crate) name: Cow<'a, str>,
    pub(crate) cluster: ClusterId,
    pub(crate) namespace: NamespaceId,
    pub(crate) labels: Cow<'a, TextMap>,
    pub(crate) annotations: &'a TextMap,
    pub(crate) service_account: Account<'a>,
    pub(crate) host_network: bool,
    pub(crate) containers: &'a [Container],
    /// What kind of thing runs.
    pub(crate) kind: PodKind<'a>,
    /// The template.
    pub(crate) span: Span,
}

/// What kind of thing runs.
pub(crate) enum PodKind<'a> {
    /// Containers.
    Containers,
    /// A machine whose ports have names.
    Machine { ports: &'a [(Text, Spanned<u16>)], joins_mesh: bool },
    /// A proxy that istiod deploys for a Gateway.
    Deployed,
    /// A proxy that a Gateway object speaks of.
    Presumed,
}

/// The account of pods.
pub(crate) enum Account<'a> {
    /// Written down.
    Written(&'a Text),
    /// Nothing is written.
    Default,
    /// istiod makes one.
    Generated(String),
    /// The pods are not in the input.
    Unknown,
}

impl<'a> Account<'a> {
    fn of(written: Option<&'a Text>) -> Self {
        written.filter(|account| !account.value.is_empty()).map_or(Account::Default, Account::Written)
    }
}

/// All pods of the input, in resource order. Objects made by another one of the input are left out: they are its
/// pods. A Rollout that takes its template from a Deployment is that Deployment; when that is not in the input,
/// nothing is known of the pods.
pub(crate) fn collect<'a>(
    resources: &'a [Resource],
    placement: &Placement,
    scopes: &Scopes,
) -> Vec<Pods<'a>> {
    let owners = owners(resources, placement);
    let mut found = Vec::new();
    for (id, cluster, namespace, resource) in placement.placed(&placement.kinds.pods, resources) {
        let base = || Pods {
            resource: id,
            name: Cow::Borrowed(resource.meta.name()),
            cluster,
            namespace,
            labels: Cow::Borrowed(&NO_LABELS),
            annotations: &NO_LABELS,
            service_account: Account::Default,
            host_network: false,
            containers: &[],
            kind: PodKind::Containers,
            span: resource.meta.span,
        };
        match &resource.spec {
            Spec::Workload(workload) => {
                let owner = resource.meta.owner.as_deref();
                let is_made = owner.is_some_and(|(kind, name)| {
                    owners.contains(&(namespace, kind.value.as_str(), name.value.as_str()))
                });
                if let Some(template) = workload.template.as_ref().filter(|_| !is_made) {
                    found.push(base().with_template(template));
                }
            }
            Spec::WorkloadEntry(entry) => found.push(base().with_entry(entry, &resource.meta.labels)),
            Spec::WorkloadGroup(group) => found.push(base().with_group(group)),
            _ => {}
        }
    }
    add_gateways(&mut found, resources, placement);
    if placement.presumes_gateways {
        presumed::add(&mut found, resources, placement, scopes);
    }
    found.sort_by_key(|pods| pods.resource);
    found
}

type ObjectKey<'a> = (NamespaceId, &'a str, &'a str);

/// Objects that may own others; empty when nothing in the input has an owner.
fn owners<'a>(resources: &'a [Resource], placement: &Placement) -> HashSet<ObjectKey<'a>, RandomState> {
    let pods = placement.placed(&placement.kinds.pods, resources);
    if pods.clone().all(|(.., resource)| resource.meta.owner.is_none()) {
        return HashSet::default();
    }
    let key = |(_, _, namespace, resource): (ResourceId, ClusterId, NamespaceId, &'a Resource)| {
        let is_workload = matches!(resource.spec, Spec::Workload(_));
        is_workload.then(|| (namespace, resource.meta.kind.value.as_str(), resource.meta.name()))
    };
    pods.filter_map(key).collect()
}

impl<'a> Pods<'a> {
    fn with_template(self, template: &'a PodTemplate) -> Self {
        Pods {
            labels: Cow::Borrowed(&template.labels),
            annotations: &template.annotations,
            service_account: Account::of(template.service_account.as_ref()),
            host_network: template.host_network,
            containers: &template.containers,
            span: template.span,
            ..self
        }
    }

    /// A machine. Labels of the object win over those of its spec; an account or the mark of a proxy says that one
    /// runs there.
    fn with_entry(self, entry: &'a WorkloadEntry, of_object: &'a TextMap) -> Self {
        let mut labels = entry.labels.clone();
        for (key, value) in &of_object.entries {
            labels.entries.retain(|(known, _)| known.value != key.value);
            labels.entries.push((key.clone(), value.clone()));
        }
        let mark = labels.get("security.istio.io/tlsMode").map(|mode| mode.value == "istio");
        let joins_mesh = mark.unwrap_or(entry.service_account.is_some());
        Pods {
            labels: Cow::Owned(labels),
            service_account: Account::of(entry.service_account.as_ref()),
            kind: PodKind::Machine { ports: &entry.ports, joins_mesh },
            span: entry.span,
            ..self
        }
    }

    fn with_group(self, group: &'a WorkloadGroup) -> Self {
        let template = group.template.as_ref();
        Pods {
            labels: Cow::Borrowed(&group.labels),
            annotations: &group.annotations,
            service_account: Account::of(template.and_then(|template| template.service_account.as_ref())),
            kind: PodKind::Machine {
                ports: template.map_or(&[], |template| template.ports.as_slice()),
                joins_mesh: true,
            },
            span: group.span,
            ..self
        }
    }
}

/// Proxies that istiod deploys for Gateways of its classes, unless the input holds their pods (Istio 1.32,
/// config/kube/gatewaycommon/deploymentcontroller.go).
fn add_gateways<'a>(found: &mut Vec<Pods<'a>>, resources: &'a [Resource], placement: &Placement) {
    if placement.kinds.gateways.is_empty() {
        return;
    }
    let mut gateways = Vec::new();
    {
        let served: HashSet<(NamespaceId, &str), RandomState> = found
            .iter()
            .filter_map(|pods| Some((pods.namespace, pods.labels.get(GATEWAY_NAME)?.value.as_str())))
            .collect();
        let classes = deployed::controllers(resources, &placement.kinds.gateway_classes);
        for (id, cluster, namespace, resource) in placement.placed(&placement.kinds.gateways, resources) {
            let Spec::KubernetesGateway(gateway) = &resource.spec else { continue };
            let Some(name) = &resource.meta.name else { continue };
            if deployed::is_deployed(gateway) && !served.contains(&(namespace, name.value.as_str())) {
                let of_class = gateway.class.as_ref().and_then(|class| classes.get(class.value.as_str()));
                if let Some(controller) = of_class {
                    gateways.push((id, cluster, namespace, gateway, *controller));
                }
            }
        }
    }
    for (id, cluster, namespace, gateway, controller) in gateways {
        let resource = &resources[id.index()];
        let name = deployed::name(resource, gateway, controller);
        let account = resource.meta.annotations.get("gateway.istio.io/service-account");
        found.push(Pods {
            resource: id,
            cluster,
            namespace,
            labels: Cow::Owned(deployed::labels(resource, gateway, controller)),
            annotations: &NO_LABELS,
            service_account: account.map_or_else(|| Account::Generated(name.clone()), Account::Written),
            name: Cow::Owned(name),
            host_network: false,
            containers: &[],
            kind: PodKind::Deployed,
            span: resource.meta.span,
        });
    }
}
