//! Gateways: pods that the input does not hold, which routes listeners of the Gateway API admit, and what conditions of routes
//! say of the ways through them.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::gateways::{FRONT, from_outside, gateway_pods, routes, servers, through};
use common::{injected, mesh, mesh_presuming, peer_authentication, pod, policy, service};
use meshproof_graph::{Graph, ReachQuestion};

#[test]
fn pods_of_gateways_that_the_input_does_not_hold_are_taken_to_be_there() {
    let route = routes(&[
        "{route: [{destination: {host: one.shop.svc.cluster.local, port: {number: 80}}}]}".to_owned()
    ]);
    let ask = |more: &str| {
        let mesh = mesh_presuming(&(servers() + FRONT + &route + more));
        let graph = Graph::new(&mesh);
        let reach = from_outside(&graph, "shop/one:8080");
        let name = |hop: &meshproof_graph::ReachEdge| hop.to[0].name.clone();
        through(&reach).map(|path| {
            let doubts = path.hops.iter().map(|hop| hop.told.may.join("; ")).collect::<Vec<_>>();
            (path.hops.iter().map(name).collect::<Vec<_>>().join(" > "), doubts)
        })
    };
    let (way, doubts) = ask("").unwrap();
    assert_eq!(way, "istio-system/istio-ingressgateway > shop/one");
    let reason =
        "the pods of Gateway front are not in the input; they are taken to run in namespace istio-system";
    assert!(doubts.iter().all(|doubt| doubt.contains(reason)), "{doubts:?}");
    // A Service in front of them tells their namespace and name, and policies there count.
    let edge = "apiVersion: v1\nkind: Service\nmetadata: {name: edge, namespace: edge}\nspec: {selector: {app: istio-ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}\n---\n";
    assert_eq!(ask(edge).unwrap().0, "edge/edge > shop/one");
    let closed = policy("edge", "none", "selector: {matchLabels: {istio: ingressgateway}}");
    assert_eq!(ask(&(edge.to_owned() + &closed)), None);
    // Its account may be the one that nobody else runs as, and no other.
    let named = |principal: &str| {
        let spec = format!(
            "selector: {{matchLabels: {{app: one}}}}, rules: [{{from: [{{source: {{principals: [{principal}]}}}}]}}]"
        );
        policy("shop", "p", &spec)
    };
    assert!(ask(&named("cluster.local/ns/istio-system/sa/istio-ingressgateway")).is_some());
    assert_eq!(ask(&named("cluster.local/ns/shop/sa/two")), None);
    // Nothing is taken to be there where pods are.
    let mesh = mesh_presuming(&(servers() + FRONT + &route + &gateway_pods()));
    assert!(mesh.workloads_with_ids().all(|(id, _)| !mesh.is_presumed(id)));
}

/// A Gateway with two listeners, and a route in another namespace.
fn gateway_api(listener: &str, parent: &str, hostnames: &str, rule: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: edge, namespace: edge}}\n\
         spec: {{gatewayClassName: istio, listeners: [{{name: a, port: 80, protocol: HTTP, {listener}}}, {{name: b, port: 81, protocol: HTTP}}]}}\n---\n\
         apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: shop}}\n\
         spec: {{parentRefs: [{{name: edge, namespace: edge{parent}}}], {hostnames}rules: [{{{rule}backendRefs: [{{name: one, port: 80}}]}}]}}\n---\n"
    )
}

#[test]
fn listeners_of_the_gateway_api_admit_some_routes() {
    let ask = |listener: &str, parent: &str, hostnames: &str, rule: &str| {
        let text = servers() + &injected("edge") + &gateway_api(listener, parent, hostnames, rule);
        let mesh = mesh(&text);
        let graph = Graph::new(&mesh);
        let reach = from_outside(&graph, "shop/one:8080");
        through(&reach).map(|path| (path.hops[0].to[0].port, path.through[0].requests.join("; ")))
    };
    let all = "allowedRoutes: {namespaces: {from: All}}";
    let anything = Some((80, "anything".to_owned()));
    assert_eq!(ask(all, "", "", ""), anything);
    // The other namespace is not admitted by default.
    assert_eq!(ask("", "", "", ""), None);
    assert_eq!(ask(all, ", sectionName: a", "", ""), anything);
    assert_eq!(ask(all, ", sectionName: b", "", ""), None);
    let host = format!("hostname: \"*.shop.example\", {all}");
    let said = ask(&host, "", "hostnames: [a.shop.example, other.example], ", "").unwrap().1;
    assert_eq!(said, "anything at host a.shop.example");
    assert_eq!(ask(&host, "", "hostnames: [other.example], ", ""), None);
    let said = ask(all, "", "", "matches: [{path: {type: PathPrefix, value: /api}}], ").unwrap().1;
    assert_eq!(said, "anything on /api, /api/*");
}

#[test]
fn listeners_that_ask_for_certificates_do_not_tell_whose() {
    let gateway = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: front, namespace: istio-system}\n\
        spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [\"*\"], tls: {mode: MUTUAL, credentialName: c}}]}\n---\n";
    let route = routes(&[
        "{route: [{destination: {host: one.shop.svc.cluster.local, port: {number: 80}}}]}".to_owned()
    ]);
    let ask = |more: &str| {
        let mesh = mesh(&(servers() + &gateway_pods() + gateway + &route + more));
        let graph = Graph::new(&mesh);
        let reach = graph.reach(&ReachQuestion { names: 3, ..ReachQuestion::default() }).unwrap();
        let edge = reach.edges.iter().find(|edge| edge.to[0].port == 443).unwrap();
        let shown = edge.told.witness.as_ref().unwrap().identity.clone();
        (
            edge.told.who.clone(),
            edge.told.may.join("; "),
            shown,
            through(&from_outside(&graph, "shop/one:8080")).is_some(),
        )
    };
    let (who, may, _, through) = ask("");
    assert_eq!(
        (who.as_str(), may.as_str(), through),
        ("whoever reaches the gateway with a client certificate", "", true)
    );
    let rule = "selector: {matchLabels: {istio: ingressgateway}}, rules: [{from: [{source: {principals: [partner/ns/a/sa/b]}}]}]";
    let (who, may, shown, through) = ask(&policy("istio-system", "p", rule));
    assert_eq!(who, "whoever reaches the gateway with a client certificate: sa a/b");
    assert_eq!((may.as_str(), through), ("which identities client certificates have", true));
    assert_eq!(shown.as_deref(), Some("partner/ns/a/sa/b"));
}

/// What is certain about the ways to the two servers of routes, the first of which has a condition: whether they are there,
/// and why they may not be.
fn ways_of_two(condition: &str) -> [Option<String>; 2] {
    let to = |name: &str| {
        format!("route: [{{destination: {{host: {name}.shop.svc.cluster.local, port: {{number: 80}}}}}}]")
    };
    let rules = [format!("{{match: [{{{condition}}}], {}}}", to("one")), format!("{{{}}}", to("two"))];
    let mesh = mesh(&(servers() + &gateway_pods() + FRONT + &routes(&rules)));
    let graph = Graph::new(&mesh);
    ["one", "two"].map(|name| {
        let reach = from_outside(&graph, &format!("shop/{name}:8080"));
        through(&reach).map(|path| path.through[0].may.join("; "))
    })
}

#[test]
fn routes_that_ask_who_sends_are_for_this_gateway_or_not() {
    let certain = || Some(String::new());
    for other in ["sourceLabels: {app: web}", "sourceNamespace: shop", "gateways: [other]", "port: 443"] {
        assert_eq!(ways_of_two(other), [None, certain()], "{other}");
    }
    let own = "sourceLabels: {istio: ingressgateway}, sourceNamespace: istio-system, port: 80";
    for own in [own, "gateways: [istio-system/front], sourceLabels: {app: web}"] {
        assert_eq!(ways_of_two(own), [certain(), None], "{own}");
    }
    // Injection may add such a label.
    let [one, two] = ways_of_two("sourceLabels: {istio.io/rev: default}");
    assert!(one.unwrap().contains("labels") && two.unwrap().contains("labels"));
}

#[test]
fn what_is_not_followed_of_routes_is_said() {
    for (condition, one, two) in [
        (
            "uri: {regex: \"/(a|b)/.*\"}",
            "the route matches paths by a regular expression",
            "an earlier route",
        ),
        ("uri: {prefix: /a}, ignoreUriCase: true", "paths in upper and lower case", "an earlier route"),
        ("headers: {x-v: {regex: \"[0-9]\"}}", "the header x-v by a regular expression", "an earlier route"),
        // A request without the query is never taken.
        ("queryParams: {q: {exact: a}}", "the route looks at query parameters", ""),
        ("scheme: {exact: http}", "", "clients may name another scheme"),
        ("scheme: {exact: https}", "clients may name another scheme", ""),
    ] {
        let [found_one, found_two] = ways_of_two(condition).map(Option::unwrap);
        for (found, said) in [(found_one, one), (found_two, two)] {
            assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{condition}: {found}");
        }
    }
    assert_eq!(ways_of_two("scheme: {exact: ftp}")[0], None);
    assert_eq!(ways_of_two("uri: {regex: \"/a/.*\"}"), [Some(String::new()), Some(String::new())]);
}

#[test]
fn the_port_that_routes_ask_for_is_that_of_the_server() {
    let gateway = FRONT.replace(
        "servers: [",
        "servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [\"*\"], tls: {mode: SIMPLE, credentialName: c}}, ",
    );
    let to = |condition: &str, name: &str| {
        format!(
            "{{{condition}route: [{{destination: {{host: {name}.shop.svc.cluster.local, port: {{number: 80}}}}}}]}}"
        )
    };
    let rules = [to("match: [{port: 443}], ", "one"), to("", "two")];
    let mesh = mesh(&(servers() + &gateway_pods() + &gateway + &routes(&rules)));
    let graph = Graph::new(&mesh);
    for (name, port) in [("one", 443), ("two", 8080)] {
        let reach = from_outside(&graph, &format!("shop/{name}:8080"));
        let ways = reach.paths.iter().filter(|path| path.hops.len() == 2);
        let ways: Vec<_> =
            ways.map(|path| (path.hops[0].to[0].port, path.through[0].may.join("; "))).collect();
        assert_eq!(ways, [(port, String::new())], "{name}");
    }
}

/// A Gateway for plaintext, with a route of its own to a server.
fn front(name: &str, selector: &str, to: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: istio-system}}\n\
         spec: {{selector: {{{selector}}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [{name}.example]}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{hosts: [{name}.example], gateways: [istio-system/{name}], http: [{{route: [{{destination: {{host: {to}.shop.svc.cluster.local, port: {{number: 80}}}}}}]}}]}}\n---\n"
    )
}

#[test]
fn gateways_of_more_labels_stand_for_pods_of_their_own() {
    let both =
        front("a", "istio: ingressgateway", "one") + &front("b", "istio: ingressgateway, env: prod", "two");
    let ways = |more: &str, to: &str| -> Vec<String> {
        let mesh = mesh_presuming(&(servers() + &both + more));
        let reach = from_outside(&Graph::new(&mesh), &format!("shop/{to}:8080"));
        let ways = reach.paths.iter().filter(|path| path.hops.len() == 2);
        ways.map(|path| path.hops[0].to[0].name.clone()).collect()
    };
    let second = "istio-system/istio-ingressgateway-2".to_owned();
    assert_eq!(ways("", "two"), [second]);
    assert!(!ways("", "one").is_empty());
    // The labels count: what closes the second leaves the first open.
    let closed = policy("istio-system", "none", "selector: {matchLabels: {env: prod}}");
    assert_eq!(ways(&closed, "two"), Vec::<String>::new());
    assert_eq!(ways(&closed, "one"), ["istio-system/istio-ingressgateway"]);
    // The same labels in another order, or with what charts add, are the same pods.
    let same = front("c", "app: istio-ingressgateway", "two")
        + &front("d", "env: prod, istio: ingressgateway", "one");
    let mesh = mesh_presuming(&(servers() + &both + &same));
    assert_eq!(mesh.workloads_with_ids().filter(|(id, _)| mesh.is_presumed(*id)).count(), 2);
}

#[test]
fn gateways_are_taken_to_run_in_the_root_namespace_that_is_configured() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: {mesh: \"rootNamespace: mesh-root\"}\n---\n";
    let gateway = front("a", "istio: ingressgateway", "one").replace("istio-system", "shop");
    let servers = [
        injected("shop"),
        peer_authentication("shop", "m", "mtls: {mode: STRICT}"),
        pod("shop", "one", "one", ""),
        service("shop", "one", "http", ""),
    ]
    .concat();
    let mesh = mesh_presuming(&(servers + config + &gateway));
    let reach = from_outside(&Graph::new(&mesh), "shop/one:8080");
    assert_eq!(through(&reach).unwrap().hops[0].to[0].name, "mesh-root/istio-ingressgateway");
}

#[test]
fn backends_of_other_namespaces_need_a_grant() {
    let ask = |grant: &str| {
        let all = "allowedRoutes: {namespaces: {from: All}}";
        let route =
            gateway_api(all, "", "", "").replace("name: r, namespace: shop", "name: r, namespace: edge");
        let route = route.replace("{name: one, port: 80}", "{name: one, namespace: shop, port: 80}");
        let mesh = mesh(&(servers() + &injected("edge") + &route + grant));
        let reach = from_outside(&Graph::new(&mesh), "shop/one:8080");
        let path = through(&reach).unwrap();
        (path.through[0].is_shown, path.through[0].may.join("; "))
    };
    let grant = |of: &str, from: &str, to: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {{name: g, namespace: {of}}}\n\
             spec: {{from: [{{group: gateway.networking.k8s.io, {from}}}], to: [{{group: '', {to}}}]}}\n---\n"
        )
    };
    let route = "kind: HTTPRoute, namespace: edge";
    let service = "kind: Service, name: one";
    let doubt = "no ReferenceGrant of the input lets HTTPRoutes of edge send to Service one of shop";
    assert_eq!(ask(""), (false, doubt.to_owned()));
    assert_eq!(ask(&grant("shop", route, service)), (true, String::new()));
    assert_eq!(ask(&grant("shop", route, "kind: Service")), (true, String::new()));
    for other in [
        grant("edge", route, service),
        grant("shop", "kind: GRPCRoute, namespace: edge", service),
        grant("shop", "kind: HTTPRoute, namespace: shop", service),
        grant("shop", route, "kind: Service, name: two"),
        grant("shop", route, "kind: Secret"),
    ] {
        assert_eq!(ask(&other), (false, doubt.to_owned()), "{other}");
    }
}
