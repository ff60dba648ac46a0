use super::{Case, spec};
use crate::{PortRef, TextMap, Transport};

#[test]
fn a_network_policy() {
    let case = Case::spec(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "  podSelector: {matchLabels: {app: x}}\n  policyTypes: [Ingress]\n  ingress:\n  - from:\n    - podSelector: {}\n      namespaceSelector: {matchLabels: {team: a}}\n    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}\n    ports:\n    - {port: 8080, endPort: 8090}\n    - {port: web, protocol: UDP}\n    - {}\n  - {}\n  egress:\n  - to: [{podSelector: {}}]\n",
    );
    let policy = spec!(case, NetworkPolicy);
    assert_eq!(case.pairs(&policy.pod_selector.as_ref().expect("selector").match_labels), [("app", "x")]);
    assert_eq!((policy.isolates_ingress(), policy.isolates_egress()), (true, false));
    let [rule, any] = policy.ingress.items.as_slice() else { panic!("{:?}", policy.ingress) };
    assert!(any.peers.is_empty() && any.ports.is_empty());
    assert!(rule.peers[0].pod_selector.as_ref().is_some_and(crate::LabelSelector::is_empty));
    assert!(rule.peers[0].namespace_selector.is_some());
    let (cidr, except) = rule.peers[1].ip_block.as_ref().expect("block");
    assert_eq!(
        (case.tokens([cidr]), case.field("except", except)),
        (vec!["10.0.0.0/8"], vec!["10.1.0.0/16"])
    );
    assert!(matches!(&rule.ports[0].port, Some(PortRef::Number(port)) if port.value == 8080));
    assert_eq!(case.value(&rule.ports[0].end_port), (8090, "8090"));
    assert!(matches!(&rule.ports[1].port, Some(PortRef::Name(name)) if name.value == "web"));
    assert_eq!((rule.ports[1].protocol, rule.ports[2].port.is_none()), (Transport::Udp, true));
    assert_eq!(policy.egress[0].peers.len(), 1);
}

#[test]
fn isolation_without_types_follows_the_rules() {
    let isolates = |spec: &str| {
        let case = Case::spec("networking.k8s.io/v1", "NetworkPolicy", spec);
        let policy = spec!(case, NetworkPolicy);
        (policy.isolates_ingress(), policy.isolates_egress())
    };
    assert_eq!(isolates("  podSelector: {}\n"), (true, false));
    assert_eq!(isolates("  egress: [{}]\n"), (true, true));
    assert_eq!(isolates("  egress: []\n"), (true, false));
    assert_eq!(isolates("  policyTypes: [Egress]\n"), (false, true));
}

#[test]
fn label_expressions() {
    let matches = |expression: &str, labels: &[(&str, &str)]| {
        let text = format!("  podSelector: {{matchExpressions: [{expression}]}}\n");
        let case = Case::spec("networking.k8s.io/v1", "NetworkPolicy", &text);
        let selector = spec!(case, NetworkPolicy).pod_selector.clone().expect("selector");
        let labels: String = labels.iter().map(|(name, value)| format!("{name}: {value}, ")).collect();
        let pod = Case::new(&format!("{{apiVersion: v1, kind: Pod, metadata: {{labels: {{{labels}}}}}}}"));
        let labels: TextMap = pod.one().meta.labels.clone();
        selector.matches(&labels)
    };
    let is_in = "{key: env, operator: In, values: [a, b]}";
    assert_eq!(matches(is_in, &[("env", "b")]), Some(true));
    assert_eq!(matches(is_in, &[]), Some(false));
    let not_in = "{key: env, operator: NotIn, values: [a]}";
    assert_eq!(matches(not_in, &[("env", "a")]), Some(false));
    assert_eq!(matches(not_in, &[]), Some(true));
    assert_eq!(matches("{key: env, operator: Exists}", &[("env", "z")]), Some(true));
    assert_eq!(matches("{key: env, operator: DoesNotExist}", &[("env", "z")]), Some(false));
    assert_eq!(matches("{key: env, operator: Gt, values: ['1']}", &[("env", "z")]), None);
    assert_eq!(matches("{}", &[]), None);
}

#[test]
fn calico_policies() {
    let spec = "  tier: security\n  order: 10.5\n  selector: app == 'x'\n  namespaceSelector: all()\n  serviceAccountSelector: has(role)\n  types: [Ingress, Egress]\n  ingress:\n  - action: Deny\n    protocol: TCP\n    notProtocol: 17\n    source:\n      selector: a == 'b'\n      notSelector: c == 'd'\n      namespaceSelector: global()\n      nets: [10.0.0.0/8]\n      notNets: [10.1.0.0/16]\n      serviceAccounts: {names: [sa], selector: x == 'y'}\n    destination:\n      ports: [80, '1000:2000', web]\n      notPorts: [81]\n      services: {name: s}\n    http: {methods: [GET]}\n  egress:\n  - action: Allow\n";
    for (version, kind, global) in [
        ("projectcalico.org/v3", "NetworkPolicy", false),
        ("crd.projectcalico.org/v1", "GlobalNetworkPolicy", true),
    ] {
        let case = Case::spec(version, kind, spec);
        let policy = spec!(case, CalicoPolicy);
        assert_eq!(policy.global, global);
        assert_eq!((case.token(&policy.tier), case.value(&policy.order)), ("security", (10.5, "10.5")));
        assert_eq!(case.token(&policy.selector), "app == 'x'");
        assert_eq!(case.token(&policy.namespace_selector), "all()");
        assert_eq!(case.token(&policy.service_account_selector), "has(role)");
        assert_eq!(case.field("types", &policy.types), ["Ingress", "Egress"]);
        let rule = &policy.ingress[0];
        assert_eq!((case.token(&rule.action), case.token(&rule.protocol)), ("Deny", "TCP"));
        assert_eq!(case.token(&rule.not_protocol), "17");
        assert_eq!(
            (case.token(&rule.source.selector), case.token(&rule.source.not_selector)),
            ("a == 'b'", "c == 'd'")
        );
        assert_eq!(case.token(&rule.source.namespace_selector), "global()");
        assert_eq!(case.field("nets", &rule.source.nets), ["10.0.0.0/8"]);
        assert_eq!(case.field("notNets", &rule.source.not_nets), ["10.1.0.0/16"]);
        assert_eq!(case.field("names", &rule.source.service_accounts), ["sa"]);
        assert_eq!(case.token(&rule.source.service_account_selector), "x == 'y'");
        assert_eq!(case.field("ports", &rule.destination.ports), ["80", "1000:2000", "web"]);
        assert_eq!(case.field("notPorts", &rule.destination.not_ports), ["81"]);
        assert_eq!(case.token(&rule.destination.service), "s");
        assert_eq!(case.snippet(rule.http.expect("http")), "http");
        assert_eq!(case.token(&policy.egress[0].action), "Allow");
    }
}

#[test]
fn parts_of_network_policies_that_cannot_be_read_are_marked() {
    let policy = |rule: &str| {
        let text = format!("  podSelector: {{}}\n  ingress: [{{{rule}}}]\n");
        let case = Case::spec("networking.k8s.io/v1", "NetworkPolicy", &text);
        spec!(case, NetworkPolicy).clone()
    };
    let port = |port: &str| policy(&format!("ports: [{{{port}}}]")).ingress[0].ports[0].unreadable;
    let wrong = ["port: 70000", "port: [80]", "endPort: x", "protocol: tcp"];
    assert_eq!(wrong.map(port), [true; 4]);
    assert_eq!(["port: 80", "port: null", "protocol: SCTP, endPort: 90"].map(port), [false; 3]);
    let peer = |peer: &str| policy(&format!("from: [{{{peer}}}]")).ingress[0].peers[0].unreadable;
    let wrong = ["podSelector: x", "ipBlock: {}", "ipBlock: {cidr: 10.0.0.0/8, except: [{}]}"];
    assert_eq!(wrong.map(peer), [true; 3]);
    assert_eq!(["podSelector: {}", "podSelector: null, namespaceSelector: {}"].map(peer), [false; 2]);
}

#[test]
fn what_narrows_a_calico_rule_down_and_is_not_read() {
    let unread = |rule: &str| {
        let case = Case::spec("projectcalico.org/v3", "NetworkPolicy", &format!("  egress: [{{{rule}}}]\n"));
        let rule = spec!(case, CalicoPolicy).egress[0].clone();
        rule.unread.into_iter().map(|key| key.value).collect::<Vec<_>>()
    };
    assert_eq!(unread("action: Deny, icmp: {type: 8}, metadata: {annotations: {a: b}}"), ["icmp"]);
    assert_eq!(unread("destination: {domains: [example.com], nets: 10.0.0.0/8}"), ["domains", "nets"]);
    assert_eq!(unread("source: x, protocol: [TCP], notICMP: null"), ["source", "protocol"]);
    assert_eq!(unread("ipVersion: 4, destination: {services: {name: s, namespace: n}}"), [""; 0]);
    let case = Case::spec(
        "projectcalico.org/v3",
        "GlobalNetworkPolicy",
        "  preDNAT: true\n  selector: [x]\n  types: Ingress\n",
    );
    let policy = spec!(case, CalicoPolicy);
    assert!(policy.hosts_only);
    assert_eq!(case.tokens(&policy.unread), ["selector", "types"]);
}

#[test]
fn misspelt_fields_of_calico_policies_are_found() {
    let review = |kind: &str, spec: &str| {
        let text =
            format!("apiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: p}}\nspec: {spec}\n");
        let parsed = meshproof_yaml::parse(meshproof_source::SourceId(0), &text, 0..text.len());
        let tree = parsed.tree.expect("YAML");
        let issues = crate::admission::review(tree.root()).issues;
        issues.into_iter().map(|issue| format!("{} {}", issue.lint, issue.path)).collect::<Vec<_>>()
    };
    let rule = "{action: Allow, protocol: 6, source: {selektor: a == 'b', ports: [80, '1:2']}}";
    assert_eq!(
        review("NetworkPolicy", &format!("{{order: 10, ingress: [{rule}]}}")),
        ["unknown-field spec.ingress[0].source.selektor"]
    );
    assert_eq!(
        review("NetworkPolicy", "{namespaceSelector: all()}"),
        ["unknown-field spec.namespaceSelector"]
    );
    assert_eq!(review("GlobalNetworkPolicy", "{namespaceSelector: all(), preDNAT: true}"), [""; 0]);
    assert_eq!(review("Tier", "{order: 1.5, defaultAction: Pass}"), [""; 0]);
    assert_eq!(review("GlobalNetworkSet", "{nets: 10.0.0.0/8}"), ["invalid-object spec.nets"]);
}

#[test]
fn every_kind_that_is_decoded_is_parsed() {
    for name in crate::Kind::names().chain(["List"]) {
        let document = format!("apiVersion: v1\nkind: {name}\n");
        assert_eq!(meshproof_yaml::may_matter(&document), meshproof_yaml::Relevance::Parse, "{name}");
    }
}

#[test]
fn calico_tiers_and_network_sets() {
    let case = Case::spec("projectcalico.org/v3", "Tier", "  order: 100\n  defaultAction: Pass\n");
    let tier = spec!(case, CalicoTier);
    assert_eq!((case.value(&tier.order), case.token(&tier.default_action)), ((100.0, "100"), "Pass"));
    for (kind, global) in [("NetworkSet", false), ("GlobalNetworkSet", true)] {
        let case = Case::spec("crd.projectcalico.org/v1", kind, "  nets: [192.0.2.0/24, 10.0.0.1]\n");
        let set = spec!(case, CalicoNetworkSet);
        assert_eq!((set.global, case.field("nets", &set.nets)), (global, vec!["192.0.2.0/24", "10.0.0.1"]));
    }
}

#[test]
fn endpoints_and_slices() {
    let case = Case::new(
        "apiVersion: v1\nkind: Endpoints\nmetadata: {name: db}\nsubsets:\n- addresses: [{ip: 1.1.1.1, targetRef: {kind: Pod, name: p}}]\n  notReadyAddresses: [{ip: 1.1.1.2}, {}]\n  ports: [{port: 5432, name: pg, appProtocol: tcp}]\n",
    );
    let subset = &spec!(case, Endpoints).subsets[0];
    assert_eq!(case.tokens(subset.addresses.iter().map(|address| &address.address)), ["1.1.1.1", "1.1.1.2"]);
    let (kind, name) = subset.addresses[0].target.as_ref().expect("target");
    assert_eq!(case.tokens([kind, name]), ["Pod", "p"]);
    assert_eq!(
        (case.value(&subset.ports[0].number), case.token(&subset.ports[0].name)),
        ((5432, "5432"), "pg")
    );
    assert_eq!(case.token(&subset.ports[0].app_protocol), "tcp");

    let case = Case::new(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: db-1, labels: {kubernetes.io/service-name: db}}\naddressType: IPv4\nendpoints: [{addresses: [2.2.2.2, 2.2.2.3], targetRef: {kind: Pod, name: q}}]\nports: [{name: pg, protocol: UDP}]\n",
    );
    let subset = &spec!(case, Endpoints).subsets[0];
    assert_eq!(case.tokens(subset.addresses.iter().map(|address| &address.address)), ["2.2.2.2", "2.2.2.3"]);
    assert_eq!((subset.ports[0].number.is_none(), subset.ports[0].protocol), (true, Transport::Udp));
}
