//! Bytes that are no table, or no longer one: refused, or deciding as before, and never anything else.

use fastrand::Rng;
use meshproof_authz::{Context, Engine};
use meshproof_compiler::table::{ReportOrder, Seen, table, table_in};
use meshproof_engine::{
    Connection, Context as Prepared, Decision, NoRequest, OpenError, Phase, RowLayout, Table, Verdict,
    content_hash, format,
};

use crate::common::Policies;
use crate::{everything, form};

fn some_table(rng: &mut Rng) -> Vec<u8> {
    let policies = Policies::read(&everything::policies(rng, 8));
    let context = everything::context(rng);
    table_in(form(rng), &policies.list(), &context, ReportOrder::Name).unwrap()
}

/// Makes the hash fit again, so that what lies behind it is met.
pub fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= format::HEAD {
        let length = bytes.len() as u64;
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        let hash = content_hash(&bytes);
        bytes[format::HASH_AT..format::HASH_AT + 32].copy_from_slice(&hash);
    }
    bytes
}

/// Decides a few requests; what comes out is of no account.
fn use_it(table: &Table<'_>, rng: &mut Rng) {
    let mut prepared = Prepared::new();
    let context = Context::new(Engine::EnvoyHttp);
    for _ in 0..4 {
        let request = everything::request(rng);
        let names: [&[u8]; 2] = [b"spiffe://cluster.local/ns/a/sa/b", b"client.example"];
        let port = request.destination.port();
        table.prepare(
            &Connection { names: &names, source: request.source, port, ..Connection::default() },
            &mut prepared,
        );
        let decision = match meshproof_authz::View::new(&request, &context) {
            Ok(view) => table.decide(&prepared, &Seen(&view)),
            Err(_) => table.decide(&prepared, &NoRequest),
        };
        let connection = table.decide_connection(&prepared);
        for rule in decision.rule.into_iter().chain(connection.rule) {
            let _ = table.rule(rule).map(|rule| rule.to_string());
        }
    }
    let _ = table.stored_attributes();
}

#[test]
fn changed_bytes_are_refused() {
    let mut rng = Rng::with_seed(7);
    for _ in 0..20 {
        let bytes = some_table(&mut rng);
        assert!(Table::open(&bytes).is_ok());
        for _ in 0..100 {
            let mut changed = bytes.clone();
            let at = rng.usize(0..changed.len());
            changed[at] ^= 1 << rng.u8(0..8);
            let error = Table::open(&changed).unwrap_err();
            match at {
                0..8 => assert_eq!(error, OpenError::Foreign),
                8..12 => assert!(matches!(error, OpenError::Version(_))),
                _ => {}
            }
        }
        for end in [0, 1, 7, 8, 11, 12, 63, 64, 100, bytes.len() - 1] {
            let error = Table::open(&bytes[..end]).unwrap_err();
            assert!(matches!(error, OpenError::Foreign | OpenError::Truncated { .. }), "{end}: {error}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(Table::open(&longer), Err(OpenError::TooLong { .. })));
    }
    assert_eq!(Table::open(b"{\"format\": 1}").unwrap_err(), OpenError::Foreign);
}

pub fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..1 + rng.usize(0..4) {
        let at = rng.usize(12..bytes.len() - 4) & !3;
        let number = *rng
            .choice(&[0u32, 1, 2, 63, 64, 255, 1 << 16, 1 << 24, 1 << 29, 1 << 31, u32::MAX, u32::MAX - 1])
            .unwrap();
        match rng.u8(0..6) {
            0 => bytes[at..at + 4].copy_from_slice(&number.to_le_bytes()),
            1 => bytes[at] = rng.u8(..),
            2 => bytes[at] = bytes[at].wrapping_add(1),
            3 => {
                let from = rng.usize(12..bytes.len() - 4) & !3;
                let to = at.min(bytes.len() - 4);
                bytes.copy_within(from..from + 4, to);
            }
            4 => bytes.truncate(at.max(400)),
            _ => {
                let entry = format::HEAD + rng.usize(0..format::SECTIONS * 2) * 4;
                let old = u32::from_le_bytes(bytes[entry..entry + 4].try_into().unwrap());
                let new = rng
                    .choice(&[old.wrapping_add(8), old.wrapping_sub(8), old.wrapping_mul(2), 0, number])
                    .copied()
                    .unwrap();
                bytes[entry..entry + 4].copy_from_slice(&new.to_le_bytes());
            }
        }
    }
}

/// Tables that were changed and sealed again: the hash fits, so only validation stands between them and a decision.
#[test]
fn forged_tables_do_no_harm() {
    let mut rng = Rng::with_seed(11);
    let rounds: usize = std::env::var("FORGED").ok().and_then(|count| count.parse().ok()).unwrap_or(3_000);
    let tables: Vec<Vec<u8>> = (0..12).map(|_| some_table(&mut rng)).collect();
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..rounds {
        let mut bytes = rng.choice(&tables).unwrap().clone();
        mutate(&mut bytes, &mut rng);
        let bytes = sealed(bytes);
        match Table::open(&bytes) {
            Err(error) => {
                assert_ne!(error, OpenError::Corrupt);
                refused += 1;
            }
            Ok(table) => {
                use_it(&table, &mut rng);
                taken += 1;
            }
        }
    }
    assert!(
        refused > rounds / 4 && taken > rounds / 20,
        "{refused} refused, {taken} taken: too one-sided to tell much"
    );
}

/// A section of a table.
fn section(bytes: &[u8], number: usize) -> std::ops::Range<usize> {
    let at = format::HEAD + number * 8;
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    number(at)..number(at) + number(at + 4)
}

/// The bits of rows repeat what scripts spell out of paths. If they said something else, a table could be proven and decide
/// otherwise.
#[test]
fn rows_that_contradict_their_scripts_are_refused() {
    let rule = |at: u32| format!("{{to: [{{operation: {{paths: [/{at}/shop, /some/{at}*]}}}}]}}");
    let rules: Vec<String> = (0..9).map(rule).collect();
    let policies = Policies::spec(&format!("{{action: ALLOW, rules: [{}]}}", rules.join(", ")));
    let bytes = table(&policies.list(), &Context::new(Engine::EnvoyHttp), ReportOrder::Name).unwrap();
    assert!(Table::open(&bytes).unwrap().is_told_by_rows());
    let (rows, scripts) = (section(&bytes, format::ROWS), section(&bytes, format::SCRIPTS));
    let layout = RowLayout::new(scripts.len(), 9, [0, 0, format::PATH_BITS]).unwrap();
    assert_eq!(rows.len(), 9 * 8);
    let opens = |at: usize, row: u64| {
        let mut forged = bytes.clone();
        forged[at..at + 8].copy_from_slice(&row.to_le_bytes());
        Table::open(&sealed(forged)).map(|_| ())
    };
    for at in rows.step_by(8) {
        let row = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let told = layout.paths.asked(row).unwrap();
        assert!((1..=2).contains(&told.count_ones()));
        for value in (0..layout.paths.values()).map(Some).chain([None]) {
            let error = opens(at, row ^ layout.paths.bit(value)).unwrap_err();
            assert!(matches!(error, OpenError::Invalid { .. }), "{error}");
        }
        // Another rule of the table is no contradiction, and neither is a row that is never passed over.
        assert_eq!(opens(at, layout.with(layout.paths, row, layout.paths.all())), Ok(()));
        let only = |place, rule, asks| layout.row(place, rule, asks) & !layout.paths.all();
        for wrong in
            [row & !only(0, 15, false) | only(0, 9, false), row ^ only(1, 0, false), row ^ only(0, 0, true)]
        {
            assert!(opens(at, wrong).is_err(), "{row:x} {wrong:x}");
        }
    }
}

#[test]
fn equal_policies_make_equal_bytes() {
    let make = || {
        let mut rng = Rng::with_seed(3);
        (0..5).map(|_| some_table(&mut rng)).collect::<Vec<_>>()
    };
    assert_eq!(make(), make());
    let hashes: std::collections::HashSet<[u8; 32]> =
        make().iter().map(|bytes| Table::open(bytes).unwrap().hash()).collect();
    assert_eq!(hashes.len(), 5);
}

#[test]
fn nobody_decides_without_a_table() {
    let mut rng = Rng::with_seed(5);
    let (first, second) = (some_table(&mut rng), some_table(&mut rng));
    let (first, second) = (Table::open(&first).unwrap(), Table::open(&second).unwrap());
    let mut prepared = Prepared::new();
    let never = first.decide(&prepared, &NoRequest);
    assert_eq!((never.verdict, never.phase), (Verdict::Deny, Phase::Stale));
    first.prepare(&Connection::default(), &mut prepared);
    assert_ne!(first.decide(&prepared, &NoRequest).phase, Phase::Stale);
    // A reload brought another table.
    assert_eq!(second.decide(&prepared, &NoRequest).phase, Phase::Stale);
    assert_eq!(second.policies(&prepared, &NoRequest).verdict, Verdict::Deny);
    assert_eq!(second.decide_connection(&prepared).verdict, Verdict::Deny);
    let again = second.decide_on(&Connection::default(), &mut prepared, &NoRequest);
    assert_ne!(again.phase, Phase::Stale);
    assert!(!Decision::NO_TABLE.is_allowed());
}
