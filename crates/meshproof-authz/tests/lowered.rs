//! The filters that are emitted decide as `evaluate` does: a small RBAC interpreter, written from Envoy's documentation,
//! runs them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::net::IpAddr;

use common::random::{request, spec, text};
use common::{Policies, context};
use meshproof_authz::{
    By, Decision, Engine, PathNormalization, Peer, Policy, Request, Token, evaluate, lower, normalize_path,
};
use meshproof_grammar::cidr::Cidr;
use meshproof_grammar::path::PathPattern;
use proptest::prelude::*;
use regex::Regex;
use serde_json::{Map, Value};

/// What a filter asks of one request.
struct Seen<'a> {
    request: &'a Request,
    names: Vec<String>,
    path: String,
    claims: Option<&'a Map<String, Value>>,
}

impl<'a> Seen<'a> {
    fn new(request: &'a Request) -> Seen<'a> {
        let http = request.http.as_ref().unwrap();
        Seen {
            request,
            names: match &request.peer {
                Peer::Certificate(certificate) => certificate.uris.clone(),
                _ => Vec::new(),
            },
            path: normalize_path(&http.target, PathNormalization::Base).unwrap(),
            claims: match &http.token {
                Token::Verified { claims, .. } => Some(claims),
                _ => None,
            },
        }
    }

    fn header(&self, name: &str) -> Vec<String> {
        let http = self.request.http.as_ref().unwrap();
        let name = if name == ":authority" { "host" } else { name };
        if name == ":method" {
            return vec![http.method.clone()];
        }
        let lines = http.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value.clone()).collect()
    }

    /// A permission or a principal: an object with one key.
    fn holds(&self, matcher: &Value) -> bool {
        let (kind, inside) = matcher.as_object().unwrap().iter().next().unwrap();
        let list = |name: &str| inside[name].as_array().unwrap().iter();
        match kind.as_str() {
            "any" => true,
            "andRules" => list("rules").all(|each| self.holds(each)),
            "orRules" => list("rules").any(|each| self.holds(each)),
            "andIds" => list("ids").all(|each| self.holds(each)),
            "orIds" => list("ids").any(|each| self.holds(each)),
            "notRule" | "notId" => !self.holds(inside),
            "authenticated" => self.names.iter().any(|name| string(&inside["principalName"], name)),
            "directRemoteIp" => within(inside, self.request.source),
            "remoteIp" => within(inside, self.request.source),
            "destinationIp" => within(inside, self.request.destination.ip()),
            "destinationPort" => inside.as_u64() == Some(u64::from(self.request.destination.port())),
            "requestedServerName" => string(inside, self.request.sni.as_deref().unwrap_or_default()),
            "urlPath" => string(&inside["path"], self.path.split('?').next().unwrap()),
            "uriTemplate" => {
                let template = inside["typedConfig"]["pathTemplate"].as_str().unwrap();
                // Back to how policies write it; templates themselves are tested elsewhere.
                let written: Vec<String> = template
                    .split('/')
                    .map(|part| if part.starts_with('*') { format!("{{{part}}}") } else { part.to_owned() })
                    .collect();
                PathPattern::parse(&written.join("/")).unwrap().matches(self.path.split('?').next().unwrap())
            }
            "header" => {
                let values = self.header(inside["name"].as_str().unwrap());
                let present = inside["presentMatch"] == true;
                values.iter().any(|value| present || string(&inside["stringMatch"], value))
            }
            "metadata" => self.metadata(inside),
            other => panic!("the interpreter does not know {other}"),
        }
    }

    fn metadata(&self, matcher: &Value) -> bool {
        let keys = matcher["path"].as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap());
        let Some(claims) = self.claims else { return false };
        let mut value = Value::Object(claims.clone());
        for key in keys.skip(1) {
            let Some(inner) = value.get(key).cloned() else { return false };
            value = inner;
        }
        value_matches(&matcher["value"], &value)
    }
}

fn value_matches(matcher: &Value, value: &Value) -> bool {
    let (kind, inside) = matcher.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "stringMatch" => value.as_str().is_some_and(|value| string(inside, value)),
        "listMatch" => value
            .as_array()
            .is_some_and(|items| items.iter().any(|item| value_matches(&inside["oneOf"], item))),
        "orMatch" => {
            inside["valueMatchers"].as_array().unwrap().iter().any(|each| value_matches(each, value))
        }
        other => panic!("the interpreter does not know {other}"),
    }
}

fn string(matcher: &Value, value: &str) -> bool {
    let fold =
        |text: &str| if matcher["ignoreCase"] == true { text.to_ascii_lowercase() } else { text.to_owned() };
    let wanted = |name: &str| matcher[name].as_str().map(fold);
    let value = fold(value);
    if let Some(text) = wanted("exact") {
        value == text
    } else if let Some(text) = wanted("prefix") {
        value.starts_with(&text)
    } else if let Some(text) = wanted("suffix") {
        value.ends_with(&text)
    } else {
        let expression = matcher["safeRegex"]["regex"].as_str().expect("a string matcher");
        Regex::new(&format!("^(?:{expression})$")).unwrap().is_match(&value)
    }
}

fn within(block: &Value, address: IpAddr) -> bool {
    let text = format!("{}/{}", block["addressPrefix"].as_str().unwrap(), block["prefixLen"]);
    Cidr::parse(&text).unwrap().contains(address)
}

/// Runs the filters in their order; names the deciding rule.
fn run(filters: &[Value], seen: &Seen<'_>) -> (bool, Option<String>) {
    let mut last = None;
    for filter in filters {
        let rules = &filter["typedConfig"]["rules"];
        if rules.is_null() {
            continue;
        }
        let policies = rules["policies"].as_object().unwrap();
        let mut names: Vec<&String> = policies
            .iter()
            .filter(|(_, policy)| {
                let any = |side: &str| policy[side].as_array().unwrap().iter().any(|each| seen.holds(each));
                any("permissions") && any("principals")
            })
            .map(|(name, _)| name)
            .collect();
        names.sort();
        let found = names.first().map(|name| (*name).clone());
        match rules["action"].as_str() {
            Some("LOG") => {}
            Some("DENY") if found.is_some() => return (false, found),
            Some("DENY") => {}
            _ if found.is_none() => return (false, None),
            _ => last = found,
        }
    }
    (true, last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn filters_decide_as_evaluate_does(specs in prop::collection::vec(spec(), 1..4), request in request(), tcp in any::<bool>()) {
        let mut context = context(if tcp { Engine::EnvoyTcp } else { Engine::EnvoyHttp });
        context.trust_domains = vec!["cluster.local".to_owned(), "td1".to_owned()];
        let policies = Policies::read(&text(&specs));
        let list: Vec<Policy<'_>> = policies.list();
        let evaluation = evaluate(&list, &request, &context);
        let (allowed, rule) = run(&lower(&list, &context).filters, &Seen::new(&request));
        prop_assert_eq!(evaluation.decision == Decision::Allow, allowed);
        let said = evaluation.rule.map(|rule| rule.id);
        prop_assert_eq!(said, rule, "{:?}", evaluation.by);
        prop_assert!(evaluation.by != By::Custom);
    }
}
