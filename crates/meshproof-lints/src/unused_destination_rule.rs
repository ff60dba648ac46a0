//! `unused-destination-rule`: DestinationRules that no client follows.
//!
//! Clients follow a rule of their own namespace, of the Service's namespace or of the root namespace, for hosts that
//! they know (mutual-TLS reference §2.2, §2.3, DR14, DR15, DR23).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Called, Capture};
use meshproof_resources::Spec;

use crate::Context;
use crate::calls::sets_tls;
use crate::clients::{ClientRule, Clients, Host};

const ID: &str = "unused-destination-rule";

/// Runs the lint: one finding per rule.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    if ctx.world.incomplete.is_some() {
        return Vec::new();
    }
    let clients = ctx.clients();
    // A wildcard may be meant for hosts that are yet to come.
    let whole = clients.rules.iter().filter(|rule| !rule.is_cut && !rule.host.starts_with('*'));
    let unused = whole.filter(|rule| rule.is_placed && rule.uses.is_empty());
    unused
        .filter_map(|rule| match rule.covers.is_empty() {
            true => unknown_host(ctx, clients, rule),
            false => without_clients(ctx, clients, rule),
        })
        .collect()
}

fn finding(
    ctx: &Context<'_>,
    rule: &ClientRule<'_>,
    level: Level,
    message: String,
    label: String,
) -> Option<Finding> {
    let host = rule.rule.host.as_ref()?;
    Some(
        Finding::new(ID, level, Category::Dead, message, Label::new(host.span, label))
            .with_resource(ctx.resource(rule.id).meta.resource_name())
            .with_confidence(Confidence::Medium),
    )
}

/// A host that is nearly one of those that exist. Of others nothing is said: they may be known elsewhere.
fn unknown_host(ctx: &Context<'_>, clients: &Clients<'_>, rule: &ClientRule<'_>) -> Option<Finding> {
    let written = rule.rule.host.as_ref()?;
    let name = ctx.resource(rule.id).meta.resource_name();
    let parts: Vec<&str> = written.value.split('.').collect();
    let full = match parts.as_slice() {
        [service, namespace] | [service, namespace, "svc"] => {
            format!("{service}.{namespace}.svc.cluster.local")
        }
        [_] => return elsewhere(ctx, clients, rule, &written.value),
        _ => return None,
    };
    clients.named(rule.cluster, &full).next()?;
    let message =
        format!("{name} is for a host that does not exist: a name with a dot is taken as a full name");
    let finding = finding(ctx, rule, Level::Warning, message, format!("not completed to {full}"))?;
    Some(finding.with_help(format!("write {full}")).with_edit(ctx.inner(written.span), full))
}

/// A short name is completed with the namespace of the rule, where there is no such Service.
fn elsewhere(
    ctx: &Context<'_>,
    clients: &Clients<'_>,
    rule: &ClientRule<'_>,
    short: &str,
) -> Option<Finding> {
    // Services of a namespace that shows none are probably elsewhere.
    let has_services = !ctx.mesh.namespace(rule.namespace).services.is_empty();
    if !has_services || ctx.is_incomplete(rule.namespace) || ctx.has_operators(rule.namespace) {
        return None;
    }
    let name = ctx.resource(rule.id).meta.resource_name();
    let found = clients.service_named(short)?;
    let host = &clients.hosts[found as usize];
    if host.cluster != rule.cluster {
        return None;
    }
    let message = format!("{name} is for {}, and there is no such Service", rule.host);
    let label = "a short name is completed with the namespace of the rule".to_owned();
    let finding = finding(ctx, rule, Level::Warning, message, label)?;
    Some(
        finding
            .with_related(
                ctx.resource(host.resource).meta.name_span(),
                "a Service of that name in another namespace",
            )
            .with_help(format!("write {}, if that is meant", host.name)),
    )
}

fn without_clients(ctx: &Context<'_>, clients: &Clients<'_>, rule: &ClientRule<'_>) -> Option<Finding> {
    let name = ctx.resource(rule.id).meta.resource_name();
    let host = &clients.hosts[*rule.covers.first()? as usize];
    if clients.samples.is_empty() {
        return by_ztunnel(ctx, rule, host);
    }
    let own = clients.samples.get(&rule.namespace).and_then(|samples| samples.first());
    if let Some(sample) = own {
        // Clients of its own namespace are the first to look at it.
        let rival = ctx.transport().rules_followed(sample.first, host.name).first().copied();
        let (message, label) = match rival {
            Some(rival) => (
                format!(
                    "nobody follows {name}: for {} clients follow {}",
                    host.name,
                    ctx.resource(rival).meta.resource_name()
                ),
                "another rule counts for these clients",
            ),
            None if !rule.rule.export_to.is_empty() => (
                format!(
                    "nobody follows {name}: its exportTo names no namespace with clients that look at it"
                ),
                "clients look in their own namespace, the Service's, and the root namespace",
            ),
            None => return None,
        };
        let level = if ctx.is_incomplete(rule.namespace) { Level::Info } else { Level::Warning };
        let finding = finding(ctx, rule, level, message, label.to_owned())?
            .with_help("remove the rule, or put what it says into the one that counts");
        return Some(match rival.and_then(|rival| rule_host(ctx, rival)) {
            Some(span) => finding.with_related(span, "the rule that counts"),
            None => finding,
        });
    }
    let is_shared = rule.namespace == host.namespace || ctx.is_root(rule.namespace);
    if is_shared {
        return None;
    }
    let message = format!(
        "nobody follows {name}: clients look for rules in their own namespace, in that of {} and in the root namespace",
        host.name
    );
    let label = "no client of the mesh is in the namespace of the rule".to_owned();
    let help = "put the rule into the namespace of the Service, or of the clients that it is for";
    Some(finding(ctx, rule, Level::Info, message, label)?.with_help(help))
}

/// All clients are captured by ztunnel, which knows no DestinationRules; a waypoint does.
fn by_ztunnel(ctx: &Context<'_>, rule: &ClientRule<'_>, host: &Host<'_>) -> Option<Finding> {
    let any_ambient = ctx.mesh.workloads.iter().any(|workload| workload.capture.is(&Capture::Ambient));
    let called = match &ctx.resource(host.resource).spec {
        Spec::Service(_) => {
            let namespace = &ctx.mesh.namespace(host.namespace).services;
            let is_it =
                |id: &&meshproof_ir::ServiceId| ctx.mesh.services[id.index()].resource == host.resource;
            Called::Service(*namespace.iter().find(is_it)?)
        }
        _ => Called::ServiceEntry(host.resource),
    };
    let has_waypoint =
        ctx.mesh.waypoint_of(called).known().is_none_or(|binding| binding.shares().next().is_some());
    if !any_ambient || !sets_tls(rule.rule) || has_waypoint {
        return None;
    }
    let name = ctx.resource(rule.id).meta.resource_name();
    let message = format!(
        "{name} has no effect: ztunnel does not read DestinationRules, and {} has no waypoint",
        host.name
    );
    let label = "clients captured by ztunnel use mTLS where the server takes it".to_owned();
    Some(
        finding(ctx, rule, Level::Info, message, label)?
            .with_help("remove the rule, or give the Service a waypoint"),
    )
}

fn rule_host(ctx: &Context<'_>, id: meshproof_ir::ResourceId) -> Option<meshproof_source::Span> {
    match &ctx.resource(id).spec {
        Spec::DestinationRule(rule) => rule.host.as_ref().map(|host| host.span),
        _ => None,
    }
}
