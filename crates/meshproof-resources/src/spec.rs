//! A decoded object of any kind.

use crate::{
    AuthorizationPolicy, DestinationRule, Meta, PeerAuthentication, RequestAuthentication, Service, Workload,
};

/// One decoded object.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Type, name, labels, place.
    pub meta: Meta,
    /// The rest.
    pub spec: Spec,
}

/// What the object is. Large parts are boxed so that small objects stay small.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Spec {
    AuthorizationPolicy(Box<AuthorizationPolicy>),
    PeerAuthentication(Box<PeerAuthentication>),
    RequestAuthentication(Box<RequestAuthentication>),
    DestinationRule(Box<DestinationRule>),
    /// Pod, Deployment and all other kinds that make pods; the kind stands in [`Meta::kind`].
    Workload(Box<Workload>),
    Service(Box<Service>),
    Namespace,
    ServiceAccount,
}
