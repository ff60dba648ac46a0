//! The comparison of an object with its schema.

use std::borrow::Cow;

use meshproof_yaml::{NodeRef, Scalar, Shape};

use super::table::{Node, Table, Type};
use super::{Path, Violation, ViolationKind, closest, shown};

/// Compares an object with the schema node `root`. Depth is bounded by the parser's limit on nesting.
pub(super) fn check(table: &'static Table, root: u32, object: NodeRef<'_>) -> Vec<Violation> {
    let mut walk = Walk { table, found: Vec::new(), unknown: 0 };
    walk.value(object, object, root, &Path::Root);
    walk.found
}

/// An object with more unknown fields than this gets no advice for the rest: each costs a comparison with every name.
const SUGGESTIONS: usize = 200;

struct Walk {
    table: &'static Table,
    found: Vec<Violation>,
    unknown: usize,
}

impl Walk {
    fn report(&mut self, node: NodeRef<'_>, path: &Path<'_>, kind: ViolationKind, message: String) {
        self.found.push(Violation { path: path.to_string(), span: node.span(), kind, message, help: None });
    }

    /// `holder` is the key or the list that holds the value: a missing value has no text of its own.
    fn value(&mut self, holder: NodeRef<'_>, value: NodeRef<'_>, schema: u32, path: &Path<'_>) {
        let schema = self.table.node(schema);
        match value.shape() {
            Shape::Mapping => match schema.kind {
                Type::Object => self.object(value, schema, path),
                Type::Any => {}
                other => self.wrong_type(holder, value, other, path),
            },
            Shape::Sequence => match schema.kind {
                Type::Array => self.array(value, schema, path),
                Type::Any => {}
                other => self.wrong_type(holder, value, other, path),
            },
            Shape::Scalar => self.scalar(holder, value, schema, path),
        }
        for rule in self.table.rules_of(schema) {
            if let Some(broken) = rule.check(value) {
                let span = broken.span.unwrap_or_else(|| visible(holder, value).span());
                self.found.push(Violation {
                    path: match broken.key {
                        Some(key) => path.field(&key).to_string(),
                        None => path.to_string(),
                    },
                    span,
                    kind: ViolationKind::Rule,
                    message: broken.message,
                    help: broken.help,
                });
            }
        }
    }

    fn object(&mut self, object: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        let before = self.found.len();
        let mut seen = Seen::default();
        let mut entries = 0u64;
        for (key, value) in object.entries() {
            entries += 1;
            let Some(name) = key.key_text() else { continue };
            let position = schema.properties.binary_search_by(|(known, _)| (*known).cmp(&*name));
            if let Ok(position) = position {
                seen.mark(position);
                let index = schema.properties[position].1;
                self.value(key, value, index, &path.field(&name));
            } else {
                self.additional(key, value, &name, schema, path);
            }
        }
        if seen.twice {
            self.found.truncate(before);
            self.last_of_equal_keys(object, schema, path);
        }
        self.missing(object, schema, path);
        self.choices(object, schema, path);
        self.size(object, path, entries, (schema.min_properties, schema.max_properties), "entries");
    }

    /// Checks a mapping with repeated keys: only the last of equal ones reaches the API server.
    fn last_of_equal_keys(&mut self, object: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        let position = |name: &str| schema.properties.binary_search_by(|(known, _)| (*known).cmp(name)).ok();
        let mut last = vec![0; schema.properties.len()];
        for (index, (key, _)) in object.entries().enumerate() {
            if let Some(position) = key.key_text().and_then(|name| position(&name)) {
                last[position] = index;
            }
        }
        for (index, (key, value)) in object.entries().enumerate() {
            let Some(name) = key.key_text() else { continue };
            match position(&name) {
                Some(position) if last[position] == index => {
                    self.value(key, value, schema.properties[position].1, &path.field(&name));
                }
                Some(_) => {}
                None => self.additional(key, value, &name, schema, path),
            }
        }
    }

    fn additional(
        &mut self,
        key: NodeRef<'_>,
        value: NodeRef<'_>,
        name: &str,
        schema: &'static Node,
        path: &Path<'_>,
    ) {
        if let Some(values) = schema.additional {
            self.value(key, value, values, &path.field(name));
        } else if !schema.preserve && !name.starts_with('$') {
            // `$patch`, `$retainKeys`, …: directives of a strategic merge patch, which is no whole object.
            self.unknown += 1;
            let known = schema.properties.iter().map(|(known, _)| *known);
            let suggestion = if self.unknown <= SUGGESTIONS { closest(name, known) } else { None };
            let place = match path {
                Path::Root => "this kind".to_owned(),
                _ => format!("`{path}`"),
            };
            self.found.push(Violation {
                path: path.field(name).to_string(),
                span: key.span(),
                kind: ViolationKind::UnknownField { suggestion },
                message: format!(
                    "{place} has no field {}: the API server drops it with everything in it",
                    quoted(name)
                ),
                help: suggestion.map(|meant| format!("did you mean `{meant}`?")),
            });
        }
    }

    fn missing(&mut self, object: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        for name in &schema.required {
            if object.entry(name).is_none() {
                let message = format!("the required field `{name}` is missing");
                self.report(object, &path.field(name), ViolationKind::Missing, message);
            }
        }
    }

    fn choices(&mut self, object: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        for choice in &schema.choices {
            let set = || choice.of.iter().filter_map(|name| object.entry(name));
            let count = set().count();
            let names = || choice.of.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            if count > choice.max {
                let second = set().nth(choice.max).map_or(object, |(key, _)| key);
                let message = format!("only one of {} may be set", names());
                self.report(second, path, ViolationKind::Choice, message);
            } else if count < choice.min {
                let message = format!("one of {} must be set", names());
                self.report(object, path, ViolationKind::Choice, message);
            }
        }
    }

    fn array(&mut self, list: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        let mut count = 0;
        for (index, item) in list.items().enumerate() {
            count += 1;
            if let Some(items) = schema.items {
                self.value(list, item, items, &path.item(index));
            }
        }
        self.size(list, path, count, (schema.min_items, schema.max_items), "items");
    }

    fn size(
        &mut self,
        node: NodeRef<'_>,
        path: &Path<'_>,
        count: u64,
        limits: (Option<u64>, Option<u64>),
        what: &str,
    ) {
        if let Some(least) = limits.0.filter(|&least| count < least) {
            let message = format!("`{path}` has {count} {what}, and must have at least {least}");
            self.report(node, path, ViolationKind::Length, message);
        }
        if let Some(most) = limits.1.filter(|&most| count > most) {
            let message = format!("`{path}` has {count} {what}, and may have at most {most}");
            self.report(node, path, ViolationKind::Length, message);
        }
    }

    fn scalar(&mut self, holder: NodeRef<'_>, value: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        let Some(scalar) = value.scalar() else { return };
        if scalar == Scalar::Null {
            self.null(holder, value, schema, path);
            return;
        }
        match (schema.kind, &scalar) {
            (Type::Any, _) | (Type::Boolean, Scalar::Bool(_)) => {}
            (Type::String | Type::IntOrString, Scalar::Str(text)) => self.string(value, text, schema, path),
            (Type::Integer | Type::Number | Type::IntOrString, _) => match number(&scalar) {
                Some(found) if schema.kind == Type::Number || found.fract() == 0.0 => {
                    self.range(value, found, schema, path);
                }
                Some(_) if schema.format == Some("quantity") => {}
                _ => self.wrong_type(holder, value, schema.kind, path),
            },
            _ => self.wrong_type(holder, value, schema.kind, path),
        }
    }

    fn null(&mut self, holder: NodeRef<'_>, value: NodeRef<'_>, schema: &'static Node, path: &Path<'_>) {
        if schema.nullable || self.table.nulls_ignored || schema.kind == Type::Any {
            return;
        }
        // Only fields of mappings are dropped; an item keeps its place in the list.
        if matches!(path, Path::Field(..)) {
            let message = format!("`{path}` is empty (null), where {} belongs", noun(schema.kind));
            let help = "API servers drop such a field, offline validators refuse it: write a value or delete the line";
            self.found.push(Violation {
                path: path.to_string(),
                span: visible(holder, value).span(),
                kind: ViolationKind::Null,
                message,
                help: Some(help.to_owned()),
            });
        } else {
            self.wrong_type(holder, value, schema.kind, path);
        }
    }

    fn string(&mut self, value: NodeRef<'_>, text: &str, schema: &'static Node, path: &Path<'_>) {
        if !schema.allowed.is_empty() && !schema.allowed.contains(&text) {
            let meant = closest(text, schema.allowed.iter().copied());
            self.found.push(Violation {
                path: path.to_string(),
                span: value.span(),
                kind: ViolationKind::NotAllowed,
                message: format!(
                    "`{path}` cannot be {}: allowed are {}",
                    shown(text),
                    schema.allowed.join(", ")
                ),
                help: meant.map(|meant| format!("did you mean `{meant}`?")),
            });
        }
        if schema.min_length.is_some() || schema.max_length.is_some() {
            // Lengths count code points (kube-openapi `MinLength`).
            let length = text.chars().count() as u64;
            self.size(value, path, length, (schema.min_length, schema.max_length), "characters");
        }
        if !schema.matches(text) {
            let pattern = schema.pattern.as_deref().unwrap_or_default();
            let message = format!("`{path}` cannot be {}: it must match `{pattern}`", shown(text));
            self.report(value, path, ViolationKind::Pattern, message);
        }
    }

    fn range(&mut self, value: NodeRef<'_>, number: f64, schema: &'static Node, path: &Path<'_>) {
        let int32 = schema.format == Some("int32");
        let least = schema.minimum.or(int32.then_some(f64::from(i32::MIN)));
        let most = schema.maximum.or(int32.then_some(f64::from(i32::MAX)));
        if let Some(least) = least.filter(|&least| number < least) {
            let message = format!("`{path}` is {number}, and must be at least {least}");
            self.report(value, path, ViolationKind::Range, message);
        }
        if let Some(most) = most.filter(|&most| number > most) {
            let message = format!("`{path}` is {number}, and may be at most {most}");
            self.report(value, path, ViolationKind::Range, message);
        }
    }

    fn wrong_type(&mut self, holder: NodeRef<'_>, value: NodeRef<'_>, expected: Type, path: &Path<'_>) {
        let message = format!("`{path}` must be {}, and this is {}", noun(expected), describe(value));
        self.found.push(Violation {
            path: path.to_string(),
            span: visible(holder, value).span(),
            kind: if is_unquoted(value, expected) {
                ViolationKind::UnquotedScalar
            } else {
                ViolationKind::WrongType
            },
            message,
            help: advice(value, expected),
        });
    }
}

/// Which properties of a mapping were met, to notice equal keys.
#[derive(Default)]
struct Seen {
    low: u128,
    twice: bool,
}

impl Seen {
    fn mark(&mut self, position: usize) {
        // No schema has more properties than bits, save a few that nobody writes in full; a repeated key beyond
        // would only be checked twice.
        let Some(bit) = u32::try_from(position).ok().and_then(|position| 1u128.checked_shl(position)) else {
            return;
        };
        self.twice |= self.low & bit != 0;
        self.low |= bit;
    }
}

/// The token to show: the value, or its key when the value has no text.
fn visible<'t>(holder: NodeRef<'t>, value: NodeRef<'t>) -> NodeRef<'t> {
    if value.span().is_empty() { holder } else { value }
}

fn number(scalar: &Scalar<'_>) -> Option<f64> {
    match scalar {
        Scalar::Int(value) => Some(*value as f64),
        Scalar::Uint(value) => Some(*value as f64),
        Scalar::Float(value) => Some(*value),
        Scalar::Null | Scalar::Bool(_) | Scalar::Str(_) => None,
    }
}

/// A field name for a message: in backticks, or cut and in quotes when it is no name at all.
fn quoted(name: &str) -> String {
    if name.len() <= 80 && !name.contains(['`', '\n']) { format!("`{name}`") } else { shown(name) }
}

fn noun(kind: Type) -> &'static str {
    match kind {
        Type::Any => "any value",
        Type::Object => "a mapping",
        Type::Array => "a list",
        Type::String => "a string",
        Type::Integer => "a whole number",
        Type::Number => "a number",
        Type::Boolean => "`true` or `false`",
        Type::IntOrString => "a whole number or a string",
    }
}

fn describe(value: NodeRef<'_>) -> Cow<'static, str> {
    match value.shape() {
        Shape::Mapping => "a mapping".into(),
        Shape::Sequence => "a list".into(),
        Shape::Scalar => match value.scalar() {
            Some(Scalar::Null) | None => "empty (null)".into(),
            Some(Scalar::Bool(value)) => format!("the boolean `{value}`").into(),
            Some(Scalar::Int(value)) => format!("the number {value}").into(),
            Some(Scalar::Uint(value)) => format!("the number {value}").into(),
            Some(Scalar::Float(value)) => format!("the number {value}").into(),
            Some(Scalar::Str(_)) => "a string".into(),
        },
    }
}

fn is_unquoted(value: NodeRef<'_>, expected: Type) -> bool {
    expected == Type::String && !matches!(value.scalar(), None | Some(Scalar::Null | Scalar::Str(_)))
}

fn advice(value: NodeRef<'_>, expected: Type) -> Option<String> {
    let written = value.str().filter(|text| text.len() <= 40);
    match (value.shape(), expected) {
        (Shape::Scalar, Type::String) if is_unquoted(value, expected) => {
            written.map(|text| format!("put it in quotes: \"{text}\""))
        }
        (Shape::Scalar, Type::Array) => {
            written.filter(|text| !text.is_empty()).map(|text| format!("write a list: [\"{text}\"]"))
        }
        (Shape::Sequence, Type::Object) => {
            Some("remove the dash: this is one mapping, not a list".to_owned())
        }
        (Shape::Mapping, Type::Array) => Some("put a dash before it: this is a list of mappings".to_owned()),
        (Shape::Scalar, Type::Boolean | Type::Integer | Type::Number) => match value.scalar()? {
            Scalar::Str(_) => Some("write it without quotes".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
