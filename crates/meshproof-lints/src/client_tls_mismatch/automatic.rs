//! Automatic mutual TLS that chooses what the server does not take.

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_resources::MtlsMode;
use meshproof_source::Span;
use meshproof_transport::{EndpointOutcome, Path, Wire};

use super::ID;
use crate::Context;
use crate::automatic::{AutomaticCall, TLS_MODE, goes_around};
use crate::calls::{
    connection, deciding, first_line, is_lost, is_server_written, port_of, reasons, workload_of,
};
use crate::clients::is_settled_client;
use crate::hash::Set;

pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut told: Set<Span> = Set::default();
    let mut findings = Vec::new();
    for call in ctx.automatic() {
        for endpoint in call.outcome.endpoints.iter().filter(|endpoint| is_lost(endpoint)) {
            let Some((place, finding)) = finding(ctx, call, endpoint) else { continue };
            if told.insert(place) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// Why a client chose what it sends.
struct Cause {
    why: &'static str,
    label: &'static str,
    help: &'static str,
    /// The deciding text, where it is not the one that decides on what is sent or taken.
    at: Option<Span>,
}

fn cause(ctx: &Context<'_>, call: &AutomaticCall, endpoint: &EndpointOutcome) -> Option<Cause> {
    let host = &ctx.clients().hosts[call.host as usize];
    let is_plain = endpoint.wire.is(&Wire::Plain);
    let original = call.outcome.path == Path::OriginalDestination;
    let workload = ctx.mesh.workload(workload_of(endpoint)?);
    if let Some(at) = port_of(workload, endpoint.port).and_then(goes_around).filter(|_| !is_plain) {
        return Some(Cause {
            why: "the port goes around the server's proxy, so that their mTLS gets to an application that does not speak it",
            label: "clients do not see this",
            help: "let the proxy see the port, or write a DestinationRule with portLevelSettings and DISABLE for this port of the host",
            at: Some(at),
        });
    }
    if ctx.mesh.settings_of(host.cluster).auto_mtls.is(&false) {
        return Some(Cause {
            why: "auto mTLS is off, so that they send plaintext, and the server takes only mTLS",
            label: "clients send mTLS only where a DestinationRule says ISTIO_MUTUAL",
            help: "turn enableAutoMtls on, or write a DestinationRule with ISTIO_MUTUAL for the host",
            at: None,
        });
    }
    if original && !is_plain {
        return Some(Cause {
            why: "for a headless Service they send mTLS to every pod and port, whatever the mode of this one",
            label: "clients of a headless Service do not see this",
            help: "write a DestinationRule with portLevelSettings and DISABLE for this port of the host, or use PERMISSIVE",
            at: None,
        });
    }
    if workload.labels.get(TLS_MODE).is_some() {
        return Some(Cause {
            why: "the pods' label security.istio.io/tlsMode tells them what the server does not take",
            label: "clients choose plaintext or mTLS by this label",
            help: "remove the label: injection sets it where there is a sidecar",
            at: None,
        });
    }
    if !is_plain {
        return None;
    }
    let of_namespace = ctx.mesh.namespace_mode(host.namespace);
    if of_namespace.is_some_and(|mode| mode.mode.is(&MtlsMode::Disable)) {
        return Some(Cause {
            why: "the namespace is DISABLE, so that they send plaintext, and the server takes only mTLS",
            label: "clients decide by the mode of the whole namespace",
            help: "make the namespace PERMISSIVE: clients then use mTLS, and the other workloads still take plaintext",
            at: None,
        });
    }
    original.then_some(Cause {
        why: "the headless Service has an endpoint without a proxy, so that they send plaintext to all of them",
        label: "one endpoint without a proxy is enough",
        help: "give all endpoints a sidecar, or write a DestinationRule with ISTIO_MUTUAL for the others",
        at: None,
    })
}

fn finding(ctx: &Context<'_>, call: &AutomaticCall, endpoint: &EndpointOutcome) -> Option<(Span, Finding)> {
    let Cause { why, label, help, at } = cause(ctx, call, endpoint)?;
    let server = ctx.mesh.workload(workload_of(endpoint)?);
    let mode = endpoint.server.iter().rev().find_map(|evidence| evidence.span);
    let label_span = server.labels.get(TLS_MODE).map(|label| label.span);
    let chosen = deciding(&call.outcome, endpoint).and_then(|evidence| evidence.span).or(label_span);
    let sent_by_mode = call.outcome.path == Path::OriginalDestination && !endpoint.wire.is(&Wire::Plain);
    let place = if let Some(at) = at {
        at
    } else if sent_by_mode {
        mode.or(chosen)?
    } else {
        chosen.or(mode)?
    };
    let host = &ctx.clients().hosts[call.host as usize];
    let object = match sent_by_mode {
        _ if at.is_some() => Some(server.resource),
        true => endpoint.server.iter().rev().find_map(|evidence| evidence.object),
        false => deciding(&call.outcome, endpoint).and_then(|evidence| evidence.object),
    };
    let resource = object.unwrap_or(server.resource);
    let to = format!("{}:{}", ctx.workload_name(server), endpoint.port);
    let message = format!("clients cannot reach {to} by {}: {why}", host.name);
    // What an application speaks is not in the input.
    let certain = at.is_none()
        && call.outcome.unknown.is_empty()
        && !ctx.clients().is_routed(host)
        && !ctx.is_incomplete(host.namespace)
        && is_settled_client(ctx, ctx.mesh.workload(call.client))
        && is_server_written(ctx, endpoint, true);
    let because = reasons(&call.outcome, endpoint);
    let mut finding = Finding::new(
        ID,
        if certain { Level::Error } else { Level::Warning },
        Category::Outage,
        message,
        Label::new(first_line(ctx, place), label),
    )
    .with_resource(ctx.resource(resource).meta.resource_name())
    .with_confidence(if certain { Confidence::High } else { Confidence::Medium })
    .with_help(help)
    .with_witness(connection(ctx, call.client, server, endpoint, Decision::Deny, because));
    if let Some(mode) = mode.filter(|mode| *mode != place) {
        finding = finding.with_related(first_line(ctx, mode), "the server's side is decided here");
    }
    Some((place, finding.with_related(ctx.workload_span(server), "the server")))
}
