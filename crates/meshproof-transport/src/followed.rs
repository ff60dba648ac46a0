//! Which DestinationRule a client follows, for those who want to know the objects rather than the wire.

use meshproof_ir::{ResourceId, WorkloadId};

use crate::Transport;
use crate::clients::Sender;

impl Transport<'_> {
    /// Whether a host is in the scope of a client: exported to its namespace, and imported by its Sidecar object if it
    /// has one. None for clients without a scope (ztunnel, pods without a proxy), and where that is not known.
    pub fn knows_host(&self, client: WorkloadId, host: &str) -> Option<bool> {
        let profile = self.clients.profile(client);
        let has_scope = matches!(profile.sender, Sender::Sidecar | Sender::Gateway | Sender::Waypoint(_));
        has_scope.then(|| self.scopes().known(&profile.scope, host).is_some())
    }

    /// The DestinationRules that decide what a client sends to a host: the one that counts first, then those that are
    /// merged into it. Empty when there is none, when the host is not in the client's scope, and for clients that
    /// follow no rules (ztunnel, pods without a proxy).
    pub fn rules_followed(&self, client: WorkloadId, host: &str) -> Vec<ResourceId> {
        let profile = self.clients.profile(client);
        if !matches!(profile.sender, Sender::Sidecar | Sender::Gateway | Sender::Waypoint(_)) {
            return Vec::new();
        }
        let Some(known) = self.scopes().known(&profile.scope, host) else { return Vec::new() };
        let of_service = self.registry.service(known.service).namespace;
        let name = self.mesh.namespace(profile.scope.namespace).name.as_deref();
        let namespace = (profile.scope.namespace, name);
        let rules = self.rules.for_host(profile.scope.cluster, namespace, of_service, host);
        self.clients.choose(profile, &rules).map(|rule| rule.from.clone()).unwrap_or_default()
    }
}
