//! Ingress (networking.k8s.io/v1, and the beta versions before it): Services that a controller sends to from outside.

use meshproof_source::Span;
use meshproof_yaml::NodeRef;

use crate::read::{entries, items, key_name, mapping_at, port_ref, spec_span, text, text_at};
use crate::{Meta, PortRef, Text};

/// The annotation that named the class before `ingressClassName`.
const CLASS: &str = "kubernetes.io/ingress.class";

/// The spec of an Ingress.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingress {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `ingressClassName`, or the annotation of the same meaning.
    pub class: Option<Text>,
    /// Services of its own namespace that requests go to.
    pub backends: Vec<IngressBackend>,
}

/// A Service that requests go to.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressBackend {
    /// Name of the Service.
    pub service: Text,
    /// Its port, by number or name.
    pub port: Option<PortRef>,
}

impl Ingress {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(meta: &Meta, spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut ingress = Ingress {
            span: spec_span(spec, object),
            class: meta.annotations.get(CLASS).cloned(),
            backends: Vec::new(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "ingressClassName" => ingress.class = text(value).or(ingress.class),
                "defaultBackend" | "backend" => ingress.backends.extend(backend(value)),
                "rules" => {
                    for http in value.items().filter_map(|rule| mapping_at(rule, "http")) {
                        let paths = http.get("paths");
                        let read = |path: NodeRef<'_>| backend(path.get("backend")?);
                        ingress.backends.extend(paths.map(|paths| items(paths, read)).unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        ingress
    }
}

fn backend(node: NodeRef<'_>) -> Option<IngressBackend> {
    if let Some(service) = mapping_at(node, "service") {
        let port = mapping_at(service, "port");
        let port = port.and_then(|port| port.get("number").or_else(|| port.get("name")));
        return Some(IngressBackend { service: text_at(service, "name")?, port: port.and_then(port_ref) });
    }
    // As before v1.
    let port = node.get("servicePort").and_then(port_ref);
    Some(IngressBackend { service: text_at(node, "serviceName")?, port })
}
