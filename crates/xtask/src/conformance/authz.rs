//! Vectors of kinds `policies`, `case` and `probe`: what Envoy decided, by which phase and which rule.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use meshproof_authz::{
    Certificate, ClientAddress, Context, Decider, Decision, Engine, HttpRequest, PathNormalization, Peer,
    Policy, Provider, ProviderAnswer, ProviderKind, Request, Token, evaluate,
};
use meshproof_compiler::table::{ReportOrder, decide, difference, table};
use meshproof_engine::{Context as Prepared, Table};
use meshproof_resources::{Decoded, Spec};
use meshproof_source::SourceId;
use serde_json::{Value, json};

use super::sets::Sets;
use super::{Outcome, Replay};

/// Replays authorization decisions. Policies are written as JSON and read like any manifest; requests are normalized
/// here, the recorded outcome of that is not looked at.
#[derive(Default)]
pub(super) struct Authz {
    set: String,
    policies: Decoded,
    trust_domains: Vec<String>,
    /// Decision tables of the scene, by engine and providers; every case is decided by one of them too.
    tables: BTreeMap<String, Vec<u8>>,
    sets: Sets,
}

/// Tokens that ended before this moment (summer 2026) had expired when the vectors were recorded.
const RECORDED: f64 = 1_787_000_000.0;

impl Replay for Authz {
    fn line(&mut self, kind: &str, line: &Value) -> Outcome {
        let result = match kind {
            "policies" => self.scene(line).map(|()| Outcome::Scene),
            "case" if line["set"].as_str() != Some(&self.set) => {
                Err("the policies of its set are missing".to_owned())
            }
            "case" => self.both(line),
            "probe" if line.get("policies").is_some() => self.scene(line).and_then(|()| self.both(line)),
            _ => return Outcome::Unknown,
        };
        result.unwrap_or_else(Outcome::Failed)
    }

    fn told_by_sets(&self) -> u64 {
        self.sets.told
    }
}

impl Authz {
    fn scene(&mut self, line: &Value) -> Result<(), String> {
        self.set = line["set"].as_str().unwrap_or_default().to_owned();
        self.trust_domains = texts(line.get("trustDomains"));
        if self.trust_domains.is_empty() {
            self.trust_domains.push("cluster.local".to_owned());
        }
        self.policies = Decoded::default();
        self.tables.clear();
        self.sets.clear();
        for policy in line["policies"].as_array().into_iter().flatten() {
            let mut policy = policy.clone();
            // Probes leave out what is the same in all of them.
            let object = policy.as_object_mut().ok_or("a policy is no object")?;
            object.entry("apiVersion").or_insert_with(|| json!("security.istio.io/v1"));
            object.entry("kind").or_insert_with(|| json!("AuthorizationPolicy"));
            let text = policy.to_string();
            let parsed = meshproof_yaml::parse(SourceId(0), &text, 0..text.len());
            let tree =
                parsed.tree.ok_or_else(|| format!("a policy cannot be read: {:?}", parsed.problems))?;
            meshproof_resources::decode(tree.root(), &mut self.policies);
        }
        Ok(())
    }

    fn policies(&self) -> Vec<Policy<'_>> {
        let policies = self.policies.resources.iter().filter_map(|resource| match &resource.spec {
            Spec::AuthorizationPolicy(spec) => Some(Policy::new(&resource.meta, spec, "foo")),
            _ => None,
        });
        policies.collect()
    }

    /// What was recorded, against the evaluator, against a table and against the sets of requests.
    fn both(&mut self, line: &Value) -> Result<Outcome, String> {
        let request = request(&line["request"])?;
        let mut context = self.context(&line["request"])?;
        context.providers = providers(&line["providers"])?;
        let key = format!("{:?} {:?}", context.engine, context.providers);
        if !self.tables.contains_key(&key) {
            let bytes =
                table(&self.policies(), &context, ReportOrder::Name).map_err(|error| error.to_string())?;
            self.tables.insert(key.clone(), bytes);
        }
        let outcome = self.case(line)?;
        let bytes = self.tables.get(&key).map_or(&[][..], Vec::as_slice);
        let table = Table::open(bytes).map_err(|error| error.to_string())?;
        let said = decide(&table, &mut Prepared::new(), &request, &context);
        let evaluation = evaluate(&self.policies(), &request, &context);
        let mut sets = std::mem::take(&mut self.sets);
        let of_sets = sets.difference(&key, &self.policies(), &request, &context, &evaluation);
        self.sets = sets;
        match (difference(&said, &evaluation).or(of_sets), outcome) {
            (Some(difference), Outcome::Passed) => {
                Ok(Outcome::Failed(format!("{}: {difference}", line["name"].as_str().unwrap_or(&self.set))))
            }
            (_, outcome) => Ok(outcome),
        }
    }

    fn case(&self, line: &Value) -> Result<Outcome, String> {
        let policies = self.policies();
        let written = &line["request"];
        let request = request(written)?;
        let mut context = self.context(written)?;
        context.providers = providers(&line["providers"])?;
        let decider = Decider::new(&policies, &context);
        let evaluation = decider.evaluate(&request);
        if decider.decision(&request) != evaluation.decision {
            return Err("the decision without a trace differs".to_owned());
        }
        let decision = match evaluation.decision {
            Decision::Allow => "allow".to_owned(),
            Decision::Deny => "deny".to_owned(),
            Decision::Reject(status) => format!("reject-{status}"),
        };
        // Why a request is refused before policies is told in words of the proxy; the status is enough.
        let by = match evaluation.decision {
            Decision::Reject(_) => line["expect"]["by"].clone(),
            _ => json!(evaluation.by.to_string()),
        };
        let rule = evaluation.rule.as_ref().map(|matched| matched.id.as_str());
        let audit = evaluation.audit.as_ref().map(|matched| matched.id.as_str());
        let mut said = json!({ "decision": decision, "by": by, "rule": rule, "audit": audit });
        // Which rules on trial match is recorded as far as the proxy came.
        for name in line["expect"]["dryRun"].as_object().into_iter().flat_map(|recorded| recorded.keys()) {
            let dry_run = &evaluation.dry_run;
            let matched = if name == "deny" { &dry_run.deny } else { &dry_run.allow };
            said["dryRun"][name] = json!(matched.as_ref().map(|matched| &matched.id));
        }
        if said == line["expect"] {
            return Ok(Outcome::Passed);
        }
        let name = line["name"].as_str().unwrap_or(&self.set);
        Ok(Outcome::Failed(format!(
            "{name}: recorded {}, said {said}\n  request {written}\n  {:?}",
            line["expect"], evaluation.trace
        )))
    }

    fn context(&self, request: &Value) -> Result<Context, String> {
        let is_http = request["proto"] == "http";
        let mut context = Context::new(if is_http { Engine::EnvoyHttp } else { Engine::EnvoyTcp });
        context.trust_domains.clone_from(&self.trust_domains);
        let listener = request["listener"].as_str().unwrap_or("base");
        if listener == "gateway" {
            context.semantics.client_address = ClientAddress::TrustedProxies(0);
        }
        let mode = match (request["normalize"].as_str(), listener) {
            (Some(mode), _) | (None, mode @ ("none" | "merge" | "decode")) => mode,
            (None, _) => "base",
        };
        context.semantics.normalization = normalization(mode)?;
        Ok(context)
    }
}

/// A mode by its name in the vectors.
pub(super) fn normalization(mode: &str) -> Result<PathNormalization, String> {
    Ok(match mode {
        "none" => PathNormalization::None,
        "base" => PathNormalization::Base,
        "merge" => PathNormalization::MergeSlashes,
        "decode" => PathNormalization::DecodeAndMergeSlashes,
        other => return Err(format!("no path mode is called `{other}`")),
    })
}

fn request(written: &Value) -> Result<Request, String> {
    let address = |value: &Value| -> Result<IpAddr, String> {
        value.as_str().unwrap_or_default().parse().map_err(|error| format!("the address {value}: {error}"))
    };
    let proxied_source = match written.get("pp_src").filter(|source| !source.is_null()) {
        Some(source) => Some(address(source)?),
        None => None,
    };
    let port =
        written["dst"][1].as_u64().and_then(|port| u16::try_from(port).ok()).ok_or("dst has no port")?;
    Ok(Request {
        peer: peer(written.get("peer")),
        sni: written["sni"].as_str().map(str::to_owned),
        source: address(&written["src_ip"])?,
        proxied_source,
        destination: SocketAddr::new(address(&written["dst"][0])?, port),
        metadata: metadata(written),
        http: (written["proto"] == "http").then(|| http(written)),
    })
}

/// What CUSTOM policies may ask, and what it answers.
fn providers(written: &Value) -> Result<BTreeMap<String, Provider>, String> {
    let provider = |(name, written): (&String, &Value)| {
        let kind = match written["kind"].as_str() {
            Some("http") => ProviderKind::Http,
            Some("grpc") => ProviderKind::Grpc,
            _ => return Err(format!("the provider {name} has no kind")),
        };
        let answer = match written["answer"].as_str() {
            Some("allow") => ProviderAnswer::Allow,
            Some("deny") => ProviderAnswer::Deny,
            Some("error") => ProviderAnswer::Error,
            _ => return Err(format!("the provider {name} has no answer")),
        };
        Ok((name.clone(), Provider { kind, fail_open: written["failOpen"] == true, answer }))
    };
    written.as_object().into_iter().flatten().map(provider).collect()
}

/// Dynamic metadata, by filter and key.
fn metadata(written: &Value) -> BTreeMap<(String, String), Value> {
    let filters = written["metadata"].as_object().into_iter().flatten();
    let entries = filters.filter_map(|(filter, keys)| Some((filter, keys.as_object()?)));
    entries
        .flat_map(|(filter, keys)| {
            keys.iter().map(move |(key, value)| ((filter.clone(), key.clone()), value.clone()))
        })
        .collect()
}

fn peer(written: Option<&Value>) -> Peer {
    let Some(peer) = written.filter(|peer| !peer.is_null()) else { return Peer::Anonymous };
    Peer::Certificate(Certificate {
        uris: texts(peer.get("uris")),
        dns: texts(peer.get("dns")),
        subject: peer["subject"].as_str().unwrap_or_default().to_owned(),
    })
}

fn http(written: &Value) -> HttpRequest {
    let text = |name: &str| written[name].as_str().unwrap_or_default().to_owned();
    let pair = |pair: &Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()));
    let headers = written["headers"].as_array().into_iter().flatten().filter_map(pair);
    // The vectors hold the claims; they came in this header, which policies before the verification of tokens see.
    let bearer = written["jwt"].as_object().map(|_| ("authorization".to_owned(), "Bearer token".to_owned()));
    HttpRequest {
        method: text("method"),
        target: text("path"),
        headers: headers.chain(bearer).collect(),
        token: token(written),
    }
}

fn token(written: &Value) -> Token {
    let Some(claims) = written["jwt"].as_object() else { return Token::None };
    let ends = claims.get("exp").and_then(Value::as_f64);
    if ends.is_some_and(|ends| ends < RECORDED) {
        return Token::Refused("the token has expired".to_owned());
    }
    Token::Verified { claims: claims.clone(), forwarded: false }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
