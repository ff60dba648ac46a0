//! Findings about workloads whose only allowed callers have no proxy: they have no identity that a policy could see, and
//! STRICT refuses their plaintext.

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Capture, ResourceId, Workload, WorkloadId, WorkloadPort};
use meshproof_resources::{Action, MtlsMode, Rule, Source, Spec, Text};
use meshproof_source::Span;

use super::ID;
use super::closed::is_certain;
use super::survey::{Place, Places, Survey, judged_ports, port_at};
use crate::Context;
use crate::accounts::principal;
use crate::hash::{Map, Set};
use crate::policies::Policy;
use crate::proof::{confirmed, fate_at};
use crate::witnesses::request;

pub(super) fn findings(ctx: &Context<'_>, survey: &Survey) -> Vec<Finding> {
    let callers = Callers::new(ctx);
    if callers.nobody_is_outside() {
        return Vec::new();
    }
    let mut closed: BTreeMap<ResourceId, (Places, Outsider)> = BTreeMap::new();
    for (group, members) in survey.groups.iter().enumerate() {
        let Some(id) = members.first() else { continue };
        let Some((policy, port, outsider)) = only_outsiders(ctx, &callers, &ctx.mesh.workloads[id.index()])
        else {
            continue;
        };
        let place = || Place { workload: *id, group, closed: vec![port], shut: true };
        closed.entry(policy).or_insert_with(|| (Places::default(), outsider)).0.add(members.len(), place);
    }
    let each = closed.iter().filter_map(|(id, (places, outsider))| {
        finding(ctx, survey, ctx.policies.get(*id)?, places, *outsider)
    });
    each.collect()
}

/// A caller that is allowed and cannot call.
#[derive(Clone, Copy)]
struct Outsider {
    /// It.
    caller: WorkloadId,
    /// The value that names it.
    value: Span,
    /// Everything that the value can mean is in the input.
    whole: bool,
}

/// What a name stands for.
#[derive(Clone, Copy)]
struct Standing {
    /// One of the workloads.
    example: WorkloadId,
    /// None of them has a proxy, and that is known of all.
    outside: bool,
}

impl Standing {
    fn add<K: std::hash::Hash + Eq>(map: &mut Map<K, Standing>, key: K, id: WorkloadId, outside: bool) {
        map.entry(key).or_insert(Standing { example: id, outside: true }).outside &= outside;
    }
}

/// All workloads by the names that policies have for callers. Equal names in several clusters are one.
struct Callers<'a> {
    namespaces: Map<&'a str, Standing>,
    accounts: Map<(&'a str, &'a str), Standing>,
    /// Namespaces of which something cannot be told: a pod's account, or who the machines outside are.
    unclear: Set<&'a str>,
}

impl<'a> Callers<'a> {
    fn new(ctx: &Context<'a>) -> Self {
        let mut callers =
            Callers { namespaces: Map::default(), accounts: Map::default(), unclear: Set::default() };
        let name_of =
            |namespace: meshproof_ir::NamespaceId| ctx.mesh.namespaces[namespace.index()].name.as_deref();
        for (id, workload) in ctx.mesh.workloads_with_ids() {
            let Some(name) = name_of(workload.namespace) else { continue };
            let outside = workload.capture.is(&Capture::None);
            Standing::add(&mut callers.namespaces, name, id, outside);
            match workload.service_account.known() {
                Some(account) => Standing::add(&mut callers.accounts, (name, account.as_str()), id, outside),
                None => drop(callers.unclear.insert(name)),
            }
        }
        for (at, resource) in ctx.mesh.resources.iter().enumerate() {
            let Spec::ServiceEntry(entry) = &resource.spec else { continue };
            if entry.endpoints.iter().any(|endpoint| endpoint.service_account.is_some()) {
                callers.unclear.extend(ctx.mesh.placement[at].1.and_then(name_of));
            }
        }
        callers
    }

    fn nobody_is_outside(&self) -> bool {
        self.namespaces.values().chain(self.accounts.values()).all(|standing| !standing.outside)
    }

    fn namespace(&self, ctx: &Context<'_>, value: &Text) -> Option<Outsider> {
        let name = value.value.as_str();
        self.outsider(ctx, name, self.namespaces.get(name)?, value)
    }

    fn account(&self, ctx: &Context<'_>, namespace: &str, account: &str, value: &Text) -> Option<Outsider> {
        let external = ctx.world.external_accounts.iter();
        let is_external =
            external.filter_map(|name| name.split_once('/')).any(|name| name == (namespace, account));
        let standing = self.accounts.get(&(namespace, account)).filter(|_| !is_external)?;
        self.outsider(ctx, namespace, standing, value)
    }

    /// Nothing when somebody under this name may have a proxy.
    fn outsider(
        &self,
        ctx: &Context<'_>,
        namespace: &str,
        standing: &Standing,
        value: &Text,
    ) -> Option<Outsider> {
        let elsewhere = ctx.world.external_namespaces.iter().any(|name| name == namespace);
        if !standing.outside || elsewhere || self.unclear.contains(namespace) {
            return None;
        }
        let whole = ctx.accounts.is_whole(namespace);
        Some(Outsider { caller: standing.example, value: value.span, whole })
    }

    /// The first outsider of a list, when all of its values mean outsiders.
    fn all(values: &[Text], one: impl Fn(&Text) -> Option<Outsider>) -> Option<Outsider> {
        let mut first: Option<Outsider> = None;
        for value in values {
            let found = one(value)?;
            match &mut first {
                Some(first) => first.whole &= found.whole,
                None => first = Some(found),
            }
        }
        first
    }

    fn principal(&self, ctx: &Context<'_>, value: &Text) -> Option<Outsider> {
        let parts = principal(&value.value)?;
        if value.value.contains('*') || !ctx.accounts.is_own_trust_domain(parts.trust_domain) {
            return None;
        }
        self.account(ctx, parts.namespace, parts.account, value)
    }

    /// `namespace/account`, or an account of the policy's own namespace.
    fn service_account(&self, ctx: &Context<'_>, own: Option<&str>, value: &Text) -> Option<Outsider> {
        match value.value.split_once('/') {
            Some((namespace, account)) => self.account(ctx, namespace, account, value),
            None => self.account(ctx, own?, &value.value, value),
        }
    }

    /// Whom a source lets in, when these are outsiders: one list of identities is enough.
    fn source(&self, ctx: &Context<'_>, own: Option<&str>, source: &Source) -> Option<Outsider> {
        let principals = Callers::all(&source.principals.values, |value| self.principal(ctx, value));
        principals
            .or_else(|| Callers::all(&source.namespaces.values, |value| self.namespace(ctx, value)))
            .or_else(|| {
                let accounts = &source.service_accounts.values;
                Callers::all(accounts, |value| self.service_account(ctx, own, value))
            })
    }

    /// The same for a rule.
    fn rule(&self, ctx: &Context<'_>, own: Option<&str>, rule: &Rule) -> Option<Outsider> {
        let condition = rule.when.iter().find_map(|condition| {
            let values = &condition.values.values;
            match condition.key.value.as_str() {
                "source.principal" => Callers::all(values, |value| self.principal(ctx, value)),
                "source.namespace" => Callers::all(values, |value| self.namespace(ctx, value)),
                "source.serviceAccount" => {
                    Callers::all(values, |value| self.service_account(ctx, own, value))
                }
                _ => None,
            }
        });
        condition.or_else(|| {
            let mut first: Option<Outsider> = None;
            for source in rule.from.iter() {
                let found = self.source(ctx, own, source)?;
                match &mut first {
                    Some(first) => first.whole &= found.whole,
                    None => first = Some(found),
                }
            }
            first
        })
    }
}

/// The policy, port and caller to tell of, when every port of a workload is STRICT where it is open, and open to
/// outsiders only.
fn only_outsiders(
    ctx: &Context<'_>,
    callers: &Callers<'_>,
    workload: &Workload,
) -> Option<(ResourceId, Option<usize>, Outsider)> {
    let capture = workload.capture.known()?;
    if !matches!(capture, Capture::Sidecar | Capture::SidecarHbone | Capture::Ambient) {
        return None;
    }
    let policies = || workload.policies.iter().filter_map(|attachment| ctx.policies.get(attachment.policy));
    let mut told: Option<(ResourceId, Option<usize>, Outsider)> = None;
    for at in judged_ports(workload) {
        let port = port_at(workload, at);
        for policy in policies().filter(|policy| policy.enforces(Action::Allow)) {
            let own = policy.namespace.and_then(|id| ctx.mesh.namespaces[id.index()].name.as_deref());
            for rule in policy.rules.iter().filter(|rule| rule.may_allow(workload, port)) {
                let outsider = callers.rule(ctx, own, rule.rule).filter(|_| is_strict(workload, port))?;
                match &mut told {
                    Some((_, _, first)) => first.whole &= outsider.whole,
                    None => told = Some((policy.id, at, outsider)),
                }
            }
        }
    }
    told
}

fn is_strict(workload: &Workload, port: Option<&WorkloadPort>) -> bool {
    port.map_or(&workload.mode, |port| &port.mode).mode.is(&MtlsMode::Strict)
}

fn finding(
    ctx: &Context<'_>,
    survey: &Survey,
    policy: &Policy<'_>,
    places: &Places,
    outsider: Outsider,
) -> Option<Finding> {
    let place = places.first()?;
    let workload = &ctx.mesh.workloads[place.workload.index()];
    let port = port_at(workload, place.closed.first().copied().flatten());
    let caller = &ctx.mesh.workloads[outsider.caller.index()];
    let caller_name = ctx.workload_name(caller);
    let proven = outsider.whole && is_certain(ctx, policy, workload);
    let level = if proven { Level::Error } else { Level::Warning };
    let message = format!(
        "nobody can reach {}: all that {} lets in have no proxy, and STRICT refuses plaintext",
        survey.named(ctx, places),
        policy.name()
    );
    let because = vec![
        format!("{caller_name} has no proxy, so it sends plaintext and shows no identity"),
        "the server is STRICT and refuses plaintext".to_owned(),
    ];
    let mut witness = request(ctx, caller_name.clone(), workload, port, None, Decision::Deny, because);
    witness.transport = Some("plaintext");
    let label = Label::new(outsider.value, format!("{caller_name} has no proxy"));
    let mut finding = Finding::new(ID, level, Category::Outage, message, label)
        .with_resource(policy.meta.resource_name())
        .with_confidence(Confidence::Medium)
        .with_related(ctx.workload_span(caller), "this caller is not in the mesh");
    let mode = port.map_or(&workload.mode, |port| &port.mode);
    if let Some(span) = mode.mode.span() {
        finding = finding.with_related(span, "plaintext is refused");
    }
    let namespace = ctx.namespace_name(caller.namespace);
    let finding = finding
        .with_related(ctx.workload_span(workload), "nobody reaches this workload")
        .with_help(format!(
            "bring the callers in {namespace} into the mesh, or make the port PERMISSIVE and allow them by ipBlocks"
        ));
    // Before any policy is asked.
    let told =
        if is_strict(workload, port) { Some(Decision::Deny) } else { fate_at(ctx, workload, port, &witness) };
    Some(confirmed(finding, told, witness))
}
