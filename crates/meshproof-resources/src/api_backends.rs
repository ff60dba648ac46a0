//! Services that the API server calls: admission webhooks (admissionregistration.k8s.io) and aggregated APIs
//! (apiregistration.k8s.io). It has no proxy and no certificate of the mesh.

use meshproof_source::Spanned;
use meshproof_yaml::NodeRef;

use crate::Text;
use crate::read::{items, mapping_at, number, text_at};

/// What one object makes the API server call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiBackends {
    /// Each Service that it names, in the order written.
    pub services: Vec<ApiBackend>,
}

/// A Service that the API server calls over TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiBackend {
    /// `namespace` of the Service.
    pub namespace: Text,
    /// `name` of the Service.
    pub name: Text,
    /// `port`; absent means 443.
    pub port: Option<Spanned<u16>>,
}

impl ApiBackends {
    /// Reads the `webhooks` of `object`.
    pub(crate) fn decode_webhooks(object: NodeRef<'_>) -> Self {
        let of = |webhook: NodeRef<'_>| backend(mapping_at(mapping_at(webhook, "clientConfig")?, "service")?);
        ApiBackends { services: object.get("webhooks").map(|list| items(list, of)).unwrap_or_default() }
    }

    /// Reads the `service` of an APIService; there is none for APIs that the API server has itself.
    pub(crate) fn decode_api_service(spec: Option<NodeRef<'_>>) -> Self {
        let service = spec.and_then(|spec| mapping_at(spec, "service")).and_then(backend);
        ApiBackends { services: service.into_iter().collect() }
    }
}

fn backend(node: NodeRef<'_>) -> Option<ApiBackend> {
    Some(ApiBackend {
        namespace: text_at(node, "namespace")?,
        name: text_at(node, "name")?,
        port: node.get("port").and_then(number),
    })
}
