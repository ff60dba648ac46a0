//! The ports of a workload: which Services lead there, which protocol is spoken, whether the proxy sees them.

use std::collections::BTreeMap;

use meshproof_grammar::protocol::{Protocol, ProtocolClass};
use meshproof_resources::{Resource, ServicePort, Transport};
use meshproof_source::Span;

use crate::age::{all_dated, created};
use crate::peer_authentication::{InForce, inherited};
use crate::pods::Pods;
use crate::services::{Services, target_port};
use crate::{Capture, Fact, Origin, PortBinding, PortCapture, ServiceId, Settings, WorkloadPort};

/// Ports of the proxy itself: never redirected (tools/istio-iptables/pkg/capture/run.go), the last one being the
/// default status port. 15008 has a listener of its own.
const PROXY_PORTS: [u16; 4] = [15090, 15021, 15008, STATUS_PORT];
const STATUS_PORT: u16 = 15020;

#[derive(Default)]
struct Draft<'a> {
    declared: Option<Span>,
    name: Option<&'a str>,
    transport: Transport,
    bindings: Vec<PortBinding>,
}

/// Every port of `pods` that anything says something of, sorted by number.
pub(crate) fn ports(
    pods: &Pods<'_>,
    selecting: &[ServiceId],
    services: &Services<'_>,
    resources: &[Resource],
    capture: &InboundCapture,
    in_force: &InForce,
) -> Vec<WorkloadPort> {
    let mut drafts = declared(pods);
    for id in selecting {
        let (_, spec) = &services.all[id.index()];
        for (at, port) in spec.ports.iter().enumerate() {
            let Some(number) = target_port(port, pods.containers) else { continue };
            let draft = drafts
                .entry(number)
                .or_insert_with(|| Draft { transport: port.protocol, ..Draft::default() });
            draft.bindings.push(PortBinding { service: *id, port: at });
        }
    }
    for number in in_force.ports.keys().chain(capture.named()) {
        drafts.entry(*number).or_default();
    }
    let finish = |(number, draft): (u16, Draft<'_>)| {
        let protocol = protocol(&draft, services, resources);
        let mode = in_force.ports.get(&number).cloned();
        let is_datagram = protocol.is(&ProtocolClass::Udp);
        WorkloadPort {
            number,
            declared: draft.declared,
            name: draft.name.map(str::to_owned),
            mode: mode.unwrap_or_else(|| inherited(&in_force.mode)),
            capture: if is_datagram { PortCapture::Excluded { by: None } } else { capture.of(number) },
            protocol,
            bindings: draft.bindings,
        }
    };
    drafts.into_iter().map(finish).collect()
}

/// Ports that containers declare. Of two entries for one number the one with TCP counts, else the first.
fn declared<'a>(pods: &Pods<'a>) -> BTreeMap<u16, Draft<'a>> {
    let mut drafts: BTreeMap<u16, Draft<'a>> = BTreeMap::new();
    for port in pods.containers.iter().flat_map(|container| &container.ports) {
        let fresh = Draft {
            declared: Some(port.number.span),
            name: port.name.as_ref().map(|name| name.value.as_str()),
            transport: port.protocol,
            bindings: Vec::new(),
        };
        match drafts.get(&port.number.value) {
            Some(old) if old.transport == Transport::Tcp || fresh.transport != Transport::Tcp => {}
            _ => {
                drafts.insert(port.number.value, fresh);
            }
        }
    }
    drafts
}

/// The chains of a port: what the oldest Service that leads here says; without a Service, the proxy looks at the
/// bytes (Istio 1.32, networking/core/listener_inbound.go).
fn protocol(draft: &Draft<'_>, services: &Services<'_>, resources: &[Resource]) -> Fact<ProtocolClass> {
    let mut by_service: Vec<(ServiceId, ProtocolClass, Origin)> = Vec::new();
    for binding in &draft.bindings {
        let (_, spec) = &services.all[binding.service.index()];
        let Some(port) = spec.ports.get(binding.port) else { continue };
        let class = class_of(port);
        let of_same_service = by_service.last().is_some_and(|(service, ..)| *service == binding.service);
        if class != ProtocolClass::Udp && !of_same_service {
            by_service.push((binding.service, class, origin_of(port)));
        }
    }
    let Some((_, class, origin)) = by_service.first().copied() else {
        let datagrams = draft.transport != Transport::Tcp;
        let class = if datagrams { ProtocolClass::Udp } else { ProtocolClass::Auto };
        return Fact::Known(class, Origin::Default);
    };
    if by_service.iter().all(|(_, other, _)| *other == class) {
        return Fact::Known(class, origin);
    }
    let meta = |id: ServiceId| &resources[services.all[id.index()].0.resource.index()].meta;
    if all_dated(by_service.iter().map(|(id, ..)| meta(*id))) {
        let oldest = by_service.iter().min_by_key(|(id, ..)| (created(meta(*id)), meta(*id).name(), *id));
        if let Some((_, class, origin)) = oldest {
            return Fact::Known(*class, *origin);
        }
    }
    let mut names: Vec<&str> = by_service.iter().map(|(id, ..)| meta(*id).name()).collect();
    names.sort_unstable();
    names.truncate(4);
    Fact::Unknown(format!(
        "Services {} send different protocols to this port, and the oldest of them decides",
        names.join(", ")
    ))
}

/// The class of a Service port.
pub(crate) fn class_of(port: &ServicePort) -> ProtocolClass {
    let transport = match port.protocol {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
        // Istio takes SCTP for TCP, but no proxy ever sees such traffic.
        Transport::Sctp => return ProtocolClass::Udp,
    };
    let name = port.name.as_ref().map_or("", |name| name.value.as_str());
    let app_protocol = port.app_protocol.as_ref().map(|protocol| protocol.value.as_str());
    Protocol::select(u32::from(port.port.value), name, app_protocol, Some(transport)).class()
}

fn origin_of(port: &ServicePort) -> Origin {
    let deciding = port.app_protocol.as_ref().or(port.name.as_ref());
    Origin::Inherited(deciding.map_or(port.port.span, |text| text.span))
}

/// Which inbound ports reach the proxy.
pub(crate) struct InboundCapture {
    rule: Rule,
    /// The status port of the proxy, when it is not the usual one.
    status_port: u16,
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
        let rule = match capture.known() {
            Some(Capture::Ambient) => of_ambient(pods),
            Some(Capture::Sidecar | Capture::SidecarHbone) | None => of_sidecar(pods, settings),
            Some(_) => Rule::All { except: Vec::new(), by: None },
        };
        InboundCapture { rule, status_port }
    }

    /// Ports that the rule names one by one.
    fn named(&self) -> &[u16] {
        match &self.rule {
            Rule::All { except: ports, .. } | Rule::Only { ports, .. } => ports,
        }
    }

    /// Whether the proxy sees a port.
    pub(crate) fn of(&self, port: u16) -> PortCapture {
        if PROXY_PORTS.contains(&port) && (port != STATUS_PORT || self.status_port == STATUS_PORT)
            || port == self.status_port
        {
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
    let (included, by) = port_setting(pods, "includeInboundPorts", &settings.include_inbound_ports);
    if included != "*" {
        return Rule::Only { ports: port_list(included), by };
    }
    let (excluded, by) = port_setting(pods, "excludeInboundPorts", &settings.exclude_inbound_ports);
    Rule::All { except: port_list(excluded), by }
}

fn port_setting<'a>(pods: &Pods<'a>, name: &str, mesh_wide: &'a Fact<String>) -> (&'a str, Option<Span>) {
    let key = format!("traffic.sidecar.istio.io/{name}");
    if let Some(own) = pods.annotations.get(&key) {
        return (own.value.trim(), Some(own.span));
    }
    let unset = if name.starts_with("include") { "*" } else { "" };
    (mesh_wide.known().map_or(unset, String::as_str), mesh_wide.span())
}

fn port_list(text: &str) -> Vec<u16> {
    let mut ports: Vec<u16> = text.split(',').filter_map(|port| port.trim().parse().ok()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
