//! Whether a table says what the policies say, proven from its bytes.
//!
//! The rows are read back from the table and have to be the boxes of the policies, neither more nor fewer. Then every
//! look-up is tried on a value of each of its classes, and has to lead to just the rows whose tests the value passes by
//! the policies' own reading. A look-up puts together what a whole text, its longest prefix, its longest suffix and its
//! presence lead to, so these classes, one by one, are all there are; of numbers they are the intervals between borders.

use std::fmt;

use meshproof_authz::{Context, HeaderMatching, Policy, Request};
use meshproof_engine::{Context as Prepared, OpenError, Table};
use meshproof_space::{Domain, Outcome, Space};

use super::seen::decide;
use super::write::{engine_of, has_dry_allow};
use super::{Lowered, ReportOrder, Uncompiled};

mod look_ups;
mod rows;

use look_ups::look_ups;
use rows::{expected, order_of_rules, rows};

/// What was proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Rows that are the boxes of the policies.
    pub rows: usize,
    /// Values on which a look-up was tried.
    pub values: usize,
}

/// A table that does not say what the policies say, or could not be proven to.
#[derive(Clone, Debug, PartialEq)]
pub enum Unproven {
    /// The bytes are no table.
    Open(OpenError),
    /// The policies have no exact form to compare with.
    Policies(Uncompiled),
    /// Both differ.
    Differs {
        /// In what.
        what: String,
        /// A request that both decide differently, where one was found.
        witness: Option<Box<Request>>,
    },
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unproven::Open(error) => error.fmt(f),
            Unproven::Policies(error) => error.fmt(f),
            Unproven::Differs { what, witness: None } => {
                write!(f, "the table differs from the policies: {what}")
            }
            Unproven::Differs { what, witness: Some(request) } => {
                write!(
                    f,
                    "the table differs from the policies: {what}; both decide this differently: {request:?}"
                )
            }
        }
    }
}

impl std::error::Error for Unproven {}

/// Proves that the table decides every request as the policies do.
///
/// # Errors
/// What differs.
pub fn verify(
    bytes: &[u8],
    policies: &[Policy<'_>],
    context: &Context,
    order: ReportOrder,
) -> Result<Proof, Unproven> {
    let table = Table::open(bytes).map_err(Unproven::Open)?;
    let input = Input { lowered: Lowered::new(policies, context), policies, context, order };
    let checked = check(&table, &input)?;
    checked.map_err(|what| Unproven::Differs { what, witness: witness(&table, policies, context) })
}

type Checked<T> = Result<T, String>;

/// What a table is compared with.
struct Input<'p> {
    lowered: Lowered,
    policies: &'p [Policy<'p>],
    context: &'p Context,
    order: ReportOrder,
}

fn check(table: &Table<'_>, input: &Input<'_>) -> Result<Checked<Proof>, Unproven> {
    let expected = expected(input).map_err(Unproven::Policies)?;
    Ok(settings(table, input)
        .and_then(|()| rows(table, &expected))
        .and_then(|rows| order_of_rules(table).map(|()| rows))
        .and_then(|rows| Ok(Proof { rows, values: look_ups(table, &expected, input.context)? })))
}

fn settings(table: &Table<'_>, input: &Input<'_>) -> Checked<()> {
    let Input { lowered, policies, context, order } = input;
    let same = [
        (table.engine() == engine_of(context.engine), "the engine"),
        (table.needs_allow() == lowered.enforced.needs_allow, "whether a request needs an ALLOW rule"),
        (
            table.joins_headers() == (context.semantics.headers == HeaderMatching::Joined),
            "how header lines are read",
        ),
        (table.has_dry_allow() == has_dry_allow(policies, context), "whether ALLOW policies are on trial"),
        (table.reports_in_policy_order() == (*order == ReportOrder::Policy), "which rule is reported"),
    ];
    same.into_iter().find(|(same, _)| !same).map_or(Ok(()), |(_, what)| Err(what.to_owned()))
}

/// A request that both decide differently, among those that show a rule or an outcome of the policies.
fn witness(table: &Table<'_>, policies: &[Policy<'_>], context: &Context) -> Option<Box<Request>> {
    let domain = Domain::default();
    let space = Space::new(policies, context, &domain);
    let mut prepared = Prepared::new();
    let outcomes = [Outcome::Allowed, Outcome::Denied, Outcome::Audited].map(|outcome| space.find(outcome));
    let rules =
        space.rules().iter().flat_map(|rule| [space.find_match(rule.id), space.find_decided_by(rule.id)]);
    outcomes.into_iter().chain(rules).filter_map(|answer| answer.ok().flatten()).find(|request| {
        let evaluation = meshproof_authz::evaluate(policies, request, context);
        let told = decide(table, &mut prepared, request, context);
        told.decision != evaluation.decision || told.rule != evaluation.rule.map(|rule| rule.id)
    })
}
