//! The graph of `meshproof reach` and `graph` over whole meshes, and every edge of it in words.
//!
//! `MESHPROOF_BENCH=DIR:DIR… cargo bench -p meshproof --bench graph` measures folders of manifests; without the variable
//! there is nothing to do. With meshes of 1,000, 3,000 and 10,000 workloads the time grows as they do, while the number of
//! pairs of client and port grows with their square.

#![allow(missing_docs)]

use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, Throughput};
use meshproof::{Input, Options, Session};
use meshproof_graph::{Graph, ReachQuestion};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let folders = std::env::var("MESHPROOF_BENCH").unwrap_or_default();
    let mut group = criterion.benchmark_group("graph");
    group.sample_size(10);
    for folder in folders.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from) {
        let Ok(outcome) = Session::new(Options::default()).load(&[Input::Path(folder.clone())]) else {
            continue;
        };
        let Some(mesh) = outcome.meshes.first() else { continue };
        let name = folder.display().to_string();
        let ports: usize = mesh.workloads.iter().map(|workload| workload.ports.len()).sum();
        group.throughput(Throughput::Elements(ports as u64));
        group.bench_function(BenchmarkId::new("classes and edges", &name), |bench| {
            bench.iter(|| Graph::new(mesh).edges.len());
        });
        let graph = Graph::new(mesh);
        let question = ReachQuestion { names: 10, ..ReachQuestion::default() };
        group.bench_function(BenchmarkId::new("in words, with requests", &name), |bench| {
            bench.iter(|| graph.reach(&question).map(|reach| reach.edges.len()));
        });
    }
    group.finish();
    criterion.final_summary();
}
