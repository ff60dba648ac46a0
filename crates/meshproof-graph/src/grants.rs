//! ReferenceGrants: which routes may send to Services of other namespaces.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::{Mesh, NamespaceId, ResourceId};
use meshproof_resources::{GrantEnd, RouteKind, Spec};

/// The group of routes.
const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// Who may point to a Service: the kind of route and the namespace it stands in.
type From<'m> = (&'m str, &'m str);

/// What the input grants, by the namespace that is pointed into. Each pair of ends is kept once, with the names that it
/// is for; no name means all of them.
#[derive(Debug, Default)]
pub(crate) struct Grants<'m> {
    named: HashMap<(NamespaceId, From<'m>), Vec<Option<&'m str>>, RandomState>,
}

impl<'m> Grants<'m> {
    /// Reads them as Istio 1.32 does (gateway/referencegrants.go): `from` names group, kind and namespace of a route, `to`
    /// the core group, Service, and a name or none.
    pub fn new(mesh: &'m Mesh) -> Self {
        let mut grants = Grants::default();
        for (resource, place) in mesh.resources.iter().zip(&mesh.placement) {
            let (Spec::ReferenceGrant(grant), Some(into)) = (&resource.spec, place.1) else { continue };
            let services = grant.to.iter().filter(|to| to.group.is_empty() && kind(to) == Some("Service"));
            let names: Vec<Option<&str>> =
                services.map(|to| to.name.as_ref().map(|name| name.value.as_str())).collect();
            for from in grant.from.iter().filter(|from| from.group == GATEWAY_GROUP) {
                let Some((kind, of)) = kind(from).zip(from.namespace.as_ref()) else { continue };
                grants.named.entry((into, (kind, of.value.as_str()))).or_default().extend(&names);
            }
        }
        for names in grants.named.values_mut() {
            names.sort_unstable();
            names.dedup();
        }
        grants
    }

    /// Why a route may not be let through to a Service of another namespace; nothing where a grant lets it. Without one Istio
    /// answers 500, but the grant may be outside of the input.
    pub fn doubt(
        &self,
        mesh: &Mesh,
        route: ResourceId,
        (into, service): (NamespaceId, &str),
    ) -> Option<String> {
        let Spec::Route(spec) = &mesh.resource(route).spec else { return None };
        let own = mesh.placement[route.index()].1;
        if own == Some(into) {
            return None;
        }
        let kind = match spec.kind {
            RouteKind::Http => "HTTPRoute",
            RouteKind::Grpc => "GRPCRoute",
            RouteKind::Tls => "TLSRoute",
            RouteKind::Tcp => "TCPRoute",
        };
        let name = own.and_then(|own| mesh.namespace(own).name.as_deref());
        let names = name.and_then(|name| self.named.get(&(into, (kind, name))));
        let is_granted = |names: &Vec<Option<&str>>| {
            names.first() == Some(&None) || names.binary_search(&Some(service)).is_ok()
        };
        if names.is_some_and(is_granted) {
            return None;
        }
        let from = own.map_or("its namespace", |own| mesh.namespace_display(own));
        let into = mesh.namespace_display(into);
        Some(format!(
            "no ReferenceGrant of the input lets {kind}s of {from} send to Service {service} of {into}"
        ))
    }
}

fn kind(end: &GrantEnd) -> Option<&str> {
    Some(end.kind.as_ref()?.value.as_str())
}
