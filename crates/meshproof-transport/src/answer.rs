//! An answer while it is put together: what is sent where, and then what each server makes of it.

use meshproof_grammar::spiffe::{SCHEME, SpiffeId};
use meshproof_ir::{Capture, ClusterId, Fact, GatewayId, Mesh, Origin, WorkloadId};

use crate::delivery::Server;
use crate::endpoints::Endpoint;
use crate::{
    Call, Client, Delivery, EndpointAddress, EndpointOutcome, Evidence, Outcome, Path, RefusedBy, SentTls,
    Wire,
};

/// What is sent to one endpoint.
pub(crate) struct Hop<'m> {
    pub(crate) endpoint: Endpoint<'m>,
    pub(crate) wire: Fact<Wire>,
    pub(crate) evidence: Vec<Evidence>,
}

/// An answer without the half of the servers.
pub(crate) struct Answer<'q, 'm> {
    mesh: &'m Mesh,
    pub(crate) call: Call<'q>,
    pub(crate) path: Path,
    pub(crate) through: Vec<(GatewayId, u8)>,
    pub(crate) wire: Option<Wire>,
    pub(crate) tls: Option<SentTls>,
    pub(crate) hops: Vec<Hop<'m>>,
    evidence: Vec<Evidence>,
    pub(crate) unknown: Vec<String>,
}

impl<'q, 'm> Answer<'q, 'm> {
    pub(crate) fn new(mesh: &'m Mesh, call: Call<'q>, path: Path) -> Self {
        Answer {
            mesh,
            call,
            path,
            through: Vec::new(),
            wire: None,
            tls: None,
            hops: Vec::new(),
            evidence: Vec::new(),
            unknown: Vec::new(),
        }
    }

    pub(crate) fn say(&mut self, evidence: Evidence) {
        self.evidence.push(evidence);
    }

    pub(crate) fn add(&mut self, hop: Hop<'m>) {
        self.hops.push(hop);
    }

    /// Lets every server take what is sent to it.
    pub(crate) fn finish(mut self) -> Outcome {
        let hops = std::mem::take(&mut self.hops);
        let endpoints: Vec<EndpointOutcome> = hops.into_iter().map(|hop| self.delivered(hop)).collect();
        let own_certificate = endpoints.iter().any(|endpoint| {
            endpoint.wire.is(&Wire::Mtls) && matches!(endpoint.result.known(), Some(Delivery::Mutual(_)))
        });
        if own_certificate {
            let text =
                "whether the mesh trusts the certificate that the DestinationRule names is not in the input";
            self.unknown.push(text.to_owned());
        }
        self.unknown.dedup();
        Outcome {
            path: self.path,
            through: self.through,
            wire: self.wire,
            tls: self.tls,
            endpoints,
            evidence: self.evidence,
            unknown: self.unknown,
        }
    }

    fn delivered(&mut self, hop: Hop<'m>) -> EndpointOutcome {
        let Hop { endpoint, wire, evidence } = hop;
        let mut server = Vec::new();
        let result = match (&wire, &endpoint.address) {
            (Fact::Unknown(reason), _) => Err(reason.clone()),
            (_, EndpointAddress::Address(address)) => {
                Err(format!("what runs at {address} is not in the input"))
            }
            (Fact::Known(wire, _), EndpointAddress::Workload(id)) => {
                self.at_workload(*wire, *id, endpoint.port, &mut server)
            }
        };
        let seen = matches!(wire.known(), Some(Wire::IstioMtls | Wire::Hbone | Wire::HboneTls))
            && matches!(result, Ok(Delivery::Mutual(_)));
        let identity = if seen { self.client_id() } else { None };
        let result = match result {
            Ok(delivery) => Fact::Known(delivery, Origin::Default),
            Err(reason) => Fact::Unknown(reason),
        };
        EndpointOutcome {
            endpoint: endpoint.address,
            port: endpoint.port,
            wire,
            result,
            identity,
            evidence,
            server,
        }
    }

    fn at_workload(
        &mut self,
        wire: Wire,
        id: WorkloadId,
        port: u16,
        evidence: &mut Vec<Evidence>,
    ) -> Result<Delivery, String> {
        let server = Server { mesh: self.mesh, id, port };
        let delivery = server.deliver(wire, self.call.speaks, evidence)?;
        if !self.mesh.workload(id).envoy_filters.is_empty() {
            let name = self.mesh.workload_display(id);
            self.unknown.push(format!("EnvoyFilters may change what {name} takes"));
        }
        if !matches!(delivery, Delivery::Mutual(_)) {
            return Ok(delivery);
        }
        if let Some(text) = self.foreign_client(id, wire) {
            evidence.push(Evidence { object: None, span: None, text });
            return Ok(Delivery::Refused(RefusedBy::TrustDomain));
        }
        if let Some(text) = self.wrong_server(id, wire) {
            evidence.push(Evidence { object: None, span: None, text });
            return Ok(Delivery::Refused(RefusedBy::ServerIdentity));
        }
        Ok(delivery)
    }

    /// Why the client does not take the server's certificate.
    fn wrong_server(&self, id: WorkloadId, wire: Wire) -> Option<String> {
        let names = &self.tls.as_ref()?.server_names;
        if names.is_empty() || matches!(wire, Wire::Hbone | Wire::HboneTls) {
            return None;
        }
        let own = self.mesh.identity_of(id)?.spiffe_id()?;
        (!names.contains(&own))
            .then(|| format!("the server is {own}, which is none of the names that the client accepts"))
    }

    /// Why the server does not take the client's certificate: sidecars trust the aliases of their trust domain too,
    /// ztunnel its own alone (mutual-TLS reference §1.6, §7).
    fn foreign_client(&self, id: WorkloadId, wire: Wire) -> Option<String> {
        if wire == Wire::Mtls {
            return None;
        }
        let client = self.client_id()?;
        let (domain, _) = client.strip_prefix(SCHEME)?.split_once('/')?;
        let workload = self.mesh.workload(id);
        let cluster = self.mesh.namespace(workload.namespace).cluster;
        let domains = trusted_domains(self.mesh, cluster, workload.capture.is(&Capture::Ambient))?;
        let trusted = domains.iter().any(|known| known == domain);
        (!trusted).then(|| format!("the server's mesh does not trust the trust domain {domain}"))
    }

    fn client_id(&self) -> Option<String> {
        match self.call.client {
            Client::Workload(id) => self.mesh.identity_of(id)?.spiffe_id(),
            Client::Waypoint(id) => gateway_id(self.mesh, id),
            Client::Identity(_, identity) => identity.spiffe_id(),
            Client::Plaintext(_) => None,
        }
    }
}

/// The trust domains whose certificates servers of a cluster take: sidecars those of aliases too, ztunnel its own alone
/// (mutual-TLS reference §1.6, §7). Nothing where any may be taken.
pub fn trusted_domains(mesh: &Mesh, cluster: ClusterId, only_own: bool) -> Option<Vec<String>> {
    let settings = mesh.settings_of(cluster);
    let own = settings.trust_domain.known()?.replace('@', ".");
    let skips = settings.feature("PILOT_SKIP_VALIDATE_TRUST_DOMAIN").and_then(Fact::known);
    if only_own {
        return Some(vec![own]);
    }
    if skips.is_some_and(|value| value == "true") {
        return None;
    }
    let also = settings.trust_domain_aliases.iter().chain(&settings.ca_trust_domains);
    Some([own].into_iter().chain(also.cloned()).collect())
}

/// What the proxy of a Gateway proves to be. istiod makes its account with the name of its Service, unless the input
/// holds the pods (Istio 1.32, config/kube/gatewaycommon/deploymentcontroller.go).
pub(crate) fn gateway_id(mesh: &Mesh, id: GatewayId) -> Option<String> {
    if let Some(identity) = mesh.gateway_identity(id) {
        return identity.spiffe_id();
    }
    let gateway = mesh.gateway(id);
    let namespace = mesh.namespace(gateway.namespace);
    let domain = mesh.settings_of(namespace.cluster).trust_domain.known()?;
    let account = &gateway.deployed_service()?.name;
    Some(SpiffeId::new(domain, namespace.name.as_deref()?, account).to_string())
}
