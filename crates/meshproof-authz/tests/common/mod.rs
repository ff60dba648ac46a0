//! Policies from YAML, and requests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod random;

use std::collections::BTreeMap;

use meshproof_authz::{Context, Engine, Evaluation, HttpRequest, Peer, Policy, Request, Token, evaluate};
use meshproof_resources::{Decoded, Spec};
use meshproof_source::SourceId;
use serde_json::Value;

/// The policies of a text with several documents.
pub struct Policies(Decoded);

impl Policies {
    /// Reads documents divided by `---` lines.
    pub fn read(text: &str) -> Policies {
        let mut decoded = Decoded::default();
        for document in text.split("---\n") {
            let parsed = meshproof_yaml::parse(SourceId(0), document, 0..document.len());
            assert!(parsed.problems.is_empty(), "{:?}\n{document}", parsed.problems);
            meshproof_resources::decode(parsed.tree.expect("a document").root(), &mut decoded);
        }
        Policies(decoded)
    }

    /// One policy `foo/p` with the given spec in one line.
    pub fn spec(spec: &str) -> Policies {
        Policies::read(&policy("foo", "p", spec))
    }

    /// What `evaluate` wants.
    pub fn list(&self) -> Vec<Policy<'_>> {
        let each = self.0.resources.iter().map(|resource| match &resource.spec {
            Spec::AuthorizationPolicy(spec) => Policy::new(&resource.meta, spec, "default"),
            _ => panic!("no policy"),
        });
        each.collect()
    }

    pub fn evaluate(&self, request: &Request, context: &Context) -> Evaluation {
        evaluate(&self.list(), request, context)
    }
}

/// A document, its spec in flow style.
pub fn policy(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
         spec: {spec}\n"
    )
}

/// The same on trial.
pub fn dry_run(namespace: &str, name: &str, spec: &str) -> String {
    policy(namespace, name, spec)
        .replace("metadata: {", "metadata: {annotations: {istio.io/dry-run: \"true\"}, ")
}

/// A connection from a workload to port 8080.
pub fn tcp(principal: &str) -> Request {
    Request {
        peer: if principal.is_empty() { Peer::Anonymous } else { Peer::workload(principal) },
        sni: None,
        source: "10.1.0.1".parse().unwrap(),
        proxied_source: None,
        destination: "10.2.0.2:8080".parse().unwrap(),
        metadata: BTreeMap::new(),
        http: None,
    }
}

/// A request from a workload to port 8080 of `example.com`.
pub fn http(principal: &str, method: &str, target: &str) -> Request {
    Request {
        http: Some(HttpRequest {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![("Host".to_owned(), "example.com".to_owned())],
            token: Token::None,
        }),
        ..tcp(principal)
    }
}

/// The same with one more header line.
pub fn with_header(mut request: Request, name: &str, value: &str) -> Request {
    request.http.as_mut().unwrap().headers.push((name.to_owned(), value.to_owned()));
    request
}

/// The same with a verified token.
pub fn with_claims(mut request: Request, claims: Value) -> Request {
    let claims = claims.as_object().unwrap().clone();
    request.http.as_mut().unwrap().token = Token::Verified { claims, forwarded: false };
    request
}

/// `allow ALLOW`: decision and phase.
pub fn told(evaluation: &Evaluation) -> String {
    let decision = format!("{:?}", evaluation.decision).to_lowercase();
    format!("{decision} {}", evaluation.by)
}

pub fn context(engine: Engine) -> Context {
    Context::new(engine)
}

pub const A: &str = "cluster.local/ns/foo/sa/a";
pub const B: &str = "cluster.local/ns/bar/sa/b";
