//! From a graph to its picture.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use meshproof_explain::{Unclear, assumptions};
use meshproof_ir::{Capture, WorkloadId};
use meshproof_space::{Clause, Variable, words};

use crate::graph::{Edge, Graph, Who};
use crate::naming::asks_for_identity;
use crate::party::{Party, Told};
use crate::picture::{NodeKind, Openness, Picture, PictureEdge, PictureNode};
use crate::place::{Member, PlaceId};
use crate::selection::Scope;
use crate::tokens::{Bearer, TokenId};

/// Callers that a rule names are drawn one by one up to so many.
const NAMED: usize = 12;
/// The same of clients that nothing tells apart.
const FEW: usize = 3;

/// The picture while it is drawn.
struct Drawing<'g, 'm> {
    graph: &'g Graph<'m>,
    out: Picture,
    of_workload: HashMap<WorkloadId, usize, RandomState>,
    of_group: HashMap<(NodeKind, String), usize, RandomState>,
    /// Lists of many tokens, with what is asked of those who send them.
    of_tokens: HashMap<(Vec<TokenId>, String), usize, RandomState>,
}

impl Graph<'_> {
    /// The picture of what a scope means. `witnesses`: each edge tells a request that shows it, which takes a search.
    ///
    /// # Errors
    /// A name that the mesh does not know, with what was probably meant.
    pub fn picture(&self, scope: &Scope, witnesses: bool) -> Result<Picture, Unclear> {
        let mut notes = assumptions(self.mesh);
        let selection = self.select(scope, &mut notes)?;
        let mut drawing = Drawing {
            graph: self,
            out: Picture { workloads: self.mesh.workloads.len(), notes, ..Picture::default() },
            of_workload: HashMap::default(),
            of_group: HashMap::default(),
            of_tokens: HashMap::default(),
        };
        drawing.workloads();
        let parties = selection.parties();
        let borne: Vec<usize> =
            (0..self.edges.len()).filter(|at| self.is_borne(&self.edges[*at], &selection)).collect();
        for numbers in borne.chunk_by(|one, next| self.edges[*one].place == self.edges[*next].place) {
            let edges: Vec<&Edge> = numbers.iter().map(|at| &self.edges[*at]).collect();
            let place = self.place(edges[0].place);
            let wanted = |member: &&Member| selection.leads_there(place) || selection.is_wanted(member);
            let members: Vec<&Member> = place.members.iter().filter(wanted).collect();
            if members.is_empty() {
                continue;
            }
            if witnesses {
                self.foresee(self.first_told(&edges, parties.as_deref()), selection.bearer());
            }
            for (at, edge) in numbers.iter().zip(edges) {
                match &parties {
                    None if edge.foreign => {}
                    None => drawing.edge(*at, None, &members, selection.bearer(), witnesses),
                    Some(parties) => {
                        for party in self.calling(edge, parties) {
                            drawing.edge(*at, Some(party), &members, selection.bearer(), witnesses);
                        }
                    }
                }
            }
        }
        let mut picture = drawing.finish();
        if !scope.is_everything() {
            picture.leave_out_bystanders();
        }
        Ok(picture)
    }
}

impl Drawing<'_, '_> {
    /// Workloads that are called in the same places and run as one account are one node.
    fn workloads(&mut self) {
        let graph = self.graph;
        let mut called: HashMap<WorkloadId, Vec<(PlaceId, u16)>, RandomState> = HashMap::default();
        for (at, place) in graph.places.iter().enumerate() {
            for member in &place.members {
                if let Member::Workload(id, port) | Member::Gateway(id, port) = member {
                    called.entry(*id).or_default().push((PlaceId(at as u32), *port));
                }
            }
        }
        type Key<'k> = (u32, Option<&'k str>, Option<Capture>, Vec<(PlaceId, u16)>);
        let mut nodes: HashMap<Key<'_>, usize, RandomState> = HashMap::default();
        for (id, workload) in graph.mesh.workloads_with_ids() {
            let places = called.remove(&id).unwrap_or_default();
            let capture = workload.capture.known().copied();
            let ports: BTreeSet<u16> = places.iter().map(|(_, port)| *port).collect();
            let key = (workload.namespace.0, graph.identities.principal(id), capture, places);
            let next = self.out.nodes.len();
            let node = *nodes.entry(key).or_insert(next);
            let name = graph.mesh.workload_display(id);
            self.of_workload.insert(id, node);
            if node != next {
                self.out.nodes[node].members.push(name);
                continue;
            }
            self.out.nodes.push(PictureNode {
                label: workload.name.clone(),
                set_up: None,
                namespace: Some(graph.mesh.namespace_display(workload.namespace).to_owned()),
                kind: match capture {
                    Some(Capture::Gateway) => NodeKind::Gateway,
                    Some(Capture::Waypoint) => NodeKind::Waypoint,
                    _ => NodeKind::Workload,
                },
                members: vec![name],
                ports: ports.into_iter().collect(),
                openness: Openness::Nobody,
                token: None,
            });
        }
    }

    /// `party`: only what this caller does; `bearer`: only what whoever holds this token does.
    fn edge(
        &mut self,
        at: usize,
        party: Option<Party<'_>>,
        members: &[&Member],
        bearer: Option<&Bearer>,
        witnesses: bool,
    ) {
        let graph = self.graph;
        let edge = &graph.edges[at];
        let Some(told) = graph.tell(edge, party, bearer, NAMED, witnesses) else { return };
        let number = self.out.told.len();
        let mut to: BTreeSet<(usize, u16)> = BTreeSet::new();
        for member in members {
            let node = match member {
                Member::Workload(id, _) | Member::Gateway(id, _) => self.of_workload.get(id).copied(),
                Member::Waypoint(id, ..) | Member::Deployed(id, _) => {
                    let pods = graph.mesh.gateway_pods(*id).next();
                    let node = pods.and_then(|pods| self.of_workload.get(&pods).copied());
                    Some(node.unwrap_or_else(|| {
                        let name = graph.mesh.gateway_display(*id);
                        self.group(NodeKind::Waypoint, &name, Some(member.namespace(graph.mesh)))
                    }))
                }
            };
            to.extend(node.map(|node| (node, member.port())));
        }
        let (mut from, mut openness) = self.callers(graph.who(edge.who), at, &told);
        if let Some(Party::Workload(id)) = party {
            from = self.of_workload.get(&id).copied().into_iter().collect();
        }
        if !edge.tokens.is_empty() && party.is_none() {
            // Whoever holds the token gets in, as far as the callers reach.
            from = self.holders(edge, bearer);
            openness = Openness::Named;
        }
        for (to, port) in to {
            let node = &mut self.out.nodes[to];
            node.openness = node.openness.max(openness);
            for from in from.iter().filter(|from| **from != to) {
                self.out.edges.push(PictureEdge {
                    from: *from,
                    to,
                    port: Some(port),
                    transport: edge.effect.outcome,
                    certain: edge.may.is_empty(),
                    told: Some(number),
                    count: 1,
                });
            }
        }
        self.out.told.push(told);
    }

    /// The nodes of the tokens of which one has to come with requests. Where rules ask who sends it too, the two are one node:
    /// neither gets in alone.
    fn holders(&mut self, edge: &Edge, bearer: Option<&Bearer>) -> Vec<usize> {
        let graph = self.graph;
        let who = graph.who(edge.who);
        let of_identity = |clause: &&Clause| clause.variable == Variable::Peer;
        let sender: Vec<Clause> = match edge.effect.identified {
            true => who.peers.clauses.iter().filter(of_identity).cloned().collect(),
            false => Vec::new(),
        };
        let sender = words::callers(&sender).map_or_else(String::new, |sender| format!(" from {sender}"));
        let is_asked = |token: &&TokenId| bearer.is_none_or(|bearer| bearer.is_one_of(graph.token(**token)));
        let tokens: Vec<TokenId> = edge.tokens.iter().filter(is_asked).copied().collect();
        if tokens.len() > NAMED {
            let label = format!("one of {} tokens{sender}", tokens.len());
            let node = self.of_tokens.get(&(tokens.clone(), sender.clone())).copied();
            let node = node.unwrap_or_else(|| {
                let members = tokens.iter().map(|token| graph.token(*token).to_string()).collect();
                self.out.nodes.push(PictureNode { members, ..PictureNode::group(NodeKind::Token, label) });
                self.out.nodes.len() - 1
            });
            self.of_tokens.insert((tokens, sender), node);
            return vec![node];
        }
        let one = |token: TokenId| {
            let principal = graph.token(token);
            let node = self.group(NodeKind::Token, &format!("{principal}{sender}"), None);
            self.out.nodes[node].token = Some(principal.clone());
            node
        };
        tokens.into_iter().map(one).collect()
    }

    /// The nodes of those who call, and how open that is.
    fn callers(&mut self, who: &Who, at: usize, told: &Told) -> (Vec<usize>, Openness) {
        let graph = self.graph;
        let edge = &graph.edges[at];
        let clients = graph.clients(who.clients);
        if clients.internet {
            return (vec![self.group(NodeKind::Outside, "outside", None)], Openness::Anybody);
        }
        if !edge.effect.identified && clients.outsider {
            return (vec![self.group(NodeKind::Outside, &told.who, None)], Openness::Anybody);
        }
        let asks = asks_for_identity(who);
        let most = if asks { NAMED } else { FEW };
        let (mut found, complete) = graph.some_callers(who, most + 1);
        if complete && found.len() <= most {
            found.retain(|id| graph.gets_through(at, Party::Workload(*id)));
            let mut nodes: BTreeSet<usize> =
                found.iter().filter_map(|id| self.of_workload.get(id)).copied().collect();
            for id in &clients.waypoints {
                let name = graph.mesh.gateway_display(*id);
                let namespace = graph.mesh.namespace_display(graph.mesh.gateway(*id).namespace).to_owned();
                nodes.insert(self.group(NodeKind::Waypoint, &name, Some(&namespace)));
            }
            if !nodes.is_empty() {
                return (nodes.into_iter().collect(), Openness::Named);
            }
        }
        let openness = if asks { Openness::Named } else { Openness::Mesh };
        let namespace = told.who.strip_prefix("namespace ").filter(|name| !name.contains([' ', ',']));
        (vec![self.group(NodeKind::Callers, &told.who, namespace)], openness)
    }

    fn group(&mut self, kind: NodeKind, label: &str, namespace: Option<&str>) -> usize {
        let next = self.out.nodes.len();
        let node = *self.of_group.entry((kind, label.to_owned())).or_insert(next);
        if node == next {
            self.out.nodes.push(PictureNode {
                namespace: namespace.map(str::to_owned),
                ..PictureNode::group(kind, label.to_owned())
            });
        }
        node
    }

    fn finish(mut self) -> Picture {
        for node in self.out.nodes.iter_mut().filter(|node| node.kind != NodeKind::Token) {
            if node.members.len() > 1 {
                node.label = format!("{} (×{})", node.label, node.members.len());
            }
        }
        self.out.edges.sort_unstable();
        self.out.edges.dedup();
        self.out
    }
}
