//! Whether the spec decodes into istiod's types: the webhook's first step.
//!
//! Istio decodes with golang/protobuf's `jsonpb`, unknown fields allowed. It is more forgiving than the CRD (numbers
//! may stand in quotes, null is absent) and stricter in places (durations need a unit, map keys of numbers are read
//! as JSON). The types are those of the CRD's schema, which is generated from the same protobuf messages.

use meshproof_yaml::{NodeRef, Scalar, Shape};

use super::issue::Collector;
use crate::schema::values::parse_duration;
use crate::schema::{Node, Path, Schema, Type, shown};

/// Durations whose schema has no rule that would tell them from other strings.
const DURATIONS: [&str; 3] = ["budgetInterval", "idleTimeout", "ttl"];

/// Checks the spec of an object.
pub(super) fn check(collector: &mut Collector, schema: Schema, object: NodeRef<'_>) {
    let Some(spec) = object.get("spec").filter(|spec| !spec.is_null()) else { return };
    let Some(index) = schema.root().property("spec") else { return };
    Decoder { collector, schema }.value(spec, schema.node(index), &Path::Root.field("spec"));
}

struct Decoder<'c> {
    collector: &'c mut Collector,
    schema: Schema,
}

impl Decoder<'_> {
    fn value(&mut self, value: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        // A null message or string is an empty one, wherever it stands.
        if value.is_null() {
            return;
        }
        match (schema.kind, value.shape()) {
            (Type::Object, Shape::Mapping) => self.object(value, schema, path),
            (Type::Array, Shape::Sequence) => {
                let Some(items) = schema.items else { return };
                for (index, item) in value.items().enumerate() {
                    self.value(item, self.schema.node(items), &path.item(index));
                }
            }
            (Type::Any, _) => {}
            (_, Shape::Scalar) => self.scalar(value, schema, path),
            _ => self.misfit(value, path, "a value of another type"),
        }
    }

    fn object(&mut self, object: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        for (name, index) in &schema.properties {
            // The protobuf spelling counts only where the JSON spelling does not stand.
            let hidden = *name == "jwks_uri" && object.entry("jwksUri").is_some();
            if let Some(value) = object.get(name).filter(|_| !hidden) {
                let field = self.schema.node(*index);
                let path = path.field(name);
                if DURATIONS.contains(name) && field.kind == Type::String {
                    self.duration(value, &path);
                } else {
                    self.value(value, field, &path);
                }
            }
        }
        let Some(values) = schema.additional else { return };
        for (key, value) in object.entries() {
            let Some(name) = key.key_text() else { continue };
            let path = path.field(&name);
            if self.schema.has_port_keys(schema) && !is_json_unsigned(&name) {
                let message = format!("{} is not the number of a port", shown(&name));
                self.collector.refuse(&path, key, message);
            }
            self.value(value, self.schema.node(values), &path);
        }
    }

    fn scalar(&mut self, value: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        let Some(scalar) = value.scalar() else { return };
        match (schema.kind, &scalar) {
            (Type::String, Scalar::Str(text)) => {
                if self.schema.is_duration(schema) {
                    self.duration(value, path);
                } else if !schema.allowed.is_empty() && !schema.allowed.contains(&&**text) {
                    self.misfit(value, path, "not one of the allowed values");
                }
            }
            // Enums may be written as numbers, which the CRD does not take.
            (Type::String, Scalar::Int(number)) if !schema.allowed.is_empty() => {
                if i32::try_from(*number).is_err() {
                    self.misfit(value, path, "not one of the allowed values");
                }
            }
            (Type::Boolean, Scalar::Bool(_)) | (Type::IntOrString, _) => {}
            (Type::Integer, Scalar::Int(_) | Scalar::Uint(_) | Scalar::Float(_) | Scalar::Str(_)) => {
                if !fits(&scalar, schema) {
                    self.misfit(value, path, "not a whole number of the allowed range");
                }
            }
            (Type::Number, Scalar::Int(_) | Scalar::Uint(_) | Scalar::Float(_)) => {}
            (Type::Number, Scalar::Str(text)) if text == "null" || text.parse::<f64>().is_ok() => {}
            _ => self.misfit(value, path, "a value of another type"),
        }
    }

    fn duration(&mut self, value: NodeRef<'_>, path: &Path<'_>) {
        match value.scalar() {
            Some(Scalar::Str(text)) if parse_duration(&text).is_some() => {}
            Some(Scalar::Null) => {}
            Some(Scalar::Str(text)) => self.collector.refuse_with_help(
                path,
                value,
                format!("{} is no duration", shown(text)),
                "write a number with a unit, such as `5s`, `100ms` or `1h30m`",
            ),
            _ => self.misfit(value, path, "a value of another type"),
        }
    }

    fn misfit(&mut self, value: NodeRef<'_>, path: &Path<'_>, what: &str) {
        self.collector.refuse(path, value, format!("`{path}` cannot be read: this is {what}"));
    }
}

/// Whether a number fits the integer that the schema was made from: `int32`, or `uint32` and `uint64` by the limits
/// that the CRD generator writes for them.
fn fits(scalar: &Scalar<'_>, schema: &Node) -> bool {
    let value = match scalar {
        Scalar::Int(value) => i128::from(*value),
        Scalar::Uint(value) => i128::from(*value),
        Scalar::Float(value) if value.fract() == 0.0 && value.abs() < 1e18 => *value as i128,
        // Without the quotes this is a null, which leaves the zero.
        Scalar::Str(text) if text == "null" => return true,
        Scalar::Str(text) if is_json_integer(text) => match text.trim().parse() {
            Ok(value) => value,
            Err(_) => return false,
        },
        _ => return false,
    };
    if schema.format == Some("int32") {
        i32::try_from(value).is_ok()
    } else if schema.maximum.is_some() {
        u32::try_from(value).is_ok()
    } else if schema.minimum.is_some() {
        u64::try_from(value).is_ok()
    } else {
        i64::try_from(value).is_ok()
    }
}

/// A JSON number without fraction and exponent, blanks around it allowed.
fn is_json_integer(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'))
}

/// A map key that `encoding/json` reads into a `uint32`; `null` leaves the zero.
fn is_json_unsigned(key: &str) -> bool {
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    let trimmed = key.trim_matches([' ', '\t', '\r', '\n']);
    trimmed == "null" || (is_json_integer(key) && trimmed.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_json_unsigned;

    #[test]
    fn keys_of_ports_are_json_numbers() {
        for good in ["80", "0", " 80", "65536", "null"] {
            assert!(is_json_unsigned(good), "{good:?}");
        }
        for bad in ["abc", "", "080", "+80", "-1", "80.5", "8e1", "4294967296", "name"] {
            assert!(!is_json_unsigned(bad), "{bad:?}");
        }
    }
}
