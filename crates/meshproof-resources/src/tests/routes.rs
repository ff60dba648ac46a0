use super::{Case, spec};
use crate::RouteKind;

const GATEWAY: &str = "gateway.networking.k8s.io/v1";

#[test]
fn a_kubernetes_gateway() {
    let case = Case::spec(
        GATEWAY,
        "Gateway",
        "  gatewayClassName: istio-waypoint\n  infrastructure:\n    labels: {a: b}\n    annotations: {c: d}\n  addresses:\n  - {type: Hostname, value: gw.ns.svc}\n  - {value: 1.2.3.4}\n  listeners:\n  - name: mesh\n    port: 15008\n    protocol: HBONE\n    hostname: '*.example'\n    tls: {mode: Passthrough, options: {k: v}}\n    allowedRoutes:\n      namespaces:\n        from: Selector\n        selector:\n          matchLabels: {team: red}\n          matchExpressions: [{key: env, operator: In, values: [prod]}]\n      kinds: [{group: g, kind: HTTPRoute}, {kind: TCPRoute}]\n",
    );
    let gateway = spec!(case, KubernetesGateway);
    assert_eq!(case.token(&gateway.class), "istio-waypoint");
    assert_eq!(case.pairs(&gateway.infrastructure_labels), [("a", "b")]);
    assert_eq!(case.pairs(&gateway.infrastructure_annotations), [("c", "d")]);
    assert_eq!(case.token(&gateway.addresses[0].0), "Hostname");
    assert_eq!(case.tokens(gateway.addresses.iter().map(|(_, value)| value)), ["gw.ns.svc", "1.2.3.4"]);
    let listener = &gateway.listeners[0];
    assert_eq!((case.token(&listener.name), case.token(&listener.protocol)), ("mesh", "HBONE"));
    assert_eq!((case.value(&listener.port), case.token(&listener.hostname)), ((15008, "15008"), "*.example"));
    let tls = listener.tls.as_ref().expect("tls");
    assert_eq!((case.token(&tls.mode), case.pairs(&tls.options)), ("Passthrough", vec![("k", "v")]));
    let routes = listener.allowed_routes.as_ref().expect("routes");
    assert_eq!(case.token(&routes.from), "Selector");
    assert_eq!(case.tokens(routes.kinds.iter().map(|(_, kind)| kind)), ["HTTPRoute", "TCPRoute"]);
    let selector = routes.selector.as_ref().expect("selector");
    assert_eq!(case.pairs(&selector.match_labels), [("team", "red")]);
    let expression = &selector.match_expressions[0];
    assert_eq!((case.token(&expression.key), case.token(&expression.operator)), ("env", "In"));
    assert_eq!(case.field("values", &expression.values), ["prod"]);
}

#[test]
fn classes_and_grants() {
    let case = Case::spec(GATEWAY, "GatewayClass", "  controllerName: istio.io/mesh-controller\n");
    assert_eq!(case.token(&spec!(case, GatewayClass).controller), "istio.io/mesh-controller");

    let case = Case::spec(
        "gateway.networking.k8s.io/v1beta1",
        "ReferenceGrant",
        "  from: [{group: g, kind: HTTPRoute, namespace: a}]\n  to: [{group: '', kind: Service, name: s}]\n",
    );
    let grant = spec!(case, ReferenceGrant);
    assert_eq!((grant.from[0].group.as_str(), case.token(&grant.from[0].namespace)), ("g", "a"));
    assert_eq!((case.token(&grant.to[0].kind), case.token(&grant.to[0].name)), ("Service", "s"));
}

#[test]
fn routes_share_one_form() {
    let spec = "  parentRefs: [{name: gw, namespace: infra, sectionName: http, port: 80}]\n  hostnames: [web.example]\n  rules:\n  - name: r\n    matches:\n    - path: {type: PathPrefix, value: /api}\n      method: GET\n      headers: [{name: x, value: y, type: RegularExpression}]\n      queryParams: [{name: q, value: z}]\n    filters:\n    - {type: RequestMirror, requestMirror: {backendRef: {name: shadow, port: 90}}}\n    backendRefs: [{group: '', kind: Service, name: web, namespace: b, port: 8080, weight: 10}]\n";
    for (kind, expected) in [
        ("HTTPRoute", RouteKind::Http),
        ("GRPCRoute", RouteKind::Grpc),
        ("TLSRoute", RouteKind::Tls),
        ("TCPRoute", RouteKind::Tcp),
    ] {
        let case = Case::spec("gateway.networking.k8s.io/v1alpha2", kind, spec);
        let route = spec!(case, Route);
        assert_eq!(route.kind, expected);
        let parent = &route.parent_refs[0];
        assert_eq!((case.token(&parent.name), case.token(&parent.namespace)), ("gw", "infra"));
        assert_eq!((case.token(&parent.section), case.value(&parent.port)), ("http", (80, "80")));
        assert_eq!(case.field("hostnames", &route.hostnames), ["web.example"]);
        let rule = &route.rules[0];
        let found = &rule.matches[0];
        let path = found.path.as_ref().expect("path");
        assert_eq!((case.token(&path.kind), case.token(&path.value)), ("PathPrefix", "/api"));
        assert_eq!(case.token(&found.method), "GET");
        assert_eq!(
            (case.token(&found.headers[0].name), case.token(&found.query_params[0].value)),
            ("x", "z")
        );
        assert_eq!(case.token(&rule.filters[0].mirror.as_ref().expect("mirror").name), "shadow");
        let backend = &rule.backend_refs[0];
        assert_eq!((case.token(&backend.name), case.value(&backend.weight)), ("web", (10, "10")));
    }
    let case = Case::spec(
        GATEWAY,
        "GRPCRoute",
        "  rules: [{matches: [{method: {type: Exact, service: s.S, method: Get}}]}]\n",
    );
    let found = &spec!(case, Route).rules[0].matches[0];
    assert_eq!((case.token(&found.grpc_service), case.token(&found.grpc_method)), ("s.S", "Get"));
    assert!(found.method.is_none());
    assert_eq!((case.token(&found.grpc_kind), found.has_regex_call()), ("Exact", false));
    let case = Case::spec(
        GATEWAY,
        "GRPCRoute",
        "  rules: [{matches: [{method: {type: RegularExpression, service: s.*}}]}]\n",
    );
    assert!(spec!(case, Route).rules[0].matches[0].has_regex_call());
}
