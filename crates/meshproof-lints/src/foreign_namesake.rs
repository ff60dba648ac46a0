//! `foreign-namesake`: rules that let in the namespace or account of a name from every trust domain that the mesh
//! trusts (mutual-TLS reference §7, §11.3 ST20).
//!
//! `namespaces` and `serviceAccounts` look at the end of an identity only, and principals of the mesh's own trust domain
//! are taken for those of its aliases too.

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level};
use meshproof_ir::{Capture, ClusterId, Identity, ResourceId, Workload};
use meshproof_resources::{Action, Rule, Source, Text};

use crate::Context;
use crate::accounts::principal;
use crate::context::captured_ports;
use crate::hash::{Map, Set};
use crate::policies::Policy;
use crate::proof::{MANY, cluster_of, fate_at};
use crate::witnesses::request;

const ID: &str = "foreign-namesake";
/// Trust domains looked at per cluster, and ports per workload.
const TRIED: usize = 4;

/// A further trust domain whose certificates are taken.
#[derive(Clone)]
struct Foreign {
    domain: String,
    /// It has a root certificate of its own, so it is another mesh's.
    is_partner: bool,
}

/// A name in a rule.
struct Name<'r> {
    value: &'r Text,
    rule: &'r Rule,
    namespace: &'r str,
    /// Absent where the whole namespace is let in.
    account: Option<&'r str>,
    /// A principal with a trust domain.
    is_principal: bool,
}

/// Runs the lint: one finding per policy and trust domain.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let clusters = (0..ctx.mesh.clusters.len() as u32).map(ClusterId);
    let foreign: Map<ClusterId, Vec<Foreign>> = clusters
        .map(|cluster| (cluster, foreign(ctx, cluster)))
        .filter(|(_, domains)| !domains.is_empty())
        .collect();
    if foreign.is_empty() {
        return Vec::new();
    }
    let mut seen = Set::default();
    let mut found: BTreeMap<(ResourceId, String), Option<Finding>> = BTreeMap::new();
    for workload in &ctx.mesh.workloads {
        // ztunnel takes no trust domain but its own.
        if !matches!(workload.capture.known(), Some(Capture::Sidecar | Capture::SidecarHbone)) {
            continue;
        }
        let Some(domains) = foreign.get(&cluster_of(ctx, workload)) else { continue };
        if !seen.insert((workload.namespace, workload.policies.sharing_key())) {
            continue;
        }
        let attached = workload.policies.iter().take(MANY).filter(|at| at.certain.is_ok());
        for policy in attached.filter_map(|at| ctx.policies.get(at.policy)) {
            if !policy.enforces(Action::Allow) {
                continue;
            }
            for domain in domains {
                found.entry((policy.id, domain.domain.clone())).or_insert_with(|| {
                    names(ctx, policy).find_map(|name| at_name(ctx, policy, workload, &name, domain))
                });
            }
        }
    }
    found.into_values().flatten().collect()
}

fn foreign(ctx: &Context<'_>, cluster: ClusterId) -> Vec<Foreign> {
    let settings = ctx.mesh.settings_of(cluster);
    let Some(own) = settings.trust_domain.known() else { return Vec::new() };
    let partners = settings.ca_trust_domains.iter().map(|domain| (domain, true));
    let aliases = settings.trust_domain_aliases.iter().map(|domain| (domain, false));
    let mut seen = Set::default();
    let all = partners.chain(aliases).filter(|(domain, _)| *domain != own && seen.insert(domain.as_str()));
    all.map(|(domain, is_partner)| Foreign { domain: domain.replace('@', "."), is_partner })
        .take(TRIED)
        .collect()
}

/// Names that a rule gives without saying whose.
fn names<'c>(ctx: &'c Context<'_>, policy: &'c Policy<'_>) -> impl Iterator<Item = Name<'c>> {
    let own = policy.namespace.and_then(|id| ctx.mesh.namespace(id).name.as_deref());
    let sources =
        policy.spec.rules.iter().flat_map(|rule| rule.from.iter().map(move |source| (rule, source)));
    let says_whose =
        |source: &Source| !source.trust_domains.is_empty() || !source.principals.not_values.is_empty();
    sources.filter(move |(_, source)| !says_whose(source)).flat_map(move |(rule, source)| {
        let of_namespaces = source.namespaces.values.iter().filter(|value| !value.value.contains('*'));
        let namespaces = of_namespaces.map(move |value| Name {
            value,
            rule,
            namespace: &value.value,
            account: None,
            is_principal: false,
        });
        let accounts = source.service_accounts.values.iter().filter_map(move |value| {
            let (namespace, account) = match value.value.split_once('/') {
                Some(parts) => parts,
                None => (own?, value.value.as_str()),
            };
            Some(Name { value, rule, namespace, account: Some(account), is_principal: false })
        });
        let principals = source.principals.values.iter().filter_map(move |value| {
            let parts = principal(&value.value).filter(|_| !value.value.contains('*'))?;
            Some(Name {
                value,
                rule,
                namespace: parts.namespace,
                account: Some(parts.account),
                is_principal: true,
            })
        });
        namespaces.chain(accounts).chain(principals)
    })
}

/// Somebody of that name in the other trust domain, as far as the input shows.
fn namesake<'c>(ctx: &'c Context<'_>, name: &Name<'_>, domain: &str) -> Option<&'c Workload> {
    let of_domain = |identity: &&Identity| identity.trust_domain.as_deref() == Some(domain);
    // Every namespace has the account `default`, which tells of the namespace itself.
    let account = name.account.unwrap_or("default");
    let identity = ctx.mesh.accounts_named(name.namespace, account).find(of_domain)?;
    let workload = match name.account {
        Some(_) => identity.workloads.first(),
        None => identity.namespaces.iter().find_map(|id| ctx.mesh.namespace(*id).workloads.first()),
    };
    workload.map(|id| ctx.mesh.workload(*id))
}

fn at_name(
    ctx: &Context<'_>,
    policy: &Policy<'_>,
    workload: &Workload,
    name: &Name<'_>,
    foreign: &Foreign,
) -> Option<Finding> {
    let somebody = namesake(ctx, name, &foreign.domain);
    // An alias is meant to stand for the same accounts, until somebody else has it.
    if name.is_principal && somebody.is_none() {
        return None;
    }
    let account = name.account.unwrap_or("default");
    let from = format!("spiffe://{}/ns/{}/sa/{account}", foreign.domain, name.namespace);
    let because = vec![
        format!("certificates of trust domain {} are taken", foreign.domain),
        format!("`{}` in {} says nothing of the trust domain", name.value.value, policy.name()),
    ];
    let mut ports = captured_ports(workload).take(TRIED);
    let witness = ports.find_map(|port| {
        let witness = request(
            ctx,
            from.clone(),
            workload,
            Some(port),
            Some(name.rule),
            Decision::Allow,
            because.clone(),
        );
        (fate_at(ctx, workload, Some(port), &witness) == Some(Decision::Allow)).then_some(witness)
    })?;
    let resource = policy.meta.resource_name();
    let whom = match name.account {
        Some(account) => format!("account {}/{account}", name.namespace),
        None => format!("namespace {}", name.namespace),
    };
    let message = format!("{resource} lets {whom} of trust domain {} in as well", foreign.domain);
    let level = if foreign.is_partner || somebody.is_some() { Level::Warning } else { Level::Info };
    let mut finding = Finding::new(
        ID,
        level,
        Category::Hole,
        message,
        Label::new(name.value.span, "of any trust domain that the mesh trusts"),
    )
    .with_resource(resource)
    .with_confidence(Confidence::Medium)
    .with_related(ctx.workload_span(workload), "guarded by the rule")
    .with_witness(witness)
    .with_help(
        "say whose they are with `trustDomains` beside it, or name principals with their trust domain",
    );
    if let Some(somebody) = somebody {
        finding = finding.with_related(ctx.workload_span(somebody), "has that name there");
    }
    Some(finding)
}
