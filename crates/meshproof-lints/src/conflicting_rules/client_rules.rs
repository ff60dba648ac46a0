//! Which DestinationRule clients follow for a Service (mutual-TLS reference §2.4; Istio 1.32, push_context.go): one of
//! their own namespace, else one of the Service's, else one of the root namespace; there the most specific host wins.

use std::cell::Cell;

use meshproof_grammar::host::resolve;
use meshproof_ir::{Capture, NamespaceId, ResourceId, ServiceId, Workload};
use meshproof_resources::{DestinationRule, Spec};

use crate::Context;
use crate::hash::Map;

/// Namespaces with clients looked at per rule; beyond it no client is named.
const LOOKED_AT: usize = 256;

/// Hosts of the rules of one namespace, as full names.
#[derive(Default)]
struct Hosts {
    /// How many rules name each.
    names: Map<String, usize>,
    /// The same for wildcards, without the star.
    endings: Map<String, usize>,
}

impl Hosts {
    /// The most specific host that matches a full name, and how many rules name it.
    fn best<'h>(&'h self, fqdn: &'h str) -> Option<Best<'h>> {
        if let Some(count) = self.names.get(fqdn) {
            return Some(Best { wildcard: false, text: fqdn, count: *count });
        }
        if self.endings.is_empty() {
            return None;
        }
        let endings = fqdn.char_indices().map(|(at, _)| &fqdn[at..]).chain([""]);
        endings
            .into_iter()
            .find_map(|text| self.endings.get(text).map(|count| Best { wildcard: true, text, count: *count }))
    }
}

struct Best<'h> {
    wildcard: bool,
    text: &'h str,
    count: usize,
}

/// All DestinationRules by namespace, and who may be their clients.
pub(super) struct ClientRules<'c> {
    hosts: Map<NamespaceId, Hosts>,
    /// Per namespace the first two workloads with a sidecar: one of them is not the server.
    clients: Vec<(NamespaceId, [Option<&'c Workload>; 2])>,
    looked_at: Cell<usize>,
}

impl<'c> ClientRules<'c> {
    pub(super) fn new(ctx: &Context<'c>) -> Self {
        let mut hosts: Map<NamespaceId, Hosts> = Map::default();
        for (id, rule) in rules(ctx) {
            let (Some(namespace), Some(host)) = (ctx.namespace_of(id), host(ctx, id, rule)) else { continue };
            let of_namespace = hosts.entry(namespace).or_default();
            let list = match host.strip_prefix('*') {
                Some(ending) => of_namespace.endings.entry(ending.to_owned()),
                None => of_namespace.names.entry(host),
            };
            *list.or_default() += 1;
        }
        let mut clients = Vec::new();
        for (at, namespace) in ctx.mesh.namespaces.iter().enumerate() {
            let members = namespace.workloads.iter().map(|id| &ctx.mesh.workloads[id.index()]);
            let mut found = members.filter(|workload| {
                matches!(workload.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone))
            });
            if let Some(first) = found.next() {
                clients.push((NamespaceId(at as u32), [Some(first), found.next()]));
            }
        }
        ClientRules { hosts, clients, looked_at: Cell::new(0) }
    }

    /// Namespaces looked at for a client so far.
    pub(super) fn looked_at(&self) -> usize {
        self.looked_at.get()
    }

    /// Whether no other rule of the namespace is for the same host.
    pub(super) fn is_alone(&self, namespace: NamespaceId, host: &str, fqdn: &str) -> bool {
        self.best(namespace, fqdn).is_some_and(|best| is_it(&best, host) && best.count == 1)
    }

    fn best<'h>(&'h self, namespace: NamespaceId, fqdn: &'h str) -> Option<Best<'h>> {
        self.hosts.get(&namespace)?.best(fqdn)
    }

    /// A workload that follows the rule `id` for `host` when it calls a Service, and is not `server`.
    pub(super) fn client(
        &self,
        ctx: &Context<'c>,
        id: ResourceId,
        rule: &DestinationRule,
        host: &str,
        (service, server): (ServiceId, &Workload),
    ) -> Option<&'c Workload> {
        let service = &ctx.mesh.services[service.index()];
        let fqdn = service.fqdn.as_deref()?;
        let own = ctx.namespace_of(id)?;
        if !is_it(&self.best(own, fqdn)?, host) {
            return None;
        }
        let name = ctx.mesh.namespaces[own.index()].name.as_deref();
        let exported = |to: &str| rule.export_to.iter().any(|entry| entry.value == to);
        let to_all = rule.export_to.is_empty() || exported("*");
        let to_own = to_all || exported(".") || name.is_some_and(exported);
        let of_service = own == service.namespace;
        let of_root = ctx.is_root(own) && self.best(service.namespace, fqdn).is_none();
        let follows = |namespace: NamespaceId| {
            self.looked_at.set(self.looked_at.get() + 1);
            if namespace == own {
                return to_own;
            }
            let one_cluster =
                ctx.mesh.namespaces[namespace.index()].cluster == ctx.mesh.namespaces[own.index()].cluster;
            to_all && one_cluster && (of_service || of_root) && self.best(namespace, fqdn).is_none()
        };
        let in_namespace = |(namespace, members): &(NamespaceId, [Option<&'c Workload>; 2])| {
            let other = members.iter().flatten().find(|client| client.resource != server.resource)?;
            follows(*namespace).then_some(*other)
        };
        let at = self.clients.binary_search_by_key(&own, |(namespace, _)| *namespace).ok();
        let near = at.and_then(|at| self.clients.get(at)).and_then(in_namespace);
        near.or_else(|| self.clients.iter().take(LOOKED_AT).find_map(in_namespace))
    }
}

fn is_it(best: &Best<'_>, host: &str) -> bool {
    match host.strip_prefix('*') {
        Some(ending) => best.wildcard && best.text == ending,
        None => !best.wildcard && best.text == host,
    }
}

/// All DestinationRules.
pub(super) fn rules<'c>(ctx: &Context<'c>) -> impl Iterator<Item = (ResourceId, &'c DestinationRule)> {
    ctx.mesh.resources.iter().enumerate().filter_map(|(at, resource)| match &resource.spec {
        Spec::DestinationRule(rule) => Some((ResourceId(at as u32), &**rule)),
        _ => None,
    })
}

/// The full name that a rule is for.
pub(super) fn host(ctx: &Context<'_>, id: ResourceId, rule: &DestinationRule) -> Option<String> {
    let namespace = ctx.mesh.namespaces[ctx.namespace_of(id)?.index()].name.as_deref()?;
    Some(resolve(&rule.host.as_ref()?.value, namespace, "cluster.local"))
}
