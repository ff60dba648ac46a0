//! Policies by what their `targetRefs` name (authorization reference §2.2; Istio 1.32, model/policyattachment.go).

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use meshproof_resources::TargetRef;

use crate::scopes::Scopes;
use crate::{Attachment, Attachments, ClusterId, NamespaceId, ResourceId};

/// The class whose name reaches every waypoint, whatever the class of the waypoint is called.
const WAYPOINT_CLASS: &str = "istio-waypoint";

/// A kind of object that a policy of the same namespace can be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TargetKind {
    Gateway,
    Service,
    ServiceEntry,
}

/// A place that policies can be attached to by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) kind: TargetKind,
    pub(crate) namespace: NamespaceId,
    pub(crate) name: &'a str,
}

type Lists<K> = HashMap<K, Vec<Attachment>, RandomState>;
type ByName = HashMap<String, Arc<[Attachment]>, RandomState>;

/// Policies of one kind by their targets.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetRefs {
    /// By namespace and kind, then by name; each list is sorted by resource.
    by_target: HashMap<(NamespaceId, TargetKind), ByName, RandomState>,
    /// Policies of the root namespace that refer to the class of waypoints.
    by_class: HashMap<ClusterId, Arc<[Attachment]>, RandomState>,
}

/// Both kinds of policies by their targets.
#[derive(Clone, Debug, Default)]
pub(crate) struct References {
    pub(crate) authorization: TargetRefs,
    pub(crate) request: TargetRefs,
}

/// What an entry of `targetRefs` can be attached to at all.
fn kind_of(reference: &TargetRef) -> Option<TargetKind> {
    match (reference.group.as_str(), reference.kind.value.as_str()) {
        ("gateway.networking.k8s.io", "Gateway") => Some(TargetKind::Gateway),
        ("" | "core", "Service") => Some(TargetKind::Service),
        ("networking.istio.io", "ServiceEntry") => Some(TargetKind::ServiceEntry),
        _ => None,
    }
}

fn is_waypoint_class(reference: &TargetRef) -> bool {
    reference.group == "gateway.networking.k8s.io"
        && reference.kind.value == "GatewayClass"
        && reference.name.value == WAYPOINT_CLASS
}

impl TargetRefs {
    /// Index over `(attachment, cluster, namespace, targetRefs)`, in resource order.
    pub(crate) fn new<'a>(
        policies: impl Iterator<Item = (Attachment, ClusterId, NamespaceId, &'a [TargetRef])>,
        scopes: &Scopes,
    ) -> Self {
        let mut by_target: Lists<(NamespaceId, TargetKind, &str)> = HashMap::default();
        let mut by_class: Lists<ClusterId> = HashMap::default();
        let add = |list: &mut Vec<Attachment>, attachment: &Attachment| {
            if list.last().is_none_or(|last| last.policy != attachment.policy) {
                list.push(attachment.clone());
            }
        };
        for (attachment, cluster, namespace, references) in policies {
            for reference in references {
                if let Some(kind) = kind_of(reference) {
                    let key = (namespace, kind, reference.name.value.as_str());
                    add(by_target.entry(key).or_default(), &attachment);
                } else if is_waypoint_class(reference) && scopes.is_root(namespace) {
                    let doubt = scopes.root_doubt(cluster).map(str::to_owned);
                    let certain = doubt.map_or_else(|| attachment.certain.clone(), Err);
                    let attachment = Attachment { policy: attachment.policy, certain };
                    add(by_class.entry(cluster).or_default(), &attachment);
                }
            }
        }
        let mut refs = TargetRefs::default();
        for ((namespace, kind, name), list) in by_target {
            refs.by_target.entry((namespace, kind)).or_default().insert(name.to_owned(), list.into());
        }
        refs.by_class = by_class.into_iter().map(|(cluster, list)| (cluster, list.into())).collect();
        refs
    }

    /// Policies attached to any of `targets`, and to the class of waypoints when `class` is the cluster of one.
    pub(crate) fn at<'t>(
        &self,
        targets: impl IntoIterator<Item = Target<'t>>,
        class: Option<ClusterId>,
    ) -> Attachments {
        let mut layers: Vec<Arc<[Attachment]>> = Vec::new();
        layers.extend(class.and_then(|cluster| self.by_class.get(&cluster)).cloned());
        for target in targets {
            let names = self.by_target.get(&(target.namespace, target.kind));
            let Some(list) = names.and_then(|names| names.get(target.name)) else { continue };
            layers.push(without(list, &layers));
        }
        Attachments::layered(layers)
    }
}

/// A list without the policies that stand in `others`; the same list when none does. Only a policy with several
/// references can be in two of them.
fn without(list: &Arc<[Attachment]>, others: &[Arc<[Attachment]>]) -> Arc<[Attachment]> {
    let known = |policy: ResourceId| {
        let in_list =
            |other: &Arc<[Attachment]>| other.binary_search_by_key(&policy, |other| other.policy).is_ok();
        others.iter().any(in_list)
    };
    if !list.iter().any(|attachment| known(attachment.policy)) {
        return Arc::clone(list);
    }
    list.iter().filter(|attachment| !known(attachment.policy)).cloned().collect()
}
