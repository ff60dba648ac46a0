//! Every recorded vector of the repository agrees.

use std::path::Path;

use serde_json::{Value, json};
use xtask::conformance::{self, Summary};

#[test]
fn admission_vectors_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/conformance");
    for (file, lines) in [("admission-1.jsonl.gz", 3794), ("admission-2.jsonl.gz", 2322)] {
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[folder.join(file)], false).unwrap();
        let report = String::from_utf8_lossy(&report);
        assert_eq!(summary, Summary { passed: lines, ..Summary::default() }, "{report}");
        assert!(report.ends_with(&format!("{lines} passed, 0 failed\n")), "{report}");
    }
}

#[test]
fn authorization_vectors_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/conformance");
    let files = [
        ("authz-envoy.jsonl.gz", 10_800, 10_800),
        // Some are refused before any policy is looked at.
        ("authz-envoy-probes.jsonl.gz", 246, 242),
        ("authz-envoy-custom.jsonl.gz", 45, 45),
        ("authz-envoy-metadata.jsonl.gz", 79, 79),
        ("authz-envoy-templates.jsonl.gz", 73, 73),
        ("path-normalization.json.gz", 1444, 0),
    ];
    for (file, lines, by_sets) in files {
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[folder.join(file)], false).unwrap();
        let report = String::from_utf8_lossy(&report);
        assert_eq!(summary, Summary { passed: lines, failed: 0, skipped: 0, by_sets }, "{report}");
    }
}

#[test]
fn wrong_decisions_phases_rules_and_paths_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let probe = |expect: &str| {
        format!(
            r#"{{"kind":"probe","name":"n","policies":[{{"metadata":{{"name":"p","namespace":"foo"}},"spec":{{"rules":[{{}}]}}}}],"request":{{"proto":"tcp","src_ip":"127.0.0.1","dst":["10.0.0.1",80]}},"expect":{expect}}}"#
        )
    };
    let rule = "ns[foo]-policy[p]-rule[0]";
    let lines = [
        probe(&format!(r#"{{"decision":"allow","by":"ALLOW","rule":"{rule}","audit":null}}"#)),
        probe(&format!(r#"{{"decision":"deny","by":"ALLOW","rule":"{rule}","audit":null}}"#)),
        probe(&format!(r#"{{"decision":"allow","by":"no-allow-policy","rule":"{rule}","audit":null}}"#)),
        probe(r#"{"decision":"allow","by":"ALLOW","rule":null,"audit":null}"#),
        probe(&format!(r#"{{"decision":"allow","by":"ALLOW","rule":"{rule}","audit":"x"}}"#)),
        r#"{"kind":"case","set":"1/1","request":{},"expect":{}}"#.to_owned(),
    ];
    std::fs::write(folder.path().join("authz.jsonl"), lines.join("\n")).unwrap();
    let table =
        r#"{"base|x":["allow","/api/axb"],"base|%41":["allow","/api/a%41b"],"base|#":["allow","/api/a#b"]}"#;
    std::fs::write(folder.path().join("path-normalization.json"), table).unwrap();
    let mut report = Vec::new();
    let summary = conformance::run(&mut report, &[folder.path().to_owned()], false).unwrap();
    assert_eq!(
        summary,
        Summary { passed: 2, failed: 7, skipped: 0, ..summary },
        "{}",
        String::from_utf8_lossy(&report)
    );
}

#[test]
fn unknown_kinds_are_counted_and_differences_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.jsonl");
    let lines = [
        r#"{"kind":"header","format":1}"#,
        r#"{"kind":"moon","object":{}}"#,
        "not json",
        // Recorded as if the webhook had refused it.
        r#"{"kind":"admission","webhook":"no","object":{"apiVersion":"security.istio.io/v1","kind":"PeerAuthentication","metadata":{"name":"p"},"spec":{}}}"#,
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut report = Vec::new();
    let summary = conformance::run(&mut report, &[folder.path().to_owned()], false).unwrap();
    let report = String::from_utf8_lossy(&report);
    assert_eq!(summary, Summary { passed: 0, failed: 1, skipped: 2, ..summary }, "{report}");
    assert!(
        report.contains("1 of kind `moon` skipped") && report.ends_with("0 passed, 1 failed\n"),
        "{report}"
    );
}

#[test]
fn mesh_vectors_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/conformance");
    let agree = |file: &str, passed: u64, by_sets: u64| {
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[folder.join(file)], false).unwrap();
        let report = String::from_utf8_lossy(&report);
        assert_eq!(summary, Summary { passed, failed: 0, skipped: 0, by_sets }, "{report}");
    };
    agree("transport-1.jsonl.gz", 7280, 468);
    agree("transport-2.jsonl.gz", 7177, 457);
    agree("gateway-1.jsonl.gz", 5358, 109);
    agree("ambient-1.jsonl.gz", 3036, 2120);
    agree("ambient-2.jsonl.gz", 2995, 2090);
    agree("ambient-probes.jsonl.gz", 348, 194);
    agree("ambient-pa-matrix.jsonl.gz", 2025, 0);
    agree("waypoint-1.jsonl.gz", 4514, 973);
    agree("waypoint-probes.jsonl.gz", 305, 96);
    agree("network-1.jsonl.gz", 5256, 0);
}

#[test]
fn wrong_answers_about_the_network_are_seen() {
    let pod = |name: &str, tier: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a", "labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"name": tier, "containerPort": 80}]}]}})
    };
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "n", "namespace": "a"},
        "spec": {"podSelector": {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "p"}}}]}], "egress": [{}],
            "policyTypes": ["Ingress", "Egress"]}});
    let mesh =
        json!({"kind": "mesh", "mesh": "n", "objects": [pod("p", "x"), pod("q", "y"), policy]}).to_string();
    let line = |from: &str, to: &str, ingress: bool, egress: bool| {
        json!({"kind": "network", "mesh": "n", "from": from, "to": to, "protocol": "TCP", "port": 80,
            "ingress": ingress, "egress": egress})
        .to_string()
    };
    let lines = [
        mesh,
        line("a/p", "a/q", true, true),
        line("ip:192.0.2.1", "a/q", false, true),
        line("a/p", "a/q", false, true),
        line("a/p", "a/q", true, false),
        // Wrong as a whole, whatever the reading of the selector.
        line("ip:192.0.2.1", "a/q", true, true),
        line("ip:192.0.2.1", "a/q", false, false),
        line("a/nobody", "a/q", true, true),
    ];
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("network.jsonl"), lines.join("\n")).unwrap();
    let mut report = Vec::new();
    let summary = conformance::run(&mut report, &[folder.path().to_owned()], true).unwrap();
    assert_eq!(
        summary,
        Summary { passed: 2, failed: 5, skipped: 0, ..summary },
        "{}",
        String::from_utf8_lossy(&report)
    );
}

/// One mesh with a sidecar and an ambient pod, both STRICT, and a DENY of everybody from namespace `x`.
fn small_mesh() -> String {
    let object = |api: &str, kind: &str, metadata: Value, spec: Value| json!({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec});
    let pod = |namespace: &str| {
        object(
            "v1",
            "Pod",
            json!({"name": "p", "namespace": namespace, "labels": {"app": "p"}}),
            json!({"containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 8080}]}]}),
        )
    };
    let security = "security.istio.io/v1";
    let objects = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "s", "labels": {"istio-injection": "enabled"}}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"istio.io/dataplane-mode": "ambient"}}}),
        pod("s"),
        pod("a"),
        object(
            security,
            "PeerAuthentication",
            json!({"name": "default", "namespace": "istio-system"}),
            json!({"mtls": {"mode": "STRICT"}}),
        ),
        object(
            security,
            "AuthorizationPolicy",
            json!({"name": "d", "namespace": "istio-system"}),
            json!({"action": "DENY", "rules": [{"from": [{"source": {"namespaces": ["x"]}}]}]}),
        ),
    ];
    json!({"kind": "mesh", "mesh": "m", "meshConfig": {"rootNamespace": "istio-system", "trustDomain": "cluster.local"}, "objects": objects}).to_string()
}

#[test]
fn wrong_listeners_chains_and_connections_are_seen() {
    let line = |kind: &str, parts: Value| {
        let mut line = json!({"kind": kind, "mesh": "m"});
        line.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        line.to_string()
    };
    let accept = |plain: &str| {
        json!({"pod": "s/p", "port": 8080, "accept": {
            "plain-http": plain, "plain-tcp": plain,
            "tls-http": "refused: client certificate required", "tls-tcp": "refused: client certificate required",
            "mtls-http": "mtls tcp", "mtls-tcp": "mtls tcp",
            "istio-mtls-http": "mtls http", "istio-mtls-tcp": "mtls tcp"}})
    };
    let chain = |action: &str, rule: &str| {
        let filter = json!({"action": action, "rules": [format!("ns[istio-system]-policy[d]-rule[{rule}]")]});
        json!({"pod": "s/p", "chains": {"http": [filter], "tcp": [filter]}})
    };
    let policies = ["istio-system/d", "istio-system/istio_converted_static_strict"];
    let given =
        |captured: bool, policies: &[&str]| json!({"pod": "a/p", "captured": captured, "policies": policies});
    let connection = |identity: Value, expect: Value| json!({"to": "a/p", "port": 8080, "identity": identity, "src_ip": "10.0.0.1", "expect": expect});
    let foreign = |rbac: Value| {
        let expect = json!({"decision": "deny", "by": "handshake", "rbac": rbac});
        connection(json!("spiffe://other/ns/x/sa/y"), expect)
    };
    let denied = |by: &str| json!({"decision": "deny", "by": by});
    let case = |plaintext: &str| {
        json!({"kind": "pa-case", "case": "c", "mesh": "STRICT", "namespace": null, "workload": null,
            "policies": [policies[1]], "plaintext": {"8080": plaintext}})
    };
    let right = [
        small_mesh(),
        line("server", accept("refused: no chain")),
        line("authz", chain("DENY", "0")),
        line("workload", given(true, &policies)),
        line("pod-authz", given(true, &policies)),
        line("conn", connection(Value::Null, denied(policies[1]))),
        line("conn", connection(json!("spiffe://cluster.local/ns/x/sa/y"), denied("istio-system/d"))),
        line("conn", foreign(denied("istio-system/d"))),
        case("deny").to_string(),
    ];
    let wrong = [
        small_mesh(),
        line("server", accept("plain http")),
        line("authz", chain("ALLOW", "0")),
        line("authz", chain("DENY", "1")),
        line("workload", given(false, &policies)),
        line("pod-authz", given(true, &policies[..1])),
        line("workload", json!({"pod": "a/p", "captured": true, "policies": policies, "missing": ["a/b"]})),
        line("conn", connection(Value::Null, denied("istio-system/d"))),
        line(
            "conn",
            connection(
                json!("spiffe://cluster.local/ns/x/sa/y"),
                json!({"decision": "allow", "by": "default"}),
            ),
        ),
        line("conn", connection(json!("spiffe://other/ns/x/sa/y"), denied("istio-system/d"))),
        line("conn", foreign(denied("default"))),
        // Questions about what is not there.
        line("server", json!({"pod": "s/nobody", "port": 1, "accept": {}})),
        json!({"kind": "server", "mesh": "n", "pod": "s/p", "port": 1, "accept": {}}).to_string(),
        case("allow").to_string(),
    ];
    for (lines, passed, failed) in [(&right[..], 8, 0), (&wrong[..], 0, 13)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mesh.jsonl"), lines.join("\n")).unwrap();
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[folder.path().to_owned()], true).unwrap();
        let report = String::from_utf8_lossy(&report);
        assert_eq!(summary, Summary { passed, failed, skipped: 0, ..summary }, "{report}");
    }
}

#[test]
fn wrong_waypoints_chains_and_routes_are_seen() {
    let object = |api: &str, kind: &str, name: &str, labels: Value, spec: Value| {
        let metadata = json!({"name": name, "namespace": "a", "labels": labels});
        json!({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec})
    };
    let gateway = |name: &str, class: &str, listener: Value| {
        let spec = json!({"gatewayClassName": class, "listeners": [listener]});
        object("gateway.networking.k8s.io/v1", "Gateway", name, json!({}), spec)
    };
    let told = json!({"istio.io/use-waypoint": "wp", "istio.io/ingress-use-waypoint": "true"});
    let objects = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": told}}),
        object(
            "v1",
            "Service",
            "s",
            json!({}),
            json!({"selector": {"app": "x"}, "ports": [{"name": "http", "port": 80}]}),
        ),
        gateway("wp", "istio-waypoint", json!({"name": "mesh", "port": 15008, "protocol": "HBONE"})),
        gateway("gw", "istio", json!({"name": "http", "port": 80, "protocol": "HTTP"})),
        object(
            "security.istio.io/v1",
            "AuthorizationPolicy",
            "p",
            json!({}),
            json!({"action": "DENY", "rules": [{}], "targetRefs": [{"kind": "Service", "name": "s"}]}),
        ),
    ];
    let mesh = json!({"kind": "mesh", "mesh": "m", "meshConfig": {}, "objects": objects}).to_string();
    let line = |kind: &str, parts: Value| {
        let mut line = json!({"kind": kind, "mesh": "m"});
        line.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        line.to_string()
    };
    let uses = |target: &str, waypoint: Value| {
        line("uses-waypoint", json!({"target": target, "waypoint": waypoint}))
    };
    let chain = |port: u16, chains: Value| {
        line("waypoint-authz", json!({"waypoint": "a/wp", "service": "a/s", "port": port, "chains": chains}))
    };
    let direct = |chains: Value, workloads: Value| {
        let parts = json!({"waypoint": "a/wp", "service": null, "port": null, "chains": chains, "workloads": workloads});
        line("waypoint-authz", parts)
    };
    let at_gateway = |port: Value, chains: Value| {
        line("gateway-authz", json!({"gateway": "a/gw", "port": port, "chains": chains}))
    };
    let through = |waypoints: Value| {
        line("ingress-through", json!({"gateway": "a/gw", "service": "a/s", "through": waypoints}))
    };
    let deny = json!([{"action": "DENY", "rules": ["ns[a]-policy[p]-rule[0]"]}]);
    let right = [
        mesh.clone(),
        uses("service a/s", json!("a/wp")),
        uses("service a/gw-istio", json!("a/wp")),
        uses("service a/wp", Value::Null),
        chain(80, json!({"http": deny})),
        direct(json!({"http": [], "tcp": []}), json!([])),
        at_gateway(json!(80), json!({"http": []})),
        through(json!(["a/wp"])),
    ];
    let wrong = [
        mesh,
        uses("service a/s", Value::Null),
        uses("service a/nobody", Value::Null),
        line(
            "uses-waypoint",
            json!({"target": "service a/s", "waypoint": "a/wp", "reason": "AttachmentDenied"}),
        ),
        line("uses-waypoint", json!({"target": "service a/s", "waypoint": "a/wp", "weighted": []})),
        chain(80, json!({"http": []})),
        chain(80, json!({"tcp": deny})),
        chain(81, json!({"http": deny})),
        direct(json!({"http": deny, "tcp": deny}), json!([])),
        direct(json!({"http": [], "tcp": []}), json!(["a/x"])),
        at_gateway(json!(80), json!({"http": deny})),
        at_gateway(json!(8080), json!({"http": []})),
        at_gateway(Value::Null, json!({})),
        through(json!([])),
        through(Value::Null),
    ];
    for (lines, passed, failed) in [(&right[..], 7, 0), (&wrong[..], 0, 14)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("waypoint.jsonl"), lines.join("\n")).unwrap();
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[folder.path().to_owned()], true).unwrap();
        let report = String::from_utf8_lossy(&report);
        assert_eq!(summary, Summary { passed, failed, skipped: 0, ..summary }, "{report}");
    }
}

#[test]
fn wrong_clients_and_calls_are_seen() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "p", "namespace": "s"},
        "spec": {"selector": {"app": "p"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}});
    let mut mesh: Value = serde_json::from_str(&small_mesh()).unwrap();
    mesh["objects"].as_array_mut().unwrap().push(service);
    let host = "p.s.svc.cluster.local";
    let id = "spiffe://cluster.local/ns/s/sa/default";
    let sent = |wire: Value, name: &str, sni: &str| {
        json!({"kind": "client", "mesh": "m", "pod": "s/p", "host": host, "port": 80, "wire": wire,
            "tls": {"sni": sni, "server_names": [name]}})
    };
    let sni = "outbound_.80_._.p.s.svc.cluster.local";
    let call = |wire: &str, result: &str, identity: Option<&str>| {
        let mut call = json!({"kind": "call", "mesh": "m", "from": "s/p", "to": "s/p", "host": host, "port": 80,
            "speaks": "http", "wire": wire, "result": result});
        if let Some(identity) = identity {
            call["identity"] = json!(identity);
        }
        call
    };
    let right = [
        mesh.clone(),
        sent(json!({"s/p": "istio-mtls"}), id, sni),
        json!({"kind": "client", "mesh": "m", "pod": "s/p", "host": "nowhere.example", "port": 80, "wire": "no-cluster"}),
        call("istio-mtls", "mtls http", Some(id)),
    ];
    let wrong = [
        mesh,
        sent(json!({"s/p": "plain"}), id, sni),
        sent(json!({"s/p": "istio-mtls"}), "spiffe://cluster.local/ns/s/sa/other", sni),
        sent(json!({"s/p": "istio-mtls"}), id, "p"),
        sent(json!("istio-mtls"), id, sni),
        json!({"kind": "client", "mesh": "m", "pod": "s/p", "host": host, "port": 81, "wire": {}}),
        call("plain", "refused: no chain", None),
        call("istio-mtls", "mtls tcp", Some(id)),
        call("istio-mtls", "mtls http", None),
    ];
    for (lines, passed, failed) in [(&right[..], 3, 0), (&wrong[..], 0, 8)] {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        std::fs::write(folder.path().join("mesh.jsonl"), lines.join("\n")).unwrap();
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[folder.path().to_owned()], true).unwrap();
        let report = String::from_utf8_lossy(&report);
        assert_eq!(summary, Summary { passed, failed, skipped: 0, ..summary }, "{report}");
    }
}

#[test]
fn wrong_arrivals_at_gateways_are_seen() {
    let networking = "networking.istio.io/v1";
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "g", "namespace": "in",
        "labels": {"istio": "gw"}, "annotations": {"inject.istio.io/templates": "gateway"}},
        "spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]}});
    let gateway = json!({"apiVersion": networking, "kind": "Gateway", "metadata": {"name": "g", "namespace": "in"},
        "spec": {"selector": {"istio": "gw"}, "servers": [
            {"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["a.example"],
                "tls": {"mode": "MUTUAL", "credentialName": "c"}}]}});
    let service = json!({"apiVersion": networking, "kind": "VirtualService", "metadata": {"name": "v", "namespace": "s"},
        "spec": {"hosts": ["a.example"], "gateways": ["in/g"],
            "http": [{"route": [{"destination": {"host": "p", "port": {"number": 80}}}]}]}});
    let mut mesh: Value = serde_json::from_str(&small_mesh()).unwrap();
    mesh["objects"].as_array_mut().unwrap().extend([pod, gateway, service]);
    let arrives = |host: &str, sends: &str, result: &str, cluster: Option<&str>| {
        let mut line = json!({"kind": "gateway", "mesh": "m", "gateway": "in/g", "port": 443, "host": host,
            "sends": sends, "result": result});
        if let Some(cluster) = cluster {
            line["cluster"] = json!(cluster);
        }
        line
    };
    let cluster = Some("outbound|80||p.s.svc.cluster.local");
    let right = [
        mesh.clone(),
        arrives("a.example", "mtls-http", "mutual http", cluster),
        arrives("a.example", "tls-http", "refused: client certificate required", None),
        arrives("b.example", "mtls-http", "refused: no chain", None),
    ];
    let wrong = [
        mesh,
        arrives("a.example", "mtls-http", "mutual http", Some("outbound|81||p.s.svc.cluster.local")),
        arrives("a.example", "mtls-http", "mutual http, no route", None),
        arrives("a.example", "mtls-http", "simple http", cluster),
        arrives("a.example", "plain-http", "plain http", cluster),
        arrives("b.example", "mtls-http", "refused: no listener", None),
        arrives("b.example", "sctp", "refused: no chain", None),
    ];
    for (lines, passed, failed) in [(&right[..], 3, 0), (&wrong[..], 0, 6)] {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        std::fs::write(folder.path().join("mesh.jsonl"), lines.join("\n")).unwrap();
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[folder.path().to_owned()], true).unwrap();
        let report = String::from_utf8_lossy(&report);
        assert_eq!(summary, Summary { passed, failed, skipped: 0, ..summary }, "{report}");
    }
}
