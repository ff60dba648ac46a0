//! Who asks, as the mesh knows it.

use std::net::IpAddr;

use meshproof_grammar::spiffe::SpiffeId;
use meshproof_ir::{ClusterId, GatewayId, Identity, Mesh, WorkloadId};

use crate::assumed;
use crate::names::{self, Unclear};
use crate::question::Subject;

/// The client of a question.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// What it is called.
    pub display: String,
    /// The workload, when the question names one or the account has one.
    pub workload: Option<WorkloadId>,
    /// The Gateway that it is the waypoint of.
    pub waypoint: Option<GatewayId>,
    /// The identity that its proxy proves, without scheme.
    pub identity: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its cluster, where the question names one.
    pub cluster: Option<ClusterId>,
    /// What was assumed.
    pub notes: Vec<String>,
    /// What the answer hangs on and is not known.
    pub doubts: Vec<String>,
}

impl Client {
    /// The client that a subject names: of the cluster that is named, else of the one that is called where several have it.
    pub fn of(
        mesh: &Mesh,
        subject: &Subject,
        (named, called): (Option<&str>, ClusterId),
    ) -> Result<Client, Unclear> {
        let own = named.map(|name| names::cluster(mesh, name)).transpose()?;
        let cluster = own.unwrap_or(called);
        let of_cluster = |found| names::in_cluster(mesh, found, named, &subject.to_string());
        let is_near = |id: &WorkloadId| mesh.namespace(mesh.workload(*id).namespace).cluster == cluster;
        let mut client = Client {
            display: subject.to_string(),
            workload: None,
            waypoint: None,
            identity: None,
            address: None,
            cluster: own,
            notes: Vec::new(),
            doubts: Vec::new(),
        };
        match subject {
            Subject::Workload { namespace, name } => {
                let all = of_cluster(names::workloads(mesh, namespace, name)?)?;
                let id = all.iter().copied().find(is_near).unwrap_or(all[0]);
                client.display = mesh.workload_display(id);
                client.workload = Some(id);
                client.identity = mesh.identity_of(id).and_then(Identity::principal);
            }
            Subject::Account { namespace, account } => {
                names::account(mesh, namespace, account)?;
                let in_cluster = |identity: &&Identity| identity.workloads.iter().any(is_near);
                let identity = (mesh.accounts_named(namespace, account).find(in_cluster))
                    .or_else(|| mesh.accounts_named(namespace, account).next());
                client.identity = identity.and_then(Identity::principal);
                let mut workloads = identity.map_or(Vec::new(), |identity| identity.workloads.clone());
                if !workloads.is_empty() {
                    workloads = of_cluster(workloads)?;
                }
                let workloads = workloads.as_slice();
                client.workload = workloads.iter().copied().find(is_near).or(workloads.first().copied());
                match differences(mesh, subject, client.workload, workloads) {
                    Some(text) if workloads.is_empty() => client.notes.push(text),
                    text => client.doubts.extend(text),
                }
            }
            Subject::Identity(principal) => client.identity = Some(principal.clone()),
            Subject::Plaintext(address) => client.address = *address,
        }
        client.doubts.extend(client.workload.and_then(|id| assumed::of(mesh, id)));
        Ok(client)
    }

    /// A proxy that sends the request on.
    pub fn proxy(
        mesh: &Mesh,
        workload: Option<WorkloadId>,
        display: String,
        identity: Option<&Identity>,
    ) -> Client {
        let of_workload = || workload.and_then(|id| mesh.identity_of(id));
        let identity = identity.or_else(of_workload).and_then(Identity::principal);
        Client {
            display,
            workload,
            waypoint: None,
            identity,
            address: None,
            cluster: None,
            notes: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// The identity of a client of which nothing else is known.
    pub fn bare_identity(&self) -> Option<Identity> {
        let id = SpiffeId::parse_principal(self.identity.as_deref()?).ok()?;
        Some(Identity {
            trust_domain: Some(id.trust_domain),
            namespace: Some(id.namespace),
            account: id.service_account,
            namespaces: Vec::new(),
            objects: Vec::new(),
            workloads: Vec::new(),
        })
    }
}

/// An account is asked about by one of its workloads; others may call in another way.
fn differences(
    mesh: &Mesh,
    subject: &Subject,
    taken: Option<WorkloadId>,
    all: &[WorkloadId],
) -> Option<String> {
    let Some(taken) = taken else {
        return Some(format!(
            "no workload of the input runs as {subject}; it is taken for one with a sidecar"
        ));
    };
    let capture = |id: WorkloadId| mesh.workload(id).capture.known();
    let other = all.iter().copied().find(|id| capture(*id) != capture(taken))?;
    let told = |id| mesh.workload_display(id);
    Some(format!(
        "which workload calls: {subject} is taken for {}, and {}, which runs as the same account, calls in another way",
        told(taken),
        told(other)
    ))
}
