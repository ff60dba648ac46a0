//! What a DestinationRule makes clients send against what the server's PeerAuthentication takes (mutual-TLS reference
//! §3.3).

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_grammar::host::resolve;
use meshproof_ir::{
    Capture, ClusterId, Fact, NamespaceId, Origin, ResourceId, ServiceId, Workload, WorkloadPort,
};
use meshproof_resources::{ClientTls, ClientTlsMode, DestinationRule, MtlsMode, Spec};
use meshproof_source::Span;

use super::ID;
use crate::Context;
use crate::hash::Map;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let services: Map<(ClusterId, &str), ServiceId> = ctx
        .mesh
        .services
        .iter()
        .enumerate()
        .filter_map(|(at, service)| {
            let cluster = ctx.mesh.namespaces[service.namespace.index()].cluster;
            Some(((cluster, service.fqdn.as_deref()?), ServiceId(at as u32)))
        })
        .collect();
    let mut used = Map::default();
    for (id, rule) in rules(ctx) {
        if let Some(host) = host(ctx, id, rule) {
            *used.entry((ctx.namespace_of(id), host)).or_insert(0_u32) += 1;
        }
    }
    let mut findings = Vec::new();
    for (id, rule) in rules(ctx) {
        let Some(host) = host(ctx, id, rule) else { continue };
        let (cluster, _) = ctx.mesh.placement[id.index()];
        let Some(service) = services.get(&(cluster, host.as_str())).copied() else { continue };
        // Which of several rules for one host counts is another finding.
        let alone = used.get(&(ctx.namespace_of(id), host)) == Some(&1);
        findings.extend(at_service(ctx, id, rule, service, alone));
    }
    findings
}

fn rules<'c>(ctx: &'c Context<'_>) -> impl Iterator<Item = (ResourceId, &'c DestinationRule)> {
    ctx.mesh.resources.iter().enumerate().filter_map(|(at, resource)| match &resource.spec {
        Spec::DestinationRule(rule) => Some((ResourceId(at as u32), &**rule)),
        _ => None,
    })
}

fn host(ctx: &Context<'_>, id: ResourceId, rule: &DestinationRule) -> Option<String> {
    let namespace = ctx.mesh.namespaces[ctx.namespace_of(id)?.index()].name.as_deref()?;
    Some(resolve(&rule.host.as_ref()?.value, namespace, "cluster.local"))
}

/// A port of the Service where the two sides cannot meet.
struct Clash<'c> {
    server: &'c Workload,
    port: &'c WorkloadPort,
    tls: &'c ClientTls,
    why: &'static str,
    /// The server side is written down, not assumed.
    explicit: bool,
}

fn at_service(
    ctx: &Context<'_>,
    id: ResourceId,
    rule: &DestinationRule,
    service: ServiceId,
    alone: bool,
) -> Option<Finding> {
    if rule.workload_selector.is_some() {
        return None;
    }
    let workloads = &ctx.mesh.services[service.index()].workloads;
    let clashes: Vec<Clash<'_>> = workloads
        .iter()
        .map(|id| &ctx.mesh.workloads[id.index()])
        .map(|workload| clash(ctx, rule, service, workload))
        .collect::<Option<_>>()?;
    let clash = clashes.first()?;
    let own = ctx.namespace_of(id)?;
    let client = client(ctx, own, rule, clash.server, ctx.mesh.services[service.index()].namespace);
    let explicit = clashes.iter().all(|clash| clash.explicit);
    let certain = alone
        && explicit
        && client.is_some()
        && !ctx.is_incomplete(own)
        && !ctx.is_incomplete(clash.server.namespace);
    let level = if certain { Level::Error } else { Level::Warning };
    let meta = &ctx.resource(id).meta;
    let name = meta.resource_name();
    let word = clash.tls.effective_mode().as_str();
    let to = format!("{}:{}", ctx.workload_name(clash.server), clash.port.number);
    let message = format!("clients that follow {name} cannot reach {to}: {word} meets {}", clash.why);
    let (span, label) = match &clash.tls.mode {
        Some(mode) => (mode.span, format!("clients send {}", sends(mode.value))),
        None => (clash.tls.span, "`tls` without `mode` means DISABLE: clients send plaintext".to_owned()),
    };
    let mut finding = Finding::new(ID, level, Category::Outage, message, Label::new(span, label))
        .with_resource(name.clone())
        .with_confidence(if certain { Confidence::High } else { Confidence::Medium })
        .with_help("remove `tls` from the DestinationRule: auto mTLS sends what the server takes");
    if let Some(place) = clash.port.mode.mode.span().or_else(|| clash.server.capture.span()) {
        finding = finding.with_related(first_line(ctx, place), "the server's side is decided here");
    }
    finding = finding.with_related(ctx.workload_span(clash.server), "the server");
    if let Some(client) = client {
        finding = finding.with_witness(Witness {
            from: ctx.workload_name(client),
            to: ctx.workload_name(clash.server),
            port: Some(clash.port.number),
            transport: Some(if clash.tls.effective_mode() == ClientTlsMode::Disable {
                "plaintext"
            } else {
                "mtls"
            }),
            method: None,
            path: None,
            decision: Decision::Deny,
            because: vec![
                format!("{name} makes the client send {}", sends(clash.tls.effective_mode())),
                format!("the server has {}, so the connection is refused", clash.why),
            ],
        });
    }
    Some(finding)
}

fn first_line(ctx: &Context<'_>, span: Span) -> Span {
    span.part(0, ctx.sources.snippet(span).lines().next().map_or(0, str::len))
}

fn sends(mode: ClientTlsMode) -> &'static str {
    match mode {
        ClientTlsMode::Disable => "plaintext",
        ClientTlsMode::Simple => "TLS without a client certificate",
        ClientTlsMode::Mutual => "TLS with a certificate of their own",
        ClientTlsMode::IstioMutual => "mesh mTLS",
    }
}

/// The first port of a workload behind the Service that refuses what the rule sends; `None` when there is none.
fn clash<'c>(
    ctx: &'c Context<'_>,
    rule: &'c DestinationRule,
    service: ServiceId,
    workload: &'c Workload,
) -> Option<Clash<'c>> {
    let Spec::Service(spec) = &ctx.resource(ctx.mesh.services[service.index()].resource).spec else {
        return None;
    };
    if !workload.envoy_filters.is_empty() {
        return None;
    }
    workload.ports.iter().find_map(|port| {
        let binding = port.bindings.iter().find(|binding| binding.service == service)?;
        let number = spec.ports.get(binding.port)?.port.value;
        let tls = tls_for(rule, number)?;
        let (why, explicit) = refusal(workload, port, tls.effective_mode())?;
        Some(Clash { server: workload, port, tls, why, explicit })
    })
}

/// A port entry replaces what stands above it, `tls` included (§2.5).
fn tls_for(rule: &DestinationRule, service_port: u16) -> Option<&ClientTls> {
    let policy = rule.traffic_policy.as_ref()?;
    let entry = policy
        .port_level
        .iter()
        .find(|entry| entry.port.as_ref().is_some_and(|port| port.value == service_port));
    match entry {
        Some(entry) => entry.tls.as_ref(),
        None => policy.tls.as_ref(),
    }
}

/// Why a server refuses it, and whether the manifests say so explicitly. Servers that take HBONE ignore the rule.
fn refusal(workload: &Workload, port: &WorkloadPort, sent: ClientTlsMode) -> Option<(&'static str, bool)> {
    let Fact::Known(capture, origin) = &workload.capture else { return None };
    let written = !matches!(origin, Origin::Default);
    if port.capture != meshproof_ir::PortCapture::Captured {
        return None;
    }
    match (capture, port.mode.mode.known(), sent) {
        (Capture::Sidecar, Some(MtlsMode::Strict), ClientTlsMode::Disable | ClientTlsMode::Simple) => {
            Some(("STRICT", written && port.mode.decided_by.is_some()))
        }
        (Capture::Sidecar, Some(MtlsMode::Disable), ClientTlsMode::IstioMutual) => {
            Some(("mTLS disabled", written && port.mode.decided_by.is_some()))
        }
        (Capture::None, _, ClientTlsMode::IstioMutual) => Some(("no proxy that could end mTLS", written)),
        _ => None,
    }
}

/// A workload with a sidecar that uses this rule: of its namespace, or anywhere when it is the Service owner's rule.
fn client<'c>(
    ctx: &'c Context<'_>,
    namespace: NamespaceId,
    rule: &DestinationRule,
    server: &Workload,
    service_namespace: NamespaceId,
) -> Option<&'c Workload> {
    let name = ctx.mesh.namespaces[namespace.index()].name.as_deref();
    let exported = |to: &str| rule.export_to.iter().any(|entry| entry.value == to);
    let here = rule.export_to.is_empty() || exported("*") || exported(".") || name.is_some_and(exported);
    let everywhere = namespace == service_namespace && (rule.export_to.is_empty() || exported("*"));
    let is_client = |workload: &&Workload| {
        matches!(workload.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone))
            && workload.resource != server.resource
    };
    let of_namespace = ctx.mesh.namespaces[namespace.index()].workloads.iter();
    let mut near = of_namespace.map(|id| &ctx.mesh.workloads[id.index()]);
    let found = if here { near.find(is_client) } else { None };
    found.or_else(|| if everywhere { ctx.mesh.workloads.iter().find(is_client) } else { None })
}
