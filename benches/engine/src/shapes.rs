//! Many rules of one shape each: what making a table costs has to grow with their number, whatever they ask.

/// The shapes, by name.
pub const SHAPES: [&str; 14] = [
    "custom",
    "deny",
    "templates",
    "blocks",
    "nested-blocks",
    "values",
    "headers",
    "not",
    "one-policy",
    "policies",
    "claims",
    "namespaces",
    "prefixes",
    "same",
];

/// So many rules in a policy, of shapes that say nothing else.
const RULES: usize = 5;

/// Manifests with so many rules of the shape; none of a shape that is not known.
pub fn documents(shape: &str, count: usize) -> Vec<String> {
    let (action, rules_of_one, rule): (&str, usize, fn(usize) -> String) = match shape {
        "custom" => ("CUSTOM", 1, of_principal),
        "deny" => ("DENY", RULES, of_principal),
        "templates" => ("ALLOW", RULES, |at| to("paths", &format!("/api/v{}/{{*}}/{at}/{{**}}", at % 7))),
        "blocks" => ("ALLOW", RULES, |at| from("ipBlocks", &block(at, 24))),
        "nested-blocks" => ("ALLOW", RULES, |at| from("ipBlocks", &block(at, 8 + at % 25))),
        "values" => ("ALLOW", RULES, |at| when("request.headers[x-a]", "values", &format!("v{at}"))),
        "headers" => ("ALLOW", RULES, |at| when(&format!("request.headers[x-{at}]"), "values", "v")),
        "not" => ("ALLOW", RULES, |at| {
            let from = from("notPrincipals", &format!("cluster.local/ns/n{}/sa/a{at}", at % 100));
            let to = to("notPaths", &format!("/api/{at}/*"));
            format!("{from}, {to}, {}", when("request.headers[x-a]", "notValues", &format!("v{at}")))
        }),
        "one-policy" => ("ALLOW", usize::MAX, of_principal),
        "policies" => ("ALLOW", 1, of_principal),
        "claims" => ("ALLOW", RULES, |at| when("request.auth.claims[group]", "values", &format!("g{at}*"))),
        "namespaces" => ("ALLOW", RULES, |at| from("namespaces", &format!("*n{at}"))),
        "prefixes" => ("ALLOW", RULES, |at| to("paths", &format!("/{}*", "a".repeat(at % 1_000)))),
        "same" => ("ALLOW", RULES, |_| from("principals", "cluster.local/ns/n/sa/a")),
        _ => return Vec::new(),
    };
    let rules: Vec<String> = (0..count).map(|at| format!("{{{}}}", rule(at))).collect();
    let provider = if action == "CUSTOM" { ", \"provider\": {\"name\": \"p\"}" } else { "" };
    let policies = rules.chunks(rules_of_one.min(count.max(1))).enumerate();
    let documents = policies.map(|(at, rules)| {
        let rules = rules.join(", ");
        format!(
            "{{\"apiVersion\": \"security.istio.io/v1\", \"kind\": \"AuthorizationPolicy\", \"metadata\": {{\"namespace\": \"bench\", \"name\": \"p-{at:05}\"}}, \"spec\": {{\"action\": \"{action}\"{provider}, \"rules\": [{rules}]}}}}"
        )
    });
    documents.collect()
}

fn of_principal(at: usize) -> String {
    let from = from("principals", &format!("cluster.local/ns/n{}/sa/a{at}", at % 100));
    format!("{from}, {}", to("paths", &format!("/api/{at}")))
}

fn from(field: &str, value: &str) -> String {
    format!("\"from\": [{{\"source\": {{\"{field}\": [\"{value}\"]}}}}]")
}

fn to(field: &str, value: &str) -> String {
    format!("\"to\": [{{\"operation\": {{\"{field}\": [\"{value}\"]}}}}]")
}

fn when(key: &str, field: &str, value: &str) -> String {
    format!("\"when\": [{{\"key\": \"{key}\", \"{field}\": [\"{value}\"]}}]")
}

fn block(at: usize, length: usize) -> String {
    format!("10.{}.{}.0/{length}", at / 256 % 256, at % 256)
}
