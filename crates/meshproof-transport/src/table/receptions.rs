//! What a call comes to, place by place.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use meshproof_ir::{Fact, Origin, WorkloadId};

use super::client_kind::ClientKind;
use super::row::Reception;
use super::rows::Place;
use crate::{Delivery, EndpointAddress, Evidence, Outcome, Path, RefusedBy};

/// What becomes of the calls of clients of whom it is not known whether they have a proxy.
pub(super) fn unknown_sender(kind: ClientKind) -> Option<Reception> {
    let reason = "whether these clients have a proxy is not known";
    (kind == ClientKind::Unknown).then(|| nothing_sent(Fact::Unknown(reason.to_owned()), Vec::new()))
}

pub(super) fn nothing_sent(result: Fact<Delivery>, client: Vec<Evidence>) -> Reception {
    Reception {
        sends: None,
        result,
        identified: false,
        through: None,
        client,
        server: Vec::new(),
        unknown: Vec::new(),
    }
}

/// An outcome, place by place. Where nothing is sent at all, every place behind the host gets the refusal; a client that
/// means other endpoints by the host says nothing of these.
pub(super) fn receptions(outcome: Outcome, behind: &[Place]) -> Vec<(Place, Reception)> {
    let Outcome { path, endpoints, evidence, unknown, .. } = outcome;
    if endpoints.is_empty() {
        let result = match (path, unknown.first()) {
            (Path::Blackhole, _) => {
                Fact::Known(Delivery::Refused(RefusedBy::UnknownDestination), Origin::Default)
            }
            (Path::NoCluster, _) => Fact::Known(Delivery::Refused(RefusedBy::NoCluster), Origin::Default),
            (_, Some(reason)) => Fact::Unknown(reason.clone()),
            (_, None) => return Vec::new(),
        };
        let reception = nothing_sent(result, evidence);
        return behind.iter().map(|place| (*place, reception.clone())).collect();
    }
    // Two Services of one name have each endpoint twice.
    let mut told: HashSet<Place, RandomState> = HashSet::default();
    let here = endpoints.into_iter().filter_map(|endpoint| {
        let EndpointAddress::Workload(id) = endpoint.endpoint else { return None };
        let place: (WorkloadId, u16) = (id, endpoint.port);
        behind.binary_search(&place).ok().filter(|_| told.insert(place))?;
        let reception = Reception {
            sends: Some(endpoint.wire),
            result: endpoint.result,
            identified: endpoint.identity.is_some(),
            through: None,
            client: evidence.iter().cloned().chain(endpoint.evidence).collect(),
            server: endpoint.server,
            unknown: unknown.clone(),
        };
        Some((place, reception))
    });
    here.collect()
}
