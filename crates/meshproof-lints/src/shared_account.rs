//! `shared-account`: rules that name a service account under which several applications run (mutual-TLS reference §7,
//! §11.3 ST19).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Identity, ResourceId, Workload};
use meshproof_resources::{Action, Source, Text, TextMap};

use crate::Context;
use crate::accounts::principal;
use crate::hash::Set;
use crate::policies::Policy;

const ID: &str = "shared-account";
/// Labels by which the pods of one application are known, whatever their version.
const APPLICATION: [&str; 3] = ["app.kubernetes.io/name", "app", "k8s-app"];
/// Workloads looked at per account.
const LOOKED_AT: usize = 256;

/// Runs the lint: one finding per policy and account.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut told: Set<(ResourceId, &str, &str)> = Set::default();
    let mut findings = Vec::new();
    for policy in ctx.policies.iter().filter(|policy| policy.enforces(Action::Allow)) {
        let own = policy.namespace.and_then(|id| ctx.mesh.namespace(id).name.as_deref());
        for source in policy.spec.rules.iter().flat_map(|rule| rule.from.iter()) {
            for (value, namespace, account) in named(source, own) {
                if let Some(shared) = shared(ctx, policy, namespace, account)
                    && told.insert((policy.id, namespace, account))
                {
                    findings.push(finding(ctx, policy.id, value, account, &shared));
                }
            }
        }
    }
    findings
}

/// Accounts that a source names one by one: the value, its namespace and name.
fn named<'r>(source: &'r Source, own: Option<&'r str>) -> impl Iterator<Item = (&'r Text, &'r str, &'r str)> {
    let principals = source.principals.values.iter().filter_map(|value| {
        let parts = principal(&value.value).filter(|_| !value.value.contains('*'))?;
        Some((value, parts.namespace, parts.account))
    });
    let accounts =
        source.service_accounts.values.iter().filter_map(move |value| match value.value.split_once('/') {
            Some((namespace, account)) => Some((value, namespace, account)),
            None => Some((value, own?, value.value.as_str())),
        });
    principals.chain(accounts)
}

/// What an application calls itself.
fn application(labels: &TextMap) -> Option<&str> {
    APPLICATION.iter().find_map(|key| labels.get(key)).map(|value| value.value.as_str())
}

/// The first two workloads of an account that belong to different applications, and how many run under it.
struct Shared<'a> {
    first: &'a Workload,
    other: &'a Workload,
    count: usize,
}

fn shared<'c>(
    ctx: &'c Context<'_>,
    policy: &Policy<'_>,
    namespace: &str,
    account: &str,
) -> Option<Shared<'c>> {
    // That the guarded pods may call themselves gives nothing away.
    let guarded = |pods: &Workload| {
        let selector = policy.spec.selector.as_ref().filter(|_| policy.has_selector());
        selector.is_some_and(|selector| selector.match_labels.is_subset_of(&pods.labels))
    };
    ctx.mesh.accounts_named(namespace, account).find_map(|identity: &Identity| {
        let pods = identity.workloads.iter().take(LOOKED_AT).map(|id| ctx.mesh.workload(*id));
        let mut pods = pods.filter(|pods| !guarded(pods));
        let first = pods.find(|pods| application(&pods.labels).is_some())?;
        let other = pods.find(|pods| {
            application(&pods.labels).is_some_and(|name| Some(name) != application(&first.labels))
        })?;
        Some(Shared { first, other, count: identity.workloads.len() })
    })
}

fn finding(ctx: &Context<'_>, id: ResourceId, value: &Text, account: &str, shared: &Shared<'_>) -> Finding {
    let name = ctx.resource(id).meta.resource_name();
    let (first, other) = (ctx.workload_name(shared.first), ctx.workload_name(shared.other));
    let rest = match shared.count - 2 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message =
        format!("{name} lets {first}, {other}{rest} in: they all run under service account {account}");
    // Pods that name no account share the one called default without anybody having meant it.
    let level = if account == "default" { Level::Warning } else { Level::Info };
    Finding::new(
        ID,
        level,
        Category::Hole,
        message,
        Label::new(value.span, "cannot tell these workloads apart"),
    )
    .with_resource(name)
    .with_confidence(Confidence::Low)
    .with_related(ctx.workload_span(shared.first), "runs under the account")
    .with_related(ctx.workload_span(shared.other), "runs under it too")
    .with_help("give each application a service account of its own, and name that of the caller")
}
