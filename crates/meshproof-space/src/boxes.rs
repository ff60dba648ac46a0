//! Boxes: conjunctions of tests, variable by variable. A rule is a union of boxes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::test::Test;
use crate::variable::Variable;

/// One of `any_of` (when there is one) and none of `none_of`. The boxes of a rule share their clauses; one that is
/// changed is copied before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clause(Arc<ClauseBody>);

/// What a clause asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClauseBody {
    /// What is tested.
    pub variable: Variable,
    /// One has to hold; nothing written means no demand.
    pub any_of: Vec<Test>,
    /// None may hold.
    pub none_of: Vec<Test>,
}

impl Clause {
    /// One of the first tests and none of the second.
    pub fn new(variable: Variable, any_of: Vec<Test>, none_of: Vec<Test>) -> Clause {
        Clause(Arc::new(ClauseBody { variable, any_of, none_of }))
    }

    /// One of the tests.
    pub fn any(variable: Variable, any_of: Vec<Test>) -> Clause {
        Clause::new(variable, any_of, Vec::new())
    }

    /// None of the tests.
    pub fn none(variable: Variable, none_of: Vec<Test>) -> Clause {
        Clause::new(variable, Vec::new(), none_of)
    }
}

impl Deref for Clause {
    type Target = ClauseBody;

    fn deref(&self) -> &ClauseBody {
        &self.0
    }
}

impl DerefMut for Clause {
    fn deref_mut(&mut self) -> &mut ClauseBody {
        Arc::make_mut(&mut self.0)
    }
}

/// All requests for which every clause holds; several clauses may concern one variable. The box without clauses holds
/// every request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestBox {
    /// The clauses.
    pub clauses: Vec<Clause>,
}

impl RequestBox {
    /// The box of every request.
    pub fn all() -> RequestBox {
        RequestBox::default()
    }

    /// The box with these clauses.
    pub fn of(clauses: Vec<Clause>) -> RequestBox {
        RequestBox { clauses }
    }
}
