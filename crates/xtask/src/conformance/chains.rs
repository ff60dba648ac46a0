//! Vectors of kind `authz`: which filters stand in the chains of a pod, in which order, with which rules.

use meshproof_authz::{Engine, Policy, context_of};
use meshproof_compiler::{Chain, ChainFilters, ChainPort};
use meshproof_ir::{Layer, WorkloadId};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::meshes::{Scene, compare, port};
use super::sets;

/// Looks the chains of the pod up in what is emitted for it.
pub(super) fn replay(scene: &Scene, line: &Value) -> Result<Outcome, String> {
    let id = scene.pod(&line["pod"])?;
    let mut recorded = line["chains"].clone();
    sorted_rules(&mut recorded);
    let number = match line.get("port") {
        Some(number) => Some(ChainPort::Number(port(number)?)),
        None => None,
    };
    let proxy = scene.compiled().proxies.iter().find(|proxy| proxy.workload == id);
    let proxy = proxy.ok_or_else(|| format!("nothing is emitted for {}", line["pod"]))?;
    let mut said = Map::new();
    for layer in recorded.as_object().into_iter().flat_map(Map::keys) {
        let of_layer = |chain: &&Chain| (chain.layer == Layer::Http) == (layer == "http");
        let has_port = |chain: &&Chain| {
            number
                .is_none_or(|number| [number, ChainPort::Other].iter().any(|port| chain.ports.contains(port)))
        };
        let chain = proxy.chains.iter().filter(of_layer).find(has_port);
        let chain = chain.ok_or_else(|| format!("no {layer} chain is emitted for {}", line["pod"]))?;
        // The recorded lines of pods leave the verification of tokens out.
        said.insert(layer.clone(), json!(described(&chain.filters, &[])));
    }
    agree_with_sets(scene, id, &scene.policies(id), &recorded)?;
    Ok(compare(&format!("pod {}", line["pod"]), line, &recorded, &Value::Object(said)))
}

/// The sets of requests of the policies, held against the recorded chains of a proxy.
///
/// # Errors
/// Where they contradict each other.
pub(super) fn agree_with_sets(
    scene: &Scene,
    proxy: WorkloadId,
    policies: &[Policy<'_>],
    recorded: &Value,
) -> Result<(), String> {
    for (layer, filters) in recorded.as_object().into_iter().flatten() {
        let engine = if layer == "http" { Engine::EnvoyHttp } else { Engine::EnvoyTcp };
        let context = context_of(&scene.mesh, scene.cluster(proxy), engine);
        sets::agree(policies, &context, filters)?;
    }
    scene.sets.borrow_mut().told += 1;
    Ok(())
}

/// Puts the rules of recorded filters in order: that of a map has no meaning.
pub(super) fn sorted_rules(chains: &mut Value) {
    let filters =
        chains.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_array_mut);
    for rules in filters.flatten().filter_map(|filter| filter.get_mut("rules")?.as_array_mut()) {
        rules.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
    }
}

/// Emitted filters in the words of the vectors; tokens of `issuers` are verified among them.
pub(super) fn described(chain: &ChainFilters, issuers: &[String]) -> Vec<Value> {
    let mut said: Vec<Value> = Vec::new();
    for (at, filter) in chain.filters.iter().enumerate() {
        if at == chain.before_tokens && !issuers.is_empty() {
            said.push(json!({ "jwt": issuers }));
        }
        said.extend(words(filter));
    }
    if chain.before_tokens == chain.filters.len() && !issuers.is_empty() {
        said.push(json!({ "jwt": issuers }));
    }
    said
}

/// One filter: its rules in force, then those on trial.
fn words(filter: &Value) -> Vec<Value> {
    let config = &filter["typedConfig"];
    if filter["name"].as_str().is_some_and(|name| name.ends_with(".ext_authz")) {
        return vec![json!({ "ext_authz": true })];
    }
    let is_custom = config["shadowRulesStatPrefix"] == "istio_ext_authz_";
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
        if is_custom {
            described["custom"] = json!(true);
        }
        described
    });
    each.collect()
}
