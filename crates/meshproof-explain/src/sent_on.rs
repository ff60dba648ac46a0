//! Where VirtualServices send the call: each destination that leads to the workload is followed.

use meshproof_ir::WorkloadId;
use meshproof_transport::{Call, Client as Sender, EndpointAddress, Path, RoutedTo, Target, Transport};

use crate::answer::{Answer, Evidence, Outcome, Verdict};
use crate::called::{self, Called};
use crate::client::Client;
use crate::question::Question;
use crate::transport::told;

/// The ways of a call behind the proxy of its client.
#[derive(Default)]
pub(crate) struct SentOn {
    /// Those that lead to the workload; nothing where no VirtualService has a say.
    pub ways: Vec<RoutedTo>,
    /// What is worth knowing beside: ways that lead elsewhere.
    pub notes: Vec<Evidence>,
    /// What leaves open where the call goes.
    pub unknowns: Vec<String>,
}

/// What VirtualServices make of the call.
pub(crate) fn of(
    transport: &Transport<'_>,
    question: &Question,
    client: &Client,
    service: Option<&Called>,
    (target, port): (WorkloadId, u16),
) -> SentOn {
    let (Some(id), Some(called)) = (client.workload, service) else { return SentOn::default() };
    let routed = transport.routed(id, &called.host, called.port, question.speaks);
    let open = |evidence: &meshproof_transport::Evidence| format!("where the call goes: {}", evidence.text);
    let mut sent = SentOn::default();
    sent.unknowns.extend(routed.lost.iter().chain(&routed.unknown).map(open));
    let hosts = called::hosts(transport.mesh(), target, port);
    let mut elsewhere = Vec::new();
    for to in routed.destinations {
        let subset = to.subset.as_deref();
        let dialled = Target::Host(&to.host);
        let speaks = question.speaks;
        let outcome = transport.call(&Call {
            client: Sender::Workload(id),
            target: dialled,
            port: to.port,
            subset,
            speaks,
        });
        let here = EndpointAddress::Workload(target);
        let arrives =
            outcome.endpoints.iter().any(|endpoint| endpoint.endpoint == here && endpoint.port == port);
        // It would lead there, and the client's own proxy refuses.
        let refused = matches!(outcome.path, Path::NoCluster | Path::Blackhole)
            && hosts.iter().any(|(host, port)| *host == to.host && *port == to.port);
        if arrives || refused {
            sent.ways.push(to);
        } else {
            elsewhere.push(to.evidence);
        }
    }
    match sent.ways.is_empty() {
        true => sent.unknowns.extend(elsewhere.iter().map(open)),
        false => sent.notes.extend(elsewhere.iter().map(told)),
    }
    sent
}

/// One answer of those of each way, which stand in the order of the ways: the first, with what the others say.
pub(crate) fn merge(ways: &[RoutedTo], answers: Vec<Answer>) -> Option<Answer> {
    let briefs: Vec<String> = ways
        .iter()
        .zip(&answers)
        .map(|(way, answer)| format!("{}: {}", way.evidence.text, brief(answer)))
        .collect();
    let mut answers = answers.into_iter();
    let mut first = answers.next()?;
    let mut agrees = true;
    for other in answers {
        agrees &= other.verdict == first.verdict;
        let new = |text: &String, known: &[String]| !known.contains(text);
        let more: Vec<String> =
            other.unknowns.into_iter().filter(|text| new(text, &first.unknowns)).collect();
        first.unknowns.extend(more);
        let more: Vec<Evidence> =
            other.notes.into_iter().filter(|note| !first.notes.contains(note)).collect();
        first.notes.extend(more);
    }
    if briefs.len() > 1 && !agrees {
        first.unknowns.insert(0, format!("where the call goes; {}", briefs.join("; ")));
    } else if briefs.len() > 1 {
        first.notes.extend(briefs.into_iter().map(Evidence::new));
    }
    Some(first)
}

fn brief(answer: &Answer) -> String {
    let outcome = answer.hops.last().map_or(Outcome::Unknown, |hop| hop.transport.outcome);
    match (answer.verdict, outcome) {
        (Verdict::Deny, _) => format!("denied ({})", answer.reason),
        (Verdict::Allow, Outcome::Mtls) => "allowed, over mTLS".to_owned(),
        (Verdict::Allow, Outcome::Tls) => "allowed, in TLS that nobody opens".to_owned(),
        (Verdict::Allow, Outcome::Plaintext) => "allowed, in plaintext".to_owned(),
        (Verdict::Allow, _) => "allowed".to_owned(),
    }
}
