//! Input by which tables of earlier runs are known again: equal input makes equal tables.

use std::collections::HashMap;

use fastrand::Rng;
use meshproof_compiler::table::{Form, Input, ReportOrder, table, table_in};

use crate::common::Policies;
use crate::everything;

/// Sets of at most two policies, so that many of them say the same.
#[test]
fn equal_input_makes_equal_tables() {
    let mut known: HashMap<Input, Vec<u8>> = HashMap::new();
    let (mut again, mut without) = (0, 0);
    for seed in 0..1_500 {
        let mut rng = Rng::with_seed(seed % 1_200);
        let text = everything::policies(&mut rng, 1 + seed as usize % 2);
        let policies = Policies::read(&text);
        let mut context = everything::context(&mut rng);
        // Few contexts, or hardly any two sets meet in the same one.
        if seed % 4 != 0 {
            context = meshproof_authz::Context::new(context.engine);
        }
        for order in [ReportOrder::Name, ReportOrder::Policy] {
            let made = table(&policies.list(), &context, order);
            let Some(input) = Input::of(&policies.list(), &context, order) else {
                assert!(made.is_err(), "{text}");
                without += 1;
                continue;
            };
            let Ok(bytes) = made else { continue };
            if let Some(before) = known.insert(input, bytes.clone()) {
                assert_eq!(before, bytes, "{text}");
                again += 1;
            }
        }
    }
    assert!(again > 300 && known.len() > 1_500, "{again} again, {} distinct, {without} without", known.len());
}

/// What differs in one thing that counts differs in its input.
#[test]
fn what_counts_is_told_apart() {
    let base =
        "{action: DENY, rules: [{from: [{source: {principals: [a]}}], to: [{operation: {paths: [/a]}}]}]}";
    let input = |spec: &str, context: &meshproof_authz::Context, order| {
        Input::of(&Policies::spec(spec).list(), context, order).unwrap()
    };
    let context = meshproof_authz::Context::new(meshproof_authz::Engine::EnvoyHttp);
    let first = input(base, &context, ReportOrder::Name);
    assert_eq!(first, input(&base.replace(", to", ",\n   to"), &context, ReportOrder::Name));
    let changes = [
        ("DENY", "ALLOW"),
        ("DENY", "AUDIT"),
        ("[a]", "[b]"),
        ("[a]", "[a, b]"),
        ("principals", "notPrincipals"),
        ("/a", "/a*"),
        ("paths", "hosts"),
    ];
    let mut inputs: Vec<Input> = changes
        .iter()
        .map(|(old, new)| input(&base.replacen(old, new, 1), &context, ReportOrder::Name))
        .collect();
    inputs.push(input(base, &context, ReportOrder::Policy));
    let mut other = context.clone();
    other.engine = meshproof_authz::Engine::EnvoyTcp;
    inputs.push(input(base, &other, ReportOrder::Name));
    let mut other = context.clone();
    other.trust_domains = vec!["td1".to_owned()];
    inputs.push(input(base, &other, ReportOrder::Name));
    inputs.push(first);
    let distinct: std::collections::HashSet<&Input> = inputs.iter().collect();
    assert_eq!(distinct.len(), inputs.len());
}

/// Tables that come out otherwise than before are not to be found in the folders of earlier runs: when this fails, raise
/// [`Input::REVISION`] and write the new hash here.
#[test]
fn other_tables_have_another_revision() {
    let mut all = Vec::new();
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let text = everything::policies(&mut rng, 6);
        let context = everything::context(&mut rng);
        for form in [Form::Best, Form::Words] {
            let policies = Policies::read(&text);
            if let Ok(bytes) = table_in(form, &policies.list(), &context, ReportOrder::Name) {
                all.extend(bytes);
            }
        }
    }
    let hash: String =
        meshproof_engine::content_hash(&all).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((Input::REVISION, hash.as_str()), (9, "7a9d6460b38468c3"));
}
