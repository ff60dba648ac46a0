//! All lints: id, level, category, one line, the check, and the page that explains it.

use meshproof_diagnostics::{Category, Finding, Level};
use meshproof_source::Span;

use crate::Context;

/// One lint.
pub struct Lint {
    /// Kebab-case id, forever the same.
    pub id: &'static str,
    /// The level of its gravest findings; single findings may be milder.
    pub level: Level,
    /// What kind of harm it tells of.
    pub category: Category,
    /// One line for lists.
    pub summary: &'static str,
    /// Looks at the mesh; absent for findings that other parts of the program raise while reading.
    pub check: Option<fn(&Context<'_>) -> Vec<Finding>>,
    /// Its page, in Markdown.
    pub doc: &'static str,
}

macro_rules! lints {
    ($($id:literal $level:ident $category:ident $check:expr; $summary:literal;)*) => {
        &[$(Lint {
            id: $id,
            level: Level::$level,
            category: Category::$category,
            summary: $summary,
            check: $check,
            doc: include_str!(concat!("../../../docs/lints/", $id, ".md")),
        }),*]
    };
}

/// Every lint, sorted by id.
#[rustfmt::skip]
pub static LINTS: &[Lint] = lints! {
    "address-as-identity" Warning Hole Some(crate::address_as_identity::check);
        "a rule that tells callers by address at a port that takes plaintext";
    "admission-warning" Warning Hygiene None;
        "istiod takes the object with a warning";
    "alias-bomb" Error Invalid None;
        "aliases that would unfold without bound";
    "allow-hidden-by-deny" Warning Conflict Some(crate::allow_hidden_by_deny::check);
        "an ALLOW rule, or a value of one, of which DENY refuses every request";
    "ambient-mtls-mismatch" Error Hole Some(crate::ambient_mtls_mismatch::check);
        "a port where ztunnel enforces another mode than the PeerAuthentications say";
    "ambiguous-separator" Warning Hygiene None;
        "a line that ends a document for some tools and not for others";
    "anonymous-egress" Warning Hole Some(crate::anonymous_egress::check);
        "an egress gateway that does not learn who calls";
    "blocked-tunnel" Error Outage Some(crate::blocked_tunnel::check);
        "a network policy that opens a port and not the tunnel through which it is reached";
    "client-tls-mismatch" Error Outage Some(crate::client_tls_mismatch::check);
        "a server that mesh clients cannot reach, since they send what it does not take";
    "closed-gateway" Error Outage Some(crate::closed_gateway::check);
        "a policy for the pods of a namespace that closes the gateway beside them";
    "conflicting-rules" Error Conflict Some(crate::conflicting_rules::check);
        "two objects that cannot both have their way, where one silently loses";
    "dangling-setting" Warning Dead Some(crate::dangling_setting::check);
        "a port or subset of a DestinationRule that its host does not have";
    "dead-end-waypoint" Warning Outage Some(crate::dead_end_waypoint::check);
        "a waypoint that ingress gateways are told to use and do not reach";
    "default-open" Warning Hole Some(crate::default_open::check);
        "a workload without any policy beside locked ones";
    "deny-all-gap" Error Outage Some(crate::deny_all_gap::check);
        "a port that nobody may reach although somebody is clearly meant to";
    "disabled-mtls" Warning Hole Some(crate::disabled_mtls::check);
        "a PeerAuthentication that makes clients with a proxy send plaintext";
    "document-too-large" Error Invalid None;
        "a document too large to be read";
    "duplicate-key" Warning Conflict None;
        "a mapping with one key twice";
    "empty-intersection-outage" Error Outage Some(crate::empty_intersection_outage::check);
        "a port of which DENY policies refuse whatever ALLOW policies let in";
    "envoy-filter" Info Hygiene Some(crate::envoy_filter::check);
        "an EnvoyFilter because of which nothing said of a workload is verified";
    "erased-tls" Warning Hole Some(crate::erased_tls::check);
        "a port entry that takes back the TLS above it by not repeating it";
    "exposed-metrics" Warning Hole Some(crate::exposed_metrics::check);
        "metrics that a guarded port keeps to itself and the sidecar gives to everybody";
    "foreign-namesake" Warning Hole Some(crate::foreign_namesake::check);
        "a rule that lets in a namespace or account of that name from another trust domain";
    "hidden-destination" Error Outage Some(crate::hidden_destination::check);
        "a Service that pods call and that their sidecar does not know of";
    "http-deny-at-ztunnel" Error Hole Some(crate::http_deny_at_ztunnel::check);
        "a DENY about HTTP that ztunnel leaves out or widens";
    "identity-over-plaintext" Error Outage Some(crate::identity_over_plaintext::check);
        "a rule that lets a caller in by its identity while its connections are plaintext";
    "ignored-credential" Warning Hole Some(crate::ignored_credential::check);
        "`credentialName` for sidecars, which then send plaintext";
    "ignored-listener-tls" Warning Dead Some(crate::ignored_listener_tls::check);
        "TLS of a Sidecar's own that is not read";
    "ignored-tls-field" Info Dead Some(crate::ignored_tls_field::check);
        "a field of `tls` that its mode does not read";
    "incomplete-type" Warning Invalid None;
        "a document with only one of apiVersion and kind";
    "ineffective-injection" Warning Hole Some(crate::ineffective_injection::check);
        "a label or annotation that looks as if it put pods into the mesh";
    "ingress-bypass" Warning Hole Some(crate::ingress_bypass::check);
        "policies of an ingress gateway that calls to the pods go around";
    "internal-error" Error Invalid None;
        "meshproof itself failed on something";
    "invalid-object" Error Invalid None;
        "an object that the API server or istiod refuses";
    "invisible-character" Warning Hygiene None;
        "a character that is not seen";
    "label-less-pod" Error Outage Some(crate::label_less_pod::check);
        "a pod without labels, for which policies of other pods hold";
    "lost-at-ztunnel" Error Hole Some(crate::lost_at_ztunnel::check);
        "a policy or field that ztunnel is never given";
    "method-case" Warning Dead None;
        "an HTTP method in lower case";
    "misleading-name" Warning Hole Some(crate::misleading_name::check);
        "a DENY policy that is called a default deny and is none";
    "misplaced-wildcard" Warning Dead None;
        "a `*` that is an ordinary character";
    "never-matching-value" Warning Dead None;
        "a value that no request can have";
    "null-field" Warning Dead None;
        "a field without a value";
    "open-ingress" Warning Hole Some(crate::open_ingress::check);
        "a rule that lets an ingress gateway in, and with it everybody outside";
    "open-passthrough" Info Hole Some(crate::open_passthrough::check);
        "an east-west gateway that passes calls to every service";
    "permissive-mtls" Error Hole Some(crate::permissive_mtls::check);
        "a port that takes plaintext although identity rules or a STRICT say otherwise";
    "plaintext-client" Warning Hole Some(crate::plaintext_client::check);
        "mesh clients that send plaintext to a server that takes mTLS as well";
    "plaintext-grpc" Warning Hole Some(crate::plaintext_grpc::check);
        "gRPC without a proxy that takes PERMISSIVE for plaintext";
    "protocol-conflict" Warning Conflict Some(crate::protocol_conflict::check);
        "two Services that send different protocols to one port";
    "redundant-policy" Warning Dead Some(crate::redundant_policy::check);
        "a policy that changes nothing, since others do the same";
    "refused-caller" Error Outage Some(crate::refused_caller::check);
        "a caller without a proxy, such as the API server or a scraper, that STRICT keeps out";
    "refused-probe" Error Outage Some(crate::refused_probe::check);
        "an HTTP probe at a port that refuses plaintext";
    "render-failed" Warning Invalid None;
        "a folder that Kustomize or Helm refused";
    "repeated-mode" Info Dead Some(crate::repeated_mode::check);
        "a PeerAuthentication that says nothing, or what would hold without it";
    "restriction-without-effect" Warning Hole Some(crate::restriction_without_effect::check);
        "a rule that asks for a caller whom a wider rule does not ask for";
    "rule-never-matches" Warning Dead Some(crate::rule_never_matches::check);
        "a rule whose tests exclude each other";
    "selector-matches-nothing" Warning Dead Some(crate::selector_matches_nothing::check);
        "a selector that finds no pod";
    "shadowed-destination-rule" Warning Hole Some(crate::shadowed_destination_rule::check);
        "TLS or subsets that some clients do not get, since they follow another rule";
    "shadowed-rule" Warning Dead Some(crate::shadowed_rule::check);
        "a rule that adds nothing to the others";
    "shared-account" Warning Hole Some(crate::shared_account::check);
        "a rule that names a service account of several applications";
    "sniffed-port" Info Hygiene Some(crate::sniffed_port::check);
        "a port with policies about HTTP whose protocol is guessed";
    "spiffe-prefix" Warning Dead None;
        "a principal written with `spiffe://`";
    "split-rule" Error Hole Some(crate::split_rule::check);
        "`from` and `to` as two rules, so that the second lets anybody in";
    "suppression-without-reason" Warning Hygiene None;
        "a suppression that does not say why";
    "tcp-waypoint" Error Outage Some(crate::tcp_waypoint::check);
        "rules about HTTP at a waypoint, for a port that carries TCP";
    "tls-without-mode" Error Hole Some(crate::tls_without_mode::check);
        "`tls` without `mode`, which makes clients send plaintext";
    "tunnel-around-ports" Warning Hole Some(crate::tunnel_around_ports::check);
        "a port closed by a network policy that a tunnel leads to all the same";
    "uncaptured-call" Warning Hole Some(crate::uncaptured_call::check);
        "calls that leave a pod around its own proxy";
    "uncaptured-port" Error Hole Some(crate::uncaptured_port::check);
        "a port whose traffic goes around the proxy although something is meant to guard it";
    "unenforced-policy" Error Hole Some(crate::unenforced_policy::check);
        "a policy for pods whose traffic meets nothing that could enforce it";
    "unenforced-target" Error Hole Some(crate::unenforced_target::check);
        "a policy whose targetRefs name something that no proxy enforces it for";
    "unknown-api-version" Error Invalid None;
        "a version that the kind does not have";
    "unknown-field" Warning Dead None;
        "a field that the kind does not have";
    "unknown-principal" Warning Dead Some(crate::unknown_principal::check);
        "a principal, service account or namespace that names nobody";
    "unlisted-waypoint" Error Outage Some(crate::unlisted_waypoint::check);
        "rules behind a waypoint that do not let the waypoint in";
    "unquoted-scalar" Error Invalid None;
        "a number or boolean where a string belongs";
    "unreadable-file" Error Invalid None;
        "a file that is no text or cannot be opened";
    "unreadable-list" Warning Invalid None;
        "a List whose items are no list";
    "unrequired-token" Warning Hole Some(crate::unrequired_token::check);
        "a RequestAuthentication beside which no policy asks for a token";
    "untrusted-alias" Warning Outage Some(crate::untrusted_alias::check);
        "a caller of an aliased trust domain, whom ztunnel refuses";
    "unusable-provider" Error Outage Some(crate::unusable_provider::check);
        "a CUSTOM policy whose provider cannot be asked";
    "unused-destination-rule" Warning Dead Some(crate::unused_destination_rule::check);
        "a DestinationRule that no client follows";
    "unused-suppression" Warning Hygiene None;
        "a suppression that suppresses nothing";
    "unverified-tls" Warning Hole Some(crate::unverified_tls::check);
        "TLS to a server whose certificate nobody looks at";
    "waypoint-bypass" Error Hole Some(crate::waypoint_bypass::check);
        "calls that go around a waypoint, past the policies that stand there";
    "weak-mesh-tls" Warning Hole Some(crate::weak_mesh_tls::check);
        "a least TLS version for everything but the mesh";
    "yaml-syntax" Error Invalid None;
        "a document that is no YAML";
};

/// The lint of an id.
pub fn lint(id: &str) -> Option<&'static Lint> {
    LINTS.binary_search_by(|lint| lint.id.cmp(id)).ok().and_then(|at| LINTS.get(at))
}

/// Asks every lint. The order of the findings is that of the lints, then that of the input.
pub fn run(ctx: &Context<'_>) -> Vec<Finding> {
    run_wanted(ctx, |_| true)
}

/// As [`run`], for the lints whose ids are wanted. The others are not run, and what only they would look at is not
/// worked out.
pub fn run_wanted(ctx: &Context<'_>, wanted: impl Fn(&str) -> bool + Sync) -> Vec<Finding> {
    use rayon::prelude::*;
    if ABOUT_WORTHS.iter().any(|id| wanted(id)) {
        ctx.work_out_worths();
    }
    let lints = LINTS.par_iter().filter(|lint| wanted(lint.id));
    let mut findings: Vec<Finding> =
        lints.filter_map(|lint| lint.check).map(|check| check(ctx)).flatten_iter().collect();
    drop_repeated(&mut findings);
    findings
}

/// Lints that ask what rules are worth. One that is missing here finds the same, with one thread.
const ABOUT_WORTHS: &[&str] = &[
    "allow-hidden-by-deny",
    "misleading-name",
    "redundant-policy",
    "restriction-without-effect",
    "rule-never-matches",
    "shadowed-rule",
    "unusable-provider",
];

/// Lints that tell of an outage with everything that leads to it.
const STRONGER: &[&str] = &[crate::deny_all_gap::ID, crate::empty_intersection_outage::ID];

/// Lints that say of one token what those say better, with its consequence and a proof.
const WEAKER: &[&str] = &[
    "allow-hidden-by-deny",
    "conflicting-rules",
    "identity-over-plaintext",
    "method-case",
    "misplaced-wildcard",
    "never-matching-value",
    "rule-never-matches",
    "selector-matches-nothing",
    "spiffe-prefix",
    "unknown-principal",
];

/// Drops findings about a token that a proven finding already explains. Also for findings of other parts of the
/// program, put together with those of [`run`].
pub fn drop_repeated(findings: &mut Vec<Finding>) {
    let mut explained: Vec<Span> = findings
        .iter()
        .filter(|finding| STRONGER.contains(&finding.lint))
        .flat_map(|finding| std::iter::once(&finding.primary).chain(&finding.related))
        .map(|label| label.span)
        .collect();
    explained.sort_unstable_by_key(|span| (span.source, span.start));
    // Tokens do not overlap, so the one that begins last before a place is the only one that can hold it.
    let holds = |place: Span| {
        let after =
            explained.partition_point(|span| (span.source, span.start) <= (place.source, place.start));
        let before = after.checked_sub(1).and_then(|at| explained.get(at));
        before.is_some_and(|span| span.source == place.source && place.end <= span.end)
    };
    findings.retain(|finding| !WEAKER.contains(&finding.lint) || !holds(finding.primary.span));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sorted_and_unique() {
        assert!(LINTS.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(lint("split-rule").map(|lint| lint.id), Some("split-rule"));
        assert!(lint("split-rules").is_none());
    }

    #[test]
    fn a_weaker_finding_within_an_explained_token_goes() {
        use meshproof_diagnostics::Label;
        let span = |start, end| Span::new(meshproof_source::SourceId(0), start, end);
        let finding = |lint, start, end| {
            Finding::new(lint, Level::Warning, Category::Dead, "m", Label::new(span(start, end), ""))
        };
        let mut findings = vec![
            finding("deny-all-gap", 10, 20),
            finding("spiffe-prefix", 11, 15),
            finding("spiffe-prefix", 30, 40),
            finding("unknown-field", 11, 15),
        ];
        drop_repeated(&mut findings);
        let left: Vec<_> =
            findings.iter().map(|finding| (finding.lint, finding.primary.span.start)).collect();
        assert_eq!(left, [("deny-all-gap", 10), ("spiffe-prefix", 30), ("unknown-field", 11)]);
    }
}
