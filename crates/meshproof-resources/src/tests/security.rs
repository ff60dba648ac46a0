use super::{Case, spec};
use crate::{Action, ClientTlsMode, MtlsMode, Spec};

const SECURITY: &str = "security.istio.io/v1";

#[test]
fn an_authorization_policy_with_every_field() {
    let case = Case::spec(
        SECURITY,
        "AuthorizationPolicy",
        r#"  selector:
    matchLabels:
      app: web
  action: DENY
  provider:
    name: ext
  rules:
  - from:
    - source:
        principals: [a/ns/b/sa/c]
        notPrincipals: ["*"]
        requestPrincipals: [i/s]
        notRequestPrincipals: [i/t]
        namespaces: [n1]
        notNamespaces: [n2]
        serviceAccounts: [n1/s1]
        notServiceAccounts: [s2]
        trustDomains: [td1]
        notTrustDomains: [td2]
        ipBlocks: [10.0.0.0/8]
        notIpBlocks: [10.1.0.0/16]
        remoteIpBlocks: [1.2.3.4]
        notRemoteIpBlocks: [1.2.3.5]
    to:
    - operation:
        hosts: [h1]
        notHosts: [h2]
        ports: ["80"]
        notPorts: [8080]
        methods: [GET]
        notMethods: [POST]
        paths: [/a]
        notPaths: [/b*]
    when:
    - key: request.headers[x]
      values: [v1]
      notValues: [v2, v3]
"#,
    );
    let policy = spec!(case, AuthorizationPolicy);
    assert!(case.snippet(policy.span).starts_with("selector:"));
    let selector = policy.selector.as_ref().expect("selector");
    assert!(selector.has_match_labels);
    assert_eq!(case.pairs(&selector.match_labels), [("app", "web")]);
    let action = policy.action.as_ref().expect("action");
    assert_eq!((action.value, case.snippet(action.span)), (Some(Action::Deny), "DENY"));
    assert_eq!(case.token(&policy.provider), "ext");
    assert_eq!(case.snippet(policy.rules.key.expect("key")), "rules");
    let rule = &policy.rules[0];
    assert!(case.snippet(rule.span).starts_with("from:"));

    let source = rule.from[0].fields();
    let names = |field: &crate::Match| {
        (case.tokens(&field.values.items).join(","), case.tokens(&field.not_values.items).join(","))
    };
    let read: Vec<_> = source.iter().map(|(_, field)| names(field)).collect();
    let expected = [
        ("a/ns/b/sa/c", "*"),
        ("i/s", "i/t"),
        ("n1", "n2"),
        ("n1/s1", "s2"),
        ("td1", "td2"),
        ("10.0.0.0/8", "10.1.0.0/16"),
        ("1.2.3.4", "1.2.3.5"),
    ];
    assert_eq!(read, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(case.snippet(rule.from[0].principals.not_values.key.expect("key")), "notPrincipals");

    let read: Vec<_> = rule.to[0].fields().iter().map(|(_, field)| names(field)).collect();
    let expected = [("h1", "h2"), ("80", "8080"), ("GET", "POST"), ("/a", "/b*")];
    assert_eq!(read, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));

    let condition = &rule.when[0];
    assert_eq!(case.tokens([&condition.key]), ["request.headers[x]"]);
    assert_eq!(names(&condition.values), ("v1".to_owned(), "v2,v3".to_owned()));
}

#[test]
fn empty_forms_of_an_authorization_policy_stay_apart() {
    let none =
        Case::new("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x}\n");
    let policy = spec!(none, AuthorizationPolicy);
    assert_eq!((policy.rules.key, policy.effective_action()), (None, Action::Allow));
    assert_eq!(policy.span, none.one().meta.span);

    let empty = Case::spec(SECURITY, "AuthorizationPolicy", "  rules: []\n  selector: {}\n");
    let policy = spec!(empty, AuthorizationPolicy);
    assert!(policy.rules.key.is_some() && policy.rules.is_empty());
    assert!(!policy.selector.as_ref().expect("selector").has_match_labels);

    let any = Case::spec(SECURITY, "AuthorizationPolicy", "  rules: [{}]\n  action: deny\n");
    let policy = spec!(any, AuthorizationPolicy);
    assert_eq!(policy.rules.len(), 1);
    assert_eq!(policy.action.as_ref().map(|action| action.value), Some(None));

    // `- ` with nothing behind it is an empty rule for Istio's decoder.
    let dangling = Case::spec(SECURITY, "AuthorizationPolicy", "  rules:\n  -\n  action:\n");
    let policy = spec!(dangling, AuthorizationPolicy);
    assert_eq!((policy.rules.len(), policy.action.is_none()), (1, true));

    // An item without its `source` is a source that matches anyone.
    let hollow =
        Case::spec(SECURITY, "AuthorizationPolicy", "  rules: [{from: [{}], to: [{operation: null}]}]\n");
    let rule = &spec!(hollow, AuthorizationPolicy).rules[0];
    assert_eq!((rule.from.len(), rule.to.len()), (1, 1));
}

#[test]
fn target_refs_win_over_the_legacy_field() {
    let both = "  targetRef: {kind: Gateway, name: old, group: g}\n  targetRefs:\n  - kind: Service\n    name: new\n    namespace: ns\n";
    let case = Case::spec(SECURITY, "AuthorizationPolicy", both);
    let policy = spec!(case, AuthorizationPolicy);
    assert_eq!(policy.target_refs.len(), 1);
    assert_eq!(case.tokens([&policy.target_refs[0].kind, &policy.target_refs[0].name]), ["Service", "new"]);
    assert_eq!(case.token(&policy.target_refs[0].namespace), "ns");
    assert_eq!(policy.target_refs[0].group, "");

    let case = Case::spec(
        SECURITY,
        "RequestAuthentication",
        "  targetRefs: []\n  targetRef: {kind: Gateway, name: old, group: g}\n",
    );
    let policy = spec!(case, RequestAuthentication);
    assert_eq!(case.snippet(policy.target_refs.key.expect("key")), "targetRef");
    assert_eq!(
        (policy.target_refs[0].group.as_str(), case.tokens([&policy.target_refs[0].name])),
        ("g", vec!["old"])
    );
}

#[test]
fn the_last_of_equal_keys_counts() {
    let case = Case::spec(
        SECURITY,
        "AuthorizationPolicy",
        "  action: ALLOW\n  action: DENY\n  selector: {matchLabels: {a: x, b: y, a: z}}\n",
    );
    let policy = spec!(case, AuthorizationPolicy);
    assert_eq!(policy.effective_action(), Action::Deny);
    let labels = &policy.selector.as_ref().expect("selector").match_labels;
    assert_eq!(case.pairs(labels), [("b", "y"), ("a", "z")]);

    let many: String = (0..40).map(|at| format!("      k{}: v{at}\n", at % 20)).collect();
    let case = Case::spec(SECURITY, "PeerAuthentication", &format!("  selector:\n    matchLabels:\n{many}"));
    let labels = &spec!(case, PeerAuthentication).selector.as_ref().expect("selector").match_labels;
    assert_eq!(labels.entries.len(), 20);
    assert_eq!(labels.get("k3").map(|value| value.value.as_str()), Some("v23"));
}

#[test]
fn a_peer_authentication_with_ports_of_every_spelling() {
    let case = Case::spec(
        SECURITY,
        "PeerAuthentication",
        "  selector: {matchLabels: {app: x}}\n  mtls: {mode: STRICT}\n  portLevelMtls:\n    8080: {mode: DISABLE}\n    \"9090\": {mode: PERMISSIVE}\n    70000: {mode: STRICT}\n    http: {mode: STRICT}\n    7070:\n    6060: {}\n    \"8080\": {mode: UNSET}\n",
    );
    let policy = spec!(case, PeerAuthentication);
    assert!(policy.selects_workloads());
    assert_eq!(case.value(&policy.mode), (MtlsMode::Strict, "STRICT"));
    let ports: Vec<_> = policy
        .port_level
        .iter()
        .map(|(port, mode)| (port.value, case.snippet(port.span), mode.value, case.snippet(mode.span)))
        .collect();
    assert_eq!(
        ports,
        [
            (9090, "\"9090\"", MtlsMode::Permissive, "PERMISSIVE"),
            (7070, "7070", MtlsMode::Unset, ""),
            (6060, "6060", MtlsMode::Unset, "{}"),
            (8080, "\"8080\"", MtlsMode::Unset, "UNSET"),
        ]
    );
}

#[test]
fn a_request_authentication() {
    let case = Case::spec(
        "security.istio.io/v1beta1",
        "RequestAuthentication",
        "  jwtRules:\n  - issuer: https://i\n    audiences: [a1]\n    jwksUri: https://k\n    jwks: inline\n    fromHeaders:\n    - name: X-Token\n      prefix: Bearer\n    - name: Y\n    fromParams: [t]\n    fromCookies: [c]\n    spaceDelimitedClaims: [roles]\n    forwardOriginalToken: true\n",
    );
    let rule = &spec!(case, RequestAuthentication).jwt_rules[0];
    assert_eq!(case.token(&rule.issuer), "https://i");
    assert_eq!(case.token(&rule.jwks_uri), "https://k");
    assert_eq!(case.token(&rule.jwks), "inline");
    assert_eq!(case.field("audiences", &rule.audiences), ["a1"]);
    assert_eq!(case.tokens([&rule.from_headers[0].0, &rule.from_headers[1].0]), ["X-Token", "Y"]);
    assert_eq!(case.token(&rule.from_headers[0].1), "Bearer");
    assert!(rule.from_headers[1].1.is_none() && rule.forward_original_token);
    assert_eq!(case.field("fromParams", &rule.from_params), ["t"]);
    assert_eq!(case.field("fromCookies", &rule.from_cookies), ["c"]);
    assert_eq!(case.field("spaceDelimitedClaims", &rule.space_delimited_claims), ["roles"]);
}

#[test]
fn a_destination_rule_with_ports_and_subsets() {
    let case = Case::spec(
        "networking.istio.io/v1alpha3",
        "DestinationRule",
        r#"  host: "*.shop.svc.cluster.local"
  exportTo: [.]
  workloadSelector: {matchLabels: {app: client}}
  trafficPolicy:
    loadBalancer: {simple: PASSTHROUGH}
    tls: {}
    portLevelSettings:
    - port: {number: 443}
      tls:
        mode: MUTUAL
        credentialName: cred
        clientCertificate: /c.pem
        caCertificates: /ca.pem
        subjectAltNames: [spiffe://a]
        sni: s.example
        insecureSkipVerify: true
  subsets:
  - name: v1
    labels: {version: v1}
    trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
  - name: v2
    trafficPolicy: {tls: null}
"#,
    );
    let rule = spec!(case, DestinationRule);
    assert_eq!(case.token(&rule.host), "*.shop.svc.cluster.local");
    assert_eq!(case.field("exportTo", &rule.export_to), ["."]);
    assert!(rule.workload_selector.is_some());
    let policy = rule.traffic_policy.as_ref().expect("policy");
    assert!(policy.passthrough);
    // A `tls` without mode is plaintext, written down.
    assert_eq!(policy.tls.as_ref().map(crate::ClientTls::effective_mode), Some(ClientTlsMode::Disable));
    let port = &policy.port_level[0];
    assert_eq!(case.value(&port.port), (443, "443"));
    let tls = port.tls.as_ref().expect("tls");
    assert_eq!(case.value(&tls.mode), (ClientTlsMode::Mutual, "MUTUAL"));
    assert_eq!(case.token(&tls.credential_name), "cred");
    assert_eq!(case.token(&tls.client_certificate), "/c.pem");
    assert_eq!(case.token(&tls.ca_certificates), "/ca.pem");
    assert_eq!(case.token(&tls.sni), "s.example");
    assert_eq!(case.field("subjectAltNames", &tls.subject_alt_names), ["spiffe://a"]);
    assert!(tls.insecure_skip_verify);
    assert_eq!(case.tokens(rule.subsets.iter().flat_map(|subset| &subset.name)), ["v1", "v2"]);
    assert_eq!(case.pairs(&rule.subsets[0].labels), [("version", "v1")]);
    let mode = |at: usize| {
        let policy = rule.subsets[at].traffic_policy.as_ref().expect("policy");
        policy.tls.as_ref().map(crate::ClientTls::effective_mode)
    };
    assert_eq!((mode(0), mode(1)), (Some(ClientTlsMode::IstioMutual), None));
}

#[test]
fn wrong_types_are_not_read_and_numbers_keep_their_text() {
    let case = Case::new(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: 007\n  namespace: \"\"\n  labels: [a]\n  annotations: {v: 1.10, b: yes, o: {}, on: x}\nspec:\n  selector: web\n  rules:\n    from: x\n",
    );
    let resource = case.one();
    assert_eq!(resource.meta.name(), "007");
    assert_eq!(case.snippet(resource.meta.name_span()), "007");
    assert!(resource.meta.namespace.is_none() && resource.meta.labels.is_empty());
    // `on` is a boolean to Kubernetes, and so the key is `true`.
    let annotations = &resource.meta.annotations;
    assert_eq!(case.tokens(annotations.entries.iter().map(|(_, value)| value)), ["1.10", "yes", "x"]);
    assert_eq!(annotations.get("true").map(|value| value.value.as_str()), Some("x"));
    let policy = spec!(case, AuthorizationPolicy);
    assert!(policy.selector.is_none() && policy.rules.is_empty());

    let case = Case::spec(
        SECURITY,
        "AuthorizationPolicy",
        "  rules: [{to: [{operation: {ports: [8080, true, 1.10, {}, null]}}]}]\n",
    );
    let Spec::AuthorizationPolicy(policy) = &case.one().spec else { panic!("kind") };
    assert_eq!(case.field("ports", &policy.rules[0].to[0].ports.values), ["8080", "true", "1.10"]);
}
