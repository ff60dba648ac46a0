//! Exact authorization: one request at one enforcement point, decided as the real proxy decides it, with the reason.
//!
//! [`evaluate`] is the yardstick of everything that reasons about many requests at once, so it is written to be read:
//! obvious, each rule beside its source. [`Decider`] reads policies once for many requests, and decides without telling
//! why where nobody asks. Which policies apply to a workload is not asked here; the caller hands in those that do. What
//! the policies say is told apart by engine ([`Engine`]): Envoy's HTTP chain, Envoy's TCP chain, ztunnel and proxyless
//! gRPC disagree in places.

mod attached;
mod attribute;
mod chain;
mod context;
mod custom;
mod decider;
mod evaluate;
mod grpc;
mod lower;
mod matchers;
mod normalize;
mod policy;
mod provider;
mod ready;
mod request;
mod rule;
mod semantics;
mod tested;
mod trace;
mod view;
mod ztunnel;

pub use attached::{context_of, gateway_context_of, policy_of, unknown_settings};
pub use attribute::{Attribute, UnknownKey};
pub use context::{Context, Engine, IdentityFlavour, Provider, ProviderAnswer, ProviderKind};
pub use decider::{Decider, Seen};
pub use evaluate::{By, Decision, Delegation, DryRunResult, Evaluation, Matched, Note, evaluate};
pub use lower::{CustomFilter, Lowered, lower, lower_custom};
pub use normalize::{Refusal, normalize_path};
pub use policy::Policy;
pub use provider::{status_name, usable_provider};
pub use request::{Certificate, HttpRequest, Peer, Request, Token};
pub use rule::attributes_of;
pub use semantics::{ClientAddress, HeaderMatching, PathNormalization, Semantics};
pub use tested::{
    CustomOutcome, TestedField, TestedRule, custom_outcome, custom_outcomes, needs_allow, standings, tested,
};
pub use trace::{
    Dropped, FailedTest, Ignored, Part, Phase, PhaseTrace, PolicyTrace, Reason, RuleTrace, RuleVerdict,
    Standing, Trace,
};
pub use view::{HttpView, View};
