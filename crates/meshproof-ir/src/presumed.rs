//! Gateways whose pods are not in the input, which is the usual case: a chart or an operator makes them. Where a question
//! is asked, Gateway objects that select nobody stand for pods of their own.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use meshproof_resources::{Resource, Spec, TextMap};
use meshproof_source::Spanned;

use crate::labels::{LabelSet, SelectorIndex};
use crate::placement::Placement;
use crate::pods::{Account, NO_LABELS, PodKind, Pods};
use crate::scopes::Scopes;
use crate::{ClusterId, Mesh, NamespaceId, ResourceId, WorkloadId};

/// More homes of one gateway are not looked for.
const HOMES: usize = 4;
/// Objects of one selector that are looked at.
const LOOKED_AT: usize = 64;
/// What the charts of Istio 1.32 put before the value of the label `istio` to make that of `app`.
const APP: &str = "istio-";

/// A gateway without pods.
struct Gateway {
    id: ResourceId,
    cluster: ClusterId,
    labels: TextMap,
}

/// The cluster and the pairs of a selector.
type Asked<'a> = (ClusterId, Vec<(&'a str, &'a str)>);
/// Where its pods are taken to run, under which name.
type Home = (NamespaceId, String);

impl Mesh {
    /// Whether the input does not hold the pods: a Gateway object stands for them. Where they run and under which account is
    /// taken from what speaks of them.
    pub fn is_presumed(&self, id: WorkloadId) -> bool {
        matches!(self.resource(self.workload(id).resource).spec, Spec::Gateway(_))
    }

    /// The same for people; nothing of pods that the input holds.
    pub fn presumption(&self, id: WorkloadId) -> Option<String> {
        let workload = self.workload(id);
        self.is_presumed(id).then(|| {
            format!(
                "the pods of Gateway {} are not in the input; they are taken to run in namespace {}",
                self.resource(workload.resource).meta.name(),
                self.namespace_display(workload.namespace)
            )
        })
    }
}

/// Adds pods for Gateways that select none.
pub(crate) fn add<'a>(
    found: &mut Vec<Pods<'a>>,
    resources: &'a [Resource],
    placement: &Placement,
    scopes: &Scopes,
) {
    let gateways = without_pods(found, resources, placement);
    if gateways.is_empty() {
        return;
    }
    let services = placement.placed(&placement.kinds.services, resources);
    let services = services.filter_map(|(id, _, namespace, resource)| match &resource.spec {
        Spec::Service(service) => Some((id, namespace, &service.selector)),
        _ => None,
    });
    let services = Speaking::new(placement, services);
    let policies = placement.placed(&placement.kinds.authorization_policies, resources);
    let requests = placement.placed(&placement.kinds.request_authentications, resources);
    let policies = policies.chain(requests).filter_map(|(id, _, namespace, resource)| {
        let selector = match &resource.spec {
            Spec::AuthorizationPolicy(policy) => policy.selector.as_ref()?,
            Spec::RequestAuthentication(policy) => policy.selector.as_ref()?,
            _ => return None,
        };
        Some((id, namespace, &selector.match_labels))
    });
    let policies = Speaking::new(placement, policies);
    let mut known: HashSet<(Home, Vec<(String, String)>), RandomState> = HashSet::default();
    let mut called: HashMap<Home, usize, RandomState> = HashMap::default();
    for gateway in gateways {
        let mut pairs: Vec<(String, String)> =
            pairs(&gateway.labels).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        pairs.sort_unstable();
        let default = default_name(&gateway.labels);
        let named = services.of(&gateway).into_iter();
        let mut homes: Vec<Home> =
            named.map(|(id, home)| (home, resources[id.index()].meta.name().to_owned())).collect();
        if homes.is_empty() {
            homes.extend(policies.of(&gateway).into_iter().map(|(_, home)| (home, default.clone())));
        }
        if homes.is_empty() {
            homes.extend(scopes.root(gateway.cluster).map(|root| (root, default)));
        }
        for home in homes {
            // Gateways may select the same pods by other labels.
            if !known.insert((home.clone(), pairs.clone())) {
                continue;
            }
            // Those of more labels are pods of their own: policies that ask for them are not for the others.
            let count = called.entry(home.clone()).or_default();
            *count += 1;
            let (namespace, name) = home;
            let name = if *count == 1 { name } else { format!("{name}-{count}") };
            let at = resources[gateway.id.index()].meta.name_span();
            found.push(Pods {
                resource: gateway.id,
                name: name.into(),
                cluster: gateway.cluster,
                namespace,
                labels: std::borrow::Cow::Owned(gateway.labels.clone()),
                annotations: &NO_LABELS,
                service_account: Account::Unknown,
                host_network: false,
                containers: &[],
                kind: PodKind::Presumed,
                span: at,
            });
        }
    }
}

/// Gateways of the networking API whose selectors match no pods of their cluster, each set of labels once.
fn without_pods(found: &[Pods<'_>], resources: &[Resource], placement: &Placement) -> Vec<Gateway> {
    let of_gateway = |id: &ResourceId| match &resources[id.index()].spec {
        Spec::Gateway(gateway) if !gateway.selector.is_empty() => Some(&gateway.selector),
        _ => None,
    };
    let ids = &placement.kinds.istio_gateways;
    let selectors = ids.iter().filter_map(|id| {
        let (cluster, _) = placement.places[id.index()];
        Some((cluster.0, of_gateway(id)?, id.0))
    });
    let index = SelectorIndex::new(selectors);
    let mut served: HashSet<u32, RandomState> = HashSet::default();
    for pods in found {
        let labels = LabelSet::new(&pods.labels);
        served.extend(index.members_matching(pods.cluster.0, &labels, usize::MAX, &mut 0));
    }
    let mut known: HashSet<Asked<'_>, RandomState> = HashSet::default();
    let mut gateways = Vec::new();
    for id in ids.iter().filter(|id| !served.contains(&id.0)) {
        let Some(selector) = of_gateway(id) else { continue };
        let cluster = placement.places[id.index()].0;
        let mut pairs: Vec<(&str, &str)> = pairs(selector).collect();
        pairs.sort_unstable();
        if known.insert((cluster, pairs)) {
            gateways.push(Gateway { id: *id, cluster, labels: labels(selector) });
        }
    }
    gateways
}

fn pairs(labels: &TextMap) -> impl Iterator<Item = (&str, &str)> {
    labels.entries.iter().map(|(key, value)| (key.value.as_str(), value.value.as_str()))
}

/// The labels of a selector, and the one that Istio's charts put beside it.
fn labels(selector: &TextMap) -> TextMap {
    let mut labels = selector.clone();
    let value = |key: &str| selector.get(key).map(|value| (value.span, value.value.clone()));
    let added = match (value("istio"), value("app")) {
        (Some((span, istio)), None) => Some(("app", span, format!("{APP}{istio}"))),
        (None, Some((span, app))) => app.strip_prefix(APP).map(|istio| ("istio", span, istio.to_owned())),
        _ => None,
    };
    if let Some((key, span, value)) = added {
        labels.entries.push((Spanned::new(key.to_owned(), span), Spanned::new(value, span)));
    }
    labels
}

/// What charts call the Deployment.
fn default_name(labels: &TextMap) -> String {
    let first = || labels.entries.first().map(|(_, value)| value.value.clone());
    labels.get("app").map(|app| app.value.clone()).or_else(first).unwrap_or_default()
}

/// Objects that select pods, by cluster and labels.
struct Speaking<'a> {
    index: SelectorIndex<'a>,
    homes: Vec<(ResourceId, NamespaceId)>,
}

impl<'a> Speaking<'a> {
    fn new(
        placement: &Placement,
        objects: impl Iterator<Item = (ResourceId, NamespaceId, &'a TextMap)>,
    ) -> Speaking<'a> {
        let mut homes = Vec::new();
        let mut entries = Vec::new();
        for (id, namespace, selector) in objects {
            entries.push((placement.places[id.index()].0.0, selector, homes.len() as u32));
            homes.push((id, namespace));
        }
        Speaking { index: SelectorIndex::new(entries.into_iter()), homes }
    }

    /// The first object of each namespace that selects the pods.
    fn of(&self, gateway: &Gateway) -> Vec<(ResourceId, NamespaceId)> {
        let labels = LabelSet::new(&gateway.labels);
        let mut found = self.index.members_matching(gateway.cluster.0, &labels, LOOKED_AT, &mut 0);
        found.sort_unstable();
        let mut homes: Vec<(ResourceId, NamespaceId)> = Vec::new();
        for (id, home) in found.into_iter().map(|at| self.homes[at as usize]) {
            if homes.len() < HOMES && !homes.iter().any(|(_, known)| *known == home) {
                homes.push((id, home));
            }
        }
        homes
    }
}
