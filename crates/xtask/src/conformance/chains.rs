//! Vectors of kind `authz`: which filters stand in the chains of a pod, in which order, with which rules.

use meshproof_authz::{Context, Engine, Policy, context_of, lower, lower_custom};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::meshes::{Scene, compare};

/// Lowers the policies of the pod for each layer of the line.
pub(super) fn replay(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let mesh = &scene.mesh;
    let id = scene.pod(&line["pod"])?;
    let attached = scene.policies(id);
    let mut recorded = line["chains"].clone();
    let mut said = Map::new();
    sorted_rules(&mut recorded);
    for layer in recorded.as_object().into_iter().flat_map(Map::keys) {
        let engine = if layer == "http" { Engine::EnvoyHttp } else { Engine::EnvoyTcp };
        let context = context_of(mesh, scene.cluster(id), engine);
        said.insert(layer.clone(), json!(chain(&attached, &[], &context)));
    }
    Ok(compare(&format!("pod {}", line["pod"]), line, &recorded, &Value::Object(said)))
}

/// Puts the rules of recorded filters in order: that of a map has no meaning.
pub(super) fn sorted_rules(chains: &mut Value) {
    let filters =
        chains.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_array_mut);
    for rules in filters.flatten().filter_map(|filter| filter.get_mut("rules")?.as_array_mut()) {
        rules.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
    }
}

/// The filters in the words of the vectors. Tokens of `issuers` are verified after CUSTOM policies and before all others.
pub(super) fn chain(attached: &[Policy<'_>], issuers: &[String], context: &Context) -> Vec<Value> {
    let mut chain = Vec::new();
    for custom in lower_custom(attached, context).filters {
        for mut filter in described(&custom.filter) {
            filter["custom"] = json!(true);
            chain.push(filter);
        }
        chain.push(json!({ "ext_authz": true }));
    }
    if !issuers.is_empty() {
        chain.push(json!({ "jwt": issuers }));
    }
    chain.extend(lower(attached, context).filters.iter().flat_map(described));
    chain
}

/// One filter: its rules in force, then those on trial.
fn described(filter: &Value) -> Vec<Value> {
    let config = &filter["typedConfig"];
    let halves = [("rules", false), ("shadowRules", true)];
    let halves = halves.into_iter().filter_map(|(key, shadow)| Some((config.get(key)?, shadow)));
    let each = halves.map(|(rules, shadow)| {
        let action = rules["action"].as_str().unwrap_or("ALLOW");
        let mut names: Vec<&String> = rules["policies"].as_object().into_iter().flat_map(Map::keys).collect();
        names.sort();
        let names = if names.is_empty() { Value::Null } else { json!(names) };
        let mut described = json!({ "action": action, "rules": names });
        if shadow {
            described["shadow"] = json!(true);
        }
        described
    });
    each.collect()
}
