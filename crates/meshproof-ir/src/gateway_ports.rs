//! On which ports the proxy of an ingress gateway listens, and with which chains (Istio 1.32,
//! config/kube/gateway/conversion.go and model/gateway.go).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use meshproof_grammar::host::Host;
use meshproof_resources::{Listener, ObjectRef, Route, RouteKind, Spec, Text};

use crate::{GatewayId, GatewayRole, GatewayService, Mesh, NamespaceId, ResourceId, ServiceId};

const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// A port of a gateway's proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPort {
    /// The number on which the proxy listens; callers may see another one on its Service.
    pub number: u16,
    /// It has HTTP chains.
    pub http: bool,
    /// It has TCP chains.
    pub tcp: bool,
    /// Indexes of the listeners behind it.
    pub listeners: Vec<usize>,
}

/// A route that names a Gateway as its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteParent {
    /// The route.
    pub route: ResourceId,
    /// Index into its `parentRefs`.
    pub parent: usize,
}

impl Mesh {
    /// The ports of an ingress gateway's proxy, by number. None when no pod is where the Gateway is (waypoint
    /// reference, G1), and for other Gateways. A listener for TCP or TLS needs a route; where it is open whether one is
    /// admitted, it counts.
    pub fn gateway_ports(&self, id: GatewayId) -> Vec<GatewayPort> {
        let gateway = self.gateway(id);
        let Some(spec) = self.gateway_spec(id).filter(|_| gateway.role == GatewayRole::Ingress) else {
            return Vec::new();
        };
        let bound = self.bound_ports(id);
        let mut ports: BTreeMap<u16, GatewayPort> = BTreeMap::new();
        for (at, listener) in spec.listeners.iter().enumerate() {
            let Some(number) = &listener.port else { continue };
            let Some(is_http) = self.has_http_chain(id, listener) else { continue };
            for number in bound.get(&number.value).into_iter().flatten() {
                let fresh =
                    || GatewayPort { number: *number, http: false, tcp: false, listeners: Vec::new() };
                let port = ports.entry(*number).or_insert_with(fresh);
                port.http |= is_http;
                port.tcp |= !is_http;
                port.listeners.push(at);
            }
        }
        ports.into_values().collect()
    }

    /// Whether the chain of a listener is one for HTTP; nothing when it has none.
    fn has_http_chain(&self, id: GatewayId, listener: &Listener) -> Option<bool> {
        let routed = |kinds: &[RouteKind]| self.has_route(id, listener, kinds).then_some(false);
        match listener.protocol.as_ref()?.value.as_str() {
            "HTTP" | "HTTPS" => Some(true),
            "TCP" => routed(&[RouteKind::Tcp]),
            "TLS" => {
                let mode = listener.tls.as_ref().and_then(|tls| tls.mode.as_ref());
                match mode.map(|mode| mode.value.as_str()) {
                    Some("Passthrough") => routed(&[RouteKind::Tls]),
                    _ => routed(&[RouteKind::Tls, RouteKind::Tcp]),
                }
            }
            _ => None,
        }
    }

    /// The ports of the Gateway's pods by the port of the Services in front of them. What no Service has is not
    /// listened on.
    fn bound_ports(&self, id: GatewayId) -> HashMap<u16, BTreeSet<u16>, RandomState> {
        let gateway = self.gateway(id);
        let mut bound: HashMap<u16, BTreeSet<u16>, RandomState> = HashMap::default();
        let mut local = self.gateway_pods(id).map(|pods| self.workload(pods)).peekable();
        if local.peek().is_none() {
            return bound;
        }
        let deployed = gateway.deployed_service().map_or(&[][..], |service| service.ports.as_slice());
        for port in deployed {
            bound.entry(port.number).or_default().insert(port.number);
        }
        let is_in_front = |service: ServiceId| gateway.services.contains(&GatewayService::Written(service));
        for port in local.flat_map(|pods| &pods.ports) {
            for binding in port.bindings.iter().filter(|binding| is_in_front(binding.service)) {
                let ports = self.service_spec(binding.service).and_then(|spec| spec.ports.get(binding.port));
                if let Some(service_port) = ports {
                    bound.entry(service_port.port.value).or_default().insert(port.number);
                }
            }
        }
        bound
    }

    fn has_route(&self, id: GatewayId, listener: &Listener, kinds: &[RouteKind]) -> bool {
        self.gateway(id).routes.iter().any(|found| {
            let Spec::Route(route) = &self.resource(found.route).spec else { return false };
            let Some(parent) = route.parent_refs.get(found.parent) else { return false };
            let namespace = self.placement[found.route.index()].1;
            kinds.contains(&route.kind)
                && names(parent, listener)
                && allows_kind(listener, &self.resource(found.route).meta.kind)
                && shares_host(listener, route)
                && namespace.is_some_and(|namespace| self.admits_route(id, listener, namespace))
        })
    }

    /// The names under which a listener sends requests to a route that names its Gateway: those that both are for, as they are
    /// written, none where they are for all names. Nothing where the listener does not admit the route.
    ///
    /// # Errors
    /// What has to be known of the namespace of the route and is not.
    pub fn admitted_hosts(
        &self,
        id: GatewayId,
        listener: &Listener,
        found: RouteParent,
    ) -> Result<Option<Vec<String>>, String> {
        let Spec::Route(route) = &self.resource(found.route).spec else { return Ok(None) };
        let (Some(parent), Some(namespace)) =
            (route.parent_refs.get(found.parent), self.placement[found.route.index()].1)
        else {
            return Ok(None);
        };
        let kind = &self.resource(found.route).meta.kind;
        let is_named = names(parent, listener) && allows_kind(listener, kind) && fits(listener, route.kind);
        if !is_named || !shares_host(listener, route) {
            return Ok(None);
        }
        let own = self.gateway(id).namespace;
        let is_admitted = self.admits_namespace(listener.allowed_routes.as_ref(), own, namespace)?;
        Ok(is_admitted.then(|| shared_hosts(listener, route)))
    }

    fn admits_route(&self, id: GatewayId, listener: &Listener, namespace: NamespaceId) -> bool {
        let own = self.gateway(id).namespace;
        self.admits_namespace(listener.allowed_routes.as_ref(), own, namespace).unwrap_or(true)
    }

    /// Gives every Gateway the routes that name it.
    pub(crate) fn add_routes(&mut self, routes: &[ResourceId]) {
        for route in routes {
            for (gateway, parent) in self.gateways_of_route(*route) {
                self.gateways[gateway.index()].routes.push(RouteParent { route: *route, parent });
            }
        }
    }

    fn gateways_of_route(&self, id: ResourceId) -> Vec<(GatewayId, usize)> {
        let (cluster, namespace) = self.placement[id.index()];
        let Spec::Route(route) = &self.resource(id).spec else { return Vec::new() };
        let is = |text: &Option<Text>, wanted: &str| text.as_ref().is_none_or(|text| text.value == wanted);
        let gateway = |(at, parent): (usize, &ObjectRef)| {
            if !is(&parent.group, GATEWAY_GROUP) || !is(&parent.kind, "Gateway") {
                return None;
            }
            let namespace = match &parent.namespace {
                Some(name) => self.namespace_by_name(cluster, &name.value)?,
                None => namespace?,
            };
            Some((self.gateway_named(namespace, &parent.name.as_ref()?.value)?, at))
        };
        route.parent_refs.iter().enumerate().filter_map(gateway).collect()
    }
}

/// Whether a parent reference means this listener.
fn names(parent: &ObjectRef, listener: &Listener) -> bool {
    let section = parent.section.as_ref().map(|section| &section.value);
    let own = listener.name.as_ref().map(|name| &name.value);
    let port = parent.port.as_ref().map(|port| port.value);
    section.is_none_or(|section| Some(section) == own)
        && port.is_none_or(|port| listener.port.as_ref().is_some_and(|own| own.value == port))
}

/// Whether routes of a kind go with the protocol of a listener.
fn fits(listener: &Listener, kind: RouteKind) -> bool {
    let protocol = listener.protocol.as_ref().map_or("", |protocol| protocol.value.as_str());
    match kind {
        RouteKind::Http | RouteKind::Grpc => matches!(protocol, "HTTP" | "HTTPS"),
        RouteKind::Tls => protocol == "TLS",
        RouteKind::Tcp => matches!(protocol, "TCP" | "TLS"),
    }
}

/// Whether `allowedRoutes.kinds` lets the kind in; an empty list means what fits the protocol.
fn allows_kind(listener: &Listener, kind: &Text) -> bool {
    let kinds = listener.allowed_routes.as_ref().map_or(&[][..], |routes| routes.kinds.as_slice());
    kinds.is_empty() || kinds.iter().any(|(_, allowed)| allowed.value == kind.value)
}

/// Whether a route with host names is for any host of the listener.
fn shares_host(listener: &Listener, route: &Route) -> bool {
    let Some(own) = listener.hostname.as_ref().and_then(|host| Host::parse(&host.value).ok()) else {
        return true;
    };
    let mut hosts = route.hostnames.iter().filter_map(|host| Host::parse(&host.value).ok()).peekable();
    hosts.peek().is_none() || hosts.any(|host| host.overlaps(&own))
}

/// The narrower of each two names that listener and route share.
fn shared_hosts(listener: &Listener, route: &Route) -> Vec<String> {
    let of_route = || route.hostnames.iter().map(|host| &host.value);
    let Some(of_listener) = listener.hostname.as_ref().map(|host| &host.value) else {
        return of_route().cloned().collect();
    };
    if route.hostnames.items.is_empty() {
        return vec![of_listener.clone()];
    }
    let narrower = |host: &String| {
        let (own, other) = (Host::parse(host).ok()?, Host::parse(of_listener).ok()?);
        match (own.is_within(&other), other.is_within(&own)) {
            (true, _) => Some(host.clone()),
            (_, true) => Some(of_listener.clone()),
            _ => None,
        }
    };
    let mut hosts: Vec<String> = of_route().filter_map(narrower).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}
