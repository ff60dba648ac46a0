//! RequestAuthentications for pods whose ports carry TCP, where nobody looks at tokens (mutual-TLS reference §5, §11.3
//! ST25).

use std::collections::{BTreeMap, BTreeSet};

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{EnforcementPoint, ResourceId, Workload};
use meshproof_source::Span;

use super::ID;
use crate::Context;
use crate::context::captured_ports;
use crate::proof::MANY;

/// One finding per RequestAuthentication all of whose ports carry TCP.
pub(super) fn findings(ctx: &Context<'_>) -> Vec<Finding> {
    let mut on_tcp: BTreeMap<ResourceId, (&Workload, Span)> = BTreeMap::new();
    let mut elsewhere: BTreeSet<ResourceId> = BTreeSet::new();
    for workload in &ctx.mesh.workloads {
        let place = only_tcp(ctx, workload);
        for attachment in workload.request_authentications.iter().take(MANY) {
            match place {
                Some(place) if attachment.certain.is_ok() => {
                    on_tcp.entry(attachment.policy).or_insert((workload, place));
                }
                _ => {
                    elsewhere.insert(attachment.policy);
                }
            }
        }
    }
    let lost = on_tcp.into_iter().filter(|(id, _)| !elsewhere.contains(id));
    lost.map(|(id, (workload, place))| finding(ctx, id, workload, place)).collect()
}

/// Where the protocol of the first port is written, when a sidecar guards the pods and all ports are known to carry TCP.
fn only_tcp(ctx: &Context<'_>, workload: &Workload) -> Option<Span> {
    if workload.enforcement_point() != Some(EnforcementPoint::Sidecar) {
        return None;
    }
    let mut ports = captured_ports(workload).peekable();
    let first = *ports.peek()?;
    let place = first.protocol.span().unwrap_or_else(|| ctx.workload_span(workload));
    ports.all(|port| port.protocol.is(&ProtocolClass::Tcp)).then_some(place)
}

fn finding(ctx: &Context<'_>, id: ResourceId, workload: &Workload, place: Span) -> Finding {
    let meta = &ctx.resource(id).meta;
    let name = meta.resource_name();
    let message = format!(
        "{name} validates no token: every port of {} carries TCP, where proxies do not look at requests",
        ctx.workload_name(workload)
    );
    Finding::new(
        ID,
        Level::Warning,
        Category::Hole,
        message,
        Label::new(meta.name_span(), "applies to ports that carry TCP only"),
    )
    .with_resource(name)
    .with_confidence(Confidence::Medium)
    .with_related(place, "says that the port carries TCP")
    .with_related(ctx.workload_span(workload), "these pods")
    .with_help("name the Service port after its protocol (`http`, `grpc`); TLS that the application ends itself hides requests from the proxy")
}
