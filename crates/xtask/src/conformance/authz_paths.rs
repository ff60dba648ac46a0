//! The table of path normalization: every character in every mode, and what templates make of the outcome.

use meshproof_authz::normalize_path;
use meshproof_grammar::path::PathPattern;
use serde_json::Value;

use super::{Outcome, Replay, authz};

/// Replays entries `MODE|TEXT`: the path `/api/aTEXTb` in that mode.
pub(super) struct Paths;

impl Replay for Paths {
    fn line(&mut self, kind: &str, line: &Value) -> Outcome {
        if kind != "path-normalization" {
            return Outcome::Unknown;
        }
        entry(line).unwrap_or_else(Outcome::Failed)
    }
}

fn entry(line: &Value) -> Result<Outcome, String> {
    let key = line["key"].as_str().unwrap_or_default();
    let (mode, text) = key.split_once('|').ok_or_else(|| format!("the key `{key}` has no mode"))?;
    let mode = authz::normalization(mode)?;
    let recorded = &line["value"];
    let said = normalize_path(&format!("/api/a{text}b"), mode);
    let agrees = match &said {
        Err(_) => recorded[0] == "reject-400",
        Ok(path) => {
            let path = path.split_once('?').map_or(path.as_str(), |(path, _)| path);
            let recorded_path = recorded[1].as_str().unwrap_or_default();
            let recorded_path = recorded_path.split_once('?').map_or(recorded_path, |(path, _)| path);
            let templates = ["/api/{*}", "/api/{**}"].iter().zip([&recorded[2], &recorded[3]]);
            recorded[0] == "allow"
                && path == recorded_path
                && templates.filter(|(_, recorded)| !recorded.is_null()).all(|(template, recorded)| {
                    let matches = PathPattern::parse(template).is_ok_and(|template| template.matches(path));
                    *recorded == if matches { "allow" } else { "deny" }
                })
        }
    };
    Ok(if agrees {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("{key}: recorded {recorded}, said {said:?}"))
    })
}
