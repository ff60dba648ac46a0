//! Gateway, GatewayClass and ReferenceGrant of gateway.networking.k8s.io (v1, v1beta1, v1alpha2).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{
    entries, key_name, mapping, mapping_at, number, objects, spec_span, text, text_at, text_map, text_map_at,
};
use crate::{Field, LabelSelector, Text, TextMap};

/// The spec of a Gateway API Gateway: an ingress gateway or a waypoint, by its class.
#[derive(Clone, Debug, PartialEq)]
pub struct KubernetesGateway {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `gatewayClassName`.
    pub class: Option<Text>,
    /// `listeners`.
    pub listeners: Field<Listener>,
    /// `addresses`: type (absent means `IPAddress`) and value.
    pub addresses: Vec<(Option<Text>, Text)>,
    /// `infrastructure.labels`; when written they replace the object's labels on the pods.
    pub infrastructure_labels: TextMap,
    /// `infrastructure.annotations`.
    pub infrastructure_annotations: TextMap,
}

/// One item of `listeners`.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// The item.
    pub span: Span,
    /// `name`.
    pub name: Option<Text>,
    /// `hostname`.
    pub hostname: Option<Text>,
    /// `port`.
    pub port: Option<Spanned<u16>>,
    /// `protocol`.
    pub protocol: Option<Text>,
    /// `tls`.
    pub tls: Option<ListenerTls>,
    /// `allowedRoutes`.
    pub allowed_routes: Option<AllowedRoutes>,
}

/// `tls` of a listener.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerTls {
    /// The value.
    pub span: Span,
    /// `mode`: `Terminate` (also when absent) or `Passthrough`.
    pub mode: Option<Text>,
    /// `options`.
    pub options: TextMap,
}

/// `allowedRoutes` of a listener.
#[derive(Clone, Debug, PartialEq)]
pub struct AllowedRoutes {
    /// The value.
    pub span: Span,
    /// `namespaces.from`: `Same` (also when absent), `All`, `Selector`.
    pub from: Option<Text>,
    /// `namespaces.selector`.
    pub selector: Option<LabelSelector>,
    /// `kinds`: group and kind.
    pub kinds: Vec<(Option<Text>, Text)>,
}

/// The spec of a GatewayClass.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayClass {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `controllerName`.
    pub controller: Option<Text>,
}

/// The spec of a ReferenceGrant.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceGrant {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `from`.
    pub from: Field<GrantEnd>,
    /// `to`.
    pub to: Field<GrantEnd>,
}

/// One item of `from` (with a namespace) or `to` (with a name, or any).
#[derive(Clone, Debug, PartialEq)]
pub struct GrantEnd {
    /// The item.
    pub span: Span,
    /// `group`; empty for core.
    pub group: String,
    /// `kind`.
    pub kind: Option<Text>,
    /// `namespace`.
    pub namespace: Option<Text>,
    /// `name`.
    pub name: Option<Text>,
}

impl KubernetesGateway {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut gateway = KubernetesGateway {
            span: spec_span(spec, object),
            class: None,
            listeners: Field::default(),
            addresses: Vec::new(),
            infrastructure_labels: TextMap::default(),
            infrastructure_annotations: TextMap::default(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "gatewayClassName" => gateway.class = text(value),
                "listeners" => gateway.listeners = objects(key, value, listener),
                "addresses" => {
                    let address = |item| Some((text_at(item, "type"), text_at(item, "value")?));
                    gateway.addresses = value.items().filter_map(address).collect();
                }
                "infrastructure" => {
                    gateway.infrastructure_labels = text_map_at(value, "labels");
                    gateway.infrastructure_annotations = text_map_at(value, "annotations");
                }
                _ => {}
            }
        }
        gateway
    }
}

fn listener(item: NodeRef<'_>) -> Listener {
    let mut listener = Listener {
        span: item.span(),
        name: None,
        hostname: None,
        port: None,
        protocol: None,
        tls: None,
        allowed_routes: None,
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "name" => listener.name = text(value),
            "hostname" => listener.hostname = text(value),
            "port" => listener.port = number(value),
            "protocol" => listener.protocol = text(value),
            "tls" => listener.tls = mapping(value).map(listener_tls),
            "allowedRoutes" => listener.allowed_routes = mapping(value).map(allowed_routes),
            _ => {}
        }
    }
    listener
}

fn listener_tls(node: NodeRef<'_>) -> ListenerTls {
    let mut tls = ListenerTls { span: node.span(), mode: None, options: TextMap::default() };
    for (key, value) in node.entries() {
        match key_name(key) {
            "mode" => tls.mode = text(value),
            "options" => tls.options = text_map(key, value),
            _ => {}
        }
    }
    tls
}

fn allowed_routes(node: NodeRef<'_>) -> AllowedRoutes {
    let namespaces = mapping_at(node, "namespaces");
    let kinds = node.get("kinds").into_iter().flat_map(NodeRef::items);
    AllowedRoutes {
        span: node.span(),
        from: namespaces.and_then(|namespaces| text_at(namespaces, "from")),
        selector: namespaces
            .and_then(|namespaces| namespaces.get("selector"))
            .and_then(LabelSelector::decode),
        kinds: kinds.filter_map(|item| Some((text_at(item, "group"), text_at(item, "kind")?))).collect(),
    }
}

impl GatewayClass {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let controller = spec.and_then(|spec| text_at(spec, "controllerName"));
        GatewayClass { span: spec_span(spec, object), controller }
    }
}

impl ReferenceGrant {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let ends = |name: &str| {
            let field = spec.and_then(|spec| spec.entry(name));
            field.map(|(key, value)| objects(key, value, grant_end)).unwrap_or_default()
        };
        ReferenceGrant { span: spec_span(spec, object), from: ends("from"), to: ends("to") }
    }
}

fn grant_end(item: NodeRef<'_>) -> GrantEnd {
    GrantEnd {
        span: item.span(),
        group: text_at(item, "group").map(|group| group.value).unwrap_or_default(),
        kind: text_at(item, "kind"),
        namespace: text_at(item, "namespace"),
        name: text_at(item, "name"),
    }
}
