//! Plain folders that are variants of one another, and those that are not.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use support::Project;

/// A workload with its Service, in a namespace of the mesh.
const APP: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart, namespace: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
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
";

fn authentication(mode: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default, namespace: shop}}\n\
         spec: {{mtls: {{mode: {mode}}}}}\n---\n"
    )
}

/// Lets in one account.
fn policy(account: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: callers, namespace: shop}}\n\
         spec:\n  selector: {{matchLabels: {{app: cart}}}}\n  rules:\n  - from:\n    - source: \
         {{principals: [cluster.local/ns/shop/sa/{account}]}}\n"
    )
}

/// Clients that send plaintext, whatever the server wants.
const PLAINTEXT: &str = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: cart, namespace: shop}\n\
    spec: {host: cart.shop.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}\n";

fn findings(files: &[(&str, &str)], args: &[&str]) -> Vec<String> {
    Project::new(files).check(args).findings()
}

#[test]
fn the_settings_of_one_environment_prove_nothing_about_another() {
    let (strict, files) = (authentication("STRICT"), |dev, prod| [dev, prod, ("base/app.yaml", APP)]);
    let apart = findings(&files(("dev/dr.yaml", PLAINTEXT), ("prod/pa.yaml", &strict)), &[]);
    assert_eq!(apart, [""; 0]);
    let joined = findings(&files(("a-dev/dr.yaml", PLAINTEXT), ("b_production/pa.yaml", &strict)), &[]);
    assert_eq!(joined, [""; 0]);
    let together = findings(&files(("clients/dr.yaml", PLAINTEXT), ("servers/pa.yaml", &strict)), &[]);
    assert_eq!(together, ["conflicting-rules clients/dr.yaml:4"]);
}

#[test]
fn folders_with_other_versions_of_the_same_objects_are_variants() {
    let (old, new) = (authentication("STRICT"), authentication("PERMISSIVE"));
    let blue = format!("{APP}{old}{PLAINTEXT}");
    let green = format!("{APP}{new}{PLAINTEXT}");
    let files = [("blue/all.yaml", blue.as_str()), ("green/all.yaml", green.as_str())];
    let dr = 1 + blue.lines().position(|line| line.contains("host:")).unwrap();
    assert_eq!(findings(&files, &[]), [format!("conflicting-rules blue/all.yaml:{dr}")]);
}

#[test]
fn twins_in_one_folder_or_in_folders_of_other_things_are_written_twice() {
    let (strict, open) = (authentication("STRICT"), authentication("PERMISSIVE"));
    let twice =
        findings(&[("a.yaml", APP), ("dev-pa.yaml", &strict), ("prod-pa.yaml", &open)], &["-D", "all"]);
    assert!(twice.iter().any(|one| one.starts_with("conflicting-rules")), "{twice:?}");
    let apps = format!("{APP}{strict}");
    let elsewhere = findings(&[("apps/a.yaml", apps.as_str()), ("rules/pa.yaml", &open)], &["-D", "all"]);
    assert!(elsewhere.iter().any(|one| one.starts_with("conflicting-rules")), "{elsewhere:?}");
}

#[test]
fn what_holds_in_every_environment_is_said_once_and_in_full() {
    let base = format!("{APP}{}", policy("nobody"));
    let (strict, open) = (authentication("STRICT"), authentication("PERMISSIVE"));
    let files = [("base/app.yaml", base.as_str()), ("dev/pa.yaml", &strict), ("prod/pa.yaml", &open)];
    let run = Project::new(&files).check(&[]);
    assert_eq!(run.code, 1);
    assert_eq!(run.findings().iter().filter(|one| one.starts_with("deny-all-gap")).count(), 1);
}

#[test]
fn each_environment_is_checked_against_its_own_accounts() {
    let (dev, prod) = (format!("{APP}{}", policy("web")), format!("{APP}{}", policy("wbe-admin")));
    let files = [("dev/all.yaml", dev.as_str()), ("prod/all.yaml", prod.as_str())];
    let found = findings(&files, &[]);
    assert!(found.iter().all(|one| one.contains(" prod/")) && !found.is_empty(), "{found:?}");
}

#[test]
fn regions_of_an_environment_share_what_stands_beside_them() {
    let (strict, open) = (authentication("STRICT"), authentication("PERMISSIVE"));
    let files = [
        ("dev/app.yaml", APP),
        ("dev/eu/pa.yaml", &strict),
        ("dev/us/pa.yaml", &open),
        ("dev/us/dr.yaml", PLAINTEXT),
        ("prod/app.yaml", APP),
        ("prod/eu/pa.yaml", &strict),
        ("prod/eu/dr.yaml", PLAINTEXT),
    ];
    assert_eq!(findings(&files, &[]), ["conflicting-rules prod/eu/dr.yaml:4"]);
}

#[test]
fn an_overlay_without_the_workloads_claims_nothing_about_their_absence() {
    let dev = format!("{APP}{}", policy("web"));
    let prod = policy("web").replace("app: cart", "app: carts");
    let run = Project::new(&[("dev/all.yaml", dev.as_str()), ("prod/policy.yaml", &prod)]).check(&[]);
    assert_eq!(run.code, 0, "{}", run.stdout);
}

#[test]
fn named_clusters_are_no_variants() {
    let both = format!("{APP}{}", policy("web"));
    let project = Project::new(&[
        ("dev/app.yaml", APP),
        ("prod/app.yaml", &both.replace("name: web,", "name: shop-web,")),
    ]);
    // Accounts of one name are the same in every cluster of a mesh.
    assert_eq!(project.check(&["--cluster", "a=dev", "--cluster", "b=prod"]).code, 0);
    assert_eq!(project.check(&["dev", "prod"]).code, 1);
}
