//! Endpoints (v1) and EndpointSlice (discovery.k8s.io/v1, v1beta1): addresses behind a Service without a selector.

use meshproof_source::Spanned;
use meshproof_yaml::NodeRef;

use crate::read::{entries, key_name, number, text, text_at, transport};
use crate::{Text, Transport};

/// The addresses of an Endpoints object or of one EndpointSlice. Endpoints belong to the Service of their name, slices
/// to that of their label `kubernetes.io/service-name`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoints {
    /// `subsets`; a slice is one subset.
    pub subsets: Vec<EndpointSubset>,
}

/// Addresses that all serve the same ports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointSubset {
    /// Addresses, ready or not, with the Pod (or other object) behind each: kind and name.
    pub addresses: Vec<EndpointAddress>,
    /// Ports.
    pub ports: Vec<EndpointPort>,
}

/// One address.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointAddress {
    /// IP or host name.
    pub address: Text,
    /// `targetRef`: kind and name.
    pub target: Option<(Text, Text)>,
}

/// One port.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointPort {
    /// `port`; absent in a slice means every port.
    pub number: Option<Spanned<u16>>,
    /// `name`: that of the Service port.
    pub name: Option<Text>,
    /// `protocol`.
    pub protocol: Transport,
    /// `appProtocol`.
    pub app_protocol: Option<Text>,
}

impl Endpoints {
    /// Reads an Endpoints object; there is no `spec`.
    pub(crate) fn decode(object: NodeRef<'_>) -> Self {
        let subsets = object.get("subsets").into_iter().flat_map(NodeRef::items);
        Endpoints { subsets: subsets.map(subset).collect() }
    }

    /// Reads an EndpointSlice.
    pub(crate) fn decode_slice(object: NodeRef<'_>) -> Self {
        let mut subset = EndpointSubset::default();
        for (key, value) in object.entries() {
            match key_name(key) {
                "endpoints" => subset.addresses = value.items().flat_map(slice_addresses).collect(),
                "ports" => subset.ports = value.items().map(port).collect(),
                _ => {}
            }
        }
        Endpoints { subsets: vec![subset] }
    }
}

fn subset(item: NodeRef<'_>) -> EndpointSubset {
    let mut subset = EndpointSubset::default();
    for (key, value) in entries(Some(item)) {
        match key_name(key) {
            "addresses" | "notReadyAddresses" => {
                let address =
                    |item| Some(EndpointAddress { address: text_at(item, "ip")?, target: target(item) });
                subset.addresses.extend(value.items().filter_map(address));
            }
            "ports" => subset.ports = value.items().map(port).collect(),
            _ => {}
        }
    }
    subset
}

fn slice_addresses(endpoint: NodeRef<'_>) -> Vec<EndpointAddress> {
    let target = target(endpoint);
    let addresses = endpoint.get("addresses").into_iter().flat_map(NodeRef::items);
    addresses.filter_map(text).map(|address| EndpointAddress { address, target: target.clone() }).collect()
}

fn target(node: NodeRef<'_>) -> Option<(Text, Text)> {
    let reference = node.get("targetRef")?;
    text_at(reference, "kind").zip(text_at(reference, "name"))
}

fn port(node: NodeRef<'_>) -> EndpointPort {
    EndpointPort {
        number: node.get("port").and_then(number),
        name: text_at(node, "name"),
        protocol: transport(node.get("protocol")),
        app_protocol: text_at(node, "appProtocol"),
    }
}
