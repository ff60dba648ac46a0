//! istiod's rules for AuthorizationPolicy (Istio 1.32, `ValidateAuthorizationPolicy`).

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::security_values::{self as values, Values};
use super::{selector, view};
use crate::schema::Path;

/// The actions by their numbers in the API.
pub(super) const ACTIONS: [&str; 4] = ["ALLOW", "DENY", "AUDIT", "CUSTOM"];
const DENY: usize = 1;
const CUSTOM: usize = 3;

/// Lists of a source with the checks of their values.
pub(super) const SOURCE_LISTS: [(&str, Values); 14] = [
    ("principals", Values::Any),
    ("notPrincipals", Values::Any),
    ("requestPrincipals", Values::Any),
    ("notRequestPrincipals", Values::Any),
    ("namespaces", Values::Any),
    ("notNamespaces", Values::Any),
    ("serviceAccounts", Values::ServiceAccounts),
    ("notServiceAccounts", Values::ServiceAccounts),
    ("trustDomains", Values::TrustDomains),
    ("notTrustDomains", Values::TrustDomains),
    ("ipBlocks", Values::Addresses),
    ("notIpBlocks", Values::Addresses),
    ("remoteIpBlocks", Values::Addresses),
    ("notRemoteIpBlocks", Values::Addresses),
];

/// Lists of an operation with the checks of their values.
pub(super) const OPERATION_LISTS: [(&str, Values); 8] = [
    ("hosts", Values::Any),
    ("notHosts", Values::Any),
    ("ports", Values::Ports),
    ("notPorts", Values::Ports),
    ("methods", Values::Any),
    ("notMethods", Values::Any),
    ("paths", Values::Paths),
    ("notPaths", Values::Paths),
];

/// Lists that a TCP proxy can judge. `trustDomains` is not among them in istiod's own count.
const TCP_SOURCES: [&str; 10] = [
    "principals",
    "notPrincipals",
    "namespaces",
    "notNamespaces",
    "serviceAccounts",
    "notServiceAccounts",
    "ipBlocks",
    "notIpBlocks",
    "remoteIpBlocks",
    "notRemoteIpBlocks",
];

/// Checks an object that fits its types.
pub(super) fn validate(collector: &mut Collector, object: NodeRef<'_>) {
    let spec = view::field(object, "spec");
    let path = Path::Root.field("spec");
    let Some(spec) = spec else { return };
    selector::attachment(collector, spec, &path);
    let action = view::choice(spec, "action", &ACTIONS);
    action_and_rules(collector, spec, action, &path);
    let rules = path.field("rules");
    for (index, rule) in view::items(spec, "rules") {
        let path = rules.item(index);
        if action == CUSTOM {
            custom_rule(collector, rule, &path);
        }
        self::rule(collector, rule, action, &path);
    }
}

fn action_and_rules(collector: &mut Collector, spec: NodeRef<'_>, action: usize, path: &Path<'_>) {
    let written = view::field(spec, "action").unwrap_or(spec);
    let has_rules = view::has_items(spec, "rules");
    if (action == DENY || action == CUSTOM) && !has_rules {
        collector.refuse_with_help(
            &path.field("action"),
            written,
            format!("{} without rules never applies to any request", ACTIONS[action]),
            "add rules; a rule that is empty (`- {}`) matches every request",
        );
    }
    let provider = view::entry(spec, "provider");
    if action == CUSTOM {
        let named = provider.is_some_and(|(_, provider)| !view::string(provider, "name").is_empty());
        if has_rules && !named {
            let node = provider.map_or(written, |(_, provider)| provider);
            let message =
                "CUSTOM needs `provider.name`, the name of an extension provider in the mesh configuration";
            collector.refuse(&path.field("provider"), node, message);
        }
    } else if let Some((key, _)) = provider {
        let action = ACTIONS.get(action).copied().unwrap_or("this action");
        let message = format!("`provider` belongs to action CUSTOM and cannot stand beside {action}");
        collector.refuse(&path.field("provider"), key, message);
    }
}

/// External authorizers cannot be asked about identities of the mesh or tokens.
fn custom_rule(collector: &mut Collector, rule: NodeRef<'_>, path: &Path<'_>) {
    let help = "keep these tests in an ALLOW or DENY policy of their own";
    for (index, from) in view::items(rule, "from") {
        let Some(source) = view::field(from, "source") else { continue };
        for (name, _) in &SOURCE_LISTS[..10] {
            if let Some((key, _)) =
                view::entry(source, name).filter(|(_, list)| list.items().next().is_some())
            {
                let list = path.field("from");
                let item = list.item(index);
                let source = item.field("source");
                let message = format!("action CUSTOM does not support `{name}`");
                collector.refuse_with_help(&source.field(name), key, message, help);
            }
        }
    }
    for (index, when) in view::items(rule, "when") {
        let key = view::string(when, "key");
        let identity = matches!(
            key,
            "source.namespace" | "source.serviceAccount" | "source.trustDomain" | "source.principal"
        );
        if identity || key.starts_with("request.auth.") {
            let node = view::field(when, "key").unwrap_or(when);
            let list = path.field("when");
            let message = format!("action CUSTOM does not support conditions on `{key}`");
            collector.refuse_with_help(&list.item(index).field("key"), node, message, help);
        }
    }
}

fn rule(collector: &mut Collector, rule: NodeRef<'_>, action: usize, path: &Path<'_>) {
    let (mut sources, mut tcp_sources) = (false, false);
    let from = path.field("from");
    for (index, item) in view::items(rule, "from") {
        let path = from.item(index);
        let Some(source) = view::field(item, "source") else {
            let message = "this item of `from` has no `source`, so it says nothing about the caller";
            collector.refuse(&path.field("source"), item, message);
            continue;
        };
        sources = true;
        tcp_sources |= TCP_SOURCES.iter().any(|name| view::has_items(source, name));
        self::source(collector, source, &path.field("source"));
    }
    let (mut operations, mut ports) = (false, false);
    let to = path.field("to");
    for (index, item) in view::items(rule, "to") {
        let path = to.item(index);
        let Some(operation) = view::field(item, "operation") else {
            let message = "this item of `to` has no `operation`, so it says nothing about the request";
            collector.refuse(&path.field("operation"), item, message);
            continue;
        };
        operations = true;
        ports |= view::has_items(operation, "ports") || view::has_items(operation, "notPorts");
        lists(collector, operation, &OPERATION_LISTS, "operation", &path.field("operation"));
    }
    for (index, condition) in view::items(rule, "when") {
        let when = path.field("when");
        self::condition(collector, condition, &when.item(index));
    }
    if action == DENY && ((sources && !operations && !tcp_sources) || (operations && !ports)) {
        collector.warn(
            path,
            rule,
            "on TCP ports this rule denies every connection: it tests HTTP attributes only, and those are left out there",
            "add `to.operation.ports` with the HTTP ports that are meant",
        );
    }
}

fn source(collector: &mut Collector, source: NodeRef<'_>, path: &Path<'_>) {
    let first = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| view::entry(source, name).filter(|(_, list)| list.items().next().is_some()))
    };
    let accounts = first(&["serviceAccounts", "notServiceAccounts"]);
    let others = first(&["principals", "notPrincipals", "namespaces", "notNamespaces"]);
    if let (Some(_), Some((other, _))) = (accounts, others) {
        collector.refuse_with_help(
            path,
            other,
            "service accounts cannot be combined with principals or namespaces in one source",
            "put one of them in a source of its own (sources are alternatives), or use one form",
        );
    }
    lists(collector, source, &SOURCE_LISTS, "source", path);
}

/// Every list of a source or operation; at least one has values.
fn lists(
    collector: &mut Collector,
    holder: NodeRef<'_>,
    known: &[(&str, Values)],
    what: &str,
    path: &Path<'_>,
) {
    if !known.iter().any(|(name, _)| view::has_items(holder, name)) {
        collector.refuse_with_help(
            path,
            holder,
            format!("this {what} is empty, so it tests nothing"),
            format!(
                "name what it should match, or delete the item: a rule without `{what}` items matches all"
            ),
        );
    }
    for (name, check) in known {
        if let Some(list) = view::field(holder, name) {
            values::check(collector, *check, list, &path.field(name));
        }
    }
}

fn condition(collector: &mut Collector, condition: NodeRef<'_>, path: &Path<'_>) {
    let key = view::string(condition, "key");
    let node = view::field(condition, "key").unwrap_or(condition);
    if key.is_empty() {
        collector.refuse(&path.field("key"), node, "a condition needs a `key`");
        return;
    }
    if !view::has_items(condition, "values") && !view::has_items(condition, "notValues") {
        let message = format!("the condition on `{key}` has neither `values` nor `notValues`");
        collector.refuse(path, condition, message);
        return;
    }
    match values::of_attribute(key) {
        Ok(check) => {
            for name in ["values", "notValues"] {
                if let Some(list) = view::field(condition, name) {
                    values::check(collector, check, list, &path.field(name));
                }
            }
        }
        Err(problem) => {
            collector.refuse_with_help(&path.field("key"), node, problem.message, problem.help);
        }
    }
}
