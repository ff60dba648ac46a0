//! What a proxy knows of: hosts that are exported to it and that its Sidecar object imports (Istio 1.32,
//! model/sidecar.go).

use meshproof_grammar::host::{Host, resolve};
use meshproof_ir::{ClusterId, Mesh, NamespaceId, ResourceId};
use meshproof_resources::{EgressListener, ServiceEntry, Sidecar, Spec, Text, TextMap, VirtualService};

use crate::export::Seen;
use crate::registry::{HostPort, Registry, Resolution, Written};
use crate::routes::{CLUSTER_DOMAIN, MeshRoutes};

/// From where a proxy looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) cluster: ClusterId,
    pub(crate) namespace: NamespaceId,
    /// Its Sidecar object; gateways have none.
    pub(crate) sidecar: Option<ResourceId>,
    pub(crate) is_gateway: bool,
}

/// What a proxy takes a host for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known<'m> {
    /// Index into the registry: the object whose settings count.
    pub(crate) service: u32,
    /// Its ports, with those of other objects for the host that are joined to it.
    pub(crate) ports: Vec<HostPort<'m>>,
}

/// One object as a listener imports it.
struct Import<'m> {
    service: u32,
    ports: Vec<HostPort<'m>>,
}

/// Everything that is looked at to know a host.
pub(crate) struct Scopes<'s, 'm> {
    pub(crate) mesh: &'m Mesh,
    pub(crate) registry: &'s Registry<'m>,
    pub(crate) routes: &'s MeshRoutes<'m>,
}

impl<'m> Scopes<'_, 'm> {
    /// What a proxy takes a host for; none when it is not in its scope.
    pub(crate) fn known(&self, scope: &Scope, host: &str) -> Option<Known<'m>> {
        let mut seen: Vec<(Seen, u32)> = self
            .registry
            .of_host(scope.cluster, host)
            .iter()
            .filter_map(|at| Some((self.registry.seen(*at, scope.namespace)?, *at)))
            .collect();
        seen.sort_by_key(|(seen, _)| *seen);
        let visible: Vec<u32> = seen.into_iter().map(|(_, at)| at).collect();
        let listeners = self.sidecar(scope).map_or(&[][..], |sidecar| &sidecar.egress);
        let mut known = None;
        if scope.is_gateway || listeners.is_empty() {
            let mut imports: Vec<Import<'m>> = visible.iter().map(|at| self.whole(*at)).collect();
            if !scope.is_gateway {
                self.keep_one_namespace(scope, &mut imports);
            }
            imports.into_iter().for_each(|import| self.join(&mut known, import));
            return known;
        }
        for listener in listeners {
            let imported = visible.iter().filter_map(|at| self.import(scope, listener, *at));
            let mut imports: Vec<Import<'m>> = imported.collect();
            self.keep_one_namespace(scope, &mut imports);
            imports.into_iter().for_each(|import| self.join(&mut known, import));
            // Routes bring their destinations along.
            if known.is_none()
                && self
                    .routes
                    .leading_to(scope.cluster, host)
                    .any(|(id, route)| self.imports_route(scope, listener, id, route))
                && let Some(at) = self.of_route(scope, &visible, host)
                && let Some(import) = self.at_port(listener, self.whole(at))
            {
                self.join(&mut known, import);
            }
        }
        known
    }

    /// The Sidecar object of a scope.
    pub(crate) fn sidecar(&self, scope: &Scope) -> Option<&'m Sidecar> {
        match &self.mesh.resource(scope.sidecar?).spec {
            Spec::Sidecar(sidecar) => Some(sidecar),
            _ => None,
        }
    }

    fn whole(&self, at: u32) -> Import<'m> {
        Import { service: at, ports: self.registry.ports(at) }
    }

    fn import(&self, scope: &Scope, listener: &EgressListener, at: u32) -> Option<Import<'m>> {
        let service = self.registry.service(at);
        let matched = self.matches(scope, listener, service.namespace, |host| covers(host, service.host));
        matched.then(|| self.at_port(listener, self.whole(at))).flatten()
    }

    /// Whether any entry of `hosts` takes something of this namespace.
    fn matches(
        &self,
        scope: &Scope,
        listener: &EgressListener,
        namespace: NamespaceId,
        covers: impl Fn(&str) -> bool,
    ) -> bool {
        // `~/*` takes everything back, whatever stands beside it.
        if listener.hosts.iter().any(|entry| entry.value.starts_with("~/")) {
            return false;
        }
        let of = self.mesh.namespace(namespace).name.as_deref();
        listener.hosts.iter().any(|entry| {
            let Some((from, host)) = entry.value.split_once('/') else { return false };
            let from_there = match from {
                "*" => true,
                "." => namespace == scope.namespace,
                name => Some(name) == of,
            };
            from_there && covers(host)
        })
    }

    /// A listener with a port of its own imports that port alone.
    fn at_port(&self, listener: &EgressListener, mut import: Import<'m>) -> Option<Import<'m>> {
        let port = listener.port.as_ref().filter(|port| {
            // A listener for HTTP_PROXY is a proxy for everything.
            port.protocol.as_ref().is_none_or(|protocol| !protocol.value.eq_ignore_ascii_case("HTTP_PROXY"))
        });
        if let Some(number) = port.and_then(|port| port.number.as_ref()).filter(|number| number.value != 0) {
            import.ports.retain(|port| port.number == number.value);
        }
        (!import.ports.is_empty()).then_some(import)
    }

    /// Of one host in several namespaces one is taken: that of the client, else that of a Kubernetes Service, else the
    /// first.
    fn keep_one_namespace(&self, scope: &Scope, imports: &mut Vec<Import<'m>>) {
        let place = |import: &Import<'m>| {
            let service = self.registry.service(import.service);
            (service.namespace, !service.is_entry())
        };
        let mut taken: Option<(NamespaceId, bool)> = None;
        for import in imports.iter() {
            let (namespace, is_kubernetes) = place(import);
            let replaces = match taken {
                None => true,
                Some(_) if namespace == scope.namespace => true,
                Some((other, was_kubernetes)) => !was_kubernetes && is_kubernetes && other != scope.namespace,
            };
            if replaces {
                taken = Some((namespace, is_kubernetes));
            }
        }
        imports.retain(|import| Some(place(import).0) == taken.map(|(namespace, _)| namespace));
    }

    /// Adds an object for a host that may be known already. A Kubernetes Service stands alone; others of one namespace
    /// and kind share their ports.
    fn join(&self, known: &mut Option<Known<'m>>, import: Import<'m>) {
        let Some(first) = known else {
            *known = Some(Known { service: import.service, ports: import.ports });
            return;
        };
        let (old, new) = (self.registry.service(first.service), self.registry.service(import.service));
        match (old.is_entry(), new.is_entry()) {
            (false, true) => {}
            (true, false) => *first = Known { service: import.service, ports: import.ports },
            _ if old.namespace == new.namespace
                && old.resolution() == new.resolution()
                && self.is_alike(first.service, import.service) =>
            {
                let numbers: Vec<u16> = first.ports.iter().map(|port| port.number).collect();
                first.ports.extend(import.ports.into_iter().filter(|port| !numbers.contains(&port.number)));
            }
            _ => {}
        }
    }

    /// Whether labels, selector and exportTo of two objects are equal, without which they are not joined.
    fn is_alike(&self, first: u32, second: u32) -> bool {
        let (first, second) = (self.registry.service(first), self.registry.service(second));
        let labels = |id: ResourceId| pairs(&self.mesh.resource(id).meta.labels);
        if first.resource == second.resource {
            return true;
        }
        let (Written::Entry(one), Written::Entry(other)) = (first.written, second.written) else {
            return true;
        };
        let exported = |list: &[Text]| {
            let mut values: Vec<String> = list.iter().map(|value| value.value.clone()).collect();
            values.sort();
            values.dedup();
            values
        };
        let selector = |entry: &ServiceEntry| {
            entry.workload_selector.as_ref().map(|selector| pairs(&selector.labels)).unwrap_or_default()
        };
        labels(first.resource) == labels(second.resource)
            && selector(one) == selector(other)
            && exported(&one.export_to) == exported(&other.export_to)
    }

    fn imports_route(
        &self,
        scope: &Scope,
        listener: &EgressListener,
        id: ResourceId,
        route: &VirtualService,
    ) -> bool {
        let Some(namespace) = self.mesh.placement[id.index()].1 else { return false };
        let own = self.mesh.namespace(namespace).name.as_deref().unwrap_or_default();
        self.routes.is_seen(self.mesh, id, route, scope.namespace)
            && route.hosts.iter().any(|host| {
                let host = resolve(&host.value, own, CLUSTER_DOMAIN);
                self.matches(scope, listener, namespace, |imported| covers(imported, &host))
            })
    }

    /// Whether a proxy follows a VirtualService for the hosts that it is for: it is exported to its namespace, and one of the
    /// listeners of its Sidecar object imports it.
    pub(crate) fn follows_route(&self, scope: &Scope, id: ResourceId, route: &VirtualService) -> bool {
        let listeners = self.sidecar(scope).map_or(&[][..], |sidecar| &sidecar.egress);
        match listeners {
            [] => self.routes.is_seen(self.mesh, id, route, scope.namespace),
            some => some.iter().any(|listener| self.imports_route(scope, listener, id, route)),
        }
    }

    /// The object that a route means: that of the client's namespace, else of the first namespace by name.
    fn of_route(&self, scope: &Scope, visible: &[u32], host: &str) -> Option<u32> {
        let all = self.registry.of_host(scope.cluster, host);
        let of = |at: &u32| self.registry.service(*at).namespace;
        let own = all.iter().find(|at| of(at) == scope.namespace);
        let name = |at: &&u32| self.mesh.namespace(of(at)).name.clone();
        own.or_else(|| visible.iter().min_by_key(name)).copied()
    }

    /// The host that a Service of type ExternalName stands for, as far as it is an alias of another one.
    pub(crate) fn concrete<'h>(&self, cluster: ClusterId, host: &'h str) -> &'h str
    where
        'm: 'h,
    {
        let mut host = host;
        // Two aliases of each other lead nowhere.
        for _ in 0..8 {
            let found = self.registry.of_host(cluster, host).first().copied();
            let Some(service) = found.map(|at| self.registry.service(at)) else { return host };
            if service.resolution() != Resolution::Alias {
                return host;
            }
            let Written::Service(_, spec) = service.written else { return host };
            let Some(name) = &spec.external_name else { return host };
            host = name.value.as_str();
        }
        host
    }
}

fn pairs(map: &TextMap) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> =
        map.entries.iter().map(|(key, value)| (key.value.clone(), value.value.clone())).collect();
    pairs.sort();
    pairs
}

/// Whether an imported host takes every name of another one.
fn covers(imported: &str, host: &str) -> bool {
    match (Host::parse(imported), Host::parse(host)) {
        (Ok(imported), Ok(host)) => host.is_within(&imported),
        _ => imported == host,
    }
}
