//! WorkloadEntry and WorkloadGroup (networking.istio.io v1, v1beta1, v1alpha3): virtual machines and the like.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{entries, key_name, mapping, number, spec_span, text, text_map};
use crate::{Text, TextMap};

/// The spec of a WorkloadEntry, an inline endpoint of a ServiceEntry, or the template of a WorkloadGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadEntry {
    /// The value; the object's span when there is none.
    pub span: Span,
    /// `address`.
    pub address: Option<Text>,
    /// `ports`: names with numbers.
    pub ports: Vec<(Text, Spanned<u16>)>,
    /// `labels`; labels of the object's metadata win over them.
    pub labels: TextMap,
    /// `network`.
    pub network: Option<Text>,
    /// `locality`.
    pub locality: Option<Text>,
    /// `weight`.
    pub weight: Option<Spanned<u32>>,
    /// `serviceAccount`.
    pub service_account: Option<Text>,
}

/// The spec of a WorkloadGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadGroup {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `metadata.labels` inside the spec: the labels of its workloads.
    pub labels: TextMap,
    /// `metadata.annotations` inside the spec.
    pub annotations: TextMap,
    /// `template`.
    pub template: Option<WorkloadEntry>,
}

impl WorkloadEntry {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut entry = WorkloadEntry {
            span: spec_span(spec, object),
            address: None,
            ports: Vec::new(),
            labels: TextMap::default(),
            network: None,
            locality: None,
            weight: None,
            service_account: None,
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "address" => entry.address = text(value),
                "ports" => entry.ports = value.entries().filter_map(named_port).collect(),
                "labels" => entry.labels = text_map(key, value),
                "network" => entry.network = text(value),
                "locality" => entry.locality = text(value),
                "weight" => entry.weight = number(value),
                "serviceAccount" => entry.service_account = text(value),
                _ => {}
            }
        }
        entry
    }
}

fn named_port((name, port): (NodeRef<'_>, NodeRef<'_>)) -> Option<(Text, Spanned<u16>)> {
    Some((text(name)?, number(port)?))
}

impl WorkloadGroup {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut group = WorkloadGroup {
            span: spec_span(spec, object),
            labels: TextMap::default(),
            annotations: TextMap::default(),
            template: None,
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "metadata" => {
                    for (key, value) in value.entries() {
                        match key_name(key) {
                            "labels" => group.labels = text_map(key, value),
                            "annotations" => group.annotations = text_map(key, value),
                            _ => {}
                        }
                    }
                }
                "template" => {
                    group.template = mapping(value).map(|node| WorkloadEntry::decode(Some(node), node))
                }
                _ => {}
            }
        }
        group
    }
}
