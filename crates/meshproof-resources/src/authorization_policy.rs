//! AuthorizationPolicy (security.istio.io v1, v1beta1).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::read::{
    entries, key_name, mapping_at, objects, selector, spec_span, target_refs, text, text_at, texts,
};
use crate::{Field, Selector, TargetRef, Text};

/// `spec.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Lets matching requests in; the first one on a workload refuses all others.
    Allow,
    /// Refuses matching requests.
    Deny,
    /// Marks matching requests.
    Audit,
    /// Asks a provider about matching requests.
    Custom,
}

impl Action {
    /// As written in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Allow => "ALLOW",
            Action::Deny => "DENY",
            Action::Audit => "AUDIT",
            Action::Custom => "CUSTOM",
        }
    }
}

/// The spec of an AuthorizationPolicy.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationPolicy {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `selector`.
    pub selector: Option<Selector>,
    /// `targetRefs`, or the legacy `targetRef` when that list is empty.
    pub target_refs: Field<TargetRef>,
    /// `action`; absent means ALLOW. `None` inside when it is no action at all.
    pub action: Option<Spanned<Option<Action>>>,
    /// `provider.name`.
    pub provider: Option<Text>,
    /// `rules`.
    pub rules: Field<Rule>,
}

impl AuthorizationPolicy {
    /// The action in force: ALLOW when absent. An unreadable action is refused by admission and taken as ALLOW.
    pub fn effective_action(&self) -> Action {
        self.action.as_ref().and_then(|action| action.value).unwrap_or(Action::Allow)
    }
}

/// One item of `rules`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The item.
    pub span: Span,
    /// `from[].source`; empty means any source.
    pub from: Field<Source>,
    /// `to[].operation`; empty means any operation.
    pub to: Field<Operation>,
    /// `when`; all must hold.
    pub when: Field<Condition>,
}

/// A list field and its `not` twin: (no values, or one value matches) and no `not` value matches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// The positive list.
    pub values: Field<Text>,
    /// The negative list.
    pub not_values: Field<Text>,
}

impl Match {
    /// Neither list has a value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.not_values.is_empty()
    }
}

/// `from[].source`: all fields must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The item.
    pub span: Span,
    /// `principals`.
    pub principals: Match,
    /// `requestPrincipals`.
    pub request_principals: Match,
    /// `namespaces`.
    pub namespaces: Match,
    /// `serviceAccounts`.
    pub service_accounts: Match,
    /// `trustDomains`.
    pub trust_domains: Match,
    /// `ipBlocks`.
    pub ip_blocks: Match,
    /// `remoteIpBlocks`.
    pub remote_ip_blocks: Match,
}

/// `to[].operation`: all fields must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The item.
    pub span: Span,
    /// `hosts`.
    pub hosts: Match,
    /// `ports`.
    pub ports: Match,
    /// `methods`.
    pub methods: Match,
    /// `paths`.
    pub paths: Match,
}

/// One item of `when`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The item.
    pub span: Span,
    /// `key`.
    pub key: Text,
    /// `values` and `notValues`.
    pub values: Match,
}

/// Which field of a rule a value stands in; the order is the order of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Attribute {
    Principals,
    RequestPrincipals,
    Namespaces,
    ServiceAccounts,
    TrustDomains,
    IpBlocks,
    RemoteIpBlocks,
    Hosts,
    Ports,
    Methods,
    Paths,
}

impl Source {
    /// Every field with its attribute, in the order of the API.
    pub fn fields(&self) -> [(Attribute, &Match); 7] {
        [
            (Attribute::Principals, &self.principals),
            (Attribute::RequestPrincipals, &self.request_principals),
            (Attribute::Namespaces, &self.namespaces),
            (Attribute::ServiceAccounts, &self.service_accounts),
            (Attribute::TrustDomains, &self.trust_domains),
            (Attribute::IpBlocks, &self.ip_blocks),
            (Attribute::RemoteIpBlocks, &self.remote_ip_blocks),
        ]
    }

    /// The tests of all fields in the same order, to be changed.
    pub fn tests_mut(&mut self) -> [&mut Match; 7] {
        [
            &mut self.principals,
            &mut self.request_principals,
            &mut self.namespaces,
            &mut self.service_accounts,
            &mut self.trust_domains,
            &mut self.ip_blocks,
            &mut self.remote_ip_blocks,
        ]
    }
}

impl Operation {
    /// Every field with its attribute, in the order of the API.
    pub fn fields(&self) -> [(Attribute, &Match); 4] {
        [
            (Attribute::Hosts, &self.hosts),
            (Attribute::Ports, &self.ports),
            (Attribute::Methods, &self.methods),
            (Attribute::Paths, &self.paths),
        ]
    }

    /// The tests of all fields in the same order, to be changed.
    pub fn tests_mut(&mut self) -> [&mut Match; 4] {
        [&mut self.hosts, &mut self.ports, &mut self.methods, &mut self.paths]
    }
}

impl AuthorizationPolicy {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut policy = AuthorizationPolicy {
            span: spec_span(spec, object),
            selector: None,
            target_refs: Field::default(),
            action: None,
            provider: None,
            rules: Field::default(),
        };
        let (mut many, mut single) = (None, None);
        for (key, value) in entries(spec) {
            match key_name(key) {
                "selector" => policy.selector = selector(value),
                "targetRefs" => many = Some((key, value)),
                "targetRef" => single = Some((key, value)),
                "action" => policy.action = action(value),
                "provider" => policy.provider = text_at(value, "name"),
                "rules" => policy.rules = objects(key, value, rule),
                _ => {}
            }
        }
        policy.target_refs = target_refs(many, single);
        policy
    }
}

fn action(node: NodeRef<'_>) -> Option<Spanned<Option<Action>>> {
    if node.is_null() {
        return None;
    }
    let actions = [Action::Allow, Action::Deny, Action::Audit, Action::Custom];
    let written = node.str().unwrap_or_default();
    Some(Spanned::new(actions.into_iter().find(|action| action.as_str() == written), node.span()))
}

fn rule(node: NodeRef<'_>) -> Rule {
    let mut rule =
        Rule { span: node.span(), from: Field::default(), to: Field::default(), when: Field::default() };
    for (key, value) in node.entries() {
        match key_name(key) {
            "from" => rule.from = objects(key, value, source),
            "to" => rule.to = objects(key, value, operation),
            "when" => rule.when = objects(key, value, condition),
            _ => {}
        }
    }
    rule
}

fn source(item: NodeRef<'_>) -> Source {
    let mut source = Source {
        span: item.span(),
        principals: Match::default(),
        request_principals: Match::default(),
        namespaces: Match::default(),
        service_accounts: Match::default(),
        trust_domains: Match::default(),
        ip_blocks: Match::default(),
        remote_ip_blocks: Match::default(),
    };
    for (key, value) in entries(mapping_at(item, "source")) {
        let list = match key_name(key) {
            "principals" => &mut source.principals.values,
            "notPrincipals" => &mut source.principals.not_values,
            "requestPrincipals" => &mut source.request_principals.values,
            "notRequestPrincipals" => &mut source.request_principals.not_values,
            "namespaces" => &mut source.namespaces.values,
            "notNamespaces" => &mut source.namespaces.not_values,
            "serviceAccounts" => &mut source.service_accounts.values,
            "notServiceAccounts" => &mut source.service_accounts.not_values,
            "trustDomains" => &mut source.trust_domains.values,
            "notTrustDomains" => &mut source.trust_domains.not_values,
            "ipBlocks" => &mut source.ip_blocks.values,
            "notIpBlocks" => &mut source.ip_blocks.not_values,
            "remoteIpBlocks" => &mut source.remote_ip_blocks.values,
            "notRemoteIpBlocks" => &mut source.remote_ip_blocks.not_values,
            _ => continue,
        };
        *list = texts(key, value);
    }
    source
}

fn operation(item: NodeRef<'_>) -> Operation {
    let mut operation = Operation {
        span: item.span(),
        hosts: Match::default(),
        ports: Match::default(),
        methods: Match::default(),
        paths: Match::default(),
    };
    for (key, value) in entries(mapping_at(item, "operation")) {
        let list = match key_name(key) {
            "hosts" => &mut operation.hosts.values,
            "notHosts" => &mut operation.hosts.not_values,
            "ports" => &mut operation.ports.values,
            "notPorts" => &mut operation.ports.not_values,
            "methods" => &mut operation.methods.values,
            "notMethods" => &mut operation.methods.not_values,
            "paths" => &mut operation.paths.values,
            "notPaths" => &mut operation.paths.not_values,
            _ => continue,
        };
        *list = texts(key, value);
    }
    operation
}

fn condition(item: NodeRef<'_>) -> Condition {
    let mut condition = Condition {
        span: item.span(),
        key: Spanned::new(String::new(), item.span()),
        values: Match::default(),
    };
    for (key, value) in item.entries() {
        match key_name(key) {
            "key" => {
                let empty = || Spanned::new(String::new(), item.span());
                condition.key = text(value).unwrap_or_else(empty);
            }
            "values" => condition.values.values = texts(key, value),
            "notValues" => condition.values.not_values = texts(key, value),
            _ => {}
        }
    }
    condition
}
