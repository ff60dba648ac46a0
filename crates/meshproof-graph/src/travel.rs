//! Who may go along which edges, while ways are looked for.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::WorkloadId;

use crate::graph::{Graph, WhoId};
use crate::place::{Member, PlaceId};

/// Classes of callers with more workloads than this are asked about one workload at a time.
const FEW: usize = 64;

/// Who may go along which edges.
pub(crate) struct Travel<'g, 'm> {
    graph: &'g Graph<'m>,
    of_workload: HashMap<WorkloadId, Vec<WhoId>, RandomState>,
    /// Classes with many callers that nobody has gone along yet.
    wide: Vec<WhoId>,
    /// Classes of whoever comes in from outside.
    gateways: Vec<WhoId>,
    /// Places where a workload is called.
    pub places: HashMap<WorkloadId, Vec<PlaceId>, RandomState>,
}

impl<'g, 'm> Travel<'g, 'm> {
    pub fn new(graph: &'g Graph<'m>) -> Self {
        let mut travel = Travel {
            graph,
            of_workload: HashMap::default(),
            wide: Vec::new(),
            gateways: Vec::new(),
            places: HashMap::default(),
        };
        for (at, who) in graph.whos.iter().enumerate() {
            let id = WhoId(at as u32);
            if graph.clients(who.clients).internet {
                travel.gateways.push(id);
                continue;
            }
            let (found, complete) = graph.some_callers(who, FEW);
            if complete {
                for workload in found {
                    travel.of_workload.entry(workload).or_default().push(id);
                }
            } else {
                travel.wide.push(id);
            }
        }
        for (at, place) in graph.places.iter().enumerate() {
            for member in &place.members {
                if let Member::Workload(id, _) | Member::Gateway(id, _) = member {
                    travel.places.entry(*id).or_default().push(PlaceId(at as u32));
                }
            }
        }
        travel
    }

    /// Edges that a workload may go along. Those of classes with many callers are given once only, where nobody is refused:
    /// whoever comes first has been everywhere where they lead.
    pub fn of_workload(&mut self, id: WorkloadId) -> Vec<usize> {
        let mut whos = self.of_workload.get(&id).cloned().unwrap_or_default();
        let graph = self.graph;
        let is_refused = |who: WhoId| graph.of_who(who).any(|edge| edge.refuses);
        self.wide.retain(|who| {
            let is_among = graph.is_among(id, graph.who(*who));
            if is_among {
                whos.push(*who);
            }
            !is_among || is_refused(*who)
        });
        whos.into_iter().flat_map(|who| self.edges(who)).collect()
    }

    /// Edges into gateways that a workload may go along as clients from outside do.
    pub fn gateways_of(&self, id: WorkloadId) -> Vec<usize> {
        let graph = self.graph;
        let whos = self.gateways.iter().filter(|who| graph.may_come_in(id, graph.who(**who)));
        whos.flat_map(|who| self.edges(*who)).collect()
    }

    fn edges(&self, who: WhoId) -> Vec<usize> {
        self.graph.numbers_of(self.graph.who_nodes[who.0 as usize])
    }
}
