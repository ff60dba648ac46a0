//! A policy that applies.

use meshproof_grammar::dry_run::DryRun;
use meshproof_resources::{Action, AuthorizationPolicy, Meta};

/// One AuthorizationPolicy that applies to the enforcement point.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What it says.
    pub spec: &'a AuthorizationPolicy,
    /// The annotation `istio.io/dry-run` as written.
    pub dry_run: Option<&'a str>,
}

impl<'a> Policy<'a> {
    /// A policy with the metadata of its object. `namespace` is the one it lives in when the object names none.
    pub fn new(meta: &'a Meta, spec: &'a AuthorizationPolicy, namespace: &'a str) -> Policy<'a> {
        Policy {
            namespace: meta.namespace.as_ref().map_or(namespace, |written| written.value.as_str()),
            name: meta.name(),
            spec,
            dry_run: meta.annotations.get("istio.io/dry-run").map(|text| text.value.as_str()),
        }
    }

    /// The action in force.
    pub fn action(&self) -> Action {
        self.spec.effective_action()
    }

    /// Whether the policy is only tried out. A value that is no boolean means that it is enforced (Istio 1.32,
    /// `builder.go`).
    pub fn is_dry_run(&self) -> bool {
        self.dry_run.is_some_and(|text| DryRun::parse(text).is_ok_and(|dry_run| dry_run.0))
    }

    /// The name of a rule in Envoy's configuration and logs.
    pub fn rule_id(&self, rule: usize) -> String {
        // Every rule of every workload has one, and formatting takes several times as long.
        let mut id = String::with_capacity(self.namespace.len() + self.name.len() + 48);
        for part in ["ns[", self.namespace, "]-policy[", self.name, "]-rule["] {
            id.push_str(part);
        }
        match u8::try_from(rule) {
            Ok(digit @ 0..=9) => id.push(char::from(b'0' + digit)),
            _ => id.push_str(&rule.to_string()),
        }
        id.push(']');
        id
    }

    /// `namespace/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
