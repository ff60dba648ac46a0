//! Proxies that are assumed: the Namespace objects that would tell are not in the input.

use meshproof_ir::{Capture, Fact, Mesh, Namespace, NamespaceId, Origin, UNNAMED, WorkloadId};

/// What is assumed of a workload, with the reason, in the words of what is not known.
pub(crate) fn of(mesh: &Mesh, id: WorkloadId) -> Option<String> {
    let (what, reason) = assumption(mesh, id)?;
    Some(format!("{reason}, so {} is taken to have {what} (--assume)", mesh.workload_display(id)))
}

/// What is assumed of workloads whose Namespace objects are not in the input, in one sentence for each proxy that they are taken
/// to have.
pub fn of_all(mesh: &Mesh) -> Vec<String> {
    let mut of: Vec<(&'static str, Vec<NamespaceId>)> = Vec::new();
    for (id, workload) in mesh.workloads_with_ids() {
        let Some((what, _)) = assumption(mesh, id) else { continue };
        match of.iter_mut().find(|(known, _)| *known == what) {
            Some((_, namespaces)) => namespaces.push(workload.namespace),
            None => of.push((what, vec![workload.namespace])),
        }
    }
    let mut said: Vec<String> =
        of.into_iter().map(|(what, namespaces)| sentence(mesh, what, namespaces)).collect();
    let is_homeless = |namespace: &Namespace| namespace.name.is_none() && !namespace.workloads.is_empty();
    if mesh.namespaces.iter().any(is_homeless) {
        said.push(format!("{UNNAMED} is where objects are that name no namespace; -n NAMESPACE says in which they are applied"));
    }
    said
}

fn sentence(mesh: &Mesh, what: &str, mut namespaces: Vec<NamespaceId>) -> String {
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut names: Vec<&str> =
        namespaces.iter().filter_map(|id| mesh.namespace(*id).name.as_deref()).collect();
    let has_homeless = names.len() < namespaces.len();
    names.sort_unstable();
    names.dedup();
    let (first, rest) = names.split_at(names.len().min(NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let (noun, verb, whose) = match names.len() {
        0 => {
            return format!(
                "workloads that name no namespace are taken to have {what}; --assume says otherwise"
            );
        }
        1 => ("Namespace object", "is", "its"),
        _ => ("Namespace objects", "are", "their"),
    };
    let others = if has_homeless { ", and those that name no namespace," } else { "" };
    format!(
        "the {noun} of {}{more} {verb} not in the input: {whose} workloads{others} are taken to have {what}; --assume says otherwise",
        first.join(", ")
    )
}

/// So many namespaces are named.
const NAMED: usize = 5;

fn assumption(mesh: &Mesh, id: WorkloadId) -> Option<(&'static str, &str)> {
    let workload = mesh.workload(id);
    let Fact::Known(capture, Origin::Assumed) = &workload.capture else { return None };
    let Fact::Unknown(reason) = &mesh.namespace(workload.namespace).labels else { return None };
    let what = match capture {
        Capture::Ambient => "ztunnel in front",
        Capture::None => "no proxy",
        _ => "a sidecar",
    };
    Some((what, reason))
}
