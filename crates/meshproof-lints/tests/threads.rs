//! Lints run beside each other, also on machines with more threads than this one, and none waits for itself.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::mpsc;
use std::time::Duration;

use meshproof_lints::World;

/// Workloads with three policies each, one of which adds nothing.
fn mesh(workloads: usize) -> String {
    let mut text =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n"
            .to_owned();
    for at in 0..workloads {
        text.push_str(&format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: w{at}, namespace: shop, labels: {{app: w{at}}}}}\nspec: {{containers: [{{name: a, image: a, ports: [{{containerPort: 8080}}]}}]}}\n"));
        for (name, path) in [("all", "/a*"), ("one", "/a"), ("other", "/b")] {
            text.push_str(&format!("---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}-{at}, namespace: shop}}\nspec: {{selector: {{matchLabels: {{app: w{at}}}}}, rules: [{{to: [{{operation: {{paths: [{path}]}}}}]}}]}}\n"));
        }
    }
    text
}

/// With a value that several lints share worked out by the threads that wait for it, one run in eight never ended.
#[test]
fn many_threads_come_to_an_end() {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
        let files = [("mesh.yaml", mesh(200))];
        let world = World::default();
        let mut counts = Vec::new();
        for _ in 0..40 {
            let findings = pool.install(|| support::analyse(&files, &world).findings);
            counts.push(findings.iter().filter(|finding| finding.lint == "redundant-policy").count());
        }
        done.send(counts).unwrap();
    });
    let counts = ended.recv_timeout(Duration::from_secs(240)).expect("forty runs in four minutes");
    assert_eq!(counts, vec![200; 40]);
}
