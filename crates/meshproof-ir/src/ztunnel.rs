//! What ztunnel is given for a workload (ambient reference; Istio 1.32, serviceregistry/ambient/workloads.go).

use crate::{Mesh, WorkloadId};

/// The policies of a workload under the names that istiod gives them, `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZtunnelPolicies {
    /// Made of PeerAuthentications: each refuses plaintext on some ports.
    pub peer_authentication: Vec<String>,
    /// AuthorizationPolicies that are certainly attached, sorted.
    pub authorization: Vec<String>,
    /// Referenced and never generated; ztunnel goes on without them.
    pub missing: Vec<String>,
}

impl Mesh {
    /// What ztunnel evaluates for a workload; nothing for those it does not capture.
    pub fn ztunnel_policies(&self, id: WorkloadId) -> ZtunnelPolicies {
        let workload = self.workload(id);
        let Some(ambient) = &workload.ambient else { return ZtunnelPolicies::default() };
        let mut policies = ZtunnelPolicies::default();
        match ambient.converted {
            Some(converted) => {
                let namespace = self.namespace_display(workload.namespace);
                let name = self.resource(converted).meta.name();
                let name = format!("{namespace}/converted_peer_authentication_{name}");
                if ambient.missing {
                    policies.missing.push(name);
                } else {
                    policies.peer_authentication.push(name);
                }
            }
            None if ambient.strict => {
                let cluster = self.namespace(workload.namespace).cluster;
                let root = self.settings_of(cluster).root();
                policies.peer_authentication.push(format!("{root}/istio_converted_static_strict"));
            }
            None => {}
        }
        for attachment in workload.policies.iter().filter(|attachment| attachment.certain.is_ok()) {
            let Some(namespace) = self.placement[attachment.policy.index()].1 else { continue };
            let name = self.resource(attachment.policy).meta.name();
            policies.authorization.push(format!("{}/{name}", self.namespace_display(namespace)));
        }
        policies.authorization.sort();
        policies
    }
}
