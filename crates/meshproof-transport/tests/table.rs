//! The table says of each client what a call of that client alone says, in every recorded mesh: classes of clients are
//! never coarser than the truth.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use meshproof_ir::{BuildOptions, Capture, Fact, Layer, Mesh, WorkloadId};
use meshproof_resources::Decoded;
use meshproof_source::SourceId;
use meshproof_transport::{
    Call, Callers, Client, EndpointAddress, Group, Path as Way, Roster, Row, Target, Transport, Via, Wanted,
};
use serde_json::{Value, json};

/// The meshes of a file of vectors.
fn meshes(file: &str) -> Vec<Mesh> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/conformance").join(file);
    let lines = BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap())).lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    lines.filter(|line| line["kind"] == "mesh").map(|line| mesh(&line)).collect()
}

fn mesh(line: &Value) -> Mesh {
    let root = line["meshConfig"]["rootNamespace"].as_str().unwrap_or("istio-system");
    let config = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "istio", "namespace": root },
        "data": { "mesh": line["meshConfig"].to_string() },
    });
    let mut decoded = Decoded::default();
    let objects = line["objects"].as_array().unwrap();
    for (at, object) in objects.iter().chain([&config]).enumerate() {
        let text = object.to_string();
        let parsed = meshproof_yaml::parse(SourceId(at as u32), &text, 0..text.len());
        meshproof_resources::decode(parsed.tree.unwrap().root(), &mut decoded);
    }
    Mesh::build(decoded.resources.into_iter().map(Into::into).collect(), &BuildOptions::default())
}

fn groups_of<'r>(roster: &Roster, row: &'r Row, client: WorkloadId) -> Vec<&'r Group> {
    let has = |group: &&Group| roster.parts(&group.clients).any(|(_, part)| part.workloads.contains(&client));
    row.groups.iter().filter(has).collect()
}

fn names_route(mesh: &Mesh, evidence: &meshproof_transport::Evidence) -> bool {
    let object = evidence.object.map(|id| &mesh.resource(id).spec);
    matches!(object, Some(meshproof_resources::Spec::VirtualService(_)))
}

/// Compares a row with the calls of one client; how many were compared.
fn compare(transport: &Transport<'_>, roster: &Roster, row: &Row, client: WorkloadId) -> usize {
    let mesh = transport.mesh();
    let found = groups_of(roster, row, client);
    let mut compared = 0;
    let mut vias: Vec<&Via> = row.groups.iter().flat_map(|group| &group.via).collect();
    vias.sort_by_key(|via| format!("{via:?}"));
    vias.dedup();
    for via in vias {
        let (target, port, subset) = match via {
            Via::Host(host, port) => (Target::Host(host), *port, None),
            Via::Routed { to, subset, .. } => (Target::Host(&to.0), to.1, subset.as_deref()),
            Via::Address => (Target::Workload(row.workload), row.port, None),
        };
        let groups: Vec<&&Group> = found.iter().filter(|group| group.via.contains(via)).collect();
        // The address stands with each host that has the same effect.
        assert!(groups.len() <= 1 || *via == Via::Address, "a client is in two groups: {groups:#?}");
        let call = Call { client: Client::Workload(client), target, port, subset, speaks: Layer::Http };
        let outcome = transport.call(&call);
        let here = |endpoint: &&meshproof_transport::EndpointOutcome| {
            endpoint.endpoint == EndpointAddress::Workload(row.workload) && endpoint.port == row.port
        };
        let endpoint = outcome.endpoints.iter().find(here);
        let Some(group) = groups.first() else {
            // Calls to the address are left out where they are not different, and where nobody calls.
            let calls_none = matches!(
                mesh.workload(client).capture,
                Fact::Known(Capture::Waypoint | Capture::Gateway, _) | Fact::Unknown(_)
            );
            let is_same = *via == Via::Address && !found.is_empty();
            // Where a VirtualService sends calls on, nobody gets there in another way.
            let is_routed = match via {
                Via::Host(host, port) => {
                    let routed = transport.routed(client, host, *port, Layer::Http);
                    !routed.destinations.is_empty() || routed.lost.is_some()
                }
                Via::Routed { .. } => true,
                Via::Address => false,
            };
            assert!(
                endpoint.is_none() || calls_none || is_same || is_routed,
                "{via:?} {client:?} is left out: {row:#?}"
            );
            continue;
        };
        if group.reception.through.is_some() || matches!(mesh.workload(client).capture, Fact::Unknown(_)) {
            continue;
        }
        compared += 1;
        match endpoint {
            Some(endpoint) => {
                assert_eq!(group.reception.sends.as_ref(), Some(&endpoint.wire), "{via:?} {row:#?}");
                assert_eq!(group.reception.result, endpoint.result, "{via:?} {row:#?}");
                assert_eq!(group.reception.identified, endpoint.identity.is_some(), "{via:?} {row:#?}");
                let said: Vec<_> = outcome.evidence.iter().chain(&endpoint.evidence).collect();
                let sent_on =
                    usize::from(group.reception.client.first().is_some_and(|one| names_route(mesh, one)));
                let told: Vec<_> = group.reception.client.iter().skip(sent_on).collect();
                assert!(group.and_alike || *via == Via::Address || said == told, "{said:#?}\n{told:#?}");
            }
            None => {
                assert_eq!(group.reception.sends, None, "{via:?} {client:?} {row:#?}");
                let refuses = matches!(outcome.path, Way::Blackhole | Way::NoCluster);
                assert!(refuses || !outcome.unknown.is_empty(), "{outcome:#?}");
            }
        }
    }
    compared
}

fn compare_all(file: &str) -> usize {
    let mut compared = 0;
    for mesh in meshes(file) {
        let transport = Transport::new(&mesh);
        let table = transport.table(&Callers::Everybody, Wanted::default(), |_| 0);
        for row in &table.rows {
            for (client, _) in mesh.workloads_with_ids() {
                compared += compare(&transport, &table.roster, row, client);
            }
        }
    }
    compared
}

#[test]
fn classes_agree_with_calls_of_each_client() {
    let compared = compare_all("transport-1.jsonl.gz") + compare_all("transport-2.jsonl.gz");
    assert!(compared > 20_000, "only {compared} calls were compared");
}

#[test]
fn a_filter_leaves_the_answers_as_they_are() {
    for mesh in meshes("transport-2.jsonl.gz").into_iter().take(20) {
        let transport = Transport::new(&mesh);
        let all = transport.table(&Callers::Everybody, Wanted::default(), |_| 0);
        for row in &all.rows {
            let wanted = Wanted { to: Some(&[row.workload]), port: Some(row.port) };
            assert_eq!(&transport.table(&Callers::Everybody, wanted, |_| 0).rows, std::slice::from_ref(row));
        }
        for (client, _) in mesh.workloads_with_ids() {
            let of_one = transport.table(&Callers::Workloads(&[client]), Wanted::default(), |_| 0);
            for (one, all_of) in of_one.rows.iter().zip(&all.rows) {
                // At the address a class is told apart as a whole.
                let comparable = |group: &&Group| !group.and_alike && group.via != [Via::Address];
                for group in groups_of(&all.roster, all_of, client).into_iter().filter(comparable) {
                    let same = |own: &&Group| own.reception == group.reception;
                    assert!(one.groups.iter().any(|own| same(&own)), "{group:#?}\n{one:#?}");
                }
            }
        }
    }
}

/// A Sidecar in every namespace: the clients of a host are those of its namespace, those that name it, and the rest.
#[test]
fn sidecars_that_say_the_same_share_an_answer() {
    let count = 12;
    let mut text = String::new();
    for at in 0..count {
        let namespace = format!("n{at:02}");
        text += &common::injected(&namespace);
        text += &common::pod(&namespace, "p", "p", "");
        text += &common::service(&namespace, "p", "http", "");
        // Every third one imports what the first namespace has.
        let more = if at % 3 == 1 { ", n00/*" } else { "" };
        text += &format!(
            "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: default, namespace: {namespace}}}\n\
             spec: {{outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}, egress: [{{hosts: [./*{more}]}}]}}\n---\n"
        );
    }
    let mesh = common::mesh(&text);
    let transport = Transport::new(&mesh);
    let table = transport.table(&Callers::Everybody, Wanted::default(), |_| 0);
    let mut compared = 0;
    for row in &table.rows {
        for (client, _) in mesh.workloads_with_ids() {
            compared += compare(&transport, &table.roster, row, client);
        }
        let is_host = |group: &&Group| group.via.iter().any(|via| *via != Via::Address);
        let sizes: Vec<usize> = row
            .groups
            .iter()
            .filter(is_host)
            .map(|group| table.roster.kinds(&group.clients).values().sum())
            .collect();
        // The last group is that of somebody without a proxy.
        let is_first = mesh.namespace(mesh.workload(row.workload).namespace).name.as_deref() == Some("n00");
        let known = if is_first { 5 } else { 1 };
        let mut expected = vec![0, known, count - known];
        let mut found = sizes.clone();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{row:#?}");
    }
    assert!(compared >= count * count, "only {compared} calls were compared");
}
