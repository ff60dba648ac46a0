//! What a finding is: plain data without a renderer.

mod finding;
mod witness;

pub use finding::{Category, Confidence, Edit, Finding, Label, Level, ResourceName};
pub use witness::{Decision, Witness};
