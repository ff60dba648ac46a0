//! Policies of Calico: order, tiers, and what selectors of rules mean.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    ask, ask_over, calico, egress, global, ingress, mesh, namespace, pods, pods_with, policy, word,
};
use meshproof_network::{Network, Passage};
use meshproof_resources::Transport;

/// `web/frontend`, `payments/ledger`, `payments/batch` and `kube-system/dns`, with `policies`.
fn shop(policies: &str) -> String {
    namespace("web", "team: front")
        + &namespace("payments", "team: money")
        + &namespace("kube-system", "")
        + &pods("web", "frontend", "app: frontend")
        + &pods("payments", "ledger", "app: ledger")
        + &pods("payments", "batch", "app: batch")
        + &pods("kube-system", "dns", "k8s-app: dns")
        + policies
}

const TO_LEDGER: [&str; 3] = ["web/frontend", "payments/ledger", "8080"];

fn to_ledger(policies: &str) -> &'static str {
    let mesh = mesh(&shop(policies));
    ingress(&mesh, TO_LEDGER[0], TO_LEDGER[1], 8080)
}

#[test]
fn the_first_rule_of_the_lowest_order_decides() {
    let allow = |order: &str| {
        calico(
            "payments",
            "allow",
            &format!("{order}selector: app == 'ledger', ingress: [{{action: Allow}}]"),
        )
    };
    let deny = |order: &str| {
        calico(
            "payments",
            "deny",
            &format!(
                "{order}selector: app == 'ledger', ingress: [{{action: Deny, source: {{namespaceSelector: team == 'front'}}}}]"
            ),
        )
    };
    assert_eq!(to_ledger(&(allow("order: 20, ") + &deny("order: 10, "))), "denied");
    assert_eq!(to_ledger(&(allow("order: 10, ") + &deny("order: 20, "))), "allowed");
    // Without an order it comes last; of equal orders the name counts.
    assert_eq!(to_ledger(&(allow("") + &deny("order: 1e9, "))), "denied");
    assert_eq!(to_ledger(&(allow("") + &deny(""))), "allowed");
    assert_eq!(to_ledger(&(allow("order: 5, ") + &deny("order: 5.0, "))), "allowed");
}

#[test]
fn a_denying_rule_is_named_with_its_place() {
    let text = shop(&global(
        "GlobalNetworkPolicy",
        "no-front",
        "order: 1, selector: app == 'ledger', ingress: [{action: Log}, {action: Deny, protocol: TCP, source: {namespaceSelector: \
         projectcalico.org/name == 'web'}, destination: {ports: [8080, '9000:9010']}}, {action: Allow}]",
    ));
    let mesh = mesh(&text);
    let verdict = ask(&mesh, "web/frontend", "payments/ledger", 9005);
    assert_eq!(verdict.ingress.passage, Passage::Denied);
    assert_eq!(verdict.ingress.reason, "GlobalNetworkPolicy no-front denies web/frontend on TCP 9005");
    let span = verdict.ingress.deciding[0].span;
    assert!(text[span.start as usize..span.end as usize].starts_with("{action: Deny"));
    assert_eq!(ingress(&mesh, "web/frontend", "payments/ledger", 9011), "allowed");
    assert_eq!(
        word(&ask_over(&mesh, "web/frontend", "payments/ledger", Transport::Udp, 8080).ingress),
        "allowed"
    );
    assert_eq!(ingress(&mesh, "payments/batch", "payments/ledger", 8080), "allowed");
}

#[test]
fn types_follow_the_rules_that_are_written() {
    let legs = |version: &str, spec: &str| {
        let text = shop(&calico("payments", "p", &format!("selector: all(), {spec}")));
        let mesh = mesh(&text.replace("projectcalico.org/v3", version));
        (
            ingress(&mesh, "web/frontend", "payments/ledger", 8080),
            egress(&mesh, "payments/ledger", "web/frontend", 8080),
        )
    };
    let v3 = "projectcalico.org/v3";
    assert_eq!(legs(v3, "order: 1"), ("denied", "allowed"));
    assert_eq!(legs(v3, "egress: [{action: Deny}]"), ("allowed", "denied"));
    assert_eq!(legs(v3, "ingress: [{action: Allow}], egress: [{action: Deny}]"), ("allowed", "denied"));
    assert_eq!(legs(v3, "types: [Egress], ingress: [{action: Allow}]"), ("allowed", "denied"));
    // Past Calico's API nothing fills the types in, and both directions are meant.
    assert_eq!(legs("crd.projectcalico.org/v1", "order: 1"), ("denied", "denied"));
}

#[test]
fn pass_goes_on_with_the_next_tier() {
    let tiers = global("Tier", "security", "order: 100") + &global("Tier", "platform", "order: 200");
    let security = |action: &str| {
        global(
            "GlobalNetworkPolicy",
            "security.guard",
            &format!(
                "tier: security, selector: app == 'ledger', ingress: [{{action: {action}, source: {{namespaceSelector: team == 'front'}}}}, \
                 {{action: Pass}}]"
            ),
        )
    };
    let platform = global(
        "GlobalNetworkPolicy",
        "platform.open",
        "tier: platform, selector: all(), ingress: [{action: Deny, source: {selector: app == 'batch'}}, {action: Pass}]",
    );
    let app = policy(
        "payments",
        "app",
        "podSelector: {matchLabels: {app: ledger}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: front}}}]}]",
    );
    let all = |action: &str| tiers.clone() + &security(action) + &platform + &app;
    assert_eq!(to_ledger(&all("Pass")), "allowed");
    assert_eq!(to_ledger(&all("Deny")), "denied");
    let text = shop(&all("Pass"));
    let mesh = mesh(&text);
    let verdict = ask(&mesh, "payments/batch", "payments/ledger", 8080);
    assert_eq!(verdict.ingress.reason, "GlobalNetworkPolicy platform.open denies payments/batch on TCP 8080");
    // What the upper tiers pass on is up to the NetworkPolicy of Kubernetes in the default tier.
    let verdict = ask(&mesh, "kube-system/dns", "payments/ledger", 8080);
    assert_eq!(
        verdict.ingress.reason,
        "app selects payments/ledger and no rule admits kube-system/dns on TCP 8080"
    );
    // And what the last tier does not select is allowed.
    let verdict = ask(&mesh, "web/frontend", "kube-system/dns", 53);
    assert_eq!(verdict.ingress.passage, Passage::Allowed);
    assert_eq!(
        verdict.ingress.reason,
        "GlobalNetworkPolicy platform.open passes it on, and nothing behind that denies it"
    );
}

#[test]
fn a_tier_denies_what_it_selects_and_does_not_decide() {
    let tier = |spec: &str| global("Tier", "security", spec);
    let guard = global(
        "GlobalNetworkPolicy",
        "security.guard",
        "tier: security, selector: app == 'ledger', ingress: [{action: Allow, source: {selector: app == 'batch'}}]",
    );
    assert_eq!(to_ledger(&(tier("order: 1") + &guard)), "denied");
    assert_eq!(to_ledger(&(tier("order: 1, defaultAction: Pass") + &guard)), "allowed");
    // Without the Tier its default is not known, nor is its place.
    assert_eq!(to_ledger(&guard), "unknown");
    let open = calico("payments", "open", "selector: all(), ingress: [{action: Allow}]");
    assert_eq!(to_ledger(&(guard.clone() + &open)), "unknown");
    // Where both tiers say the same, their order does not matter.
    let mesh = mesh(&shop(&(guard + &open)));
    assert_eq!(ingress(&mesh, "payments/batch", "payments/ledger", 8080), "allowed");
}

#[test]
fn network_policies_of_kubernetes_stand_at_order_1000() {
    let kubernetes = policy(
        "payments",
        "k",
        "podSelector: {matchLabels: {app: ledger}}, ingress: [{from: [{namespaceSelector: {}}]}]",
    );
    let deny = |order: &str| {
        global(
            "GlobalNetworkPolicy",
            "deny",
            &format!("{order}, selector: all(), types: [Ingress], ingress: [{{action: Deny}}]"),
        )
    };
    assert_eq!(to_ledger(&(kubernetes.clone() + &deny("order: 999"))), "denied");
    assert_eq!(to_ledger(&(kubernetes.clone() + &deny("order: 1001"))), "allowed");
    // Which names come first has changed between versions.
    let mesh = mesh(&shop(&(kubernetes + &deny("order: 1000"))));
    let verdict = ask(&mesh, "web/frontend", "payments/ledger", 8080);
    assert_eq!(word(&verdict.ingress), "unknown");
    assert!(verdict.ingress.reason.contains("have the same order"), "{}", verdict.ingress.reason);
    // That does not matter to what only one of them decides.
    assert_eq!(ingress(&mesh, "192.0.2.1", "payments/ledger", 8080), "denied");
}

#[test]
fn a_default_deny_for_the_cluster_spares_system_namespaces() {
    let deny = global(
        "GlobalNetworkPolicy",
        "default-deny",
        "namespaceSelector: \"projectcalico.org/name not in {'kube-system', 'istio-system', 'calico-system'}\", types: [Ingress, Egress], \
         egress: [{action: Allow, protocol: UDP, destination: {selector: \"k8s-app == 'dns'\", ports: [53]}}]",
    );
    let mesh = mesh(&shop(&deny));
    let verdict = ask(&mesh, "web/frontend", "payments/ledger", 8080);
    assert_eq!((word(&verdict.ingress), word(&verdict.egress)), ("denied", "denied"));
    assert_eq!(
        verdict.ingress.reason,
        "GlobalNetworkPolicy default-deny selects payments/ledger and no rule admits web/frontend on TCP 8080"
    );
    let dns = ask_over(&mesh, "web/frontend", "kube-system/dns", Transport::Udp, 53);
    assert_eq!(dns.passage(), Passage::Allowed);
    assert_eq!(dns.egress.reason, "GlobalNetworkPolicy default-deny lets it reach kube-system/dns on UDP 53");
    assert_eq!(ask(&mesh, "web/frontend", "kube-system/dns", 53).passage(), Passage::Denied);
}

#[test]
fn service_accounts_beside_a_mesh() {
    // The mesh checks who calls; the network keeps everybody else away from the pods (Istio with Calico's policies).
    let text = namespace("shop", "istio-injection: enabled")
        + "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web, namespace: shop, labels: {tier: front}}\n---\n"
        + &pods_with("shop", "web", "app: web", "serviceAccountName: web, ")
        + &pods("shop", "other", "app: other")
        + &pods("shop", "api", "app: api")
        + &pods_with("shop", "job", "app: job", "serviceAccountName: job, ")
        + &global("GlobalNetworkPolicy", "closed", "selector: all(), types: [Ingress]")
        + &calico(
            "shop",
            "by-name",
            "order: 1, selector: app == 'api', ingress: [{action: Allow, protocol: TCP, source: {serviceAccounts: {names: [web]}}, \
             destination: {ports: [8080]}}, {action: Allow, protocol: TCP, source: {serviceAccounts: {selector: tier == 'front'}}, \
             destination: {ports: [9090]}}]",
        );
    let mesh = mesh(&text);
    let at = |from: &str| [8080, 9090].map(|port| ingress(&mesh, from, "shop/api", port));
    assert_eq!(at("shop/web"), ["allowed", "allowed"]);
    assert_eq!(at("shop/other"), ["denied", "denied"]);
    // That account is not in the input, so its labels are not known; its name is.
    assert_eq!(at("shop/job"), ["denied", "unknown"]);
    assert_eq!(at("192.0.2.1"), ["denied", "denied"]);
}

#[test]
fn selectors_of_rules_keep_to_the_namespace_unless_told_otherwise() {
    let admits = |own: bool, source: &str| {
        let spec = format!("selector: app == 'ledger', ingress: [{{action: Allow, source: {{{source}}}}}]");
        let policy =
            if own { calico("payments", "p", &spec) } else { global("GlobalNetworkPolicy", "p", &spec) };
        let mesh = mesh(&shop(&policy));
        ["payments/batch", "web/frontend", "192.0.2.1"]
            .map(|from| ingress(&mesh, from, "payments/ledger", 80))
    };
    let (yes, no) = ("allowed", "denied");
    assert_eq!(admits(true, "selector: all()"), [yes, no, no]);
    assert_eq!(admits(false, "selector: all()"), [yes, yes, no]);
    assert_eq!(admits(true, "selector: has(app), namespaceSelector: all()"), [yes, yes, no]);
    assert_eq!(admits(true, "namespaceSelector: team == 'front'"), [no, yes, no]);
    assert_eq!(admits(true, "namespaceSelector: global()"), [no, no, no]);
    // A negated selector in a namespaced policy keeps to the namespace too; in a global one it admits everything else.
    assert_eq!(admits(true, "notSelector: app == 'other'"), [yes, no, no]);
    assert_eq!(admits(false, "notSelector: app == 'batch'"), [no, yes, yes]);
    assert_eq!(admits(true, "notNets: [10.0.0.0/8]"), ["unknown", "unknown", yes]);
    assert_eq!(admits(true, "nets: [192.0.2.0/24], notNets: [192.0.2.1/32]"), ["unknown", "unknown", no]);
    assert_eq!(admits(true, ""), [yes, yes, yes]);
}

#[test]
fn network_sets_are_found_by_their_labels() {
    let set = |kind: &str, place: &str, net: &str| {
        format!(
            "apiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: s{place}, labels: {{role: bad}}}}\nspec: {{nets: [{net}]}}\n---\n"
        )
    };
    let sets = set("GlobalNetworkSet", "", "198.51.100.0/24")
        + &set("NetworkSet", ", namespace: web", "203.0.113.7");
    let denies = |selector: &str| {
        let deny = global(
            "GlobalNetworkPolicy",
            "deny",
            &format!(
                "order: 1, selector: all(), types: [Egress], egress: [{{action: Deny, destination: {{{selector}}}}}, {{action: Allow}}]"
            ),
        );
        let mesh = mesh(&shop(&(sets.clone() + &deny)));
        ["198.51.100.9", "203.0.113.7", "203.0.113.8"].map(|to| egress(&mesh, "web/frontend", to, 443))
    };
    assert_eq!(denies("selector: role == 'bad'"), ["denied", "denied", "allowed"]);
    assert_eq!(
        denies("selector: role == 'bad', namespaceSelector: global()"),
        ["denied", "allowed", "allowed"]
    );
    assert_eq!(
        denies("selector: role == 'bad', namespaceSelector: team == 'front'"),
        ["allowed", "denied", "allowed"]
    );
    assert_eq!(denies("selector: role == 'good'"), ["allowed", "allowed", "allowed"]);
}

#[test]
fn services_stand_for_their_endpoints() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: ledger, namespace: payments}\nspec: {selector: {app: ledger}, ports: [{port: 80, targetPort: 8080}]}\n---\n";
    let to = |name: &str| {
        calico(
            "web",
            "out",
            &format!(
                "egress: [{{action: Allow, destination: {{services: {{name: {name}, namespace: payments}}}}}}]"
            ),
        )
    };
    let with_service = mesh(&shop(&(service.to_owned() + &to("ledger"))));
    let ends = [("payments/ledger", 8080), ("payments/ledger", 9090), ("payments/batch", 8080)];
    assert_eq!(
        ends.map(|(end, port)| egress(&with_service, "web/frontend", end, port)),
        ["allowed", "denied", "denied"]
    );
    let without = mesh(&shop(&to("nobody")));
    assert_eq!(egress(&without, "web/frontend", "payments/ledger", 8080), "unknown");
}

#[test]
fn what_is_not_modelled_stays_open_where_it_matters() {
    let open = |rule: &str| {
        let text =
            shop(&calico("payments", "p", &format!("selector: all(), ingress: [{{action: Allow, {rule}}}]")));
        let mesh = mesh(&text);
        [8080, 9090].map(|port| ingress(&mesh, "web/frontend", "payments/ledger", port))
    };
    let ports = "protocol: TCP, destination: {ports: [8080]}";
    assert_eq!(open(&format!("{ports}, http: {{methods: [GET]}}")), ["unknown", "denied"]);
    assert_eq!(open(&format!("{ports}, icmp: {{type: 8}}")), ["unknown", "denied"]);
    assert_eq!(
        open("protocol: TCP, source: {ports: [1234]}, destination: {ports: [8080]}"),
        ["unknown", "denied"]
    );
    assert_eq!(
        open("protocol: TCP, destination: {ports: [8080], domains: [example.com]}"),
        ["unknown", "denied"]
    );
    assert_eq!(open("protocol: ICMP"), ["denied", "denied"]);
    assert_eq!(open("protocol: 6"), ["allowed", "allowed"]);
    assert_eq!(open("notProtocol: UDP"), ["allowed", "allowed"]);
    assert_eq!(open("ipVersion: 6"), ["unknown", "unknown"]);
    // Calico refuses these.
    for refused in
        ["protocol: tpc", "source: {selector: a = 'b'}", "destination: {ports: [80]}", "source: {nets: [x]}"]
    {
        assert_eq!(open(refused), ["unknown", "unknown"], "{refused}");
    }
    let reason = |rule: &str| {
        let text = shop(&calico("payments", "p", &format!("ingress: [{{action: Allow, {rule}}}]")));
        ask(&mesh(&text), "web/frontend", "payments/ledger", 80).ingress.reason
    };
    assert_eq!(
        reason("http: {methods: [GET]}"),
        "p: an HTTP match depends on Calico's application layer policy"
    );
    assert_eq!(reason("source: {domains: [x]}"), "p: what `domains` asks for is not known here");
}

#[test]
fn policies_for_nodes_do_not_concern_pods() {
    let nodes = "selector: all(), types: [Ingress], ingress: [{action: Deny}]";
    assert_eq!(
        to_ledger(&global(
            "GlobalNetworkPolicy",
            "n",
            &format!("preDNAT: true, applyOnForward: true, {nodes}")
        )),
        "allowed"
    );
    assert_eq!(
        to_ledger(&global("GlobalNetworkPolicy", "n", &format!("applyOnForward: true, {nodes}"))),
        "denied"
    );
    // But pods in the network of a node meet them, and which ones is not in the input.
    let agent = pods_with("payments", "agent", "app: agent", "hostNetwork: true, ");
    let mesh = mesh(&shop(&(agent + &global("GlobalNetworkPolicy", "n", "selector: role == 'node'"))));
    assert_eq!(ingress(&mesh, "web/frontend", "payments/agent", 80), "unknown");
    assert_eq!(ingress(&mesh, "web/frontend", "payments/ledger", 80), "allowed");
}

#[test]
fn classes_tell_accounts_apart_where_policies_do() {
    let text = shop(
        &(pods_with("web", "other", "app: frontend", "serviceAccountName: other, ")
            + &calico(
                "payments",
                "p",
                "ingress: [{action: Allow, source: {serviceAccounts: {names: [other]}, namespaceSelector: all()}}]",
            )),
    );
    let mesh = mesh(&text);
    let network = Network::new(&mesh);
    let classes: Vec<_> = mesh.workloads_with_ids().map(|(id, _)| network.class(id)).collect();
    let name = |name: &str| mesh.workloads.iter().position(|workload| workload.name == name).unwrap();
    assert_ne!(classes[name("frontend")], classes[name("other")]);
    assert_eq!(classes[name("ledger")], classes[name("batch")]);
}
