//! Questions that analyses ask of the mesh.

use meshproof_resources::{
    AuthorizationPolicy, PeerAuthentication, RequestAuthentication, Resource, Spec, TargetRef,
};

use crate::attachment::is_dry_run;
use crate::{ClusterId, Identity, Mesh, Namespace, NamespaceId, ResourceId, Settings, Workload, WorkloadId};

impl Mesh {
    /// The object.
    pub fn resource(&self, id: ResourceId) -> &Resource {
        &self.resources[id.index()]
    }

    /// The workload.
    pub fn workload(&self, id: WorkloadId) -> &Workload {
        &self.workloads[id.index()]
    }

    /// The namespace.
    pub fn namespace(&self, id: NamespaceId) -> &Namespace {
        &self.namespaces[id.index()]
    }

    /// `namespace/name` of a workload for people; `?` stands for a namespace whose name is not known.
    pub fn workload_display(&self, id: WorkloadId) -> String {
        let workload = self.workload(id);
        format!("{}/{}", self.namespace_display(workload.namespace), workload.name)
    }

    /// The name of a namespace for people.
    pub fn namespace_display(&self, id: NamespaceId) -> &str {
        self.namespace(id).name.as_deref().unwrap_or(crate::mesh::UNNAMED)
    }

    /// An AuthorizationPolicy, when the object is one.
    pub fn policy(&self, id: ResourceId) -> Option<&AuthorizationPolicy> {
        match &self.resource(id).spec {
            Spec::AuthorizationPolicy(policy) => Some(policy),
            _ => None,
        }
    }

    /// A PeerAuthentication, when the object is one.
    pub fn peer_authentication(&self, id: ResourceId) -> Option<&PeerAuthentication> {
        match &self.resource(id).spec {
            Spec::PeerAuthentication(policy) => Some(policy),
            _ => None,
        }
    }

    /// A RequestAuthentication, when the object is one.
    pub fn request_authentication(&self, id: ResourceId) -> Option<&RequestAuthentication> {
        match &self.resource(id).spec {
            Spec::RequestAuthentication(policy) => Some(policy),
            _ => None,
        }
    }

    /// Every AuthorizationPolicy, in resource order.
    pub fn authorization_policies(&self) -> impl Iterator<Item = (ResourceId, &AuthorizationPolicy)> {
        let ids = (0..self.resources.len() as u32).map(ResourceId);
        ids.filter_map(|id| self.policy(id).map(|policy| (id, policy)))
    }

    /// Whether a policy only reports what it would do (annotation `istio.io/dry-run`).
    pub fn is_dry_run(&self, policy: ResourceId) -> bool {
        is_dry_run(self.resource(policy))
    }

    /// Every workload with its id.
    pub fn workloads_with_ids(&self) -> impl Iterator<Item = (WorkloadId, &Workload)> {
        self.workloads.iter().enumerate().map(|(at, workload)| (WorkloadId(at as u32), workload))
    }

    /// The settings of a cluster.
    pub fn settings_of(&self, cluster: ClusterId) -> &Settings {
        self.cluster_settings.get(cluster.index()).unwrap_or(&self.settings)
    }

    /// Whether a namespace is the root namespace of its cluster.
    pub fn is_root(&self, id: NamespaceId) -> bool {
        let namespace = self.namespace(id);
        namespace.name.as_deref() == Some(self.settings_of(namespace.cluster).root())
    }

    /// The object that an entry of `targetRefs` of `policy` means, where the input has it.
    pub fn target(&self, policy: ResourceId, reference: &TargetRef) -> Option<ResourceId> {
        let (cluster, namespace) = self.placement[policy.index()];
        let kind = reference.kind.value.as_str();
        let namespace = namespace.filter(|_| kind != "GatewayClass");
        let fits = |id: &ResourceId| {
            matches!(
                (reference.group.as_str(), &self.resource(*id).spec),
                ("" | "core", Spec::Service(_))
                    | ("networking.istio.io", Spec::ServiceEntry(_))
                    | ("gateway.networking.k8s.io", Spec::KubernetesGateway(_) | Spec::GatewayClass(_))
            )
        };
        self.objects(cluster, namespace, kind, &reference.name.value).find(fits)
    }

    /// Why an object may not be what is applied: it stands in a folder that would have to be rendered first.
    pub fn unrendered(&self, id: ResourceId) -> Option<&str> {
        self.unrendered.reason(self.resource(id).meta.span.source)
    }

    /// Whether any part of the input would have to be rendered first: what seems missing may be there.
    pub fn has_unrendered(&self) -> bool {
        !self.unrendered.is_empty()
    }

    /// Every identity that exists as far as the input tells.
    pub fn identities(&self) -> &[Identity] {
        &self.identities.all
    }

    /// The identity of a workload.
    pub fn identity_of(&self, id: WorkloadId) -> Option<&Identity> {
        let at = self.identities.of_workload.get(id.index()).copied().flatten()?;
        self.identities.all.get(at as usize)
    }

    /// Identities of an account in a namespace, in any trust domain.
    pub fn accounts_named(&self, namespace: &str, account: &str) -> impl Iterator<Item = &Identity> {
        self.identities.named(namespace, account)
    }

    /// How many selectors were compared with labels to build this: a measure of the work done.
    pub fn selectors_tried(&self) -> u64 {
        self.selectors_tried
    }
}
