//! Laws that hold for every set of policies and every request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::random::{Rule, Spec, engine, request, rule, spec, text};
use common::{Policies, context, http};
use meshproof_authz::{By, Context, Decision, Engine, Evaluation, Request};
use proptest::prelude::*;

fn decide(specs: &[Spec], request: &Request, engine: Engine) -> Evaluation {
    if specs.is_empty() {
        return meshproof_authz::evaluate(&[], request, &at(engine));
    }
    Policies::read(&text(specs)).evaluate(request, &at(engine))
}

fn at(engine: Engine) -> Context {
    let mut context = context(engine);
    context.trust_domains = vec!["cluster.local".to_owned(), "td1".to_owned()];
    context
}

/// Whether a policy of the action with these rules matches.
fn matches(rules: &[Rule], action: &'static str, request: &Request, engine: Engine) -> bool {
    let evaluation = decide(&[Spec { namespace: "foo", action, rules: rules.to_vec() }], request, engine);
    matches!(evaluation.by, By::Allow | By::Deny)
}

fn mentions(rule: &Rule, wanted: &[&str]) -> bool {
    let items = rule.from.iter().chain(&rule.to).chain(&rule.when).flatten();
    items.flat_map(|(name, values)| std::iter::once(name).chain(values)).any(|text| wanted.contains(text))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn order_changes_nothing(specs in prop::collection::vec(spec(), 1..4), request in request(), engine in engine()) {
        let straight = decide(&specs, &request, engine);
        let turned: Vec<Spec> = specs
            .iter()
            .map(|spec| Spec { rules: spec.rules.iter().rev().map(Rule::reversed).collect(), ..spec.clone() })
            .collect();
        let turned = decide(&turned, &request, engine);
        prop_assert_eq!((straight.decision, &straight.by), (turned.decision, &turned.by));
        // The order of the documents does not even change the name of the rule.
        let document_text = text(&specs);
        let mut documents: Vec<&str> = document_text.split("---\n").collect();
        documents.reverse();
        let documents = documents.iter().map(|text| format!("{}\n", text.trim_end())).collect::<Vec<_>>();
        let shuffled = Policies::read(&documents.join("---\n")).evaluate(&request, &at(engine));
        let name = |evaluation: &Evaluation| evaluation.rule.as_ref().map(|rule| rule.id.clone());
        prop_assert_eq!(name(&straight), name(&shuffled));
        prop_assert_eq!(straight.decision, shuffled.decision);
    }

    #[test]
    fn a_further_policy(specs in prop::collection::vec(spec(), 0..4), more in spec(), request in request(), engine in engine()) {
        let before = decide(&specs, &request, engine);
        let mut with = specs.clone();
        with.push(more.clone());
        let after = decide(&with, &request, engine);
        let has_allow = specs.iter().any(|spec| spec.action == "ALLOW");
        match (before.decision, after.decision) {
            // Only a DENY, or the first ALLOW, can narrow. (In gRPC an ALLOW without a usable rule is none.)
            (Decision::Allow, Decision::Deny) => {
                let is_first = !has_allow || engine == Engine::Grpc && before.by == By::NoAllowPolicy;
                prop_assert!(more.action == "DENY" || more.action == "ALLOW" && is_first);
            }
            // Only an ALLOW can widen, and only what no DENY refuses.
            (Decision::Deny, Decision::Allow) => {
                prop_assert_eq!(more.action, "ALLOW");
                prop_assert_eq!(before.by, By::AllowNoneMatched);
            }
            _ => {}
        }
        if more.action == "AUDIT" {
            prop_assert_eq!((before.decision, before.rule), (after.decision, after.rule));
        }
    }

    #[test]
    fn a_trial_changes_nothing(specs in prop::collection::vec(spec(), 1..4), more in spec(), request in request()) {
        for engine in [Engine::EnvoyHttp, Engine::EnvoyTcp, Engine::Ztunnel] {
            let before = decide(&specs, &request, engine);
            let trial = text(std::slice::from_ref(&more)).replace("name: p0}", "name: trial, annotations: {istio.io/dry-run: \"1\"}}");
            let after = Policies::read(&format!("{}---\n{trial}", text(&specs))).evaluate(&request, &at(engine));
            prop_assert_eq!((before.decision, before.by, before.rule), (after.decision, after.by, after.rule));
        }
    }

    #[test]
    fn rules_are_alternatives(a in rule(), b in rule(), request in request(), engine in engine()) {
        for action in ["ALLOW", "DENY"] {
            let alone = |rule: &Rule| matches(std::slice::from_ref(rule), action, &request, engine);
            prop_assert_eq!(matches(&[a.clone(), b.clone()], action, &request, engine), alone(&a) || alone(&b));
        }
    }

    #[test]
    fn engines_compare(rule in rule(), request in request()) {
        let rules = [rule];
        let on = |action, engine| matches(&rules, action, &request, engine);
        // The client address is read from headers in HTTP only, so there the two do not compare.
        if !mentions(&rules[0], &["remoteIpBlocks"]) {
            prop_assert!(on("DENY", Engine::EnvoyTcp) || !on("DENY", Engine::EnvoyHttp));
            prop_assert!(on("ALLOW", Engine::EnvoyHttp) || !on("ALLOW", Engine::EnvoyTcp));
        }
        // What ztunnel forgets or skips, and aliases that it does not know (a `not` list of them matches more).
        let differs = ["trustDomains", "notTrustDomains", "nonsense", "http", "notPrincipals"];
        if !mentions(&rules[0], &differs) {
            prop_assert!(on("ALLOW", Engine::EnvoyTcp) || !on("ALLOW", Engine::Ztunnel));
        }
    }

    #[test]
    fn a_namespace_by_another_name(specs in prop::collection::vec(spec(), 1..4), engine in engine(), path in "/[ab]") {
        let answer = |namespace: &str| {
            // Written out so that no other word holds the name.
            let text = text(&specs).replace("foo", namespace);
            let request = http(&format!("cluster.local/ns/{namespace}/sa/a"), "GET", &path);
            Policies::read(&text).evaluate(&request, &at(engine))
        };
        let (foo, qux) = (answer("foo"), answer("qux"));
        prop_assert_eq!((foo.decision, &foo.by), (qux.decision, &qux.by));
        let names = |evaluation: &Evaluation| {
            let mut names: Vec<String> =
                evaluation.matched.iter().map(|rule| rule.id.replace("qux", "foo")).collect();
            names.sort();
            names
        };
        prop_assert_eq!(names(&foo), names(&qux));
    }

    /// Nothing that a file or a client can say stops the evaluation.
    #[test]
    fn hostile_input(value in "[*/{}\\[\\]a.:%#?\\\\é-]{0,12}", target in "\\PC{0,16}", key in "[a-z.\\[\\]]{0,24}") {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let list = quoted(&value);
        let spec = format!(
            "{{rules: [{{from: [{{source: {{principals: [{list}], namespaces: [{list}], notServiceAccounts: [{list}], \
             trustDomains: [{list}], notRequestPrincipals: [{list}]}}}}], to: [{{operation: {{paths: [{list}], hosts: \
             [{list}]}}}}], when: [{{key: {}, values: [{list}]}}]}}]}}",
            quoted(&key)
        );
        let policies = Policies::spec(&spec);
        let request = http(&value, "GET", &target);
        for engine in [Engine::EnvoyHttp, Engine::EnvoyTcp, Engine::Ztunnel, Engine::Grpc] {
            policies.evaluate(&request, &at(engine));
        }
    }
}
