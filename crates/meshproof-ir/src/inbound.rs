//! Which inbound ports reach the proxy (mutual-TLS reference §4.5).

use meshproof_source::Span;

use crate::pods::Pods;
use crate::{Capture, Fact, PortCapture, Settings};

/// Ports of the proxy itself, never redirected (tools/istio-iptables/pkg/capture/run.go), beside its status port.
/// 15008 has a listener of its own.
const PROXY_PORTS: [u16; 3] = [15090, 15021, 15008];
const STATUS_PORT: u16 = 15020;
const INCLUDE: &str = "traffic.sidecar.istio.io/includeInboundPorts";
const EXCLUDE: &str = "traffic.sidecar.istio.io/excludeInboundPorts";

/// Whether a sidecar keeps a port for itself, unless an annotation moves its status port.
pub(crate) fn is_of_sidecar(port: u16) -> bool {
    port == STATUS_PORT || PROXY_PORTS.contains(&port)
}

/// Which inbound ports reach the proxy.
pub(crate) struct InboundCapture {
    rule: Rule,
    /// The status port of a sidecar; none where no sidecar keeps ports for itself.
    status_port: Option<u16>,
}

enum Rule {
    /// All, but for these.
    All { except: Vec<u16>, by: Option<Span> },
    /// These only.
    Only { ports: Vec<u16>, by: Option<Span> },
}

impl InboundCapture {
    /// From the annotations of the pods and the values of the installation.
    pub(crate) fn new(pods: &Pods<'_>, capture: &Fact<Capture>, settings: &Settings) -> Self {
        let status = pods.annotations.get("status.sidecar.istio.io/port");
        let status_port = status.and_then(|port| port.value.trim().parse().ok()).unwrap_or(STATUS_PORT);
        let beside_sidecar = matches!(capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone) | None);
        let status_port = beside_sidecar.then_some(status_port);
        let rule = match capture.known() {
            Some(Capture::Ambient) => of_ambient(pods),
            Some(Capture::Sidecar | Capture::SidecarHbone) | None => of_sidecar(pods, settings),
            Some(_) => Rule::All { except: Vec::new(), by: None },
        };
        InboundCapture { rule, status_port }
    }

    /// Ports that the rule names one by one.
    pub(crate) fn named(&self) -> &[u16] {
        match &self.rule {
            Rule::All { except: ports, .. } | Rule::Only { ports, .. } => ports,
        }
    }

    /// Whether the proxy sees a port.
    pub(crate) fn of(&self, port: u16) -> PortCapture {
        if self.status_port.is_some_and(|status| port == status || PROXY_PORTS.contains(&port)) {
            return PortCapture::Excluded { by: None };
        }
        match &self.rule {
            Rule::All { except, by } if except.binary_search(&port).is_ok() => {
                PortCapture::Excluded { by: *by }
            }
            Rule::Only { ports, by } if ports.binary_search(&port).is_err() => {
                PortCapture::Excluded { by: *by }
            }
            _ => PortCapture::Captured,
        }
    }

    /// Whether the proxy sees ports that nothing names.
    pub(crate) fn of_others(&self) -> PortCapture {
        match &self.rule {
            Rule::All { .. } => PortCapture::Captured,
            Rule::Only { by, .. } => PortCapture::Excluded { by: *by },
        }
    }
}

fn of_ambient(pods: &Pods<'_>) -> Rule {
    match pods.annotations.get("ambient.istio.io/bypass-inbound-capture") {
        Some(bypass) if bypass.value == "true" => Rule::Only { ports: Vec::new(), by: Some(bypass.span) },
        _ => Rule::All { except: Vec::new(), by: None },
    }
}

/// `includeInboundPorts` with anything but `*` makes `excludeInboundPorts` void.
fn of_sidecar(pods: &Pods<'_>, settings: &Settings) -> Rule {
    if let Some(mode) = pods.annotations.get("sidecar.istio.io/interceptionMode")
        && mode.value == "NONE"
    {
        return Rule::Only { ports: Vec::new(), by: Some(mode.span) };
    }
    if settings.interception_none.is(&true)
        && pods.annotations.get("sidecar.istio.io/interceptionMode").is_none()
    {
        return Rule::Only { ports: Vec::new(), by: settings.interception_none.span() };
    }
    let (included, by) = port_setting(pods, INCLUDE, &settings.include_inbound_ports, "*");
    if included != "*" {
        return Rule::Only { ports: port_list(included), by };
    }
    let (excluded, by) = port_setting(pods, EXCLUDE, &settings.exclude_inbound_ports, "");
    Rule::All { except: port_list(excluded), by }
}

fn port_setting<'a>(
    pods: &Pods<'a>,
    annotation: &str,
    mesh_wide: &'a Fact<String>,
    unset: &'a str,
) -> (&'a str, Option<Span>) {
    if let Some(own) = pods.annotations.get(annotation) {
        return (own.value.trim(), Some(own.span));
    }
    (mesh_wide.known().map_or(unset, String::as_str), mesh_wide.span())
}

fn port_list(text: &str) -> Vec<u16> {
    let mut ports: Vec<u16> = text.split(',').filter_map(|port| port.trim().parse().ok()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
