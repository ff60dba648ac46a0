//! Every recorded vector of the repository agrees.

use std::path::Path;

use xtask::conformance::{self, Summary};

#[test]
fn admission_vectors_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/conformance");
    for (file, lines) in [("admission-1.jsonl.gz", 3794), ("admission-2.jsonl.gz", 2322)] {
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[folder.join(file)], false).unwrap();
        let report = String::from_utf8_lossy(&report);
        assert_eq!(summary, Summary { passed: lines, failed: 0, skipped: 0 }, "{report}");
        assert!(report.ends_with(&format!("{lines} passed, 0 failed\n")), "{report}");
    }
}

#[test]
fn authorization_vectors_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/conformance");
    let files = [
        ("authz-envoy.jsonl.gz", 10_800),
        ("authz-envoy-probes.jsonl.gz", 246),
        ("path-normalization.json.gz", 1444),
    ];
    for (file, lines) in files {
        let mut report = Vec::new();
        let summary = conformance::run(&mut report, &[folder.join(file)], false).unwrap();
        let report = String::from_utf8_lossy(&report);
        assert_eq!(summary, Summary { passed: lines, failed: 0, skipped: 0 }, "{report}");
    }
}

#[test]
fn wrong_decisions_phases_rules_and_paths_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let probe = |expect: &str| {
        format!(
            r#"{{"kind":"probe","name":"n","policies":[{{"metadata":{{"name":"p","namespace":"foo"}},"spec":{{"rules":[{{}}]}}}}],"request":{{"proto":"tcp","src_ip":"127.0.0.1","dst":["10.0.0.1",80]}},"expect":{expect}}}"#
        )
    };
    let rule = "ns[foo]-policy[p]-rule[0]";
    let lines = [
        probe(&format!(r#"{{"decision":"allow","by":"ALLOW","rule":"{rule}","audit":null}}"#)),
        probe(&format!(r#"{{"decision":"deny","by":"ALLOW","rule":"{rule}","audit":null}}"#)),
        probe(&format!(r#"{{"decision":"allow","by":"no-allow-policy","rule":"{rule}","audit":null}}"#)),
        probe(r#"{"decision":"allow","by":"ALLOW","rule":null,"audit":null}"#),
        probe(&format!(r#"{{"decision":"allow","by":"ALLOW","rule":"{rule}","audit":"x"}}"#)),
        r#"{"kind":"case","set":"1/1","request":{},"expect":{}}"#.to_owned(),
    ];
    std::fs::write(folder.path().join("authz.jsonl"), lines.join("\n")).unwrap();
    let table =
        r#"{"base|x":["allow","/api/axb"],"base|%41":["allow","/api/a%41b"],"base|#":["allow","/api/a#b"]}"#;
    std::fs::write(folder.path().join("path-normalization.json"), table).unwrap();
    let mut report = Vec::new();
    let summary = conformance::run(&mut report, &[folder.path().to_owned()], false).unwrap();
    assert_eq!(summary, Summary { passed: 2, failed: 7, skipped: 0 }, "{}", String::from_utf8_lossy(&report));
}

#[test]
fn unknown_kinds_are_counted_and_differences_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.jsonl");
    let lines = [
        r#"{"kind":"header","format":1}"#,
        r#"{"kind":"moon","object":{}}"#,
        "not json",
        // Recorded as if the webhook had refused it.
        r#"{"kind":"admission","webhook":"no","object":{"apiVersion":"security.istio.io/v1","kind":"PeerAuthentication","metadata":{"name":"p"},"spec":{}}}"#,
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut report = Vec::new();
    let summary = conformance::run(&mut report, &[folder.path().to_owned()], false).unwrap();
    let report = String::from_utf8_lossy(&report);
    assert_eq!(summary, Summary { passed: 0, failed: 1, skipped: 2 }, "{report}");
    assert!(
        report.contains("1 of kind `moon` skipped") && report.ends_with("0 passed, 1 failed\n"),
        "{report}"
    );
}
