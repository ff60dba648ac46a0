//! From a question to its answer.

use meshproof_authz::unknown_settings;
use meshproof_ir::{Layer, Mesh, WorkloadId};
use meshproof_network::Network;
use meshproof_transport::{RoutedTo, Transport};

use crate::answer::{Answer, Evidence, Outcome, Verdict};
use crate::called;
use crate::client::Client;
use crate::hops::{self, Journey, Knowledge};
use crate::names::{self, Unclear};
use crate::question::Question;
use crate::sent_on;

/// A mesh that answers questions; what they share is worked out once.
pub struct Explainer<'m> {
    mesh: &'m Mesh,
    transport: Transport<'m>,
    network: Network<'m>,
}

impl<'m> Explainer<'m> {
    /// Prepares a mesh for questions, in time linear in it.
    pub fn new(mesh: &'m Mesh) -> Self {
        Explainer { mesh, transport: Transport::new(mesh), network: Network::new(mesh) }
    }

    /// Answers a question: follows the request from hop to hop until one refuses it. Where several clusters have the
    /// workload, each has its answer.
    ///
    /// # Errors
    /// A name that the mesh does not know, with what was probably meant; a port that has to be told.
    pub fn answers(&self, question: &Question) -> Result<Vec<Answer>, Unclear> {
        let found = names::workloads(self.mesh, &question.to.namespace, &question.to.name)?;
        let to = question.to.to_string();
        let targets = names::in_cluster(self.mesh, found, question.to_cluster.as_deref(), &to)?;
        targets.iter().map(|target| self.answer(question, *target, &targets)).collect()
    }

    fn answer(&self, question: &Question, target: WorkloadId, all: &[WorkloadId]) -> Result<Answer, Unclear> {
        let mesh = self.mesh;
        let several = all.len() > 1;
        let port = names::port(mesh, target, &question.to)?;
        let cluster = mesh.namespace(mesh.workload(target).namespace).cluster;
        let client = Client::of(mesh, &question.from, (question.from_cluster.as_deref(), cluster))?;
        let service = called::service(mesh, question, target, port)?;
        let mut unknowns: Vec<String> =
            unknown_settings(mesh.settings_of(cluster)).map(str::to_owned).collect();
        unknowns.extend(client.doubts.iter().cloned());
        let mut answer = Answer {
            verdict: Verdict::Allow,
            reason: String::new(),
            deciding: None,
            from: client.display.clone(),
            to: names::told_apart(mesh, all, target),
            cluster: mesh.clusters[cluster.index()].name.clone().filter(|_| several),
            port,
            service: service.as_ref().map(ToString::to_string),
            request: request(question),
            hops: Vec::new(),
            unknowns,
            notes: client.notes.iter().map(Evidence::new).collect(),
        };
        answer.notes.extend(called::note(mesh, question, target, port));
        let knowledge = Knowledge { transport: &self.transport, network: &self.network };
        let sent = sent_on::of(&self.transport, question, &client, service.as_ref(), (target, port));
        answer.notes.extend(sent.notes);
        answer.unknowns.extend(sent.unknowns);
        let follow = |sent_to: Option<RoutedTo>| {
            let mut answer = answer.clone();
            let mut journey =
                Journey::new(knowledge, question, client.clone(), (target, port), service.clone());
            journey.sent_to = sent_to;
            hops::follow(&mut journey, &mut answer);
            conclude(&mut answer);
            answer
        };
        let by_ways = sent.ways.iter().map(|way| follow(Some(way.clone()))).collect();
        Ok(sent_on::merge(&sent.ways, by_ways).unwrap_or_else(|| follow(None)))
    }
}

fn request(question: &Question) -> String {
    match question.speaks {
        Layer::Http => format!("{} {}", question.http.method, question.http.path),
        Layer::Tcp => "TCP connection".to_owned(),
    }
}

/// The first hop that refuses decides. If none does, the last one with a rule for the request lets it in.
fn conclude(answer: &mut Answer) {
    let mut told = None;
    for hop in &answer.hops {
        if hop.is_cut_off() {
            let evidence = hop.network.as_ref().and_then(|network| network.evidence.first());
            answer.verdict = Verdict::Deny;
            answer.reason = evidence.map_or_else(String::new, |evidence| evidence.text.clone());
            return;
        }
        if hop.transport.outcome == Outcome::Refused {
            let refusal = hop.transport.refusal.clone();
            answer.verdict = Verdict::Deny;
            answer.reason = refusal.unwrap_or_else(|| "no connection comes about".to_owned());
            return;
        }
        let Some(here) = &hop.authorization else { continue };
        answer
            .unknowns
            .extend(here.asked.iter().map(|provider| format!("what the provider {provider} answers")));
        if here.verdict == Verdict::Deny {
            answer.verdict = Verdict::Deny;
            answer.reason.clone_from(&here.reason);
            answer.deciding.clone_from(&here.deciding);
            return;
        }
        if here.deciding.is_some() || told.is_none() {
            told = Some(here);
        }
    }
    match told {
        Some(here) => {
            answer.reason.clone_from(&here.reason);
            answer.deciding.clone_from(&here.deciding);
        }
        None => answer.reason = "nothing of the mesh stands before it".to_owned(),
    }
}
