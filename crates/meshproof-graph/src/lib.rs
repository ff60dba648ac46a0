//! Who can reach what, by which transport, with which requests, and why.
//!
//! [`Graph::new`] joins what clients send and servers take ([`meshproof_transport`]), network policies
//! ([`meshproof_network`]) and authorization policies as sets of requests ([`meshproof_space`]). Its nodes are the principals
//! of requests, classes of callers ([`Who`]) and classes of tokens ([`TokenPrincipal`]), and what is called: classes of equal
//! workload ports, waypoint chains and gateway listeners ([`Place`]). An [`Edge`] says that callers reach a place, with one of
//! some tokens where rules ask for that. Nobody is asked pair by pair: who a rule names is looked up by name, and equal
//! ports are one.

mod answers;
mod because;
mod boxes;
mod carried;
mod chain;
mod chains;
mod classes;
mod clients;
mod conditions;
mod doubts;
mod drawing;
mod edges;
mod effect;
mod fares;
mod foreseen;
mod gateways;
mod grants;
mod graph;
mod http_routes;
mod identities;
mod matches;
mod memo;
mod naming;
mod packets;
mod party;
mod paths;
mod peers;
mod picture;
mod place;
mod precedence;
mod principal;
mod probes;
mod reach;
mod refused;
mod required;
mod rewrite;
mod routing;
mod selection;
mod sender;
mod sorting;
mod survival;
mod tokens;
mod told;
mod traced;
mod travel;
mod verdicts;
mod waypoints;
mod ways_from;
mod ways_to;
mod witness;

pub use chain::RuleRef;
pub use clients::{Clients, ClientsId};
pub use effect::Effect;
pub use graph::{Edge, Graph, Node, Who, WhoId};
pub use party::{Because, Party, Told, Witness};
pub use peers::Peers;
pub use picture::{NodeKind, Openness, Picture, PictureEdge, PictureNode};
pub use place::{Member, Place, PlaceId};
pub use principal::Principal;
pub use reach::{Reach, ReachEdge, ReachPath, ReachQuestion, Target, Through};
pub use selection::Scope;
pub use tokens::{Bearer, TokenId, TokenPrincipal};
