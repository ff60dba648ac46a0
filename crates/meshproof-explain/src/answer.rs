//! What is answered: plain data that reports draw.

use meshproof_network::Passage;
use meshproof_resources::Action;
use meshproof_source::Span;

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It gets through.
    Allow,
    /// It does not.
    Deny,
}

/// A sentence and the place in the manifests that makes it true.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// For people.
    pub text: String,
    /// Where it is written; nothing for defaults.
    pub span: Option<Span>,
}

impl Evidence {
    /// Something that is so by default.
    pub fn new(text: impl Into<String>) -> Evidence {
        Evidence { text: text.into(), span: None }
    }

    /// Something that is written.
    pub fn at(text: impl Into<String>, span: Span) -> Evidence {
        Evidence { text: text.into(), span: Some(span) }
    }
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What becomes of the request, as far as the input tells.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// The policy that decides.
    pub deciding: Option<Deciding>,
    /// The client, as the question names it.
    pub from: String,
    /// The workload, `namespace/name`.
    pub to: String,
    /// The cluster of the workload, where several have one of that name.
    pub cluster: Option<String>,
    /// The port of the pods.
    pub port: u16,
    /// The Service through which it is called.
    pub service: Option<String>,
    /// The request in few words: `GET /x`, or `TCP connection`.
    pub request: String,
    /// Every place that lets it through or not, in the order in which the request gets there. What comes behind a
    /// refusal is not there.
    pub hops: Vec<Hop>,
    /// What the input does not tell and the answer depends on.
    pub unknowns: Vec<String>,
    /// What is worth knowing beside.
    pub notes: Vec<Evidence>,
}

/// The policy that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deciding {
    /// `namespace/name`.
    pub policy: String,
    /// What it does.
    pub action: Action,
    /// Its rule, counted from 1.
    pub rule: Option<usize>,
    /// Where the rule stands, or the policy if it has none.
    pub span: Span,
}

/// What stands at the end of a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointKind {
    /// An ingress, egress or east-west gateway.
    Gateway,
    /// A waypoint.
    Waypoint,
    /// A sidecar.
    Sidecar,
    /// The node proxy of ambient mode.
    Ztunnel,
    /// A gRPC server without a proxy.
    ProxylessGrpc,
    /// Nothing of the mesh.
    NoProxy,
    /// Not known.
    Unknown,
}

impl PointKind {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            PointKind::Gateway => "gateway",
            PointKind::Waypoint => "waypoint",
            PointKind::Sidecar => "sidecar",
            PointKind::Ztunnel => "ztunnel",
            PointKind::ProxylessGrpc => "gRPC server",
            PointKind::NoProxy => "no proxy",
            PointKind::Unknown => "unknown",
        }
    }
}

/// One place that decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// What is there.
    pub kind: PointKind,
    /// `namespace/name` of the workload, gateway or waypoint.
    pub name: String,
    /// The port that is called there.
    pub port: u16,
    /// How the request gets there.
    pub transport: Transport,
    /// What network policies say; nothing when the workload behind the hop is not known.
    pub network: Option<NetworkTold>,
    /// What policies say; nothing when the request does not get that far, or nobody asks them.
    pub authorization: Option<Authorization>,
}

/// What network policies say of the way to a hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkTold {
    /// Whether packets get through.
    pub passage: Passage,
    /// What decides; nothing where there are no network policies at all.
    pub evidence: Vec<Evidence>,
}

/// What is on the wire, as the receiving end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Mutual TLS: encrypted, and the client has an identity.
    Mtls,
    /// TLS that the proxy does not open: encrypted, and nobody looks inside.
    Tls,
    /// Plaintext.
    Plaintext,
    /// No connection comes about.
    Refused,
    /// The input does not tell.
    Unknown,
}

impl Outcome {
    /// The word of the JSON report.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Mtls => "mtls",
            Outcome::Tls => "tls",
            Outcome::Plaintext => "plaintext",
            Outcome::Refused => "refused",
            Outcome::Unknown => "unknown",
        }
    }
}

impl Hop {
    /// Whether the request ends here.
    pub fn refuses(&self) -> bool {
        self.transport.outcome == Outcome::Refused
            || self.is_cut_off()
            || self.authorization.as_ref().is_some_and(|told| told.verdict == Verdict::Deny)
    }

    /// Whether network policies drop its packets.
    pub fn is_cut_off(&self) -> bool {
        self.network.as_ref().is_some_and(|network| network.passage == Passage::Denied)
    }
}

/// How the request gets to a hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// What is on the wire.
    pub outcome: Outcome,
    /// The identity that policies see, without scheme.
    pub identity: Option<String>,
    /// What makes the client send it so.
    pub client: Vec<Evidence>,
    /// What makes the server take it, or not.
    pub server: Vec<Evidence>,
    /// Why no connection comes about.
    pub refusal: Option<String>,
}

/// What decides at a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ground {
    /// A rule matches.
    Rule,
    /// There are ALLOW policies and no rule of them matches.
    NoRule,
    /// Nothing denies it, and no ALLOW policy applies.
    Default,
    /// The proxy refuses it before policies are asked: a broken path, or a token that is not taken.
    Proxy,
}

/// What policies say at a hop.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// What becomes of the request here.
    pub verdict: Verdict,
    /// What decides.
    pub ground: Ground,
    /// Why, in one sentence.
    pub reason: String,
    /// The policy that decides.
    pub deciding: Option<Deciding>,
    /// CUSTOM providers that are asked; the verdict holds if each says yes.
    pub asked: Vec<String>,
    /// Whether the proxy looks at the request as HTTP.
    pub is_http: bool,
    /// Whether the next hop still gets the token of the request.
    pub keeps_token: bool,
    /// Headers that the proxy sets from claims of the token.
    pub sets_headers: Vec<(String, String)>,
    /// In the order in which they run; those without policies are left out.
    pub phases: Vec<Phase>,
    /// What is worth knowing beside.
    pub notes: Vec<Evidence>,
}

/// The policies of one action.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Which.
    pub action: Action,
    /// The policies, each with its rules.
    pub policies: Vec<PolicyTold>,
}

impl Phase {
    /// Rules that match and count, and all that count.
    pub fn matching(&self) -> (usize, usize) {
        let rules =
            || self.policies.iter().filter(|policy| policy.aside.is_none()).flat_map(|policy| &policy.rules);
        (rules().filter(|rule| rule.fate == Fate::Matched).count(), rules().count())
    }
}

/// A policy and what became of its rules.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyTold {
    /// `namespace/name`.
    pub id: String,
    /// The object.
    pub span: Span,
    /// Why it does not count here: dry run, or the engine does not get it.
    pub aside: Option<&'static str>,
    /// Why it is not certain that it applies.
    pub doubt: Option<String>,
    /// Its rules.
    pub rules: Vec<RuleTold>,
}

/// A rule and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleTold {
    /// Counted from 1.
    pub number: usize,
    /// Where it stands.
    pub span: Span,
    /// Whether it matches.
    pub fate: Fate,
    /// How many tests stand between the request and a match; nothing when it matches or never can.
    pub tests_short: Option<usize>,
    /// Whether it is for this operation and asks something of the client that the rule which lets the request in does not
    /// ask: a restriction that is bypassed.
    pub restricts: bool,
    /// Values that do not count although the rule does.
    pub ignored: Vec<Evidence>,
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It matches.
    Matched,
    /// It does not; the first test that fails.
    Failed(Miss),
    /// The engine does not have it.
    Dropped(Evidence),
}

/// A test that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The field, or the key of a condition.
    pub field: String,
    /// What it wants, in words.
    pub wants: String,
    /// What there is, in words.
    pub has: String,
    /// Where it stands.
    pub span: Span,
}
