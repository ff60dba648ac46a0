//! Places that decide about requests: classes of equal workload ports, chains of waypoints, listeners of gateways.

use meshproof_explain::PointKind;
use meshproof_ir::{Attachments, ClusterId, GatewayId, Mesh, WorkloadId};

use crate::clients::ClientsId;
use crate::effect::Effect;
use crate::routing::Lead;

/// The number of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(pub u32);

/// One member of a class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Member {
    /// A port of a workload.
    Workload(WorkloadId, u16),
    /// What a waypoint does with calls to a host and port.
    Waypoint(GatewayId, String, u16),
    /// What a gateway listens on: pods, port.
    Gateway(WorkloadId, u16),
    /// The same of a gateway whose pods are not in the input.
    Deployed(GatewayId, u16),
}

impl Member {
    /// `namespace/name`.
    pub fn name(&self, mesh: &Mesh) -> String {
        match self {
            Member::Workload(id, _) | Member::Gateway(id, _) => mesh.workload_display(*id),
            Member::Waypoint(id, ..) | Member::Deployed(id, _) => mesh.gateway_display(*id),
        }
    }

    /// The namespace.
    pub fn namespace<'m>(&self, mesh: &'m Mesh) -> &'m str {
        let id = match self {
            Member::Workload(id, _) | Member::Gateway(id, _) => mesh.workload(*id).namespace,
            Member::Waypoint(id, ..) | Member::Deployed(id, _) => mesh.gateway(*id).namespace,
        };
        mesh.namespace_display(id)
    }

    /// The port that policies see.
    pub fn port(&self) -> u16 {
        match self {
            Member::Workload(_, port)
            | Member::Gateway(_, port)
            | Member::Deployed(_, port)
            | Member::Waypoint(_, _, port) => *port,
        }
    }

    /// The host that a waypoint is called for.
    pub fn host(&self) -> Option<&str> {
        match self {
            Member::Waypoint(_, host, _) => Some(host),
            _ => None,
        }
    }
}

/// A class of places: the same clients reach all of its members, in the same way, with the same requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// What stands there.
    pub kind: PointKind,
    /// At least one.
    pub members: Vec<Member>,
    /// The port that policies see.
    pub port: u16,
    /// The cluster.
    pub cluster: ClusterId,
    /// AuthorizationPolicies there.
    pub policies: Attachments,
    /// RequestAuthentications there.
    pub request_authentications: Attachments,
    /// Who arrives how.
    pub arrivals: Vec<(Effect, ClientsId)>,
    /// What leaves open what stands there or how it decides.
    pub doubts: Vec<String>,
    /// The row of the table of transport that the first member is told of.
    pub(crate) row: Option<usize>,
    /// The pods that packets go to.
    pub(crate) pods: Option<WorkloadId>,
    /// The numbers of the lists of policies and of RequestAuthentications: equal lists have equal numbers.
    pub(crate) lists: (u32, u32),
    /// Where a proxy sends on to: workload ports behind hosts.
    pub(crate) leads: Vec<Lead>,
}

impl Place {
    /// Whether what stands here sends on to a port of a workload.
    pub fn leads_to(&self, workload: WorkloadId, port: u16) -> bool {
        self.leads.iter().any(|lead| lead.to == (workload, port))
    }
}
