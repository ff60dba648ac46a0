//! The table of `meshproof tls` over whole meshes: all ports against all clients.
//!
//! `cargo bench -p meshproof --bench tls` measures meshes of 1,000, 3,000 and 10,000 workloads side by side, in four shapes:
//! nothing but workloads, a NetworkPolicy for each workload, a Sidecar in each namespace, and a policy about what each
//! namespace sends. The time grows as they do, while the number of pairs of client and port grows with their square.
//! `MESHPROOF_BENCH=DIR:DIR…` measures folders of manifests instead.

#![allow(missing_docs)]

use std::fmt::Write;
use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, Throughput};
use meshproof::{Input, Options, Session};
use meshproof_explain::tls::{TlsQuestion, tls};
use meshproof_transport::{Callers, Transport, Wanted};

const SIZES: [usize; 3] = [1_000, 3_000, 10_000];
/// Workloads of a namespace.
const PER_NAMESPACE: usize = 20;

#[derive(Clone, Copy)]
enum Shape {
    Plain,
    OwnPolicies,
    Sidecars,
    Egress,
}

const SHAPES: [(&str, Shape); 4] = [
    ("plain", Shape::Plain),
    ("own policies", Shape::OwnPolicies),
    ("sidecars", Shape::Sidecars),
    ("egress", Shape::Egress),
];

fn main() {
    // Tests of all targets only want to see that it starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    let folders = std::env::var("MESHPROOF_BENCH").unwrap_or_default();
    if folders.is_empty() {
        for (name, shape) in SHAPES {
            for size in SIZES {
                let input = Input::Text { name: "mesh.yaml".to_owned(), text: mesh(shape, size) };
                measure(&mut criterion, name, &size.to_string(), input);
            }
        }
    }
    for folder in folders.split(':').filter(|folder| !folder.is_empty()) {
        measure(&mut criterion, "folders", folder, Input::Path(PathBuf::from(folder)));
    }
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, group: &str, name: &str, input: Input) {
    let Ok(outcome) = Session::new(Options::default()).load(&[input]) else { return };
    let Some(mesh) = outcome.meshes.first() else { return };
    let mut group = criterion.benchmark_group(format!("tls, {group}"));
    group.sample_size(10);
    let ports: usize = mesh.workloads.iter().map(|workload| workload.ports.len()).sum();
    group.throughput(Throughput::Elements(ports as u64));
    group.bench_function(BenchmarkId::new("classes", name), |bench| {
        bench.iter(|| Transport::new(mesh).table(&Callers::Everybody, Wanted::default(), |_| 0).rows.len());
    });
    let question = TlsQuestion { names: 10, ..TlsQuestion::default() };
    group.bench_function(BenchmarkId::new("in words", name), |bench| {
        bench.iter(|| tls(mesh, &question).map(|table| table.rows.len()));
    });
    group.finish();
}

/// Namespaces of [`PER_NAMESPACE`] workloads, each behind a Service.
fn mesh(shape: Shape, size: usize) -> String {
    let mut text = String::new();
    let namespaces = size / PER_NAMESPACE;
    for at in 0..namespaces {
        // Each names one other namespace.
        let other = (at * 7 + 1) % namespaces;
        let _ = write!(
            text,
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: n{at}, labels: {{istio-injection: enabled}}}}\n---\n"
        );
        match shape {
            Shape::Plain | Shape::OwnPolicies => {}
            Shape::Sidecars => {
                let _ = write!(
                    text,
                    "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: default, namespace: n{at}}}\n\
                     spec: {{egress: [{{hosts: [./*, istio-system/*, n{other}/*]}}]}}\n---\n"
                );
            }
            Shape::Egress => {
                let _ = write!(
                    text,
                    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: egress, namespace: n{at}}}\n\
                     spec: {{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: [{{podSelector: {{}}}}, \
                     {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: n{other}}}}}}}]}}]}}\n---\n"
                );
            }
        }
        for workload in at * PER_NAMESPACE..(at + 1) * PER_NAMESPACE {
            let _ = write!(
                text,
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: w{workload}, namespace: n{at}}}\nspec:\n  \
                 selector: {{matchLabels: {{app: w{workload}}}}}\n  template:\n    \
                 metadata: {{labels: {{app: w{workload}}}}}\n    spec:\n      serviceAccountName: w{workload}\n      \
                 containers: [{{name: a, image: a, ports: [{{containerPort: 8080}}]}}]\n---\n\
                 apiVersion: v1\nkind: Service\nmetadata: {{name: w{workload}, namespace: n{at}}}\n\
                 spec: {{selector: {{app: w{workload}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n---\n"
            );
            if matches!(shape, Shape::OwnPolicies) {
                let caller = (workload + 1) % size;
                let of = caller / PER_NAMESPACE;
                let _ = write!(
                    text,
                    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: w{workload}, namespace: n{at}}}\n\
                     spec: {{podSelector: {{matchLabels: {{app: w{workload}}}}}, ingress: [{{from: [{{namespaceSelector: \
                     {{matchLabels: {{kubernetes.io/metadata.name: n{of}}}}}, podSelector: {{matchLabels: {{app: w{caller}}}}}}}]}}]}}\n---\n"
                );
            }
        }
    }
    text
}
