//! Policies as decision tables.

mod affix;
mod bits;
mod bound;
mod bundle;
mod demand;
mod demands;
mod dimension;
mod earlier;
mod forms;
mod indexes;
mod interval;
mod links;
mod lists;
mod mesh;
mod numbers;
mod order;
mod pool;
mod probes;
mod report;
mod row;
mod script_tests;
mod scripts;
mod seen;
mod set;
mod slots;
mod test;
mod tests;
mod verify;
mod view;
mod write;

pub use bundle::{BundledChain, bundle};
pub use earlier::{Earlier, Input};
pub use mesh::{
    MESH_FILE, MadeTable, MeshTables, PROVEN_ROWS, Proofs, Proven, TABLE_TARGET, engine_name, mesh_tables,
};
pub use seen::{Asked, Seen, Told, decide, difference};
pub use verify::{Proof, Unproven, verify};

use std::fmt;

use meshproof_authz::{Context, Policy};
use meshproof_space::{Limit, LoweredPolicies, LoweredRule, lower_dry_run, lower_to_decide};

/// Which of several rules that match is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReportOrder {
    /// The one with the lexically least name, as Envoy does.
    #[default]
    Name,
    /// The first in the order of the policies that were handed in.
    Policy,
}

/// How a table finds the rules that match. Both decide alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// Row by row where the name of any peer leaves few rows; else [`Form::Words`].
    #[default]
    Best,
    /// Every attribute is looked up, for 64 rows at a time.
    Words,
}

/// Why there is no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uncompiled {
    /// What a rule matches is not known exactly.
    Rule {
        /// Its policy, `namespace/name`.
        policy: String,
        /// Its place there.
        rule: usize,
        /// Why.
        limit: Limit,
    },
    /// A template of a path is too long.
    Template,
    /// The policies ask too much for one table.
    TooLarge,
    /// Something that the compiler does not expect.
    Internal(&'static str),
}

impl fmt::Display for Uncompiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uncompiled::Rule { policy, rule, limit } => write!(f, "rule {rule} of {policy}: {limit}"),
            Uncompiled::Template => f.write_str("a template of a path is too long"),
            Uncompiled::TooLarge => f.write_str("the policies are too large for one table"),
            Uncompiled::Internal(what) => write!(f, "the compiler does not expect {what}"),
        }
    }
}

impl std::error::Error for Uncompiled {}

/// The policies of one enforcement point as boxes.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Rules that are enforced.
    pub enforced: LoweredPolicies,
    /// Rules on trial.
    pub dry_run: Vec<LoweredRule>,
}

impl Lowered {
    /// Lowers the policies that apply.
    pub fn new(policies: &[Policy<'_>], context: &Context) -> Lowered {
        Lowered { enforced: lower_to_decide(policies, context), dry_run: lower_dry_run(policies, context) }
    }

    /// All rules, each with whether it is on trial.
    fn all(&self) -> impl Iterator<Item = (&LoweredRule, bool)> {
        let enforced = self.enforced.rules.iter().map(|rule| (rule, false));
        enforced.chain(self.dry_run.iter().map(|rule| (rule, true)))
    }
}

/// The table of the policies that apply to an enforcement point, as bytes.
///
/// # Errors
/// Why there is none. Nothing decides then; whoever has no table refuses every request.
pub fn table(policies: &[Policy<'_>], context: &Context, order: ReportOrder) -> Result<Vec<u8>, Uncompiled> {
    table_in(Form::Best, policies, context, order)
}

/// The table in a form of one's choice.
///
/// # Errors
/// Why there is none.
pub fn table_in(
    form: Form,
    policies: &[Policy<'_>],
    context: &Context,
    order: ReportOrder,
) -> Result<Vec<u8>, Uncompiled> {
    write::write(&Lowered::new(policies, context), policies, context, order, form)
}
