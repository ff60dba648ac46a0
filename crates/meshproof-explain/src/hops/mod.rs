//! The places that a request passes, in order: a gateway that sends it, a waypoint, the workload.

mod gateway;
mod waypoint;
mod workload;

use meshproof_ir::{Called as Addressed, Mesh, WorkloadId};
use meshproof_network::Network;
use meshproof_transport::Transport;

use crate::answer::{Answer, Hop};
use crate::authorize::Arriving;
use crate::called::Called;
use crate::client::Client;
use crate::question::Question;

/// Port of the tunnels of ambient mode.
const HBONE_PORT: u16 = 15008;

/// A request on its way.
pub(crate) struct Journey<'a> {
    pub mesh: &'a Mesh,
    pub transport: &'a Transport<'a>,
    pub network: &'a Network<'a>,
    pub question: &'a Question,
    /// Who sends it to the next hop.
    pub client: Client,
    /// What is left of the original client.
    pub arriving: Arriving,
    pub target: WorkloadId,
    /// The port of the pods.
    pub port: u16,
    /// The Service through which it is called.
    pub service: Option<Called>,
}

impl<'a> Journey<'a> {
    pub fn new(
        (transport, network): (&'a Transport<'a>, &'a Network<'a>),
        question: &'a Question,
        client: Client,
        (target, port): (WorkloadId, u16),
        service: Option<Called>,
    ) -> Self {
        let source = question.source_ip.or(client.address);
        let arriving = Arriving { source, remote: question.remote_ip, token: true };
        Journey {
            mesh: transport.mesh(),
            transport,
            network,
            question,
            client,
            arriving,
            target,
            port,
            service,
        }
    }

    /// What the client addresses.
    fn addressed(&self) -> Addressed {
        self.service.as_ref().map_or(Addressed::Workload(self.target), |called| called.addressed)
    }

    /// The host name that the client calls.
    fn host(&self) -> String {
        let direct = || self.mesh.workload_display(self.target);
        self.service.as_ref().map_or_else(direct, Called::authority)
    }

    /// A hop let the request in and sends it on: from now on it is the client.
    fn send_on(&mut self, proxy: Client, keeps_token: bool) {
        self.client = proxy;
        let remote = self.arriving.remote.or(self.arriving.source);
        self.arriving = Arriving { source: None, remote, token: self.arriving.token && keeps_token };
    }
}

/// Follows the request until a hop refuses it.
pub(crate) fn follow(journey: &mut Journey<'_>, answer: &mut Answer) {
    for pass in [gateway::pass, waypoint::pass, workload::pass] {
        pass(journey, answer);
        if answer.hops.last().is_some_and(Hop::refuses) {
            return;
        }
    }
}
