//! JSON Web Key Sets as far as istiod reads them (github.com/lestrrat-go/jwx v1.2, `jwk.Parse`).

use serde_json::{Map, Value};

use crate::schema::shown;

/// What a key set holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet {
    /// A private or symmetric key is among the keys.
    pub private: bool,
}

/// Reads a key set, or one key that stands alone. The error says what is wrong, for the end of a sentence.
pub(super) fn parse(text: &str) -> Result<KeySet, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON ({error})"))?;
    let Value::Object(set) = value else { return Err("it is not a JSON object".to_owned()) };
    let mut found = KeySet::default();
    match set.get("keys") {
        None => found.private = key(&set)?,
        Some(Value::Null) => {}
        Some(Value::Array(keys)) => {
            for (index, value) in keys.iter().enumerate() {
                let Value::Object(map) = value else {
                    return Err(format!("keys[{index}] is not a JSON object"));
                };
                found.private |= key(map).map_err(|problem| format!("keys[{index}]: {problem}"))?;
            }
        }
        Some(_) => return Err("`keys` is not a list".to_owned()),
    }
    Ok(found)
}

/// Whether a key is private.
fn key(map: &Map<String, Value>) -> Result<bool, String> {
    let text = |name: &str| map.get(name).and_then(Value::as_str);
    // `d` counts as soon as it is there, whatever it holds.
    let private = map.contains_key("d");
    let required: &[&str] = match text("kty").unwrap_or("") {
        "RSA" => &["e", "n"],
        "EC" => &["x", "y"],
        "OKP" => &["x"],
        "oct" => &["k"],
        other => return Err(format!("the key type {} is not RSA, EC, OKP or oct", shown(other))),
    };
    for name in required.iter().chain(if private { &["d"][..] } else { &[] }) {
        match text(name) {
            Some(value) if is_base64(value) => {}
            Some(_) => return Err(format!("`{name}` is not base64")),
            None => return Err(format!("`{name}` is missing")),
        }
    }
    const CURVES: [&str; 7] = ["Ed25519", "Ed448", "P-256", "P-384", "P-521", "X25519", "X448"];
    if required.contains(&"x") && !text("crv").is_some_and(|curve| CURVES.contains(&curve)) {
        return Err("`crv` is not the name of a curve".to_owned());
    }
    Ok(private || required.contains(&"k"))
}

fn is_base64(text: &str) -> bool {
    text.trim_end_matches('=').bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_sets_and_single_keys() {
        assert_eq!(parse(r#"{"keys":[]}"#), Ok(KeySet { private: false }));
        assert_eq!(parse(r#"{"kty":"RSA","e":"AQAB","n":"xAE7"}"#), Ok(KeySet { private: false }));
        assert_eq!(parse(r#"{"keys":[{"kty":"oct","k":"AQAB"}]}"#), Ok(KeySet { private: true }));
        assert_eq!(
            parse(r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}]}"#),
            Ok(KeySet { private: true })
        );
    }

    #[test]
    fn what_is_no_key_set() {
        for bad in [
            "not json",
            "[]",
            "null",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[{"kty":"RSA"}]}"#,
            r#"{"kty":"x"}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
