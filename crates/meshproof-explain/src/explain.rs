//! From a question to its answer: the hops in order, until one of them refuses.

use meshproof_authz::{Engine, at_gateway, context_of};
use meshproof_ir::{Attachment, Fact, Layer, Mesh, ServiceId, WorkloadId};

use crate::answer::{Answer, Evidence, Hop, Outcome, PointKind, Verdict};
use crate::authorize::{self, Desk};
use crate::client::Client;
use crate::names::{self, Unclear};
use crate::question::{Question, Way};
use crate::transport;

/// Answers a question about a mesh.
///
/// # Errors
/// A name that the mesh does not know, with what was probably meant; a port that has to be told.
pub fn explain(mesh: &Mesh, question: &Question) -> Result<Answer, Unclear> {
    let target = names::workload(mesh, &question.to.namespace, &question.to.name)?;
    let port = names::port(mesh, target, &question.to)?;
    let client = Client::of(mesh, &question.from)?;
    let call =
        Call { mesh, question, client, target, port, service: called_service(mesh, question, target, port)? };
    Ok(call.answer())
}

/// The Service through which the port is called.
fn called_service(
    mesh: &Mesh,
    question: &Question,
    target: WorkloadId,
    port: u16,
) -> Result<Option<ServiceId>, Unclear> {
    match &question.way {
        Way::Direct => Ok(None),
        Way::Fitting => {
            let ports = &mesh.workload(target).ports;
            let found = ports.iter().find(|own| own.number == port).and_then(|own| own.bindings.first());
            Ok(found.map(|binding| binding.service))
        }
        Way::Service { host, .. } => {
            let id = names::service(mesh, host, question.from.namespace())?;
            if mesh.services[id.index()].workloads.contains(&target) {
                return Ok(Some(id));
            }
            let what = format!("{host} does not lead to {}", question.to);
            let hint = match mesh.services[id.index()].workloads.first() {
                Some(other) => format!("it leads to {}", mesh.workload_display(*other)),
                None => "it leads to no workload of the input".to_owned(),
            };
            Err(Unclear::new(what, Some(hint)))
        }
    }
}

struct Call<'a> {
    mesh: &'a Mesh,
    question: &'a Question,
    client: Client,
    target: WorkloadId,
    port: u16,
    service: Option<ServiceId>,
}

impl Call<'_> {
    fn answer(&self) -> Answer {
        let mut answer = Answer {
            verdict: Verdict::Allow,
            reason: String::new(),
            deciding: None,
            from: self.client.display.clone(),
            to: self.mesh.workload_display(self.target),
            port: self.port,
            service: self.service.map(|id| self.host(id)),
            request: self.request(),
            hops: Vec::new(),
            unknowns: Vec::new(),
            notes: self.client.notes.iter().map(Evidence::new).collect(),
        };
        let (hop, unknowns) = self.at_workload();
        answer.unknowns.extend(unknowns);
        answer.hops.push(hop);
        conclude(&mut answer);
        answer
    }

    fn request(&self) -> String {
        match self.question.speaks {
            Layer::Http => format!("{} {}", self.question.http.method, self.question.http.path),
            Layer::Tcp => "TCP connection".to_owned(),
        }
    }

    fn host(&self, id: ServiceId) -> String {
        let service = &self.mesh.services[id.index()];
        let name = || self.mesh.resource(service.resource).meta.name().to_owned();
        service.fqdn.clone().unwrap_or_else(name)
    }

    /// The last hop: the workload itself.
    fn at_workload(&self) -> (Hop, Vec<String>) {
        let workload = self.mesh.workload(self.target);
        let leg =
            transport::to_workload(self.mesh, &self.client, self.target, self.port, self.question.speaks);
        let mut hop = Hop {
            kind: leg.kind,
            name: self.mesh.workload_display(self.target),
            port: self.port,
            transport: leg.transport,
            network: Vec::new(),
            authorization: None,
        };
        let mut unknowns = Vec::new();
        if let Fact::Unknown(reason) = &workload.capture {
            unknowns.push(format!("whether {} has a proxy: {reason}", hop.name));
        }
        let engine = match (hop.kind, leg.layer) {
            (PointKind::Sidecar | PointKind::Gateway | PointKind::Waypoint, Some(Layer::Http)) => {
                Engine::EnvoyHttp
            }
            (PointKind::Sidecar | PointKind::Gateway | PointKind::Waypoint, Some(Layer::Tcp)) => {
                Engine::EnvoyTcp
            }
            (PointKind::Ztunnel, Some(_)) => Engine::Ztunnel,
            (PointKind::ProxylessGrpc, Some(_)) => Engine::Grpc,
            _ => return (hop, unknowns),
        };
        let cluster = self.mesh.namespace(workload.namespace).cluster;
        let mut context = context_of(self.mesh, cluster, engine);
        if hop.kind == PointKind::Gateway {
            context = at_gateway(context, 0);
        }
        let policies: Vec<&Attachment> = workload.policies.iter().collect();
        let desk = Desk {
            policies,
            request_authentications: workload.request_authentications.iter().map(|own| own.policy).collect(),
            context,
            port: self.port,
            identity: hop.transport.identity.clone(),
            host: self.service.map_or_else(|| hop.name.clone(), |id| self.host(id)),
            sni: None,
        };
        let (authorization, open) = authorize::ask(self.mesh, &desk, self.question);
        unknowns.extend(open);
        hop.authorization = Some(authorization);
        (hop, unknowns)
    }
}

/// The first hop that refuses decides; if none does, the last one lets it in.
fn conclude(answer: &mut Answer) {
    for hop in &answer.hops {
        if hop.transport.outcome == Outcome::Refused {
            answer.verdict = Verdict::Deny;
            answer.reason =
                hop.transport.refusal.clone().unwrap_or_else(|| "no connection comes about".to_owned());
            return;
        }
        let Some(told) = &hop.authorization else { continue };
        answer.reason.clone_from(&told.reason);
        answer.deciding.clone_from(&told.deciding);
        if told.verdict == Verdict::Deny {
            answer.verdict = Verdict::Deny;
            return;
        }
    }
    if answer.reason.is_empty() {
        answer.reason = "nothing of the mesh stands before it".to_owned();
    }
}
