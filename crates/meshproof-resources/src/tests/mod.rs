//! Small manifests and what is read of them; every place is compared with the text.

mod callers;
mod hostile;
mod lists;
mod mesh_config;
mod network;
mod networking;
mod routes;
mod security;
mod workloads;

use std::fmt::Debug;

use meshproof_source::{SourceId, Span, Spanned};

use crate::{Decoded, Field, Resource, Text, TextMap, decode_with_text};

/// A text and what came out of it.
struct Case {
    text: String,
    decoded: Decoded,
}

impl Case {
    fn new(text: &str) -> Case {
        let text = text.to_owned();
        let mut decoded = Decoded::default();
        let parsed = meshproof_yaml::parse(SourceId(0), &text, 0..text.len());
        let tree = parsed.tree.unwrap_or_else(|| panic!("{:?}", parsed.problems));
        decode_with_text(tree.root(), &text, &mut decoded);
        Case { text, decoded }
    }

    /// An object with a type and a name around the lines of its spec (indented by two).
    fn spec(api_version: &str, kind: &str, spec: &str) -> Case {
        Case::new(&format!("apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: x\nspec:\n{spec}"))
    }

    fn one(&self) -> &Resource {
        assert_eq!(self.decoded.resources.len(), 1, "{:?}", self.decoded);
        &self.decoded.resources[0]
    }

    fn snippet(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    /// The value, which must stand in the text as it is.
    fn token<'a>(&self, text: &'a Option<Text>) -> &'a str {
        let text = text.as_ref().expect("a value");
        assert_eq!(unquoted(self.snippet(text.span)), text.value);
        &text.value
    }

    fn tokens<'a>(&self, texts: impl IntoIterator<Item = &'a Text>) -> Vec<&'a str> {
        texts
            .into_iter()
            .map(|text| {
                assert_eq!(unquoted(self.snippet(text.span)), text.value);
                text.value.as_str()
            })
            .collect()
    }

    /// The items of a field, whose key must carry the name.
    fn field<'a>(&self, name: &str, field: &'a Field<Text>) -> Vec<&'a str> {
        assert_eq!(self.snippet(field.key.expect("a key")), name);
        self.tokens(&field.items)
    }

    fn pairs<'a>(&self, map: &'a TextMap) -> Vec<(&'a str, &'a str)> {
        let names = self.tokens(map.entries.iter().map(|(name, _)| name));
        let values = self.tokens(map.entries.iter().map(|(_, value)| value));
        names.into_iter().zip(values).collect()
    }

    /// A value other than a string: it and its token.
    fn value<'a, T: Copy + Debug>(&'a self, value: &Option<Spanned<T>>) -> (T, &'a str) {
        let value = value.as_ref().expect("a value");
        (value.value, self.snippet(value.span))
    }
}

fn unquoted(token: &str) -> &str {
    let within = |quote| token.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(token)
}

/// The boxed part of a variant.
macro_rules! spec {
    ($case:expr, $variant:ident) => {
        match &$case.one().spec {
            crate::Spec::$variant(value) => value,
            other => panic!("another kind: {other:?}"),
        }
    };
}
use spec;
