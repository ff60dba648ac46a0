//! `meshproof decide`: requests against compiled tables, line by line.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use meshproof_compiler::table::MESH_FILE;
use meshproof_engine::{
    Bundle, ClaimPath, Connection, Context, Decision, Layer, Phase, ProviderRef, RequestAttributes, RuleRef,
    Table, Verdict,
};
use meshproof_load::Loaded;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::args::DecideArgs;
use super::{CLEAN, FAILED, output};

/// Longer lines are no requests.
const LONGEST: u64 = 1 << 20;

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &DecideArgs) -> u8 {
    match decide_all(args) {
        Ok(true) => CLEAN,
        Ok(false) => FAILED,
        Err(message) => {
            output::complain(&message);
            FAILED
        }
    }
}

/// The file with tables: itself, or that of a folder that `meshproof compile` wrote.
pub(crate) fn table_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(MESH_FILE) } else { path.to_owned() }
}

fn decide_all(args: &DecideArgs) -> Result<bool, String> {
    let path = table_file(&args.table);
    let loaded = Loaded::read(&path).map_err(|error| error.to_string())?;
    let bundle = loaded.bundle();
    let input: Box<dyn Read> = match args.requests.as_os_str() == "-" {
        true => Box::new(io::stdin()),
        false => {
            let path = &args.requests;
            Box::new(fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?)
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut lines, mut context, mut all_good) = (BufReader::new(input), Context::new(), true);
    let mut line = String::new();
    loop {
        line.clear();
        let read = (&mut lines).take(LONGEST).read_line(&mut line).map_err(|error| error.to_string())?;
        if read == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let answer = match read as u64 == LONGEST {
            true => Err("the line is too long for a request".to_owned()),
            false => serde_json::from_str(&line)
                .map_err(|error| error.to_string())
                .and_then(|asked: Asked| asked.decide(bundle, &mut context)),
        };
        all_good &= answer.is_ok();
        let answer =
            answer.unwrap_or_else(|error| json!({ "decision": "deny", "phase": "no-table", "error": error }));
        // Whoever reads standard output may stop reading.
        if writeln!(out, "{answer}").is_err() {
            break;
        }
    }
    let _ = out.flush();
    Ok(all_good)
}

/// A request as a line says it. What a proxy normalizes is given in its final form.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Asked {
    /// The workload as the index names it: `shop/web`.
    to: String,
    port: u16,
    /// At waypoints the service to which the call goes.
    service: Option<String>,
    /// The identity of the client, without `spiffe://`.
    from: Option<String>,
    /// All names of the client as its certificate has them, instead of `from`.
    names: Vec<String>,
    source_ip: Option<IpAddr>,
    remote_ip: Option<IpAddr>,
    destination_ip: Option<IpAddr>,
    sni: Option<String>,
    method: Option<String>,
    path: Option<String>,
    host: Option<String>,
    headers: BTreeMap<String, Lines>,
    claims: Map<String, Value>,
    /// By filter, then by key.
    metadata: BTreeMap<String, Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Several(Vec<String>),
}

fn texts(value: &Value, each: &mut dyn FnMut(&[u8])) {
    match value {
        Value::String(text) => each(text.as_bytes()),
        Value::Array(items) => items.iter().filter_map(Value::as_str).for_each(|text| each(text.as_bytes())),
        _ => {}
    }
}

impl RequestAttributes for Asked {
    fn method(&self) -> Option<&[u8]> {
        self.method.as_deref().map(str::as_bytes)
    }

    fn path(&self) -> Option<&[u8]> {
        self.path.as_deref().map(str::as_bytes)
    }

    fn authority(&self) -> Option<&[u8]> {
        self.host.as_deref().map(str::as_bytes)
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (_, lines) in self.headers.iter().filter(|(written, _)| written.eq_ignore_ascii_case(name)) {
            match lines {
                Lines::One(line) => each(line.as_bytes()),
                Lines::Several(lines) => lines.iter().for_each(|line| each(line.as_bytes())),
            }
        }
    }

    fn remote(&self) -> Option<IpAddr> {
        self.remote_ip.or(self.source_ip)
    }

    fn issuer(&self) -> Option<&[u8]> {
        self.claims.get("iss")?.as_str().map(str::as_bytes)
    }

    fn subject(&self) -> Option<&[u8]> {
        self.claims.get("sub")?.as_str().map(str::as_bytes)
    }

    fn claim(&self, path: ClaimPath<'_>, each: &mut dyn FnMut(&[u8])) {
        let mut names = path.names();
        let first = names.next().and_then(|name| self.claims.get(name));
        let found = names.fold(first, |value, name| value?.as_object()?.get(name));
        found.into_iter().for_each(|value| texts(value, each));
    }

    fn metadata_text(&self, filter: &str, key: &str) -> Option<&[u8]> {
        self.metadata.get(filter)?.get(key)?.as_str().map(str::as_bytes)
    }

    fn metadata_list(&self, filter: &str, key: &str, each: &mut dyn FnMut(&[u8])) {
        let found = self.metadata.get(filter).and_then(|keys| keys.get(key));
        found.filter(|value| value.is_array()).into_iter().for_each(|value| texts(value, each));
    }
}

impl Asked {
    fn decide(&self, bundle: &Bundle<'_>, context: &mut Context) -> Result<Value, String> {
        let to = &self.to;
        let workload =
            bundle.workload(to).ok_or_else(|| format!("there is no workload {to} in the tables"))?;
        let is_http = self.method.is_some() || self.path.is_some();
        let of = |layer| workload.table(layer, self.port, self.service.as_deref());
        // ztunnel sees connections, whatever they carry.
        let table = if is_http { of(Layer::Http).or_else(|| of(Layer::Tcp)) } else { of(Layer::Tcp) };
        let Some(table) = table else {
            let layer = if is_http { "HTTP" } else { "TCP" };
            return Err(format!("{to} has no chain for {layer} on port {}", self.port));
        };
        let from = self.from.iter().map(|from| format!("spiffe://{from}"));
        let names: Vec<String> = from.chain(self.names.iter().cloned()).collect();
        let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let source = self.source_ip.unwrap_or(nowhere);
        let connection = Connection {
            names: &names,
            source,
            remote: self.remote_ip.unwrap_or(source),
            destination: self.destination_ip.unwrap_or(nowhere),
            port: self.port,
            sni: self.sni.as_deref().map(str::as_bytes),
        };
        table.prepare(&connection, context);
        let mut asked: Vec<ProviderRef> = Vec::new();
        let mut decision = table.decide(context, self);
        while let Verdict::AskProvider(provider) = decision.verdict {
            asked.push(provider);
            decision = table.decide_after(provider, context, self);
        }
        Ok(told(table, &decision, &asked))
    }
}

/// The answer, given that every provider lets the request pass.
fn told(table: &Table<'_>, decision: &Decision, asked: &[ProviderRef]) -> Value {
    let rule = |rule: Option<RuleRef>| rule.and_then(|rule| table.rule(rule));
    let name = |of: Option<RuleRef>| rule(of).map(|rule| rule.to_string());
    let mut told = Map::new();
    told.insert("decision".to_owned(), json!(if decision.is_allowed() { "allow" } else { "deny" }));
    told.insert("phase".to_owned(), json!(phase(decision.phase)));
    let policy = rule(decision.rule).map(|rule| format!("{}/{}", rule.namespace, rule.policy));
    told.insert("policy".to_owned(), json!(policy));
    told.insert("rule".to_owned(), json!(name(decision.rule)));
    if !asked.is_empty() {
        let providers: Vec<&str> = asked.iter().filter_map(|provider| table.provider(*provider)).collect();
        told.insert("asked".to_owned(), json!(providers));
    }
    if decision.audit.is_some() {
        told.insert("audit".to_owned(), json!(name(decision.audit)));
    }
    let dry_run = decision.dry_run;
    if dry_run.deny.is_some() || dry_run.allow.is_some() || table.has_dry_allow() {
        told.insert("dryRun".to_owned(), json!({ "deny": name(dry_run.deny), "allow": name(dry_run.allow) }));
    }
    Value::Object(told)
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Custom => "custom",
        Phase::Deny => "deny",
        Phase::Allow => "allow",
        Phase::AllowNoneMatched => "allow-none-matched",
        Phase::NoAllowPolicy => "no-allow-policy",
        Phase::Stale => "stale",
        Phase::NoTable => "no-table",
    }
}
