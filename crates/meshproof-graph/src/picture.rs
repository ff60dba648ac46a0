//! The graph as it is drawn: equal workloads of a namespace are one node, and whoever calls is a workload or a group.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use meshproof_explain::Outcome;
use meshproof_ir::{Capture, WorkloadId};

use crate::graph::{Graph, Who};
use crate::naming::asks_for_identity;
use crate::party::{Party, Told};
use crate::place::{Member, PlaceId};

/// Callers that a rule names are drawn one by one up to so many.
const NAMED: usize = 12;
/// The same of clients that nothing tells apart.
const FEW: usize = 3;

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// Nodes by number.
    pub nodes: Vec<PictureNode>,
    /// Edges.
    pub edges: Vec<PictureEdge>,
    /// What edges tell, by number.
    pub told: Vec<Told>,
    /// How many workloads there are.
    pub workloads: usize,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureNode {
    /// Its name.
    pub label: String,
    /// The namespace in which it stands; nothing for groups of many.
    pub namespace: Option<String>,
    /// What it is.
    pub kind: NodeKind,
    /// `namespace/name` of its workloads.
    pub members: Vec<String>,
    /// Their ports.
    pub ports: Vec<u16>,
    /// Who gets in.
    pub openness: Openness,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// Somebody outside of the mesh, or without an identity.
    Outside,
    /// Many clients, or an account that no workload of the input runs as.
    Callers,
    /// A gateway.
    Gateway,
    /// A waypoint.
    Waypoint,
    /// Equal workloads.
    Workload,
    /// All workloads of a namespace, where there are too many to draw each.
    Namespace,
}

impl NodeKind {
    /// The word of reports.
    pub fn word(self) -> &'static str {
        match self {
            NodeKind::Outside => "outside",
            NodeKind::Callers => "callers",
            NodeKind::Gateway => "gateway",
            NodeKind::Waypoint => "waypoint",
            NodeKind::Workload => "workload",
            NodeKind::Namespace => "namespace",
        }
    }
}

/// Who gets in, the narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Openness {
    /// Nothing is called there.
    Nobody,
    /// Callers that rules name.
    Named,
    /// Many clients of the mesh that nothing tells apart.
    Mesh,
    /// Somebody without an identity.
    Anybody,
}

impl Openness {
    /// The word of reports.
    pub fn word(self) -> &'static str {
        match self {
            Openness::Nobody => "nobody",
            Openness::Named => "named",
            Openness::Mesh => "mesh",
            Openness::Anybody => "anybody",
        }
    }
}

/// An edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PictureEdge {
    /// The caller.
    pub from: usize,
    /// What is called.
    pub to: usize,
    /// The port; nothing where several edges are drawn as one.
    pub port: Option<u16>,
    /// What is on the wire.
    pub transport: Outcome,
    /// Whether the input leaves it open.
    pub certain: bool,
    /// What there is to tell; nothing where several edges are drawn as one.
    pub told: Option<usize>,
    /// How many edges it stands for.
    pub count: usize,
}

/// The picture while it is drawn.
struct Drawing<'g, 'm> {
    graph: &'g Graph<'m>,
    out: Picture,
    of_workload: HashMap<WorkloadId, usize, RandomState>,
    of_group: HashMap<(NodeKind, String), usize, RandomState>,
}

impl Graph<'_> {
    /// The picture. `witnesses`: each edge tells a request that shows it, which takes a search.
    pub fn picture(&self, witnesses: bool) -> Picture {
        let mut drawing = Drawing {
            graph: self,
            out: Picture { workloads: self.mesh.workloads.len(), ..Picture::default() },
            of_workload: HashMap::default(),
            of_group: HashMap::default(),
        };
        drawing.workloads();
        for at in (0..self.edges.len()).filter(|at| !self.edges[*at].foreign) {
            drawing.edge(at, witnesses);
        }
        drawing.finish()
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
                namespace: Some(graph.mesh.namespace_display(workload.namespace).to_owned()),
                kind: match capture {
                    Some(Capture::Gateway) => NodeKind::Gateway,
                    Some(Capture::Waypoint) => NodeKind::Waypoint,
                    _ => NodeKind::Workload,
                },
                members: vec![name],
                ports: ports.into_iter().collect(),
                openness: Openness::Nobody,
            });
        }
    }

    fn edge(&mut self, at: usize, witnesses: bool) {
        let graph = self.graph;
        let edge = &graph.edges[at];
        let Some(told) = graph.tell(edge, None, NAMED, witnesses) else { return };
        let number = self.out.told.len();
        let place = graph.place(edge.place);
        let mut to: BTreeSet<(usize, u16)> = BTreeSet::new();
        for member in &place.members {
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
        let (from, openness) = self.callers(graph.who(edge.who), at, &told);
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
                label: label.to_owned(),
                namespace: namespace.map(str::to_owned),
                kind,
                members: Vec::new(),
                ports: Vec::new(),
                openness: Openness::Nobody,
            });
        }
        node
    }

    fn finish(mut self) -> Picture {
        for node in &mut self.out.nodes {
            if node.members.len() > 1 {
                node.label = format!("{} (×{})", node.label, node.members.len());
            }
        }
        self.out.edges.sort_unstable();
        self.out.edges.dedup();
        self.out
    }
}

impl Picture {
    /// The picture with one node for each namespace, and edges between them counted.
    pub fn collapsed(&self) -> Picture {
        let mut out = Picture { workloads: self.workloads, ..Picture::default() };
        let mut of_namespace: BTreeMap<&str, usize> = BTreeMap::new();
        let mut now: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let Some(namespace) = node.namespace.as_deref() else {
                now.push(out.nodes.len());
                out.nodes.push(node.clone());
                continue;
            };
            let next = out.nodes.len();
            let at = *of_namespace.entry(namespace).or_insert(next);
            now.push(at);
            if at == next {
                out.nodes.push(PictureNode {
                    label: namespace.to_owned(),
                    namespace: None,
                    kind: NodeKind::Namespace,
                    members: Vec::new(),
                    ports: Vec::new(),
                    openness: Openness::Nobody,
                });
            }
            let whole = &mut out.nodes[at];
            whole.members.extend(node.members.iter().cloned());
            whole.openness = whole.openness.max(node.openness);
        }
        let mut edges: BTreeMap<(usize, usize, Outcome, bool), usize> = BTreeMap::new();
        for edge in &self.edges {
            let (from, to) = (now[edge.from], now[edge.to]);
            if from != to {
                *edges.entry((from, to, edge.transport, edge.certain)).or_default() += 1;
            }
        }
        let edge = |((from, to, transport, certain), count)| PictureEdge {
            from,
            to,
            port: None,
            transport,
            certain,
            told: None,
            count,
        };
        out.edges = edges.into_iter().map(edge).collect();
        for node in out.nodes.iter_mut().filter(|node| node.kind == NodeKind::Namespace) {
            node.label = match node.members.len() {
                0 => node.label.clone(),
                1 => format!("{} (1 workload)", node.label),
                many => format!("{} ({many} workloads)", node.label),
            };
        }
        out
    }
}
