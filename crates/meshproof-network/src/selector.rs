//! Label selectors of Kubernetes and Calico in one form, asked of labels that may not all be known.

use meshproof_grammar::calico::Expr;
use meshproof_resources::{LabelExpression, LabelSelector, Text};

use crate::holds::Holds;

/// The value of a label, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Label<'a> {
    /// The label has this value, or is not there.
    Known(Option<&'a str>),
    /// It may be there or not; the text says why.
    Unknown(String),
}

/// A selector. Calico translates those of Kubernetes the same way (libcalico-go, backend/k8s/conversion), and the
/// meaning is the same: `NotIn` and `!=` hold without the label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Selector {
    /// What it says.
    Read(Expr),
    /// It cannot be read; the text says what is wrong.
    Unreadable(String),
}

impl Selector {
    /// Selects everything.
    pub(crate) fn all() -> Selector {
        Selector::Read(Expr::All)
    }

    /// `podSelector` or `namespaceSelector` of Kubernetes; absent selects everything.
    pub(crate) fn of_labels(selector: Option<&LabelSelector>) -> Selector {
        let Some(selector) = selector else { return Selector::all() };
        let equal = |(key, value): &(Text, Text)| Expr::Equals(key.value.clone(), value.value.clone());
        let mut parts: Vec<Expr> = selector.match_labels.entries.iter().map(equal).collect();
        for expression in selector.match_expressions.iter() {
            match of_expression(expression) {
                Ok(part) => parts.push(part),
                Err(problem) => return Selector::Unreadable(problem),
            }
        }
        parts.sort_by_cached_key(Expr::to_string);
        parts.dedup();
        Selector::Read(match parts.pop() {
            None => Expr::All,
            Some(only) if parts.is_empty() => only,
            Some(last) => {
                parts.push(last);
                Expr::And(parts)
            }
        })
    }

    /// An expression of Calico; absent selects everything.
    pub(crate) fn of_text(text: Option<&Text>) -> Selector {
        match text.map(|text| Expr::parse(&text.value)) {
            None => Selector::all(),
            Some(Ok(expr)) => Selector::Read(expr),
            Some(Err(error)) => Selector::Unreadable(format!("a selector cannot be read: {}", error.message)),
        }
    }

    /// Whether labels are selected.
    pub(crate) fn matches<'a>(&self, label: &dyn Fn(&str) -> Label<'a>) -> Holds {
        match self {
            Selector::Read(expr) => holds(expr, label),
            Selector::Unreadable(problem) => Holds::maybe(problem.as_str()),
        }
    }

    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<&str> {
        match self {
            Selector::Read(_) => None,
            Selector::Unreadable(problem) => Some(problem),
        }
    }

    /// Whether `global()` occurs.
    pub(crate) fn mentions_global(&self) -> bool {
        matches!(self, Selector::Read(expr) if expr.mentions_global())
    }
}

fn of_expression(expression: &LabelExpression) -> Result<Expr, String> {
    let (Some(key), Some(operator)) = (&expression.key, &expression.operator) else {
        return Err("an expression of a selector lacks its key or operator".to_owned());
    };
    let key = key.value.clone();
    let values = || {
        let mut values: Vec<String> = expression.values.iter().map(|value| value.value.clone()).collect();
        values.sort_unstable();
        values.dedup();
        values
    };
    match (operator.value.as_str(), expression.values.is_empty()) {
        ("In", false) => Ok(Expr::In(key, values())),
        ("NotIn", false) => Ok(Expr::NotIn(key, values())),
        ("Exists", true) => Ok(Expr::Has(key)),
        ("DoesNotExist", true) => Ok(Expr::Not(Box::new(Expr::Has(key)))),
        (operator, _) => {
            Err(format!("a selector tests {key} with {operator}, and its values do not fit that"))
        }
    }
}

/// The depth of expressions is bounded where they are read.
fn holds<'a>(expr: &Expr, label: &dyn Fn(&str) -> Label<'a>) -> Holds {
    let test = |key: &str, accepts: &dyn Fn(Option<&str>) -> bool| match label(key) {
        Label::Known(value) => accepts(value).into(),
        Label::Unknown(reason) => Holds::Maybe(reason),
    };
    let listed = |values: &[String], value: &str| values.iter().any(|listed| listed == value);
    match expr {
        Expr::All | Expr::Global => Holds::Yes,
        Expr::Has(key) => test(key, &|value| value.is_some()),
        Expr::Equals(key, wanted) => test(key, &|value| value == Some(wanted)),
        Expr::NotEquals(key, wanted) => test(key, &|value| value != Some(wanted)),
        Expr::In(key, values) => test(key, &|value| value.is_some_and(|value| listed(values, value))),
        Expr::NotIn(key, values) => test(key, &|value| !value.is_some_and(|value| listed(values, value))),
        Expr::Contains(key, part) => {
            test(key, &|value| value.is_some_and(|value| value.contains(part.as_str())))
        }
        Expr::StartsWith(key, start) => {
            test(key, &|value| value.is_some_and(|value| value.starts_with(start.as_str())))
        }
        Expr::EndsWith(key, end) => {
            test(key, &|value| value.is_some_and(|value| value.ends_with(end.as_str())))
        }
        Expr::Not(inner) => holds(inner, label).negated(),
        Expr::And(parts) => Holds::all(parts.iter().map(|part| holds(part, label))),
        Expr::Or(parts) => Holds::any(parts.iter().map(|part| holds(part, label))),
    }
}
