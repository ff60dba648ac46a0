//! The graph: classes of callers, classes of places, and what leads from one to the other.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_ir::{Mesh, WorkloadId};
use meshproof_network::{Deciding, Network};
use meshproof_transport::{Callers, Table, Transport, Wanted};
use petgraph::graph::{DiGraph, NodeIndex};
use rayon::prelude::*;

use crate::chain::RuleRef;
use crate::chains::Chains;
use crate::clients::{Clients, ClientsId, Groups, Places};
use crate::edges::{Draft, Drawing};
use crate::effect::Effect;
use crate::gateways;
use crate::identities::Identities;
use crate::memo::Memo;
use crate::packets::Packets;
use crate::peers::Peers;
use crate::place::{Member, Place, PlaceId};
use crate::sorting::Sorting;
use crate::tokens::{TokenId, TokenPrincipal};

/// The number of a class of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WhoId(pub u32);

/// A class of callers: clients that arrive in the same way, as far as they meet tests of who they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// The clients.
    pub clients: ClientsId,
    /// What is asked of them.
    pub peers: Peers,
    /// Whether the place sees their identities.
    pub identified: bool,
}

/// That callers reach a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Who.
    pub who: WhoId,
    /// What.
    pub place: PlaceId,
    /// How the connection arrives.
    pub effect: Effect,
    /// The rules that let requests in, none where there is no ALLOW policy or no proxy; and those that refuse whoever comes
    /// without one of the tokens.
    pub rules: Vec<RuleRef>,
    /// Network policies that have a say.
    pub network: Vec<Deciding>,
    /// Why it is not certain; empty where it is.
    pub may: Vec<String>,
    /// What is worth knowing beside.
    pub notes: Vec<String>,
    /// A workload among the callers that gets through.
    pub example: Option<WorkloadId>,
    /// Nobody of the input uses it, and nobody whom a rule names: only some account that runs elsewhere could.
    pub foreign: bool,
    /// Whose tokens the rules ask for: one of them has to come with the request. Empty where they ask for none.
    pub tokens: Vec<TokenId>,
    /// Rules refuse some requests at the place, so that not every caller need get through.
    pub(crate) refuses: bool,
    /// Told as if the policies that only may apply did not.
    pub(crate) certain_only: bool,
}

/// A node of the graph. A request has up to two principals: who sends it, whose certificate the place sees, and whose token
/// it carries. So an edge has an arrow from the class of its callers, and where rules ask for tokens another one from each
/// class of tokens of which one will do; all of these arrows carry the number of the one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A class of callers.
    Who(WhoId),
    /// A class of tokens, whoever sends them.
    Token(TokenId),
    /// A class of places.
    Place(PlaceId),
}

/// Who can reach what.
pub struct Graph<'m> {
    pub(crate) mesh: &'m Mesh,
    pub(crate) transport: Transport<'m>,
    pub(crate) table: Table,
    pub(crate) standing: Places,
    pub(crate) identities: Identities,
    pub(crate) chains: Chains<'m>,
    /// Groups of clients by number.
    pub clients: Vec<Clients>,
    /// Classes of callers by number.
    pub whos: Vec<Who>,
    /// Classes of tokens by number.
    pub tokens: Vec<TokenPrincipal>,
    /// Classes of places by number.
    pub places: Vec<Place>,
    /// Edges; the weights of the graph are their indexes.
    pub edges: Vec<Edge>,
    /// Nodes, and arrows with the number of their edge.
    pub graph: DiGraph<Node, usize>,
    pub(crate) who_nodes: Vec<NodeIndex>,
    pub(crate) token_nodes: Vec<NodeIndex>,
    pub(crate) place_nodes: Vec<NodeIndex>,
    /// The place of every workload port.
    pub(crate) place_of: HashMap<(WorkloadId, u16), Vec<PlaceId>, RandomState>,
}

impl<'m> Graph<'m> {
    /// The graph of a mesh. Costs what its hosts, classes of ports and rules are, not pairs of workloads.
    pub fn new(mesh: &'m Mesh) -> Self {
        let transport = Transport::new(mesh);
        let network = Network::new(mesh);
        let class = |id| if network.is_empty() { 0 } else { network.class(id).0 };
        let table = transport.table(&Callers::Everybody, Wanted::default(), class);
        let (groups, standing, places) = {
            let mut sorting = Sorting::new(&transport, &network, &table);
            sorting.rows();
            gateways::add(&transport, &table, &mut sorting);
            (sorting.groups, sorting.standing, sorting.places)
        };
        let identities = Identities::new(mesh);
        let drawing = Drawing {
            mesh,
            transport: &transport,
            roster: &table.roster,
            standing: &standing,
            identities: &identities,
            packets: Packets::new(mesh, &network, &table.roster),
            memo: Memo::default(),
        };
        let drafts: Vec<Vec<Draft>> =
            places.par_iter().map(|place| drawing.edges(place, &groups.all)).collect();
        drop(drawing);
        let mut graph = Graph {
            mesh,
            transport,
            table,
            standing,
            identities,
            chains: Chains::default(),
            clients: Vec::new(),
            whos: Vec::new(),
            tokens: Vec::new(),
            places,
            edges: Vec::new(),
            graph: DiGraph::new(),
            who_nodes: Vec::new(),
            token_nodes: Vec::new(),
            place_nodes: Vec::new(),
            place_of: HashMap::default(),
        };
        graph.connect(groups, drafts);
        graph
    }

    fn connect(&mut self, mut groups: Groups, drafts: Vec<Vec<Draft>>) {
        let mut known: HashMap<Who, WhoId, RandomState> = HashMap::default();
        let mut classes: HashMap<TokenPrincipal, TokenId, RandomState> = HashMap::default();
        for (at, place) in self.places.iter().enumerate() {
            let id = PlaceId(at as u32);
            self.place_nodes.push(self.graph.add_node(Node::Place(id)));
            for member in &place.members {
                if let Member::Workload(workload, port) | Member::Gateway(workload, port) = member {
                    self.place_of.entry((*workload, *port)).or_default().push(id);
                }
            }
        }
        for (at, drafts) in drafts.into_iter().enumerate() {
            let place = PlaceId(at as u32);
            for draft in drafts {
                let mut tokens: Vec<TokenId> = Vec::new();
                for token in draft.peers.tokens() {
                    let next = TokenId(self.tokens.len() as u32);
                    tokens.push(*classes.entry(token).or_insert_with_key(|token| {
                        self.tokens.push(token.clone());
                        self.token_nodes.push(self.graph.add_node(Node::Token(next)));
                        next
                    }));
                }
                let who = Who {
                    clients: groups.intern(draft.clients),
                    peers: draft.peers,
                    identified: draft.effect.identified,
                };
                let next = WhoId(self.whos.len() as u32);
                let who = *known.entry(who).or_insert_with_key(|who| {
                    self.whos.push(who.clone());
                    self.who_nodes.push(self.graph.add_node(Node::Who(next)));
                    next
                });
                let number = self.edges.len();
                self.graph.add_edge(self.who_nodes[who.0 as usize], self.place_nodes[at], number);
                for token in &tokens {
                    self.graph.add_edge(self.token_nodes[token.0 as usize], self.place_nodes[at], number);
                }
                self.edges.push(Edge {
                    who,
                    place,
                    effect: draft.effect,
                    rules: draft.rules,
                    network: draft.network,
                    may: draft.may,
                    notes: draft.notes,
                    example: draft.example,
                    foreign: draft.foreign,
                    tokens,
                    refuses: draft.refuses,
                    certain_only: draft.certain_only,
                });
            }
        }
        self.clients = groups.all;
    }

    /// The mesh.
    pub fn mesh(&self) -> &'m Mesh {
        self.mesh
    }

    /// A class of callers.
    pub fn who(&self, id: WhoId) -> &Who {
        &self.whos[id.0 as usize]
    }

    /// A class of places.
    pub fn place(&self, id: PlaceId) -> &Place {
        &self.places[id.0 as usize]
    }

    /// A group of clients.
    pub fn clients(&self, id: ClientsId) -> &Clients {
        &self.clients[id.0 as usize]
    }

    /// The classes that a port of a workload belongs to.
    pub fn places_of(&self, workload: WorkloadId, port: u16) -> &[PlaceId] {
        self.place_of.get(&(workload, port)).map_or(&[], Vec::as_slice)
    }

    /// A class of tokens.
    pub fn token(&self, id: TokenId) -> &TokenPrincipal {
        &self.tokens[id.0 as usize]
    }

    /// Edges into a place.
    pub fn into_place(&self, place: PlaceId) -> impl Iterator<Item = &Edge> {
        self.numbers_into(place).into_iter().map(|at| &self.edges[at])
    }

    /// Edges of a class of callers.
    pub fn of_who(&self, who: WhoId) -> impl Iterator<Item = &Edge> {
        self.numbers_of(self.who_nodes[who.0 as usize]).into_iter().map(|at| &self.edges[at])
    }

    /// Edges along which whoever holds a token of the class gets in, as far as the callers of each reach.
    pub fn of_token(&self, token: TokenId) -> impl Iterator<Item = &Edge> {
        self.numbers_of(self.token_nodes[token.0 as usize]).into_iter().map(|at| &self.edges[at])
    }

    /// The numbers of the edges into a place, each once.
    pub(crate) fn numbers_into(&self, place: PlaceId) -> Vec<usize> {
        let node = self.place_nodes[place.0 as usize];
        numbers(self.graph.edges_directed(node, petgraph::Direction::Incoming))
    }

    /// The numbers of the edges that a node has.
    pub(crate) fn numbers_of(&self, node: NodeIndex) -> Vec<usize> {
        numbers(self.graph.edges(node))
    }

    /// Whether a workload is one of the callers.
    pub fn is_among(&self, id: WorkloadId, who: &Who) -> bool {
        let Some(part) = self.standing.part(id) else { return false };
        let has_part = self.clients(who.clients).has_part(part);
        let meets = || match self.mesh.is_presumed(id) {
            true => self.identities.may_meet(id, &who.peers),
            false => who.peers.admits(self.identities.principal(id)),
        };
        has_part && (!who.identified || meets())
    }
}

/// The numbers of edges that arrows carry, sorted.
fn numbers<'g>(arrows: impl Iterator<Item = petgraph::graph::EdgeReference<'g, usize>>) -> Vec<usize> {
    let mut numbers: Vec<usize> = arrows.map(|arrow| *arrow.weight()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
