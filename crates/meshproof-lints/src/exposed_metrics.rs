//! `exposed-metrics`: metrics of a guarded port that the sidecar serves to everybody, merged with its own (mutual-TLS
//! reference §4.5, §8.3, §11.3 ST12).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Capture, NamespaceId, Workload, WorkloadPort};
use meshproof_resources::{MtlsMode, PodTemplate, Spec};
use meshproof_source::Span;

use crate::Context;
use crate::context::captured_ports;
use crate::hash::Set;
use crate::network::may_be_shielded;
use crate::policies::Policy;
use crate::proof::{cluster_of, enforced_at, fate_at};
use crate::weak_mesh_tls::mesh_configs;
use crate::witnesses::{request, takes_port};

const ID: &str = "exposed-metrics";
const SCRAPE: &str = "prometheus.io/scrape";
const PORT: &str = "prometheus.io/port";
const MERGE: &str = "prometheus.istio.io/merge-metrics";
const STATUS_PORT: &str = "status.sidecar.istio.io/port";
/// What is scraped where no port is written (Istio 1.32, pkg/kube/inject/webhook.go `applyPrometheusMerge`).
const DEFAULT_PORT: u16 = 80;
/// Where the agent of a sidecar listens; its traffic is never redirected.
const AGENT_PORT: u16 = 15020;

/// A workload whose metrics come out.
struct Place<'a> {
    workload: &'a Workload,
    port: &'a WorkloadPort,
    agent: u16,
    scraped: Span,
    /// A policy with a rule about this very port.
    named: Option<(&'a Policy<'a>, Span)>,
}

/// Runs the lint: one finding per policy that names the port, and one per namespace for the rest.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let merging = |config: &&meshproof_resources::MeshConfig| {
        config.prometheus_merge.as_ref().is_some_and(|merge| !merge.value)
    };
    let off: Set<_> =
        mesh_configs(ctx).filter(|(.., config)| merging(config)).map(|(cluster, ..)| cluster).collect();
    let mut named: BTreeMap<(u32, u32), (Place<'_>, usize)> = BTreeMap::new();
    let mut others: BTreeMap<NamespaceId, (Place<'_>, usize)> = BTreeMap::new();
    for workload in &ctx.mesh.workloads {
        if !matches!(workload.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone))
            || off.contains(&cluster_of(ctx, workload))
            || may_be_shielded(ctx, workload)
        {
            continue;
        }
        let Some(place) = place(ctx, workload) else { continue };
        match place.named {
            Some((_, span)) => {
                named.entry((span.source.0, span.start)).or_insert((place, 0)).1 += 1;
            }
            None => others.entry(workload.namespace).or_insert((place, 0)).1 += 1,
        }
    }
    named
        .into_values()
        .chain(others.into_values())
        .map(|(place, count)| finding(ctx, &place, count))
        .collect()
}

fn place<'c>(ctx: &'c Context<'_>, workload: &'c Workload) -> Option<Place<'c>> {
    let Spec::Workload(pods) = &ctx.resource(workload.resource).spec else { return None };
    let template: &PodTemplate = pods.template.as_ref()?;
    let annotation = |key: &str| template.annotations.get(key);
    let scraped = annotation(SCRAPE).filter(|scrape| scrape.value == "true")?;
    if annotation(MERGE).is_some_and(|merge| merge.value == "false") {
        return None;
    }
    let number = match annotation(PORT) {
        Some(port) => port.value.trim().parse().ok()?,
        None => DEFAULT_PORT,
    };
    let port = captured_ports(workload).find(|port| port.number == number)?;
    let plain = request(ctx, "plaintext".to_owned(), workload, Some(port), None, Decision::Deny, Vec::new());
    let is_guarded = port.mode.mode.is(&MtlsMode::Strict)
        || fate_at(ctx, workload, Some(port), &plain) == Some(Decision::Deny);
    let agent = annotation(STATUS_PORT).and_then(|port| port.value.trim().parse().ok()).unwrap_or(AGENT_PORT);
    is_guarded.then(|| Place {
        workload,
        port,
        agent,
        scraped: scraped.span,
        named: naming(ctx, workload, number),
    })
}

/// A policy that says who may come to the port, by number.
fn naming<'c>(ctx: &'c Context<'_>, workload: &'c Workload, port: u16) -> Option<(&'c Policy<'c>, Span)> {
    enforced_at(ctx, workload).find_map(|policy| {
        let operations = policy.spec.rules.iter().flat_map(|rule| rule.to.iter());
        let mut about = operations.filter(|one| !one.ports.values.is_empty() && takes_port(&one.ports, port));
        let value = about
            .find_map(|one| one.ports.values.iter().find(|value| value.value.trim().parse() == Ok(port)))?;
        Some((policy, value.span))
    })
}

fn finding(ctx: &Context<'_>, place: &Place<'_>, count: usize) -> Finding {
    let pods = ctx.workload_name(place.workload);
    let rest = match count - 1 {
        0 => String::new(),
        more => format!(" (and {more} more workloads)"),
    };
    let guard = match place.named {
        Some((policy, _)) => policy.meta.resource_name().to_string(),
        None if place.port.mode.mode.is(&MtlsMode::Strict) => "STRICT".to_owned(),
        None => "its policies".to_owned(),
    };
    let message = format!(
        "the metrics of {pods}:{}{rest}, guarded by {guard}, are open to everybody at port {}, where the sidecar serves them along with its own",
        place.port.number, place.agent
    );
    let because = vec![
        format!("{SCRAPE} makes the sidecar fetch the metrics of port {} itself", place.port.number),
        format!(
            "port {} belongs to the sidecar's agent: neither mTLS nor a policy is asked there",
            place.agent
        ),
        "no NetworkPolicy selects the pods".to_owned(),
    ];
    let witness = Witness {
        from: "plaintext".to_owned(),
        to: pods,
        port: Some(place.agent),
        transport: Some("plaintext"),
        method: Some("GET".to_owned()),
        path: Some("/stats/prometheus".to_owned()),
        decision: Decision::Allow,
        because,
    };
    let (level, primary) = match place.named {
        Some((_, span)) => (Level::Warning, Label::new(span, "asked at this port only")),
        // Where nobody says that metrics are worth guarding, it is what Istio does by default.
        None => (Level::Info, Label::new(place.scraped, "makes the sidecar serve these metrics")),
    };
    let resource = match place.named {
        Some((policy, _)) => policy.meta.resource_name(),
        None => ctx.resource(place.workload.resource).meta.resource_name(),
    };
    let mut finding = Finding::new(ID, level, Category::Hole, message, primary)
        .with_resource(resource)
        .with_confidence(Confidence::Medium)
        .with_witness(witness)
        .with_help(
            "keep others from the port with a NetworkPolicy, or annotate the pods with `prometheus.istio.io/merge-metrics: \"false\"` and scrape with mTLS",
        );
    if place.named.is_some() {
        finding = finding.with_related(place.scraped, "makes the sidecar serve these metrics");
    }
    finding.with_related(ctx.workload_span(place.workload), "these pods")
}
