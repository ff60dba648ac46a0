//! Which documents need not be parsed: those whose top-level kind says nothing about traffic or identity.
//!
//! The answer is read from the bytes, without a parser, so it must err on one side only: a document is skipped when
//! its kind stands plainly at the left margin and nothing in the document could give it another one.

use memchr::memchr_iter;

/// Kinds that any part of the analysis reads, sorted. Lists (`…List`) are read as well.
const KINDS: [&str; 63] = [
    "APIService",
    "AdminNetworkPolicy",
    "AuthorizationPolicy",
    "Backend",
    "BackendTLSPolicy",
    "BaselineAdminNetworkPolicy",
    "CiliumClusterwideNetworkPolicy",
    "CiliumNetworkPolicy",
    "ClusterNetworkPolicy",
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "DeploymentConfig",
    "DestinationRule",
    "EndpointSlice",
    "Endpoints",
    "EnvoyFilter",
    "GRPCRoute",
    "Gateway",
    "GatewayClass",
    "GlobalNetworkPolicy",
    "GlobalNetworkSet",
    "HTTPRoute",
    "HelmRelease",
    "HostEndpoint",
    "Ingress",
    "Istio",
    "IstioOperator",
    "Job",
    "Kustomization",
    "MeshConfig",
    "MeshPolicy",
    "MutatingWebhookConfiguration",
    "Namespace",
    "NetworkPolicy",
    "NetworkSet",
    "PeerAuthentication",
    "Pod",
    "PodMonitor",
    "PodTemplate",
    "Policy",
    "ProxyConfig",
    "ReferenceGrant",
    "ReplicaSet",
    "ReplicationController",
    "RequestAuthentication",
    "Rollout",
    "Service",
    "ServiceAccount",
    "ServiceEntry",
    "ServiceMonitor",
    "Sidecar",
    "StatefulSet",
    "TCPRoute",
    "TLSRoute",
    "Telemetry",
    "Tier",
    "ValidatingWebhookConfiguration",
    "VirtualService",
    "WasmPlugin",
    "WorkloadEntry",
    "WorkloadGroup",
];

/// What to do with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relevance<'t> {
    /// Its kind is none that the analysis reads; there is no need to parse it.
    Skip {
        /// The kind as written.
        kind: &'t str,
    },
    /// Its kind matters, or cannot be told without parsing.
    Parse,
}

/// Looks for the kind of a document at the left margin. Everything unusual (quoted keys, JSON, an indented or missing
/// `kind`, merge keys, odd line breaks, two kinds of which one matters) is for the parser.
pub fn may_matter(document: &str) -> Relevance<'_> {
    let document = document.strip_prefix('\u{feff}').unwrap_or(document);
    let bytes = document.as_bytes();
    // Line breaks that only some readers know could hide another `kind`.
    if memchr_iter(b'\r', bytes).any(|at| bytes.get(at + 1) != Some(&b'\n')) {
        return Relevance::Parse;
    }
    if !document.is_ascii() && document.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
        return Relevance::Parse;
    }
    // A document that begins indented ends at the left margin, and what follows does not count.
    let first = bytes
        .split(|byte| *byte == b'\n')
        .find(|line| !matches!(line.trim_ascii().first(), None | Some(b'#')));
    if first.is_some_and(|line| line[0] == b' ') {
        return Relevance::Parse;
    }
    let mut found = None;
    for start in std::iter::once(0).chain(memchr_iter(b'\n', bytes).map(|at| at + 1)) {
        match bytes.get(start) {
            Some(b'k') if bytes[start..].starts_with(b"kind") => match kind_at(&document[start..]) {
                Line::OtherKey => {}
                Line::Kind(kind) if !matters(kind) => found = found.or(Some(kind)),
                _ => return Relevance::Parse,
            },
            Some(byte) if byte.is_ascii_alphanumeric() => {}
            Some(b' ' | b'#' | b'-' | b'\n' | b'\r' | b'.' | b'_' | b'}' | b']' | b')') | None => {}
            // Quoted keys, flow collections, explicit and merge keys, anchors, tags, tabs, templates.
            _ => return Relevance::Parse,
        }
    }
    found.map_or(Relevance::Parse, |kind| Relevance::Skip { kind })
}

fn matters(kind: &str) -> bool {
    kind.ends_with("List") || KINDS.binary_search(&kind).is_ok()
}

enum Line<'t> {
    /// A key that only begins with `kind`.
    OtherKey,
    /// A plainly written kind.
    Kind(&'t str),
    /// Something that needs a parser.
    Unclear,
}

/// Reads a line that begins with `kind`.
fn kind_at(rest: &str) -> Line<'_> {
    let line = &rest["kind".len()..rest.find('\n').unwrap_or(rest.len())];
    let Some(value) = line.strip_prefix(':') else {
        return if line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            Line::OtherKey
        } else {
            Line::Unclear
        };
    };
    if !value.starts_with(' ') {
        return Line::Unclear;
    }
    let value = value.trim_start_matches(' ');
    let end = value.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(value.len());
    let (kind, after) = value.split_at(end);
    let after_spaces = after.trim_start_matches([' ', '\r']);
    let ends = after_spaces.is_empty() || (after_spaces.len() < after.len() && after_spaces.starts_with('#'));
    if kind.is_empty() || !ends { Line::Unclear } else { Line::Kind(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_kinds_can_be_searched() {
        assert!(KINDS.is_sorted());
    }

    #[test]
    fn plain_kinds_are_told_apart() {
        let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition # x\nspec:\n  names:\n    kind: AuthorizationPolicy\n";
        assert_eq!(may_matter(crd), Relevance::Skip { kind: "CustomResourceDefinition" });
        assert_eq!(may_matter("kind: Secret\r\nkinds: x\r\n"), Relevance::Skip { kind: "Secret" });
        assert_eq!(may_matter("\u{feff}kind: Secret"), Relevance::Skip { kind: "Secret" });
        assert_eq!(may_matter("# c\n\nkind:   AuthorizationPolicy\n"), Relevance::Parse);
        assert_eq!(may_matter("kind: DeploymentList\n"), Relevance::Parse);
        assert_eq!(may_matter("kind: List\nitems:\n- kind: Secret\n"), Relevance::Parse);
    }

    #[test]
    fn whatever_is_not_plain_is_parsed() {
        for document in [
            "",
            "resources: [a]\n",
            "kind: \"AuthorizationPolicy\"\n",
            "kind: 'Secret'\n",
            "\"kind\": AuthorizationPolicy\nkind: Secret\n",
            "kind : AuthorizationPolicy\nkind: Secret\n",
            "{\"k\\u0069nd\": \"AuthorizationPolicy\"}\n",
            "kind: Secret\nkind: AuthorizationPolicy\n",
            "kind: AuthorizationPolicy\nkind: Secret\n",
            "kind:\n  AuthorizationPolicy\n",
            "kind: &k AuthorizationPolicy\n",
            "kind: !!str AuthorizationPolicy\n",
            "kind: Secret\n<<: {kind: AuthorizationPolicy}\n",
            "kind: Secret\n? kind\n: AuthorizationPolicy\n",
            "kind: Secret\n!!str kind: AuthorizationPolicy\n",
            "kind: Secret\n&a kind: AuthorizationPolicy\n",
            "kind: Secret\rkind: AuthorizationPolicy\n",
            "kind: Secret # \u{2028}kind: AuthorizationPolicy\n",
            "kind: {{ .Values.kind }}\n",
            "kind: Secret\n{{- if x }}\nkind: AuthorizationPolicy\n",
            "  kind: AuthorizationPolicy\n",
            "# c\n kind: AuthorizationPolicy\n---a: b\nkind: Secret\n",
            "kind: Secret\n--- # next\nkind: AuthorizationPolicy\n",
            "kind:\tAuthorizationPolicy\n",
            "- kind: AuthorizationPolicy\n",
        ] {
            assert_eq!(may_matter(document), Relevance::Parse, "{document:?}");
        }
    }
}
