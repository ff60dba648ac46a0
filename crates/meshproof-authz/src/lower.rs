//! Envoy's RBAC filters for a list of policies, in the form in which istiod sends them.
//!
//! Rules: Istio 1.32, `security/authz/builder/builder.go` and `model/{model,permission,principal,generator}.go`. One filter
//! per action in the order AUDIT, DENY, ALLOW; policies on trial are shadow rules of the same filter.

use meshproof_resources::{Action, Text};
use serde_json::{Map, Value, json};

use crate::attribute::Attribute;
use crate::context::{Context, Engine, IdentityFlavour};
use crate::matchers::identity;
use crate::policy::Policy;
use crate::rule::{FieldTest, Item, ReadRule, cannot_test};
use crate::trace::Part;

mod custom;
mod text;

pub use custom::{CustomFilter, lower_custom};
use text::{
    anything, cidr, claim_values, header, metadata, metadata_values, pattern, port, regex, request_principal,
};

/// The filters of one chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// Filters in order, as protobuf JSON.
    pub filters: Vec<Value>,
    /// CUSTOM policies, by their place in the list: they need an external authorization filter in front, which only
    /// the settings of their provider describe. A chain without it enforces less than the policies say.
    pub left_out: Vec<usize>,
}

const HTTP: (&str, &str) =
    ("envoy.filters.http.rbac", "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC");
const TCP: (&str, &str) =
    ("envoy.filters.network.rbac", "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC");

/// Action, its name in Envoy, the prefix of what its shadow rules report.
const FILTERS: [(Action, &str, &str); 3] = [
    (Action::Audit, "LOG", ""),
    (Action::Deny, "DENY", "istio_dry_run_deny_"),
    (Action::Allow, "ALLOW", "istio_dry_run_allow_"),
];

/// The filters for the policies of a chain: the TCP chain for [`Engine::EnvoyTcp`], else the HTTP chain.
pub fn lower(policies: &[Policy<'_>], context: &Context) -> Lowered {
    let is_tcp = context.engine == Engine::EnvoyTcp;
    let (name, type_url) = if is_tcp { TCP } else { HTTP };
    let mut filters = Vec::new();
    for (action, envoy_action, shadow_prefix) in FILTERS {
        let rules = |dry_run| rules(policies, (action, envoy_action), dry_run, context);
        let (enforced, shadow) = (rules(false), rules(true));
        if enforced.is_none() && shadow.is_none() {
            continue;
        }
        let mut config = Map::new();
        config.insert("@type".to_owned(), json!(type_url));
        if is_tcp {
            config.insert("statPrefix".to_owned(), json!("tcp."));
        }
        // Without shadow rules istiod leaves the prefix of ALLOW, whatever the action.
        let prefix = if shadow.is_some() { shadow_prefix } else { "istio_dry_run_allow_" };
        if !prefix.is_empty() {
            config.insert("shadowRulesStatPrefix".to_owned(), json!(prefix));
        }
        config.extend(enforced.map(|rules| ("rules".to_owned(), rules)));
        config.extend(shadow.map(|rules| ("shadowRules".to_owned(), rules)));
        filters.push(json!({ "name": name, "typedConfig": config }));
    }
    let customs = policies.iter().enumerate().filter(|(_, policy)| policy.action() == Action::Custom);
    Lowered { filters, left_out: customs.map(|(at, _)| at).collect() }
}

/// The rules of one action; nothing when no policy has it. A policy without rules becomes a rule that never matches,
/// so that an empty ALLOW refuses everything.
fn rules(
    policies: &[Policy<'_>],
    (action, envoy_action): (Action, &str),
    dry_run: bool,
    context: &Context,
) -> Option<Value> {
    let mut entries = Map::new();
    let mut found = false;
    let chosen = policies.iter().filter(|policy| policy.action() == action && policy.is_dry_run() == dry_run);
    for policy in chosen {
        found = true;
        if policy.spec.rules.is_empty() {
            let never = json!({
                "permissions": [{ "notRule": { "any": true } }],
                "principals": [{ "notId": { "any": true } }],
            });
            entries.insert(policy.rule_id(0), never);
        }
        for (at, rule) in policy.spec.rules.iter().enumerate() {
            let Ok(read) = ReadRule::new(rule) else { continue };
            let chain = Chain::new(policy, context);
            if action == Action::Allow && read.has_untestable(chain.is_tcp) {
                continue;
            }
            entries.insert(policy.rule_id(at), chain.rule(&read));
        }
    }
    let mut rules = Map::new();
    if action != Action::Allow {
        rules.insert("action".to_owned(), json!(envoy_action));
    }
    rules.insert("policies".to_owned(), Value::Object(entries));
    found.then_some(Value::Object(rules))
}

/// What the matchers of one policy depend on.
struct Chain<'a> {
    policy_namespace: &'a str,
    trust_domains: &'a [String],
    identity: IdentityFlavour,
    is_tcp: bool,
}

impl<'a> Chain<'a> {
    fn new(policy: &Policy<'a>, context: &'a Context) -> Chain<'a> {
        Chain {
            policy_namespace: policy.namespace,
            trust_domains: &context.trust_domains,
            identity: context.identity,
            is_tcp: context.engine == Engine::EnvoyTcp,
        }
    }

    /// Every alternative of `to` with the conditions of its side, every alternative of `from` with those of the other.
    fn rule(&self, rule: &ReadRule<'_>) -> Value {
        let conditions = |permissions| {
            let tests = rule.when.iter().flat_map(|item| &item.tests);
            tests.filter(move |test| is_permission(&test.attribute) == permissions).collect::<Vec<_>>()
        };
        let sides = |items: &[Item<'_>], permissions: bool| -> Vec<Value> {
            let conditions = conditions(permissions);
            if items.is_empty() {
                return vec![self.all(&conditions, permissions)];
            }
            let each = items.iter().map(|item| {
                let tests: Vec<&FieldTest<'_>> =
                    ordered(item).into_iter().chain(conditions.iter().copied()).collect();
                self.all(&tests, permissions)
            });
            each.collect()
        };
        json!({ "permissions": sides(&rule.to, true), "principals": sides(&rule.from, false) })
    }

    /// All of the tests.
    fn all(&self, tests: &[&FieldTest<'_>], permissions: bool) -> Value {
        let mut parts = Vec::new();
        for test in tests {
            for (negated, _, values) in test.halves() {
                let Some(found) = self.one_of(&test.attribute, values, permissions) else { continue };
                parts.push(match (negated, permissions) {
                    (false, _) => found,
                    (true, true) => json!({ "notRule": found }),
                    (true, false) => json!({ "notId": found }),
                });
            }
        }
        if parts.is_empty() {
            parts.push(json!({ "any": true }));
        }
        if permissions {
            json!({ "andRules": { "rules": parts } })
        } else {
            json!({ "andIds": { "ids": parts } })
        }
    }

    /// One of the values; nothing when none is left.
    fn one_of(&self, attribute: &Attribute, values: &[Text], permissions: bool) -> Option<Value> {
        let usable: Vec<&str> = values
            .iter()
            .map(|value| value.value.as_str())
            .filter(|value| cannot_test(attribute, value, self.is_tcp).is_none())
            .collect();
        if usable.is_empty() {
            return None;
        }
        // These take all their values in one matcher.
        match attribute {
            Attribute::RequestPrincipal => {
                let mut ids: Vec<Value> = usable.iter().map(|value| request_principal(value)).collect();
                return Some(if ids.len() == 1 { ids.remove(0) } else { json!({ "orIds": { "ids": ids } }) });
            }
            Attribute::Claim(path) => return Some(claim_values(path, &usable)),
            Attribute::Metadata { filter, key } => {
                return Some(metadata(filter, &[key.as_str()], metadata_values(&usable)));
            }
            _ => {}
        }
        let expanded: Vec<String> = match attribute {
            Attribute::Principal => {
                let expand = |value| meshproof_grammar::principal::expand(value, self.trust_domains);
                usable.iter().copied().flat_map(expand).collect()
            }
            Attribute::TrustDomain => {
                let written: Vec<String> = usable.iter().map(|value| (*value).to_owned()).collect();
                meshproof_grammar::trust_domain::expand(&written, self.trust_domains)
            }
            _ => usable.iter().map(|value| (*value).to_owned()).collect(),
        };
        let each: Vec<Value> = expanded.iter().map(|value| self.value(attribute, value)).collect();
        Some(if permissions {
            json!({ "orRules": { "rules": each } })
        } else {
            json!({ "orIds": { "ids": each } })
        })
    }

    fn value(&self, attribute: &Attribute, value: &str) -> Value {
        match attribute {
            Attribute::Principal => self.peer(pattern(value, "spiffe://")),
            Attribute::Namespace => self.peer(regex(&text::namespace(value))),
            Attribute::ServiceAccount => {
                let account = identity::service_account_ref(value);
                self.peer(regex(&text::service_account(&account, self.policy_namespace)))
            }
            Attribute::TrustDomain => self.peer(text::trust_domain(value)),
            Attribute::SourceIp => json!({ "directRemoteIp": cidr(value) }),
            Attribute::RemoteIp => json!({ "remoteIp": cidr(value) }),
            Attribute::DestinationIp => json!({ "destinationIp": cidr(value) }),
            Attribute::DestinationPort => json!({ "destinationPort": port(value) }),
            Attribute::Sni => json!({ "requestedServerName": pattern(value, "") }),
            Attribute::Host => json!({ "header": header(":authority", value, true) }),
            Attribute::Method => json!({ "header": header(":method", value, false) }),
            Attribute::Header(name) => json!({ "header": header(name, value, false) }),
            Attribute::Path => text::path(value),
            // Taken together above, or without any usable value.
            Attribute::RequestPrincipal
            | Attribute::Claim(_)
            | Attribute::Metadata { .. }
            | Attribute::Untranslatable(_) => json!({ "notRule": anything() }),
        }
    }

    fn peer(&self, matcher: Value) -> Value {
        match self.identity {
            IdentityFlavour::Certificate => json!({ "authenticated": { "principalName": matcher } }),
            IdentityFlavour::FilterState => {
                json!({ "filterState": { "key": "io.istio.peer_principal", "stringMatch": matcher } })
            }
        }
    }
}

/// The side on which a condition stands.
fn is_permission(attribute: &Attribute) -> bool {
    match attribute {
        Attribute::DestinationIp
        | Attribute::DestinationPort
        | Attribute::Sni
        | Attribute::Metadata { .. } => true,
        Attribute::Untranslatable(key) => key.starts_with("experimental."),
        _ => false,
    }
}

/// The fields of an item in istiod's order, which is not the order of the API.
fn ordered<'a, 'b>(item: &'b Item<'a>) -> Vec<&'b FieldTest<'a>> {
    let rank = |attribute: &Attribute| match (item.part, attribute) {
        (Part::From(_), Attribute::Principal) | (_, Attribute::Host) => 0,
        (Part::From(_), Attribute::RequestPrincipal) | (_, Attribute::Method) => 1,
        (Part::From(_), Attribute::ServiceAccount) | (_, Attribute::Path) => 2,
        (Part::From(_), Attribute::TrustDomain) | (_, Attribute::DestinationPort) => 3,
        (Part::From(_), Attribute::Namespace) => 4,
        (Part::From(_), Attribute::RemoteIp) => 5,
        _ => 6,
    };
    let mut tests: Vec<&FieldTest<'_>> = item.tests.iter().collect();
    tests.sort_by_key(|test| rank(&test.attribute));
    tests
}
