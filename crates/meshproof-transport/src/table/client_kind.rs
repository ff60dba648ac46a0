//! How clients send.

/// How clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientKind {
    /// Through a sidecar, or as proxyless gRPC.
    Sidecar,
    /// Through ztunnel.
    Ambient,
    /// They are gateways.
    Gateway,
    /// They are waypoints.
    Waypoint,
    /// By themselves.
    NoProxy,
    /// Somehow; the input does not tell whether a proxy is there.
    Unknown,
    /// As the server wants it: only their identity is known.
    Identity,
}

impl ClientKind {
    /// What so many of them are called (`sidecar workloads`).
    pub fn noun(self, count: usize) -> &'static str {
        let one = count == 1;
        match self {
            ClientKind::Sidecar if one => "sidecar workload",
            ClientKind::Sidecar => "sidecar workloads",
            ClientKind::Ambient if one => "ambient workload",
            ClientKind::Ambient => "ambient workloads",
            ClientKind::Gateway if one => "gateway",
            ClientKind::Gateway => "gateways",
            ClientKind::Waypoint if one => "waypoint",
            ClientKind::Waypoint => "waypoints",
            ClientKind::NoProxy if one => "workload without a proxy",
            ClientKind::NoProxy => "workloads without a proxy",
            ClientKind::Unknown if one => "workload that may have a proxy",
            ClientKind::Unknown => "workloads that may have a proxy",
            ClientKind::Identity => "clients of that identity",
        }
    }
}
