//! Objects that may reach pods though the manifests do not show it: they select by labels that pods get when they are
//! made, or are read by control planes of one revision only.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_resources::{Resource, Spec, Text, TextMap};

use crate::placement::Placement;
use crate::{Fact, Namespace, ResourceId};

/// The label of the control plane that is to read an object (Istio 1.32, pkg/config/labels `ObjectInRevision`) or to
/// inject a pod.
pub(crate) const REVISION: &str = "istio.io/rev";

/// Labels that controllers, the scheduler or Istio's webhook give to pods (kubernetes.io/docs "Well-Known Labels";
/// Istio 1.32, pkg/kube/inject).
const GIVEN_LATER: [&str; 10] = [
    "apps.kubernetes.io/pod-index",
    "controller-revision-hash",
    "controller-uid",
    REVISION,
    "job-name",
    "networking.istio.io/tunnel",
    "pod-template-generation",
    "pod-template-hash",
    "security.istio.io/tlsMode",
    "statefulset.kubernetes.io/pod-name",
];
const GIVEN_LATER_PREFIXES: [&str; 5] = [
    "batch.kubernetes.io/",
    "service.istio.io/",
    "sidecar.istio.io/",
    "topology.istio.io/",
    "topology.kubernetes.io/",
];

/// Whether pods may get a label of this key when they are made, so that their template need not show it.
pub fn is_given_later(key: &str) -> bool {
    GIVEN_LATER.contains(&key) || GIVEN_LATER_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// What of each object is in doubt; most meshes have none.
#[derive(Default)]
pub(crate) struct Doubts {
    by_object: HashMap<ResourceId, Doubt, RandomState>,
}

struct Doubt {
    reason: String,
    /// The selector without labels that are given later, when it has any.
    rest: Option<TextMap>,
    revision: Option<String>,
}

impl Doubts {
    pub(crate) fn new(resources: &[Resource], placement: &Placement) -> Self {
        let kinds = &placement.kinds;
        let lists = [
            &kinds.authorization_policies,
            &kinds.request_authentications,
            &kinds.peer_authentications,
            &kinds.services,
        ];
        let of = |id: &ResourceId| Some((*id, doubt(&resources[id.index()])?));
        Doubts { by_object: lists.into_iter().flatten().filter_map(of).collect() }
    }

    /// Why an object only may be in force where it stands and selects; none when there is no doubt.
    pub(crate) fn reason(&self, id: ResourceId) -> Option<&str> {
        self.by_object.get(&id).map(|doubt| doubt.reason.as_str())
    }

    /// What templates must show of a selector for the object to be in force at all.
    pub(crate) fn asked<'a>(&'a self, id: ResourceId, selector: &'a TextMap) -> &'a TextMap {
        self.by_object.get(&id).and_then(|doubt| doubt.rest.as_ref()).unwrap_or(selector)
    }

    /// Whether an object, in doubt for all pods, is in force at those with `labels` and of `revision`: certainly, not
    /// at all, or none of both is known.
    pub(crate) fn settled(
        &self,
        id: ResourceId,
        resource: &Resource,
        labels: &TextMap,
        revision: Option<&str>,
    ) -> Option<bool> {
        let doubt = self.by_object.get(&id)?;
        let of_revision = doubt.revision.is_none() || doubt.revision.as_deref() == revision;
        let mut later = selector(resource)
            .into_iter()
            .flat_map(|all| &all.entries)
            .filter(|(key, _)| is_given_later(&key.value));
        let differs =
            |(key, value): &&(Text, Text)| labels.get(&key.value).is_some_and(|own| own.value != value.value);
        if later.clone().any(|pair| differs(&pair)) {
            return Some(false);
        }
        (of_revision && later.all(|(key, _)| labels.get(&key.value).is_some())).then_some(true)
    }
}

/// The revision that is written for pods with `own` as their label. The label of the namespace beats it, and both
/// yield to `istio-injection` (Istio 1.32, mutatingwebhook.yaml).
pub(crate) fn revision_of<'a>(namespace: &'a Namespace, own: Option<&'a str>) -> Option<&'a str> {
    match &namespace.labels {
        Fact::Known(labels, _) if labels.get("istio-injection").is_some() => None,
        Fact::Known(labels, _) => labels.get(REVISION).map(|label| label.value.as_str()).or(own),
        Fact::Unknown(_) => None,
    }
}

fn selector(resource: &Resource) -> Option<&TextMap> {
    match &resource.spec {
        Spec::AuthorizationPolicy(policy) => policy.selector.as_ref().map(|selector| &selector.match_labels),
        Spec::RequestAuthentication(policy) => {
            policy.selector.as_ref().map(|selector| &selector.match_labels)
        }
        Spec::PeerAuthentication(policy) => policy.selector.as_ref().map(|selector| &selector.match_labels),
        Spec::Service(service) => Some(&service.selector),
        _ => None,
    }
}

fn doubt(resource: &Resource) -> Option<Doubt> {
    let meta = &resource.meta;
    let selector = selector(resource);
    let later = selector.into_iter().flat_map(|all| &all.entries).find(|(key, _)| is_given_later(&key.value));
    // The control plane reads Services whatever their labels.
    let is_service = matches!(resource.spec, Spec::Service(_));
    let revision = meta.labels.get(REVISION).filter(|_| !is_service).map(|label| label.value.clone());
    let subject = || format!("{} {}", meta.kind.value, meta.name());
    let reason = match (&revision, later) {
        (Some(revision), _) => {
            format!("{} is only for control planes of revision {revision}", subject())
        }
        (None, Some((key, _))) => {
            format!("{} selects by the label {}, which pods get when they are made", subject(), key.value)
        }
        (None, None) => return None,
    };
    let rest = later.and(selector).map(|selector| {
        let mut rest = selector.clone();
        rest.entries.retain(|(key, _)| !is_given_later(&key.value));
        rest
    });
    Some(Doubt { reason, rest, revision })
}
