//! Deciding allocates nothing, and neither does preparing with a context that has room.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../meshproof-authz/tests/common/mod.rs"]
mod common;
#[path = "table/everything.rs"]
#[allow(dead_code)]
mod everything;

use std::net::IpAddr;

use allocation_counter::measure;
use common::Policies;
use fastrand::Rng;
use meshproof_compiler::table::{Form, ReportOrder, table_in};
use meshproof_engine::{ClaimPath, Connection, Context, RequestAttributes, Table};

/// A request that has something of everything, without allocating itself.
struct Plain<'r> {
    path: &'r [u8],
    lines: &'r [&'r [u8]],
}

impl RequestAttributes for Plain<'_> {
    fn method(&self) -> Option<&[u8]> {
        Some(b"GET")
    }
    fn path(&self) -> Option<&[u8]> {
        Some(self.path)
    }
    fn authority(&self) -> Option<&[u8]> {
        Some(b"A.b")
    }
    fn header(&self, _: &str, each: &mut dyn FnMut(&[u8])) {
        self.lines.iter().for_each(|line| each(line));
    }
    fn remote(&self) -> Option<IpAddr> {
        Some([10, 1, 2, 3].into())
    }
    fn issuer(&self) -> Option<&[u8]> {
        Some(b"i")
    }
    fn subject(&self) -> Option<&[u8]> {
        Some(b"s")
    }
    fn claim(&self, _: ClaimPath<'_>, each: &mut dyn FnMut(&[u8])) {
        each(b"a");
    }
    fn metadata_text(&self, _: &str, _: &str) -> Option<&[u8]> {
        Some(b"a")
    }
    fn metadata_list(&self, _: &str, _: &str, each: &mut dyn FnMut(&[u8])) {
        each(b"a");
    }
}

#[test]
fn nothing_is_allocated() {
    let mut allowed = 0;
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let policies = Policies::read(&everything::policies(&mut rng, 30));
        let form = if rng.bool() { Form::Best } else { Form::Words };
        let bytes =
            table_in(form, &policies.list(), &everything::context(&mut rng), ReportOrder::Name).unwrap();
        let table = Table::open(&bytes).unwrap();
        let mut context = Context::for_table(&table);
        let names: [&[&[u8]]; 3] =
            [&[b"spiffe://cluster.local/ns/a/sa/b"], &[], &[b"spiffe://td1/ns/ns/sa/b", b"client.example"]];
        for (at, names) in names.into_iter().enumerate() {
            let connection = Connection {
                names,
                source: if at == 0 { [10, 1, 2, 3].into() } else { "2001:db8::1".parse().unwrap() },
                port: 80,
                sni: Some(b"a.B"),
                ..Connection::default()
            };
            let counted = measure(|| table.prepare(&connection, &mut context));
            assert_eq!(counted.count_total, 0, "prepare, seed {seed}");
            let paths: [&[u8]; 4] = [b"/a", b"/a/b/c?q=1", b"/abcd/x", b""];
            for path in paths {
                let lines: &[&[u8]] = if at == 0 { &[b"1"] } else { &[b"1", b"2"] };
                let request = Plain { path, lines };
                let counted = measure(|| {
                    let decision = table.decide(&context, &request);
                    allowed += usize::from(decision.is_allowed());
                    allowed += usize::from(table.policies(&context, &request).is_allowed());
                    allowed += usize::from(table.decide_connection(&context).is_allowed());
                });
                assert_eq!(counted.count_total, 0, "decide, seed {seed}");
            }
        }
    }
    assert!(allowed > 50, "{allowed}");
}
