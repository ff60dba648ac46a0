//! Requests to try: everything that the worlds mention, and its neighbours.

use meshproof_authz::{Certificate, HttpRequest, PathNormalization, Peer, Request, Token, normalize_path};
use meshproof_space::Issuer;
use serde_json::{Value, json};

use crate::common::{http, tcp};

pub struct Pool {
    pub requests: Vec<Request>,
}

fn http_of(request: &mut Request) -> &mut HttpRequest {
    request.http.as_mut().unwrap()
}

fn host(request: &Request, value: &str) -> Request {
    let mut request = request.clone();
    http_of(&mut request).headers = vec![("Host".to_owned(), value.to_owned())];
    request
}

/// Lines of a header: addresses with something in front and behind, alone, behind other lines, and none.
fn lines(named: &[&str], (starts, ends): (&[&str], &[&str]), others: &[&str]) -> Vec<Vec<String>> {
    let mut lines: Vec<Vec<String>> =
        vec![vec![], vec![String::new()], vec!["x".to_owned()], vec!["x, x".to_owned()]];
    for address in named {
        for start in starts {
            for end in ends {
                let line = format!("{start}{address}{end}");
                lines.extend(others.iter().map(|before| vec![(*before).to_owned(), line.clone()]));
                lines.push(vec![line.clone(), "x".to_owned()]);
                lines.push(vec![line]);
            }
        }
    }
    lines
}

impl Pool {
    /// Some of the requests.
    pub fn sample(&self, rng: &mut fastrand::Rng, count: usize) -> Pool {
        Pool { requests: rng.choose_multiple(&self.requests, count).into_iter().cloned().collect() }
    }

    /// Methods, hosts and paths of two letters and a stranger.
    pub fn texts() -> Pool {
        let mut requests = Vec::new();
        let paths = [
            "/", "/a", "/ab", "/b", "/aab", "/ax", "/xb", "/x", "/xab", "/axb", "/axab", "/abx", "/abxab",
            "/a/x", "/a/b", "/a/ab",
        ];
        let hosts = ["a.b", "A.B", "a.x", "x.b", "x", "a.xb", "xb", "A.x", "a.B", "aab"];
        for method in ["GET", "PUT", "GT", "GX", "XT", "X"] {
            for path in paths {
                let request = http("", method, path);
                requests.extend(hosts.iter().map(|name| host(&request, name)));
            }
        }
        for name in hosts {
            requests.push(host(&http("", "OPTIONS", "*"), name));
            requests.push(http("", "CONNECT", name));
        }
        Pool { requests }
    }

    /// Paths of few segments, with and without queries.
    pub fn paths(mode: PathNormalization) -> Pool {
        let segments = ["", "a", "b", "x", "ab", "ax", "xb", "[", "b[", "*"];
        let mut paths: Vec<String> = vec!["/%41".to_owned(), "/%%341".to_owned()];
        for first in segments {
            paths.push(format!("/{first}"));
            for second in segments {
                paths.push(format!("/{first}/{second}"));
                for third in ["", "a", "b", "x", "xb", "["] {
                    paths.push(format!("/{first}/{second}/{third}"));
                    if first == "a" && (second.is_empty() || second == "b" || second == "x") {
                        paths.extend(["", "b", "x"].map(|fourth| format!("/a/{second}/{third}/{fourth}")));
                    }
                }
            }
        }
        let mut requests: Vec<Request> = Vec::new();
        for path in paths {
            if normalize_path(&path, mode).is_ok() {
                requests.push(http("", "GET", &path));
                requests.extend(["q=1", "x", ""].map(|query| http("", "GET", &format!("{path}?{query}"))));
            }
        }
        requests.push(http("", "OPTIONS", "*"));
        requests.push(http("", "CONNECT", "a:1"));
        Pool { requests }
    }

    /// Every path of few characters.
    pub fn short_paths() -> Pool {
        let mut paths = vec!["/".to_owned()];
        let mut now = paths.clone();
        for _ in 0..5 {
            now = now
                .iter()
                .flat_map(|path| ["a", "b", "/", "["].map(|more| format!("{path}{more}")))
                .collect();
            paths.extend(now.iter().cloned());
        }
        paths.extend(["/ababab", "/abababx", "/a/b/a/b", "/ababa"].map(str::to_owned));
        Pool { requests: paths.iter().map(|path| http("", "GET", path)).collect() }
    }

    /// Clients that name an address, and some that do not.
    pub fn forwarded(proxied: bool) -> Pool {
        let named = [
            "10.1.2.3",
            "10.1.0.1",
            "10.2.0.1",
            "192.0.2.9",
            "192.0.2.7",
            "1.1.1.9",
            "1.1.1.1",
            "2001:db8::9",
            "::1",
        ];
        let (starts, ends) = (["", "x, ", "x,", "10.1.0.1, "], ["", ", x", ", x, x"]);
        let lines = lines(&named, (&starts, &ends), &["10.1.2.3", "x", "1.1.1.3", "10.9"]);
        Pool::named(&["10.1.2.3", "10.2.0.1", "192.0.2.9", "1.1.1.1", "::1"], &lines, proxied)
    }

    /// The same with IPv6 addresses in several spellings.
    pub fn forwarded_v6() -> Pool {
        let named = [
            "2001:db8::1",
            "2001:db8:0:0:0:0:0:1",
            "2001:DB8::0001",
            "2001:db8::0.0.0.1",
            "2001:db8::9",
            "2001:db8:0:0:0:0:0:9",
            "2001:db8::7",
            "10.1.2.3",
        ];
        let lines = lines(&named, (&["", "x, "], &["", ", x"]), &["x", "a::1"]);
        Pool::named(&["2001:db8::1", "2001:db8::9", "10.1.2.3", "::1"], &lines, false)
    }

    /// Each connection with each of these headers.
    fn named(sources: &[&str], lines: &[Vec<String>], proxied: bool) -> Pool {
        let mut requests = Vec::new();
        for source in sources {
            for lines in lines {
                let mut request = http("", "GET", "/");
                request.source = source.parse().unwrap();
                let named = lines.iter().map(|line| ("x-forwarded-for".to_owned(), line.clone()));
                http_of(&mut request).headers.extend(named);
                if proxied {
                    let other =
                        Request { proxied_source: Some("10.1.2.3".parse().unwrap()), ..request.clone() };
                    requests.push(other);
                }
                requests.push(request);
            }
        }
        Pool { requests }
    }

    /// Identities near those of the worlds; `foreign`: names of other shapes, and several at once.
    pub fn peers(foreign: bool) -> Pool {
        let mut requests = vec![http("", "GET", "/")];
        for domain in ["cluster.local", "td1", "ns", "td", "x1", "x"] {
            for namespace in
                ["a", "ab", "b", "xb", "ax", "ns", "sa", "s", "nsx", "x", "axb", "ba", "aab", "xax", "abx"]
            {
                for account in ["b", "c", "x", "xb", "sa", "ns"] {
                    requests.push(http(&format!("{domain}/ns/{namespace}/sa/{account}"), "GET", "/"));
                }
            }
        }
        if foreign {
            let names = [
                "client.example",
                "spiffe://cluster.local/ns/a/sa/b/x",
                "spiffe://cluster.local/x/ns/a/sa/b",
                "spiffe://cluster.local/ns/a/x/sa/b",
                "spiffe://td1/x",
                "spiffe://x/ns/ab/b",
                "https://x/ns/a/y",
                "spiffe://cluster.local/ns/a/sa/b",
                "spiffe://td1/ns/ab/sa/c",
                "spiffe://x",
                "spiffe://x/y",
                "spiffe://x/sa/b",
                "/ns/a/",
            ];
            for (at, first) in names.iter().enumerate() {
                let certificate = |names: &[&str]| Certificate {
                    uris: names.iter().map(|name| (*name).to_owned()).collect(),
                    ..Certificate::default()
                };
                requests.push(with_peer(certificate(&[first])));
                requests
                    .extend(names[at + 1..].iter().map(|second| with_peer(certificate(&[first, second]))));
            }
        }
        Pool { requests }
    }

    /// Only those with a name.
    pub fn with_names(mut self) -> Pool {
        self.requests.retain(|request| request.peer != Peer::Anonymous);
        self
    }

    pub fn addresses(proxied: bool) -> Pool {
        let mut requests = Vec::new();
        let addresses = ["10.1.2.3", "10.1.0.1", "10.2.0.1", "192.0.2.9", "1.1.1.1", "2001:db8::1"];
        for source in addresses {
            for remote in addresses {
                for port in [80, 8080, 81, 82] {
                    for (method, server) in [("GET", "10.0.0.2"), ("PUT", "10.0.0.3"), ("GET", "1.1.1.1")] {
                        let mut request = http("", method, "/");
                        request.source = source.parse().unwrap();
                        request.destination = format!("{server}:{port}").parse().unwrap();
                        let entries = [remote.to_owned(), format!("{remote}, 9.9.9.9")];
                        if proxied {
                            request.proxied_source = Some(remote.parse().unwrap());
                        }
                        for entry in entries {
                            let mut request = request.clone();
                            http_of(&mut request).headers.push(("x-forwarded-for".to_owned(), entry));
                            requests.push(request);
                        }
                        requests.push(request);
                    }
                }
            }
        }
        Pool { requests }
    }

    pub fn tokens(issuers: &[&str]) -> Pool {
        let peers = ["", "cluster.local/ns/a/sa/b", "x/ns/x/sa/x"];
        let mut requests: Vec<Request> = peers.iter().map(|peer| http(peer, "GET", "/")).collect();
        let groups = [
            Value::Null,
            json!("a"),
            json!("ax"),
            json!("x"),
            json!(""),
            json!(["a", "b"]),
            json!(["ax", "x"]),
            json!(["b"]),
            json!({"h": "a"}),
            json!({"h": "x"}),
            json!({"h": ["x", "a"]}),
            json!(7),
        ];
        let scopes =
            [Value::Null, json!("a"), json!("a b"), json!(["a", "b"]), json!("ax"), json!("b"), json!("x")];
        for peer in peers {
            for issuer in issuers {
                let subjects = ["s", "xs", "x", "t", "", "s t", "x s"].map(|subject| json!(subject));
                for subject in subjects.into_iter().chain([Value::Null]) {
                    for group in &groups {
                        for scope in &scopes {
                            let mut claims = serde_json::Map::new();
                            let all =
                                [("iss", &json!(issuer)), ("sub", &subject), ("g", group), ("scope", scope)];
                            for (name, value) in all {
                                if !value.is_null() {
                                    claims.insert(name.to_owned(), (*value).clone());
                                }
                            }
                            let mut request = http(peer, "GET", "/");
                            http_of(&mut request).token = Token::Verified { claims, forwarded: true };
                            requests.push(request);
                        }
                    }
                }
            }
        }
        Pool { requests }
    }

    /// Tokens of issuers, each for one of some audiences where it names some, and for others.
    pub fn audiences(issuers: &[Issuer]) -> Pool {
        let mut requests = vec![http("", "GET", "/"), http("cluster.local/ns/a/sa/b", "GET", "/")];
        let others = [vec![], vec!["x"], vec!["b"], vec!["y", "q"], vec!["xy", "b"], vec!["bx"]];
        for issuer in issuers {
            let own = if issuer.audiences.is_empty() {
                vec![None]
            } else {
                issuer.audiences.iter().map(Some).collect()
            };
            for (own, others) in own.iter().flat_map(|own| others.iter().map(move |others| (own, others))) {
                let list: Vec<&str> =
                    own.iter().map(|own| own.as_str()).chain(others.iter().copied()).collect();
                let aud = match list.as_slice() {
                    [] => Value::Null,
                    [one] => json!(one),
                    list => json!(list),
                };
                for subject in ["s", "t"] {
                    let claims = [("iss", json!(issuer.name)), ("sub", json!(subject)), ("aud", aud.clone())];
                    let claims = claims.into_iter().filter(|(_, value)| !value.is_null());
                    let claims = claims.map(|(name, value)| (name.to_owned(), value)).collect();
                    let mut request = http("", "GET", "/");
                    http_of(&mut request).token = Token::Verified { claims, forwarded: true };
                    requests.push(request);
                }
            }
        }
        Pool { requests }
    }

    pub fn headers() -> Pool {
        let lines: [&[&str]; 13] = [
            &[],
            &["1"],
            &["12"],
            &["1x"],
            &["x2"],
            &["x"],
            &[""],
            &["1", "x2"],
            &["1x", "x2"],
            &["12", "x"],
            &["1", "12"],
            &["1x2"],
            &["", "1"],
        ];
        let metadata = [
            None,
            Some(json!("a")),
            Some(json!("x")),
            Some(json!(["a"])),
            Some(json!(["ax"])),
            Some(json!(["x", "a"])),
            Some(json!(["x"])),
            Some(json!([])),
        ];
        let mut requests = Vec::new();
        for x in lines {
            for y in &lines[..7] {
                for sni in [None, Some("a.b"), Some("x.b"), Some("x")] {
                    for value in &metadata {
                        let mut request = http("", "GET", "/");
                        request.sni = sni.map(str::to_owned);
                        if let Some(value) = value {
                            let key = ("envoy.filters.f".to_owned(), "k".to_owned());
                            request.metadata.insert(key, value.clone());
                        }
                        let headers = &mut http_of(&mut request).headers;
                        headers.extend(x.iter().map(|line| ("x".to_owned(), (*line).to_owned())));
                        headers.extend(y.iter().map(|line| ("y".to_owned(), (*line).to_owned())));
                        requests.push(request);
                    }
                }
            }
        }
        Pool { requests }
    }

    /// A sample of everything.
    pub fn mixed() -> Pool {
        let peers = [
            "",
            "cluster.local/ns/a/sa/b",
            "td1/ns/ab/sa/c",
            "cluster.local/ns/a/sa/x",
            "x/ns/xb/sa/b",
            "x/ns/x/sa/x",
        ];
        let texts = Pool::texts().requests;
        let mut requests = Vec::new();
        for peer in peers {
            for (at, text) in texts.iter().enumerate().filter(|(at, _)| at % 3 == 0) {
                let mut request = text.clone();
                request.peer = tcp(peer).peer;
                if at % 2 == 0 {
                    http_of(&mut request).headers.push(("x".to_owned(), ["1", "12", "x"][at % 3].to_owned()));
                }
                request.sni = [None, Some("a.b".to_owned()), Some("x".to_owned())][at % 3].clone();
                requests.push(request);
            }
        }
        Pool { requests }
    }
}

fn with_peer(certificate: Certificate) -> Request {
    Request { peer: Peer::Certificate(certificate), ..http("", "GET", "/") }
}
