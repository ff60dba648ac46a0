//! Which workloads or targets a policy names: rules shared by several kinds (Istio 1.32, `validateWorkloadSelector`,
//! `validatePolicyTargetReference`, `validateOneOfSelectorType`).

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::view;
use crate::schema::Path;

/// What a target reference may name, besides a version that nobody looks at.
const TARGETS: [(&str, &str); 4] = [
    ("", "Service"),
    ("networking.istio.io", "ServiceEntry"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
];

/// Checks `selector`, `targetRef` and `targetRefs` of a policy.
pub(super) fn attachment(collector: &mut Collector, spec: NodeRef<'_>, path: &Path<'_>) {
    let selector = view::entry(spec, "selector");
    let target = view::entry(spec, "targetRef");
    let targets = view::entry(spec, "targetRefs").filter(|(_, list)| list.items().next().is_some());
    if let Some((second, _)) = [selector, target, targets].into_iter().flatten().nth(1) {
        collector.refuse_with_help(
            path,
            second,
            "only one of `selector`, `targetRef` and `targetRefs` can be set",
            "use a selector for workloads, targetRefs for gateways, services and waypoints; write two policies for both",
        );
    }
    workload_selector(collector, spec, "selector", path);
    if let Some((_, target)) = target {
        reference(collector, target, &path.field("targetRef"));
    }
    for (index, target) in view::items(spec, "targetRefs") {
        reference(collector, target, &path.field("targetRefs").item(index));
    }
}

/// Checks a selector of labels under `name`.
pub(super) fn workload_selector(collector: &mut Collector, spec: NodeRef<'_>, name: &str, path: &Path<'_>) {
    let Some((key, selector)) = view::entry(spec, name) else { return };
    let path = path.field(name);
    let labels = view::field(selector, "matchLabels");
    let mut empty = true;
    for (label, value) in labels.into_iter().flat_map(NodeRef::entries) {
        empty = false;
        let Some(name) = label.key_text() else { continue };
        let labels = path.field("matchLabels");
        if name.is_empty() {
            collector.refuse(&labels.field(&name), label, "a label key cannot be empty");
        }
        let starred = if name.contains('*') { Some(label) } else { None };
        if let Some(node) = starred.or_else(|| view::text(value).contains('*').then_some(value)) {
            let message = "selectors take whole keys and values only: `*` does not stand for anything";
            collector.refuse(&labels.field(&name), node, message);
        }
    }
    if empty {
        collector.warn(
            &path,
            key,
            "the selector has no labels, so it selects every workload in scope",
            "delete the selector to say the same clearly, or add the labels it lacks",
        );
    }
}

fn reference(collector: &mut Collector, target: NodeRef<'_>, path: &Path<'_>) {
    if view::string(target, "name").is_empty() {
        let node = view::field(target, "name").unwrap_or(target);
        collector.refuse(&path.field("name"), node, "a target needs a name");
    }
    if let Some(namespace) = view::field(target, "namespace").filter(|node| !view::text(*node).is_empty()) {
        let message = "a target cannot be in another namespace: it is looked up beside the policy";
        collector.refuse_with_help(&path.field("namespace"), namespace, message, "delete `namespace`");
    }
    let (group, kind) = (view::string(target, "group"), view::string(target, "kind"));
    let canonical = if group == "core" { "" } else { group };
    if !TARGETS.contains(&(canonical, kind)) {
        let node = view::field(target, "kind").unwrap_or(target);
        let group = if group.is_empty() { "core" } else { group };
        collector.refuse_with_help(
            &path.field("kind"),
            node,
            format!("a policy cannot target {group}/{kind}"),
            "targets are Service (group core or \"\"), ServiceEntry (networking.istio.io), Gateway and GatewayClass \
             (gateway.networking.k8s.io)",
        );
    }
}
