//! `meshproof graph`: every format over scenarios, hostile names, and the page in a real browser where there is one.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Project, from_root, root, text};

fn drawn(format: &str, scenario: &str) -> String {
    let told =
        from_root(&["graph", "--render", "never", "-o", format, &format!("testdata/scenarios/{scenario}")]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{format} {scenario}");
    told.stdout
}

#[test]
fn every_format_of_a_scenario() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("testdata/scenarios/expected"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for format in ["dot", "mermaid", "json", "svg"] {
            insta::assert_snapshot!(format!("graph-bookinfo-{format}"), drawn(format, "bookinfo"));
        }
        insta::assert_snapshot!("graph-dgraph-mermaid", drawn("mermaid", "dgraph"));
        insta::assert_snapshot!(
            "graph-namespace-isolation-mermaid",
            drawn("mermaid", "namespace-isolation/right")
        );
    });
}

#[test]
fn openness_and_edges_say_what_reach_says() {
    let graph: Value = serde_json::from_str(&drawn("json", "workshop/1-permissive")).unwrap();
    let nodes = graph["nodes"].as_array().unwrap();
    let of =
        |label: &str| nodes.iter().find(|node| node["label"] == label).unwrap_or_else(|| panic!("{label}"));
    assert_eq!(
        (&of("articles")["openness"], &of("web-api")["openness"]),
        (&"anybody".into(), &"anybody".into())
    );
    assert_eq!(of("anybody without mTLS")["kind"], "outside");
    let closed: Value = serde_json::from_str(&drawn("json", "workshop/3-closed")).unwrap();
    let articles =
        closed["nodes"].as_array().unwrap().iter().find(|node| node["label"] == "articles").unwrap().clone();
    assert_eq!(articles["openness"], "nobody");
    let into = closed["edges"].as_array().unwrap().iter().filter(|edge| edge["to"] == articles["id"]).count();
    assert_eq!(into, 0);
}

const HOSTILE: &str = "\"a\\\"</script><script>alert(1)</script>]|\\x1b[31m\"";

fn pods(name: &str, labels: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  selector: {{matchLabels: {{{labels}}}}}\n  template:\n    metadata: {{labels: {{{labels}}}}}\n    spec: {{containers: [{{name: a, image: a, ports: [{{containerPort: 8080}}]}}]}}\n---\n"
    )
}

const NAMESPACE: &str =
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n---\n";

#[test]
fn hostile_names_end_no_string() {
    let project = Project::new(&[("a.yaml", &(NAMESPACE.to_owned() + &pods(HOSTILE, "app: x")))]);
    for format in ["dot", "mermaid", "json", "svg", "html"] {
        let told = project.run(&["graph", "-o", format]);
        assert_eq!(told.code, 0, "{}", told.stderr);
        assert!(!told.stdout.contains('\u{1b}'), "{format}");
        let is_drawn_by_browsers = matches!(format, "mermaid" | "svg" | "html");
        assert!(!is_drawn_by_browsers || !told.stdout.contains("<script>alert"), "{format}");
        if format == "json" {
            told.json();
        }
    }
}

#[test]
fn a_full_picture_shows_namespaces() {
    let mut text = String::new();
    for at in 0..5 {
        text.push_str(&NAMESPACE.replace("shop", &format!("team-{at}")));
        for own in 0..15 {
            let labels = format!("app: w{own}");
            text.push_str(&pods(&format!("w-{at}-{own}"), &labels).replace("shop", &format!("team-{at}")));
            text.push_str(&format!(
                "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p{own}, namespace: team-{at}}}\nspec: {{selector: {{matchLabels: {{{labels}}}}}, rules: [{{from: [{{source: {{namespaces: [team-{}]}}}}], to: [{{operation: {{paths: [/{own}]}}}}]}}]}}\n---\n",
                (at + 1) % 5
            ));
        }
    }
    let project = Project::new(&[("a.yaml", &text)]);
    let mermaid = project.run(&["graph", "-o", "mermaid"]).stdout;
    assert!(mermaid.contains("team-0 (15 workloads)") && !mermaid.contains("w-0-1"), "{mermaid}");
    let whole = project.run(&["graph", "-o", "json"]).json();
    assert!(whole["nodes"].as_array().unwrap().len() >= 75);
}

#[test]
fn wrong_usage() {
    let folder = "testdata/scenarios/bookinfo";
    assert_eq!(from_root(&["graph", folder]).code, 2);
    assert_eq!(from_root(&["graph", "-o", "png", folder]).code, 2);
    assert_eq!(from_root(&["graph", "-o", "dot", "-o", "svg", folder]).code, 2);
    assert_eq!(Project::new(&[("README.md", "nothing here\n")]).run(&["graph", "-o", "dot"]).code, 3);
    assert_eq!(from_root(&["graph", "-o", "dot", "--to", "bookinfo/nothing", folder]).code, 2);
}

#[test]
fn set_ups_are_drawn_beside_each_other() {
    let (dev, prod) =
        (NAMESPACE.to_owned() + &pods("a", "app: a"), NAMESPACE.to_owned() + &pods("a", "app: a"));
    let prod =
        prod + &pods("b", "app: b").replace("spec: {containers", "spec: {serviceAccountName: b, containers");
    let project = Project::new(&[("overlays/dev/app.yaml", &dev), ("overlays/prod/app.yaml", &prod)]);
    let told = project.run(&["graph", "-o", "json"]).json();
    let nodes = told["nodes"].as_array().unwrap();
    let of = |set_up: &str| {
        let own = nodes.iter().filter(|node| node["setUp"] == set_up && node["kind"] == "workload");
        own.map(|node| text(&node["label"])).collect::<Vec<_>>()
    };
    assert_eq!(
        (of("overlays/dev"), of("overlays/prod")),
        (vec!["a".to_owned()], vec!["a".to_owned(), "b".to_owned()])
    );
    for edge in told["edges"].as_array().unwrap() {
        let end = |key: &str| &nodes[edge[key].as_u64().unwrap() as usize]["setUp"];
        assert_eq!(end("from"), end("to"), "{edge:#}");
    }
    let mermaid = project.run(&["graph", "-o", "mermaid"]).stdout;
    assert!(
        mermaid.contains("[\"overlays/dev: shop\"]") && mermaid.contains("[\"overlays/prod: shop\"]"),
        "{mermaid}"
    );
    // A workload that one set-up alone has.
    let one = project.run(&["graph", "-o", "json", "--to", "shop/b"]).json();
    assert!(
        one["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|node| node["setUp"].is_null() || node["setUp"] == "overlays/prod"),
        "{one:#}"
    );
}

#[test]
fn a_scope_draws_only_what_it_means() {
    let folder = "testdata/scenarios/bookinfo";
    let draw = |more: &[&str]| from_root(&[&["graph", "-o", "json", folder], more].concat()).json();
    let (all, to) = (draw(&[]), draw(&["--to", "bookinfo/details-v1"]));
    let edges = |told: &Value| told["edges"].as_array().unwrap().len();
    assert!(0 < edges(&to) && edges(&to) < edges(&all));
    for edge in to["edges"].as_array().unwrap() {
        assert_eq!(to["nodes"][edge["to"].as_u64().unwrap() as usize]["label"], "details-v1");
    }
    let from = draw(&["--from", "bookinfo/productpage"]);
    for edge in from["edges"].as_array().unwrap() {
        assert_eq!(from["nodes"][edge["from"].as_u64().unwrap() as usize]["label"], "productpage-v1");
    }
}

/// A browser with the page, driven as a person would drive it (WebDriver).
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Nothing where no browser is installed, unless it has to be.
    fn open(page: &Path) -> Option<Browser> {
        let is_required = std::env::var_os("MESHPROOF_REQUIRE_TOOLS").is_some();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = Command::new("chromedriver")
            .arg(format!("--port={free}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let driver = match started {
            Ok(driver) => driver,
            Err(error) if is_required => panic!("chromedriver is required: {error}"),
            Err(_) => return None,
        };
        let mut browser = Browser { driver, port: free, session: String::new() };
        let patience = Instant::now();
        while TcpStream::connect(("127.0.0.1", free)).is_err() {
            assert!(patience.elapsed() < Duration::from_secs(60), "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        let options = json!({ "args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1500,900"] });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } });
        let answer = browser.ask("POST", "/session", &wanted);
        browser.session = text(&answer["sessionId"]);
        browser.command("url", &json!({ "url": format!("file://{}", page.display()) }));
        Some(browser)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer: Vec<u8> = Vec::new();
        let mut part = [0; 4096];
        // The connection stays open, so the length tells where the answer ends.
        let body = loop {
            let count = stream.read(&mut part).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&part[..count]);
            let text = String::from_utf8_lossy(&answer).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if length.is_some_and(|length| body.len() >= length) {
                break body.to_owned();
            }
        };
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert!(body["value"]["error"].is_null(), "{body:#}");
        body["value"].clone()
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{name}", self.session), body)
    }

    fn element(&self, selector: &str) -> String {
        let found = self.command("element", &json!({ "using": "css selector", "value": selector }));
        text(found.as_object().unwrap().values().next().unwrap())
    }

    fn click(&self, selector: &str) {
        self.command(&format!("element/{}/click", self.element(selector)), &json!({}));
    }

    fn write(&self, selector: &str, keys: &str) {
        self.command(&format!("element/{}/value", self.element(selector)), &json!({ "text": keys }));
    }

    fn eval(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": format!("return {script};"), "args": [] }))
    }

    fn wait(&self, script: &str, wanted: &Value) {
        let patience = Instant::now();
        loop {
            let found = self.eval(script);
            if found == *wanted {
                return;
            }
            assert!(patience.elapsed() < Duration::from_secs(20), "{script}: {found}, not {wanted}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.ask("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn the_page_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("graph.html");
    let out = format!("html={}", page.display());
    assert_eq!(from_root(&["graph", "-o", &out, "testdata/scenarios/bookinfo"]).code, 0);
    let whole = std::fs::read_to_string(&page).unwrap();
    assert!(
        !whole.contains("http://")
            || whole.matches("http://").count() == whole.matches("http://www.w3.org").count()
    );
    let Some(browser) = Browser::open(&page) else { return };
    let edges = "document.body.dataset.edges";
    browser.wait(edges, &"4".into());
    // A click on an edge shows why.
    let bowed = "[...document.querySelectorAll('.hit')].find((line) => line.getBBox().height > 5).id";
    browser.click(&format!("#{}", text(&browser.eval(bowed))));
    let panel = text(&browser.eval("document.getElementById('panel').innerText"));
    for wanted in ["GET", "AuthorizationPolicy bookinfo/", "policies.yaml:", "Shown by"] {
        assert!(panel.contains(wanted), "{wanted} in {panel}");
    }
    // Search.
    browser.write("#search", "ratings");
    browser.wait(edges, &"1".into());
    browser.click("#all");
    browser.wait(edges, &"4".into());
    // Filters.
    browser.write("#principal", "sa bookinfo/productpage");
    browser.wait(edges, &"2".into());
    browser.click("#all");
    browser.click("#transport-mtls");
    browser.wait(edges, &"0".into());
    browser.click("#all");
    // One namespace of several: the edges that touch it, by the data of the page.
    let out = format!("html={}", page.display());
    assert_eq!(from_root(&["graph", "-o", &out, "testdata/scenarios/dgraph"]).code, 0);
    browser.command("url", &json!({ "url": format!("file://{}", page.display()) }));
    let data = "JSON.parse(document.getElementById('data').textContent)";
    let touching = format!(
        "((data) => String(data.edges.filter((edge) => [edge.from, edge.to].some((id) => data.nodes[id].namespace === 'pydgraph-allow')).length))({data})"
    );
    let (all, own) = (browser.eval(&format!("String({data}.edges.length)")), browser.eval(&touching));
    assert_ne!(all, own);
    browser.wait(edges, &all);
    browser.write("#namespace", "pydgraph-allow");
    browser.wait(edges, &own);
    browser.click("#all");
    browser.wait(edges, &all);
    // Lines over several columns pass between the nodes.
    let project = Project::new(&[("a.yaml", &long_calls())]);
    assert_eq!(project.run(&["graph", "-o", &out]).code, 0);
    browser.command("url", &json!({ "url": format!("file://{}", page.display()) }));
    browser.wait("String(document.querySelectorAll('.hit').length > 30)", &"true".into());
    assert_eq!(browser.eval(UNDER_NODES), json!([]));
}

/// Lines that pass under nodes other than those at their ends.
const UNDER_NODES: &str = "(() => {
    const nodes = [...document.querySelectorAll('g.node rect')].map((rect) => rect.getBBox());
    const isIn = (box, point, by) => point.x > box.x - by && point.x < box.x + box.width + by && point.y > box.y - by && point.y < box.y + box.height + by;
    return [...document.querySelectorAll('.hit')].filter((line) => {
        const length = line.getTotalLength(), others = nodes.filter((box) => !isIn(box, line.getPointAtLength(0), 1) && !isIn(box, line.getPointAtLength(length), 1));
        for (let at = 0; at < length; at += 3) if (others.some((box) => isIn(box, line.getPointAtLength(at), 0))) return true;
        return false;
    }).map((line) => line.id);
})()";

/// Workloads that call others near and far.
fn long_calls() -> String {
    let mut all = NAMESPACE.to_owned();
    for at in 0..14 {
        let name = format!("w{at}");
        let caller = |by: usize| format!("cluster.local/ns/shop/sa/w{}", (at + by) % 14);
        all.push_str(
            &pods(&name, &format!("app: {name}"))
                .replace("spec: {containers", &format!("spec: {{serviceAccountName: {name}, containers")),
        );
        all.push_str(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n---\n\
             apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{selector: {{matchLabels: {{app: {name}}}}}, rules: [{{from: [{{source: {{principals: [{}, {}, {}]}}}}]}}]}}\n---\n",
            caller(13), caller(10), caller(5)
        ));
    }
    all
}
