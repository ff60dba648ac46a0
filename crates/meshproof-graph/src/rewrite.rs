//! What routes make of paths, and which requests in front of it are those behind.

use meshproof_grammar::pattern::Pattern;
use meshproof_space::{Clause, RequestBox, Test, Variable};

/// What becomes of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rewrite {
    #[default]
    Same,
    /// One beginning becomes another.
    Start { from: String, to: String },
    /// It becomes this.
    Whole(String),
}

impl Rewrite {
    /// A path behind the proxy.
    pub fn apply(&self, target: &str) -> String {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path = match self {
            Rewrite::Same => path.to_owned(),
            Rewrite::Start { from, to } => match path.strip_prefix(from.as_str()) {
                Some(rest) => format!("{to}{rest}"),
                None => path.to_owned(),
            },
            Rewrite::Whole(to) => to.clone(),
        };
        query.map_or(path.clone(), |query| format!("{path}?{query}"))
    }

    /// The requests in front of the proxy that lie in a box behind it; nothing where none do. False: they may be fewer.
    pub fn before(&self, behind: &RequestBox) -> Option<(RequestBox, bool)> {
        let mut clauses = Vec::with_capacity(behind.clauses.len());
        let mut is_exact = true;
        for clause in &behind.clauses {
            if clause.variable != Variable::Path || *self == Rewrite::Same {
                clauses.push(clause.clone());
                continue;
            }
            let mut own = Clause::none(Variable::Path, Vec::new());
            let mut is_met = clause.any_of.is_empty();
            for test in &clause.any_of {
                match self.test_before(test) {
                    Before::Always => is_met = true,
                    Before::Never => {}
                    Before::Test(test) => own.any_of.push(test),
                    Before::Unknown => (is_exact, is_met) = (false, true),
                }
            }
            if is_met {
                own.any_of.clear();
            } else if own.any_of.is_empty() {
                return None;
            }
            for test in &clause.none_of {
                match self.test_before(test) {
                    Before::Always => return None,
                    Before::Never => {}
                    Before::Test(test) => own.none_of.push(test),
                    Before::Unknown => is_exact = false,
                }
            }
            if !own.any_of.is_empty() || !own.none_of.is_empty() {
                clauses.push(own);
            }
        }
        Some((RequestBox::of(clauses), is_exact))
    }

    fn test_before(&self, test: &Test) -> Before {
        let (Rewrite::Start { .. } | Rewrite::Whole(_), Test::Path(pattern)) = (self, test) else {
            return Before::Unknown;
        };
        match (self, pattern) {
            (Rewrite::Whole(path), pattern) => match pattern.matches(path) {
                true => Before::Always,
                false => Before::Never,
            },
            (_, Pattern::Present) => Before::Always,
            (Rewrite::Start { from, to }, Pattern::Exact(path)) => match path.strip_prefix(to.as_str()) {
                Some(rest) => Before::Test(Test::Path(Pattern::Exact(format!("{from}{rest}")))),
                None => Before::Never,
            },
            (Rewrite::Start { from, to }, Pattern::Prefix(start)) => match start.strip_prefix(to.as_str()) {
                Some(rest) => Before::Test(Test::Path(Pattern::Prefix(format!("{from}{rest}")))),
                None if to.starts_with(start.as_str()) => Before::Always,
                None => Before::Never,
            },
            _ => Before::Unknown,
        }
    }
}

/// A test behind a rewrite, as it reads in front of it.
enum Before {
    Always,
    Never,
    Test(Test),
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Test {
        Test::Path(Pattern::parse(text))
    }

    #[test]
    fn a_box_behind_a_rewrite_is_found_in_front_of_it() {
        let start = Rewrite::Start { from: "/api/".to_owned(), to: "/".to_owned() };
        let behind = |any: &[&str], none: &[&str]| {
            let tests = |texts: &[&str]| texts.iter().map(|text| path(text)).collect();
            RequestBox::of(vec![Clause::new(Variable::Path, tests(any), tests(none))])
        };
        let found = start.before(&behind(&["/users*", "/x"], &["/users/admin"]));
        assert_eq!(found, Some((behind(&["/api/users*", "/api/x"], &["/api/users/admin"]), true)));
        assert_eq!(start.before(&behind(&["/*"], &[])), Some((behind(&["/api/*"], &[]), true)));
        let longer = Rewrite::Start { from: "/".to_owned(), to: "/v1/".to_owned() };
        assert_eq!(longer.before(&behind(&["/v2/*"], &[])), None);
        assert_eq!(longer.before(&behind(&["/v*"], &[])), Some((RequestBox::of(vec![]), true)));
        assert_eq!(longer.before(&behind(&[], &["/v1/*"])), Some((behind(&[], &["/*"]), true)));
        let whole = Rewrite::Whole("/one".to_owned());
        assert_eq!(whole.before(&behind(&["/two"], &[])), None);
        assert_eq!(whole.before(&behind(&["/o*"], &["/two"])), Some((RequestBox::of(vec![]), true)));
        assert!(start.before(&behind(&["*.html"], &[])).is_some_and(|(_, is_exact)| !is_exact));
    }

    #[test]
    fn rewrites_keep_queries() {
        let start = Rewrite::Start { from: "/api".to_owned(), to: String::new() };
        assert_eq!(start.apply("/api/users?q=/api"), "/users?q=/api");
        assert_eq!(Rewrite::Whole("/".to_owned()).apply("/a?b"), "/?b");
        assert_eq!(Rewrite::Same.apply("/a"), "/a");
    }
}
