//! Prometheus, which calls pods by their address: no sidecar of its own makes that mTLS.

use meshproof_diagnostics::{Finding, Level, ResourceName};
use meshproof_ir::{
    Called, Capture, ClusterId, Layer, NamespaceId, ResourceId, Workload, WorkloadId, WorkloadPort,
};
use meshproof_resources::{Monitor, PortRef, Scrape, Spec, TextMap};
use meshproof_source::Span;
use meshproof_transport::{Client, Target};

use super::{Said, lost_at};
use crate::Context;
use crate::clients::HostPort;

/// Services and workloads looked at, over all monitors.
const STEPS: usize = 200_000;
const IMAGES: &[&str] = &["prom/prometheus", "prometheus/prometheus", "bitnami/prometheus"];
const HELP: &str = "make the port PERMISSIVE with portLevelMtls for this workload, let Istio merge the metrics \
                    (port 15020), or scrape with scheme https and the certificates of the mesh";

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut steps = 0;
    for (at, resource) in ctx.mesh.resources.iter().enumerate() {
        let (cluster, namespace) = ctx.mesh.placement[at];
        let Some(namespace) = namespace else { continue };
        match &resource.spec {
            Spec::Monitor(monitor) => {
                let finding =
                    of_monitor(ctx, ResourceId(at as u32), (cluster, namespace), monitor, &mut steps);
                findings.extend(finding);
            }
            Spec::Service(service) if !service.selector.is_empty() => {
                findings.extend(of_annotated_service(ctx, ResourceId(at as u32)));
            }
            _ => {}
        }
    }
    findings.extend(ctx.mesh.workloads_with_ids().filter_map(|(id, _)| of_annotated_pods(ctx, id)));
    findings
}

/// A port that is scraped over plain HTTP, and where that is said.
struct Scraped {
    server: WorkloadId,
    port: u16,
    place: Span,
    label: &'static str,
    resource: ResourceName,
}

/// The first port that a monitor asks for and that refuses it.
fn of_monitor(
    ctx: &Context<'_>,
    id: ResourceId,
    (cluster, own): (ClusterId, NamespaceId),
    monitor: &Monitor,
    steps: &mut usize,
) -> Option<Finding> {
    let named =
        || monitor.namespaces.iter().filter_map(|name| ctx.mesh.namespace_by_name(cluster, &name.value));
    let namespaces: Vec<NamespaceId> = if monitor.any_namespace {
        let all = (0..ctx.mesh.namespaces.len() as u32).map(NamespaceId);
        all.filter(|id| ctx.mesh.namespace(*id).cluster == cluster).collect()
    } else if monitor.namespaces.key.is_some() {
        named().collect()
    } else {
        vec![own]
    };
    let selects = |labels: &TextMap| {
        monitor.selector.as_ref().is_none_or(|selector| selector.matches(labels) == Some(true))
    };
    let plain = |scrape: &&Scrape| {
        scrape.scheme.as_ref().is_none_or(|scheme| scheme.value.eq_ignore_ascii_case("http"))
    };
    let resource = || ctx.resource(id).meta.resource_name();
    let label = "scraped at the address of the pods, over plain HTTP";
    for namespace in namespaces.into_iter().map(|id| ctx.mesh.namespace(id)) {
        if monitor.of_pods {
            for server in &namespace.workloads {
                *steps += 1;
                let workload = ctx.mesh.workload(*server);
                if *steps > STEPS || !selects(&workload.labels) {
                    continue;
                }
                let found = monitor.endpoints.iter().filter(plain).find_map(|scrape| {
                    let port = workload.ports.iter().find(|port| asks_pod(scrape, port))?.number;
                    let scraped =
                        Scraped { server: *server, port, place: place(scrape), label, resource: resource() };
                    finding(ctx, scraped)
                });
                if found.is_some() {
                    return found;
                }
            }
            continue;
        }
        for service in &namespace.services {
            *steps += 1;
            let known = &ctx.mesh.services[service.index()];
            if *steps > STEPS || !selects(&ctx.resource(known.resource).meta.labels) {
                continue;
            }
            let servers = known.workloads.iter().take(8);
            let mut pairs =
                servers.flat_map(|id| monitor.endpoints.iter().filter(plain).map(move |at| (*id, at)));
            let found = pairs.find_map(|(server, scrape)| {
                let ports = &ctx.mesh.workload(server).ports;
                let is_asked = |port: &&WorkloadPort| {
                    let mut bindings = port.bindings.iter().filter(|binding| binding.service == *service);
                    asks_pod(scrape, port)
                        || bindings.any(|binding| {
                            let spec = ctx.mesh.service_spec(binding.service);
                            let own = spec.and_then(|spec| spec.ports.get(binding.port)?.name.as_ref());
                            own.zip(scrape.port.as_ref()).is_some_and(|(own, asked)| own.value == asked.value)
                        })
                };
                let port = ports.iter().find(is_asked)?.number;
                finding(ctx, Scraped { server, port, place: place(scrape), label, resource: resource() })
            });
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

/// Where the port stands that is scraped.
fn place(scrape: &Scrape) -> Span {
    let target = scrape.target.as_ref().map(|target| match target {
        PortRef::Number(number) => number.span,
        PortRef::Name(name) => name.span,
    });
    scrape.port.as_ref().map(|port| port.span).or(target).unwrap_or(scrape.span)
}

/// Whether a scrape names a port of the pods.
fn asks_pod(scrape: &Scrape, port: &WorkloadPort) -> bool {
    match &scrape.target {
        Some(PortRef::Number(number)) => number.value == port.number,
        Some(PortRef::Name(name)) => port.name.as_ref() == Some(&name.value),
        None => false,
    }
}

/// `prometheus.io/scrape` on a Service, which the injector leaves as it is.
fn of_annotated_service(ctx: &Context<'_>, id: ResourceId) -> Option<Finding> {
    let meta = &ctx.resource(id).meta;
    let (port, place) = annotated(&meta.annotations)?;
    let Called::Service(service) = ctx.mesh.service_called(ctx.namespace_of(id)?, meta.name())? else {
        return None;
    };
    let label = "scraped at the address of the pods";
    let mut servers = ctx.mesh.services[service.index()].workloads.iter().take(8);
    servers.find_map(|server| {
        finding(ctx, Scraped { server: *server, port, place, label, resource: meta.resource_name() })
    })
}

/// The same on pods. The injector makes it name the port where the sidecar gives all metrics (`enablePrometheusMerge`,
/// on by default), unless the pods say otherwise; ztunnel does nothing of the kind.
fn of_annotated_pods(ctx: &Context<'_>, id: WorkloadId) -> Option<Finding> {
    let workload = ctx.mesh.workload(id);
    let Spec::Workload(spec) = &ctx.resource(workload.resource).spec else { return None };
    let annotations = &spec.template.as_ref()?.annotations;
    let (port, place) = annotated(annotations)?;
    let merge = annotations.get("prometheus.istio.io/merge-metrics");
    let is_merged =
        !workload.capture.is(&Capture::Ambient) && merge.is_none_or(|merge| merge.value != "false");
    let resource = ctx.resource(workload.resource).meta.resource_name();
    let label = "scraped at the address of the pods";
    if is_merged { None } else { finding(ctx, Scraped { server: id, port, place, label, resource }) }
}

/// The port that annotations ask to scrape over plain HTTP.
fn annotated(annotations: &TextMap) -> Option<(u16, Span)> {
    annotations.get("prometheus.io/scrape").filter(|scrape| scrape.value == "true")?;
    if annotations.get("prometheus.io/scheme").is_some_and(|scheme| scheme.value == "https") {
        return None;
    }
    let port = annotations.get("prometheus.io/port")?;
    Some((port.value.parse().ok()?, port.span))
}

fn finding(ctx: &Context<'_>, scraped: Scraped) -> Option<Finding> {
    let server = ctx.mesh.workload(scraped.server);
    let cluster = ctx.mesh.namespace(server.namespace).cluster;
    let port = HostPort { number: scraped.port, speaks: Layer::Http };
    // Whoever has ztunnel reaches tunnels by the address of pods too.
    let scrapers = ctx.images().of(ctx, cluster, IMAGES);
    let seen = scrapers.iter().find(|id| ctx.mesh.workload(**id).capture.known().is_some());
    let client = match seen {
        Some(scraper) => Client::Workload(*scraper),
        None if has_tunnel(server) => return None,
        None => Client::Plaintext(cluster),
    };
    let lost = lost_at(ctx, client, Target::Workload(scraped.server), port)?;
    let from = seen.map_or("plaintext".to_owned(), |id| ctx.workload_name(ctx.mesh.workload(*id)));
    lost.finding(
        ctx,
        Said {
            level: Level::Warning,
            place: ctx.inner(scraped.place),
            label: scraped.label.to_owned(),
            resource: scraped.resource,
            who: "Prometheus".to_owned(),
            from,
            why: "it calls pods by their address, which no sidecar makes mTLS".to_owned(),
            help: HELP,
        },
    )
}

fn has_tunnel(server: &Workload) -> bool {
    !server.capture.is(&Capture::Sidecar)
}
