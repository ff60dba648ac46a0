//! Answers of `meshproof explain` where the way of a request, or what the input leaves open, makes the difference.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{Project, text};

fn namespace(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{istio-injection: enabled}}}}\n---\n"
    )
}

fn app(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\n\
         spec: {{serviceAccountName: {name}, containers: [{{name: a, image: a, ports: [{{containerPort: 8080}}]}}]}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n---\n"
    )
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {spec}\n---\n"
    )
}

/// `web/front` and `shop/cart`, both with sidecars.
fn shop(more: &str) -> Project {
    let base = [namespace("web"), namespace("shop"), app("web", "front"), app("shop", "cart")].concat();
    Project::new(&[("all.yaml", format!("{base}{more}").as_str())])
}

fn ask(project: &Project, more: &[&str]) -> Value {
    let base = ["explain", "-o", "json", "--from", "workload:web/front", "--to", "shop/cart:8080"];
    let run = project.run(&[&base[..], more].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.json()
}

fn unknown(answer: &Value) -> String {
    answer["unknown"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join("\n")
}

fn notes(answer: &Value) -> String {
    answer["notes"].as_array().unwrap().iter().map(|note| text(&note["text"])).collect::<Vec<_>>().join("\n")
}

/// Without the Namespace objects nothing tells whether there are sidecars; policies are taken to be in force.
#[test]
fn policies_count_where_injection_is_not_known() {
    let all =
        [app("web", "front"), app("shop", "cart"), policy("no", "{action: DENY, rules: [{}]}")].concat();
    let answer = ask(&Project::new(&[("all.yaml", &all)]), &[]);
    assert_eq!((text(&answer["decision"]).as_str(), &answer["certain"]), ("deny", &Value::Bool(false)));
    assert!(unknown(&answer).contains("namespace web is not in the input"), "{answer}");
}

#[test]
fn what_was_not_read_leaves_the_answer_open() {
    let project = shop("");
    assert_eq!(ask(&project, &[])["certain"], true);
    project.write("more.yaml", b"apiVersion: v1\nkind: {{ .Values.kind }}\nmetadata: {name: a}\n");
    let answer = ask(&project, &[]);
    assert_eq!(answer["certain"], false);
    assert!(unknown(&answer).contains("a templated file was not analysed"), "{answer}");
}

#[test]
fn each_cluster_has_its_answer() {
    let cluster = |path: &str| {
        let no =
            policy("no", &format!("{{action: DENY, rules: [{{to: [{{operation: {{paths: [{path}]}}}}]}}]}}"));
        [namespace("web"), namespace("shop"), app("web", "front"), app("shop", "cart"), no].concat()
    };
    let project =
        Project::new(&[("a/all.yaml", cluster("/one").as_str()), ("b/all.yaml", cluster("/two").as_str())]);
    let clusters = ["--cluster", "a=a", "--cluster", "b=b"];
    let question = ["explain", "--from", "workload:web/front", "--to", "shop/cart:8080", "--path"];
    let differs = project.run(&[&question[..], &["/one"], &clusters].concat());
    assert_eq!(differs.code, 2);
    assert!(differs.stderr.contains("(a denies it, b allows it)"), "{}", differs.stderr);
    let agrees = project.run(&[&question[..], &["/three", "--expect", "allow"], &clusters].concat());
    assert_eq!(agrees.code, 0, "{}{}", agrees.stdout, agrees.stderr);
}

#[test]
fn a_route_to_a_subset_is_followed() {
    let routed = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: shop}\n\
        spec: {hosts: [cart], http: [{route: [{destination: {host: cart, subset: v1}}]}]}\n---\n\
        apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, namespace: shop}\n\
        spec: {host: cart, subsets: [{name: v1, labels: {app: cart}, trafficPolicy: {tls: {mode: DISABLE}}}]}\n---\n\
        apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: shop}\n\
        spec: {mtls: {mode: STRICT}}\n";
    let answer = ask(&shop(routed), &[]);
    assert_eq!(
        (text(&answer["decision"]).as_str(), text(&answer["transport"]).as_str()),
        ("deny", "refused")
    );
    let elsewhere = routed.replace("host: cart, subset: v1", "host: cart2").replace("STRICT", "PERMISSIVE");
    let answer = ask(&shop(&elsewhere), &[]);
    assert!(unknown(&answer).contains("to cart2.shop.svc.cluster.local"), "{answer}");
}

/// Weights and matches do not leave an answer open that all destinations share.
#[test]
fn every_destination_of_a_route_is_followed() {
    let world = |second: &str, tls: &str, mode: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v, namespace: shop}}\n\
             spec: {{hosts: [cart], http: [{{route: [{{destination: {{host: cart, subset: v1}}, weight: 90}}, \
             {{destination: {{{second}}}, weight: 10}}]}}]}}\n---\n\
             apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: d, namespace: shop}}\n\
             spec: {{host: cart, subsets: [{{name: v1, labels: {{app: cart}}, trafficPolicy: {{tls: {{mode: {tls}}}}}}}, \
             {{name: v2, labels: {{app: cart}}}}]}}\n---\n\
             apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p, namespace: shop}}\n\
             spec: {{mtls: {{mode: {mode}}}}}\n---\n{}",
            app("shop", "other")
        )
    };
    let differ = ask(&shop(&world("host: cart, subset: v2", "DISABLE", "STRICT")), &[]);
    assert_eq!((&differ["decision"], &differ["certain"]), (&"deny".into(), &false.into()));
    for told in
        ["90 % of the calls to subset v1: denied", "10 % of the calls to subset v2: allowed, over mTLS"]
    {
        assert!(unknown(&differ).contains(told), "{told}: {differ}");
    }
    let agree = ask(&shop(&world("host: cart, subset: v2", "DISABLE", "PERMISSIVE")), &[]);
    assert_eq!((&agree["decision"], &agree["certain"]), (&"allow".into(), &true.into()), "{agree}");
    assert!(notes(&agree).contains("to subset v1: allowed, in plaintext"), "{agree}");
    let elsewhere = ask(&shop(&world("host: other", "ISTIO_MUTUAL", "STRICT")), &[]);
    assert_eq!(
        (&elsewhere["decision"], &elsewhere["certain"]),
        (&"allow".into(), &true.into()),
        "{elsewhere}"
    );
    assert!(
        notes(&elsewhere).contains("10 % of the calls to other.shop.svc.cluster.local:80"),
        "{elsewhere}"
    );
    let missing = ask(&shop(&world("host: cart, subset: v3", "ISTIO_MUTUAL", "STRICT")), &[]);
    assert_eq!(missing["certain"], false);
    assert!(unknown(&missing).contains("10 % of the calls to subset v3: denied"), "{missing}");
}

/// A route that the client does not see sends nothing anywhere; one with conditions leaves the answer open.
#[test]
fn only_routes_that_the_client_sees_count() {
    let route = |more: &str, matches: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v, namespace: shop}}\n\
             spec: {{hosts: [cart], {more}http: [{{{matches}route: [{{destination: {{host: cart2}}}}]}}]}}\n"
        )
    };
    assert!(unknown(&ask(&shop(&route("", "")), &[])).contains("cart2"));
    assert_eq!(ask(&shop(&route("exportTo: ['.'], ", "")), &[])["certain"], true);
    let conditional = route("", "match: [{uri: {prefix: /api}}], ").replace("cart2", "cart");
    assert!(unknown(&ask(&shop(&conditional), &[])).contains("what one of its matches names"));
    assert_eq!(ask(&shop(&conditional), &["--tcp"])["certain"], true);
}

/// The hole in a block matters although both begin at one address.
#[test]
fn addresses_are_told_apart_at_every_border() {
    let spec = "{rules: [{from: [{source: {ipBlocks: [0.0.0.0/1], notIpBlocks: [0.0.0.0/24]}}]}]}";
    let answer = ask(&shop(&policy("nested", spec)), &[]);
    assert!(unknown(&answer).contains("give --source-ip"), "{answer}");
}

#[test]
fn the_port_of_a_service_is_not_that_of_the_pods() {
    let run = shop("").run(&["explain", "--from", "workload:web/front", "--to", "shop/cart:80"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("it leads to 8080: --to shop/cart:8080"), "{}", run.stderr);
    let answer =
        shop("").run(&["explain", "-o", "json", "--from", "plaintext", "--to", "shop/cart:7777"]).json();
    assert!(notes(&answer).contains("nothing declares port 7777"), "{answer}");
}

#[test]
fn a_provider_is_in_doubt_without_mesh_config() {
    let custom = policy("login", "{action: CUSTOM, provider: {name: sso}, rules: [{}]}");
    let answer = ask(&shop(&custom), &[]);
    assert_eq!((text(&answer["decision"]).as_str(), &answer["certain"]), ("allow", &Value::Bool(false)));
    assert!(unknown(&answer).contains("whether the provider sso exists"), "{answer}");
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
        data: {mesh: \"enableAutoMtls: true\"}\n";
    let answer = ask(&shop(&format!("{custom}{config}")), &[]);
    assert_eq!((text(&answer["decision"]).as_str(), &answer["certain"]), ("deny", &Value::Bool(true)));
    assert!(text(&answer["reason"]).contains("which MeshConfig does not have"), "{answer}");
}

/// Addresses that make no difference are not asked for.
#[test]
fn only_addresses_that_matter_are_in_doubt() {
    let office = policy(
        "office",
        "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}], to: [{operation: {methods: [GET]}}]}]}",
    );
    let project = shop(&office);
    assert!(unknown(&ask(&project, &[])).contains("give --source-ip"));
    assert_eq!(ask(&project, &["--method", "POST"])["certain"], true);
    assert_eq!(ask(&project, &["--source-ip", "10.1.1.1"])["decision"], "allow");
}

/// A rule for other callers is an alternative; one whose condition nobody asks for any more is bypassed.
#[test]
fn a_restriction_is_bypassed_by_a_rule_that_asks_for_less() {
    let admin = policy(
        "admin",
        "{rules: [{to: [{operation: {paths: [/admin]}}], when: [{key: 'request.headers[x-admin]', values: [yes-please]}]}]}",
    );
    let web = policy("web", "{rules: [{from: [{source: {namespaces: [web]}}]}]}");
    let other = policy("other", "{rules: [{from: [{source: {namespaces: [ops]}}]}]}");
    let project = shop(&[admin, web, other].concat());
    let run = project.run(&[
        "explain",
        "--from",
        "workload:web/front",
        "--to",
        "shop/cart:8080",
        "--path",
        "/admin",
    ]);
    let bypassed: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("bypassed")).collect();
    assert_eq!(bypassed.len(), 1, "{}", run.stdout);
    assert!(bypassed[0].contains("shop/admin rule 1"), "{}", run.stdout);
}

const GATEWAY: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: edge, labels: {istio-injection: enabled}}\n---\n\
    apiVersion: v1\nkind: Pod\nmetadata: {name: gw, namespace: edge, labels: {istio: gw}, annotations: {inject.istio.io/templates: gateway}}\n\
    spec: {serviceAccountName: gw, containers: [{name: istio-proxy, image: auto}]}\n---\n\
    apiVersion: v1\nkind: Service\nmetadata: {name: gw, namespace: edge}\n\
    spec: {type: LoadBalancer, selector: {istio: gw}, ports: [{name: https, port: 443, targetPort: 8443}, {name: http, port: 80, targetPort: 8080}]}\n---\n\
    apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: public, namespace: edge}\n\
    spec: {selector: {istio: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n---\n\
    apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: shop}\n\
    spec: {hosts: [shop.example.com], gateways: [edge/public], http: [{route: [{destination: {host: cart.shop.svc.cluster.local}}]}]}\n---\n\
    apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: users, namespace: edge}\n\
    spec: {jwtRules: [{issuer: 'https://id.example', jwksUri: 'https://id.example/k', outputClaimToHeaders: [{header: x-sub, claim: sub}]}]}\n---\n";

/// The gateway's own port counts, its token ends there, and claims go on as headers.
#[test]
fn a_gateway_takes_the_request_on_its_own_port_and_keeps_the_token() {
    let edge = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: port, namespace: edge}\n\
        spec: {rules: [{to: [{operation: {ports: ['8080']}}]}]}\n---\n";
    let by_token = policy("by-token", "{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}");
    let by_header =
        policy("by-header", "{rules: [{when: [{key: 'request.headers[x-sub]', values: [alice]}]}]}");
    let question = [
        "explain",
        "-o",
        "json",
        "--from",
        "workload:edge/gw",
        "--to",
        "shop/cart:8080",
        "--host",
        "shop.example.com",
        "--claim",
        "sub=alice",
    ];
    let answer = shop(&[GATEWAY, edge, &by_token].concat()).run(&question).json();
    assert_eq!(answer["hops"][0]["port"], 8080, "{answer}");
    assert_eq!(
        (&answer["hops"][0]["authorization"]["decision"], &answer["decision"]),
        (&"allow".into(), &"deny".into())
    );
    assert!(notes(&answer).contains("does not send the token on"), "{answer}");
    let answer = shop(&[GATEWAY, edge, &by_header].concat()).run(&question).json();
    assert_eq!(
        (&answer["decision"], &answer["policy"]),
        (&"allow".into(), &"shop/by-header".into()),
        "{answer}"
    );
}

/// An object that the API server refuses is not in force, whatever it says.
#[test]
fn refused_objects_are_told() {
    let answer = ask(&shop(&policy("bad", "{action: Deny, rules: [{}]}")), &[]);
    assert!(notes(&answer).contains("shop/bad is not what would be in force"), "{answer}");
}

/// Nothing is known of where somebody without an identity stands, so the network may let him in.
#[test]
fn plaintext_may_come_from_a_pod() {
    let closed = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: n, namespace: shop}\n\
        spec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}\n";
    let project = shop(closed);
    let question =
        |from| project.run(&["explain", "-o", "json", "--from", from, "--to", "shop/cart:8080"]).json();
    let anybody = question("plaintext");
    assert_eq!((&anybody["decision"], &anybody["certain"]), (&"deny".into(), &false.into()));
    assert!(unknown(&anybody).contains("where the client stands"), "{anybody}");
    let outside = question("plaintext:192.0.2.9");
    assert_eq!((&outside["decision"], &outside["certain"]), (&"deny".into(), &true.into()));
    assert_eq!(question("workload:web/front")["decision"], "allow");
}
