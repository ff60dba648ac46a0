//! NetworkPolicies of Kubernetes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    ask, ask_over, egress, ingress, mesh, mesh_of_files, mesh_with, namespace, pods, pods_with, policy, word,
};
use meshproof_grammar::cidr::Cidr;
use meshproof_network::{End, Flow, Network, Passage};
use meshproof_resources::Transport;

/// `web/frontend` and `payments/ledger`, with `policies`.
fn shop(policies: &str) -> String {
    namespace("web", "team: front")
        + &namespace("payments", "team: money")
        + &pods("web", "frontend", "app: frontend")
        + &pods("payments", "ledger", "app: ledger")
        + &pods("payments", "batch", "app: batch")
        + policies
}

#[test]
fn without_policies_everything_passes_and_says_so() {
    let mesh = mesh(&shop(""));
    let verdict = ask(&mesh, "web/frontend", "payments/ledger", 8080);
    assert_eq!(verdict.passage(), Passage::Allowed);
    assert_eq!(verdict.ingress.reason, "no NetworkPolicy selects payments/ledger");
    assert_eq!(verdict.egress.reason, "no NetworkPolicy selects web/frontend");
    assert!(verdict.ingress.deciding.is_empty());
    assert!(Network::new(&mesh).is_empty());
}

#[test]
fn policies_that_are_not_evaluated_leave_the_answer_open() {
    let object = |kind: &str, group: &str, place: &str| {
        format!("apiVersion: {group}\nkind: {kind}\nmetadata: {{name: x{place}}}\nspec: {{}}\n---\n")
    };
    let closed = policy("payments", "default-deny", "podSelector: {}");
    let passage = |more: &str, to: &str| {
        let mesh = mesh(&shop(&(closed.clone() + more)));
        let network = Network::new(&mesh);
        let verdict = ask(&mesh, "web/frontend", to, 8080);
        let id = mesh.workloads_with_ids().find(|(id, _)| mesh.workload_display(*id) == to).unwrap().0;
        let mut receiver = network.receiver(id, Transport::Tcp, 8080);
        assert_eq!(receiver.receives(End::External(None)), verdict.ingress.passage);
        assert!(network.restricts_receiver(id) || verdict.ingress.passage == Passage::Allowed);
        (verdict.ingress.passage, verdict.ingress.reason)
    };
    assert_eq!(passage("", "payments/ledger").0, Passage::Denied);
    let everywhere = [
        object("AdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1", ""),
        object("BaselineAdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1", ""),
        object("CiliumClusterwideNetworkPolicy", "cilium.io/v2", ""),
    ];
    for more in &everywhere {
        let (open, reason) = passage(more, "payments/ledger");
        assert_eq!(open, Passage::Unknown, "{more}");
        assert!(reason.contains("NetworkPolicy x may have a say"), "{reason}");
    }
    let cilium = object("CiliumNetworkPolicy", "cilium.io/v2", ", namespace: payments");
    assert_eq!(passage(&cilium, "payments/ledger").0, Passage::Unknown);
    assert_eq!(passage(&cilium, "web/frontend").0, Passage::Allowed);
    // Host endpoints are about nodes.
    let host = object("HostEndpoint", "crd.projectcalico.org/v1", "");
    assert_eq!(passage(&host, "payments/ledger").0, Passage::Denied);
}

#[test]
fn a_rule_admits_whom_it_names_and_nobody_else() {
    let text = shop(
        &(policy("payments", "default-deny", "podSelector: {}")
            + &policy(
                "payments",
                "callers",
                "podSelector: {matchLabels: {app: ledger}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: front}}, \
                 podSelector: {matchLabels: {app: frontend}}}], ports: [{port: 8080}]}]",
            )),
    );
    let mesh = mesh(&text);
    let verdict = ask(&mesh, "web/frontend", "payments/ledger", 8080);
    assert_eq!(word(&verdict.ingress), "allowed");
    assert_eq!(verdict.ingress.reason, "callers admits web/frontend on TCP 8080");
    let span = verdict.ingress.deciding[0].span;
    assert!(text[span.start as usize..span.end as usize].starts_with("{from:"));
    assert_eq!(mesh.resource(verdict.ingress.deciding[0].object).meta.name(), "callers");

    let verdict = ask(&mesh, "web/frontend", "payments/ledger", 15008);
    assert_eq!(verdict.passage(), Passage::Denied);
    assert_eq!(
        verdict.deciding_leg().reason,
        "callers and default-deny select payments/ledger and no rule admits web/frontend on TCP 15008"
    );
    assert_eq!(verdict.ingress.deciding.len(), 2);
    let verdict = ask(&mesh, "web/frontend", "payments/batch", 8080);
    assert_eq!(
        verdict.ingress.reason,
        "default-deny selects payments/batch and no rule admits web/frontend on TCP 8080"
    );
    assert_eq!(ingress(&mesh, "payments/batch", "payments/ledger", 8080), "denied");
    // Replies and the other direction are another matter.
    assert_eq!(ask(&mesh, "payments/ledger", "web/frontend", 8080).passage(), Passage::Allowed);
    let verdict = ask(&mesh, "payments/ledger", "web/frontend", 8080);
    assert_eq!(verdict.egress.reason, "no NetworkPolicy restricts what payments/ledger sends");
}

#[test]
fn types_follow_the_rules_that_are_written() {
    let sends = |spec: &str| {
        let mesh = mesh(&shop(&policy("payments", "p", &format!("podSelector: {{}}, {spec}"))));
        (
            ingress(&mesh, "web/frontend", "payments/ledger", 8080),
            egress(&mesh, "payments/ledger", "web/frontend", 8080),
        )
    };
    assert_eq!(sends("egress: []"), ("denied", "allowed"));
    assert_eq!(sends("egress: [{}]"), ("denied", "allowed"));
    assert_eq!(sends("egress: [{ports: [{port: 53}]}]"), ("denied", "denied"));
    assert_eq!(sends("policyTypes: [Egress]"), ("allowed", "denied"));
    assert_eq!(sends("policyTypes: [Egress], ingress: [{}]"), ("allowed", "denied"));
    assert_eq!(sends("ingress: [{}]"), ("allowed", "allowed"));
    assert_eq!(sends("ingress: [{from: []}], policyTypes: [Ingress, Egress]"), ("allowed", "denied"));
}

#[test]
fn two_items_are_alternatives_and_one_item_with_two_selectors_is_not() {
    let both = "{namespaceSelector: {matchLabels: {team: front}}, podSelector: {matchLabels: {app: batch}}}";
    let either =
        "{namespaceSelector: {matchLabels: {team: front}}}, {podSelector: {matchLabels: {app: batch}}}";
    for (peers, expected) in [(both, ["denied", "denied"]), (either, ["allowed", "allowed"])] {
        let spec = format!("podSelector: {{matchLabels: {{app: ledger}}}}, ingress: [{{from: [{peers}]}}]");
        let mesh = mesh(&shop(&policy("payments", "p", &spec)));
        let said = ["web/frontend", "payments/batch"].map(|from| ingress(&mesh, from, "payments/ledger", 80));
        assert_eq!(said, expected, "{peers}");
    }
}

#[test]
fn ports_by_number_range_and_name() {
    let mesh = mesh(&shop(&policy(
        "payments",
        "p",
        "podSelector: {}, ingress: [{ports: [{port: web}, {port: 9000, endPort: 9010}, {port: dns, protocol: UDP}, \
         {protocol: SCTP}]}]",
    )));
    let at =
        |transport, port| word(&ask_over(&mesh, "web/frontend", "payments/ledger", transport, port).ingress);
    assert_eq!(
        [8080, 53, 8999, 9000, 9010, 9011].map(|port| at(Transport::Tcp, port)),
        ["allowed", "denied", "denied", "allowed", "allowed", "denied"]
    );
    assert_eq!([53, 8080].map(|port| at(Transport::Udp, port)), ["allowed", "denied"]);
    assert_eq!(at(Transport::Sctp, 1), "allowed");
}

#[test]
fn the_injected_proxy_declares_a_port_of_its_own() {
    let text = namespace("in", "istio-injection: enabled")
        + &namespace("out", "")
        + &pods("in", "a", "app: a")
        + &pods("out", "a", "app: a")
        + &policy("in", "p", "podSelector: {}, ingress: [{ports: [{port: http-envoy-prom}]}]")
        + &policy("out", "p", "podSelector: {}, ingress: [{ports: [{port: http-envoy-prom}]}]");
    let mesh = mesh(&text);
    assert_eq!(ingress(&mesh, "192.0.2.1", "in/a", 15090), "allowed");
    assert_eq!(ingress(&mesh, "192.0.2.1", "in/a", 15020), "denied");
    assert_eq!(ingress(&mesh, "192.0.2.1", "out/a", 15090), "denied");
}

#[test]
fn blocks_of_addresses() {
    let block = "ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}";
    let text =
        shop(&policy("payments", "p", &format!("podSelector: {{}}, ingress: [{{from: [{{{block}}}]}}]")));
    let mesh = mesh(&text);
    let from = |from: &str| ingress(&mesh, from, "payments/ledger", 8080);
    assert_eq!(
        ["10.2.0.1", "10.1.0.1", "192.0.2.1", "::ffff:10.2.0.1"].map(from),
        ["allowed", "denied", "denied", "allowed"]
    );
    assert_eq!(from("?"), "unknown");
    // Where pods have their addresses is not in the manifests.
    let verdict = ask(&mesh, "web/frontend", "payments/ledger", 8080);
    assert_eq!(word(&verdict.ingress), "unknown");
    assert_eq!(verdict.ingress.reason, "p: a rule asks for addresses, and that of web/frontend is not known");
    let within = |block: &str| {
        let network = Network::with_pod_networks(&mesh, &[Cidr::parse(block).unwrap()]);
        let (from, to) = (common::end(&mesh, "web/frontend"), common::end(&mesh, "payments/ledger"));
        let verdict = network.verdict(&Flow { from, to, protocol: Transport::Tcp, port: 8080 });
        (word(&verdict.ingress), verdict.ingress.reason)
    };
    assert_eq!(within("172.16.0.0/12").0, "denied");
    assert_eq!(within("10.1.2.0/24").0, "denied");
    let (said, reason) = within("10.2.0.0/16");
    assert_eq!(said, "unknown");
    assert!(reason.contains("up to the network plugin"), "{reason}");
}

#[test]
fn doubts_matter_only_where_the_answer_hangs_on_them() {
    // The block may cover the caller, but another policy admits it anyway.
    let block = "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]";
    let text = shop(
        &(policy("payments", "block", &format!("podSelector: {{}}, {block}"))
            + &policy("payments", "open", "podSelector: {}, ingress: [{ports: [{port: 8080}]}]")),
    );
    let mesh = mesh(&text);
    assert_eq!(ingress(&mesh, "web/frontend", "payments/ledger", 8080), "allowed");
    assert_eq!(ingress(&mesh, "web/frontend", "payments/ledger", 9090), "unknown");
}

#[test]
fn a_namespace_that_is_not_in_the_input_is_known_by_name_alone() {
    let text = pods("web", "frontend", "app: frontend")
        + &pods("payments", "ledger", "app: ledger")
        + &policy(
            "payments",
            "p",
            "podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: web}}}], \
             ports: [{port: 1}]}, {from: [{namespaceSelector: {matchLabels: {team: front}}}], ports: [{port: 2}]}, \
             {from: [{namespaceSelector: {}}], ports: [{port: 3}]}]",
        );
    let mesh = mesh(&text);
    let at = |port| ingress(&mesh, "web/frontend", "payments/ledger", port);
    assert_eq!([1, 2, 3, 4].map(at), ["allowed", "unknown", "allowed", "denied"]);
    let reason = ask(&mesh, "web/frontend", "payments/ledger", 2).ingress.reason;
    assert_eq!(reason, "p: namespace web is not in the input");
    assert_eq!(ingress(&mesh, "192.0.2.1", "payments/ledger", 3), "denied");
}

#[test]
fn labels_that_pods_get_later_leave_the_selector_open() {
    let select = |key: &str| {
        let spec = format!("podSelector: {{matchLabels: {{{key}: x}}}}");
        let mesh = mesh(&shop(&policy("payments", "p", &spec)));
        ingress(&mesh, "web/frontend", "payments/ledger", 8080)
    };
    assert_eq!(select("pod-template-hash"), "unknown");
    assert_eq!(select("tier"), "allowed");
}

#[test]
fn policies_without_a_namespace_may_stand_in_any() {
    let there = shop("");
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {matchLabels: {app: ledger}}}\n";
    let mesh = mesh_of_files(&[("apps/all.yaml", &there), ("policies/p.yaml", policy)]);
    let verdict = ask(&mesh, "web/frontend", "payments/ledger", 8080);
    assert_eq!(word(&verdict.ingress), "unknown");
    assert!(
        verdict.ingress.reason.contains("namespace of the policy is not known"),
        "{}",
        verdict.ingress.reason
    );
    assert_eq!(ingress(&mesh, "web/frontend", "payments/batch", 8080), "allowed");
    // Beside the pods of one folder it stands where they do.
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: q, labels: {app: ledger}}\nspec: {containers: [{name: c, image: i}]}\n---\n";
    let mesh = mesh_of_files(&[("apps/all.yaml", &there), ("policies/p.yaml", &(pod.to_owned() + policy))]);
    assert_eq!(ingress(&mesh, "web/frontend", "(no namespace)/q", 8080), "denied");
}

#[test]
fn pods_of_unknown_namespaces_may_meet_policies_of_named_ones() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: q, labels: {app: ledger}}\nspec: {containers: [{name: c, image: i}]}\n";
    let there = shop(&policy("payments", "p", "podSelector: {matchLabels: {app: ledger}}"));
    let mesh = mesh_of_files(&[("apps/all.yaml", &there), ("pods/q.yaml", pod)]);
    assert_eq!(ingress(&mesh, "web/frontend", "(no namespace)/q", 8080), "unknown");
}

#[test]
fn pods_in_the_network_of_their_node() {
    let text = shop(
        &(pods_with("payments", "agent", "app: ledger", "hostNetwork: true, ")
            + &policy("payments", "p", "podSelector: {matchLabels: {app: ledger}}")
            + &policy(
                "web",
                "out",
                "podSelector: {}, policyTypes: [Ingress, Egress], egress: [{to: [{namespaceSelector: {}}]}]",
            )),
    );
    let mesh = mesh(&text);
    // Whether policies select them at all is up to the plugin.
    assert_eq!(ingress(&mesh, "web/frontend", "payments/agent", 8080), "unknown");
    // And nobody can be kept from the node it runs on, or the other way round.
    let verdict = ask(&mesh, "payments/agent", "payments/ledger", 8080);
    assert_eq!(word(&verdict.ingress), "unknown");
    assert_eq!(
        verdict.ingress.reason,
        "payments/agent runs in the network of its node, and pods always reach their own node"
    );
    assert_eq!(egress(&mesh, "web/frontend", "payments/agent", 8080), "unknown");
}

#[test]
fn a_pod_always_reaches_itself() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: one, namespace: payments}\nspec: {containers: [{name: c, image: i}]}\n---\n";
    let mesh = mesh(&shop(&(pod.to_owned() + &policy("payments", "p", "podSelector: {}"))));
    assert_eq!(ask(&mesh, "payments/one", "payments/one", 80).passage(), Passage::Allowed);
    // Replicas of a Deployment are several pods.
    assert_eq!(ask(&mesh, "payments/ledger", "payments/ledger", 80).passage(), Passage::Denied);
}

#[test]
fn machines_are_addresses() {
    let entry = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm, namespace: payments}\nspec: {address: 192.0.2.7, labels: {app: ledger}}\n---\n";
    let text = shop(
        &(entry.to_owned()
            + &policy("payments", "deny", "podSelector: {}")
            + &policy(
                "payments",
                "p",
                "podSelector: {matchLabels: {app: ledger}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 1}]}, \
                 {from: [{podSelector: {}}], ports: [{port: 2}]}]",
            )),
    );
    let mesh = mesh(&text);
    assert_eq!(ask(&mesh, "web/frontend", "payments/vm", 80).passage(), Passage::Allowed);
    assert_eq!(
        [1, 2].map(|port| ingress(&mesh, "payments/vm", "payments/ledger", port)),
        ["allowed", "denied"]
    );
}

#[test]
fn what_the_api_server_refuses_decides_nothing() {
    let specs = [
        "podSelector: {}, ingress: [{from: [{}]}]",
        "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]",
        "podSelector: {}, ingress: [{ports: [{port: 70000}]}]",
        "podSelector: {}, ingress: [{ports: [{port: 90, endPort: 80}]}]",
        "podSelector: {}, ingress: [{ports: [{port: web, endPort: 80}]}]",
        "podSelector: {}, ingress: [{ports: [{protocol: tcp}]}]",
        "podSelector: {matchExpressions: [{key: app, operator: Is, values: [ledger]}]}",
    ];
    for spec in specs {
        let mesh = mesh(&shop(&policy("payments", "p", spec)));
        assert_eq!(ingress(&mesh, "web/frontend", "payments/ledger", 8080), "unknown", "{spec}");
    }
}

#[test]
fn policies_that_are_not_what_is_applied_decide_nothing() {
    let policy = policy("payments", "p", "podSelector: {}");
    let mesh = mesh_with(&[("apps/all.yaml", &shop("")), ("base/p.yaml", &policy)], |options, _| {
        options.unrendered = vec![("base".to_owned(), "base would have to be rendered first".to_owned())];
    });
    let verdict = ask(&mesh, "web/frontend", "payments/ledger", 8080);
    assert_eq!(word(&verdict.ingress), "unknown");
    assert_eq!(verdict.ingress.reason, "p: base would have to be rendered first");
    assert_eq!(mesh.resource(verdict.ingress.deciding[0].object).meta.name(), "p");
}

#[test]
fn policies_reach_no_further_than_their_cluster() {
    let deny = policy("payments", "p", "podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]");
    let here = shop(&deny);
    let there = shop("").replace("frontend", "remote").replace("ledger", "vault");
    let mesh = mesh_with(&[("one/all.yaml", &here), ("two/all.yaml", &there)], |_, inputs| {
        for input in inputs {
            input.cluster = Some(format!("c{}", input.resource.meta.span.source.0));
        }
    });
    assert_eq!(ask(&mesh, "web/frontend", "payments/vault", 8080).passage(), Passage::Allowed);
    assert_eq!(ingress(&mesh, "web/frontend", "payments/ledger", 8080), "allowed");
    // Pods elsewhere are addresses, and no selector finds them.
    assert_eq!(ingress(&mesh, "web/remote", "payments/ledger", 8080), "denied");
}

#[test]
fn classes_hold_workloads_that_no_policy_tells_apart() {
    let text = shop(
        &(pods("web", "other", "app: frontend, version: v2")
            + &pods("web", "third", "app: third")
            + &policy(
                "payments",
                "p",
                "podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: batch}}, namespaceSelector: {}}]}]",
            )),
    );
    let mesh = mesh(&text);
    let network = Network::new(&mesh);
    let class = |name: &str| match common::end(&mesh, name) {
        End::Workload(id) => network.class(id),
        End::External(_) => panic!(),
    };
    assert_eq!(class("web/frontend"), class("web/other"));
    // Only `app: batch` is told apart.
    assert_eq!(class("web/frontend"), class("web/third"));
    assert_ne!(class("payments/ledger"), class("payments/batch"));
    assert_ne!(class("payments/ledger"), class("web/frontend"));
}
