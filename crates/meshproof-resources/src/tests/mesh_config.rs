use super::{Case, spec};
use crate::{Decoded, MeshConfigOrigin, OutboundMode, PathNormalization, RequestBody, decode};

const SETTINGS: &str = r#"trustDomain: td.example
trustDomainAliases: [old.example]
rootNamespace: istio-config
enableAutoMtls: false
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
pathNormalization: {normalization: MERGE_SLASHES}
discoverySelectors: [{matchLabels: {mesh: 'on'}}]
defaultServiceExportTo: [a]
defaultVirtualServiceExportTo: [b]
defaultDestinationRuleExportTo: [.]
caCertificates: [{pem: x, trustDomains: [peer.example]}, {pem: y}]
defaultConfig: {interceptionMode: TPROXY, proxyMetadata: {ISTIO_META_ENABLE_HBONE: "true"}}
extensionProviders:
- name: ext
  envoyExtAuthzHttp:
    service: ns/ext.example
    port: 8000
    failOpen: true
    statusOnError: "503"
    pathPrefix: /check
    includeRequestHeadersInCheck: [cookie]
    headersToUpstreamOnAllow: [x-user]
    headersToDownstreamOnAllow: [set-cookie]
    headersToDownstreamOnDeny: [x-why]
    includeAdditionalHeadersInCheck: {x-mesh: "on"}
    includeRequestBodyInCheck: {maxRequestBytes: 1024, allowPartialMessage: true}
    timeout: 2s
    clearRouteCache: true
- name: trace
  zipkin: {service: z, port: 70000}
"#;

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

#[track_caller]
fn check_settings(case: &Case, config: &crate::MeshConfig) {
    assert_eq!(case.token(&config.trust_domain), "td.example");
    assert_eq!(case.field("trustDomainAliases", &config.trust_domain_aliases), ["old.example"]);
    assert_eq!(case.token(&config.root_namespace), "istio-config");
    assert_eq!(case.value(&config.enable_auto_mtls), (false, "false"));
    assert_eq!(case.value(&config.outbound), (OutboundMode::RegistryOnly, "REGISTRY_ONLY"));
    assert_eq!(case.value(&config.path_normalization), (PathNormalization::MergeSlashes, "MERGE_SLASHES"));
    assert_eq!(case.pairs(&config.discovery_selectors[0].match_labels), [("mesh", "on")]);
    assert_eq!(case.field("defaultServiceExportTo", &config.default_service_export_to), ["a"]);
    assert_eq!(case.field("defaultVirtualServiceExportTo", &config.default_virtual_service_export_to), ["b"]);
    assert_eq!(
        case.field("defaultDestinationRuleExportTo", &config.default_destination_rule_export_to),
        ["."]
    );
    assert_eq!(case.tokens(&config.ca_trust_domains), ["peer.example"]);
    assert_eq!(case.pairs(&config.proxy_metadata), [("ISTIO_META_ENABLE_HBONE", "true")]);
    assert_eq!(case.token(&config.interception_mode), "TPROXY");
    let [ext, trace] = config.extension_providers.items.as_slice() else { panic!("two providers") };
    assert_eq!((case.token(&ext.name), case.token(&ext.kind)), ("ext", "envoyExtAuthzHttp"));
    assert!(ext.is_authorizer() && !trace.is_authorizer());
    assert_eq!((case.token(&ext.service), case.value(&ext.port)), ("ns/ext.example", (8000, "8000")));
    assert_eq!(case.value(&ext.fail_open), (true, "true"));
    assert_eq!((case.token(&ext.status_on_error), case.token(&ext.path_prefix)), ("503", "/check"));
    assert_eq!(case.field("includeRequestHeadersInCheck", &ext.request_headers_in_check), ["cookie"]);
    assert_eq!(case.field("headersToUpstreamOnAllow", &ext.headers_to_upstream), ["x-user"]);
    assert_eq!(case.tokens(&ext.headers_to_downstream_on_allow.items), ["set-cookie"]);
    assert_eq!(case.tokens(&ext.headers_to_downstream_on_deny.items), ["x-why"]);
    assert_eq!(case.pairs(&ext.additional_headers_in_check), [("x-mesh", "on")]);
    let body = RequestBody { max_bytes: 1024, allow_partial: true, pack_as_bytes: false };
    assert_eq!(ext.request_body_in_check, Some(body));
    assert_eq!((case.token(&ext.timeout), case.value(&ext.clear_route_cache)), ("2s", (true, "true")));
    assert_eq!(case.value(&trace.port), (70000, "70000"));
}

#[test]
fn a_config_map_with_a_block_points_into_the_block() {
    for (header, line_break) in [("|-", "\n"), ("|", "\n"), ("|2- # the mesh", "\n"), ("|-", "\r\n")] {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio-canary, labels: {{istio.io/rev: canary}}}}\ndata:\n  meshNetworks: 'networks: {{}}'\n  mesh: {header}\n{}",
            indent(SETTINGS, 4)
        );
        let case = Case::new(&text.replace('\n', line_break));
        let config = spec!(case, MeshConfig);
        assert_eq!(config.origin, MeshConfigOrigin::ConfigMap);
        check_settings(&case, config);
        assert_eq!(case.token(&config.revision), "canary");
        assert!(case.decoded.issues.is_empty(), "{:?}", case.decoded.issues);
    }
}

#[test]
fn a_config_map_in_json_points_at_the_value() {
    let inner = serde_json::to_string(SETTINGS).expect("json");
    let text = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"istio"}},"data":{{"mesh":{inner}}}}}"#
    );
    let case = Case::new(&text);
    let config = spec!(case, MeshConfig);
    assert_eq!(config.trust_domain.as_ref().map(|domain| domain.value.as_str()), Some("td.example"));
    let whole = config.span;
    assert_eq!(case.snippet(whole), inner);
    // Nothing may point outside of the value: offsets of the inner text mean nothing here.
    let debug = format!("{config:?}");
    let starts: Vec<&str> =
        debug.split("start: ").skip(1).filter_map(|rest| rest.split(',').next()).collect();
    assert!(starts.len() > 40 && starts.iter().all(|start| *start == whole.start.to_string()), "{debug}");
}

#[test]
fn without_the_text_a_block_is_pointed_at_as_a_whole() {
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio}}\ndata:\n  mesh: |\n{}",
        indent(SETTINGS, 4)
    );
    let parsed = meshproof_yaml::parse(meshproof_source::SourceId(0), &text, 0..text.len());
    let mut decoded = Decoded::default();
    decode(parsed.tree.expect("tree").root(), &mut decoded);
    let crate::Spec::MeshConfig(config) = &decoded.resources[0].spec else { panic!("kind") };
    assert_eq!(config.trust_domain.as_ref().map(|domain| domain.span), Some(config.span));
}

#[test]
fn a_config_map_that_does_not_parse_is_told() {
    let case = Case::new(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  mesh: |\n    a: [1\n    b: 2\n",
    );
    assert_eq!(case.decoded.issues[0].lint, "unreadable-mesh-config");
    assert!(spec!(case, MeshConfig).trust_domain.is_none());
    let case =
        Case::new("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata: {mesh: \"a: [1\"}\n");
    assert_eq!(case.snippet(case.decoded.issues[0].span), "mesh");
}

const VALUES: &str = r#"meshConfig:
  trustDomain: td.example
global:
  network: net1
  meshID: mesh1
  istioNamespace: istio-sys
  multiCluster: {clusterName: west}
  proxy:
    autoInject: disabled
    includeInboundPorts: "*"
    excludeInboundPorts: "9000"
    includeOutboundPorts: "1"
    excludeOutboundPorts: "2"
    includeIPRanges: 10.0.0.0/8
    excludeIPRanges: 10.1.0.0/16
pilot:
  env:
    PILOT_ENABLE_AMBIENT: "true"
    PILOT_SKIP_VALIDATE_TRUST_DOMAIN: true
sidecarInjectorWebhook:
  enableNamespacesByDefault: true
  rewriteAppHTTPProbe: false
revision: canary
revisionTags: [prod]
profile: ambient
"#;

#[track_caller]
fn check_values(case: &Case, config: &crate::MeshConfig) {
    assert_eq!(case.token(&config.trust_domain), "td.example");
    assert_eq!((case.token(&config.network), case.token(&config.mesh_id)), ("net1", "mesh1"));
    assert_eq!(
        (case.token(&config.istio_namespace), case.token(&config.cluster_name)),
        ("istio-sys", "west")
    );
    assert_eq!(case.token(&config.auto_inject), "disabled");
    assert_eq!(
        (case.token(&config.include_inbound_ports), case.token(&config.exclude_inbound_ports)),
        ("*", "9000")
    );
    assert_eq!(
        (case.token(&config.include_outbound_ports), case.token(&config.exclude_outbound_ports)),
        ("1", "2")
    );
    assert_eq!(
        (case.token(&config.include_ip_ranges), case.token(&config.exclude_ip_ranges)),
        ("10.0.0.0/8", "10.1.0.0/16")
    );
    assert_eq!(
        config.feature("PILOT_ENABLE_AMBIENT").map(|value| case.snippet(value.span)),
        Some("\"true\"")
    );
    assert_eq!(
        config.feature("PILOT_SKIP_VALIDATE_TRUST_DOMAIN").map(|value| value.value.as_str()),
        Some("true")
    );
    assert_eq!(case.value(&config.enable_namespaces_by_default), (true, "true"));
    assert_eq!(case.value(&config.rewrite_probes), (false, "false"));
    assert_eq!((case.token(&config.revision), case.token(&config.profile)), ("canary", "ambient"));
    assert_eq!(case.field("revisionTags", &config.revision_tags), ["prod"]);
}

#[test]
fn helm_values_of_istiod() {
    for text in [VALUES.to_owned(), format!("other: 1\nistiod:\n{}", indent(VALUES, 2))] {
        let case = Case::new(&text);
        let [config] = case.decoded.helm_values.as_slice() else { panic!("{:?}", case.decoded) };
        assert_eq!(config.origin, MeshConfigOrigin::HelmValues);
        check_values(&case, config);
        assert!(case.decoded.not_objects.is_empty() && case.decoded.resources.is_empty());
    }
    for other in ["global: {storageClass: x}", "pilot: {image: x}", "istiod: {enabled: true}", "env: {A: b}"]
    {
        let case = Case::new(other);
        assert!(case.decoded.helm_values.is_empty(), "{other}");
        assert_eq!(case.decoded.not_objects.len(), 1, "{other}");
    }
}

#[test]
fn operators() {
    let case = Case::spec("sailoperator.io/v1", "Istio", &format!("  values:\n{}", indent(VALUES, 4)));
    assert_eq!(spec!(case, MeshConfig).origin, MeshConfigOrigin::SailIstio);
    check_values(&case, spec!(case, MeshConfig));

    let spec = format!(
        "  revision: blue\n  profile: minimal\n  namespace: own\n  meshConfig:\n{}  values:\n{}  components:\n    pilot:\n      k8s:\n        env:\n        - {{name: PILOT_ENABLE_AMBIENT, value: \"false\"}}\n        - {{name: POD, valueFrom: {{}}}}\n",
        indent(SETTINGS, 4),
        indent(VALUES, 4).replace("td.example", "values.example")
    );
    let case = Case::spec("install.istio.io/v1alpha1", "IstioOperator", &spec);
    let config = spec!(case, MeshConfig);
    assert_eq!(config.origin, MeshConfigOrigin::IstioOperator);
    check_settings(&case, config);
    assert_eq!((case.token(&config.revision), case.token(&config.profile)), ("blue", "minimal"));
    assert_eq!((case.token(&config.network), case.token(&config.istio_namespace)), ("net1", "own"));
    // Of equal names the last counts: the component's own environment.
    assert_eq!(config.feature("PILOT_ENABLE_AMBIENT").map(|value| value.value.as_str()), Some("false"));
}

#[test]
fn the_injector_holds_values_in_json() {
    let inner =
        serde_json::json!({"global": {"network": "net1", "proxy": {"autoInject": "enabled"}}}).to_string();
    let case = Case::new(&format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio-sidecar-injector}}\ndata:\n  config: x\n  values: |-\n    {inner}\n"
    ));
    let config = spec!(case, MeshConfig);
    assert_eq!(config.origin, MeshConfigOrigin::InjectorConfigMap);
    assert_eq!((case.token(&config.network), case.token(&config.auto_inject)), ("net1", "enabled"));
}
