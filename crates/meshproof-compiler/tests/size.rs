//! How large tables and contexts are, on the workload of `benches/engine`; and that they decide as a plain scan does.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../benches/engine/src/scan.rs"]
mod scan;
#[path = "../../../benches/engine/src/workload.rs"]
#[allow(dead_code)]
mod workload;

use fastrand::Rng;
use meshproof_authz::{Context, Engine, Policy};
use meshproof_compiler::table::{ReportOrder, table};
use meshproof_engine::{Connection, Context as Prepared, RequestAttributes, Table};
use meshproof_resources::{Decoded, Spec};
use meshproof_source::SourceId;
use workload::{Case, Rules};

impl RequestAttributes for Case {
    fn method(&self) -> Option<&[u8]> {
        Some(self.method.as_bytes())
    }
    fn path(&self) -> Option<&[u8]> {
        Some(self.path.as_bytes())
    }
    fn authority(&self) -> Option<&[u8]> {
        Some(self.host.as_bytes())
    }
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        let lines = self.headers.iter().filter(|(key, _)| key == name);
        lines.for_each(|(_, value)| each(value.as_bytes()));
    }
}

fn made(rules: &Rules) -> Vec<u8> {
    let mut decoded = Decoded::default();
    for text in rules.documents() {
        let tree = meshproof_yaml::parse(SourceId(0), &text, 0..text.len()).tree.unwrap();
        meshproof_resources::decode(tree.root(), &mut decoded);
    }
    let policies = decoded.resources.iter().filter_map(|resource| match &resource.spec {
        Spec::AuthorizationPolicy(spec) => Some(Policy::new(&resource.meta, spec, "bench")),
        _ => None,
    });
    let policies: Vec<Policy<'_>> = policies.collect();
    table(&policies, &Context::new(Engine::EnvoyHttp), ReportOrder::Name).unwrap()
}

/// The rows, or words of rows, that connections leave of a table, ascending; every request is decided as the scan does.
fn left(rules: &Rules, bytes: &[u8], requests: usize) -> Vec<usize> {
    let table = Table::open(bytes).unwrap();
    let mut context = Prepared::new();
    let mut left = Vec::new();
    let mut allowed = 0;
    for case in rules.cases(requests, &mut Rng::with_seed(2)) {
        let (names, source) = ([case.name.as_bytes()], case.source.into());
        let connection =
            Connection { names: &names, source, remote: source, port: case.port, ..Connection::default() };
        table.prepare(&connection, &mut context);
        left.push(context.left());
        let decision = table.decide(&context, &case);
        assert_eq!(decision.is_allowed(), scan::allows(rules, &case), "{case:?}");
        allowed += usize::from(decision.is_allowed());
    }
    assert!(allowed > requests / 20 && allowed < requests, "{allowed}");
    left.sort_unstable();
    left
}

#[test]
fn many_rules_are_small() {
    let rules = Rules::random(1_000, &mut Rng::with_seed(1));
    let bytes = made(&rules);
    assert!(bytes.len() <= 120 * 1_000, "{} bytes per 1,000 rules", bytes.len());
    let left = left(&rules, &bytes, 1_000);
    assert!(left[500] <= 15 && left[990] <= 30, "{} {}", left[500], left[990]);
}

/// Nothing tells the rows apart before the last attribute: every word is there to the end.
#[test]
fn the_worst_rules_are_smaller() {
    let rules = Rules::worst(1_500, &mut Rng::with_seed(1));
    let bytes = made(&rules);
    assert!(bytes.len() <= 30 * 1_500, "{} bytes per 1,500 rules", bytes.len());
    let left = left(&rules, &bytes, 300);
    assert_eq!(left[0], Table::open(&bytes).unwrap().row_words());
}
