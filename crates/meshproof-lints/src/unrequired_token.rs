//! `unrequired-token`: RequestAuthentications beside which no policy asks for a token (mutual-TLS reference §9).

use std::collections::BTreeMap;

use meshproof_authz::{Attribute, attributes_of};
use meshproof_diagnostics::{Category, Confidence, Decision, Finding, Label, Level, Witness};
use meshproof_ir::{Attachment, Capture, EnforcementPoint, ResourceId, Workload};
use meshproof_resources::{Action, Spec};

use crate::Context;
use crate::context::captured_ports;
use crate::hash::Set;
use crate::peers::takes_plaintext;
use crate::proof::{MANY, fate_at};
use crate::witnesses::{is_http, meant_caller, request};

const ID: &str = "unrequired-token";
/// Routes of an ingress gateway may depend on claims instead of policies.
const ROUTED_CLAIMS: &str = "@request.auth.claims";

/// Runs the lint: one finding per RequestAuthentication. Workloads with the same policies are looked at once.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let mut seen = Set::default();
    let mut verdicts: BTreeMap<ResourceId, Option<(&Workload, Witness)>> = BTreeMap::new();
    for workload in &ctx.mesh.workloads {
        let judged = &workload.request_authentications;
        let looks_at_tokens = matches!(
            workload.enforcement_point(),
            Some(EnforcementPoint::Sidecar | EnforcementPoint::Gateway)
        );
        let key = (workload.namespace, workload.policies.sharing_key(), judged.sharing_key());
        if !looks_at_tokens || judged.is_empty() || !seen.insert(key) {
            continue;
        }
        let open = open(ctx, workload);
        for attachment in judged.iter().take(MANY).filter(|attachment| attachment.certain.is_ok()) {
            let entry = verdicts.entry(attachment.policy);
            // One place where a token is asked for shows that somebody thought of it.
            entry
                .and_modify(|verdict| {
                    if open.is_none() {
                        *verdict = None;
                    }
                })
                .or_insert_with(|| open.clone().map(|witness| (workload, witness)));
        }
    }
    verdicts
        .into_iter()
        .filter_map(|(id, verdict)| {
            let (workload, witness) = verdict?;
            finding(ctx, id, workload, witness)
        })
        .collect()
}

/// Whether a policy looks at the token.
fn asks(ctx: &Context<'_>, attachment: &Attachment) -> bool {
    let Some(policy) = ctx.policies.get(attachment.policy) else { return false };
    let about_tokens =
        |attribute: Attribute| matches!(attribute, Attribute::RequestPrincipal | Attribute::Claim(_));
    policy.action == Action::Custom || policy.spec.rules.iter().flat_map(attributes_of).any(about_tokens)
}

/// A request without a token that gets in; none where a policy looks at tokens, or nobody gets in.
fn open(ctx: &Context<'_>, workload: &Workload) -> Option<Witness> {
    if workload.policies.len() > MANY || workload.policies.iter().any(|attachment| asks(ctx, attachment)) {
        return None;
    }
    if ctx.is_incomplete(workload.namespace) || ctx.has_external_policies(workload.namespace) {
        return None;
    }
    let at_gateway = workload.capture.is(&Capture::Gateway);
    if at_gateway && routes_by_claims(ctx) {
        return None;
    }
    let ports = captured_ports(workload).filter(|port| is_http(workload, Some(port))).map(Some);
    let ports = ports.take(4).chain(at_gateway.then_some(None));
    let allows = workload.policies.iter().filter_map(|attachment| ctx.policies.get(attachment.policy));
    let allows: Vec<_> = allows.filter(|policy| policy.enforces(Action::Allow)).take(8).collect();
    for port in ports {
        let anonymous = at_gateway || port.is_some_and(takes_plaintext);
        let plain = anonymous.then(|| "plaintext".to_owned());
        let callers = plain.into_iter().chain(["elsewhere/anybody".to_owned()]).map(|from| (from, None));
        let rules = allows.iter().flat_map(|policy| policy.spec.rules.iter().take(4));
        let meant = rules.map(|rule| (meant_caller(ctx, rule, &[]), Some(rule)));
        let found = callers.chain(meant).find_map(|(from, rule)| {
            let because = vec![
                "the request carries no token, and RequestAuthentication refuses invalid tokens only"
                    .to_owned(),
                "no policy that applies asks for a token".to_owned(),
            ];
            let witness = request(ctx, from, workload, port, rule, Decision::Allow, because);
            (fate_at(ctx, workload, port, &witness) == Some(Decision::Allow)).then_some(witness)
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Whether any VirtualService asks for claims.
fn routes_by_claims(ctx: &Context<'_>) -> bool {
    let mut services =
        ctx.mesh.resources.iter().filter(|resource| matches!(resource.spec, Spec::VirtualService(_)));
    services.any(|resource| {
        memchr::memmem::find(ctx.sources.snippet(resource.meta.span).as_bytes(), ROUTED_CLAIMS.as_bytes())
            .is_some()
    })
}

fn finding(ctx: &Context<'_>, id: ResourceId, workload: &Workload, witness: Witness) -> Option<Finding> {
    let policy = ctx.mesh.request_authentication(id).filter(|policy| !policy.jwt_rules.is_empty())?;
    let name = ctx.resource(id).meta.resource_name();
    let message = format!(
        "{name} requires no token: requests without one reach {}, and no policy there asks for one",
        ctx.workload_name(workload)
    );
    let place = policy.jwt_rules.key.unwrap_or(policy.span);
    Some(
        Finding::new(ID, Level::Warning, Category::Hole, message, Label::new(place, "refuses invalid tokens, not missing ones"))
            .with_resource(name)
            .with_confidence(Confidence::Low)
            .with_related(ctx.workload_span(workload), "takes requests without a token")
            .with_witness(witness)
            .with_help("add an AuthorizationPolicy that names `requestPrincipals`, or a DENY with `notRequestPrincipals: [\"*\"]`"),
    )
}
