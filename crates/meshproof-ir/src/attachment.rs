//! Which AuthorizationPolicies and RequestAuthentications stand at a workload's enforcement point
//! (authorization reference §2; Istio 1.32, model/policyattachment.go and serviceregistry/ambient/workloads.go).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use meshproof_resources::{Action, Resource, Selector, Spec, TargetRef, TextMap};

use crate::capture::GATEWAY_NAME;
use crate::doubts::{Doubts, REVISION, is_given_later, revision_of};
use crate::floating::{Floating, MAYBE_LISTED};
use crate::labels::{LabelSet, SelectorIndex};
use crate::placement::Placement;
use crate::pods::Pods;
use crate::scopes::Scopes;
use crate::target_refs::{Target, TargetKind, TargetRefs};
use crate::{
    Attachment, Attachments, Capture, ClusterId, Fact, Namespace, NamespaceId, ResourceId, Settings,
};

/// Up to so many policies in doubt are looked at for each workload whose labels may settle it; beyond, all stay in
/// doubt, so that the work does not grow with the product.
const SETTLED: usize = 256;

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
    /// What templates must show of the selector.
    asked: Option<&'a TextMap>,
    target_refs: &'a [TargetRef],
    /// istiod sends it to ztunnel.
    for_ztunnel: bool,
}

impl<'a> Candidate<'a> {
    fn selects_all(&self) -> bool {
        self.asked.is_none_or(TextMap::is_empty)
    }

    /// ztunnel takes a selector without `matchLabels` for none, and gives such a policy to no pod.
    fn selects_all_at_ztunnel(&self) -> bool {
        self.selects_all() && self.selector.is_none_or(|selector| selector.has_match_labels)
    }

    /// Cluster, selector and id, for policies that may stand in any namespace.
    fn anywhere(&self) -> (ClusterId, Option<&'a TextMap>, u32) {
        (self.cluster, self.asked, self.id.0)
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
    doubtful: Table<'a>,
    /// For pods without any label: ztunnel is given every policy with a selector (ambient reference, C2).
    selecting: HashMap<NamespaceId, Arc<[Attachment]>, RandomState>,
}

/// All policies of one kind.
pub(crate) struct Policies<'a> {
    proxies: Table<'a>,
    /// Policies that may be attached, by what templates show of them.
    doubtful: Table<'a>,
    /// Most meshes have no ztunnel.
    ztunnel: OnceLock<ZtunnelTable<'a>>,
    at_ztunnel: Vec<Candidate<'a>>,
    /// Policies that name what they are attached to.
    references: TargetRefs,
    /// Policies that may be attached: those whose namespace is not known, by cluster.
    floating: Floating<'a>,
    /// And those of named namespaces, for workloads whose namespace is not known.
    named: Floating<'a>,
    resources: &'a [Resource],
    places: &'a [(ClusterId, Option<NamespaceId>)],
    namespaces: &'a [Namespace],
    doubts: &'a Doubts,
}

impl<'a> Policies<'a> {
    pub(crate) fn new(
        kind: PolicyKind,
        resources: &'a [Resource],
        placement: &'a Placement,
        scopes: &Scopes,
        doubts: &'a Doubts,
    ) -> Self {
        let candidates = candidates(kind, resources, placement, scopes, doubts);
        let symbolic =
            |candidate: &&Candidate<'_>| placement.namespaces[candidate.namespace.index()].name.is_none();
        let workloads_unplaced = placement.namespaces.iter().any(|namespace| namespace.name.is_none());
        let is_doubtful = |candidate: &&Candidate<'_>| doubts.reason(candidate.id).is_some();
        let plain = || candidates.iter().filter(|candidate| candidate.target_refs.is_empty());
        let named = plain().filter(|candidate| {
            workloads_unplaced && !symbolic(candidate) && !scopes.is_root(candidate.namespace)
        });
        let referring = candidates.iter().filter(|candidate| !candidate.target_refs.is_empty());
        let referring = referring.map(|candidate| {
            let attachment = attachment(candidate.id, doubts);
            (attachment, candidate.cluster, candidate.namespace, candidate.target_refs)
        });
        let mut policies = Policies {
            proxies: Table::new(
                plain().filter(|policy| !is_doubtful(policy)),
                doubts,
                Candidate::selects_all,
            ),
            doubtful: Table::new(plain().filter(is_doubtful), doubts, Candidate::selects_all),
            ztunnel: OnceLock::new(),
            at_ztunnel: Vec::new(),
            references: TargetRefs::new(referring, scopes),
            floating: Floating::new(plain().filter(symbolic).map(Candidate::anywhere)),
            named: Floating::new(named.map(Candidate::anywhere)),
            resources,
            places: &placement.places,
            namespaces: &placement.namespaces,
            doubts,
        };
        policies.at_ztunnel = candidates;
        policies.at_ztunnel.retain(|candidate| candidate.target_refs.is_empty() && candidate.for_ztunnel);
        policies
    }

    /// The index over `targetRefs`, when workloads are done with.
    pub(crate) fn into_references(self) -> TargetRefs {
        self.references
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
                let tables = (&self.proxies, &self.doubtful);
                all.extend(self.by_selector(pods, tables, None, labels, scopes, tried).iter().cloned());
                all.into()
            }
            Some(Capture::Ambient) => {
                let ztunnel = self.ztunnel();
                let every = labels.is_empty().then_some(&ztunnel.selecting);
                let tables = (&ztunnel.table, &ztunnel.doubtful);
                self.by_selector(pods, tables, every, labels, scopes, tried)
            }
            _ => self.by_selector(pods, (&self.proxies, &self.doubtful), None, labels, scopes, tried),
        }
    }

    fn ztunnel(&self) -> &ZtunnelTable<'a> {
        self.ztunnel.get_or_init(|| {
            let selects =
                |candidate: &&Candidate<'_>| candidate.asked.is_some_and(|selector| !selector.is_empty());
            let is_doubtful = |candidate: &&Candidate<'_>| self.doubts.reason(candidate.id).is_some();
            let sure = self.at_ztunnel.iter().filter(|candidate| !is_doubtful(candidate));
            let doubtful = self.at_ztunnel.iter().filter(is_doubtful);
            ZtunnelTable {
                table: Table::new(sure, self.doubts, Candidate::selects_all_at_ztunnel),
                doubtful: Table::new(doubtful, self.doubts, Candidate::selects_all_at_ztunnel),
                selecting: shared(self.at_ztunnel.iter().filter(selects), self.doubts),
            }
        })
    }

    fn by_reference(&self, pods: &Pods<'_>, waypoint: bool) -> Attachments {
        let Some(gateway) = pods.labels.get(GATEWAY_NAME) else { return Attachments::default() };
        let target = Target { kind: TargetKind::Gateway, namespace: pods.namespace, name: &gateway.value };
        self.references.at([target], waypoint.then_some(pods.cluster))
    }

    fn by_selector<'l>(
        &self,
        pods: &Pods<'l>,
        (sure, doubtful): (&Table<'a>, &Table<'a>),
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
            layers.extend(sure.everywhere.get(&namespace).cloned());
            match every {
                Some(every) => layers.extend(every.get(&namespace).cloned()),
                None => sure.add_selecting(namespace, labels, &mut layers, tried),
            }
        }
        let mut own: Vec<Attachment> = Vec::new();
        let mut in_doubt: Vec<Arc<[Attachment]>> = Vec::new();
        for namespace in root.into_iter().chain([pods.namespace]) {
            in_doubt.extend(doubtful.everywhere.get(&namespace).cloned());
            doubtful.add_selecting(namespace, labels, &mut in_doubt, tried);
        }
        match self.settle(pods, &in_doubt) {
            Some(settled) => own.extend(settled),
            None => layers.append(&mut in_doubt),
        }
        self.add_maybe(pods, labels, scopes, &mut own, tried);
        if let Some(doubt) = scopes.root_doubt(pods.cluster) {
            self.doubt_root(root, doubt, &mut layers);
        }
        own.sort_unstable_by_key(|attachment| attachment.policy);
        layers.push(own.into());
        Attachments::layered(layers)
    }

    /// What the labels of the pods themselves, or those of their namespace, tell about policies in doubt; none when
    /// they tell nothing.
    fn settle(&self, pods: &Pods<'_>, in_doubt: &[Arc<[Attachment]>]) -> Option<Vec<Attachment>> {
        let count: usize = in_doubt.iter().map(|layer| layer.len()).sum();
        if count == 0 || count > SETTLED {
            return None;
        }
        let own = pods.labels.get(REVISION).map(|label| label.value.as_str());
        let revision = revision_of(&self.namespaces[pods.namespace.index()], own);
        if revision.is_none() && !pods.labels.entries.iter().any(|(key, _)| is_given_later(&key.value)) {
            return None;
        }
        let settled = |attachment: &Attachment| {
            let id = attachment.policy;
            match self.doubts.settled(id, &self.resources[id.index()], &pods.labels, revision) {
                Some(true) => Some(Attachment { policy: id, certain: Ok(()) }),
                Some(false) => None,
                None => Some(attachment.clone()),
            }
        };
        Some(in_doubt.iter().flat_map(|layer| layer.iter()).filter_map(settled).collect())
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
        doubts: &Doubts,
        takes_all: impl Fn(&Candidate<'a>) -> bool,
    ) -> Self
    where
        'a: 'c,
    {
        let everywhere = candidates.clone().filter(|candidate| takes_all(candidate));
        let selecting = candidates
            .filter_map(|candidate| Some((candidate.namespace.0, candidate.asked?, candidate.id.0)));
        let selecting = SelectorIndex::new(selecting);
        let list =
            |class| selecting.members(class).iter().map(|id| attachment(ResourceId(*id), doubts)).collect();
        let classes = (0..selecting.classes()).map(list).collect();
        Table { everywhere: shared(everywhere, doubts), selecting, classes }
    }

    /// Adds the lists of `namespace` whose selector `labels` satisfy.
    fn add_selecting<'l>(
        &self,
        namespace: NamespaceId,
        labels: &LabelSet<'l>,
        layers: &mut Vec<Arc<[Attachment]>>,
        tried: &mut u64,
    ) where
        'a: 'l,
    {
        let classes = self.selecting.matching(namespace.0, labels, tried);
        layers.extend(classes.iter().map(|class| Arc::clone(&self.classes[*class as usize])));
    }
}

fn shared<'a: 'c, 'c>(
    candidates: impl Iterator<Item = &'c Candidate<'a>>,
    doubts: &Doubts,
) -> HashMap<NamespaceId, Arc<[Attachment]>, RandomState> {
    let mut lists: HashMap<NamespaceId, Vec<Attachment>, RandomState> = HashMap::default();
    for candidate in candidates {
        lists.entry(candidate.namespace).or_default().push(attachment(candidate.id, doubts));
    }
    lists.into_iter().map(|(namespace, list)| (namespace, list.into())).collect()
}

fn attachment(policy: ResourceId, doubts: &Doubts) -> Attachment {
    Attachment { policy, certain: doubts.reason(policy).map_or(Ok(()), |reason| Err(reason.to_owned())) }
}

fn candidates<'a>(
    kind: PolicyKind,
    resources: &'a [Resource],
    placement: &Placement,
    scopes: &Scopes,
    doubts: &'a Doubts,
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
                asked: selector.map(|selector| doubts.asked(id, &selector.match_labels)),
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
