//! Which AuthorizationPolicies and RequestAuthentications stand at a workload's enforcement point
//! (authorization reference §2; Istio 1.32, model/policyattachment.go and serviceregistry/ambient/workloads.go).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use meshproof_resources::{Action, Resource, Selector, Spec, TargetRef, TextMap};

use crate::capture::GATEWAY_NAME;
use crate::floating::{Floating, MAYBE_LISTED};
use crate::labels::{LabelSet, SelectorIndex};
use crate::placement::Placement;
use crate::pods::Pods;
use crate::scopes::Scopes;
use crate::{Attachment, Attachments, Capture, ClusterId, Fact, NamespaceId, ResourceId, Settings};

/// Which kind of policy a table holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicyKind {
    Authorization,
    Request,
}

/// What attachment needs to know of a policy.
struct Candidate<'a> {
    id: ResourceId,
    cluster: ClusterId,
    namespace: NamespaceId,
    selector: Option<&'a Selector>,
    target_refs: &'a [TargetRef],
    /// istiod sends it to ztunnel.
    for_ztunnel: bool,
}

impl<'a> Candidate<'a> {
    /// Cluster, selector and id, for policies that may stand in any namespace.
    fn anywhere(&self) -> (ClusterId, Option<&'a TextMap>, u32) {
        (self.cluster, self.selector.map(|selector| &selector.match_labels), self.id.0)
    }
}

/// Policies that one kind of engine takes, by selector.
#[derive(Default)]
struct Table<'a> {
    everywhere: HashMap<NamespaceId, Arc<[Attachment]>, RandomState>,
    selecting: SelectorIndex<'a>,
    /// Policies by class of `selecting`.
    classes: Vec<Arc<[Attachment]>>,
}

struct ZtunnelTable<'a> {
    table: Table<'a>,
    /// For pods without any label: ztunnel is given every policy with a selector (ambient reference, C2).
    selecting: HashMap<NamespaceId, Arc<[Attachment]>, RandomState>,
}

/// All policies of one kind.
pub(crate) struct Policies<'a> {
    proxies: Table<'a>,
    /// Most meshes have no ztunnel.
    ztunnel: OnceLock<ZtunnelTable<'a>>,
    at_ztunnel: Vec<Candidate<'a>>,
    /// By namespace and name of the Gateway that a policy refers to.
    by_gateway: HashMap<(NamespaceId, &'a str), Vec<ResourceId>, RandomState>,
    /// Policies of the root namespace that refer to the class of waypoints.
    by_class: HashMap<ClusterId, Vec<ResourceId>, RandomState>,
    /// Policies that may be attached: those whose namespace is not known, by cluster.
    floating: Floating<'a>,
    /// And those of named namespaces, for workloads whose namespace is not known.
    named: Floating<'a>,
    resources: &'a [Resource],
    places: &'a [(ClusterId, Option<NamespaceId>)],
}

impl<'a> Policies<'a> {
    pub(crate) fn new(
        kind: PolicyKind,
        resources: &'a [Resource],
        placement: &'a Placement,
        scopes: &Scopes,
    ) -> Self {
        let candidates = candidates(kind, resources, placement, scopes);
        let symbolic =
            |candidate: &&Candidate<'_>| placement.namespaces[candidate.namespace.index()].name.is_none();
        let workloads_unplaced = placement.namespaces.iter().any(|namespace| namespace.name.is_none());
        let plain = || candidates.iter().filter(|candidate| candidate.target_refs.is_empty());
        let named = plain().filter(|candidate| {
            workloads_unplaced && !symbolic(candidate) && !scopes.is_root(candidate.namespace)
        });
        let mut policies = Policies {
            proxies: Table::new(plain(), |selector| selector.match_labels.is_empty()),
            ztunnel: OnceLock::new(),
            at_ztunnel: Vec::new(),
            by_gateway: HashMap::default(),
            by_class: HashMap::default(),
            floating: Floating::new(plain().filter(symbolic).map(Candidate::anywhere)),
            named: Floating::new(named.map(Candidate::anywhere)),
            resources,
            places: &placement.places,
        };
        for candidate in &candidates {
            policies.add_references(candidate, scopes);
        }
        policies.at_ztunnel = candidates;
        policies.at_ztunnel.retain(|candidate| candidate.target_refs.is_empty() && candidate.for_ztunnel);
        policies
    }

    fn add_references(&mut self, candidate: &Candidate<'a>, scopes: &Scopes) {
        for reference in candidate.target_refs {
            let name = reference.name.value.as_str();
            let list = match (reference.group.as_str(), reference.kind.value.as_str()) {
                ("gateway.networking.k8s.io", "Gateway") => {
                    self.by_gateway.entry((candidate.namespace, name)).or_default()
                }
                ("gateway.networking.k8s.io", "GatewayClass")
                    if name == "istio-waypoint" && scopes.is_root(candidate.namespace) =>
                {
                    self.by_class.entry(candidate.cluster).or_default()
                }
                _ => continue,
            };
            if list.last() != Some(&candidate.id) {
                list.push(candidate.id);
            }
        }
    }

    /// What the enforcement point of `pods` evaluates. Where it is not known whether there is one, what it would
    /// evaluate if it were a sidecar.
    pub(crate) fn at<'l>(
        &self,
        pods: &Pods<'l>,
        capture: &Fact<Capture>,
        labels: &LabelSet<'l>,
        scopes: &Scopes,
        settings: &Settings,
        tried: &mut u64,
    ) -> Attachments
    where
        'a: 'l,
    {
        match capture.known() {
            Some(Capture::None) => Attachments::default(),
            Some(Capture::Waypoint) => self.by_reference(pods, true),
            Some(Capture::Gateway) if pods.labels.get(GATEWAY_NAME).is_some() => {
                let referring = self.by_reference(pods, false);
                if settings.selectors_reach_gateways.is(&false) {
                    return referring;
                }
                let mut all: Vec<Attachment> = referring.iter().cloned().collect();
                all.extend(
                    self.by_selector(pods, &self.proxies, None, labels, scopes, tried).iter().cloned(),
                );
                all.into()
            }
            Some(Capture::Ambient) => {
                let ztunnel = self.ztunnel();
                let every = labels.is_empty().then_some(&ztunnel.selecting);
                self.by_selector(pods, &ztunnel.table, every, labels, scopes, tried)
            }
            _ => self.by_selector(pods, &self.proxies, None, labels, scopes, tried),
        }
    }

    fn ztunnel(&self) -> &ZtunnelTable<'a> {
        self.ztunnel.get_or_init(|| {
            let selects = |candidate: &&Candidate<'_>| {
                candidate.selector.is_some_and(|selector| !selector.match_labels.is_empty())
            };
            ZtunnelTable {
                table: Table::new(self.at_ztunnel.iter(), |selector| {
                    selector.has_match_labels && selector.match_labels.is_empty()
                }),
                selecting: shared(self.at_ztunnel.iter().filter(selects)),
            }
        })
    }

    fn by_reference(&self, pods: &Pods<'_>, waypoint: bool) -> Attachments {
        let Some(gateway) = pods.labels.get(GATEWAY_NAME) else { return Attachments::default() };
        let to_gateway = self.by_gateway.get(&(pods.namespace, gateway.value.as_str()));
        let to_class = self.by_class.get(&pods.cluster).filter(|_| waypoint);
        let mut ids: Vec<ResourceId> = to_gateway.into_iter().chain(to_class).flatten().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(certainly).collect()
    }

    fn by_selector<'l>(
        &self,
        pods: &Pods<'l>,
        table: &Table<'a>,
        every: Option<&HashMap<NamespaceId, Arc<[Attachment]>, RandomState>>,
        labels: &LabelSet<'l>,
        scopes: &Scopes,
        tried: &mut u64,
    ) -> Attachments
    where
        'a: 'l,
    {
        let root = scopes.root(pods.cluster).filter(|root| *root != pods.namespace);
        let mut layers: Vec<Arc<[Attachment]>> = Vec::new();
        for namespace in root.into_iter().chain([pods.namespace]) {
            layers.extend(table.everywhere.get(&namespace).cloned());
            match every {
                Some(every) => layers.extend(every.get(&namespace).cloned()),
                None => {
                    let classes = table.selecting.matching(namespace.0, labels, tried);
                    layers.extend(classes.iter().map(|class| table.classes[*class as usize].clone()));
                }
            }
        }
        let mut own: Vec<Attachment> = Vec::new();
        self.add_maybe(pods, labels, scopes, &mut own, tried);
        if let Some(doubt) = scopes.root_doubt(pods.cluster) {
            self.doubt_root(root, doubt, &mut layers);
        }
        own.sort_unstable_by_key(|attachment| attachment.policy);
        layers.push(own.into());
        Attachments::layered(layers)
    }

    /// Policies of what is taken for the root namespace only may be attached when it may be another one.
    fn doubt_root(&self, root: Option<NamespaceId>, doubt: &str, layers: &mut [Arc<[Attachment]>]) {
        for layer in layers {
            let of_root = |attachment: &Attachment| self.places[attachment.policy.index()].1 == root;
            if layer.first().is_some_and(of_root) {
                let doubtful = |policy| Attachment { policy, certain: Err(doubt.to_owned()) };
                *layer = layer.iter().map(|attachment| doubtful(attachment.policy)).collect();
            }
        }
    }

    /// Policies that reach these pods if an unknown namespace turns out to be the right one.
    fn add_maybe<'l>(
        &self,
        pods: &Pods<'l>,
        labels: &LabelSet<'l>,
        scopes: &Scopes,
        own: &mut Vec<Attachment>,
        tried: &mut u64,
    ) where
        'a: 'l,
    {
        let elsewhere = |id: &ResourceId| self.places[id.index()].1 != Some(pods.namespace);
        let maybe = |found: Vec<u32>| found.into_iter().map(ResourceId).filter(elsewhere).take(MAYBE_LISTED);
        for id in maybe(self.floating.at(pods.cluster, labels, tried)) {
            let meta = &self.resources[id.index()].meta;
            let reason = format!("the namespace of {} {} is not known", meta.kind.value, meta.name());
            own.push(Attachment { policy: id, certain: Err(reason) });
        }
        if scopes.is_unnamed(pods.namespace) {
            for id in maybe(self.named.at(pods.cluster, labels, tried)) {
                let reason = format!("the namespace of {} is not known", pods.name);
                own.push(Attachment { policy: id, certain: Err(reason) });
            }
        }
    }
}

impl<'a> Table<'a> {
    fn new<'c>(
        candidates: impl Iterator<Item = &'c Candidate<'a>> + Clone,
        takes_all: impl Fn(&Selector) -> bool,
    ) -> Self
    where
        'a: 'c,
    {
        let everywhere = candidates.clone().filter(|candidate| candidate.selector.is_none_or(&takes_all));
        let selecting = candidates.filter_map(|candidate| {
            Some((candidate.namespace.0, &candidate.selector?.match_labels, candidate.id.0))
        });
        let selecting = SelectorIndex::new(selecting);
        let list = |class| selecting.members(class).iter().map(|id| certainly(ResourceId(*id))).collect();
        let classes = (0..selecting.classes()).map(list).collect();
        Table { everywhere: shared(everywhere), selecting, classes }
    }
}

fn shared<'a: 'c, 'c>(
    candidates: impl Iterator<Item = &'c Candidate<'a>>,
) -> HashMap<NamespaceId, Arc<[Attachment]>, RandomState> {
    let mut lists: HashMap<NamespaceId, Vec<Attachment>, RandomState> = HashMap::default();
    for candidate in candidates {
        lists.entry(candidate.namespace).or_default().push(certainly(candidate.id));
    }
    lists.into_iter().map(|(namespace, list)| (namespace, list.into())).collect()
}

fn certainly(policy: ResourceId) -> Attachment {
    Attachment { policy, certain: Ok(()) }
}

fn candidates<'a>(
    kind: PolicyKind,
    resources: &'a [Resource],
    placement: &Placement,
    scopes: &Scopes,
) -> Vec<Candidate<'a>> {
    let ids = match kind {
        PolicyKind::Authorization => &placement.kinds.authorization_policies,
        PolicyKind::Request => &placement.kinds.request_authentications,
    };
    let candidate =
        |(id, cluster, namespace, resource): (ResourceId, ClusterId, NamespaceId, &'a Resource)| {
            let (selector, target_refs, for_ztunnel) = match &resource.spec {
                Spec::AuthorizationPolicy(policy) => {
                    let enforced = matches!(policy.effective_action(), Action::Allow | Action::Deny);
                    (&policy.selector, &policy.target_refs, enforced && !is_dry_run(resource))
                }
                Spec::RequestAuthentication(policy) => (&policy.selector, &policy.target_refs, false),
                _ => return None,
            };
            let selector = selector.as_ref();
            scopes.is_discovered(namespace).then_some(Candidate {
                id,
                cluster,
                namespace,
                selector,
                target_refs,
                for_ztunnel,
            })
        };
    placement.placed(ids, resources).filter_map(candidate).collect()
}

/// Whether a policy only reports what it would do. A value that Go's `ParseBool` does not take means no.
pub(crate) fn is_dry_run(policy: &Resource) -> bool {
    let value = policy.meta.annotations.get("istio.io/dry-run");
    value.is_some_and(|value| ["1", "t", "T", "TRUE", "true", "True"].contains(&value.value.as_str()))
}
