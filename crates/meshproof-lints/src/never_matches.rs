//! Why a rule can never match: computed once per rule, then asked per workload port.
//!
//! Sound in one direction only: what is called dead is dead, what is called alive may still be dead. Rules:
//! authorization-policy reference §1.2 (structure), §4 (values), §5 (TCP and ztunnel).

mod values;

use std::sync::Arc;

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_ir::{Capture, EnforcementPoint, NamespaceId, Workload, WorkloadPort};
use meshproof_resources::{Attribute, Condition, Match, MtlsMode, Operation, Rule, Source, Text};
use meshproof_source::Span;

use crate::accounts::Accounts;
use crate::context::knows_ports;
use crate::hash::Set;
use crate::patterns::is_contradictory;
pub(crate) use values::identity;
use values::{method, path};

/// What kind of reason it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An identity that nobody can have.
    Identity,
    /// A method, path or other value that no request has.
    Value,
    /// A positive list that its `not` twin takes back.
    Contradiction,
    /// HTTP fields where there is no HTTP.
    NeedsHttp,
    /// The rule is about other ports.
    Port,
    /// An identity is asked for where only plaintext can arrive.
    Plaintext,
    /// A token is asked for that nothing validates.
    Token,
}

/// One reason why a rule can never match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Never {
    /// The token at fault.
    pub(crate) span: Span,
    /// What is wrong with it, without a final stop.
    pub(crate) reason: String,
    /// Kind of reason.
    pub(crate) cause: Cause,
    /// Holds whatever else exists; otherwise it is only likely.
    pub(crate) certain: bool,
    /// The text to put in its place, when that is plain.
    pub(crate) fix: Option<String>,
}

/// A port list with its numbers read and sorted: it is asked for every port of every workload.
struct Ports<'a> {
    test: &'a Match,
    /// Positive numbers; none when one of the values is no number, which admission refuses and is not judged here.
    numbers: Option<Vec<u32>>,
    not_numbers: Vec<u32>,
}

impl<'a> Ports<'a> {
    fn new(test: &'a Match) -> Self {
        let number = |value: &Text| value.value.trim().parse::<u32>().ok();
        let mut numbers: Option<Vec<u32>> = test.values.iter().map(number).collect();
        numbers.iter_mut().for_each(|numbers| numbers.sort_unstable());
        let mut not_numbers: Vec<u32> = test.not_values.iter().filter_map(number).collect();
        not_numbers.sort_unstable();
        Ports { test, numbers, not_numbers }
    }

    /// Whether the list keeps a port out.
    fn excludes(&self, port: u16) -> bool {
        let port = u32::from(port);
        let missing = |numbers: &Vec<u32>| !numbers.is_empty() && numbers.binary_search(&port).is_err();
        self.numbers.as_ref().is_some_and(missing) || self.not_numbers.binary_search(&port).is_ok()
    }
}

/// Facts of one rule.
pub(crate) struct RuleFacts<'a> {
    /// The rule.
    pub(crate) rule: &'a Rule,
    /// Reasons that hold at every workload; any at all means that the rule is dead everywhere.
    pub(crate) dead: Vec<Never>,
    /// The first field that exists only in HTTP, and its name.
    http_only: Option<(Span, String)>,
    /// The first field that ztunnel cannot test.
    beyond_ztunnel: Option<(Span, String)>,
    /// Every way to match asks for a peer identity: a place to point at.
    pub(crate) wants_identity: Option<Span>,
    /// Every way to match asks for a validated token.
    wants_token: Option<Span>,
    /// Port lists of the operations that can match at all; empty when there is none with a list-free way.
    operations: Vec<Ports<'a>>,
    /// `when` conditions on `destination.port`.
    port_conditions: Vec<Ports<'a>>,
    /// Port lists of all operations, in the order of the rule.
    of_operations: Vec<Ports<'a>>,
    /// Ports where a Sidecar ends TLS of its own.
    own_tls: Arc<TlsListeners>,
}

/// Namespaces with ports where a Sidecar's `ingress` ends TLS of its own: on a DISABLE port callers may then have an
/// identity after all (networking.istio.io/v1 Sidecar, `ingress.tls`).
/// Those without a namespace stand in the root namespace and count everywhere.
pub(crate) type TlsListeners = Set<(Option<NamespaceId>, u16)>;

impl<'a> RuleFacts<'a> {
    /// Looks at a rule of a policy in `namespace`.
    pub(crate) fn new(
        rule: &'a Rule,
        namespace: Option<&str>,
        accounts: &Accounts<'_>,
        own_tls: &Arc<TlsListeners>,
    ) -> Self {
        let mut dead = dead_sources(rule, namespace, accounts);
        let (live, mut dead_operations) = split_operations(rule);
        if live.is_empty() && !rule.to.is_empty() {
            dead.append(&mut dead_operations);
        }
        for condition in rule.when.iter() {
            dead.extend(dead_condition(condition, namespace, accounts));
        }
        let when = |key: &str| rule.when.iter().find(|condition| condition.key.value.starts_with(key));
        let positive = |condition: &&Condition| !condition.values.values.is_empty();
        let wants_identity = all_of(&rule.from, source_wants_identity).or_else(|| {
            rule.when
                .iter()
                .filter(positive)
                .find(|condition| is_identity_key(&condition.key))
                .map(|condition| condition.key.span)
        });
        let wants_token = all_of(&rule.from, |source| first_span(&source.request_principals.values))
            .or_else(|| when("request.auth.").filter(positive).map(|condition| condition.key.span));
        RuleFacts {
            rule,
            dead,
            http_only: http_only(rule),
            beyond_ztunnel: beyond_ztunnel(rule),
            wants_identity,
            wants_token,
            operations: live.iter().map(|operation| Ports::new(&operation.ports)).collect(),
            port_conditions: rule
                .when
                .iter()
                .filter(|condition| condition.key.value == "destination.port")
                .map(|condition| Ports::new(&condition.values))
                .collect(),
            of_operations: rule.to.iter().map(|operation| Ports::new(&operation.ports)).collect(),
            own_tls: Arc::clone(own_tls),
        }
    }

    /// Whether the rule, in an ALLOW policy, may match a request at this port; a port of which nothing is known may
    /// carry anything.
    pub(crate) fn may_allow(&self, workload: &Workload, port: Option<&WorkloadPort>) -> bool {
        self.dead.is_empty()
            && self.lacks_http(workload, port).is_none()
            && self.misses_port(workload, port).is_none()
            && self.lacks_identity(workload, port).is_none()
            && self.lacks_token(workload).is_none()
    }

    /// Why it can never match there; empty when it may.
    pub(crate) fn reasons(&self, workload: &Workload, port: Option<&WorkloadPort>) -> Vec<Never> {
        if !self.dead.is_empty() {
            return self.dead.clone();
        }
        self.lacks_http(workload, port)
            .or_else(|| self.misses_port(workload, port))
            .or_else(|| self.lacks_identity(workload, port))
            .or_else(|| self.lacks_token(workload))
            .into_iter()
            .collect()
    }

    /// An ALLOW rule with HTTP fields is dropped whole on a TCP chain, and one with more than ztunnel's fields there.
    fn lacks_http(&self, workload: &Workload, port: Option<&WorkloadPort>) -> Option<Never> {
        if workload.enforcement_point() == Some(EnforcementPoint::Ztunnel) {
            let (span, field) = self.beyond_ztunnel.as_ref()?;
            let reason =
                format!("ztunnel enforces this policy and cannot test `{field}`, so it drops the whole rule");
            return Some(Never { span: *span, reason, cause: Cause::NeedsHttp, certain: true, fix: None });
        }
        let (span, field) = self.http_only.as_ref()?;
        let port = port.filter(|port| port.protocol.is(&ProtocolClass::Tcp))?;
        let reason = format!("port {} carries TCP, where `{field}` drops the whole rule", port.number);
        Some(Never { span: *span, reason, cause: Cause::NeedsHttp, certain: true, fix: None })
    }

    fn misses_port(&self, workload: &Workload, port: Option<&WorkloadPort>) -> Option<Never> {
        let port = port?;
        if !workload.enforcement_point().is_some_and(knows_ports) {
            return None;
        }
        let (test, missed) = if !self.operations.is_empty()
            && self.operations.iter().all(|operation| operation.excludes(port.number))
        {
            (self.operations.first().map(|operation| operation.test)?, port.number)
        } else {
            (self.port_conditions.iter().find(|ports| ports.excludes(port.number))?.test, port.number)
        };
        let span = first_span(&test.values).or_else(|| first_span(&test.not_values))?;
        let wanted: Vec<&str> = test.values.iter().take(4).map(|value| value.value.as_str()).collect();
        let reason = if wanted.is_empty() {
            format!("the rule excludes port {missed}")
        } else {
            format!("the rule is about port {}, not {missed}", wanted.join(", "))
        };
        Some(Never { span, reason, cause: Cause::Port, certain: true, fix: None })
    }

    /// On a DISABLE port of a sidecar without HBONE there is no TLS, hence no identity.
    fn lacks_identity(&self, workload: &Workload, port: Option<&WorkloadPort>) -> Option<Never> {
        let span = self.wants_identity?;
        let mode = port.map_or(&workload.mode, |port| &port.mode);
        if !workload.capture.is(&Capture::Sidecar) || !mode.mode.is(&MtlsMode::Disable) {
            return None;
        }
        let own_tls = |port: &WorkloadPort| {
            let places = [Some(workload.namespace), None];
            places.iter().any(|place| self.own_tls.contains(&(*place, port.number)))
        };
        if port.is_some_and(own_tls) {
            return None;
        }
        let reason = "mTLS is disabled there, so no caller has an identity".to_owned();
        Some(Never { span, reason, cause: Cause::Plaintext, certain: true, fix: None })
    }

    fn lacks_token(&self, workload: &Workload) -> Option<Never> {
        let span = self.wants_token?;
        let enforced = matches!(workload.enforcement_point(), Some(EnforcementPoint::Sidecar));
        if !enforced || !workload.request_authentications.is_empty() {
            return None;
        }
        let reason =
            "no RequestAuthentication applies to the workload, so no token is ever validated".to_owned();
        Some(Never { span, reason, cause: Cause::Token, certain: false, fix: None })
    }

    /// Whether its port lists leave this port in.
    pub(crate) fn is_about(&self, port: &WorkloadPort) -> bool {
        let by_operation = self.operations.is_empty()
            || self.operations.iter().any(|operation| !operation.excludes(port.number));
        by_operation && !self.port_conditions.iter().any(|ports| ports.excludes(port.number))
    }

    /// Whether the rule, in a DENY policy, matches every request of the HTTP chain at this port.
    pub(crate) fn denies_everything(&self, port: Option<&WorkloadPort>) -> bool {
        self.rule.from.is_empty()
            && self.rule.when.is_empty()
            && self.matches_whole_port(port, |operation| {
                [&operation.hosts, &operation.methods, &operation.paths].iter().all(|test| test.is_empty())
            })
    }

    /// Whether the rule, in a DENY policy, matches every connection of a TCP chain at this port: HTTP fields count as
    /// true there (authorization-policy reference §5.2).
    pub(crate) fn denies_every_connection(&self, port: Option<&WorkloadPort>) -> bool {
        let any_source = self.rule.from.is_empty()
            || self.rule.from.iter().any(|source| {
                source
                    .fields()
                    .iter()
                    .all(|(attribute, test)| test.is_empty() || *attribute == Attribute::RequestPrincipals)
            });
        let any_condition = self.rule.when.iter().all(|condition| is_http_key(&condition.key));
        any_source && any_condition && self.matches_whole_port(port, |_| true)
    }

    /// Whether the rule, in a DENY policy, matches every caller that has an identity at all, and mutual TLS lets nobody
    /// else in at this port.
    pub(crate) fn denies_every_identity(&self, port: &WorkloadPort) -> bool {
        let is_every = |test: &Match| {
            test.not_values.is_empty()
                && (test.values.is_empty() || test.values.iter().any(|value| value.value == "*"))
        };
        let any_identity = self.rule.from.iter().any(|source| {
            source.fields().iter().all(|(attribute, test)| match attribute {
                Attribute::Principals | Attribute::Namespaces => is_every(test),
                _ => test.is_empty(),
            })
        });
        any_identity
            && self.rule.when.is_empty()
            && port.mode.mode.is(&MtlsMode::Strict)
            && self.matches_whole_port(Some(port), |operation| {
                [&operation.hosts, &operation.methods, &operation.paths].iter().all(|test| test.is_empty())
            })
    }

    fn matches_whole_port(&self, port: Option<&WorkloadPort>, rest: impl Fn(&Operation) -> bool) -> bool {
        self.rule.to.is_empty()
            || self.rule.to.iter().zip(&self.of_operations).any(|(operation, ports)| {
                let port_fits =
                    operation.ports.is_empty() || port.is_some_and(|port| !ports.excludes(port.number));
                port_fits && rest(operation)
            })
    }

    /// The first field that ztunnel cannot test.
    pub(crate) fn beyond_ztunnel(&self) -> Option<(Span, &str)> {
        self.beyond_ztunnel.as_ref().map(|(span, name)| (*span, name.as_str()))
    }

    /// The first HTTP field, for messages about TCP ports.
    pub(crate) fn http_field(&self) -> Option<(Span, &str)> {
        self.http_only.as_ref().map(|(span, name)| (*span, name.as_str()))
    }
}

fn first_span(values: &[Text]) -> Option<Span> {
    values.first().map(|value| value.span)
}

/// The place of the first item when every item has one (and there are items).
fn all_of<T>(items: &[T], place: impl Fn(&T) -> Option<Span>) -> Option<Span> {
    let mut first = None;
    for item in items {
        let span = place(item)?;
        first = first.or(Some(span));
    }
    first
}

fn source_wants_identity(source: &Source) -> Option<Span> {
    [&source.principals, &source.namespaces, &source.service_accounts, &source.trust_domains]
        .into_iter()
        .find_map(|test| first_span(&test.values))
}

fn is_identity_key(key: &str) -> bool {
    matches!(key, "source.principal" | "source.namespace" | "source.serviceAccount" | "source.trustDomain")
}

fn is_http_key(key: &str) -> bool {
    key.starts_with("request.headers") || key.starts_with("request.auth.")
}

/// The first field that only HTTP has (§5).
fn http_only(rule: &Rule) -> Option<(Span, String)> {
    first_field(rule, |attribute| {
        use Attribute::{Hosts, Methods, Paths, RequestPrincipals};
        matches!(attribute, Hosts | Methods | Paths | RequestPrincipals)
    })
    .or_else(|| condition_key(rule, is_http_key))
}

/// The first field that ztunnel cannot test (§5.3).
fn beyond_ztunnel(rule: &Rule) -> Option<(Span, String)> {
    first_field(rule, |attribute| {
        use Attribute::{Hosts, Methods, Paths, RemoteIpBlocks, RequestPrincipals};
        matches!(attribute, Hosts | Methods | Paths | RequestPrincipals | RemoteIpBlocks)
    })
    .or_else(|| {
        condition_key(rule, |key| {
            !matches!(
                key,
                "source.ip" | "source.namespace" | "source.principal" | "destination.ip" | "destination.port"
            )
        })
    })
}

fn first_field(rule: &Rule, wanted: impl Fn(Attribute) -> bool) -> Option<(Span, String)> {
    let sources = rule.from.iter().flat_map(Source::fields);
    let operations = rule.to.iter().flat_map(Operation::fields);
    sources.chain(operations).filter(|(attribute, _)| wanted(*attribute)).find_map(|(attribute, test)| {
        let name = attribute_name(attribute);
        let positive = first_span(&test.values).map(|span| (span, name.to_owned()));
        positive
            .or_else(|| first_span(&test.not_values).map(|span| (span, format!("not{}", capitalised(name)))))
    })
}

fn condition_key(rule: &Rule, wanted: impl Fn(&str) -> bool) -> Option<(Span, String)> {
    let found = rule.when.iter().find(|condition| wanted(&condition.key.value))?;
    Some((found.key.span, found.key.value.clone()))
}

/// As written in manifests.
pub(crate) fn attribute_name(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::Principals => "principals",
        Attribute::RequestPrincipals => "requestPrincipals",
        Attribute::Namespaces => "namespaces",
        Attribute::ServiceAccounts => "serviceAccounts",
        Attribute::TrustDomains => "trustDomains",
        Attribute::IpBlocks => "ipBlocks",
        Attribute::RemoteIpBlocks => "remoteIpBlocks",
        Attribute::Hosts => "hosts",
        Attribute::Ports => "ports",
        Attribute::Methods => "methods",
        Attribute::Paths => "paths",
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// Reasons when every source is impossible; nothing otherwise.
fn dead_sources(rule: &Rule, namespace: Option<&str>, accounts: &Accounts<'_>) -> Vec<Never> {
    let mut reasons = Vec::new();
    for source in rule.from.iter() {
        let found = source.fields().into_iter().map(|(attribute, test)| {
            dead_list(attribute, test, |value| identity(attribute, value, namespace, accounts))
        });
        match found.into_iter().find(|reasons| !reasons.is_empty()) {
            Some(mut found) => reasons.append(&mut found),
            None => return Vec::new(),
        }
    }
    reasons
}

/// Operations that can match, and the reasons of those that cannot.
fn split_operations(rule: &Rule) -> (Vec<&Operation>, Vec<Never>) {
    let mut live = Vec::new();
    let mut reasons = Vec::new();
    for operation in rule.to.iter() {
        let found = operation.fields().into_iter().map(|(attribute, test)| {
            dead_list(attribute, test, |value| match attribute {
                Attribute::Methods => method(value),
                Attribute::Paths => path(value),
                _ => None,
            })
        });
        match found.into_iter().find(|reasons| !reasons.is_empty()) {
            Some(mut found) => reasons.append(&mut found),
            None => live.push(operation),
        }
    }
    (live, reasons)
}

fn dead_condition(condition: &Condition, namespace: Option<&str>, accounts: &Accounts<'_>) -> Vec<Never> {
    let attribute = match condition.key.value.as_str() {
        "source.principal" => Attribute::Principals,
        "source.namespace" => Attribute::Namespaces,
        "source.serviceAccount" => Attribute::ServiceAccounts,
        _ => return Vec::new(),
    };
    dead_list(attribute, &condition.values, |value| identity(attribute, value, namespace, accounts))
}

/// Reasons when no value of a list can match, one per value; nothing otherwise.
fn dead_list(attribute: Attribute, test: &Match, judge: impl Fn(&Text) -> Option<Never>) -> Vec<Never> {
    // Ports are judged where the port is known.
    if attribute != Attribute::Ports && is_contradictory(test) {
        let span = first_span(&test.not_values).or(first_span(&test.values));
        let name = attribute_name(attribute);
        let reason = format!("`not{}` takes back every value of `{name}`", capitalised(name));
        return span
            .map(|span| Never { span, reason, cause: Cause::Contradiction, certain: true, fix: None })
            .into_iter()
            .collect();
    }
    let mut reasons = Vec::new();
    for value in test.values.iter() {
        match judge(value) {
            Some(never) => reasons.push(never),
            None => return Vec::new(),
        }
    }
    reasons
}
