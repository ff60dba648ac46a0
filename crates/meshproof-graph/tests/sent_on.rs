//! What gateways and waypoints send on is never called closed, nor certain, where it is not followed.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::gateways::servers;
use common::{mesh, mesh_presuming, namespace, pod, policy, service};
use meshproof_graph::{Graph, ReachPath, ReachQuestion, Scope};
use meshproof_ir::Mesh;

const GATEWAY: &str = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: front, namespace: istio-system}\n\
    spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [\"*\"]}]}\n---\n";
const PODS: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: gw, namespace: istio-system, labels: {istio: ingressgateway}, annotations: {inject.istio.io/templates: gateway}}\n\
    spec: {serviceAccountName: gw, containers: [{name: istio-proxy, image: auto, ports: [{containerPort: 80}]}]}\n---\n";

fn virtual_service(name: &str, hosts: &str, http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{hosts: [{hosts}], gateways: [istio-system/front], http: [{http}]}}\n---\n"
    )
}

/// `rest` stands in front of the route.
fn to(name: &str, rest: &str) -> String {
    format!(
        "{{{rest}route: [{{destination: {{host: {name}.shop.svc.cluster.local, port: {{number: 80}}}}}}]}}"
    )
}

fn allow(name: &str, rule: &str) -> String {
    policy("shop", "a", &format!("selector: {{matchLabels: {{app: {name}}}}}, rules: [{rule}]"))
}

fn ways(mesh: &Mesh, from: Option<&str>, to: &str) -> Vec<ReachPath> {
    let from = from.map(|from| from.parse().unwrap());
    let scope = Scope { from, to: Some(to.parse().unwrap()), ..Scope::default() };
    let question = ReachQuestion { scope, transitive: true, names: 3 };
    Graph::new(mesh).reach(&question).unwrap().paths
}

/// What leaves the way from outside through the gateway open, and whether it is shown; nothing where there is none.
fn outside(text: &str, to: &str) -> Option<(String, bool)> {
    let paths = ways(&mesh(text), Some("plaintext"), to);
    let path = paths.iter().find(|path| path.hops.len() == 2)?;
    Some((path.through[0].may.join("; "), path.through[0].is_shown))
}

fn doubted(text: &str, to: &str, part: &str) {
    let (may, is_shown) = outside(text, to).unwrap_or_else(|| panic!("no way to {to}\n{text}"));
    assert!(may.contains(part) && !is_shown, "{may:?}, shown {is_shown}\n{text}");
}

fn authentication(of: &str, rest: &str, rule: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: j, namespace: {of}}}\n\
         spec: {{{rest}jwtRules: [{{issuer: \"https://i\", jwksUri: \"https://i/jwks\"{rule}}}]}}\n---\n"
    )
}

#[test]
fn tokens_that_only_a_backend_asks_for_may_be_sent_on() {
    let base = servers() + PODS + GATEWAY + &virtual_service("v", "shop.example", &to("one", ""));
    assert_eq!(outside(&base, "shop/one"), Some((String::new(), true)));
    let own = authentication("shop", "selector: {matchLabels: {app: one}}, ", "");
    let wants = allow("one", "{from: [{source: {requestPrincipals: [\"*\"]}}]}");
    let refuses = policy(
        "shop",
        "d",
        "selector: {matchLabels: {app: one}}, action: DENY, rules: [{from: [{source: {notRequestPrincipals: [\"*\"]}}]}]",
    );
    let claim = allow("one", "{when: [{key: \"request.auth.claims[team]\", values: [a]}]}");
    for rules in [&wants, &refuses, &claim] {
        doubted(&(base.clone() + &own + rules), "shop/one", "a token has to be sent on");
    }
    // One for the whole mesh: the gateway takes the token away, or does not.
    for rest in ["", ", forwardOriginalToken: true"] {
        let whole = authentication("istio-system", "", rest);
        doubted(&(base.clone() + &whole + &wants), "shop/one", "a token has to be sent on");
    }
    // Refusing somebody's token closes nothing to whoever has none.
    let some = policy(
        "shop",
        "d",
        "selector: {matchLabels: {app: one}}, action: DENY, rules: [{from: [{source: {requestPrincipals: [\"*\"]}}]}]",
    );
    assert_eq!(outside(&(base.clone() + &own + &some), "shop/one"), Some((String::new(), true)));
    // The gateway asks for the token that the backend refuses.
    let gateway = policy(
        "istio-system",
        "g",
        "selector: {matchLabels: {istio: ingressgateway}}, rules: [{from: [{source: {requestPrincipals: [\"*\"]}}]}]",
    );
    let whole = authentication("istio-system", "", ", forwardOriginalToken: true");
    doubted(&(base.clone() + &whole + &gateway + &some), "shop/one", "no request was found");
    let whole = authentication("istio-system", "", "");
    assert_eq!(outside(&(base + &whole + &gateway + &some), "shop/one"), Some((String::new(), true)));
}

#[test]
fn changed_requests_may_pass() {
    let base = servers() + PODS + GATEWAY;
    let rewrite = "rewrite: {authority: b.internal}, ";
    let hosts = allow("one", "{to: [{operation: {hosts: [b.internal]}}]}");
    let text = base.clone() + &virtual_service("v", "shop.example", &to("one", rewrite)) + &hosts;
    doubted(&text, "shop/one", "the route changes the host");
    let when = allow("one", "{when: [{key: \"request.headers[x-env]\", values: [prod]}]}");
    for headers in ["headers: {request: {remove: [x-env]}}, ", "headers: {request: {set: {x-env: prod}}}, "] {
        let text = base.clone() + &virtual_service("v", "shop.example", &to("one", headers)) + &when;
        doubted(&text, "shop/one", "the route changes requests (headers)");
    }
    let answers = virtual_service("v", "shop.example", &to("one", "headers: {response: {remove: [x]}}, "));
    assert_eq!(outside(&(base.clone() + &answers + &when), "shop/one"), Some((String::new(), true)));
    let paths = allow("one", "{to: [{operation: {paths: [\"/users*\"]}}]}");
    let regex = "match: [{uri: {prefix: /api}}], rewrite: {uriRegexRewrite: {match: \"/api(.*)\", rewrite: \"\\\\1\"}}, ";
    let text = base.clone() + &virtual_service("v", "shop.example", &to("one", regex)) + &paths;
    doubted(&text, "shop/one", "the route changes requests (uriRegexRewrite)");
    let case = "match: [{uri: {prefix: /API}, ignoreUriCase: true}], ";
    let text = base.clone()
        + &virtual_service("v", "shop.example", &to("one", case))
        + &allow("one", "{to: [{operation: {paths: [\"/api*\"]}}]}");
    assert!(outside(&text, "shop/one").is_some_and(|(may, _)| !may.is_empty()));
    let forwarded = allow("one", "{when: [{key: \"request.headers[x-forwarded-proto]\", values: [http]}]}");
    let text = base + &virtual_service("v", "shop.example", &to("one", "")) + &forwarded;
    doubted(&text, "shop/one", "proxies set some of the headers");
}

#[test]
fn too_many_conditions_close_nothing() {
    let rules: Vec<String> =
        (0..130).map(|at| format!("{{to: [{{operation: {{paths: [/p{at}]}}}}]}}")).collect();
    let route = to("one", "match: [{uri: {exact: /p129}}], ");
    let text = servers()
        + PODS
        + GATEWAY
        + &virtual_service("v", "shop.example", &route)
        + &allow("one", &rules.join(", "));
    assert!(outside(&text, "shop/one").is_some());
    let none = to("one", "match: [{uri: {exact: /q}}], ");
    let text = servers()
        + PODS
        + GATEWAY
        + &virtual_service("v", "shop.example", &none)
        + &allow("one", &rules[..100].join(", "));
    assert_eq!(outside(&text, "shop/one"), None);
}

#[test]
fn refusing_some_identity_does_not_close_gateways_of_unknown_identity() {
    let deny = policy(
        "shop",
        "d",
        "selector: {matchLabels: {app: one}}, action: DENY, rules: [{from: [{source: {principals: [cluster.local/ns/dev/sa/test]}}]}]",
    );
    let text = servers() + GATEWAY + &virtual_service("v", "shop.example", &to("one", "")) + &deny;
    let paths = ways(&mesh_presuming(&text), Some("plaintext"), "shop/one");
    let path = paths.iter().find(|path| path.hops.len() == 2).unwrap();
    assert!(path.through[0].may.contains(&"which identity the proxy has".to_owned()), "{path:#?}");
}

#[test]
fn other_virtual_services_may_take_requests() {
    let base = servers() + PODS + GATEWAY;
    let all = virtual_service("all", "\"*\"", &to("two", ""));
    let one = virtual_service("one", "shop.example", &to("one", ""));
    let text = base.clone() + &all + &one;
    doubted(&text, "shop/two", "another VirtualService");
    assert_eq!(outside(&text, "shop/one"), Some((String::new(), true)));
    let first = virtual_service("a", "shop.example", &to("one", "match: [{uri: {prefix: /a}}], "));
    let second = virtual_service("b", "shop.example", &to("two", "match: [{uri: {prefix: /}}], "));
    for name in ["shop/one", "shop/two"] {
        doubted(&(base.clone() + &first + &second), name, "another VirtualService");
    }
}

fn routes(each: &[(&str, &str, &str)]) -> String {
    let mut text =
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: shop}\n\
        spec: {gatewayClassName: istio, listeners: [{name: a, port: 80, protocol: HTTP}]}\n---\n"
            .to_owned();
    for (at, (hosts, rule, name)) in each.iter().enumerate() {
        text.push_str(&format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r{at}, namespace: shop}}\n\
             spec: {{parentRefs: [{{name: edge}}], {hosts}rules: [{{{rule}backendRefs: [{{name: {name}, port: 80}}]}}]}}\n---\n"
        ));
    }
    text
}

#[test]
fn other_routes_of_the_gateway_api_may_take_requests() {
    let api = "matches: [{path: {type: PathPrefix, value: /api}}], ";
    let wants = allow("two", "{to: [{operation: {paths: [\"/api/*\"]}}]}");
    let text = servers() + &routes(&[("", api, "one"), ("", "", "two")]) + &wants;
    assert_eq!(outside(&text, "shop/two"), None, "the longer path of the other route takes it all");
    let text = servers() + &routes(&[("", api, "one"), ("", api, "two")]) + &wants;
    doubted(&text, "shop/two", "the older one takes it");
    doubted(&text, "shop/one", "the older one takes it");
    let dated = |name: &str, year: u16| {
        (format!("name: {name}, "), format!("name: {name}, creationTimestamp: \"{year}-01-01T00:00:00Z\", "))
    };
    let (first, second) = (dated("r0", 2024), dated("r1", 2023));
    let text = text.replace(&first.0, &first.1).replace(&second.0, &second.1);
    assert_eq!((outside(&text, "shop/two"), outside(&text, "shop/one")), (Some((String::new(), true)), None));
    // The longest name counts, whatever is asked there.
    let other = "matches: [{path: {type: PathPrefix, value: /other}}], ";
    let text =
        servers() + &routes(&[("hostnames: [a.x], ", other, "one"), ("hostnames: [\"*.x\"], ", "", "two")]);
    let of_host = |host: &str| allow("two", &format!("{{to: [{{operation: {{hosts: [{host}]}}}}]}}"));
    assert_eq!(outside(&(text.clone() + &of_host("a.x")), "shop/two"), None);
    assert_eq!(outside(&(text + &of_host("b.x")), "shop/two"), Some((String::new(), true)));
    let text = servers()
        + &routes(&[
            ("hostnames: [a.x], ", "matches: [{path: {type: PathPrefix, value: /other}}], ", "one"),
            ("hostnames: [\"*.x\"], ", "", "two"),
        ])
        + &wants;
    assert_eq!(outside(&text, "shop/two"), Some((String::new(), true)));
    assert_eq!(
        outside(
            &(text + &allow("two", "{to: [{operation: {hosts: [a.x]}}]}").replace("ALLOW", "DENY")),
            "shop/two"
        ),
        Some((String::new(), true))
    );
    let text = servers()
        + &routes(&[("hostnames: [a.x], ", api, "one"), ("hostnames: [b.x], ", "", "two")])
        + &wants;
    assert_eq!(outside(&text, "shop/two"), Some((String::new(), true)));
    // What a rule takes by a query parameter it leaves to others without it.
    let query = "matches: [{path: {type: PathPrefix, value: /api}, queryParams: [{name: q, value: v}]}], backendRefs: [{name: one, port: 80}]}, {";
    let text = servers() + &routes(&[("", query, "two")]) + &wants;
    assert_eq!(outside(&text, "shop/two"), Some((String::new(), true)));
    let rewrite = format!(
        "{api}filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}], "
    );
    let users = allow("one", "{to: [{operation: {paths: [\"/users*\"]}}]}");
    let text = servers() + &routes(&[("", &rewrite, "one")]) + &users;
    doubted(&text, "shop/one", "the route changes requests (URLRewrite)");
}

#[test]
fn every_port_that_is_asked_about_has_its_way() {
    let pods = pod("shop", "web", "web", "")
        .replace("{containerPort: 8080}", "{containerPort: 8080}, {containerPort: 9090}");
    let services = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n\
        spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: http-b, port: 90, targetPort: 9090}]}\n---\n";
    let route = |start: &str, port: u16| {
        format!(
            "{{match: [{{uri: {{prefix: {start}}}}}], route: [{{destination: {{host: web.shop.svc.cluster.local, port: {{number: {port}}}}}}}]}}"
        )
    };
    let http = format!("{}, {}", route("/a", 80), route("/b", 90));
    let rules = policy(
        "shop",
        "w",
        "selector: {matchLabels: {app: web}}, rules: [{to: [{operation: {ports: [\"8080\"], paths: [/x]}}]}, {to: [{operation: {ports: [\"9090\"]}}]}]",
    );
    let text =
        servers() + PODS + GATEWAY + &pods + services + &virtual_service("v", "shop.example", &http) + &rules;
    let paths = ways(&mesh(&text), None, "shop/web");
    let ports: Vec<u16> =
        paths.iter().filter(|path| !path.through.is_empty()).map(|path| path.hops[1].to[0].port).collect();
    assert_eq!(ports, [9090], "{paths:#?}");
    // Both, where both are open.
    let text = text.replace("paths: [/x]", "paths: [\"/a*\"]");
    let paths = ways(&mesh(&text), None, "shop/web");
    let mut ports: Vec<u16> =
        paths.iter().filter(|path| !path.through.is_empty()).map(|path| path.hops[1].to[0].port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports, [8080, 9090], "{paths:#?}");
}

#[test]
fn whoever_is_refused_hides_nobody_behind() {
    let mut text = servers();
    for name in ["a", "b", "target"] {
        text.push_str(&(pod("shop", name, name, "") + &service("shop", name, "http", "")));
    }
    // One account is refused by the target, whoever comes second is not.
    for refused in ["a", "b"] {
        let deny = format!(
            "selector: {{matchLabels: {{app: target}}}}, action: DENY, rules: [{{from: [{{source: {{principals: [cluster.local/ns/shop/sa/{refused}]}}}}]}}]"
        );
        let open = ["one", "two", "a", "b"].iter().filter(|name| **name != refused);
        let mesh = mesh(&(text.clone() + &policy("shop", "d", &deny)));
        for name in open {
            let found = ways(&mesh, Some(&format!("workload:shop/{name}")), "shop/target");
            assert!(!found.is_empty(), "{name}, {refused} is refused");
        }
        let found = ways(&mesh, Some(&format!("workload:shop/{refused}")), "shop/target");
        assert!(found.iter().all(|path| path.hops.len() > 1) && !found.is_empty(), "{found:#?}");
    }
}

#[test]
fn routes_behind_waypoints_are_not_followed() {
    let base = namespace("d", "istio.io/dataplane-mode: ambient, istio.io/use-waypoint: way")
        + &pod("d", "web", "web", "")
        + &pod("d", "caller", "caller", "")
        + &service("d", "web", "http", "")
        // Nobody gets around the waypoint.
        + &policy("d", "w", "selector: {matchLabels: {app: web}}, rules: [{from: [{source: {principals: [cluster.local/ns/d/sa/way]}}]}]")
        + "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: way, namespace: d, labels: {istio.io/waypoint-for: service}}\n\
           spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}\n---\n";
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: d}\n\
        spec: {parentRefs: [{kind: Service, group: \"\", name: web, port: 80}], rules: [{matches: [{path: {type: PathPrefix, value: /v1}}], backendRefs: [{name: web, port: 80}]}]}\n---\n";
    let may = |text: &str| {
        let paths = ways(&mesh(text), Some("workload:d/caller"), "d/web");
        let path = paths.into_iter().find(|path| !path.through.is_empty()).unwrap();
        path.through[0].may.join("; ")
    };
    assert_eq!(may(&base), "");
    assert_eq!(may(&(base + route)), "routes for the called service are not followed at waypoints");
}

/// What a claim is written to does not hold what the client sends.
#[test]
fn headers_with_claims_are_not_for_clients_to_choose() {
    let authentication = |target: &str, more: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: jwt, namespace: shop}}\n\
             spec: {{{target}jwtRules: [{{issuer: https://issuer.example, jwksUri: https://issuer.example/keys, {more}}}]}}\n---\n"
        )
    };
    let gateway = "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}], ";
    let written = "outputClaimToHeaders: [{header: X-Group, claim: group}]";
    let wants = allow("one", "{when: [{key: \"request.headers[x-group]\", values: [admin]}]}");
    let way = servers() + &routes(&[("", "", "one")]) + &wants;
    assert_eq!(outside(&way, "shop/one"), Some((String::new(), true)));
    let text = way.clone() + &authentication(gateway, written);
    doubted(&text, "shop/one", "proxies set some of the headers");
    // The same at the port itself, where a token is asked for too.
    for (from, is_certain) in [("from: [{source: {requestPrincipals: [\"*\"]}}], ", false), ("", true)] {
        let wants = format!("{{{from}when: [{{key: \"request.headers[x-group]\", values: [admin]}}]}}");
        let text = servers() + &authentication("", written) + &allow("one", &wants);
        let mesh = mesh(&text);
        let graph = Graph::new(&mesh);
        let question = ReachQuestion {
            scope: Scope { to: Some("shop/one".parse().unwrap()), ..Scope::default() },
            transitive: false,
            names: 3,
        };
        let edges = graph.reach(&question).unwrap().edges;
        assert!(!edges.is_empty());
        let doubts = edges.iter().flat_map(|edge| &edge.told.may);
        assert_eq!(doubts.count() == 0, is_certain, "{edges:#?}");
    }
}
