//! Where a VirtualService sends a call that a sidecar makes (Istio 1.32, networking/core/route/route.go).

use meshproof_grammar::host::resolve;
use meshproof_ir::{Layer, NamespaceId, ResourceId, WorkloadId, sort_by_age};
use meshproof_resources::{RouteDestination, VirtualService};

use crate::clients::Sender;
use crate::routes::CLUSTER_DOMAIN;
use crate::{Evidence, Transport};

/// What VirtualServices make of calls to a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// The subset of the same host that takes them.
    pub subset: Option<String>,
    /// The VirtualService that has a say.
    pub evidence: Option<Evidence>,
    /// Not all calls go there: others go to another host or subset, or nowhere.
    pub is_open: bool,
}

impl Transport<'_> {
    /// What becomes of calls that a workload makes to a host, given by its whole name. Only sidecars follow the routes of
    /// the mesh, and only those that are exported to their namespace; of several for one host the oldest counts.
    pub fn routed(&self, client: WorkloadId, host: &str, speaks: Layer) -> Routed {
        let profile = self.clients.profile(client);
        let (cluster, from) = (profile.scope.cluster, profile.scope.namespace);
        if !matches!(profile.sender, Sender::Sidecar) {
            return Routed::default();
        }
        let mut seen: Vec<(ResourceId, &VirtualService)> = self
            .routes
            .for_host(cluster, host)
            .filter(|(id, service)| self.routes.is_seen(self.mesh, *id, service, from))
            .collect();
        let mut ids: Vec<ResourceId> = seen.iter().map(|(id, _)| *id).collect();
        sort_by_age(&mut ids, &self.mesh.resources);
        seen.sort_by_key(|(id, _)| ids.iter().position(|other| other == id));
        match seen.first() {
            Some((id, service)) => self.by(*id, service, host, speaks),
            None => Routed::default(),
        }
    }

    fn by(&self, id: ResourceId, service: &VirtualService, host: &str, speaks: Layer) -> Routed {
        let namespace =
            self.mesh.placement[id.index()].1.map_or("", |id: NamespaceId| self.mesh.namespace_display(id));
        let name = format!("VirtualService {namespace}/{}", self.mesh.resource(id).meta.name());
        let say = |text: String, span| Some(Evidence { object: Some(id), span: Some(span), text });
        let whole = |destination: &RouteDestination| {
            destination.host.as_ref().map(|host| resolve(&host.value, namespace, CLUSTER_DOMAIN))
        };
        let (all, is_conditional) = destinations(service, speaks);
        let Some(first) = all.first() else { return Routed::default() };
        if let Some(other) = all.iter().find(|destination| whole(destination).is_some_and(|to| to != host)) {
            let to = whole(other).unwrap_or_default();
            let evidence = say(format!("{name} sends calls to {host} to {to}"), other.span);
            return Routed { subset: None, evidence, is_open: true };
        }
        let subset =
            |destination: &RouteDestination| destination.subset.as_ref().map(|subset| subset.value.clone());
        if all.iter().any(|destination| subset(destination) != subset(first)) {
            let evidence = say(format!("{name} sends calls to {host} to several subsets"), first.span);
            return Routed { subset: None, evidence, is_open: true };
        }
        let subset = subset(first);
        let text = match (&subset, is_conditional) {
            (None, false) => return Routed::default(),
            (Some(subset), false) => format!("{name} sends it to subset {subset}"),
            (_, true) => format!("{name} sends on only what one of its matches names"),
        };
        Routed { subset, evidence: say(text, first.span), is_open: is_conditional }
    }
}

/// The destinations for a layer, and whether every route asks for something.
fn destinations(service: &VirtualService, speaks: Layer) -> (Vec<&RouteDestination>, bool) {
    if speaks == Layer::Http {
        let all = service.http.iter().flat_map(|route| route.route.iter()).collect();
        return (all, service.http.iter().all(|route| !route.matches.is_empty()));
    }
    let routes = || service.tls.iter().chain(service.tcp.iter());
    let all = routes().flat_map(|route| route.route.iter()).collect();
    (all, routes().all(|route| !route.matches.is_empty()))
}
