//! The places that a request passes, in order: a gateway that sends it, a waypoint, the workload.

mod gateway;
mod waypoint;
mod workload;

use meshproof_ir::{Called as Addressed, Mesh, WorkloadId};
use meshproof_network::Network;
use meshproof_transport::{RoutedTo, Transport};

use crate::answer::{Answer, Authorization, Evidence, Hop};
use crate::authorize::Arriving;
use crate::called::Called;
use crate::client::Client;
use crate::question::Question;

/// Port of the tunnels of ambient mode.
const HBONE_PORT: u16 = 15008;

/// What is known of the mesh.
#[derive(Clone, Copy)]
pub(crate) struct Knowledge<'a> {
    pub transport: &'a Transport<'a>,
    pub network: &'a Network<'a>,
}

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
    /// Where a VirtualService sends the call.
    pub sent_to: Option<RoutedTo>,
}

impl<'a> Journey<'a> {
    pub fn new(
        Knowledge { transport, network }: Knowledge<'a>,
        question: &'a Question,
        client: Client,
        (target, port): (WorkloadId, u16),
        service: Option<Called>,
    ) -> Self {
        let source = question.source_ip.or(client.address);
        let arriving = Arriving { source, remote: question.remote_ip, token: true, headers: Vec::new() };
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
            sent_to: None,
        }
    }

    /// What the client addresses.
    fn addressed(&self) -> Addressed {
        self.service.as_ref().map_or(Addressed::Workload(self.target), |called| called.addressed)
    }

    /// Whether a host is the one that is called.
    fn is_called(&self, host: &str) -> bool {
        self.service.as_ref().is_some_and(|called| called.host == host)
    }

    /// The host name that the client calls.
    fn host(&self) -> String {
        if let Some(host) = &self.question.http.host {
            return host.clone();
        }
        let direct = || self.mesh.workload_display(self.target);
        self.service.as_ref().map_or_else(direct, Called::authority)
    }

    /// A hop let the request in and sends it on: from now on it is the client.
    fn send_on(&mut self, proxy: Client, told: &Authorization, answer: &mut Answer) {
        let has_token = !self.question.http.claims.is_empty();
        if self.arriving.token && !told.keeps_token && has_token {
            let text = format!("{} does not send the token on (forwardOriginalToken)", proxy.display);
            answer.notes.push(Evidence::new(text));
        }
        self.client = proxy;
        let remote = self.arriving.remote.or(self.arriving.source);
        let headers = [self.arriving.headers.as_slice(), &told.sets_headers].concat();
        let token = self.arriving.token && told.keeps_token;
        self.arriving = Arriving { source: None, remote, token, headers };
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
