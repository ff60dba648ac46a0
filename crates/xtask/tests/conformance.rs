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
