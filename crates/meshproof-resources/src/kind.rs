//! Which objects are read: kind, API group and versions.

/// A kind that is decoded. Several spellings may share one (all kinds that make pods, all routes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    AuthorizationPolicy,
    PeerAuthentication,
    RequestAuthentication,
    DestinationRule,
    Workload,
    Service,
    Namespace,
    ServiceAccount,
}

struct Known {
    name: &'static str,
    group: &'static str,
    versions: &'static [&'static str],
    kind: Kind,
}

const ISTIO: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const SECURITY: &[&str] = &["v1", "v1beta1"];
/// Versions that the API server no longer serves but that mean the same are still in use in repositories.
const APPS: &[&str] = &["v1", "v1beta2", "v1beta1"];
const EXTENSIONS: &[&str] = &["v1beta1"];
const BATCH: &[&str] = &["v1", "v1beta1", "v2alpha1"];
const CORE: &[&str] = &["v1"];

const KNOWN: &[Known] = &[
    known("AuthorizationPolicy", "security.istio.io", SECURITY, Kind::AuthorizationPolicy),
    known("PeerAuthentication", "security.istio.io", SECURITY, Kind::PeerAuthentication),
    known("RequestAuthentication", "security.istio.io", SECURITY, Kind::RequestAuthentication),
    known("DestinationRule", "networking.istio.io", ISTIO, Kind::DestinationRule),
    known("Pod", "", CORE, Kind::Workload),
    known("ReplicationController", "", CORE, Kind::Workload),
    known("Deployment", "apps", APPS, Kind::Workload),
    known("ReplicaSet", "apps", APPS, Kind::Workload),
    known("StatefulSet", "apps", APPS, Kind::Workload),
    known("DaemonSet", "apps", APPS, Kind::Workload),
    known("Deployment", "extensions", EXTENSIONS, Kind::Workload),
    known("ReplicaSet", "extensions", EXTENSIONS, Kind::Workload),
    known("DaemonSet", "extensions", EXTENSIONS, Kind::Workload),
    known("Job", "batch", BATCH, Kind::Workload),
    known("CronJob", "batch", BATCH, Kind::Workload),
    known("Rollout", "argoproj.io", &["v1alpha1"], Kind::Workload),
    known("Service", "", CORE, Kind::Service),
    known("Namespace", "", CORE, Kind::Namespace),
    known("ServiceAccount", "", CORE, Kind::ServiceAccount),
];

const fn known(
    name: &'static str,
    group: &'static str,
    versions: &'static [&'static str],
    kind: Kind,
) -> Known {
    Known { name, group, versions, kind }
}

impl Kind {
    /// The kind with this group and name, whatever its version.
    pub fn of(group: &str, name: &str) -> Option<Kind> {
        find(group, name).map(|known| known.kind)
    }

    /// Every name of a decoded kind; a document that contains none of them cannot matter (lists are named after
    /// their items).
    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|known| known.name)
    }

    /// The versions in which a kind is or was served; empty for unknown kinds.
    pub fn versions(group: &str, name: &str) -> &'static [&'static str] {
        find(group, name).map_or(&[], |known| known.versions)
    }
}

fn find(group: &str, name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name && known.group == group)
}
