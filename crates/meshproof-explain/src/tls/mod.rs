//! The effective mTLS of every port and what becomes of each client's connections, in words.
//!
//! The classes of clients and their answers come from [`meshproof_transport::Table`]; network policies split them further
//! where they have a say.

mod answer;
mod clients;
mod fold;
mod listeners;
mod packets;
mod rows;

pub use answer::{Because, TlsClients, TlsPort, TlsRow, TlsTable};

use meshproof_grammar::spiffe::SpiffeId;
use meshproof_ir::{Identity, Mesh, WorkloadId};
use meshproof_network::Network;
use meshproof_transport::{Callers, Transport, Wanted};

use crate::assumed;
use crate::names::{self, Unclear};
use crate::question::{Destination, Subject};

/// Which part of the table is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsQuestion {
    /// Only calls of this client.
    pub from: Option<Subject>,
    /// Only calls from this cluster.
    pub from_cluster: Option<String>,
    /// Only the workload of this cluster.
    pub to_cluster: Option<String>,
    /// Only this workload, and only its port if one is given.
    pub to: Option<Destination>,
    /// How many clients of a group are named; the others are counted.
    pub names: usize,
}

/// Whose calls are meant.
enum Asked {
    Everybody,
    Workloads(Vec<WorkloadId>),
    Plaintext,
    Identity(Identity),
}

/// Answers for all ports of a mesh, or for those that are asked for.
///
/// # Errors
/// A name that the mesh does not know, with what was probably meant.
pub fn tls(mesh: &Mesh, question: &TlsQuestion) -> Result<TlsTable, Unclear> {
    let mut notes = assumed::of_all(mesh);
    let workloads = |to: &Destination| {
        let found = names::workloads(mesh, &to.namespace, &to.name)?;
        names::in_cluster(mesh, found, question.to_cluster.as_deref(), &to.to_string())
    };
    let to = question.to.as_ref().map(workloads).transpose()?;
    let asked = match &question.from {
        Some(subject) => asked(mesh, subject, question.from_cluster.as_deref(), &mut notes)?,
        None => Asked::Everybody,
    };
    let callers = match &asked {
        Asked::Everybody => Callers::Everybody,
        Asked::Workloads(ids) => Callers::Workloads(ids),
        Asked::Plaintext => Callers::Plaintext,
        Asked::Identity(identity) => Callers::Identity(identity),
    };
    let wanted = Wanted { to: to.as_deref(), port: question.to.as_ref().and_then(|to| to.port) };
    let transport = Transport::new(mesh);
    let network = Network::new(mesh);
    let table =
        transport.table(&callers, wanted, |id| if network.is_empty() { 0 } else { network.class(id).0 });
    let address = match &question.from {
        Some(Subject::Plaintext(address)) => *address,
        _ => None,
    };
    let identity = match &asked {
        Asked::Identity(identity) => identity.spiffe_id(),
        _ => None,
    };
    let mut telling = rows::Telling {
        transport: &transport,
        roster: &table.roster,
        packets: packets::Packets::new(&network, &table.roster, address),
        who: clients::Naming::new(mesh, &table.roster, question.names, identity),
    };
    let mut rows: Vec<TlsRow> = table.rows.iter().map(|row| telling.row(row)).collect();
    // What gateways take does not depend on who of the mesh calls.
    if question.from.is_none() || question.to.is_some() {
        rows.extend(table.listeners.iter().map(|listener| listeners::row(mesh, listener)));
    }
    if question.to.is_none() && question.from.is_some() {
        rows.retain(|row| !row.clients.is_empty());
    }
    if let (true, Some(to)) = (rows.is_empty(), &question.to) {
        let hint = format!("say which one is meant: {to}:8080");
        return Err(Unclear::new(format!("{to} declares no port"), Some(hint)));
    }
    rows.sort_by(|a, b| (&a.to, &a.cluster, a.port, &a.mode).cmp(&(&b.to, &b.cluster, b.port, &b.mode)));
    Ok(TlsTable { rows: fold::fold(rows), notes })
}

fn asked(
    mesh: &Mesh,
    subject: &Subject,
    cluster: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Asked, Unclear> {
    let of_cluster = |found| names::in_cluster(mesh, found, cluster, &subject.to_string());
    if cluster.is_some() && matches!(subject, Subject::Identity(_) | Subject::Plaintext(_)) {
        let hint = "name a service account or a workload:NAMESPACE/NAME".to_owned();
        return Err(Unclear::new(format!("{subject} is of no cluster"), Some(hint)));
    }
    Ok(match subject {
        Subject::Workload { namespace, name } => {
            Asked::Workloads(of_cluster(names::workloads(mesh, namespace, name)?)?)
        }
        Subject::Account { namespace, account } => {
            names::account(mesh, namespace, account)?;
            let identities: Vec<&Identity> = mesh.accounts_named(namespace, account).collect();
            let workloads: Vec<WorkloadId> =
                identities.iter().flat_map(|identity| &identity.workloads).copied().collect();
            match (identities.first(), workloads.is_empty()) {
                (Some(identity), true) => {
                    let text = "no workload of the input runs as";
                    notes.push(format!("{text} {subject}; it is taken for one with a sidecar"));
                    Asked::Identity((*identity).clone())
                }
                _ => Asked::Workloads(of_cluster(workloads)?),
            }
        }
        Subject::Identity(principal) => match SpiffeId::parse_principal(principal) {
            Ok(id) => Asked::Identity(Identity {
                trust_domain: Some(id.trust_domain),
                namespace: Some(id.namespace),
                account: id.service_account,
                namespaces: Vec::new(),
                objects: Vec::new(),
                workloads: Vec::new(),
            }),
            Err(error) => return Err(Unclear::new(format!("`{principal}` is no identity: {error}"), None)),
        },
        Subject::Plaintext(_) => Asked::Plaintext,
    })
}
