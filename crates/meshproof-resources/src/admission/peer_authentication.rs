//! istiod's rules for PeerAuthentication (Istio 1.32, `ValidatePeerAuthentication`).

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::{selector, view};
use crate::schema::Path;

/// Checks an object that fits its types.
pub(super) fn validate(collector: &mut Collector, object: NodeRef<'_>) {
    let Some(spec) = view::field(object, "spec") else { return };
    let path = Path::Root.field("spec");
    let labels = view::field(spec, "selector").and_then(|selector| view::field(selector, "matchLabels"));
    let selects = labels.is_some_and(|labels| labels.entries().next().is_some());
    if let Some((key, ports)) = view::entry(spec, "portLevelMtls") {
        let path = path.field("portLevelMtls");
        let empty = ports.entries().next().is_none();
        if !selects && !empty {
            collector.refuse_with_help(
                &path,
                key,
                "`portLevelMtls` works only with a selector that has labels",
                "add `selector.matchLabels`: ports belong to workloads, not to a namespace",
            );
        }
        if empty {
            collector.refuse(&path, key, "`portLevelMtls` is empty: name a port or delete it");
        }
        for (port, _) in ports.entries() {
            let Some(name) = port.key_text() else { continue };
            let number = name.trim_matches(['"', ' ', '\t', '\r', '\n']).parse::<u32>().unwrap_or(0);
            if !(1..=65535).contains(&number) {
                collector.refuse(
                    &path.field(&name),
                    port,
                    format!("{number} is no port: ports are 1 to 65535"),
                );
            }
        }
    }
    selector::workload_selector(collector, spec, "selector", &path);
}
