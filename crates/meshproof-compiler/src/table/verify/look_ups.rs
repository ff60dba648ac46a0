//! Whether look-ups lead to the right rows.

use std::collections::BTreeSet;

use meshproof_authz::Context;
use meshproof_engine::{self as engine, Table};
use meshproof_space::{Test, Variable};

use super::Checked;
use super::rows::Expected;
use crate::table::dimension::is_of_request;
use crate::table::probes::{Value, values};
use crate::table::test::{Spelled, passes};

/// Whether every look-up leads to the rows whose tests a value passes; gives the number of values that were tried.
pub(super) fn look_ups(table: &Table<'_>, expected: &Expected, context: &Context) -> Checked<usize> {
    let mut tried = 0;
    for (at, attribute) in table.stored_attributes().into_iter().enumerate() {
        let key = (attribute.attribute, attribute.name.clone());
        let Some((variable, meanings)) = expected.tests.get(&key) else { continue };
        if attribute.is_of_request != is_of_request(variable, table.engine()) {
            return Err(format!("{:?} {}: when it is asked", key.0, key.1.replace('\0', ".")));
        }
        let tests: Vec<(&Test, &engine::StoredTest)> = attribute
            .tests
            .iter()
            .filter_map(|stored| {
                let (first, second) = (stored.first.clone(), stored.second.clone());
                Some((meanings.get(&Spelled { kind: stored.kind, first, second })?, stored))
            })
            .collect();
        let probe = table.prober(at);
        for value in values(variable, tests.iter().map(|(test, _)| *test), context) {
            tried += 1;
            let mut rows: [BTreeSet<u32>; 2] = Default::default();
            for (test, stored) in tests.iter().filter(|(test, _)| holds(variable, test, &value, table)) {
                debug_assert!(!matches!(test, Test::Absent));
                rows[0].extend(&stored.wanted);
                rows[1].extend(&stored.refused);
            }
            let found = probe(value.probe());
            let same = rows.iter().zip(&found).all(|(rows, found)| rows.iter().eq(found));
            if !same {
                return Err(format!(
                    "{:?} {}: the value {value} leads to the wrong rows",
                    key.0,
                    key.1.replace('\0', ".")
                ));
            }
        }
    }
    Ok(tried)
}

/// Whether the value passes the test, by the policies' own reading.
fn holds(variable: &Variable, test: &Test, value: &Value, table: &Table<'_>) -> bool {
    match value {
        Value::Port(port) => matches!(test, Test::Port(wanted) if wanted == port),
        Value::Address(address) => matches!(test, Test::Block(block) if block.contains(address)),
        Value::Token(issuer, subject) => match test {
            Test::Token { issuer: first, subject: second } => {
                [(first, issuer), (second, subject)].iter().all(|(half, text)| {
                    let Some(pattern) = half else { return true };
                    let part = Test::Text(pattern.clone());
                    text.as_ref()
                        .is_some_and(|text| passes(&Variable::Claim(Vec::new()), &part, text, table.engine()))
                })
            }
            _ => false,
        },
        // gRPC servers hand no server name over.
        Value::Text(_) if *variable == Variable::Sni && table.engine() == engine::Engine::Grpc => {
            passes(variable, test, "", table.engine())
        }
        Value::Text(text) if *variable == Variable::Peer => {
            let principal = text.strip_prefix("spiffe://").unwrap_or(text);
            passes(variable, test, principal, table.engine())
        }
        Value::Text(text) if *variable == Variable::Path => {
            let is_whole = matches!(test, Test::Header(_));
            let path = if is_whole { text } else { text.split('?').next().unwrap_or_default() };
            passes(variable, test, path, table.engine())
        }
        Value::Text(text) => passes(variable, test, text, table.engine()),
    }
}
