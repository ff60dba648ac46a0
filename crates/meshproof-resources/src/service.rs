//! Service, Namespace, ServiceAccount.

use meshproof_source::Spanned;

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
