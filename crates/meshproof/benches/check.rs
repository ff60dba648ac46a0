//! The whole of `check`, beside merely parsing the same bytes with `serde_yaml` into a `Value`, in one run.
//!
//! `cargo bench -p meshproof` measures a generated stream; `MESHPROOF_BENCH=DIR:DIR…` adds folders of manifests.

#![allow(missing_docs)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, Throughput};
use meshproof::{Input, Options, Session};
use meshproof_source::split_documents;
use serde::Deserialize as _;

/// Bytes of the generated stream.
const STREAM_BYTES: usize = 100_000_000;

/// A stream of workloads, each with its account, Service and policy, as large teams have them.
fn stream() -> String {
    let mut text = String::with_capacity(STREAM_BYTES + 4096);
    let mut at = 0;
    while text.len() < STREAM_BYTES {
        let (namespace, name) = (format!("team-{:04}", at / 20), format!("service-{at}"));
        if at % 20 == 0 {
            let _ = write!(
                text,
                "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  labels:\n    istio-injection: enabled\n"
            );
        }
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}\n  namespace: {namespace}\n\
             ---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  selector:\n    matchLabels:\n      app: {name}\n  template:\n    metadata:\n      labels:\n        app: {name}\n    spec:\n      serviceAccountName: {name}\n      containers:\n      - name: app\n        image: registry.example/{name}:1.0\n        ports:\n        - name: http\n          containerPort: 8080\n\
             ---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  selector:\n    app: {name}\n  ports:\n  - name: http\n    port: 80\n    targetPort: 8080\n\
             ---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  selector:\n    matchLabels:\n      app: {name}\n  action: ALLOW\n  rules:\n  - from:\n    - source:\n        principals: [\"cluster.local/ns/{namespace}/sa/service-{}\"]\n    to:\n    - operation:\n        ports: [\"8080\"]\n        methods: [\"GET\", \"POST\"]\n        paths: [\"/api/v1/*\", \"/health\"]\n",
            at / 20 * 20
        );
        at += 1;
    }
    text
}

/// Every manifest of a folder, in the order of `check`.
fn texts(folder: &PathBuf) -> Vec<String> {
    let found =
        meshproof_source::discover(std::slice::from_ref(folder), &meshproof_source::WalkOptions::default());
    found.files.iter().filter_map(|file| std::fs::read_to_string(&file.path).ok()).collect()
}

/// What parsing alone costs: every document into a `Value`, errors skipped.
fn parse_with_serde_yaml(texts: &[String]) -> usize {
    let mut parsed = 0;
    for text in texts {
        for document in split_documents(text) {
            let value =
                serde_yaml::Value::deserialize(serde_yaml::Deserializer::from_str(&text[document.range]));
            parsed += usize::from(black_box(value).is_ok());
        }
    }
    parsed
}

fn compare(criterion: &mut Criterion, name: &str, inputs: &[Input], texts: &[String]) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    group.throughput(Throughput::Bytes(texts.iter().map(|text| text.len() as u64).sum()));
    group.bench_function("serde_yaml parse only", |bench| bench.iter(|| parse_with_serde_yaml(texts)));
    group.bench_function("meshproof check", |bench| {
        bench.iter(|| Session::new(Options::default()).check(inputs).map(|outcome| outcome.findings.len()));
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for folder in std::env::var("MESHPROOF_BENCH").iter().flat_map(|list| list.split(':')).map(PathBuf::from)
    {
        let texts = texts(&folder);
        compare(&mut criterion, &folder.display().to_string(), &[Input::Path(folder.clone())], &texts);
    }
    let text = stream();
    let input = Input::Text { name: "stream.yaml".into(), text: text.clone() };
    compare(&mut criterion, "stream of 100 MB", &[input], &[text]);
    criterion.final_summary();
}
