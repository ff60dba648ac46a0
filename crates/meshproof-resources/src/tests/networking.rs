use super::{Case, spec};
use crate::{Location, OutboundMode, Resolution, ServerTlsMode, StringMatch};

const ISTIO: &str = "networking.istio.io/v1beta1";

#[test]
fn a_service_entry() {
    let case = Case::spec(
        ISTIO,
        "ServiceEntry",
        "  hosts: [db.example]\n  addresses: [10.0.0.1]\n  ports:\n  - {number: 443, name: tls, protocol: TLS, targetPort: 8443}\n  location: MESH_INTERNAL\n  resolution: DNS_ROUND_ROBIN\n  endpoints:\n  - address: 1.2.3.4\n    ports: {tls: 9443}\n    labels: {app: db}\n    network: n1\n    locality: r/z\n    weight: 5\n    serviceAccount: sa\n  workloadSelector: {labels: {app: db}}\n  exportTo: ['*']\n  subjectAltNames: [spiffe://x]\n",
    );
    let entry = spec!(case, ServiceEntry);
    assert_eq!(case.field("hosts", &entry.hosts), ["db.example"]);
    assert_eq!(case.field("addresses", &entry.addresses), ["10.0.0.1"]);
    let port = &entry.ports[0];
    assert_eq!((case.value(&port.number), case.value(&port.target_port)), ((443, "443"), (8443, "8443")));
    assert_eq!((case.token(&port.name), case.token(&port.protocol)), ("tls", "TLS"));
    assert_eq!(case.value(&entry.location), (Location::MeshInternal, "MESH_INTERNAL"));
    assert_eq!(case.value(&entry.resolution), (Resolution::DnsRoundRobin, "DNS_ROUND_ROBIN"));
    let endpoint = &entry.endpoints[0];
    assert_eq!(case.token(&endpoint.address), "1.2.3.4");
    assert_eq!((case.tokens([&endpoint.ports[0].0]), endpoint.ports[0].1.value), (vec!["tls"], 9443));
    assert_eq!(case.pairs(&endpoint.labels), [("app", "db")]);
    assert_eq!((case.token(&endpoint.network), case.token(&endpoint.locality)), ("n1", "r/z"));
    assert_eq!((case.value(&endpoint.weight), case.token(&endpoint.service_account)), ((5, "5"), "sa"));
    assert_eq!(case.pairs(&entry.workload_selector.as_ref().expect("selector").labels), [("app", "db")]);
    assert_eq!(case.field("exportTo", &entry.export_to), ["*"]);
    assert_eq!(case.field("subjectAltNames", &entry.subject_alt_names), ["spiffe://x"]);

    let case = Case::spec(ISTIO, "ServiceEntry", "  location: elsewhere\n");
    assert_eq!(spec!(case, ServiceEntry).effective_location(), Location::MeshExternal);
}

#[test]
fn workload_entries_and_groups() {
    let case =
        Case::spec(ISTIO, "WorkloadEntry", "  address: 1.1.1.1\n  serviceAccount: vm\n  labels: {app: vm}\n");
    let entry = spec!(case, WorkloadEntry);
    assert_eq!((case.token(&entry.address), case.token(&entry.service_account)), ("1.1.1.1", "vm"));

    let case = Case::spec(
        ISTIO,
        "WorkloadGroup",
        "  metadata:\n    labels: {app: vm}\n    annotations: {a: b}\n  template:\n    serviceAccount: vm\n    ports: {http: 80}\n",
    );
    let group = spec!(case, WorkloadGroup);
    assert_eq!(case.pairs(&group.labels), [("app", "vm")]);
    assert_eq!(case.pairs(&group.annotations), [("a", "b")]);
    assert_eq!(case.token(&group.template.as_ref().expect("template").service_account), "vm");
}

#[test]
fn a_sidecar() {
    let case = Case::spec(
        ISTIO,
        "Sidecar",
        "  workloadSelector: {labels: {app: x}}\n  ingress:\n  - port: {number: 9080, protocol: HTTP, name: web}\n    bind: 0.0.0.0\n    captureMode: NONE\n    defaultEndpoint: 127.0.0.1:8080\n    tls: {mode: SIMPLE}\n  egress:\n  - hosts: [./*, istio-system/*]\n  - port: {number: 3306}\n    bind: 127.0.0.1\n    captureMode: IPTABLES\n  outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n",
    );
    let sidecar = spec!(case, Sidecar);
    assert_eq!(case.pairs(&sidecar.workload_selector.as_ref().expect("selector").labels), [("app", "x")]);
    let listener = &sidecar.ingress[0];
    assert_eq!(case.value(&listener.port.as_ref().expect("port").number), (9080, "9080"));
    assert_eq!(case.token(&listener.default_endpoint), "127.0.0.1:8080");
    assert_eq!((case.token(&listener.bind), case.token(&listener.capture_mode)), ("0.0.0.0", "NONE"));
    assert_eq!(case.value(&listener.tls.as_ref().expect("tls").mode), (ServerTlsMode::Simple, "SIMPLE"));
    assert_eq!(case.field("hosts", &sidecar.egress[0].hosts), ["./*", "istio-system/*"]);
    assert_eq!(
        (case.token(&sidecar.egress[1].bind), case.token(&sidecar.egress[1].capture_mode)),
        ("127.0.0.1", "IPTABLES")
    );
    assert_eq!(case.value(&sidecar.outbound), (OutboundMode::RegistryOnly, "REGISTRY_ONLY"));
}

#[test]
fn an_istio_gateway() {
    let case = Case::spec(
        ISTIO,
        "Gateway",
        "  selector: {istio: ingressgateway}\n  servers:\n  - name: https\n    port: {number: 443, name: https, protocol: HTTPS}\n    bind: 1.1.1.1\n    hosts: [ns/web.example]\n    tls:\n      mode: MUTUAL\n      credentialName: cred\n      httpsRedirect: true\n      serverCertificate: /s\n      caCertificates: /c\n      subjectAltNames: [spiffe://x]\n",
    );
    let gateway = spec!(case, Gateway);
    assert_eq!(case.pairs(&gateway.selector), [("istio", "ingressgateway")]);
    let server = &gateway.servers[0];
    assert_eq!((case.token(&server.name), case.token(&server.bind)), ("https", "1.1.1.1"));
    assert_eq!(case.field("hosts", &server.hosts), ["ns/web.example"]);
    assert_eq!(case.token(&server.port.as_ref().expect("port").protocol), "HTTPS");
    let tls = server.tls.as_ref().expect("tls");
    assert_eq!(case.value(&tls.mode), (ServerTlsMode::Mutual, "MUTUAL"));
    assert_eq!((case.token(&tls.credential_name), tls.https_redirect), ("cred", true));
    assert_eq!((case.token(&tls.server_certificate), case.token(&tls.ca_certificates)), ("/s", "/c"));
    assert_eq!(case.field("subjectAltNames", &tls.subject_alt_names), ["spiffe://x"]);
}

#[test]
fn a_virtual_service() {
    let case = Case::spec(
        ISTIO,
        "VirtualService",
        r#"  hosts: [web]
  gateways: [mesh, gw]
  exportTo: [.]
  http:
  - name: first
    match:
    - uri: {prefix: /api}
      ignoreUriCase: true
      scheme: {exact: https}
      method: {exact: GET}
      authority: {regex: a.*}
      headers: {x-user: {exact: jo}, x-any: {}}
      withoutHeaders: {x-no: {prefix: p}}
      queryParams: {q: {exact: v}}
      port: 80
      sourceLabels: {app: c}
      sourceNamespace: ns
      gateways: [gw]
    rewrite: {uri: /, authority: other}
    route:
    - destination: {host: web.b, subset: v1, port: {number: 8080}}
      weight: 90
    mirror: {host: shadow}
    mirrors:
    - destination: {host: shadow2}
  - redirect: {uri: /x}
    delegate: {name: d, namespace: dn}
  tls:
  - match: [{sniHosts: [s.example], destinationSubnets: [10.0.0.0/8], port: 443, sourceLabels: {a: b}, sourceNamespace: n, gateways: [g]}]
    route: [{destination: {host: t}}]
  tcp:
  - route: [{destination: {host: u}, weight: 1}]
"#,
    );
    let service = spec!(case, VirtualService);
    assert_eq!(case.field("hosts", &service.hosts), ["web"]);
    assert_eq!(case.field("gateways", &service.gateways), ["mesh", "gw"]);
    assert_eq!(case.field("exportTo", &service.export_to), ["."]);
    let route = &service.http[0];
    let found = &route.matches[0];
    assert!(matches!(&found.uri, Some(StringMatch::Prefix(uri)) if case.snippet(uri.span) == "/api"));
    assert!(matches!(&found.scheme, Some(StringMatch::Exact(scheme)) if scheme.value == "https"));
    assert!(matches!(&found.method, Some(StringMatch::Exact(method)) if method.value == "GET"));
    assert!(matches!(&found.authority, Some(StringMatch::Regex(regex)) if regex.value == "a.*"));
    assert!(found.ignore_uri_case);
    assert_eq!(case.tokens(found.headers.iter().map(|(name, _)| name)), ["x-user", "x-any"]);
    assert!(found.headers[1].1.is_none());
    assert_eq!((found.without_headers.len(), found.query_params.len()), (1, 1));
    assert_eq!((case.value(&found.port), case.token(&found.source_namespace)), ((80, "80"), "ns"));
    assert_eq!(case.pairs(&found.source_labels), [("app", "c")]);
    assert_eq!(case.field("gateways", &found.gateways), ["gw"]);
    assert_eq!((case.token(&route.rewrite_uri), case.token(&route.rewrite_authority)), ("/", "other"));
    let to = &route.route[0];
    assert_eq!((case.token(&to.host), case.token(&to.subset)), ("web.b", "v1"));
    assert_eq!((case.value(&to.port), case.value(&to.weight)), ((8080, "8080"), (90, "90")));
    assert_eq!(case.tokens(route.mirrors.iter().flat_map(|mirror| &mirror.host)), ["shadow", "shadow2"]);
    assert_eq!(case.snippet(service.http[1].answered.expect("answered")), "redirect");
    let (name, namespace) = service.http[1].delegate.as_ref().expect("delegate");
    assert_eq!((case.tokens([name]), case.token(namespace)), (vec!["d"], "dn"));
    let found = &service.tls[0].matches[0];
    assert_eq!(case.field("sniHosts", &found.sni_hosts), ["s.example"]);
    assert_eq!(case.field("destinationSubnets", &found.destination_subnets), ["10.0.0.0/8"]);
    assert_eq!((case.value(&found.port), case.token(&found.source_namespace)), ((443, "443"), "n"));
    assert_eq!(case.token(&service.tcp[0].route[0].host), "u");
}

#[test]
fn an_envoy_filter() {
    let case = Case::spec(
        "networking.istio.io/v1alpha3",
        "EnvoyFilter",
        "  priority: -5\n  workloadSelector: {labels: {app: x}}\n  targetRefs: [{kind: Gateway, name: g, group: gateway.networking.k8s.io}]\n  configPatches:\n  - applyTo: HTTP_FILTER\n    match: {context: SIDECAR_OUTBOUND}\n    patch: {operation: INSERT_BEFORE, value: {}}\n",
    );
    let filter = spec!(case, EnvoyFilter);
    assert_eq!(case.value(&filter.priority), (-5, "-5"));
    assert_eq!(case.pairs(&filter.workload_selector.as_ref().expect("selector").labels), [("app", "x")]);
    assert_eq!(case.tokens([&filter.target_refs[0].name]), ["g"]);
    let patch = &filter.patches[0];
    assert_eq!(
        (case.token(&patch.apply_to), case.token(&patch.context)),
        ("HTTP_FILTER", "SIDECAR_OUTBOUND")
    );
    assert_eq!(case.token(&patch.operation), "INSERT_BEFORE");
    assert!(!filter.touches_inbound());
    let case =
        Case::spec("networking.istio.io/v1alpha3", "EnvoyFilter", "  configPatches: [{applyTo: LISTENER}]\n");
    assert!(spec!(case, EnvoyFilter).touches_inbound());
}

#[test]
fn recognised_and_left_alone() {
    use crate::Spec;
    assert_eq!(Case::spec(ISTIO, "ProxyConfig", "  concurrency: 1\n").one().spec, Spec::ProxyConfig);
    assert_eq!(Case::spec("telemetry.istio.io/v1", "Telemetry", "  x: 1\n").one().spec, Spec::Telemetry);
}
