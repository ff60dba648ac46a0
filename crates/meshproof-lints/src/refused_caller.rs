//! `refused-caller`: callers without mTLS that STRICT keeps out although the manifests say that they call (mutual-TLS
//! reference §11.1, PA20, PA21, PA22).
//!
//! The API server, Prometheus, ingress controllers and pods that nobody injects have no certificate of the mesh. What
//! makes them call stands in the manifests: webhooks, monitors, Ingresses, addresses in the settings of pods.

mod api_server;
mod ingress;
mod neighbours;
mod pods;
mod scrapers;
mod waypoints;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, ResourceName, Witness};
use meshproof_ir::{Workload, WorkloadId};
use meshproof_resources::MtlsMode;
use meshproof_source::Span;
use meshproof_transport::{Call, Client, Outcome, Target, Wire};

use crate::Context;
use crate::calls::{is_all_lost, is_server_written, port_of, reasons, workload_of};
use crate::clients::{Host, HostPort};

const ID: &str = "refused-caller";

/// Runs the lint: one finding per place that makes somebody call.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let is_strict = |workload: &Workload| {
        workload.mode.mode.is(&MtlsMode::Strict)
            || workload.ports.iter().any(|port| port.mode.mode.is(&MtlsMode::Strict))
    };
    let mut findings = api_server::findings(ctx);
    if ctx.mesh.workloads.iter().any(is_strict) {
        findings.extend(pods::findings(ctx));
        findings.extend(scrapers::findings(ctx));
        findings.extend(ingress::findings(ctx));
        findings.extend(neighbours::findings(ctx));
        findings.extend(waypoints::findings(ctx));
    }
    findings
}

/// A call of which nothing arrives anywhere.
struct Lost {
    outcome: Outcome,
    /// What the servers do is written down.
    is_written: bool,
}

/// Asks for a call in plaintext, and gives it back when every server refuses it.
fn lost(ctx: &Context<'_>, client: Client<'_>, host: &Host<'_>, port: HostPort) -> Option<Lost> {
    lost_at(ctx, client, Target::Host(host.name), port)
}

/// The same for any target.
fn lost_at(ctx: &Context<'_>, client: Client<'_>, target: Target<'_>, port: HostPort) -> Option<Lost> {
    let call = Call { client, target, port: port.number, subset: None, speaks: port.speaks };
    let outcome = ctx.transport().call(&call);
    let is_plain = outcome.endpoints.iter().all(|endpoint| endpoint.wire.is(&Wire::Plain));
    if !is_plain || !is_all_lost(&outcome) {
        return None;
    }
    let is_written = outcome.unknown.is_empty()
        && outcome.endpoints.iter().all(|endpoint| is_server_written(ctx, endpoint, true));
    Some(Lost { outcome, is_written })
}

/// What to say of a lost call.
struct Said {
    level: Level,
    /// What makes the caller call.
    place: Span,
    label: String,
    /// The object in which that stands.
    resource: ResourceName,
    /// The caller, for people.
    who: String,
    /// The caller as `explain` takes it.
    from: String,
    why: String,
    help: &'static str,
}

impl Lost {
    fn server(&self) -> Option<WorkloadId> {
        self.outcome.endpoints.first().and_then(workload_of)
    }

    /// An error only where nothing is assumed of the servers.
    fn most(&self, level: Level) -> Level {
        if self.is_written { level } else { level.min(Level::Warning) }
    }

    fn finding(&self, ctx: &Context<'_>, said: Said) -> Option<Finding> {
        let endpoint = self.outcome.endpoints.first()?;
        let server = ctx.mesh.workload(self.server()?);
        let to = ctx.workload_name(server);
        let port = endpoint.port;
        let message = format!("{} cannot reach {to}:{port}, which is STRICT: {}", said.who, said.why);
        let mut because = reasons(&self.outcome, endpoint);
        because.push(said.why);
        let witness = Witness {
            from: said.from,
            to,
            port: Some(port),
            transport: Some("plaintext"),
            method: None,
            path: None,
            decision: Decision::Deny,
            because,
        };
        let level = self.most(said.level);
        let confidence = if level == Level::Error { Confidence::High } else { Confidence::Medium };
        let label = Label::new(said.place, said.label);
        let mut finding = Finding::new(ID, level, Category::Outage, message, label)
            .with_resource(said.resource)
            .with_confidence(confidence)
            .with_witness(witness)
            .with_help(said.help);
        let mode = port_of(server, port).map_or(&server.mode, |port| &port.mode);
        if let Some(span) = mode.mode.span() {
            finding = finding.with_related(span, "STRICT is set here");
        }
        Some(finding.with_related(ctx.workload_span(server), "the server"))
    }
}
