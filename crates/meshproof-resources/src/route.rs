//! HTTPRoute, GRPCRoute, TLSRoute and TCPRoute of gateway.networking.k8s.io (v1, v1beta1, v1alpha2, v1alpha3).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{entries, key_name, mapping_at, number, objects, spec_span, text, text_at, texts};
use crate::{Field, Text};

/// The spec of a route; which kind it is stands in [`Meta::kind`](crate::Meta::kind) and in `kind`.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// Which protocol it routes.
    pub kind: RouteKind,
    /// `parentRefs`: Gateways, or Services for traffic inside the mesh.
    pub parent_refs: Field<ObjectRef>,
    /// `hostnames`.
    pub hostnames: Field<Text>,
    /// `rules`.
    pub rules: Field<RouteRule>,
}

/// The protocol of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum RouteKind {
    Http,
    Grpc,
    Tls,
    Tcp,
}

/// A reference to a parent or a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectRef {
    /// The item.
    pub span: Span,
    /// `group`; absent means the gateway group for parents and core for backends.
    pub group: Option<Text>,
    /// `kind`; absent means Gateway for parents and Service for backends.
    pub kind: Option<Text>,
    /// `namespace`; absent means the route's.
    pub namespace: Option<Text>,
    /// `name`.
    pub name: Option<Text>,
    /// `sectionName` of a parent.
    pub section: Option<Text>,
    /// `port`.
    pub port: Option<Spanned<u16>>,
    /// `weight` of a backend.
    pub weight: Option<Spanned<u32>>,
}

/// One item of `rules`.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteRule {
    /// The item.
    pub span: Span,
    /// `name`.
    pub name: Option<Text>,
    /// `matches`; empty matches everything, several are alternatives.
    pub matches: Field<RouteMatch>,
    /// `filters`.
    pub filters: Field<RouteFilter>,
    /// `backendRefs`.
    pub backend_refs: Field<ObjectRef>,
}

/// One item of `matches`: all parts must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteMatch {
    /// The item.
    pub span: Span,
    /// `path` of an HTTPRoute.
    pub path: Option<ValueMatch>,
    /// `method` of an HTTPRoute.
    pub method: Option<Text>,
    /// `method.service` of a GRPCRoute.
    pub grpc_service: Option<Text>,
    /// `method.method` of a GRPCRoute.
    pub grpc_method: Option<Text>,
    /// `method.type` of a GRPCRoute: `Exact` or `RegularExpression`; absent means `Exact`.
    pub grpc_kind: Option<Text>,
    /// `headers`.
    pub headers: Vec<ValueMatch>,
    /// `queryParams`.
    pub query_params: Vec<ValueMatch>,
}

/// A match on a path, a header or a query parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueMatch {
    /// The value.
    pub span: Span,
    /// `type`: `Exact`, `PathPrefix`, `RegularExpression`; absent means `PathPrefix` for paths, `Exact` otherwise.
    pub kind: Option<Text>,
    /// `name` of a header or parameter.
    pub name: Option<Text>,
    /// `value`.
    pub value: Option<Text>,
}

/// One item of `filters`.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteFilter {
    /// The item.
    pub span: Span,
    /// `type`.
    pub kind: Option<Text>,
    /// `requestMirror.backendRef`.
    pub mirror: Option<ObjectRef>,
}

impl RouteMatch {
    /// Whether the service and the method of a GRPCRoute are regular expressions.
    pub fn has_regex_call(&self) -> bool {
        self.grpc_kind.as_ref().is_some_and(|kind| kind.value == "RegularExpression")
    }
}

impl Route {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(kind: RouteKind, spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut route = Route {
            span: spec_span(spec, object),
            kind,
            parent_refs: Field::default(),
            hostnames: Field::default(),
            rules: Field::default(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "parentRefs" => route.parent_refs = objects(key, value, object_ref),
                "hostnames" => route.hostnames = texts(key, value),
                "rules" => route.rules = objects(key, value, rule),
                _ => {}
            }
        }
        route
    }
}

fn object_ref(item: NodeRef<'_>) -> ObjectRef {
    let mut reference = ObjectRef {
        span: item.span(),
        group: None,
        kind: None,
        namespace: None,
        name: None,
        section: None,
        port: None,
        weight: None,
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "group" => reference.group = text(value),
            "kind" => reference.kind = text(value),
            "namespace" => reference.namespace = text(value),
            "name" => reference.name = text(value),
            "sectionName" => reference.section = text(value),
            "port" => reference.port = number(value),
            "weight" => reference.weight = number(value),
            _ => {}
        }
    }
    reference
}

fn rule(item: NodeRef<'_>) -> RouteRule {
    let mut rule = RouteRule {
        span: item.span(),
        name: None,
        matches: Field::default(),
        filters: Field::default(),
        backend_refs: Field::default(),
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "name" => rule.name = text(value),
            "matches" => rule.matches = objects(key, value, route_match),
            "filters" => rule.filters = objects(key, value, filter),
            "backendRefs" => rule.backend_refs = objects(key, value, object_ref),
            _ => {}
        }
    }
    rule
}

fn route_match(item: NodeRef<'_>) -> RouteMatch {
    let mut found = RouteMatch {
        span: item.span(),
        path: None,
        method: None,
        grpc_service: None,
        grpc_method: None,
        grpc_kind: None,
        headers: Vec::new(),
        query_params: Vec::new(),
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "path" => found.path = crate::read::mapping(value).map(value_match),
            "method" => {
                // A word in an HTTPRoute, an object in a GRPCRoute; the other of the two reads nothing.
                found.method = text(value);
                found.grpc_service = text_at(value, "service");
                found.grpc_method = text_at(value, "method");
                found.grpc_kind = text_at(value, "type");
            }
            "headers" => found.headers = objects(key, value, value_match).items,
            "queryParams" => found.query_params = objects(key, value, value_match).items,
            _ => {}
        }
    }
    found
}

fn value_match(node: NodeRef<'_>) -> ValueMatch {
    ValueMatch {
        span: node.span(),
        kind: text_at(node, "type"),
        name: text_at(node, "name"),
        value: text_at(node, "value"),
    }
}

fn filter(item: NodeRef<'_>) -> RouteFilter {
    let mirror = mapping_at(item, "requestMirror").and_then(|mirror| mapping_at(mirror, "backendRef"));
    RouteFilter { span: item.span(), kind: text_at(item, "type"), mirror: mirror.map(object_ref) }
}
