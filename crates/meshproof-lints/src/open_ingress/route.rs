//! Whether a gateway sends a request on by a route of a VirtualService: the first route that takes it wins (Istio 1.32,
//! core/route/route.go).

use meshproof_grammar::protocol::{Protocol, ProtocolClass};
use meshproof_resources::{
    Gateway, HttpMatch, Server, ServerTlsMode, StringMatch, TextMap, VirtualHttpRoute, VirtualService,
};
use meshproof_transport::{RouteSender, SchemeFit, names_in_common};

use crate::istio_gateways::server_mode;

/// Names that are tried per server.
const TRIED: usize = 8;

/// Where requests come from.
pub(super) struct From<'c> {
    /// The Gateway that the VirtualService is bound to, as `namespace/name`.
    pub gateway: [String; 1],
    /// Its servers that send requests of anybody on by routes.
    pub doors: Vec<Door>,
    /// The labels of the gateway's pods, which `sourceLabels` ask for; nothing where the pods are not in the input.
    pub labels: Option<&'c TextMap>,
    /// Their namespace.
    pub namespace: &'c str,
    /// The namespace of the VirtualService, which short names of Gateways mean.
    pub own: &'c str,
}

/// A server that takes requests of anybody.
pub(super) struct Door {
    port: [u16; 1],
    scheme: &'static str,
    /// Those that it shares with the VirtualService; a star may stand in front.
    names: Vec<String>,
}

/// The servers of a Gateway in namespace `of` that take requests of anybody for a VirtualService in namespace `own`.
pub(super) fn doors((of, gateway): (&str, &Gateway), (own, service): (&str, &VirtualService)) -> Vec<Door> {
    let door = |server: &Server| {
        let scheme = open_scheme(server)?;
        let port = [server.port.as_ref()?.number.as_ref()?.value];
        let mut names = names_in_common((of, server), (own, service));
        names.truncate(TRIED);
        (!names.is_empty()).then_some(Door { port, scheme, names })
    };
    gateway.servers.iter().filter_map(door).collect()
}

/// The scheme of requests that anybody may send through a server; nothing where it asks for certificates, opens no HTTP or
/// only tells clients to come back with HTTPS.
fn open_scheme(server: &Server) -> Option<&'static str> {
    let protocol = Protocol::parse(&server.port.as_ref()?.protocol.as_ref()?.value).ok()?;
    let redirects = server.tls.as_ref().is_some_and(|tls| tls.https_redirect);
    match (protocol.class(), server_mode(server)) {
        (ProtocolClass::Http, _) => (!redirects).then_some("http"),
        (_, Some(ServerTlsMode::Simple | ServerTlsMode::OptionalMutual)) if protocol == Protocol::Https => {
            Some("https")
        }
        _ => None,
    }
}

impl From<'_> {
    fn sender<'a>(&'a self, door: &'a Door) -> RouteSender<'a> {
        RouteSender {
            labels: self.labels,
            namespace: self.namespace,
            gateways: &self.gateway,
            ports: &door.port,
            scheme: Some(door.scheme),
            own: self.own,
        }
    }
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
    let by_match = |sender: &RouteSender<'_>, name: &str, one: Option<&HttpMatch>| {
        host_for(name, one.and_then(|one| one.authority.as_ref())).is_some_and(|host| {
            let sent = Sent { method, path, host };
            one.is_none_or(|one| takes(sender, one, &sent) == Takes::Yes)
                && earlier.iter().all(|other| by_route(sender, other, &sent) == Takes::No)
        })
    };
    let is_sent = |door: &Door, name: &str| {
        let sender = from.sender(door);
        match route.matches.is_empty() {
            true => by_match(&sender, name, None),
            false => route.matches.iter().any(|one| by_match(&sender, name, Some(one))),
        }
    };
    !changes && from.doors.iter().any(|door| door.names.iter().any(|name| is_sent(door, name)))
}

/// Whether the gateway has the route at all: some match is for this gateway, for a server that takes anybody, for its pods,
/// and for a name of the VirtualService.
pub(super) fn is_there(from: &From<'_>, route: &VirtualHttpRoute) -> bool {
    let has_name = |door: &Door, one: &HttpMatch| match &one.authority {
        None | Some(StringMatch::Regex(_)) => true,
        authority => door.names.iter().any(|name| host_for(name, authority.as_ref()).is_some()),
    };
    let is_at =
        |door: &Door, one: &HttpMatch| from.sender(door).is_meant(one) == Some(true) && has_name(door, one);
    let has_match = |door: &Door| route.matches.iter().any(|one| is_at(door, one));
    route.matches.is_empty() || from.doors.iter().any(has_match)
}

fn by_route(sender: &RouteSender<'_>, route: &VirtualHttpRoute, sent: &Sent<'_>) -> Takes {
    if route.matches.is_empty() {
        return Takes::Yes;
    }
    route.matches.iter().map(|one| takes(sender, one, sent)).max().unwrap_or(Takes::No)
}

/// A host that is one of the name, and that the match of `:authority` takes; nothing where that is not plain.
fn host_for(name: &str, authority: Option<&StringMatch>) -> Option<String> {
    let is_named = |text: &str| match name.strip_prefix('*') {
        Some(rest) => text.len() > rest.len() && text.ends_with(rest),
        None => name == text,
    };
    match authority {
        None => Some(name.replacen('*', "a", 1)),
        Some(StringMatch::Exact(text)) => is_named(&text.value).then(|| text.value.clone()),
        Some(StringMatch::Prefix(text)) => match name.strip_prefix('*') {
            Some(rest) => Some(format!("{}{rest}", text.value)).filter(|host| is_named(host)),
            None => name.starts_with(&text.value).then(|| name.to_owned()),
        },
        Some(StringMatch::Regex(_)) => None,
    }
}

fn takes(sender: &RouteSender<'_>, one: &HttpMatch, sent: &Sent<'_>) -> Takes {
    let meant = match sender.is_meant(one) {
        Some(false) => return Takes::No,
        Some(true) => Takes::Yes,
        None => Takes::Perhaps,
    };
    // What the request does not have is met by nothing.
    if !one.headers.is_empty() || !one.query_params.is_empty() {
        return Takes::No;
    }
    let path = one.uri.as_ref().map(|uri| by_text(uri, sent.path, one.ignore_uri_case));
    let method = one.method.as_ref().map(|method| by_text(method, sent.method, false));
    let host = one.authority.as_ref().map(|authority| by_text(authority, &sent.host, false));
    let scheme = one.scheme.as_ref().map(|scheme| by_scheme(sender, scheme));
    [path, method, host, scheme].into_iter().flatten().min().map_or(meant, |other| other.min(meant))
}

/// What clients that name no scheme of their own get by.
fn by_scheme(sender: &RouteSender<'_>, scheme: &StringMatch) -> Takes {
    if let StringMatch::Regex(_) = scheme {
        return Takes::Perhaps;
    }
    match sender.scheme_fit(|text| by_text(scheme, text, false) == Takes::Yes) {
        SchemeFit::Every | SchemeFit::Usual => Takes::Yes,
        SchemeFit::Named | SchemeFit::Unknown => Takes::Perhaps,
        SchemeFit::Never => Takes::No,
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
