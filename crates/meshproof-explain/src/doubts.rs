//! What a decision hangs on and the input does not tell.

use std::collections::BTreeSet;
use std::net::IpAddr;

use meshproof_authz::{
    Attribute, Context, Evaluation, Policy, Provider, ProviderAnswer, ProviderKind, Request, attributes_of,
    evaluate,
};
use meshproof_grammar::cidr::Cidr;
use meshproof_ir::{Attachment, Mesh};
use meshproof_resources::Action;

use crate::authorize::{Arriving, NOT_GIVEN};

/// Addresses that are tried where the question gives none.
const TRIED: usize = 32;

/// Policies that only may apply, where the answer would be another one without them.
pub(crate) fn of_attachment(
    read: &[(&Attachment, Policy<'_>)],
    evaluation: &Evaluation,
    request: &Request,
    context: &Context,
) -> Vec<String> {
    let certain: Vec<Policy<'_>> =
        read.iter().filter(|(attached, _)| attached.certain.is_ok()).map(|(_, policy)| *policy).collect();
    if certain.len() == read.len() || evaluate(&certain, request, context).decision == evaluation.decision {
        return Vec::new();
    }
    read.iter()
        .filter_map(|(attached, policy)| Some((attached.certain.as_ref().err()?, policy)))
        .map(|(why, policy)| format!("whether {} applies: {why}", policy.id()))
        .collect()
}

/// What rules look at and nothing tells, where it makes a difference.
pub(crate) fn of_question(
    policies: &[Policy<'_>],
    arriving: &Arriving,
    request: &Request,
    context: &Context,
) -> Vec<String> {
    let looks_at = |wanted: fn(&Attribute) -> bool| {
        let enforced = policies.iter().filter(|policy| !policy.is_dry_run());
        let mut rules = enforced.flat_map(|policy| policy.spec.rules.iter().map(move |rule| (policy, rule)));
        rules
            .find(|(_, rule)| attributes_of(rule).any(|attribute| wanted(&attribute)))
            .map(|(policy, _)| policy.id())
    };
    let differs = |change: &dyn Fn(&mut Request, IpAddr)| {
        let decided = evaluate(policies, request, context).decision;
        addresses(policies).into_iter().take(TRIED).any(|address| {
            let mut other = request.clone();
            change(&mut other, address);
            evaluate(policies, &other, context).decision != decided
        })
    };
    let mut open = Vec::new();
    let mut ask = |policy: Option<String>, what: &str, change: &dyn Fn(&mut Request, IpAddr)| {
        if let Some(policy) = policy.filter(|_| differs(change)) {
            open.push(format!("{policy} looks at {what}"));
        }
    };
    if arriving.source.is_none() {
        let source = looks_at(|attribute| *attribute == Attribute::SourceIp);
        ask(source, "the client's address; give --source-ip", &|other, address| other.source = address);
        if arriving.remote.is_none() {
            let remote = looks_at(|attribute| *attribute == Attribute::RemoteIp);
            let what = "the original client's address; give --remote-ip";
            ask(remote, what, &|other, address| other.proxied_source = Some(address));
        }
    }
    let destination = looks_at(|attribute| *attribute == Attribute::DestinationIp);
    let what = "the address of the pod, which manifests do not tell";
    ask(destination, what, &|other, address| other.destination.set_ip(address));
    if let Some(policy) = looks_at(|attribute| matches!(attribute, Attribute::Metadata { .. })) {
        open.push(format!("{policy} looks at metadata of other Envoy filters, which manifests do not tell"));
    }
    open
}

/// Addresses that rules tell apart: one of each block that they name, and one that is in none of the usual ones.
fn addresses(policies: &[Policy<'_>]) -> BTreeSet<IpAddr> {
    let rules = policies.iter().flat_map(|policy| policy.spec.rules.iter());
    let values = rules.flat_map(|rule| {
        let of_sources = rule.from.iter().flat_map(|source| source.fields());
        let lists =
            of_sources.map(|(_, lists)| lists).chain(rule.when.iter().map(|condition| &condition.values));
        lists.flat_map(|lists| lists.values.iter().chain(lists.not_values.iter()))
    });
    let named = values.filter_map(|value| Some(Cidr::parse(&value.value).ok()?.network().addr()));
    named.chain([NOT_GIVEN, IpAddr::from([192, 0, 2, 1])]).collect()
}

/// Without any MeshConfig in the input, providers that policies name are taken to exist.
pub(crate) fn assume_providers(mesh: &Mesh, policies: &[Policy<'_>], context: &mut Context) {
    for name in unknown_providers(mesh, policies) {
        let provider =
            Provider { kind: ProviderKind::Grpc, fail_open: false, answer: ProviderAnswer::Unknown };
        context.providers.entry(name.to_owned()).or_insert(provider);
    }
}

/// That it is not known whether providers exist that are asked.
pub(crate) fn of_providers(mesh: &Mesh, policies: &[Policy<'_>], evaluation: &Evaluation) -> Vec<String> {
    let unknown = unknown_providers(mesh, policies);
    let asked = evaluation.delegated.iter().map(|asked| asked.provider.as_str());
    asked
        .filter(|name| unknown.contains(name))
        .map(|name| format!("whether the provider {name} exists: the input has no MeshConfig"))
        .collect()
}

fn unknown_providers<'p>(mesh: &Mesh, policies: &'p [Policy<'_>]) -> BTreeSet<&'p str> {
    if !mesh.settings.written_at.is_empty() || !mesh.settings.provider_names.is_empty() {
        return BTreeSet::new();
    }
    let customs = policies.iter().filter(|policy| policy.action() == Action::Custom);
    customs.filter_map(|policy| Some(policy.spec.provider.as_ref()?.value.as_str())).collect()
}
