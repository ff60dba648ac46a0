//! Anything at all under the right names: nothing panics, every object is accounted for.

use meshproof_source::SourceId;
use proptest::prelude::*;

use crate::{Decoded, Kind, decode, decode_with_text};

/// Names of fields from all kinds, so that generated trees get past the first key.
const FIELDS: &[&str] = &[
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "spec",
    "data",
    "mesh",
    "values",
    "items",
    "selector",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "targetRefs",
    "targetRef",
    "kind",
    "group",
    "action",
    "provider",
    "rules",
    "from",
    "to",
    "when",
    "source",
    "operation",
    "principals",
    "notPrincipals",
    "ports",
    "paths",
    "mtls",
    "mode",
    "portLevelMtls",
    "8080",
    "jwtRules",
    "issuer",
    "fromHeaders",
    "host",
    "hosts",
    "trafficPolicy",
    "tls",
    "subsets",
    "portLevelSettings",
    "port",
    "number",
    "loadBalancer",
    "simple",
    "exportTo",
    "workloadSelector",
    "template",
    "jobTemplate",
    "workloadRef",
    "containers",
    "initContainers",
    "containerPort",
    "livenessProbe",
    "httpGet",
    "securityContext",
    "runAsUser",
    "replicas",
    "targetPort",
    "protocol",
    "clusterIP",
    "endpoints",
    "addresses",
    "ingress",
    "egress",
    "servers",
    "http",
    "tcp",
    "match",
    "route",
    "destination",
    "uri",
    "exact",
    "headers",
    "mirror",
    "mirrors",
    "delegate",
    "configPatches",
    "patch",
    "context",
    "listeners",
    "allowedRoutes",
    "namespaces",
    "parentRefs",
    "backendRefs",
    "matches",
    "filters",
    "requestMirror",
    "backendRef",
    "podSelector",
    "policyTypes",
    "ipBlock",
    "cidr",
    "except",
    "order",
    "source",
    "nets",
    "serviceAccounts",
    "meshConfig",
    "global",
    "pilot",
    "env",
    "extensionProviders",
    "discoverySelectors",
    "caCertificates",
    "trustDomains",
    "defaultConfig",
    "proxyMetadata",
    "components",
    "k8s",
    "proxy",
    "$patch",
    "istiod",
    "envoyExtAuthzHttp",
    "infrastructure",
    "kinds",
    "method",
];

const SCALARS: &[&str] = &[
    "null",
    "~",
    "''",
    "true",
    "no",
    "0",
    "-1",
    "8080",
    "65536",
    "1e3",
    ".nan",
    "99999999999999999999999",
    "0x1F",
    "STRICT",
    "DENY",
    "\"\"",
    "None",
    "delete",
    "é",
    "[]",
    "{}",
    "\"a: [1\"",
    "\"trustDomain: x\"",
    "'{\"a\": 1}'",
];

/// A value in flow style; equal keys may stand in one mapping.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(SCALARS).prop_map(str::to_owned);
    scalar.prop_recursive(6, 60, 6, |inner| {
        let list =
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", ")));
        prop_oneof![list, mapping(inner)]
    })
}

fn mapping(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec((prop::sample::select(FIELDS), value), 0..6).prop_map(|entries| {
        let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        format!("{{{}}}", entries.join(", "))
    })
}

fn versions() -> Vec<(&'static str, &'static str)> {
    let groups = [
        "",
        "apps/",
        "extensions/",
        "batch/",
        "argoproj.io/",
        "security.istio.io/",
        "networking.istio.io/",
        "telemetry.istio.io/",
        "gateway.networking.k8s.io/",
        "networking.k8s.io/",
        "projectcalico.org/",
        "discovery.k8s.io/",
        "install.istio.io/",
        "sailoperator.io/",
    ];
    let known = |group: &'static str| {
        Kind::names()
            .filter(move |name| Kind::of(group.trim_end_matches('/'), name).is_some())
            .map(move |name| (group, name))
    };
    groups.into_iter().flat_map(known).collect()
}

fn decode_text(text: &str) -> Option<Decoded> {
    let parsed = meshproof_yaml::parse(SourceId(0), text, 0..text.len());
    let tree = parsed.tree?;
    let (mut decoded, mut with_text) = (Decoded::default(), Decoded::default());
    decode(tree.root(), &mut decoded);
    decode_with_text(tree.root(), text, &mut with_text);
    assert_eq!(decoded.resources.len(), with_text.resources.len());
    Some(decoded)
}

#[test]
fn every_kind_is_reached() {
    let kinds = versions();
    assert!(kinds.len() >= 40, "{}", kinds.len());
    for (group, kind) in kinds {
        let decoded = decode_text(&format!("{{apiVersion: {group}v1, kind: {kind}}}")).expect("parses");
        let known = decoded.resources.len() + decoded.unknown_kinds.len();
        assert_eq!(known, 1, "{group} {kind}");
    }
}

proptest! {
    #[test]
    fn any_tree_under_any_kind(
        (group, kind) in prop::sample::select(versions()),
        spec in mapping(value()),
        metadata in value(),
        other in value(),
        field in prop::sample::select(FIELDS),
    ) {
        let text = format!(
            "apiVersion: {group}v1\nkind: {kind}\nmetadata: {metadata}\nspec: {spec}\ndata: {spec}\n{field}: {other}\n"
        );
        if let Some(decoded) = decode_text(&text) {
            let known = decoded.resources.len() + decoded.unknown_kinds.values().sum::<usize>();
            prop_assert_eq!(known + decoded.not_objects.len(), 1);
        }
    }

    #[test]
    fn any_document(text in value()) {
        decode_text(&text);
    }

    #[test]
    fn any_settings_in_a_config_map(settings in mapping(value()), quoted in any::<bool>()) {
        let settings = if quoted { format!("{settings:?}") } else { format!("|\n    {settings}") };
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio}}\ndata:\n  mesh: {settings}\n");
        if let Some(decoded) = decode_text(&text) {
            prop_assert_eq!(decoded.resources.len(), 1);
        }
    }
}

#[test]
fn a_map_of_many_keys_is_no_burden() {
    let labels: String = (0..100_000).map(|at| format!("    k{at}: v\n")).collect();
    let text = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: x\n  labels:\n{labels}");
    let start = std::time::Instant::now();
    let decoded = decode_text(&text).expect("parses");
    assert_eq!(decoded.resources[0].meta.labels.entries.len(), 100_000);
    // Quadratic work would take minutes here.
    assert!(start.elapsed().as_secs() < 20);
}
