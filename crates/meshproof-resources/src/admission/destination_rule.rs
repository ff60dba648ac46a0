//! istiod's rules for DestinationRule (Istio 1.32, `ValidateDestinationRule`).

use std::collections::HashSet;

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::{client_tls, connection_pool, load_balancer, selector, view};
use crate::schema::values::{
    is_dns_label, is_label_key, is_qualified_name, is_wildcard_dns_label, parse_address, parse_int,
};
use crate::schema::{Path, shown};

/// Checks an object that fits its types.
pub(super) fn validate(collector: &mut Collector, object: NodeRef<'_>) {
    let path = Path::Root.field("spec");
    // An object without a spec is a rule without a host.
    let spec = view::field(object, "spec").unwrap_or(object);
    let namespace =
        view::field(object, "metadata").map_or("", |metadata| view::string(metadata, "namespace"));
    if let Some(message) = wildcard_domain_problem(view::string(spec, "host")) {
        collector.refuse(&path.field("host"), view::field(spec, "host").unwrap_or(spec), message);
    }
    traffic_policy(collector, spec, namespace, &path);
    let mut names = HashSet::new();
    for (index, subset) in view::items(spec, "subsets") {
        let list = path.field("subsets");
        let path = list.item(index);
        let name = view::string(subset, "name");
        if !names.insert(name) {
            let node = view::field(subset, "name").unwrap_or(subset);
            collector.refuse(
                &path.field("name"),
                node,
                format!("the subset name {} stands twice", shown(name)),
            );
        }
        collector.errors_only(|collector| self::subset(collector, subset, namespace, &path));
    }
    let selected = view::field(spec, "workloadSelector").is_some();
    export_to(collector, spec, namespace, selected, &path);
    selector::workload_selector(collector, spec, "workloadSelector", &path);
}

fn subset(collector: &mut Collector, subset: NodeRef<'_>, namespace: &str, path: &Path<'_>) {
    let name = view::string(subset, "name");
    if !is_dns_label(name) {
        let node = view::field(subset, "name").unwrap_or(subset);
        let message = if name.is_empty() {
            "a subset needs a name".to_owned()
        } else {
            format!("{} is no subset name: use letters, digits and `-` inside", shown(name))
        };
        collector.refuse(&path.field("name"), node, message);
    }
    for (key, value) in view::field(subset, "labels").into_iter().flat_map(NodeRef::entries) {
        let Some(label) = key.key_text() else { continue };
        let labels = path.field("labels");
        if !is_label_key(&label) {
            collector.refuse(&labels.field(&label), key, format!("{} is no label key", shown(&label)));
        }
        let text = view::text(value);
        if !text.is_empty() && !is_qualified_name(text) {
            collector.refuse(&labels.field(&label), value, format!("{} is no label value", shown(text)));
        }
    }
    traffic_policy(collector, subset, namespace, path);
}

fn traffic_policy(collector: &mut Collector, holder: NodeRef<'_>, namespace: &str, path: &Path<'_>) {
    let Some((key, policy)) = view::entry(holder, "trafficPolicy") else { return };
    let path = path.field("trafficPolicy");
    let single = [
        "outlierDetection",
        "connectionPool",
        "loadBalancer",
        "tls",
        "tunnel",
        "proxyProtocol",
        "retryBudget",
    ];
    let has_ports = view::has_items(policy, "portLevelSettings");
    if !has_ports && !single.iter().any(|name| view::field(policy, name).is_some()) {
        collector.refuse(&path, key, "the traffic policy is empty: set something or delete it");
        return;
    }
    if let (Some(_), Some((key, _))) = (view::field(policy, "tunnel"), view::entry(policy, "proxyProtocol")) {
        collector.refuse(&path, key, "`tunnel` and `proxyProtocol` exclude each other");
        return;
    }
    settings(collector, policy, namespace, &path);
    for (index, port) in view::items(policy, "portLevelSettings") {
        let list = path.field("portLevelSettings");
        collector.errors_only(|collector| port_policy(collector, port, namespace, &list.item(index)));
    }
    tunnel(collector, policy, &path);
}

/// What a policy and the policy of one port have in common.
fn settings(collector: &mut Collector, policy: NodeRef<'_>, namespace: &str, path: &Path<'_>) {
    connection_pool::outlier_detection(collector, policy, path);
    connection_pool::validate(collector, policy, path);
    load_balancer::validate(collector, policy, path);
    client_tls::validate(collector, policy, namespace, path);
}

fn port_policy(collector: &mut Collector, port: NodeRef<'_>, namespace: &str, path: &Path<'_>) {
    if view::field(port, "port").is_none() {
        collector.refuse(&path.field("port"), port, "the settings of a port need `port.number`");
    }
    let known = ["outlierDetection", "connectionPool", "loadBalancer", "tls"];
    if !known.iter().any(|name| view::field(port, name).is_some()) {
        let message = "the settings of this port are empty: set something or delete the item";
        collector.refuse(path, port, message);
        return;
    }
    settings(collector, port, namespace, path);
}

fn tunnel(collector: &mut Collector, policy: NodeRef<'_>, path: &Path<'_>) {
    let Some(tunnel) = view::field(policy, "tunnel") else { return };
    let path = path.field("tunnel");
    let node = |name| view::field(tunnel, name).unwrap_or(tunnel);
    if !matches!(view::string(tunnel, "protocol"), "" | "CONNECT" | "POST") {
        collector.refuse(&path.field("protocol"), node("protocol"), "the tunnel protocol is CONNECT or POST");
    }
    let host = view::string(tunnel, "targetHost");
    if domain_problem(host).is_some() && parse_address(host).is_none() {
        let message = format!("{} is neither a host name nor an IP address", shown(host));
        collector.refuse(&path.field("targetHost"), node("targetHost"), message);
    }
    if !(1.0..=65535.0).contains(&view::number_field(tunnel, "targetPort")) {
        collector.refuse(&path.field("targetPort"), node("targetPort"), "the target port is 1 to 65535");
    }
}

/// `validateExportTo`.
fn export_to(collector: &mut Collector, spec: NodeRef<'_>, namespace: &str, selected: bool, path: &Path<'_>) {
    let Some((key, list)) = view::entry(spec, "exportTo") else { return };
    let path = path.field("exportTo");
    let mut seen = HashSet::new();
    let mut count = 0;
    for (index, item) in list.items().enumerate() {
        count += 1;
        let entry = view::text(item);
        let meant = if entry == "." { namespace } else { entry };
        if seen.contains(meant) {
            let message = format!("{} stands twice (`.` is the rule's own namespace)", shown(entry));
            collector.refuse(&path.item(index), item, message);
        } else if meant == "~" {
            collector.refuse(&path.item(index), item, "`~` (nobody) is not allowed for a DestinationRule");
        } else if meant != "*" && meant != "." && !is_dns_label(meant) {
            let message = format!("{} is neither `.`, `*` nor the name of a namespace", shown(entry));
            collector.refuse(&path.item(index), item, message);
        } else {
            seen.insert(meant);
        }
    }
    if selected && !seen.is_empty() && (seen.len() > 1 || !seen.contains(namespace)) {
        let message = "a rule with a workloadSelector can be exported to its own namespace only";
        collector.refuse_with_help(&path, key, message, "write `exportTo: [\".\"]` or delete the selector");
    }
    if seen.contains("*") && count > 1 {
        collector.refuse(&path, key, "`*` already exports to every namespace: delete the other entries");
    }
}

/// `ValidateWildcardDomain`: the first label may be or start with a star.
fn wildcard_domain_problem(host: &str) -> Option<String> {
    if let Some(problem) = length_problem(host) {
        return Some(problem);
    }
    let (first, rest) = host.split_once('.').map_or((host, None), |(first, rest)| (first, Some(rest)));
    if !is_wildcard_dns_label(first) {
        return Some(format!("{} is no host name: the part {} is not valid", shown(host), shown(first)));
    }
    rest.and_then(|rest| labels_problem(host, rest))
}

/// `ValidateFQDN`.
fn domain_problem(host: &str) -> Option<String> {
    length_problem(host).or_else(|| labels_problem(host, host))
}

fn length_problem(host: &str) -> Option<String> {
    match host.len() {
        0 => Some("a host is missing".to_owned()),
        1..=255 => None,
        _ => Some("a host name can have 255 characters at most".to_owned()),
    }
}

/// `ValidateDNS1123Labels`; `host` is for the message only.
fn labels_problem(host: &str, labels: &str) -> Option<String> {
    let last = labels.rsplit('.').next().unwrap_or("");
    if parse_int(last).is_some() {
        return Some(format!("{} is no host name: its last part is a number", shown(host)));
    }
    let count = labels.split('.').count();
    // The last part may be empty: `istio.io.` is unambiguous.
    let mut parts = labels.split('.').enumerate();
    let (_, bad) =
        parts.find(|&(index, part)| !is_dns_label(part) && (index + 1 < count || !part.is_empty()))?;
    Some(format!("{} is no host name: the part {} is not valid", shown(host), shown(bad)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in ["a", "*", "*.a", "*-a.b", "a.b.", "A.b", "a.", "a.b99999999999999999999"] {
            assert_eq!(wildcard_domain_problem(good), None, "{good}");
        }
        for bad in ["", "a.*", "a_b", "a..b", "10.0.0.1", "a.80", "-a", "*.*.a", "a.b..", "a..", ".a"] {
            assert!(wildcard_domain_problem(bad).is_some(), "{bad}");
        }
    }
}
