//! Boxes: conjunctions of tests, variable by variable. A rule is a union of boxes.

use crate::test::Test;
use crate::variable::Variable;

/// One of `any_of` (when there is one) and none of `none_of`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clause {
    /// What is tested.
    pub variable: Variable,
    /// One has to hold; nothing written means no demand.
    pub any_of: Vec<Test>,
    /// None may hold.
    pub none_of: Vec<Test>,
}

impl Clause {
    /// One of the tests.
    pub fn any(variable: Variable, any_of: Vec<Test>) -> Clause {
        Clause { variable, any_of, none_of: Vec::new() }
    }

    /// None of the tests.
    pub fn none(variable: Variable, none_of: Vec<Test>) -> Clause {
        Clause { variable, any_of: Vec::new(), none_of }
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
