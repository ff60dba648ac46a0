//! istiod's rules for connection pools, outlier detection and durations (Istio 1.32, `validateConnectionPool`,
//! `validateOutlierDetection`, `ValidateDuration`).

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::view;
use crate::schema::Path;

/// A duration field lasts a millisecond at least, in whole milliseconds.
pub(super) fn duration(collector: &mut Collector, holder: NodeRef<'_>, name: &str, path: &Path<'_>) {
    let Some((node, nanoseconds)) = view::duration(holder, name) else { return };
    if nanoseconds < 1_000_000 {
        collector.refuse(&path.field(name), node, "the duration is too short: the least is 1ms");
    } else if nanoseconds % 1_000_000 != 0 {
        collector.refuse(&path.field(name), node, "durations are counted in whole milliseconds");
    }
}

/// Checks `connectionPool` of a traffic policy.
pub(super) fn validate(collector: &mut Collector, policy: NodeRef<'_>, path: &Path<'_>) {
    let Some((key, pool)) = view::entry(policy, "connectionPool") else { return };
    let path = path.field("connectionPool");
    let (http, tcp) = (view::field(pool, "http"), view::field(pool, "tcp"));
    if http.is_none() && tcp.is_none() {
        collector.refuse(&path, key, "the connection pool has neither `http` nor `tcp`");
    }
    if let Some(http) = http {
        self::http(collector, http, &path.field("http"));
    }
    if let Some(tcp) = tcp {
        self::tcp(collector, tcp, &path.field("tcp"));
    }
}

fn http(collector: &mut Collector, http: NodeRef<'_>, path: &Path<'_>) {
    let counts = [
        "http1MaxPendingRequests",
        "http2MaxRequests",
        "maxRequestsPerConnection",
        "maxRetries",
        "maxConcurrentStreams",
    ];
    for name in counts {
        not_negative(collector, http, name, path);
    }
    duration(collector, http, "idleTimeout", path);
    if view::choice(http, "h2UpgradePolicy", &["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]) == 2
        && view::boolean(http, "useClientProtocol")
    {
        let node = view::field(http, "useClientProtocol").unwrap_or(http);
        let message = "`useClientProtocol: true` and `h2UpgradePolicy: UPGRADE` contradict each other";
        collector.refuse(&path.field("useClientProtocol"), node, message);
    }
    if let Some(keepalive) = view::field(http, "http2KeepAlive") {
        let path = path.field("http2KeepAlive");
        for name in ["interval", "timeout"] {
            if view::field(keepalive, name).is_none() {
                collector.refuse(&path.field(name), keepalive, format!("`http2KeepAlive` needs `{name}`"));
            }
            duration(collector, keepalive, name, &path);
        }
    }
}

fn tcp(collector: &mut Collector, tcp: NodeRef<'_>, path: &Path<'_>) {
    not_negative(collector, tcp, "maxConnections", path);
    duration(collector, tcp, "connectTimeout", path);
    duration(collector, tcp, "maxConnectionDuration", path);
    // Less than a millisecond of idle time means no limit (`AsDuration().Milliseconds() != 0`).
    if view::duration(tcp, "idleTimeout").is_some_and(|(_, nanoseconds)| nanoseconds / 1_000_000 != 0) {
        duration(collector, tcp, "idleTimeout", path);
    }
    if let Some(keepalive) = view::field(tcp, "tcpKeepalive") {
        let path = path.field("tcpKeepalive");
        duration(collector, keepalive, "time", &path);
        duration(collector, keepalive, "interval", &path);
    }
}

fn not_negative(collector: &mut Collector, holder: NodeRef<'_>, name: &str, path: &Path<'_>) {
    if let Some(node) = view::field(holder, name).filter(|node| view::number(*node).is_some_and(|n| n < 0.0))
    {
        collector.refuse(&path.field(name), node, format!("`{name}` cannot be negative"));
    }
}

/// Checks `outlierDetection` of a traffic policy.
pub(super) fn outlier_detection(collector: &mut Collector, policy: NodeRef<'_>, path: &Path<'_>) {
    let Some(outlier) = view::field(policy, "outlierDetection") else { return };
    let path = path.field("outlierDetection");
    duration(collector, outlier, "baseEjectionTime", &path);
    if view::number_field(outlier, "consecutiveErrors") != 0.0 {
        collector.warn(
            &path.field("consecutiveErrors"),
            view::field(outlier, "consecutiveErrors").unwrap_or(outlier),
            "`consecutiveErrors` is deprecated",
            "use `consecutiveGatewayErrors` or `consecutive5xxErrors`",
        );
    }
    if !view::boolean(outlier, "splitExternalLocalOriginErrors")
        && view::number_field(outlier, "consecutiveLocalOriginFailures") > 0.0
    {
        let node = view::field(outlier, "consecutiveLocalOriginFailures").unwrap_or(outlier);
        collector.refuse_with_help(
            &path.field("consecutiveLocalOriginFailures"),
            node,
            "`consecutiveLocalOriginFailures` counts only when local errors are counted apart",
            "set `splitExternalLocalOriginErrors: true`",
        );
    }
    duration(collector, outlier, "interval", &path);
    for name in ["maxEjectionPercent", "minHealthPercent"] {
        let Some(node) = view::field(outlier, name) else { continue };
        if view::number(node).is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            collector.refuse(&path.field(name), node, format!("`{name}` is a percentage from 0 to 100"));
        }
    }
}
