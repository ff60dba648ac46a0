//! What a client's settings say for one port of a host (mutual-TLS reference §2.5, §2.6; Istio 1.32,
//! networking/util/util.go, networking/core/{cluster_builder,cluster_tls}.go, xds/endpoints/mtls_checker.go).

use meshproof_ir::ResourceId;
use meshproof_resources::{
    ClientTls, ClientTlsMode, DestinationRule, PortTrafficPolicy, Subset, TextMap, TrafficPolicy,
};

use crate::merge::MergedRule;

/// The settings of one cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterSettings<'m> {
    /// `tls` in force, and the object that writes it; none means that the client decides by itself.
    pub(crate) tls: Option<(ResourceId, &'m ClientTls)>,
    /// A load balancer of the rule sends to the address that was dialled.
    pub(crate) passthrough: bool,
    /// Before mutual TLS is taken for good, every endpoint is asked whether it has a proxy.
    pub(crate) asks_endpoints: bool,
    /// What the endpoints are marked with. Unlike `tls`, a port entry without `tls` does not hide what stands above it.
    pub(crate) mark: Option<(ResourceId, ClientTlsMode)>,
    /// The rule is for some workloads only.
    pub(crate) has_selector: bool,
    /// Labels of the subset.
    pub(crate) subset: Option<&'m TextMap>,
}

/// The settings for a port, and a subset when a route names one; none when there is no such subset.
pub(crate) fn settings<'m>(
    rule: Option<&MergedRule<'m>>,
    port: u16,
    subset: Option<&str>,
) -> Option<ClusterSettings<'m>> {
    let Some(rule) = rule else {
        return subset.is_none().then(ClusterSettings::default);
    };
    let own = rule.traffic_policy;
    let base = in_policy(own.map(|(_, policy)| policy), port);
    let mut settings = ClusterSettings {
        tls: own.and_then(|(id, _)| Some((id, base.tls?))),
        passthrough: base.passthrough,
        asks_endpoints: own.is_some_and(|(_, policy)| policy.passthrough),
        mark: mark(own, port),
        has_selector: rule.selector.is_some(),
        subset: None,
    };
    let Some(name) = subset else { return Some(settings) };
    let (id, subset) = rule.subset(name)?;
    let policy = subset.traffic_policy.as_ref().map(|policy| (id, policy));
    settings.subset = Some(&subset.labels);
    settings.asks_endpoints = policy.is_some_and(|(_, policy)| policy.passthrough);
    settings.mark = mark(policy, port).or(settings.mark);
    if let Some((_, written)) = policy {
        let over = in_policy(Some(written), port);
        settings.passthrough |= written.passthrough || over.passthrough;
        if over.replaces_tls() {
            settings.tls = over.tls.map(|tls| (id, tls));
        }
    }
    Some(settings)
}

/// The `tls` that one rule writes for a port of its host, and for a subset where one is given; other rules for the host
/// are not looked at.
pub fn written_tls<'m>(
    rule: &'m DestinationRule,
    port: u16,
    subset: Option<&'m Subset>,
) -> Option<&'m ClientTls> {
    let base = in_policy(rule.traffic_policy.as_ref(), port);
    match subset.and_then(|subset| subset.traffic_policy.as_ref()) {
        Some(policy) => in_policy(Some(policy), port).over(base).tls,
        None => base.tls,
    }
}

/// The rules of one merged rule that say something else of TLS than the one that counts, if that hangs on their ages.
pub(crate) fn rivals<'m>(
    rule: &MergedRule<'m>,
    written: impl Fn(ResourceId) -> Option<&'m DestinationRule>,
    port: u16,
    subset: Option<&str>,
) -> Option<(ResourceId, ResourceId)> {
    let says = |policy: Option<&'m TrafficPolicy>| {
        in_policy(policy, port).tls.map(|tls| tls.mode.as_ref().map(|mode| mode.value))
    };
    let of = |id: ResourceId| {
        let rule = written(id)?;
        let named = |subset: &str| {
            let mut own = rule.subsets.iter();
            own.find(|own| own.name.as_ref().is_some_and(|name| name.value == subset))
        };
        let whole = rule.traffic_policy.as_ref().map(|policy| says(Some(policy)));
        let part = subset.and_then(named).map(|own| says(own.traffic_policy.as_ref()));
        Some((rule.workload_selector.is_some(), whole, part))
    };
    let all: Vec<_> = rule.from.iter().filter_map(|id| Some((*id, of(*id)?))).collect();
    all.iter().enumerate().find_map(|(at, (one, (selects, whole, part)))| {
        let other = all[at + 1..].iter().find(|(_, (also, other_whole, other_part))| {
            let differs = (whole.is_some() && other_whole.is_some() && whole != other_whole)
                || (part.is_some() && other_part.is_some() && part != other_part);
            selects == also && differs
        })?;
        Some((*one, other.0))
    })
}

/// What one policy says for a port.
struct InPolicy<'m> {
    tls: Option<&'m ClientTls>,
    passthrough: bool,
    /// An entry of `portLevelSettings` says it; such an entry replaces everything above it.
    by_entry: bool,
}

impl InPolicy<'_> {
    /// Whether a policy of a subset takes the place of what the rule says of TLS.
    fn replaces_tls(&self) -> bool {
        self.by_entry || self.tls.is_some()
    }

    /// The policy of a subset over that of the rule.
    fn over(self, base: Self) -> Self {
        if self.replaces_tls() { self } else { base }
    }
}

fn in_policy(policy: Option<&TrafficPolicy>, port: u16) -> InPolicy<'_> {
    let Some(policy) = policy else {
        return InPolicy { tls: None, passthrough: false, by_entry: false };
    };
    let (tls, passthrough, by_entry) = match entries(policy, port).next() {
        Some(entry) => (&entry.tls, entry.passthrough, true),
        None => (&policy.tls, policy.passthrough, false),
    };
    InPolicy { tls: tls.as_ref(), passthrough, by_entry }
}

fn mark(policy: Option<(ResourceId, &TrafficPolicy)>, port: u16) -> Option<(ResourceId, ClientTlsMode)> {
    let (id, policy) = policy?;
    let of_entry = entries(policy, port).find_map(|entry| entry.tls.as_ref());
    of_entry.or(policy.tls.as_ref()).map(|tls| (id, tls.effective_mode()))
}

fn entries(policy: &TrafficPolicy, port: u16) -> impl Iterator<Item = &PortTrafficPolicy> {
    policy.port_level.iter().filter(move |entry| entry.port.as_ref().is_some_and(|own| own.value == port))
}
