//! The same connectivity as network-config-analyzer 2.1.0 (PyPI), on input that both read rightly, and how long each takes.
//!
//! The input is a mesh under STRICT mutual TLS in which every pod has an account and an ALLOW policy of its own with
//! principals, a port, methods and a path: network-config-analyzer knows neither modes nor other fields. It lets every
//! pod talk to itself, so pairs of a pod with itself are left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Pods of one namespace.
const TOGETHER: usize = 10;

/// From, to, requests.
type Access = BTreeSet<(String, String, String)>;

/// Compares both at each size and prints a table; whether they agree everywhere.
///
/// # Errors
/// A program that cannot be run, or answers in a way that is not understood.
pub fn run(out: &mut dyn Write, nca: &Path, meshproof: &Path, sizes: &[usize]) -> Result<bool, io::Error> {
    writeln!(
        out,
        "| pods and policies | network-config-analyzer 2.1.0 | meshproof reach | pairs that connect |"
    )?;
    writeln!(out, "|---|---|---|---|")?;
    let mut agree = true;
    for size in sizes {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("all.yaml");
        std::fs::write(&file, manifests(*size))?;
        let (theirs, slow) = timed(Command::new(nca).arg("--connectivity").arg(&file).arg("-r").arg(&file))?;
        let (ours, fast) = timed(Command::new(meshproof).args(["reach", "-v", "-o", "json"]).arg(&file))?;
        let (theirs, ours) = (of_nca(&theirs, *size)?, of_meshproof(&ours)?);
        writeln!(out, "| {size} | {slow:.2?} | {fast:.2?} | {} |", ours.len())?;
        for (only, whose) in
            [(theirs.difference(&ours), "network-config-analyzer"), (ours.difference(&theirs), "meshproof")]
        {
            for (from, to, requests) in only {
                agree = false;
                writeln!(out, "only {whose}: {from} to {to}: {requests}")?;
            }
        }
    }
    Ok(agree)
}

fn timed(command: &mut Command) -> Result<(String, Duration), io::Error> {
    let start = Instant::now();
    let output = command.output()?;
    let elapsed = start.elapsed();
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = String::from_utf8(output.stdout).map_err(io::Error::other)?;
    Ok((text, elapsed))
}

fn name(pod: usize) -> String {
    format!("ns{}/p{pod}", pod / TOGETHER)
}

/// The same manifests for the same size.
fn manifests(size: usize) -> String {
    let mut rng = fastrand::Rng::with_seed(size as u64);
    let mut text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n---\n\
        apiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: istio-system}\n\
        spec: {mtls: {mode: STRICT}}\n"
        .to_owned();
    for namespace in 0..size.div_ceil(TOGETHER) {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: ns{namespace}, labels: {{istio-injection: enabled}}}}\n"
        );
    }
    for pod in 0..size {
        let of = pod / TOGETHER;
        let callers: Vec<String> = (0..rng.usize(1..=3))
            .map(|_| rng.usize(0..size))
            .map(|caller| format!("\"cluster.local/ns/ns{}/sa/sa{caller}\"", caller / TOGETHER))
            .collect();
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: sa{pod}, namespace: ns{of}}}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: p{pod}, namespace: ns{of}}}\nspec:\n  replicas: 1\n  \
             selector: {{matchLabels: {{app: p{pod}}}}}\n  template:\n    metadata: {{labels: {{app: p{pod}}}}}\n    \
             spec: {{serviceAccountName: sa{pod}, containers: [{{name: a, image: a, ports: [{{containerPort: 8080}}]}}]}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: p{pod}, namespace: ns{of}}}\n\
             spec: {{selector: {{app: p{pod}}}, ports: [{{name: http, port: 8080, targetPort: 8080}}]}}\n---\n\
             apiVersion: security.istio.io/v1beta1\nkind: AuthorizationPolicy\nmetadata: {{name: a{pod}, namespace: ns{of}}}\n\
             spec:\n  selector: {{matchLabels: {{app: p{pod}}}}}\n  action: ALLOW\n  rules:\n  \
             - from: [{{source: {{principals: [{}]}}}}]\n    \
             to: [{{operation: {{ports: [\"8080\"], methods: [GET, POST], paths: [/v{}/x*]}}}}]\n",
            callers.join(", "),
            rng.usize(0..10)
        );
    }
    text
}

/// `src_ns: [ns0] src_pods: [app in (p0,p3)] dst_ns: [ns0] dst_pods: [p1] conn: {dst_ports:8080,methods:GET, POST,paths:/v7/x*}`
fn of_nca(text: &str, size: usize) -> Result<Access, io::Error> {
    let mut found = Access::new();
    let part = |line: &str, key: &str| -> Option<String> {
        let rest = &line[line.find(&format!("{key}: ["))? + key.len() + 3..];
        Some(rest[..rest.find(']')?].to_owned())
    };
    for line in text.lines().filter(|line| line.contains("methods:")) {
        let unclear = || io::Error::other(format!("network-config-analyzer says `{line}`"));
        let ends = ["src_ns", "src_pods", "dst_ns", "dst_pods"].map(|key| part(line, key));
        let [Some(from_in), Some(from), Some(to_in), Some(to)] = ends else { return Err(unclear()) };
        let methods = line.split("methods:").nth(1).and_then(|rest| rest.split_once(",paths:"));
        let (methods, paths) = methods.ok_or_else(unclear)?;
        let requests = format!("{methods} on {}", paths.trim_end_matches('}'));
        for from in pods(&from_in, &from, size) {
            for to in pods(&to_in, &to, size).into_iter().filter(|to| *to != from) {
                found.insert((from.clone(), to, requests.clone()));
            }
        }
    }
    Ok(found)
}

/// The pods of namespaces that a list means: `*`, `p1,p2`, `app in (p1,p2)`, `app not in (p1,p2)`.
fn pods(namespaces: &str, list: &str, size: usize) -> Vec<String> {
    let names = |text: &str| -> BTreeSet<String> {
        text.trim_matches(['(', ')']).split(',').map(|name| name.trim().to_owned()).collect()
    };
    let (named, wanted) = match (list.strip_prefix("app in "), list.strip_prefix("app not in ")) {
        (Some(text), _) => (names(text), true),
        (_, Some(text)) => (names(text), false),
        _ if list == "*" => (BTreeSet::new(), false),
        _ => (names(list), true),
    };
    let namespaces = names(namespaces);
    let is_meant = |pod: &usize| {
        namespaces.contains(&format!("ns{}", pod / TOGETHER)) && named.contains(&format!("p{pod}")) == wanted
    };
    (0..size).filter(is_meant).map(name).collect()
}

fn of_meshproof(text: &str) -> Result<Access, io::Error> {
    let answer: Value = serde_json::from_str(text)?;
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let mut found = Access::new();
    for edge in answer["edges"].as_array().into_iter().flatten() {
        let to = edge["to"].as_str().unwrap_or_default();
        for from in texts(&edge["callers"]).into_iter().filter(|from| from != to) {
            for requests in texts(&edge["requests"]) {
                found.insert((from.clone(), to.to_owned(), requests));
            }
        }
    }
    Ok(found)
}
