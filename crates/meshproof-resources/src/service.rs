//! Service, Namespace, ServiceAccount.

use meshproof_source::Spanned;
use meshproof_yaml::NodeRef;

use crate::read::{entries, items, key_name, number, port_ref, text, text_at, text_map, transport};
use crate::{PortRef, Text, TextMap, Transport};

/// The spec of a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// `selector`.
    pub selector: TextMap,
    /// `ports`.
    pub ports: Vec<ServicePort>,
    /// `clusterIP: None`.
    pub headless: bool,
    /// `type`.
    pub service_type: Option<Text>,
    /// `externalName`.
    pub external_name: Option<Text>,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePort {
    /// `port`.
    pub port: Spanned<u16>,
    /// `name`.
    pub name: Option<Text>,
    /// `targetPort`; absent means `port`.
    pub target: Option<PortRef>,
    /// `appProtocol`.
    pub app_protocol: Option<Text>,
    /// `protocol`.
    pub protocol: Transport,
}

impl Service {
    /// Reads `spec`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>) -> Self {
        let mut service = Service {
            selector: TextMap::default(),
            ports: Vec::new(),
            headless: false,
            service_type: None,
            external_name: None,
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "selector" => service.selector = text_map(key, value),
                "ports" => service.ports = items(value, service_port),
                "clusterIP" => service.headless = value.str() == Some("None"),
                "type" => service.service_type = text(value),
                "externalName" => service.external_name = text(value),
                _ => {}
            }
        }
        service
    }
}

fn service_port(node: NodeRef<'_>) -> Option<ServicePort> {
    Some(ServicePort {
        port: number(node.get("port")?)?,
        name: text_at(node, "name"),
        target: node.get("targetPort").and_then(port_ref),
        app_protocol: text_at(node, "appProtocol"),
        protocol: transport(node.get("protocol")),
    })
}
