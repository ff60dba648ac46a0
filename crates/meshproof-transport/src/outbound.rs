//! What goes around the proxy of a client (mutual-TLS reference §4.5).

use meshproof_ir::{Fact, Settings};
use meshproof_resources::{Text, TextMap};

const EXCLUDE_PORTS: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";
const INCLUDE_PORTS: &str = "traffic.sidecar.istio.io/includeOutboundPorts";
const EXCLUDE_RANGES: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
const INCLUDE_RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
const MODE: &str = "sidecar.istio.io/interceptionMode";

/// Which destinations the application reaches by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Outbound {
    /// Ports that go around the proxy.
    excluded: Vec<u16>,
    /// Ports that meet the proxy whatever their address.
    included: Vec<u16>,
    /// Only some addresses meet the proxy.
    by_address: bool,
    /// Nothing is redirected.
    nothing: bool,
}

/// Whether a connection meets the client's proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirected {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on the address.
    ByAddress,
}

impl Outbound {
    /// From the annotations of the pods and the values of the installation.
    pub(crate) fn new(annotations: Option<&TextMap>, settings: &Settings) -> Self {
        let text = |key: &str, mesh_wide: &Fact<String>, unset: &str| {
            let own = annotations.and_then(|map| map.get(key)).map(|value| value.value.trim().to_owned());
            own.unwrap_or_else(|| mesh_wide.known().cloned().unwrap_or_else(|| unset.to_owned()))
        };
        let ranges = text(INCLUDE_RANGES, &settings.include_ip_ranges, "*");
        let but = text(EXCLUDE_RANGES, &settings.exclude_ip_ranges, "");
        let included = ports(&text(INCLUDE_PORTS, &settings.include_outbound_ports, ""));
        let own_mode = annotations.and_then(|map| map.get(MODE)).map(|mode| mode.value == "NONE");
        Outbound {
            excluded: ports(&text(EXCLUDE_PORTS, &settings.exclude_outbound_ports, "")),
            by_address: ranges != "*" || !but.is_empty(),
            // Without any range and any port no rule is left that redirects.
            nothing: own_mode.unwrap_or_else(|| settings.interception_none.is(&true))
                || (ranges.is_empty() && included.is_empty()),
            included,
        }
    }

    /// Whether every connection meets the proxy.
    pub(crate) fn takes_everything(&self) -> bool {
        !self.nothing && !self.by_address && self.excluded.is_empty()
    }

    /// Whether a connection to a port meets the proxy.
    pub(crate) fn of(&self, port: u16) -> Redirected {
        if self.nothing || self.excluded.binary_search(&port).is_ok() {
            return Redirected::No;
        }
        if !self.by_address || self.included.binary_search(&port).is_ok() {
            return Redirected::Yes;
        }
        Redirected::ByAddress
    }
}

/// The annotation that takes something out, for people.
pub(crate) fn deciding(annotations: &TextMap) -> Option<&Text> {
    [MODE, EXCLUDE_PORTS, INCLUDE_RANGES, EXCLUDE_RANGES].into_iter().find_map(|key| annotations.get(key))
}

fn ports(text: &str) -> Vec<u16> {
    let mut ports: Vec<u16> = text.split(',').filter_map(|port| port.trim().parse().ok()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_installation_count() {
        let known = |text: &str| Fact::Known(text.to_owned(), meshproof_ir::Origin::Default);
        let mut settings = Settings::default();
        assert_eq!(Outbound::new(None, &settings).of(80), Redirected::Yes);
        settings.exclude_outbound_ports = known("5432, 6379");
        assert_eq!(Outbound::new(None, &settings).of(6379), Redirected::No);
        settings.include_ip_ranges = known("10.0.0.0/8");
        settings.include_outbound_ports = known("443");
        assert_eq!(Outbound::new(None, &settings).of(80), Redirected::ByAddress);
        assert_eq!(Outbound::new(None, &settings).of(443), Redirected::Yes);
        settings.include_ip_ranges = known("");
        assert_eq!(Outbound::new(None, &settings).of(443), Redirected::Yes);
        assert_eq!(Outbound::new(None, &settings).of(80), Redirected::ByAddress);
        settings.include_outbound_ports = known("");
        assert_eq!(Outbound::new(None, &settings).of(80), Redirected::No);
    }
}
