//! `meshproof compile`: what is written where, what is replaced, and what is left alone.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::Project;

const SHOP: &str = "apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
";
const API: &str = "apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
spec: {containers: [{name: api, image: api}]}
";
const POLICY: &str = "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/api]}}]
    to: [{operation: {methods: [GET], paths: [/items/*]}}]
";
const COMPILE: [&str; 5] = ["compile", "--target", "envoy-rbac", "-o", "out"];

/// Every file below a folder, by its path from there.
fn listed(folder: &Path) -> Vec<String> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn one_file_per_proxy_and_an_index() {
    let project = Project::new(&[("a.yaml", SHOP), ("b.yaml", API), ("p.yaml", POLICY)]);
    let run = project.run(&COMPILE);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(run.stdout, "2 files and index.json written to out\n");
    let out = project.path().join("out");
    assert_eq!(listed(&out), ["index.json", "shop/api.json", "shop/web.json"]);
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!("index", fs::read_to_string(out.join("index.json")).unwrap());
        insta::assert_snapshot!("web", fs::read_to_string(out.join("shop/web.json")).unwrap());
    });
    // The same input gives the same bytes, and what was written is no manifest.
    let before = fs::read(out.join("shop/web.json")).unwrap();
    assert_eq!(project.run(&COMPILE).code, 0);
    assert_eq!(fs::read(out.join("shop/web.json")).unwrap(), before);
    assert_eq!(project.check(&["out"]).code, 3);
}

#[test]
fn files_of_an_earlier_run_go_and_others_stay() {
    let project = Project::new(&[("a.yaml", SHOP), ("b.yaml", API)]);
    assert_eq!(project.run(&COMPILE).code, 0);
    project.write("out/shop/notes.txt", b"mine");
    project.write("b.yaml", b"");
    let old = project.path().join("out/old");
    fs::create_dir(&old).unwrap();
    assert_eq!(project.run(&COMPILE).code, 0);
    let out = project.path().join("out");
    assert_eq!(listed(&out), ["index.json", "shop/notes.txt", "shop/web.json"]);
    assert!(old.is_dir());
    // Nothing is left of a folder that held nothing else.
    fs::remove_file(out.join("shop/notes.txt")).unwrap();
    project.write("a.yaml", SHOP.replace("shop", "store").as_bytes());
    assert_eq!(project.run(&COMPILE).code, 0);
    assert_eq!(listed(&out), ["index.json", "store/web.json"]);
    assert!(!out.join("shop").exists());
}

#[test]
fn what_others_wrote_is_not_overwritten() {
    let project = Project::new(&[("a.yaml", SHOP), ("out/shop/web.json", "mine")]);
    let run = project.run(&COMPILE);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("is in the way"), "{}", run.stderr);
    assert_eq!(listed(&project.path().join("out")), ["shop/web.json"]);
    let project = Project::new(&[("a.yaml", SHOP), ("out/index.json", "{\"files\": []}")]);
    let run = project.run(&COMPILE);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("is no index of an earlier run"), "{}", run.stderr);
}

#[test]
fn an_index_cannot_send_the_run_out_of_its_folder() {
    let index = json!({
        "format": 1,
        "target": "envoy-rbac",
        "proxies": [{ "file": "../precious.yaml" }, { "file": "/etc/hostname" }, { "file": "x/../../precious.yaml" }],
    });
    let project = Project::new(&[
        ("in/a.yaml", SHOP),
        ("precious.yaml", "x: 1\n"),
        ("out/index.json", &index.to_string()),
    ]);
    let args: Vec<&str> = COMPILE.into_iter().chain(["in"]).collect();
    assert_eq!(project.run(&args).code, 0);
    assert!(project.path().join("precious.yaml").exists());
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let project = Project::new(&[("in/a.yaml", SHOP), ("elsewhere/keep", "")]);
    fs::create_dir(project.path().join("out")).unwrap();
    std::os::unix::fs::symlink(project.path().join("elsewhere"), project.path().join("out/shop")).unwrap();
    let args: Vec<&str> = COMPILE.into_iter().chain(["in"]).collect();
    let run = project.run(&args);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("is no folder"), "{}", run.stderr);
    assert_eq!(listed(&project.path().join("elsewhere")), ["keep"]);
}

#[test]
fn doubts_are_told_and_kept() {
    let custom = "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: c, namespace: shop}
spec: {action: CUSTOM, provider: {name: opa}, rules: [{}]}
";
    let project = Project::new(&[("a.yaml", SHOP), ("c.yaml", custom)]);
    let run = project.run(&COMPILE);
    assert_eq!(run.code, 0);
    assert!(run.stderr.starts_with("note: shop/web: no MeshConfig is in the input"), "{}", run.stderr);
    let index = json_of(&project.path().join("out/index.json"));
    assert_eq!(index["proxies"][0]["doubts"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_usage_writes_nothing() {
    let project = Project::new(&[("a.yaml", SHOP)]);
    for args in [
        &["compile", "--target", "envoy-rbac"][..],
        &["compile", "-o", "out", "--verify", "--no-verify"],
        &["decide", "--table", "out"],
        &["table", "out"],
        &["compile", "-o", "out", "--target", "envoy-rbac", "no/such/path"],
    ] {
        let run = project.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}");
        assert!(!run.stderr.is_empty(), "{args:?}");
    }
    assert!(!project.path().join("out").exists());
    let nothing = Project::new(&[("README.md", "nothing here\n")]);
    assert_eq!(nothing.run(&COMPILE).code, 3);
}

#[test]
fn tables_are_written_and_decide() {
    let project = Project::new(&[("in/a.yaml", SHOP), ("in/b.yaml", API), ("in/c.yaml", POLICY)]);
    let compile = ["compile", "-o", "out", "--verify", "in"];
    let run = project.run(&compile);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "3 files and index.json written to out\n"),
        "{}",
        run.stderr
    );
    let out = project.path().join("out");
    assert_eq!(listed(&out), ["index.json", "mesh.mpt", "shop/api.mpt", "shop/web.mpt"]);
    let index = json_of(&out.join("index.json"));
    let web =
        index["proxies"].as_array().unwrap().iter().find(|proxy| proxy["file"] == "shop/web.mpt").unwrap();
    let chain = &web["chains"][0];
    assert_eq!(
        (&chain["engine"], &chain["rules"], &chain["proven"]),
        (&json!("envoy-http"), &json!(1), &json!(true))
    );
    let requests = [
        json!({"to": "shop/web", "port": 8080, "from": "cluster.local/ns/shop/sa/api", "method": "GET", "path": "/items/1?x"}),
        json!({"to": "shop/web", "port": 8080, "from": "cluster.local/ns/shop/sa/api", "method": "PUT", "path": "/items/1"}),
        json!({"to": "shop/web", "port": 8080, "names": ["spiffe://cluster.local/ns/shop/sa/api"]}),
        json!({"to": "shop/api", "port": 1, "method": "GET", "path": "/"}),
        json!({"to": "shop/none"}),
        json!({"unknown": 1}),
    ];
    let lines: Vec<String> = requests.iter().map(Value::to_string).collect();
    project.write("requests.jsonl", lines.join("\n").as_bytes());
    for table in ["out", "out/mesh.mpt"] {
        let run = project.run(&["decide", "--table", table, "--requests", "requests.jsonl"]);
        assert_eq!(run.code, 2, "two lines are no requests");
        let answers: Vec<Value> =
            run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = answers
            .iter()
            .map(|answer| (answer["decision"].as_str().unwrap(), answer["phase"].as_str().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                ("allow", "allow"),
                ("deny", "allow-none-matched"),
                // On a TCP chain the rule is dropped.
                ("deny", "allow-none-matched"),
                ("allow", "no-allow-policy"),
                ("deny", "no-table"),
                ("deny", "no-table"),
            ]
        );
        assert_eq!(answers[0]["rule"], "ns[shop]-policy[p]-rule[0]");
        assert_eq!(answers[0]["policy"], "shop/p");
        assert!(answers[4]["error"].as_str().unwrap().contains("no workload shop/none"));
    }
    let table = project.run(&["table", "out", "--workload", "shop/web"]);
    assert!(table.stdout.contains("Path: per request, 1 tests, 1 rows want"), "{}", table.stdout);
    assert!(table.stdout.contains(", row by row, rules 1, rows 1, "), "{}", table.stdout);
    let table = project.run(&["table", "out"]);
    assert!(table.stdout.ends_with(" bytes\n") && table.stdout.contains("2 workloads, "), "{}", table.stdout);
}

#[test]
fn unchanged_workloads_keep_their_tables() {
    let project = Project::new(&[("in/a.yaml", SHOP), ("in/b.yaml", API), ("in/c.yaml", POLICY)]);
    let compile = ["compile", "-o", "out", "in"];
    let told = || project.run(&compile).stdout.lines().nth(1).map(str::to_owned);
    assert_eq!(told(), None);
    let time = |name: &str| fs::metadata(project.path().join(name)).unwrap().modified().unwrap();
    let (api, web) = (time("out/shop/api.mpt"), time("out/shop/web.mpt"));
    std::thread::sleep(std::time::Duration::from_millis(20));
    project.write("in/c.yaml", POLICY.replace("GET", "PUT").as_bytes());
    let inputs = || {
        let index = json_of(&project.path().join("out/index.json"));
        let of = |proxy: &Value| (proxy["file"].clone(), proxy["chains"][0]["input"].clone());
        index["proxies"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let before = inputs();
    // The TCP chain of `web` drops what is about HTTP, whatever that says.
    assert_eq!(told().unwrap(), "3 of 4 tables are those of the run before: their policies say the same");
    let changed: Vec<Value> =
        before.into_iter().zip(inputs()).filter(|(old, new)| old.1 != new.1).map(|(old, _)| old.0).collect();
    assert_eq!(changed, [json!("shop/web.mpt")]);
    // Comments and places in a file say nothing; neither does a table that nobody proved.
    let moved = format!("# moved\n\n{}", POLICY.replace("GET", "PUT"));
    project.write("in/c.yaml", moved.as_bytes());
    assert!(told().unwrap().starts_with("4 of 4 tables"));
    let every = project.run(&["compile", "-o", "out", "--verify", "in"]);
    assert_eq!((every.code, every.stdout.lines().count()), (0, 1), "{}", every.stdout);
    let index = fs::read_to_string(project.path().join("out/index.json")).unwrap();
    project.write("out/index.json", index.replace("\"proven\": true", "\"proven\": false").as_bytes());
    assert_eq!(told(), None, "all are proven again");
    assert!(told().unwrap().starts_with("4 of 4 tables"));
    assert_eq!(time("out/shop/api.mpt"), api);
    assert_ne!(time("out/shop/web.mpt"), web);
    // A file that was cut off decides nothing.
    let bytes = fs::read(project.path().join("out/mesh.mpt")).unwrap();
    project.write("out/mesh.mpt", &bytes[..bytes.len() / 2]);
    let run = project.run(&["table", "out"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("only"), "{}", run.stderr);
}
