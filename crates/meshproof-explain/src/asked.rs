//! Whose calls a question about many workloads is about.

use meshproof_grammar::spiffe::SpiffeId;
use meshproof_ir::{Identity, Mesh, WorkloadId};

use crate::names::{self, Unclear};
use crate::question::Subject;

/// Whose calls are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// These workloads; at least one.
    Workloads(Vec<WorkloadId>),
    /// Somebody without an identity.
    Plaintext,
    /// An account that no workload of the input runs as.
    Identity(Identity),
}

impl Asked {
    /// Whom a subject names; of the cluster, where one is named. What was taken for granted goes to `notes`.
    ///
    /// # Errors
    /// A name that the mesh does not know, with what was probably meant.
    pub fn of(
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
                Err(error) => {
                    return Err(Unclear::new(format!("`{principal}` is no identity: {error}"), None));
                }
            },
            Subject::Plaintext(_) => Asked::Plaintext,
        })
    }
}
