//! May this packet pass? Kubernetes NetworkPolicy, and the ordered policies of Calico.
//!
//! [`Network::new`] takes the policies of a mesh, [`Network::verdict`] says for a [`Flow`] whether the destination may
//! receive it and whether the source may send it, with who decides and why. What the manifests cannot tell (addresses
//! of pods against blocks of addresses, pods in the network of their node, objects that are not in the input) is
//! unknown with the reason, and only where the answer hangs on it.
//!
//! Policies of other kinds (AdminNetworkPolicy, Cilium, host endpoints) are not evaluated: where one may have a say, the
//! answer is unknown and names it.
//!
//! All policies are brought into one form and evaluated in order, tier by tier; Kubernetes' union of allow-lists is
//! the special case of one tier whose rules all allow.

mod calico;
mod class;
mod endpoint;
mod evaluate;
mod explain;
mod flow;
mod holds;
mod index;
mod kubernetes;
mod matching;
mod network;
mod outcome;
mod policy;
mod receiver;
mod selector;
mod senders;
mod sets;
mod tiers;
mod unread;
mod verdict;

pub use class::Class;
pub use flow::{End, Flow};
pub use network::Network;
pub use receiver::Receiver;
pub use senders::Senders;
pub use verdict::{Deciding, Leg, Passage, Verdict};
