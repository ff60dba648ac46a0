//! Whether a network policy may keep callers away before any proxy sees them.
//!
//! A witness of a hole must get through the network too. What a NetworkPolicy lets through is not computed here; it is
//! enough to know that one is in the way, since then nothing is claimed for certain.

use std::collections::{HashMap, HashSet};

use meshproof_ir::{Mesh, NamespaceId, Workload};
use meshproof_resources::{NetworkPolicy, Spec};

use crate::Context;

/// With more policies than this in reach, one of them is taken to be in the way: looking at each would cost the product
/// of workloads and policies.
const MANY: usize = 256;

/// Whether incoming traffic of the pods is, or may be, restricted by a Kubernetes NetworkPolicy (pods that one selects
/// for ingress accept only what some policy lists: networking.k8s.io/v1) or by a Calico policy.
pub(crate) fn may_be_shielded(ctx: &Context<'_>, workload: &Workload) -> bool {
    let in_reach = &ctx.network_policies;
    if in_reach.calico_global || in_reach.calico.contains(&workload.namespace) {
        return true;
    }
    let Some(policies) = in_reach.kubernetes.get(&workload.namespace) else { return false };
    policies.len() > MANY || policies.iter().any(|policy| selects(policy, workload))
}

fn selects(policy: &NetworkPolicy, workload: &Workload) -> bool {
    policy.isolates_ingress()
        && policy
            .pod_selector
            .as_ref()
            .is_none_or(|selector| selector.matches(&workload.labels) != Some(false))
}

/// Network policies by the namespace they act in.
#[derive(Default)]
pub(crate) struct NetworkPolicies<'a> {
    kubernetes: HashMap<NamespaceId, Vec<&'a NetworkPolicy>>,
    calico: HashSet<NamespaceId>,
    calico_global: bool,
}

impl<'a> NetworkPolicies<'a> {
    /// Sorts them; linear in the objects of the mesh.
    pub(crate) fn new(mesh: &'a Mesh) -> Self {
        let mut found = Self::default();
        for (at, resource) in mesh.resources.iter().enumerate() {
            match (&resource.spec, mesh.placement[at].1) {
                (Spec::NetworkPolicy(policy), Some(namespace)) => {
                    found.kubernetes.entry(namespace).or_default().push(policy);
                }
                (Spec::CalicoPolicy(policy), _) if policy.global => {
                    found.calico_global = true;
                }
                (Spec::CalicoPolicy(_), Some(namespace)) => {
                    found.calico.insert(namespace);
                }
                _ => {}
            }
        }
        found
    }
}
