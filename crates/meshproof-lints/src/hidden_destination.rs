//! `hidden-destination`: calls of sidecars to Services that are not in their scope (mutual-TLS reference §2.6, §11.2
//! DR18).
//!
//! A Sidecar object that does not import a Service, or an `exportTo` that keeps it to itself, hides it from proxies.
//! They pass such calls through as plaintext, or refuse them (`REGISTRY_ONLY`); no DestinationRule counts.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Capture, Workload};
use meshproof_resources::Spec;
use meshproof_source::Span;
use meshproof_transport::{Call, Client, Delivery, Outcome, Path, Target};

use crate::Context;
use crate::calls::{first_line, is_all_lost, is_server_written, reasons, workload_of};
use crate::clients::{Host, is_settled_client};
use crate::written_calls::WrittenCall;

const ID: &str = "hidden-destination";
const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// Runs the lint: one finding per text that names a Service.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let is_sidecar = |call: &&WrittenCall<'_>| {
        let client = ctx.mesh.workload(call.client);
        !call.is_early && matches!(client.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone))
    };
    ctx.written_calls().iter().filter(is_sidecar).filter_map(|call| finding(ctx, call)).collect()
}

/// What becomes of a call, for people.
struct Fate {
    category: Category,
    level: Level,
    decision: Decision,
    text: &'static str,
}

fn fate(ctx: &Context<'_>, outcome: &Outcome) -> Option<Fate> {
    let is_open = |delivery: &Delivery| matches!(delivery, Delivery::Plaintext(_) | Delivery::Application);
    let is_guarded = outcome.endpoints.iter().all(|endpoint| {
        let server = workload_of(endpoint).map(|id| ctx.mesh.workload(id));
        server.is_some_and(|server| !server.capture.is(&Capture::None))
    });
    match outcome.path {
        Path::Blackhole => Some(Fate {
            category: Category::Outage,
            level: Level::Error,
            decision: Decision::Deny,
            text: "and refuses what it does not know",
        }),
        Path::Direct if is_all_lost(outcome) => Some(Fate {
            category: Category::Outage,
            level: Level::Error,
            decision: Decision::Deny,
            text: "and passes the call on as plaintext, which the server refuses",
        }),
        // Where the server has no proxy either, mutual TLS was never to be had.
        Path::Direct if is_guarded => {
            let open = outcome.endpoints.first()?.result.known().filter(|delivery| is_open(delivery));
            open.map(|_| Fate {
                category: Category::Hole,
                level: Level::Warning,
                decision: Decision::Allow,
                text: "and passes the call on as plaintext, without an identity",
            })
        }
        _ => None,
    }
}

fn finding(ctx: &Context<'_>, call: &WrittenCall<'_>) -> Option<Finding> {
    let host = &ctx.clients().hosts[call.host as usize];
    if ctx.transport().knows_host(call.client, host.name) != Some(false) {
        return None;
    }
    let asked = Call {
        client: Client::Workload(call.client),
        target: Target::Host(host.name),
        port: call.port.number,
        subset: None,
        speaks: call.port.speaks,
    };
    let outcome = ctx.transport().call(&asked);
    let Fate { category, level, decision, text } = fate(ctx, &outcome)?;
    let client = ctx.mesh.workload(call.client);
    let (place, label) = hidden_by(ctx, client, host);
    let sure = outcome.unknown.is_empty()
        && is_settled_client(ctx, client)
        && !ctx.clients().is_routed(host)
        && (outcome.path == Path::Blackhole
            || outcome.endpoints.iter().all(|endpoint| is_server_written(ctx, endpoint, true)));
    let level = if sure { level } else { level.min(Level::Warning) };
    let who = ctx.workload_name(client);
    let message = format!("{who} calls {}, which its sidecar does not know of {text}", host.name);
    let because = match outcome.endpoints.first() {
        Some(endpoint) => reasons(&outcome, endpoint),
        None => outcome.evidence.iter().map(|evidence| evidence.text.clone()).collect(),
    };
    let server = outcome.endpoints.first().and_then(workload_of).or(host.workloads.first().copied());
    let mut finding = Finding::new(
        ID,
        level,
        category,
        message,
        Label::new(first_line(ctx, ctx.inner(call.text.span)), "names the Service"),
    )
    .with_resource(ctx.resource(client.resource).meta.resource_name())
    .with_confidence(if level == Level::Error { Confidence::High } else { Confidence::Medium })
    .with_help(
        "add the Service to `egress` of the Sidecar object, or the client's namespace to its `exportTo`",
    );
    if let Some(place) = place {
        finding = finding.with_related(first_line(ctx, place), label);
    }
    if let Some(server) = server.map(|id| ctx.mesh.workload(id)) {
        let port = outcome.endpoints.first().map(|endpoint| endpoint.port);
        let witness = Witness {
            from: who,
            to: ctx.workload_name(server),
            port,
            transport: Some("plaintext"),
            method: None,
            path: None,
            decision,
            because,
        };
        // Whether policies let it in is another question; only what fails is shown as a proof.
        if decision == Decision::Deny {
            finding = finding.with_witness(witness);
        }
        finding = finding.with_related(ctx.workload_span(server), "the server");
    }
    Some(finding)
}

/// What keeps a Service out of the scope of a client.
fn hidden_by(ctx: &Context<'_>, client: &Workload, host: &Host<'_>) -> (Option<Span>, &'static str) {
    let meta = &ctx.resource(host.resource).meta;
    if let Some(export) = meta.annotations.get(EXPORT_TO) {
        return (Some(export.span), "exported to these namespaces only");
    }
    let sidecar = client.sidecar.map(|id| ctx.resource(id));
    match sidecar.map(|resource| (&resource.spec, &resource.meta)) {
        Some((Spec::Sidecar(sidecar), meta)) => {
            let first = sidecar.egress.first().and_then(|listener| listener.hosts.first());
            (Some(first.map_or(meta.name_span(), |host| host.span)), "all that the sidecar is to know of")
        }
        _ => (None, ""),
    }
}
