//! Where VirtualServices send the calls of sidecars (Istio 1.32, networking/core/route/route.go, networking/core/tls.go).

use meshproof_grammar::host::resolve;
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Layer, Mesh, NamespaceId, ResourceId, WorkloadId, sort_by_age};
use meshproof_resources::{
    Field, HttpMatch, L4Match, RouteDestination, Text, TextMap, VirtualHttpRoute, VirtualService,
};

use crate::clients::{Profile, Sender};
use crate::outbound::Redirected;
use crate::routes::CLUSTER_DOMAIN;
use crate::{Evidence, Transport};

/// The gateway that means all sidecars.
const MESH: &str = "mesh";

/// What VirtualServices make of calls to a port of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// Where calls go, each place but once, in the order of the routes. Nothing where no VirtualService has a say, or where
    /// it sends all of them to the host itself.
    pub destinations: Vec<RoutedTo>,
    /// Calls that get to none of these: no route takes them, or the proxy answers itself.
    pub lost: Option<Evidence>,
    /// What the input leaves open about the routes.
    pub unknown: Option<Evidence>,
}

/// A place where calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedTo {
    /// The whole name of the host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its subset.
    pub subset: Option<String>,
    /// The route that says so, in words.
    pub evidence: Evidence,
}

/// Whether a route takes calls of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    No,
    /// Those that ask for something.
    Some,
    All,
}

/// A route in common form.
struct Route<'m> {
    takes: Takes,
    to: &'m [RouteDestination],
    /// Why it leads to no destination of its own.
    answers: Option<Evidence>,
    delegates: bool,
}

/// Whose calls are routed.
struct From<'a> {
    namespace: Option<&'a str>,
    /// Absent for several clients, which may differ in them.
    labels: Option<&'a TextMap>,
    port: u16,
}

impl<'m> Transport<'m> {
    /// Where calls go that a workload makes to a port of a host, given by its whole name. Only sidecars follow the routes of
    /// the mesh, and only those that are exported to their namespace and imported by their Sidecar object; of several for
    /// one host the oldest counts.
    pub fn routed(&self, client: WorkloadId, host: &str, port: u16, speaks: Layer) -> Routed {
        let labels = &self.mesh.workload(client).labels;
        self.routed_for(self.clients.profile(client), Some(labels), (host, port), speaks)
    }

    /// The same for all clients of a profile; without labels, routes for some labels may or may not take the call.
    pub(crate) fn routed_for(
        &self,
        profile: &Profile,
        labels: Option<&TextMap>,
        (host, port): (&str, u16),
        speaks: Layer,
    ) -> Routed {
        let cluster = profile.scope.cluster;
        if profile.sender != Sender::Sidecar || profile.outbound.of(port) != Redirected::Yes {
            return Routed::default();
        }
        let scopes = self.scopes();
        let mut seen: Vec<(ResourceId, &'m VirtualService)> = self
            .routes
            .for_host(cluster, host)
            .filter(|(id, service)| scopes.follows_route(&profile.scope, *id, service))
            .collect();
        let mut ids: Vec<ResourceId> = seen.iter().map(|(id, _)| *id).collect();
        sort_by_age(&mut ids, &self.mesh.resources);
        seen.sort_by_key(|(id, _)| ids.iter().position(|other| other == id));
        let Some((id, service)) = seen.first() else { return Routed::default() };
        let namespace = self.mesh.namespace(profile.scope.namespace).name.as_deref();
        let from = From { namespace, labels, port };
        let objects = self.registry.of_host(cluster, host).iter();
        let mut ports = objects.flat_map(|at| self.registry.ports(*at));
        let class = ports.find(|own| own.number == port).map(|own| own.class);
        let is_http =
            speaks == Layer::Http && !matches!(class, Some(ProtocolClass::Tcp | ProtocolClass::Udp));
        self.by(*id, &routes(service, is_http, &from), (host, port))
    }

    fn by(&self, id: ResourceId, routes: &[Route<'_>], (host, port): (&str, u16)) -> Routed {
        let name = display(self.mesh, id);
        let own = self.mesh.placement[id.index()].1.map_or("", |id| self.mesh.namespace_display(id));
        let say = |text: String, span| Evidence { object: Some(id), span: Some(span), text };
        let mut routed = Routed::default();
        let mut takes_all = false;
        for route in routes.iter().filter(|route| route.takes != Takes::No) {
            let weights: u64 = route.to.iter().map(weight).sum();
            // Without any weight all of them get the same.
            let counts = |to: &&RouteDestination| weights == 0 || weight(to) > 0;
            for to in route.to.iter().filter(counts) {
                let written = to.host.as_ref().map_or("", |host| host.value.as_str());
                let to_host = resolve(written, own, CLUSTER_DOMAIN);
                let to_port = self.port_of(id, &to_host, to, port);
                let subset = to.subset.as_ref().map(|subset| subset.value.clone());
                let is_known = |known: &RoutedTo| {
                    (&known.host, known.port, &known.subset) == (&to_host, to_port, &subset)
                };
                if routed.destinations.iter().any(is_known) {
                    continue;
                }
                let share =
                    if route.to.len() == 1 { Some(100) } else { (weight(to) * 100).checked_div(weights) };
                let is_rest = route.takes == Takes::All && routed.destinations.is_empty();
                let what = match share.filter(|_| is_rest || share < Some(100)) {
                    Some(100) => "it".to_owned(),
                    Some(share) if route.takes == Takes::All => format!("{share} % of the calls"),
                    _ => "some of the calls".to_owned(),
                };
                let place = destination((host, port), (&to_host, to_port), subset.as_deref());
                let evidence = say(format!("{name} sends {what} to {place}"), to.span);
                routed.destinations.push(RoutedTo { host: to_host, port: to_port, subset, evidence });
            }
            if let Some(answers) = &route.answers {
                let text = format!("{name} {}", answers.text);
                routed.lost.get_or_insert(Evidence { object: Some(id), span: answers.span, text });
            }
            if route.delegates {
                let span = self.mesh.resource(id).meta.name_span();
                routed.unknown.get_or_insert(say(format!("{name} leaves routes to another one"), span));
            }
            if route.takes == Takes::All {
                takes_all = true;
                break;
            }
        }
        if !takes_all && !routes.is_empty() {
            let text = format!("{name} sends on only what one of its matches names");
            let span = self.mesh.resource(id).meta.name_span();
            routed.lost.get_or_insert(say(text, span));
        }
        let is_itself = |to: &RoutedTo| (to.host.as_str(), to.port, &to.subset) == (host, port, &None);
        match routed.destinations.as_slice() {
            [only] if is_itself(only) && routed.lost.is_none() && routed.unknown.is_none() => {
                Routed::default()
            }
            _ => routed,
        }
    }

    /// The port of a destination: the one that is written, the only one that there is, or the one that is called.
    fn port_of(&self, route: ResourceId, host: &str, to: &RouteDestination, called: u16) -> u16 {
        if let Some(port) = &to.port {
            return port.value;
        }
        let cluster = self.mesh.placement[route.index()].0;
        let first = self.registry.of_host(cluster, host).first();
        match first.map(|at| self.registry.ports(*at)).as_deref() {
            Some([only]) => only.number,
            _ => called,
        }
    }
}

/// A destination as a reader of the route would name it.
fn destination((host, port): (&str, u16), (to, to_port): (&str, u16), subset: Option<&str>) -> String {
    let there = match (to == host, to_port == port) {
        (true, true) => None,
        (true, false) => Some(format!("port {to_port}")),
        (false, _) => Some(format!("{to}:{to_port}")),
    };
    match (there, subset) {
        (None, None) => format!("{to} itself"),
        (Some(there), None) => there,
        (None, Some(subset)) => format!("subset {subset}"),
        (Some(there), Some(subset)) => format!("subset {subset} of {there}"),
    }
}

fn weight(to: &RouteDestination) -> u64 {
    to.weight.as_ref().map_or(0, |weight| u64::from(weight.value))
}

fn display(mesh: &Mesh, id: ResourceId) -> String {
    let namespace = mesh.placement[id.index()].1.map_or("", |id: NamespaceId| mesh.namespace_display(id));
    format!("VirtualService {namespace}/{}", mesh.resource(id).meta.name())
}

/// The routes for HTTP, or those for connections. Routes by server name are for clients that speak TLS themselves.
fn routes<'m>(service: &'m VirtualService, is_http: bool, from: &From<'_>) -> Vec<Route<'m>> {
    if is_http {
        return service.http.iter().map(|route| http_route(route, from)).collect();
    }
    let route = |route: &'m meshproof_resources::VirtualL4Route| Route {
        takes: takes(&route.matches, |one| l4_match(one, from)),
        to: &route.route,
        answers: None,
        delegates: false,
    };
    service.tls.iter().chain(service.tcp.iter()).map(route).collect()
}

fn http_route<'m>(route: &'m VirtualHttpRoute, from: &From<'_>) -> Route<'m> {
    let text = "answers calls itself, with a redirect or a response that it writes".to_owned();
    Route {
        takes: takes(&route.matches, |one| http_match(one, from)),
        to: &route.route,
        answers: route.answered.map(|span| Evidence { object: None, span: Some(span), text }),
        delegates: route.delegate.is_some(),
    }
}

fn takes<T>(matches: &Field<T>, one: impl Fn(&T) -> Takes) -> Takes {
    if matches.is_empty() {
        return Takes::All;
    }
    matches.iter().map(one).max().unwrap_or(Takes::No)
}

fn http_match(one: &HttpMatch, from: &From<'_>) -> Takes {
    let asks = one.uri.is_some()
        || one.scheme.is_some()
        || one.method.is_some()
        || one.authority.is_some()
        || !one.headers.is_empty()
        || !one.without_headers.is_empty()
        || !one.query_params.is_empty();
    let port = one.port.as_ref().map(|port| port.value);
    // Where a match of requests names gateways, it asks nothing else of the client (Istio 1.32, `route.go`,
    // `sourceMatchHTTP`); a match of connections asks everything (`tls.go`).
    let of_client = match one.gateways.is_empty() {
        true => client_takes(from, port, one.source_namespace.as_ref(), (&one.source_labels, &one.gateways)),
        false => client_takes(from, port, None, (&TextMap::default(), &one.gateways)),
    };
    if asks { of_client.min(Takes::Some) } else { of_client }
}

fn l4_match(one: &L4Match, from: &From<'_>) -> Takes {
    let asks = !one.sni_hosts.is_empty() || !one.destination_subnets.is_empty();
    let port = one.port.as_ref().map(|port| port.value);
    let of_client =
        client_takes(from, port, one.source_namespace.as_ref(), (&one.source_labels, &one.gateways));
    if asks { of_client.min(Takes::Some) } else { of_client }
}

/// Whether the parts of a match that ask about the client and the port take it.
fn client_takes(
    from: &From<'_>,
    port: Option<u16>,
    namespace: Option<&Text>,
    (labels, gateways): (&TextMap, &Field<Text>),
) -> Takes {
    let is_elsewhere = port.is_some_and(|port| port != from.port)
        || namespace
            .is_some_and(|wanted| !wanted.value.is_empty() && Some(wanted.value.as_str()) != from.namespace)
        || (!gateways.is_empty() && !gateways.iter().any(|gateway| gateway.value == MESH));
    match from.labels {
        _ if is_elsewhere => Takes::No,
        _ if labels.entries.is_empty() => Takes::All,
        None => Takes::Some,
        Some(own) if labels.is_subset_of(own) => Takes::All,
        Some(_) => Takes::No,
    }
}
