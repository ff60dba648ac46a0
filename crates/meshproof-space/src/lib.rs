//! Sets of requests, exact, each answer with a request that shows it.
//!
//! The policies of one enforcement point are lowered, engine by engine, to boxes ([`lower`], [`RequestBox`]): conjunctions
//! of tests over variables that are independent of each other. Whether a box lies inside of a union of boxes is answered
//! by a search that chooses a value for one variable after the other; what escapes is a request. [`Space`] asks that in
//! many ways.
//!
//! What is said holds for the requests of a [`Domain`]. Nothing is guessed: a question is answered with a request that
//! [`meshproof_authz::evaluate`] confirms, with a proof that there is none, or with the [`Limit`] that was hit.

mod allowed;
mod alphabet;
mod beside;
mod bits;
mod boxes;
mod comparison;
mod confirm;
mod cover;
mod dodge;
mod domain;
mod forwarded;
mod held;
mod identity;
mod index;
mod kind;
mod language;
mod levels;
mod limit;
mod lower;
mod matcher;
mod nodes;
mod part;
mod paths;
mod plain;
mod prepared;
mod projection;
mod rescue;
mod rules;
mod space;
mod test;
mod token;
mod universe;
mod value;
mod values;
mod variable;
mod vocabulary;
mod witness;
pub mod words;

pub use allowed::{Allowed, AllowedBox, Exception};
pub use beside::{Admitted, passing_beside};
pub use boxes::{Clause, ClauseBody, RequestBox};
pub use comparison::{Cause, Change, Changes, Comparison, Side};
pub use domain::{Domain, Issuer, Tokens};
pub use held::{Diagram, Held};
pub use limit::Limit;
pub use lower::{
    Effect, LoweredPolicies, LoweredRule, MOST_BOXES, RuleBoxes, RuleId, lower, lower_dry_run,
    lower_to_decide,
};
pub use projection::Projection;
pub use rules::{Among, Containment, RuleState, Worth, rule_worths};
pub use space::{Answer, Outcome, Space};
pub use test::{Half, Test};
pub use variable::Variable;
