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

use meshproof_ir::Mesh;
use meshproof_network::Network;
use meshproof_transport::{Callers, Transport, Wanted};

use crate::asked::Asked;
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
    let subject = question.from.as_ref();
    let asked = subject.map(|subject| Asked::of(mesh, subject, question.from_cluster.as_deref(), &mut notes));
    let asked = asked.transpose()?;
    let callers = match &asked {
        None => Callers::Everybody,
        Some(Asked::Workloads(ids)) => Callers::Workloads(ids),
        Some(Asked::Plaintext) => Callers::Plaintext,
        Some(Asked::Identity(identity)) => Callers::Identity(identity),
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
        Some(Asked::Identity(identity)) => identity.spiffe_id(),
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
