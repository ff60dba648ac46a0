//! The graph as it is drawn: equal workloads of a namespace are one node, and whoever calls is a workload or a group.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use meshproof_explain::Outcome;

use crate::party::Told;
use crate::tokens::TokenPrincipal;

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
    /// What was assumed.
    pub notes: Vec<String>,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureNode {
    /// Its name.
    pub label: String,
    /// The set-up of the input that has it, where there are several.
    pub set_up: Option<String>,
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
    /// The class of tokens, where it stands for one.
    pub token: Option<TokenPrincipal>,
}

impl PictureNode {
    /// A node that stands for no workload.
    pub(crate) fn group(kind: NodeKind, label: String) -> PictureNode {
        PictureNode {
            label,
            set_up: None,
            namespace: None,
            kind,
            members: Vec::new(),
            ports: Vec::new(),
            openness: Openness::Nobody,
            token: None,
        }
    }

    /// The frame that it is drawn in: its namespace, with the set-up where there are several.
    pub fn frame(&self) -> Option<Cow<'_, str>> {
        match (&self.set_up, &self.namespace) {
            (None, namespace) => namespace.as_deref().map(Cow::Borrowed),
            (Some(set_up), None) => Some(Cow::Borrowed(set_up)),
            (Some(set_up), Some(namespace)) => Some(Cow::Owned(format!("{set_up}: {namespace}"))),
        }
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// Somebody outside of the mesh, or without an identity.
    Outside,
    /// Many clients, or an account that no workload of the input runs as.
    Callers,
    /// Whoever holds a token.
    Token,
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
            NodeKind::Token => "token",
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

impl Picture {
    /// One picture of several set-ups, each with its name.
    pub fn joined(pictures: Vec<(Option<String>, Picture)>) -> Picture {
        let mut out = Picture::default();
        for (name, mut picture) in pictures {
            let (nodes, told) = (out.nodes.len(), out.told.len());
            for edge in &mut picture.edges {
                edge.from += nodes;
                edge.to += nodes;
                edge.told = edge.told.map(|at| at + told);
            }
            for node in &mut picture.nodes {
                node.set_up.clone_from(&name);
            }
            out.nodes.append(&mut picture.nodes);
            out.edges.append(&mut picture.edges);
            out.told.append(&mut picture.told);
            out.workloads += picture.workloads;
            picture.notes.retain(|note| !out.notes.contains(note));
            out.notes.append(&mut picture.notes);
        }
        out
    }

    /// Leaves out nodes without edges.
    pub(crate) fn leave_out_bystanders(&mut self) {
        let used: BTreeSet<usize> = self.edges.iter().flat_map(|edge| [edge.from, edge.to]).collect();
        let now: HashMap<usize, usize, RandomState> =
            used.iter().enumerate().map(|(next, at)| (*at, next)).collect();
        self.nodes = used.iter().map(|at| self.nodes[*at].clone()).collect();
        for edge in &mut self.edges {
            (edge.from, edge.to) = (now[&edge.from], now[&edge.to]);
        }
    }

    /// The picture with one node for each namespace, and edges between them counted.
    pub fn collapsed(&self) -> Picture {
        let mut out = Picture { workloads: self.workloads, notes: self.notes.clone(), ..Picture::default() };
        let mut of_namespace: BTreeMap<(Option<&str>, &str), usize> = BTreeMap::new();
        let mut now: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let Some(namespace) = node.namespace.as_deref() else {
                now.push(out.nodes.len());
                out.nodes.push(node.clone());
                continue;
            };
            let next = out.nodes.len();
            let at = *of_namespace.entry((node.set_up.as_deref(), namespace)).or_insert(next);
            now.push(at);
            if at == next {
                out.nodes.push(PictureNode {
                    set_up: node.set_up.clone(),
                    ..PictureNode::group(NodeKind::Namespace, namespace.to_owned())
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
