//! Policies that look as if they applied to a workload, and do not.

use meshproof_ir::{Mesh, ResourceId, Workload, WorkloadId};
use meshproof_resources::{Action, AuthorizationPolicy, Text, TextMap};

use crate::answer::{Evidence, PointKind};

/// How many are named.
const NAMED: usize = 3;

/// Slips of the keyboard that make one label value of another.
const SLIPS: usize = 2;

/// AuthorizationPolicies of the workload's namespace that do not apply to it, each with the reason.
pub(crate) fn of(mesh: &Mesh, id: WorkloadId, kind: PointKind) -> Vec<Evidence> {
    let workload = mesh.workload(id);
    let beside = mesh.namespace(workload.namespace).policies.iter().copied();
    let told = |policy: ResourceId| {
        if workload.policies.get(policy).is_some() {
            return None;
        }
        let why = why(workload, mesh.policy(policy)?, kind)?;
        let meta = &mesh.resource(policy).meta;
        Some(Evidence::at(format!("{} does not apply: {why}", meta.name()), meta.span))
    };
    beside.filter_map(told).take(NAMED).collect()
}

fn why(workload: &Workload, policy: &AuthorizationPolicy, kind: PointKind) -> Option<String> {
    if let Some(target) = policy.target_refs.iter().next() {
        return Some(format!(
            "it is for {} {}, and has an effect only at a proxy of that",
            target.kind.value, target.name.value
        ));
    }
    if let Some(selector) = &policy.selector
        && let Some(why) = nearly_selects(&selector.match_labels, &workload.labels)
    {
        return Some(why);
    }
    let is_left_out = matches!(policy.effective_action(), Action::Audit | Action::Custom);
    (kind == PointKind::Ztunnel && is_left_out).then(|| "ztunnel knows ALLOW and DENY only".to_owned())
}

/// Why a selector misses the pods by little: another of its labels fits, or the value is a slip of the keyboard away. What
/// is plainly for other pods is nothing to talk about.
fn nearly_selects(wanted: &TextMap, own: &TextMap) -> Option<String> {
    let fits = |(key, value): &&(Text, Text)| own.get(&key.value).is_some_and(|own| own.value == value.value);
    let (key, value) = wanted.entries.iter().find(|pair| !fits(pair))?;
    let some_fit = wanted.entries.iter().any(|pair| fits(&pair));
    match own.get(&key.value) {
        Some(other) if some_fit || strsim::osa_distance(&value.value, &other.value) <= SLIPS => {
            Some(format!("it selects {}: {}, and the pods have {}", key.value, value.value, other.value))
        }
        None if some_fit => {
            Some(format!("it selects {}: {}, and the pods have no such label", key.value, value.value))
        }
        _ => None,
    }
}
