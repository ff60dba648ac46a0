//! What a decision hangs on and the input does not tell.

use std::collections::BTreeSet;
use std::net::IpAddr;

use meshproof_authz::{
    Attribute, By, Context, Evaluation, Policy, Provider, ProviderAnswer, ProviderKind, Request,
    attributes_of, evaluate,
};
use meshproof_grammar::cidr::Cidr;
use meshproof_ir::{Attachment, Mesh};
use meshproof_resources::Action;

use crate::authorize::{Arriving, NOT_GIVEN};

/// Addresses that are tried where the question gives none; where rules tell more apart, one of them is taken to differ.
const TRIED: usize = 256;

/// Policies that only may apply, where it makes a difference. Whether a rule matches does not hang on other policies, so two
/// sets are enough to know: the one that lets most in, and the one that keeps most out.
pub(crate) fn of_attachment(
    read: &[(&Attachment, Policy<'_>)],
    evaluation: &Evaluation,
    request: &Request,
    context: &Context,
) -> Vec<String> {
    let open = || read.iter().filter(|(attached, _)| attached.certain.is_err());
    if open().next().is_none() {
        return Vec::new();
    }
    let lets_in = |policy: &Policy<'_>| evaluate(&[*policy], request, context).by == By::Allow;
    let with = |wanted: &dyn Fn(&Policy<'_>) -> bool| {
        let chosen = read.iter().filter(|(attached, policy)| attached.certain.is_ok() || wanted(policy));
        let chosen: Vec<Policy<'_>> = chosen.map(|(_, policy)| *policy).collect();
        evaluate(&chosen, request, context).decision
    };
    let most = with(&lets_in);
    let least = with(&|policy| !lets_in(policy));
    if most == evaluation.decision && least == evaluation.decision {
        return Vec::new();
    }
    open()
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
        let addresses = addresses(policies);
        addresses.len() > TRIED
            || addresses.into_iter().any(|address| {
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

/// One address of each stretch that rules tell apart: where a block begins, and right behind its end.
fn addresses(policies: &[Policy<'_>]) -> BTreeSet<IpAddr> {
    let rules = policies.iter().flat_map(|policy| policy.spec.rules.iter());
    let values = rules.flat_map(|rule| {
        let of_sources = rule.from.iter().flat_map(|source| source.fields());
        let lists =
            of_sources.map(|(_, lists)| lists).chain(rule.when.iter().map(|condition| &condition.values));
        lists.flat_map(|lists| lists.values.iter().chain(lists.not_values.iter()))
    });
    let blocks = values.filter_map(|value| Some(Cidr::parse(&value.value).ok()?.network()));
    blocks.flat_map(|block| [block.network(), behind(block.broadcast())]).chain([NOT_GIVEN]).collect()
}

/// The next address; the first one behind the last.
fn behind(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(u32::from(address).wrapping_add(1).into()),
        IpAddr::V6(address) => IpAddr::V6(u128::from(address).wrapping_add(1).into()),
    }
}

/// Without any MeshConfig in the input, providers that policies name are taken to exist.
pub fn assume_providers(mesh: &Mesh, policies: &[Policy<'_>], context: &mut Context) {
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
