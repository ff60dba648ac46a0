//! Random clusters: the answers are those of the documentation taken by the letter, and with less input they are the
//! same or unknown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/model.rs"]
mod model;

use common::mesh;
use meshproof_grammar::cidr::Cidr;
use meshproof_ir::{Mesh, WorkloadId};
use meshproof_network::{End, Flow, Network, Passage};
use meshproof_resources::Transport;
use model::{Cluster, OUTSIDE, PORTS, Side, cluster};
use proptest::prelude::*;

const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];

/// Every end of a cluster as the mesh and as the model have it.
fn ends<'c>(cluster: &'c Cluster, mesh: &Mesh) -> Vec<(End, Side<'c>)> {
    let pod = |(id, workload): (WorkloadId, &meshproof_ir::Workload)| {
        let at: usize = workload.name[1..].parse().unwrap();
        (End::Workload(id), Side::Pod(&cluster.pods[at]))
    };
    let outside =
        OUTSIDE.map(|address| (End::External(Some(address.parse().unwrap())), Side::Outside(address)));
    mesh.workloads_with_ids().map(pod).chain(outside).collect()
}

/// Calls `check` with every flow: both ends and the transport's number in the model.
fn for_each_flow<'c>(
    cluster: &'c Cluster,
    mesh: &Mesh,
    mut check: impl FnMut((Flow, Side<'c>, Side<'c>, usize)),
) {
    let ends = ends(cluster, mesh);
    for (from, source) in &ends {
        for (to, destination) in ends.iter().filter(|(to, _)| to != from) {
            for (at, protocol) in TRANSPORTS.into_iter().enumerate() {
                for port in PORTS {
                    check((Flow { from: *from, to: *to, protocol, port }, *source, *destination, at));
                }
            }
        }
    }
}

fn pod_networks() -> [Cidr; 1] {
    [Cidr::parse("10.0.0.0/8").unwrap()]
}

fn known(allowed: bool) -> Passage {
    if allowed { Passage::Allowed } else { Passage::Denied }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn kubernetes_is_the_union_of_what_is_admitted(cluster in cluster()) {
        let mesh = mesh(&(cluster.world(true) + &cluster.kubernetes()));
        let network = Network::with_pod_networks(&mesh, &pod_networks());
        for_each_flow(&cluster, &mesh, |(flow, from, to, transport)| {
            let verdict = network.verdict(&flow);
            let packet = (transport, flow.port);
            let ingress = known(cluster.admitted(to, from, to, true, packet));
            let egress = known(cluster.admitted(from, to, to, false, packet));
            assert_eq!((verdict.ingress.passage, verdict.egress.passage), (ingress, egress), "{flow:?} {verdict:#?}");
        });
    }

    #[test]
    fn calico_takes_the_first_rule_that_matches(cluster in cluster()) {
        let mesh = mesh(&(cluster.world(true) + &cluster.calico(true)));
        let network = Network::with_pod_networks(&mesh, &pod_networks());
        for_each_flow(&cluster, &mesh, |(flow, from, to, transport)| {
            let verdict = network.verdict(&flow);
            let packet = (transport, flow.port);
            let ingress = known(cluster.decided(to, from, to, true, packet));
            let egress = known(cluster.decided(from, to, to, false, packet));
            assert_eq!((verdict.ingress.passage, verdict.egress.passage), (ingress, egress), "{flow:?} {verdict:#?}");
        });
    }

    #[test]
    fn what_only_allows_means_the_same_in_both_languages(mut cluster in cluster()) {
        let rules = cluster.policies.iter_mut().flat_map(|policy| [&mut policy.ingress, &mut policy.egress]);
        rules.flatten().flatten().for_each(|rule| rule.allows = true);
        let kubernetes = mesh(&(cluster.world(true) + &cluster.kubernetes()));
        let calico = mesh(&(cluster.world(true) + &cluster.calico(false)));
        let (left, right) = (
            Network::with_pod_networks(&kubernetes, &pod_networks()),
            Network::with_pod_networks(&calico, &pod_networks()),
        );
        for_each_flow(&cluster, &kubernetes, |(flow, ..)| {
            let (left, right) = (left.verdict(&flow), right.verdict(&flow));
            assert_eq!(left.ingress.passage, right.ingress.passage, "{flow:?}");
            assert_eq!(left.egress.passage, right.egress.passage, "{flow:?}");
        });
    }

    #[test]
    fn with_less_input_the_answer_is_the_same_or_unknown(cluster in cluster(), of_calico: bool) {
        let policies = if of_calico { cluster.calico(true) } else { cluster.kubernetes() };
        let whole = mesh(&(cluster.world(true) + &policies));
        // Neither the labels of namespaces nor the addresses of pods are known.
        let part = mesh(&(cluster.world(false) + &policies));
        let (whole_network, part_network) =
            (Network::with_pod_networks(&whole, &pod_networks()), Network::new(&part));
        for_each_flow(&cluster, &whole, |(flow, ..)| {
            let (whole, part) = (whole_network.verdict(&flow), part_network.verdict(&flow));
            for (whole, part) in [(whole.ingress, part.ingress), (whole.egress, part.egress)] {
                assert!(part.passage == Passage::Unknown || part.passage == whole.passage, "{flow:?} {part:?}");
            }
        });
    }

    #[test]
    fn workloads_of_one_class_get_the_same_answers(cluster in cluster(), of_calico: bool) {
        let policies = if of_calico { cluster.calico(true) } else { cluster.kubernetes() };
        let mesh = mesh(&(cluster.world(true) + &policies));
        let network = Network::with_pod_networks(&mesh, &pod_networks());
        for_each_flow(&cluster, &mesh, |(flow, ..)| {
            let End::Workload(id) = flow.from else { return };
            for (other, _) in mesh.workloads_with_ids() {
                let same = network.class(other) == network.class(id) && flow.to != End::Workload(other);
                if same {
                    let (left, right) =
                        (network.verdict(&flow), network.verdict(&Flow { from: End::Workload(other), ..flow }));
                    assert_eq!(left.ingress.passage, right.ingress.passage);
                    assert_eq!(left.egress.passage, right.egress.passage);
                    let back = |from| Flow { from: flow.to, to: End::Workload(from), ..flow };
                    let (left, right) = (network.verdict(&back(id)), network.verdict(&back(other)));
                    assert_eq!(left.ingress.passage, right.ingress.passage);
                    assert_eq!(left.egress.passage, right.egress.passage);
                }
            }
        });
    }

    #[test]
    fn a_receiver_that_is_asked_by_many_answers_as_each_flow(cluster in cluster(), of_calico: bool, knows: bool) {
        let policies = if of_calico { cluster.calico(true) } else { cluster.kubernetes() };
        let mesh = mesh(&(cluster.world(knows) + &policies));
        let network = Network::new(&mesh);
        for_each_flow(&cluster, &mesh, |(flow, ..)| {
            let End::Workload(to) = flow.to else { return };
            let verdict = network.verdict(&flow);
            let received = network.receiver(to, flow.protocol, flow.port).receives(flow.from);
            assert_eq!((received, network.sends(&flow)), (verdict.ingress.passage, verdict.egress.passage));
            assert!(network.restricts_receiver(to) || received == Passage::Allowed);
            let End::Workload(from) = flow.from else { return };
            assert!(network.restricts_sender(from) || verdict.egress.passage == Passage::Allowed);
        });
    }

    #[test]
    fn senders_that_a_receiver_does_not_tell_apart_get_one_answer(cluster in cluster(), of_calico: bool, knows: bool) {
        let policies = if of_calico { cluster.calico(true) } else { cluster.kubernetes() };
        let mesh = mesh(&(cluster.world(knows) + &policies));
        for network in [Network::new(&mesh), Network::with_pod_networks(&mesh, &pod_networks())] {
            let senders = network.senders();
            for (to, _) in mesh.workloads_with_ids() {
                for port in PORTS {
                    let mut receiver = network.receiver(to, Transport::Tcp, port);
                    let Some(apart) = receiver.told_apart(&senders) else { continue };
                    let rest = mesh.workloads_with_ids().map(|(id, _)| id);
                    let rest = rest.filter(|id| apart.binary_search(&network.class(*id)).is_err());
                    let mut answers: Vec<Passage> = rest.map(|id| receiver.receives(End::Workload(id))).collect();
                    answers.dedup();
                    assert!(answers.len() <= 1, "{to:?} {port} {answers:?}");
                }
            }
        }
    }
}
