//! Proofs: tables as compiled are proven, and nothing that decides differently is.

use fastrand::Rng;
use meshproof_authz::{Context, Engine};
use meshproof_compiler::table::{ReportOrder, Unproven, table, table_in, verify};
use meshproof_engine::{Context as Prepared, Table};

use crate::common::Policies;
use crate::loader::{mutate, sealed};
use crate::{compare, everything, form};

#[test]
fn compiled_tables_are_proven() {
    let mut values = 0;
    for seed in 0..120 {
        let mut rng = Rng::with_seed(seed);
        let text = everything::policies(&mut rng, 12);
        let policies = Policies::read(&text);
        let context = everything::context(&mut rng);
        let order = if rng.bool() { ReportOrder::Name } else { ReportOrder::Policy };
        let bytes = table_in(form(&mut rng), &policies.list(), &context, order).unwrap();
        match verify(&bytes, &policies.list(), &context, order) {
            Ok(proof) => values += proof.values,
            Err(error) => panic!("seed {seed}: {error}\n{text}"),
        }
    }
    assert!(values > 10_000, "{values}");
}

#[test]
fn a_server_name_that_grpc_does_not_see_is_no_difference() {
    for value in ["a*", "A.b", "*", ""] {
        let policies = Policies::spec(&format!(
            "{{action: DENY, rules: [{{when: [{{key: connection.sni, values: ['{value}']}}]}}]}}"
        ));
        let context = Context::new(Engine::Grpc);
        let bytes = table(&policies.list(), &context, ReportOrder::Name).unwrap();
        let proof = verify(&bytes, &policies.list(), &context, ReportOrder::Name);
        assert!(proof.is_ok(), "{value:?}: {}", proof.unwrap_err());
    }
}

/// A forged table that passes for proven decides as the policies do.
#[test]
fn what_is_proven_is_equal() {
    let mut rng = Rng::with_seed(17);
    let (mut proven, mut caught, mut shown) = (0, 0, 0);
    for _ in 0..40 {
        let text = everything::policies(&mut rng, 4);
        let policies = Policies::read(&text);
        let context = everything::context(&mut rng);
        let bytes = table_in(form(&mut rng), &policies.list(), &context, ReportOrder::Name).unwrap();
        for _ in 0..30 {
            let mut forged = bytes.clone();
            mutate(&mut forged, &mut rng);
            let forged = sealed(forged);
            let Ok(opened) = Table::open(&forged) else { continue };
            match verify(&forged, &policies.list(), &context, ReportOrder::Name) {
                Err(Unproven::Differs { witness, .. }) => {
                    caught += 1;
                    shown += usize::from(witness.is_some());
                }
                Err(error) => panic!("{error}"),
                Ok(_) => {
                    proven += 1;
                    let mut prepared = Prepared::new();
                    for _ in 0..60 {
                        let request = everything::request(&mut rng);
                        if let Err(difference) =
                            compare(&policies.list(), &opened, &mut prepared, &request, &context)
                        {
                            panic!("proven, but {difference}\n{text}");
                        }
                    }
                }
            }
        }
    }
    assert!(proven > 20 && caught > 20 && shown > 0, "{proven} {caught} {shown}");
}

#[test]
fn a_difference_is_shown() {
    let policies = Policies::spec("{rules: [{to: [{operation: {paths: [/a]}}]}]}");
    let context = Context::new(Engine::EnvoyHttp);
    let others = Policies::spec("{rules: [{to: [{operation: {paths: [/b]}}]}]}");
    let bytes = table(&others.list(), &context, ReportOrder::Name).unwrap();
    let error = verify(&bytes, &policies.list(), &context, ReportOrder::Name).unwrap_err();
    let Unproven::Differs { what, witness: Some(request) } = error else { panic!("{error}") };
    assert_eq!(what, "rule 0 of foo/p is not in the table as it is written");
    assert_eq!(request.http.unwrap().target, "/a");
}
