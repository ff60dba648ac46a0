//! The same rules in the languages of Cedar and of Rego.

use std::str::FromStr;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use serde_json::json;

use crate::workload::{Case, Pattern, Rule, Rules};

/// Cedar: a policy for each rule.
pub struct Cedar {
    policies: PolicySet,
    needs_allow: bool,
}

fn cedar_pattern(attribute: &str, pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) => format!("{attribute} == \"{text}\""),
        Pattern::Prefix(text) => format!("{attribute} like \"{text}*\""),
        Pattern::Suffix(text) => format!("{attribute} like \"*{text}\""),
        // One segment: something, and no slash in it.
        Pattern::Template(before, behind) => format!(
            "({attribute} like \"{before}*{behind}\" && !({attribute} like \"{before}*/*{behind}\") && {attribute} != \"{before}{behind}\")"
        ),
    }
}

fn any(parts: Vec<String>) -> Option<String> {
    (!parts.is_empty()).then(|| format!("({})", parts.join(" || ")))
}

fn cedar_rule(rule: &Rule) -> String {
    let patterns = |attribute: &str, list: &[Pattern]| {
        list.iter().map(|pattern| cedar_pattern(attribute, pattern)).collect::<Vec<_>>()
    };
    let blocks = |list: &[([u8; 4], u8)]| {
        list.iter()
            .map(|([a, b, c, d], length)| {
                format!("context.source.isInRange(ip(\"{a}.{b}.{c}.{d}/{length}\"))")
            })
            .collect::<Vec<_>>()
    };
    let not = |part: Option<String>| part.map(|part| format!("!{part}"));
    let all = |parts: Vec<Option<String>>| {
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "true".to_owned() } else { format!("({})", parts.join(" && ")) }
    };
    let sources = rule.sources.iter().map(|source| {
        let namespaces =
            source.namespaces.iter().map(|own| format!("context.namespace == \"{own}\"")).collect();
        all(vec![
            any(patterns("context.principal", &source.principals)),
            not(any(patterns("context.principal", &source.not_principals))),
            any(namespaces),
            any(blocks(&source.blocks)),
            not(any(blocks(&source.not_blocks))),
        ])
    });
    let operations = rule.operations.iter().map(|operation| {
        let methods = |list: &[String]| {
            list.iter().map(|own| format!("context.method == \"{own}\"")).collect::<Vec<_>>()
        };
        let ports = operation.ports.iter().map(|port| format!("context.port == {port}")).collect();
        all(vec![
            any(methods(&operation.methods)),
            not(any(methods(&operation.not_methods))),
            any(patterns("context.path", &operation.paths)),
            not(any(patterns("context.path", &operation.not_paths))),
            any(patterns("context.host", &operation.hosts)),
            any(ports),
        ])
    });
    let header = rule.header.as_ref().map(|(_, pattern)| cedar_pattern("context.team", pattern));
    let effect = if rule.denies { "forbid" } else { "permit" };
    let condition = all(vec![any(sources.collect()), any(operations.collect()), header]);
    format!("{effect} (principal, action, resource) when {{ {condition} }};\n")
}

fn namespace(case: &Case) -> &str {
    case.name.split('/').nth(4).unwrap_or_default()
}

fn principal(case: &Case) -> &str {
    case.name.strip_prefix("spiffe://").unwrap_or_default()
}

fn team(case: &Case) -> &str {
    case.headers.iter().find(|(name, _)| name == "x-team").map_or("", |(_, value)| value)
}

impl Cedar {
    /// The rules as policies.
    pub fn new(rules: &Rules) -> Cedar {
        let text: String = rules.0.iter().map(cedar_rule).collect();
        let policies = PolicySet::from_str(&text).expect("policies");
        Cedar { policies, needs_allow: rules.0.iter().any(|rule| !rule.denies) }
    }

    /// Whether the request passes. Building the request is a part of it, as it is for every engine here.
    pub fn allows(&self, case: &Case) -> bool {
        let [a, b, c, d] = case.source;
        let context = json!({
            "principal": principal(case), "namespace": namespace(case), "method": case.method, "path": case.path,
            "host": case.host, "port": case.port, "team": team(case),
            "source": { "__extn": { "fn": "ip", "arg": format!("{a}.{b}.{c}.{d}") } },
        });
        let uid = |text: &str| EntityUid::from_str(text).expect("a name");
        let context = Context::from_json_value(context, None).expect("a context");
        let request =
            Request::new(uid("Peer::\"p\""), uid("Action::\"call\""), uid("Workload::\"w\""), context, None)
                .expect("a request");
        let answer = Authorizer::new().is_authorized(&request, &self.policies, &Entities::empty());
        answer.decision() == Decision::Allow
            || (!self.needs_allow && answer.diagnostics().reason().next().is_none())
    }
}

/// Regorus: a rule for each rule.
pub struct Rego {
    engine: regorus::Engine,
    query: String,
}

fn rego_pattern(attribute: &str, pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) => format!("{attribute} == \"{text}\""),
        Pattern::Prefix(text) => format!("startswith({attribute}, \"{text}\")"),
        Pattern::Suffix(text) => format!("endswith({attribute}, \"{text}\")"),
        Pattern::Template(before, behind) => format!("one_segment({attribute}, \"{before}\", \"{behind}\")"),
    }
}

fn rego_rule(rule: &Rule, at: usize) -> String {
    let mut text = String::new();
    let mut body: Vec<String> = Vec::new();
    let mut helper = |name: String, parts: Vec<String>| -> Option<String> {
        for part in &parts {
            text.push_str(&format!("{name} if {{ {part} }}\n"));
        }
        (!parts.is_empty()).then_some(name)
    };
    let patterns = |attribute: &str, list: &[Pattern]| {
        list.iter().map(|pattern| rego_pattern(attribute, pattern)).collect::<Vec<_>>()
    };
    let blocks = |list: &[([u8; 4], u8)]| {
        list.iter()
            .map(|([a, b, c, d], length)| {
                let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                let size = 1u64 << (32 - length);
                let low = u32::from_be_bytes([*a, *b, *c, *d]) & mask;
                format!("input.source >= {low}; input.source < {}", u64::from(low) + size)
            })
            .collect::<Vec<_>>()
    };
    let equal = |attribute: &str, list: &[String]| {
        list.iter().map(|own| format!("{attribute} == \"{own}\"")).collect::<Vec<_>>()
    };
    let mut sources = Vec::new();
    for (number, source) in rule.sources.iter().enumerate() {
        let name = |part: &str| format!("r{at}_s{number}_{part}");
        let parts = [
            helper(name("p"), patterns("input.principal", &source.principals)),
            helper(name("np"), patterns("input.principal", &source.not_principals))
                .map(|part| format!("not {part}")),
            helper(name("ns"), equal("input.namespace", &source.namespaces)),
            helper(name("b"), blocks(&source.blocks)),
            helper(name("nb"), blocks(&source.not_blocks)).map(|part| format!("not {part}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        sources.push(if parts.is_empty() { "true".to_owned() } else { parts.join("; ") });
    }
    body.extend(helper(format!("r{at}_from"), sources));
    let mut operations = Vec::new();
    for (number, operation) in rule.operations.iter().enumerate() {
        let name = |part: &str| format!("r{at}_o{number}_{part}");
        let ports = operation.ports.iter().map(|port| format!("input.port == {port}")).collect();
        let parts = [
            helper(name("m"), equal("input.method", &operation.methods)),
            helper(name("nm"), equal("input.method", &operation.not_methods))
                .map(|part| format!("not {part}")),
            helper(name("pa"), patterns("input.path", &operation.paths)),
            helper(name("npa"), patterns("input.path", &operation.not_paths))
                .map(|part| format!("not {part}")),
            helper(name("h"), patterns("input.host", &operation.hosts)),
            helper(name("po"), ports),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        operations.push(if parts.is_empty() { "true".to_owned() } else { parts.join("; ") });
    }
    body.extend(helper(format!("r{at}_to"), operations));
    if let Some((_, pattern)) = &rule.header {
        body.push(rego_pattern("input.team", pattern));
    }
    let body = if body.is_empty() { "true".to_owned() } else { body.join("; ") };
    format!("{text}{} if {{ {body} }}\n", if rule.denies { "denied" } else { "allowed" })
}

impl Rego {
    /// The rules as a module.
    pub fn new(rules: &Rules) -> Rego {
        let mut text = "package mesh\nimport rego.v1\n\
            one_segment(text, before, behind) if { startswith(text, before); endswith(text, behind); \
            inside := substring(text, count(before), count(text) - count(before) - count(behind)); \
            inside != \"\"; not contains(inside, \"/\") }\n\
            default allowed := false\ndefault denied := false\n"
            .to_owned();
        rules.0.iter().enumerate().for_each(|(at, rule)| text.push_str(&rego_rule(rule, at)));
        let decision =
            if rules.0.iter().any(|rule| !rule.denies) { "allowed; not denied" } else { "not denied" };
        text.push_str(&format!("default decision := false\ndecision if {{ {decision} }}\n"));
        let mut engine = regorus::Engine::new();
        engine.add_policy("mesh.rego".to_owned(), text).expect("a module");
        Rego { engine, query: "data.mesh.decision".to_owned() }
    }

    /// Whether the request passes.
    pub fn allows(&mut self, case: &Case) -> bool {
        let input = json!({
            "principal": principal(case), "namespace": namespace(case), "method": case.method, "path": case.path,
            "host": case.host, "port": case.port, "team": team(case), "source": u32::from_be_bytes(case.source),
        });
        let input = regorus::Value::from_json_str(&input.to_string()).expect("an input");
        self.engine.set_input(input);
        self.engine.eval_rule(self.query.clone()).is_ok_and(|value| value == regorus::Value::Bool(true))
    }
}
