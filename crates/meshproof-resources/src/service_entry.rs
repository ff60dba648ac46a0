//! ServiceEntry (networking.istio.io v1, v1beta1, v1alpha3).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{entries, key_name, number, objects, spec_span, text, texts, word};
use crate::{Field, Text, WorkloadEntry, WorkloadSelector};

/// The spec of a ServiceEntry.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceEntry {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `hosts`.
    pub hosts: Field<Text>,
    /// `addresses`.
    pub addresses: Field<Text>,
    /// `ports`.
    pub ports: Field<IstioPort>,
    /// `location`; absent means MESH_EXTERNAL (proto3 zero value).
    pub location: Option<Spanned<Location>>,
    /// `resolution`; absent means NONE.
    pub resolution: Option<Spanned<Resolution>>,
    /// `endpoints`, written inline.
    pub endpoints: Field<WorkloadEntry>,
    /// `workloadSelector`.
    pub workload_selector: Option<WorkloadSelector>,
    /// `exportTo`.
    pub export_to: Field<Text>,
    /// `subjectAltNames`.
    pub subject_alt_names: Field<Text>,
}

/// `location` of a ServiceEntry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// Outside of the mesh: no automatic mutual TLS.
    MeshExternal,
    /// Part of the mesh.
    MeshInternal,
}

/// `resolution` of a ServiceEntry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Resolution {
    None,
    Static,
    Dns,
    DnsRoundRobin,
    DynamicDns,
}

/// A port of a ServiceEntry, a Sidecar listener or a Gateway server.
#[derive(Clone, Debug, PartialEq)]
pub struct IstioPort {
    /// The value.
    pub span: Span,
    /// `number`.
    pub number: Option<Spanned<u16>>,
    /// `protocol`.
    pub protocol: Option<Text>,
    /// `name`.
    pub name: Option<Text>,
    /// `targetPort`.
    pub target_port: Option<Spanned<u16>>,
}

impl ServiceEntry {
    /// The location in force.
    pub fn effective_location(&self) -> Location {
        self.location.as_ref().map_or(Location::MeshExternal, |location| location.value)
    }

    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut entry = ServiceEntry {
            span: spec_span(spec, object),
            hosts: Field::default(),
            addresses: Field::default(),
            ports: Field::default(),
            location: None,
            resolution: None,
            endpoints: Field::default(),
            workload_selector: None,
            export_to: Field::default(),
            subject_alt_names: Field::default(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "hosts" => entry.hosts = texts(key, value),
                "addresses" => entry.addresses = texts(key, value),
                "ports" => entry.ports = objects(key, value, IstioPort::decode),
                "location" => {
                    let words = [
                        ("MESH_EXTERNAL", Location::MeshExternal),
                        ("MESH_INTERNAL", Location::MeshInternal),
                    ];
                    entry.location = word(value, &words);
                }
                "resolution" => entry.resolution = resolution(value),
                "endpoints" => {
                    entry.endpoints = objects(key, value, |item| WorkloadEntry::decode(Some(item), item))
                }
                "workloadSelector" => entry.workload_selector = WorkloadSelector::decode(value),
                "exportTo" => entry.export_to = texts(key, value),
                "subjectAltNames" => entry.subject_alt_names = texts(key, value),
                _ => {}
            }
        }
        entry
    }
}

fn resolution(node: NodeRef<'_>) -> Option<Spanned<Resolution>> {
    let words = [
        ("NONE", Resolution::None),
        ("STATIC", Resolution::Static),
        ("DNS", Resolution::Dns),
        ("DNS_ROUND_ROBIN", Resolution::DnsRoundRobin),
        ("DYNAMIC_DNS", Resolution::DynamicDns),
    ];
    word(node, &words)
}

impl IstioPort {
    pub(crate) fn decode(node: NodeRef<'_>) -> Self {
        let mut port =
            IstioPort { span: node.span(), number: None, protocol: None, name: None, target_port: None };
        for (key, value) in node.entries() {
            match key_name(key) {
                "number" => port.number = number(value),
                "protocol" => port.protocol = text(value),
                "name" => port.name = text(value),
                "targetPort" => port.target_port = number(value),
                _ => {}
            }
        }
        port
    }
}
