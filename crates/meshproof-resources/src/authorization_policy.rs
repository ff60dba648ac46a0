//! AuthorizationPolicy (security.istio.io v1, v1beta1).

use meshproof_source::{Span, Spanned};

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
}
