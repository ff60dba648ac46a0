//! The policies of a place as one kind of connection meets them: what lets in, and what refuses.

use std::hash::Hash;
use std::sync::OnceLock;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use meshproof_authz::{Context, Engine, Policy, policy_of};
use meshproof_explain::{PointKind, assume_providers};
use meshproof_grammar::pattern::Pattern;
use meshproof_ir::{Mesh, ResourceId};
use meshproof_space::{
    Admitted, Clause, Domain, Effect as RuleEffect, Issuer, RequestBox, RuleBoxes, RuleId, Test, Tokens,
    Variable, lower,
};
use meshproof_transport::trusted_domains;

use crate::answers::Answers;
use crate::doubts::{Asks, written_headers};
use crate::effect::Effect;
use crate::peers::Peers;
use crate::place::Place;
use crate::refused::Said;

/// A rule of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// The policy.
    pub policy: ResourceId,
    /// Its rule, counted from 0.
    pub rule: usize,
}

/// The policies that one kind of connection meets at a place.
pub(crate) struct Chain<'m> {
    pub policies: Vec<Policy<'m>>,
    pub context: Context,
    pub domain: Domain,
    /// Who is let in as far as no other rule refuses.
    pub alternatives: Vec<Alternative>,
    /// What is refused.
    pub refusing: Vec<Refusing>,
    /// Providers that are asked.
    pub asked: Vec<String>,
    /// What could not be worked out.
    pub limits: Vec<String>,
    /// Which of the tests of ports the port meets, in order: ports with equal answers have equal chains.
    pub at_port: Vec<bool>,
    /// Headers that request authentication writes claims of tokens to, in lower case.
    pub written: Vec<String>,
    /// What was asked about it.
    pub answers: Answers,
    /// Where each policy stands among the policies.
    at: HashMap<ResourceId, usize>,
    /// What rules ask for that reports leave out where nobody asks.
    pub asks: Asks,
    /// Identities that the place takes; any where there is no test.
    pub trusted: Vec<Test>,
    /// Whether the place sees the identities of those who call.
    is_identified: bool,
    /// The alternatives by what is asked of callers; made when somebody looks.
    by_peers: OnceLock<HashMap<Peers, Vec<usize>>>,
    /// What is refused, in words; made when somebody looks.
    pub said: OnceLock<Said>,
}

/// Requests that rules let in, of callers that meet the same tests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alternative {
    pub peers: Peers,
    pub boxes: Vec<RequestBox>,
    /// None where there is no ALLOW policy.
    pub rules: Vec<RuleRef>,
}

impl Alternative {
    /// What is left of it where nobody has an identity; nothing where it asks for one.
    pub fn of_nobody(&self) -> Option<Alternative> {
        let peers = self.peers.admits(None).then(|| self.peers.without_identity())?;
        Some(Alternative { peers, ..self.clone() })
    }
}

/// Requests that a rule refuses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusing {
    pub peers: Peers,
    pub requests: RequestBox,
    pub rule: RuleRef,
}

impl Refusing {
    /// All that is refused, as one box.
    pub fn whole(&self) -> RequestBox {
        RequestBox::of([self.peers.clauses.as_slice(), &self.requests.clauses].concat())
    }
}

impl<'m> Chain<'m> {
    /// The chain; nothing where no proxy takes the connection. `certain`: only policies that apply for certain.
    pub fn of(mesh: &'m Mesh, place: &Place, effect: &Effect, certain: bool) -> Option<Chain<'m>> {
        let mut context = effect.context(mesh, place.cluster, place.kind)?;
        let attached = place.policies.iter().filter(|attached| !certain || attached.certain.is_ok());
        let (ids, policies): (Vec<ResourceId>, Vec<Policy<'m>>) = attached
            .filter_map(|attached| Some((attached.policy, policy_of(mesh, attached.policy)?)))
            .unzip();
        assume_providers(mesh, &policies, &mut context);
        let tokens = tokens(mesh, place, &mut context);
        let domain = Domain { tokens, ports: vec![place.port], ..Domain::default() };
        let mut chain = Chain {
            policies,
            context,
            domain,
            alternatives: Vec::new(),
            refusing: Vec::new(),
            asked: Vec::new(),
            limits: Vec::new(),
            at_port: Vec::new(),
            written: written_headers(mesh, place),
            answers: Answers::default(),
            at: ids.iter().copied().zip(0..).collect(),
            asks: Asks::default(),
            trusted: trusted(mesh, place),
            is_identified: effect.identified,
            by_peers: OnceLock::new(),
            said: OnceLock::new(),
        };
        chain.read(&ids, place.port);
        chain.ask_for_tokens();
        let own = chain.alternatives.iter().flat_map(|alternative| &alternative.boxes);
        for one in own.chain(chain.refusing.iter().map(|refusing| &refusing.requests)) {
            chain.asks.add(one);
        }
        Some(chain)
    }

    fn read(&mut self, ids: &[ResourceId], port: u16) {
        let lowered = lower(&self.policies, &self.context);
        let mut of_peers: HashMap<Peers, usize> = HashMap::new();
        if !lowered.needs_allow {
            let all = vec![RequestBox::all()];
            self.alternatives.push(Alternative { peers: Peers::default(), boxes: all, rules: Vec::new() });
        }
        for rule in lowered.rules {
            let id = RuleRef { policy: ids[rule.id.policy], rule: rule.id.rule };
            let boxes = match &*rule.boxes {
                RuleBoxes::Boxes(boxes) => boxes.as_slice(),
                RuleBoxes::Dropped(_) => continue,
                RuleBoxes::Unknown(limit) => {
                    let policy = self.policies[rule.id.policy].id();
                    self.limits.push(format!("what a rule of {policy} matches: {limit}"));
                    continue;
                }
            };
            let asking = boxes.iter().filter(|whole| asks_for_port(whole));
            self.at_port.extend(asking.map(|whole| at_port(whole, port).is_some()));
            let here = boxes.iter().filter_map(|whole| at_port(whole, port)).map(Peers::part);
            match &rule.effect {
                RuleEffect::Allow => {
                    for (peers, requests) in here {
                        let peers = peers.with_claims_of(&requests);
                        let next = self.alternatives.len();
                        let at = *of_peers.entry(peers.clone()).or_insert(next);
                        if at == next {
                            self.alternatives.push(Alternative {
                                peers,
                                boxes: Vec::new(),
                                rules: Vec::new(),
                            });
                        }
                        let alternative = &mut self.alternatives[at];
                        alternative.boxes.push(requests);
                        if alternative.rules.last() != Some(&id) {
                            alternative.rules.push(id);
                        }
                    }
                }
                RuleEffect::Deny | RuleEffect::Refuse => {
                    self.refusing.extend(here.map(|(peers, requests)| Refusing {
                        peers,
                        requests,
                        rule: id,
                    }));
                }
                RuleEffect::Delegate(provider) => {
                    if here.count() > 0 && !self.asked.contains(provider) {
                        self.asked.push(provider.clone());
                    }
                }
                RuleEffect::Audit => {}
            }
        }
        for alternative in &mut self.alternatives {
            without_repeats(&mut alternative.boxes);
        }
    }

    /// Boxes of requests that these rules let in.
    pub fn admitted(&self, boxes: Vec<RequestBox>, rules: &[RuleRef]) -> Admitted {
        let id = |rule: &RuleRef| Some(RuleId { policy: *self.at.get(&rule.policy)?, rule: rule.rule });
        Admitted { boxes, by: rules.iter().filter_map(id).collect() }
    }

    /// How many boxes it has.
    pub fn size(&self) -> usize {
        self.refusing.len() + self.alternatives.iter().map(|one| one.boxes.len()).sum::<usize>()
    }

    /// Whether the chain speaks HTTP.
    pub fn is_http(&self) -> bool {
        matches!(self.context.engine, Engine::EnvoyHttp | Engine::Grpc)
    }

    /// Whether a rule plainly refuses all that somebody with this identity (nothing: without one) may send.
    pub fn refuses_all_of(&self, principal: Option<&str>) -> bool {
        self.refusing.iter().any(|refusing| {
            let is_of_all = refusing.requests.clauses.is_empty() && !refusing.peers.asks_for_token();
            is_of_all && refusing.peers.admits(principal)
        })
    }

    /// The same of everybody.
    pub fn refuses_everybody(&self) -> bool {
        let mut refusing = self.refusing.iter();
        refusing.any(|refusing| refusing.requests.clauses.is_empty() && refusing.peers.is_anybody())
    }

    /// The alternatives of callers of whom this is asked, as the place sees them.
    pub fn alternatives_of(&self, peers: &Peers) -> impl Iterator<Item = &Alternative> {
        let by_peers = self.by_peers.get_or_init(|| {
            let mut by_peers: HashMap<Peers, Vec<usize>> = HashMap::with_capacity(self.alternatives.len());
            for (at, alternative) in self.alternatives.iter().enumerate() {
                let peers = match self.is_identified {
                    true => alternative.peers.clone(),
                    false if alternative.peers.admits(None) => alternative.peers.without_identity(),
                    false => continue,
                };
                by_peers.entry(peers).or_default().push(at);
            }
            by_peers
        });
        by_peers.get(peers).into_iter().flatten().map(|at| &self.alternatives[*at])
    }

    /// Whether a box plainly holds some request, without a search.
    pub fn is_plain(&self, requests: &RequestBox) -> bool {
        let mut seen: Vec<&Variable> = Vec::new();
        requests.clauses.iter().all(|clause| {
            let first = !seen.contains(&&clause.variable);
            seen.push(&clause.variable);
            first
                && clause.none_of.is_empty()
                && clause.any_of.iter().all(|test| is_plain(&clause.variable, test))
        })
    }
}

/// Leaves the first of equal items.
pub(crate) fn without_repeats<T: Eq + Hash>(items: &mut Vec<T>) {
    if items.len() < 2 {
        return;
    }
    let mut seen: HashSet<&T> = HashSet::with_capacity(items.len());
    let is_first: Vec<bool> = items.iter().map(|one| seen.insert(one)).collect();
    let mut is_first = is_first.into_iter();
    items.retain(|_| is_first.next().unwrap_or(true));
}

/// Identities whose trust domain the place takes; none where any may be: client certificates of gateways are whoever's.
fn trusted(mesh: &Mesh, place: &Place) -> Vec<Test> {
    if place.kind == PointKind::Gateway {
        return Vec::new();
    }
    let domains = trusted_domains(mesh, place.cluster, place.kind == PointKind::Ztunnel).unwrap_or_default();
    domains.into_iter().map(Test::TrustDomain).collect()
}

/// What request authentication lets through; spaces part claims as its rules say.
fn tokens(mesh: &Mesh, place: &Place, context: &mut Context) -> Tokens {
    let rules: Vec<_> = place
        .request_authentications
        .iter()
        .filter_map(|attached| mesh.request_authentication(attached.policy))
        .flat_map(|policy| policy.jwt_rules.iter())
        .collect();
    if rules.is_empty() || context.engine != Engine::EnvoyHttp {
        return Tokens::None;
    }
    let claims = rules.iter().flat_map(|rule| rule.space_delimited_claims.iter());
    context.semantics.space_delimited_claims.extend(claims.map(|claim| claim.value.clone()));
    let issuers: Option<Vec<Issuer>> = rules
        .iter()
        .map(|rule| {
            let audiences = rule.audiences.iter().map(|audience| audience.value.clone()).collect();
            Some(Issuer { name: rule.issuer.as_ref()?.value.clone(), audiences })
        })
        .collect();
    issuers.map_or(Tokens::Any, Tokens::Issuers)
}

fn asks_for_port(whole: &RequestBox) -> bool {
    whole.clauses.iter().any(|clause| clause.variable == Variable::DestinationPort)
}

/// The box at a port, without the test of the port; nothing when it is not for this port.
fn at_port(whole: &RequestBox, port: u16) -> Option<RequestBox> {
    let is_port = |clause: &&Clause| clause.variable == Variable::DestinationPort;
    let is_here = |test: &Test| *test == Test::Port(port);
    let fits = whole.clauses.iter().filter(is_port).all(|clause| {
        (clause.any_of.is_empty() || clause.any_of.iter().any(is_here)) && !clause.none_of.iter().any(is_here)
    });
    let rest = whole.clauses.iter().filter(|clause| !is_port(clause)).cloned();
    fits.then(|| RequestBox::of(rest.collect()))
}

/// Whether some ordinary request passes the test.
fn is_plain(variable: &Variable, test: &Test) -> bool {
    match (variable, test) {
        (Variable::Method, Test::Header(Pattern::Exact(name))) => {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }
        (Variable::Method, Test::Header(Pattern::Present)) => true,
        (Variable::Path, Test::Path(Pattern::Present)) => true,
        (Variable::Path, Test::Path(Pattern::Exact(path) | Pattern::Prefix(path))) => {
            let ordinary = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte);
            path.starts_with('/') && !path.contains("//") && path.bytes().all(ordinary)
        }
        (Variable::SourceIp, Test::Block(_)) => true,
        _ => false,
    }
}
