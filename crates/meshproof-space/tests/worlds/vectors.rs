//! Decisions recorded from a real Envoy: the boxes of the rules, put together by their effects, say the same.

use std::io::Read;
use std::path::Path;

use meshproof_authz::{
    Certificate, ClientAddress, Context, Engine, HttpRequest, PathNormalization, Peer, Policy, Request, Token,
};
use meshproof_resources::{Decoded, Spec};
use meshproof_source::SourceId;
use meshproof_space::{Effect, RuleBoxes, lower};
use serde_json::Value;

use crate::reading::lies_in;

fn lines(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/conformance");
    let packed = std::fs::read(folder.join(name)).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn policies(line: &Value) -> Decoded {
    let mut decoded = Decoded::default();
    for policy in line["policies"].as_array().unwrap() {
        let text = policy.to_string();
        let parsed = meshproof_yaml::parse(SourceId(0), &text, 0..text.len());
        meshproof_resources::decode(parsed.tree.unwrap().root(), &mut decoded);
    }
    decoded
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn request(written: &Value) -> Request {
    let peer = match &written["peer"] {
        Value::Null => Peer::Anonymous,
        peer => Peer::Certificate(Certificate {
            uris: texts(&peer["uris"]),
            dns: texts(&peer["dns"]),
            subject: text(&peer["subject"]),
        }),
    };
    let headers = written["headers"].as_array().into_iter().flatten();
    let token = match written["jwt"].as_object() {
        Some(claims) => Token::Verified { claims: claims.clone(), forwarded: false },
        None => Token::None,
    };
    let http = HttpRequest {
        method: text(&written["method"]),
        target: text(&written["path"]),
        headers: headers.map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        token,
    };
    Request {
        peer,
        sni: written["sni"].as_str().map(str::to_owned),
        source: text(&written["src_ip"]).parse().unwrap(),
        proxied_source: written["pp_src"].as_str().map(|source| source.parse().unwrap()),
        destination: format!("{}:{}", text(&written["dst"][0]), written["dst"][1]).parse().unwrap(),
        metadata: Default::default(),
        http: (written["proto"] == "http").then_some(http),
    }
}

fn context(written: &Value, trust_domains: &[String]) -> Context {
    let is_http = written["proto"] == "http";
    let mut context = Context::new(if is_http { Engine::EnvoyHttp } else { Engine::EnvoyTcp });
    context.trust_domains = trust_domains.to_vec();
    if written["listener"] == "gateway" {
        context.semantics.client_address = ClientAddress::TrustedProxies(0);
    }
    context.semantics.normalization = match written["normalize"].as_str() {
        Some("none") => PathNormalization::None,
        Some("merge") => PathNormalization::MergeSlashes,
        Some("decode") => PathNormalization::DecodeAndMergeSlashes,
        _ => PathNormalization::Base,
    };
    context
}

/// What the boxes say; nothing when a rule has too many.
fn passes(list: &[Policy<'_>], request: &Request, context: &Context) -> Option<bool> {
    let lowered = lower(list, context);
    let (mut refused, mut allowed) = (false, !lowered.needs_allow);
    for rule in &lowered.rules {
        let matches = match &*rule.boxes {
            RuleBoxes::Boxes(boxes) => boxes.iter().any(|of| lies_in(request, of, context)),
            RuleBoxes::Dropped(_) => false,
            RuleBoxes::Unknown(_) => return None,
        };
        match rule.effect {
            Effect::Deny | Effect::Refuse => refused |= matches,
            Effect::Allow => allowed |= matches,
            Effect::Delegate(_) | Effect::Audit => {}
        }
    }
    Some(allowed && !refused)
}

#[test]
fn recorded_decisions() {
    let (mut decoded, mut trust_domains) = (Decoded::default(), Vec::new());
    let (mut checked, mut unknown) = (0, 0);
    for line in &lines("authz-envoy.jsonl.gz") {
        match line["kind"].as_str() {
            Some("policies") => {
                decoded = policies(line);
                trust_domains = texts(&line["trustDomains"]);
            }
            Some("case") => {
                let expired = line["request"]["jwt"]["exp"].as_f64().is_some_and(|ends| ends < 2e9);
                let target = line["request"]["path"].as_str().unwrap_or("/");
                let decision = line["expect"]["decision"].as_str().unwrap();
                if expired || !target.starts_with('/') || !matches!(decision, "allow" | "deny") {
                    continue;
                }
                let (request, context) =
                    (request(&line["request"]), context(&line["request"], &trust_domains));
                let list = decoded.resources.iter().filter_map(|resource| match &resource.spec {
                    Spec::AuthorizationPolicy(spec) => Some(Policy::new(&resource.meta, spec, "foo")),
                    _ => None,
                });
                match passes(&list.collect::<Vec<_>>(), &request, &context) {
                    Some(said) => assert_eq!(said, decision == "allow", "{line}"),
                    None => unknown += 1,
                }
                checked += 1;
            }
            _ => {}
        }
    }
    assert!(checked > 9000 && unknown * 100 <= checked, "{checked} checked, {unknown} unknown");
}
