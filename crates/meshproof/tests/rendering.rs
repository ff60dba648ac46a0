//! Kustomize and Helm: rendered where a program is installed, read with care where none is.

#![allow(missing_docs, clippy::unwrap_used)]
#![cfg(unix)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use support::{Project, REFUSED, Run, SERVICE, text};

const BASE: &str = "resources: [policy.yaml]\n";
const OVERLAY: &str = "namespace: prod\nresources: [../base]\npatches:\n- path: patch.yaml\n";
/// Alone it would be a policy that lets nobody in, for the whole namespace.
const PATCH: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  action: ALLOW\n";

fn overlay() -> Project {
    Project::new(&[
        ("base/kustomization.yaml", BASE),
        ("base/policy.yaml", REFUSED),
        ("prod/kustomization.yaml", OVERLAY),
        ("prod/patch.yaml", PATCH),
    ])
}

/// `check` with a folder of scripts as the only `PATH`.
fn check_with(project: &Project, scripts: &[(&str, &str)], args: &[&str]) -> Run {
    let bin = tempfile::tempdir().unwrap();
    for (name, body) in scripts {
        let path = bin.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let args = [&["check", "--output", "json"], args].concat();
    let output = project.command(&args).env("PATH", bin.path()).stdin(Stdio::null()).output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Whether a program is installed. Where the tools are required, absence is a failure.
fn installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    assert!(
        found || std::env::var_os("MESHPROOF_REQUIRE_TOOLS").is_none(),
        "{name} is not installed, and MESHPROOF_REQUIRE_TOOLS is set"
    );
    found
}

#[test]
fn without_a_program_patches_are_left_out_and_the_base_is_read() {
    let run = check_with(&overlay(), &[], &[]);
    assert_eq!(run.findings(), ["invalid-object base/policy.yaml:10"]);
    assert_eq!(run.skipped(), ["unrendered-kustomization prod", "kustomize-patch prod/patch.yaml"]);
}

#[test]
fn requiring_a_program_that_is_not_there_is_wrong_usage() {
    let run = check_with(&overlay(), &[], &["--render", "require"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("install kustomize or kubectl"), "{}", run.stderr);
}

#[test]
fn a_rendered_folder_is_read_in_place_of_its_files() {
    let script = format!("case \"$2\" in *prod) /bin/cat <<'END'\n{REFUSED}END\n;; *) exit 1;; esac");
    let run = check_with(&overlay(), &[("kustomize", &script)], &[]);
    assert_eq!(run.findings(), ["invalid-object prod:10"]);
    assert_eq!(run.skipped(), [""; 0]);
    let related = &run.json()["findings"][0]["related"][0];
    assert_eq!((text(&related["file"]), &related["line"]), ("base/policy.yaml".to_owned(), &4.into()));
}

#[test]
fn a_kustomization_that_does_not_parse_is_reported() {
    let project = Project::new(&[("k/kustomization.yaml", "resources: [\n"), ("k/a.yaml", SERVICE)]);
    assert_eq!(check_with(&project, &[], &[]).findings(), ["yaml-syntax k/kustomization.yaml:1"]);
}

#[test]
fn never_means_never() {
    let run = check_with(&overlay(), &[("kustomize", "exit 1")], &["--render", "never"]);
    assert_eq!(run.findings(), ["invalid-object base/policy.yaml:10"]);
}

#[test]
fn a_renderer_that_fails_is_told_and_the_files_are_read() {
    let script = "echo 'Error: accumulating resources: no such file' >&2; exit 1";
    let run = check_with(&overlay(), &[("kubectl", script)], &[]);
    assert_eq!(
        run.findings(),
        ["invalid-object base/policy.yaml:10", "render-failed prod/kustomization.yaml:1"]
    );
    let failed = &run.json()["findings"][1];
    assert!(text(&failed["message"]).contains("accumulating resources: no such file"), "{failed}");
    assert_eq!(text(&failed["level"]), "warning");
    let required = check_with(&overlay(), &[("kubectl", script)], &["--render", "require"]);
    assert_eq!(text(&required.json()["findings"][1]["level"]), "error");
}

#[test]
fn a_suppression_in_the_base_holds_for_what_is_rendered_from_it() {
    let project = overlay();
    let allowed = format!("# meshproof: allow invalid-object — kept for the tests\n{REFUSED}");
    project.write("base/policy.yaml", allowed.as_bytes());
    let script = format!("/bin/cat <<'END'\n{REFUSED}END");
    let run = check_with(&project, &[("kustomize", &script)], &[]);
    assert_eq!((run.code, run.findings()), (0, vec![]));
}

#[test]
fn variants_of_the_same_objects_are_not_duplicates() {
    let base = format!("{SERVICE}---\n{}", REFUSED.replace("        serviceAccounts: [shop/a]\n", ""));
    let overlay = "resources: [../base]\n";
    let project = Project::new(&[
        ("base/kustomization.yaml", "resources: [all.yaml]\n"),
        ("base/all.yaml", &base),
        ("dev/kustomization.yaml", overlay),
        ("prod/kustomization.yaml", overlay),
    ]);
    let script = format!("/bin/cat <<'END'\n{base}END");
    for scripts in [&[("kustomize", script.as_str())][..], &[]] {
        let run = check_with(&project, scripts, &[]);
        let duplicates: Vec<String> =
            run.findings().into_iter().filter(|finding| finding.starts_with("conflicting-rules")).collect();
        assert_eq!(duplicates, [""; 0]);
    }
}

#[test]
fn what_must_be_fetched_is_not_rendered_unasked() {
    let project = Project::new(&[
        ("k/kustomization.yaml", "resources: [a.yaml, \"https://example.com/x?ref=v1\"]\n"),
        ("k/a.yaml", SERVICE),
    ]);
    let run = check_with(&project, &[("kustomize", "echo called >&2; exit 1")], &[]);
    assert_eq!(run.findings(), [""; 0]);
    assert_eq!(run.skipped(), ["unrendered-kustomization k"]);
}

#[test]
fn a_patch_that_deletes_is_no_object() {
    let project = Project::new(&[(
        "a.yaml",
        &format!(
            "{SERVICE}---\n$patch: delete\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a}}\n"
        ),
    )]);
    let run = check_with(&project, &[], &[]);
    assert_eq!((run.findings(), run.skipped()), (vec![], vec!["kustomize-patch a.yaml".to_owned()]));
}

#[test]
fn real_kustomize_renders_an_overlay() {
    let name = if installed("kustomize") || installed("kubectl") { "kustomize" } else { "" };
    if name.is_empty() {
        println!("skipped: neither kustomize nor kubectl is installed");
        return;
    }
    let run = overlay().check(&["--render", "require"]);
    // The patch says nothing new, so the mistake of the base is still there, in the namespace of the overlay.
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let finding = &run.json()["findings"][0];
    assert_eq!(text(&finding["lint"]), "invalid-object");
    assert_eq!(text(&finding["resource"]["namespace"]), "prod");
    assert_eq!(text(&finding["related"][0]["file"]), "base/policy.yaml");
}

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";

fn chart() -> Project {
    let template = REFUSED.replace("name: web", "name: {{ .Release.Name }}");
    Project::new(&[
        ("web/Chart.yaml", CHART),
        ("web/values.yaml", "a: 1\n"),
        ("web/templates/policy.yaml", &template),
        ("other.yaml", SERVICE),
    ])
}

#[test]
fn without_helm_templates_are_listed() {
    let run = check_with(&chart(), &[], &[]);
    assert_eq!(run.findings(), [""; 0]);
    assert_eq!(run.skipped(), ["helm-template web/templates/policy.yaml"]);
}

#[test]
fn a_finding_in_a_rendered_chart_names_the_template() {
    let script = format!("/bin/cat <<'END'\n---\n# Source: web/templates/policy.yaml\n{REFUSED}END");
    let run = check_with(&chart(), &[("helm", &script)], &[]);
    assert_eq!(run.findings(), ["invalid-object web:12"]);
    let related = &run.json()["findings"][0]["related"][0];
    assert_eq!(text(&related["file"]), "web/templates/policy.yaml");
    assert_eq!(run.skipped(), [""; 0]);
}

#[test]
fn real_helm_renders_a_chart() {
    if !installed("helm") {
        println!("skipped: helm is not installed");
        return;
    }
    let run = chart().check(&["--render", "require"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let finding = &run.json()["findings"][0];
    assert_eq!(text(&finding["lint"]), "invalid-object");
    assert_eq!(text(&finding["related"][0]["file"]), "web/templates/policy.yaml");
}

/// A namespace with two accounts, and a policy for a caller that is none of them.
const LOCKED: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart, namespace: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      serviceAccountName: cart
      containers: [{name: app, image: x, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
  - from:
    - source: {principals: [cluster.local/ns/shop/sa/billing]}
";

#[test]
fn a_chart_may_make_more_with_other_values() {
    let chart = [("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n")];
    let template = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: other, namespace: shop}\n";
    let project = Project::new(&[&chart[..], &[("plain/a.yaml", LOCKED)]].concat());
    assert_eq!(check_with(&project, &[], &["--fail-on", "error"]).code, 1);
    project.write("chart/templates/a.yaml", template.as_bytes());
    let helm = format!("/bin/cat <<'END'\n---\n# Source: c/templates/a.yaml\n{template}END");
    let run = check_with(&project, &[("helm", &helm)], &[]);
    assert!(
        run.code == 0 && run.findings().iter().any(|one| one.starts_with("deny-all-gap")),
        "{}",
        run.stdout
    );
}

#[test]
fn a_role_binding_tells_of_an_account() {
    let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: r, namespace: shop}\n\
                   subjects: [{kind: ServiceAccount, name: billing, namespace: shop}]\n";
    let project = Project::new(&[("a.yaml", LOCKED), ("b.yaml", binding)]);
    assert_eq!(project.check(&[]).code, 0);
}
