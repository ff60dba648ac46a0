//! Whether a gateway sends a request on by a route of a VirtualService: the first route that takes it wins (Istio 1.32,
//! core/route/route.go).

use meshproof_ir::Workload;
use meshproof_resources::{HttpMatch, StringMatch, VirtualHttpRoute, VirtualService};

use crate::istio_gateways::{Bound, server_mode};

/// Where requests come from.
pub(super) struct From<'c> {
    /// The Gateway that the VirtualService is bound to, as `namespace/name`.
    pub gateway: &'c str,
    pub bound: &'c Bound<'c>,
    /// The pods of the gateway, whose labels `sourceLabels` ask for.
    pub proxy: &'c Workload,
    /// Their namespace.
    pub namespace: &'c str,
    /// The namespace of the VirtualService, which short names of Gateways mean.
    pub own: &'c str,
}

/// A request without a query, and with no headers but those that every request has.
struct Sent<'w> {
    method: &'w str,
    path: &'w str,
    host: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    No,
    Perhaps,
    Yes,
}

/// Whether the route gets a request of this method and path, which somebody outside sends to a name that fits. Of regular
/// expressions it is not known, so that they neither take it for certain nor leave it.
pub(super) fn admits(
    from: &From<'_>,
    service: &VirtualService,
    route: &VirtualHttpRoute,
    (method, path): (&str, &str),
) -> bool {
    let changes = route.rewrite_uri.is_some() || route.rewrite_authority.is_some() || route.changes.is_some();
    let earlier = service.http.iter().take_while(|other| !std::ptr::eq(*other, route));
    let earlier: Vec<&VirtualHttpRoute> = earlier.collect();
    let by_match = |one: Option<&HttpMatch>| {
        host_for(service, one.and_then(|one| one.authority.as_ref())).is_some_and(|host| {
            let sent = Sent { method, path, host };
            one.is_none_or(|one| takes(from, one, &sent) == Takes::Yes)
                && earlier.iter().all(|other| by_route(from, other, &sent) == Takes::No)
        })
    };
    let is_sent = match route.matches.is_empty() {
        true => by_match(None),
        false => route.matches.iter().any(|one| by_match(Some(one))),
    };
    is_sent && !changes
}

/// Whether the gateway has the route at all: some match is for this gateway, its port and its pods, and for a name of the
/// VirtualService.
pub(super) fn is_there(from: &From<'_>, service: &VirtualService, route: &VirtualHttpRoute) -> bool {
    let has_name = |one: &HttpMatch| match &one.authority {
        None | Some(StringMatch::Regex(_)) => true,
        authority => host_for(service, authority.as_ref()).is_some(),
    };
    route.matches.is_empty() || route.matches.iter().any(|one| is_for(from, one) && has_name(one))
}

fn by_route(from: &From<'_>, route: &VirtualHttpRoute, sent: &Sent<'_>) -> Takes {
    if route.matches.is_empty() {
        return Takes::Yes;
    }
    route.matches.iter().map(|one| takes(from, one, sent)).max().unwrap_or(Takes::No)
}

/// A name that the VirtualService is for, and that the match of `:authority` takes; nothing where that is not plain.
fn host_for(service: &VirtualService, authority: Option<&StringMatch>) -> Option<String> {
    let names = || service.hosts.iter().map(|host| host.value.as_str());
    let is_named = |text: &str| {
        names().any(|name| match name.strip_prefix('*') {
            Some(rest) => text.len() > rest.len() && text.ends_with(rest),
            None => name == text,
        })
    };
    let some = |name: &str| name.replacen('*', "a", 1);
    match authority {
        None => names().next().map(some),
        Some(StringMatch::Exact(text)) => is_named(&text.value).then(|| text.value.clone()),
        Some(StringMatch::Prefix(text)) => names().find_map(|name| match name.strip_prefix('*') {
            Some(rest) => Some(format!("{}{rest}", text.value)).filter(|host| is_named(host)),
            None => name.starts_with(&text.value).then(|| name.to_owned()),
        }),
        Some(StringMatch::Regex(_)) => None,
    }
}

/// What does not hang on the request: without `gateways` the labels and the namespace are those of the gateway's pods
/// (`sourceMatchHTTP`).
fn is_for(from: &From<'_>, one: &HttpMatch) -> bool {
    let is_this = |name: &str| match name.split_once('/') {
        None | Some((".", _)) => {
            let name = name.trim_start_matches("./");
            from.gateway.split_once('/') == Some((from.own, name))
        }
        Some(_) => name == from.gateway,
    };
    let is_source = match one.gateways.is_empty() {
        false => one.gateways.iter().any(|name| is_this(&name.value)),
        true => {
            one.source_labels.is_subset_of(&from.proxy.labels)
                && one.source_namespace.as_ref().is_none_or(|name| name.value == from.namespace)
        }
    };
    let mut ports =
        from.bound.gateway.servers.iter().filter_map(|server| server.port.as_ref()?.number.as_ref());
    is_source && one.port.as_ref().is_none_or(|port| ports.any(|own| own.value == port.value))
}

fn takes(from: &From<'_>, one: &HttpMatch, sent: &Sent<'_>) -> Takes {
    // What the request does not have is met by nothing.
    if !is_for(from, one) || !one.headers.is_empty() || !one.query_params.is_empty() {
        return Takes::No;
    }
    let path = one.uri.as_ref().map(|uri| by_text(uri, sent.path, one.ignore_uri_case));
    let method = one.method.as_ref().map(|method| by_text(method, sent.method, false));
    let host = one.authority.as_ref().map(|authority| by_text(authority, &sent.host, false));
    let scheme = one.scheme.as_ref().map(|scheme| by_scheme(from, scheme));
    [path, method, host, scheme].into_iter().flatten().min().unwrap_or(Takes::Yes)
}

/// Clients over HTTP/2 say themselves which scheme they use, others use that of the port.
fn by_scheme(from: &From<'_>, scheme: &StringMatch) -> Takes {
    let of = |text: &str| by_text(scheme, text, false);
    let servers = from.bound.gateway.servers.iter();
    let usual = servers.map(|server| if server_mode(server).is_some() { "https" } else { "http" });
    match (usual.map(of).max().unwrap_or(Takes::No), of("http").max(of("https"))) {
        (Takes::Yes, _) => Takes::Yes,
        (_, Takes::No) => Takes::No,
        _ => Takes::Perhaps,
    }
}

fn by_text(test: &StringMatch, text: &str, ignores_case: bool) -> Takes {
    let starts = |start: &str| text.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start));
    let is_met = match test {
        StringMatch::Exact(exact) if ignores_case => text.eq_ignore_ascii_case(&exact.value),
        StringMatch::Exact(exact) => text == exact.value,
        StringMatch::Prefix(prefix) if ignores_case => starts(&prefix.value),
        StringMatch::Prefix(prefix) => text.starts_with(&prefix.value),
        StringMatch::Regex(_) => return Takes::Perhaps,
    };
    if is_met { Takes::Yes } else { Takes::No }
}
