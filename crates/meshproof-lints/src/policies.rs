//! Facts of every AuthorizationPolicy, computed once: what its rules want, and why some can never match.

use std::sync::Arc;

use meshproof_ir::{Mesh, NamespaceId, ResourceId};
use meshproof_resources::{Action, AuthorizationPolicy, Meta, Spec};

use crate::accounts::Accounts;
use crate::never_matches::{RuleFacts, TlsListeners};

/// One policy as the analyses see it.
pub(crate) struct Policy<'a> {
    pub(crate) id: ResourceId,
    pub(crate) meta: &'a Meta,
    pub(crate) spec: &'a AuthorizationPolicy,
    pub(crate) namespace: Option<NamespaceId>,
    pub(crate) action: Action,
    /// `istio.io/dry-run` holds: it decides nothing.
    pub(crate) dry_run: bool,
    /// One per rule.
    pub(crate) rules: Vec<RuleFacts<'a>>,
}

impl Policy<'_> {
    /// Enforced, and of this action.
    pub(crate) fn enforces(&self, action: Action) -> bool {
        self.action == action && !self.dry_run
    }

    /// `namespace/name`, or the name alone.
    pub(crate) fn name(&self) -> String {
        match &self.meta.namespace {
            Some(namespace) => format!("{}/{}", namespace.value, self.meta.name()),
            None => self.meta.name().to_owned(),
        }
    }

    /// Whether it names workloads by labels.
    pub(crate) fn has_selector(&self) -> bool {
        self.spec.selector.as_ref().is_some_and(|selector| !selector.match_labels.is_empty())
    }
}

/// All policies, to be found by resource.
pub(crate) struct Policies<'a> {
    all: Vec<Policy<'a>>,
    /// Index into `all` per resource, `u32::MAX` for other kinds.
    by_resource: Vec<u32>,
}

impl<'a> Policies<'a> {
    pub(crate) fn new(mesh: &'a Mesh, accounts: &Accounts<'a>) -> Self {
        let mut all = Vec::new();
        let own_tls = Arc::new(tls_listeners(mesh));
        let mut by_resource = vec![u32::MAX; mesh.resources.len()];
        for (at, resource) in mesh.resources.iter().enumerate() {
            let Spec::AuthorizationPolicy(spec) = &resource.spec else { continue };
            let meta = &resource.meta;
            let namespace = mesh.placement[at].1;
            let own = namespace.and_then(|id| mesh.namespaces[id.index()].name.as_deref());
            by_resource[at] = all.len() as u32;
            all.push(Policy {
                id: ResourceId(at as u32),
                meta,
                spec,
                namespace,
                action: spec.effective_action(),
                dry_run: is_dry_run(meta),
                rules: spec.rules.iter().map(|rule| RuleFacts::new(rule, own, accounts, &own_tls)).collect(),
            });
        }
        Policies { all, by_resource }
    }

    /// Every policy, in the order of resources.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Policy<'a>> {
        self.all.iter()
    }

    /// The policy behind a resource.
    pub(crate) fn get(&self, id: ResourceId) -> Option<&Policy<'a>> {
        self.all.get(self.by_resource[id.index()] as usize)
    }
}

/// Ports where Sidecars end TLS of their own.
fn tls_listeners(mesh: &Mesh) -> TlsListeners {
    let mut found = TlsListeners::default();
    for (at, resource) in mesh.resources.iter().enumerate() {
        let (Spec::Sidecar(sidecar), Some(namespace)) = (&resource.spec, mesh.placement[at].1) else {
            continue;
        };
        let ports = sidecar.ingress.iter().filter(|listener| listener.tls.is_some());
        let place = (!mesh.is_root(namespace)).then_some(namespace);
        let numbers = ports.filter_map(|listener| listener.port.as_ref()?.number.as_ref());
        found.extend(numbers.map(|number| (place, number.value)));
    }
    found
}

/// Go's `strconv.ParseBool` says true (Istio 1.32, security/authz/builder/builder.go).
fn is_dry_run(meta: &Meta) -> bool {
    let value = meta.annotations.get("istio.io/dry-run").map(|value| value.value.as_str());
    matches!(value, Some("1" | "t" | "T" | "TRUE" | "true" | "True"))
}
