//! One question, answered: may this client send this request to that workload, and why.
//!
//! [`Explainer`] follows the request from hop to hop (gateway, waypoint, workload), asks at each how it gets there and what
//! the policies say, and keeps what a person wants to know: the rule that decided, the first failing test of every rule
//! that did not match, the restriction that another rule made void, and what the input leaves open.

mod answer;
mod arrival;
mod asked;
mod assumed;
mod authorize;
mod bystanders;
mod called;
mod client;
mod doubts;
mod explainer;
mod hops;
mod names;
mod network;
mod question;
mod reason;
mod sent_on;
mod server;
pub mod tls;
mod token;
mod told;
mod transport;

pub use answer::{
    Answer, Authorization, Deciding, Evidence, Fate, Ground, Hop, Miss, NetworkTold, Outcome, Phase,
    PointKind, PolicyTold, RuleTold, Transport, Verdict,
};
pub use arrival::{ask as ask_gateway, is_taken, layer as gateway_layer};
pub use asked::Asked;
pub use assumed::of_all as assumptions;
pub use doubts::assume_providers;
pub use explainer::Explainer;
pub use meshproof_network::Passage;
pub use names::{Unclear, in_cluster, workloads as workloads_named};
pub use question::{Destination, HttpParts, Question, Subject, Way, add_claim, header, line, method};
pub use server::{doubts as mode_doubt, kind_of as point_kind};
