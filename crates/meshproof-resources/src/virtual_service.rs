//! VirtualService (networking.istio.io v1, v1beta1, v1alpha3).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{
    entries, is_true, key_name, mapping, mapping_at, number, objects, spec_span, text, text_at, text_map,
    texts,
};
use crate::{Field, Text, TextMap};

/// The spec of a VirtualService.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualService {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `hosts`.
    pub hosts: Field<Text>,
    /// `gateways`; absent means `mesh`.
    pub gateways: Field<Text>,
    /// `http`, first match wins.
    pub http: Field<VirtualHttpRoute>,
    /// `tls`, for traffic that is not terminated.
    pub tls: Field<VirtualL4Route>,
    /// `tcp`.
    pub tcp: Field<VirtualL4Route>,
    /// `exportTo`.
    pub export_to: Field<Text>,
}

/// One item of `http`.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualHttpRoute {
    /// The item.
    pub span: Span,
    /// `name`.
    pub name: Option<Text>,
    /// `match`; empty matches everything, several are alternatives.
    pub matches: Field<HttpMatch>,
    /// `route`.
    pub route: Field<RouteDestination>,
    /// Where the request is answered instead of routed: the `redirect` or `directResponse` key.
    pub answered: Option<Span>,
    /// `rewrite.uri`.
    pub rewrite_uri: Option<Text>,
    /// `rewrite.authority`.
    pub rewrite_authority: Option<Text>,
    /// A key that makes other requests of those that it takes, or ends some, besides `rewrite.uri` and `rewrite.authority`:
    /// `headers` (here or at a destination), `rewrite.uriRegexRewrite`, `fault`.
    pub changes: Option<&'static str>,
    /// `mirror` and `mirrors[].destination`.
    pub mirrors: Vec<RouteDestination>,
    /// `delegate`: name and namespace of another VirtualService.
    pub delegate: Option<(Text, Option<Text>)>,
}

/// One item of `http[].match`: all parts must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpMatch {
    /// The item.
    pub span: Span,
    /// `uri`.
    pub uri: Option<StringMatch>,
    /// `ignoreUriCase`.
    pub ignore_uri_case: bool,
    /// `scheme`.
    pub scheme: Option<StringMatch>,
    /// `method`.
    pub method: Option<StringMatch>,
    /// `authority`.
    pub authority: Option<StringMatch>,
    /// `headers`; no match inside means "present".
    pub headers: Vec<(Text, Option<StringMatch>)>,
    /// `withoutHeaders`.
    pub without_headers: Vec<(Text, Option<StringMatch>)>,
    /// `queryParams`.
    pub query_params: Vec<(Text, Option<StringMatch>)>,
    /// `port`.
    pub port: Option<Spanned<u16>>,
    /// `sourceLabels`.
    pub source_labels: TextMap,
    /// `sourceNamespace`.
    pub source_namespace: Option<Text>,
    /// `gateways`.
    pub gateways: Field<Text>,
}

/// `exact`, `prefix` or `regex`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StringMatch {
    Exact(Text),
    Prefix(Text),
    Regex(Text),
}

/// One item of `tls` or `tcp`.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualL4Route {
    /// The item.
    pub span: Span,
    /// `match`.
    pub matches: Field<L4Match>,
    /// `route`.
    pub route: Field<RouteDestination>,
}

/// One item of `tls[].match` or `tcp[].match`.
#[derive(Clone, Debug, PartialEq)]
pub struct L4Match {
    /// The item.
    pub span: Span,
    /// `sniHosts`, only in `tls`.
    pub sni_hosts: Field<Text>,
    /// `destinationSubnets`.
    pub destination_subnets: Field<Text>,
    /// `port`.
    pub port: Option<Spanned<u16>>,
    /// `sourceLabels`.
    pub source_labels: TextMap,
    /// `sourceNamespace`.
    pub source_namespace: Option<Text>,
    /// `gateways`.
    pub gateways: Field<Text>,
}

/// A destination with its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteDestination {
    /// The item.
    pub span: Span,
    /// `destination.host`.
    pub host: Option<Text>,
    /// `destination.subset`.
    pub subset: Option<Text>,
    /// `destination.port.number`.
    pub port: Option<Spanned<u16>>,
    /// `weight`.
    pub weight: Option<Spanned<u32>>,
}

impl VirtualService {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut service = VirtualService {
            span: spec_span(spec, object),
            hosts: Field::default(),
            gateways: Field::default(),
            http: Field::default(),
            tls: Field::default(),
            tcp: Field::default(),
            export_to: Field::default(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "hosts" => service.hosts = texts(key, value),
                "gateways" => service.gateways = texts(key, value),
                "http" => service.http = objects(key, value, http_route),
                "tls" => service.tls = objects(key, value, l4_route),
                "tcp" => service.tcp = objects(key, value, l4_route),
                "exportTo" => service.export_to = texts(key, value),
                _ => {}
            }
        }
        service
    }
}

fn http_route(item: NodeRef<'_>) -> VirtualHttpRoute {
    let mut route = VirtualHttpRoute {
        span: item.span(),
        name: None,
        matches: Field::default(),
        route: Field::default(),
        answered: None,
        rewrite_uri: None,
        rewrite_authority: None,
        changes: None,
        mirrors: Vec::new(),
        delegate: None,
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "name" => route.name = text(value),
            "match" => route.matches = objects(key, value, http_match),
            "route" => {
                route.route = objects(key, value, destination_item);
                if value.items().any(|item| item.get("headers").is_some_and(changes_requests)) {
                    route.changes = Some("headers");
                }
            }
            "headers" if changes_requests(value) => route.changes = Some("headers"),
            "fault" if !value.is_null() => route.changes = Some("fault"),
            "redirect" | "directResponse" if !value.is_null() => route.answered = Some(key.span()),
            "rewrite" => {
                route.rewrite_uri = text_at(value, "uri");
                route.rewrite_authority = text_at(value, "authority");
                if value.get("uriRegexRewrite").is_some() {
                    route.changes = Some("uriRegexRewrite");
                }
            }
            "mirror" => route.mirrors.extend(mapping(value).map(|node| destination(node, None, node.span()))),
            "mirrors" => route.mirrors.extend(objects(key, value, destination_item).items),
            "delegate" => {
                route.delegate = text_at(value, "name").map(|name| (name, text_at(value, "namespace")));
            }
            _ => {}
        }
    }
    route
}

/// Whether header operations are about requests too.
fn changes_requests(headers: NodeRef<'_>) -> bool {
    headers.get("request").is_some_and(|request| !request.is_null())
}

fn http_match(item: NodeRef<'_>) -> HttpMatch {
    let mut found = HttpMatch {
        span: item.span(),
        uri: None,
        ignore_uri_case: false,
        scheme: None,
        method: None,
        authority: None,
        headers: Vec::new(),
        without_headers: Vec::new(),
        query_params: Vec::new(),
        port: None,
        source_labels: TextMap::default(),
        source_namespace: None,
        gateways: Field::default(),
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "uri" => found.uri = string_match(value),
            "ignoreUriCase" => found.ignore_uri_case = is_true(value),
            "scheme" => found.scheme = string_match(value),
            "method" => found.method = string_match(value),
            "authority" => found.authority = string_match(value),
            "headers" => found.headers = named_matches(value),
            "withoutHeaders" => found.without_headers = named_matches(value),
            "queryParams" => found.query_params = named_matches(value),
            "port" => found.port = number(value),
            "sourceLabels" => found.source_labels = text_map(key, value),
            "sourceNamespace" => found.source_namespace = text(value),
            "gateways" => found.gateways = texts(key, value),
            _ => {}
        }
    }
    found
}

fn named_matches(node: NodeRef<'_>) -> Vec<(Text, Option<StringMatch>)> {
    node.entries().filter_map(|(name, value)| Some((text(name)?, string_match(value)))).collect()
}

fn string_match(node: NodeRef<'_>) -> Option<StringMatch> {
    node.entries().find_map(|(key, value)| match key_name(key) {
        "exact" => text(value).map(StringMatch::Exact),
        "prefix" => text(value).map(StringMatch::Prefix),
        "regex" => text(value).map(StringMatch::Regex),
        _ => None,
    })
}

fn l4_route(item: NodeRef<'_>) -> VirtualL4Route {
    let mut route = VirtualL4Route { span: item.span(), matches: Field::default(), route: Field::default() };
    for (key, value) in item.entries() {
        match key_name(key) {
            "match" => route.matches = objects(key, value, l4_match),
            "route" => route.route = objects(key, value, destination_item),
            _ => {}
        }
    }
    route
}

fn l4_match(item: NodeRef<'_>) -> L4Match {
    let mut found = L4Match {
        span: item.span(),
        sni_hosts: Field::default(),
        destination_subnets: Field::default(),
        port: None,
        source_labels: TextMap::default(),
        source_namespace: None,
        gateways: Field::default(),
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "sniHosts" => found.sni_hosts = texts(key, value),
            "destinationSubnets" => found.destination_subnets = texts(key, value),
            "port" => found.port = number(value),
            "sourceLabels" => found.source_labels = text_map(key, value),
            "sourceNamespace" => found.source_namespace = text(value),
            "gateways" => found.gateways = texts(key, value),
            _ => {}
        }
    }
    found
}

/// An item with `destination` and `weight`.
fn destination_item(item: NodeRef<'_>) -> RouteDestination {
    let weight = item.get("weight").and_then(number);
    destination(mapping_at(item, "destination").unwrap_or(item), weight, item.span())
}

fn destination(node: NodeRef<'_>, weight: Option<Spanned<u32>>, span: Span) -> RouteDestination {
    RouteDestination {
        span,
        host: text_at(node, "host"),
        subset: text_at(node, "subset"),
        port: node.get("port").and_then(|port| port.get("number")).and_then(number),
        weight,
    }
}
