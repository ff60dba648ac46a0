//! Random policies: five rules each, one in ten denies; sources by principal, namespace or address, operations by method,
//! path, host and port, now and then a header.

use fastrand::Rng;

/// A value with a star at one end, or none.
#[derive(Clone, Debug)]
pub enum Pattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    /// `{*}` for one segment: what stands before it, and what stands behind it.
    Template(String, String),
}

impl Pattern {
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(own) => own == text,
            Pattern::Prefix(own) => text.starts_with(own),
            Pattern::Suffix(own) => text.ends_with(own),
            Pattern::Template(before, behind) => text
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(behind.as_str()))
                .is_some_and(|inside| !inside.is_empty() && !inside.contains('/')),
        }
    }

    pub fn written(&self) -> String {
        match self {
            Pattern::Exact(text) => text.clone(),
            Pattern::Prefix(text) => format!("{text}*"),
            Pattern::Suffix(text) => format!("*{text}"),
            Pattern::Template(before, behind) => format!("{before}{{*}}{behind}"),
        }
    }
}

/// A source; empty lists ask nothing.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pub principals: Vec<Pattern>,
    pub not_principals: Vec<Pattern>,
    pub namespaces: Vec<String>,
    pub blocks: Vec<([u8; 4], u8)>,
    pub not_blocks: Vec<([u8; 4], u8)>,
}

/// An operation; empty lists ask nothing.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    pub methods: Vec<String>,
    pub not_methods: Vec<String>,
    pub paths: Vec<Pattern>,
    pub not_paths: Vec<Pattern>,
    pub hosts: Vec<Pattern>,
    pub ports: Vec<u16>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub denies: bool,
    pub sources: Vec<Source>,
    pub operations: Vec<Operation>,
    pub header: Option<(String, Pattern)>,
}

/// A request with its connection.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub source: [u8; 4],
    pub port: u16,
    pub method: String,
    pub path: String,
    pub host: String,
    pub headers: Vec<(String, String)>,
}

/// The rules of one workload, five in a policy.
#[derive(Clone, Debug)]
pub struct Rules(pub Vec<Rule>);

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
const PORTS: [u16; 12] = [80, 443, 8080, 8081, 8443, 9000, 9090, 9091, 3000, 5000, 50051, 15021];
const WORDS: [&str; 24] = [
    "orders", "users", "carts", "items", "prices", "stock", "invoices", "payments", "search", "login",
    "admin", "reports", "metrics", "health", "images", "reviews", "ratings", "details", "shipping",
    "billing", "events", "sessions", "tokens", "export",
];

/// Where random values come from: more rules are about more namespaces.
struct Dice<'r> {
    rng: &'r mut Rng,
    namespaces: u32,
}

impl<'r> Dice<'r> {
    fn new(rules: usize, rng: &'r mut Rng) -> Dice<'r> {
        Dice { rng, namespaces: (rules as u32 / NAMESPACE_RULES).max(NAMESPACES) }
    }

    fn percent(&mut self) -> u8 {
        self.rng.u8(0..100)
    }

    /// One, and now and then two.
    fn one_or_two(&mut self) -> usize {
        1 + usize::from(self.percent() < SECOND)
    }
}

/// The fewest namespaces, and how many rules there are for each of more.
const NAMESPACES: u32 = 40;
const NAMESPACE_RULES: u32 = 25;
/// How many in a hundred rules have a second source, and how many a second operation.
const SECOND: u8 = 20;

fn namespace(dice: &mut Dice) -> String {
    format!("team-{}", dice.rng.u32(0..dice.namespaces))
}

fn principal(dice: &mut Dice) -> String {
    let namespace = namespace(dice);
    format!(
        "cluster.local/ns/{namespace}/sa/{}-{}",
        WORDS[dice.rng.usize(0..WORDS.len())],
        dice.rng.u32(0..8)
    )
}

fn path(rng: &mut Rng) -> String {
    let mut path = format!("/api/v{}/{}", rng.u32(1..4), WORDS[rng.usize(0..WORDS.len())]);
    for _ in 0..rng.usize(0..3) {
        path.push_str(&format!("/{}{}", WORDS[rng.usize(0..WORDS.len())], rng.u32(0..100)));
    }
    path
}

fn paths(rng: &mut Rng) -> Vec<Pattern> {
    let one = |rng: &mut Rng| match rng.u8(0..100) {
        0..40 => Pattern::Exact(path(rng)),
        40..80 => Pattern::Prefix(format!("{}/", path(rng))),
        80..88 => Pattern::Suffix(format!("/{}.{}", WORDS[rng.usize(0..WORDS.len())], rng.u32(0..20))),
        _ => Pattern::Template(format!("{}/", path(rng)), format!("/{}", WORDS[rng.usize(0..WORDS.len())])),
    };
    (0..rng.usize(1..4)).map(|_| one(rng)).collect()
}

fn block(rng: &mut Rng) -> ([u8; 4], u8) {
    ([10, rng.u8(0..40), rng.u8(..), 0], *[16, 24, 28].get(rng.usize(0..3)).unwrap_or(&24))
}

fn source(dice: &mut Dice) -> Source {
    let mut source = Source::default();
    if dice.percent() < 70 {
        for _ in 0..dice.rng.usize(1..4) {
            source.principals.push(match dice.percent() {
                0..80 => Pattern::Exact(principal(dice)),
                80..92 => Pattern::Prefix(format!(
                    "cluster.local/ns/{}/sa/{}",
                    namespace(dice),
                    &WORDS[dice.rng.usize(0..24)][..3]
                )),
                _ => Pattern::Suffix(format!("/sa/{}-{}", WORDS[dice.rng.usize(0..24)], dice.rng.u32(0..8))),
            });
        }
    } else {
        source.namespaces = (0..dice.rng.usize(1..3)).map(|_| namespace(dice)).collect();
        if dice.percent() < 20 {
            source.not_principals.push(Pattern::Exact(principal(dice)));
        }
    }
    if dice.percent() < 10 {
        source.blocks = (0..dice.rng.usize(1..3)).map(|_| block(dice.rng)).collect();
    }
    if dice.percent() < 5 {
        source.not_blocks.push(block(dice.rng));
    }
    source
}

fn operation(dice: &mut Dice) -> Operation {
    let mut operation = Operation::default();
    if dice.percent() < 70 {
        operation.methods =
            (0..dice.rng.usize(1..3)).map(|_| METHODS[dice.rng.usize(0..5)].to_owned()).collect();
    } else if dice.percent() < 5 {
        operation.not_methods.push("DELETE".to_owned());
    }
    if dice.percent() < 85 {
        operation.paths = paths(dice.rng);
    }
    if dice.percent() < 5 {
        operation.not_paths.push(Pattern::Prefix(format!("{}/", path(dice.rng))));
    }
    if dice.percent() < 30 {
        operation.hosts.push(match dice.rng.u8(0..3) {
            0 => Pattern::Suffix(format!(".{}.example.com", namespace(dice))),
            _ => Pattern::Exact(format!("{}.{}.example.com", WORDS[dice.rng.usize(0..24)], namespace(dice))),
        });
    }
    if dice.percent() < 30 {
        operation.ports = (0..dice.rng.usize(1..3)).map(|_| PORTS[dice.rng.usize(0..12)]).collect();
    }
    operation
}

impl Rules {
    /// So many rules.
    pub fn random(count: usize, rng: &mut Rng) -> Rules {
        let dice = &mut Dice::new(count, rng);
        let mut rules = Vec::with_capacity(count);
        while rules.len() < count {
            let denies = dice.rng.u8(0..10) == 0;
            for _ in 0..5.min(count - rules.len()) {
                rules.push(Rule {
                    denies,
                    sources: (0..dice.one_or_two()).map(|_| source(dice)).collect(),
                    operations: (0..dice.one_or_two()).map(|_| operation(dice)).collect(),
                    header: (dice.percent() < 15)
                        .then(|| ("x-team".to_owned(), Pattern::Exact(format!("t{}", dice.rng.u32(0..10))))),
                });
            }
        }
        Rules(rules)
    }

    /// No sources and no paths: nothing leads anywhere, and every row is left to the last attribute.
    pub fn worst(count: usize, rng: &mut Rng) -> Rules {
        let rule = |at: usize, rng: &mut Rng| Rule {
            denies: at.is_multiple_of(10),
            sources: Vec::new(),
            operations: vec![Operation {
                methods: METHODS[..4].iter().map(|text| (*text).to_owned()).collect(),
                ..Operation::default()
            }],
            header: Some((format!("x-{}", at % 3), Pattern::Exact(format!("v{}", rng.u32(0..1000))))),
        };
        Rules((0..count).map(|at| rule(at, rng)).collect())
    }

    /// As many rules without sources as are still asked one after the other, with paths that no quick look tells apart.
    pub fn alike(rng: &mut Rng) -> Rules {
        let path = |rng: &mut Rng| Pattern::Prefix(format!("/api/v1/orders/{:08}/", rng.u32(0..100_000_000)));
        let rule = |rng: &mut Rng| Rule {
            denies: false,
            sources: Vec::new(),
            operations: vec![Operation {
                paths: (0..3).map(|_| path(rng)).collect(),
                ..Operation::default()
            }],
            header: None,
        };
        Rules((0..24).map(|_| rule(rng)).collect())
    }

    /// Manifests, one policy each.
    pub fn documents(&self) -> Vec<String> {
        let mut documents = Vec::new();
        for denies in [false, true] {
            let rules: Vec<&Rule> = self.0.iter().filter(|rule| rule.denies == denies).collect();
            for (at, chunk) in rules.chunks(5).enumerate() {
                let action = if denies { "DENY" } else { "ALLOW" };
                let written: Vec<String> = chunk.iter().map(|rule| rule.written()).collect();
                documents.push(format!(
                    "{{\"apiVersion\": \"security.istio.io/v1\", \"kind\": \"AuthorizationPolicy\", \"metadata\": {{\"namespace\": \"bench\", \"name\": \"{}-{at:05}\"}}, \"spec\": {{\"action\": \"{action}\", \"rules\": [{}]}}}}",
                    action.to_lowercase(),
                    written.join(", ")
                ));
            }
        }
        documents
    }

    /// Requests: some made to meet an ALLOW rule, some a DENY rule, the rest at random.
    pub fn cases(&self, count: usize, rng: &mut Rng) -> Vec<Case> {
        let of = |denies: bool| self.0.iter().filter(|rule| rule.denies == denies).collect::<Vec<_>>();
        let (allowing, denying) = (of(false), of(true));
        (0..count)
            .map(|_| {
                let mut case = stranger(&mut Dice::new(self.0.len(), rng));
                let rules = match rng.u8(0..100) {
                    0..40 => &allowing,
                    40..55 => &denying,
                    _ => return case,
                };
                if !rules.is_empty() {
                    rules[rng.usize(0..rules.len())].meet(&mut case, rng);
                }
                case
            })
            .collect()
    }
}

fn stranger(dice: &mut Dice) -> Case {
    let mut headers: Vec<(String, String)> =
        (0..7).map(|at| (format!("x-header-{at}"), format!("value-{}", dice.rng.u32(..)))).collect();
    headers.push(("x-team".to_owned(), format!("t{}", dice.rng.u32(0..10))));
    Case {
        name: format!("spiffe://{}", principal(dice)),
        source: [10, dice.rng.u8(0..40), dice.rng.u8(..), dice.rng.u8(..)],
        port: PORTS[dice.rng.usize(0..12)],
        method: METHODS[dice.rng.usize(0..5)].to_owned(),
        path: path(dice.rng),
        host: format!("{}.{}.example.com", WORDS[dice.rng.usize(0..24)], namespace(dice)),
        headers,
    }
}

fn filled(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) => text.clone(),
        Pattern::Prefix(text) => format!("{text}some"),
        Pattern::Suffix(text) => format!("some{text}"),
        Pattern::Template(before, behind) => format!("{before}some{behind}"),
    }
}

impl Rule {
    fn meet(&self, case: &mut Case, rng: &mut Rng) {
        if !self.sources.is_empty() {
            let source = &self.sources[rng.usize(0..self.sources.len())];
            if let Some(pattern) = source.principals.first() {
                case.name = match pattern {
                    Pattern::Suffix(end) => format!("spiffe://cluster.local/ns/team-1{end}"),
                    pattern => format!("spiffe://{}", filled(pattern)),
                };
            }
            if let Some(namespace) = source.namespaces.first() {
                case.name = format!("spiffe://cluster.local/ns/{namespace}/sa/some");
            }
            if let Some((block, _)) = source.blocks.first() {
                case.source = *block;
            }
        }
        let operation = &self.operations[rng.usize(0..self.operations.len())];
        if let Some(method) = operation.methods.first() {
            case.method.clone_from(method);
        }
        if let Some(path) = operation.paths.first() {
            case.path = filled(path);
            if !case.path.starts_with('/') {
                case.path.insert(0, '/');
            }
        }
        if let Some(host) = operation.hosts.first() {
            case.host = filled(host);
        }
        if let Some(port) = operation.ports.first() {
            case.port = *port;
        }
        if let Some((name, pattern)) = &self.header {
            case.headers.retain(|(key, _)| key != name);
            case.headers.push((name.clone(), filled(pattern)));
        }
    }

    fn written(&self) -> String {
        let list = |name: &str, values: Vec<String>| {
            let values: Vec<String> = values.into_iter().map(|value| format!("\"{value}\"")).collect();
            (!values.is_empty()).then(|| format!("\"{name}\": [{}]", values.join(", ")))
        };
        let patterns = |values: &[Pattern]| values.iter().map(Pattern::written).collect::<Vec<_>>();
        let blocks = |values: &[([u8; 4], u8)]| {
            values
                .iter()
                .map(|([a, b, c, d], length)| format!("{a}.{b}.{c}.{d}/{length}"))
                .collect::<Vec<_>>()
        };
        let from = self.sources.iter().map(|source| {
            let lists = [
                list("principals", patterns(&source.principals)),
                list("notPrincipals", patterns(&source.not_principals)),
                list("namespaces", source.namespaces.clone()),
                list("ipBlocks", blocks(&source.blocks)),
                list("notIpBlocks", blocks(&source.not_blocks)),
            ];
            format!("{{\"source\": {{{}}}}}", lists.into_iter().flatten().collect::<Vec<_>>().join(", "))
        });
        let to = self.operations.iter().map(|operation| {
            let lists = [
                list("methods", operation.methods.clone()),
                list("notMethods", operation.not_methods.clone()),
                list("paths", patterns(&operation.paths)),
                list("notPaths", patterns(&operation.not_paths)),
                list("hosts", patterns(&operation.hosts)),
                list("ports", operation.ports.iter().map(u16::to_string).collect()),
            ];
            format!("{{\"operation\": {{{}}}}}", lists.into_iter().flatten().collect::<Vec<_>>().join(", "))
        });
        let mut parts = Vec::new();
        for (name, items) in [("from", from.collect::<Vec<_>>()), ("to", to.collect())] {
            parts.extend((!items.is_empty()).then(|| format!("\"{name}\": [{}]", items.join(", "))));
        }
        if let Some((name, pattern)) = &self.header {
            let value = pattern.written();
            parts.push(format!(
                "\"when\": [{{\"key\": \"request.headers[{name}]\", \"values\": [\"{value}\"]}}]"
            ));
        }
        format!("{{{}}}", parts.join(", "))
    }
}
