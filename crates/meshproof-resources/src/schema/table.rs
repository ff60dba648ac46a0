//! The generated tables, embedded and read on first use.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use regex::Regex;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::cel::Rule;

/// The schemas of one file. Equal parts are stored once: a node is referred to by its index.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table {
    /// The module and version that the schemas were read from; for tests and readers of the file.
    #[cfg_attr(not(test), expect(dead_code, reason = "also makes serde borrow from the embedded text"))]
    pub origin: &'static str,
    /// `null` stands for "absent" everywhere: built-in kinds are decoded into Go types, not checked by a CRD.
    pub nulls_ignored: bool,
    pub kinds: Vec<Kind>,
    rules: Vec<RuleText>,
    nodes: Vec<Node>,
    #[serde(skip)]
    checks: Vec<Option<Rule>>,
}

/// A kind and where its schema starts.
#[derive(Debug, Deserialize)]
pub(super) struct Kind {
    pub group: &'static str,
    pub kind: &'static str,
    #[serde(borrow)]
    pub versions: Vec<&'static str>,
    pub root: u32,
}

/// A CEL rule as the CRD has it.
#[derive(Debug, Deserialize)]
pub(super) struct RuleText {
    #[serde(borrow)]
    pub rule: Cow<'static, str>,
}

/// The type that a schema node asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Type {
    /// Anything goes.
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

/// One structural schema.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Node {
    #[serde(rename = "t")]
    pub kind: Type,
    /// Sorted by name.
    #[serde(rename = "p", deserialize_with = "sorted_entries")]
    pub properties: Vec<(&'static str, u32)>,
    #[serde(rename = "r", borrow)]
    pub required: Vec<&'static str>,
    #[serde(rename = "a")]
    pub additional: Option<u32>,
    #[serde(rename = "i")]
    pub items: Option<u32>,
    #[serde(rename = "x")]
    pub preserve: bool,
    #[serde(rename = "n")]
    pub nullable: bool,
    #[serde(rename = "e", borrow)]
    pub allowed: Vec<&'static str>,
    #[serde(rename = "re")]
    pub pattern: Option<Cow<'static, str>>,
    #[serde(rename = "f")]
    pub format: Option<&'static str>,
    #[serde(rename = "minL")]
    pub min_length: Option<u64>,
    #[serde(rename = "maxL")]
    pub max_length: Option<u64>,
    #[serde(rename = "minI")]
    pub min_items: Option<u64>,
    #[serde(rename = "maxI")]
    pub max_items: Option<u64>,
    #[serde(rename = "minP")]
    pub min_properties: Option<u64>,
    #[serde(rename = "maxP")]
    pub max_properties: Option<u64>,
    #[serde(rename = "min")]
    pub minimum: Option<f64>,
    #[serde(rename = "max")]
    pub maximum: Option<f64>,
    #[serde(rename = "one")]
    pub choices: Vec<Choice>,
    #[serde(rename = "c")]
    pub rules: Vec<u32>,
    #[serde(skip)]
    compiled: OnceLock<Option<Regex>>,
}

/// How many of some properties may be set together.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    #[serde(borrow)]
    pub of: Vec<&'static str>,
    pub min: usize,
    pub max: usize,
}

impl Node {
    /// The schema of a property.
    pub fn property(&self, name: &str) -> Option<u32> {
        let at = self.properties.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
        self.properties.get(at).map(|(_, index)| *index)
    }

    /// Whether a string matches the pattern; `true` when there is none.
    pub fn matches(&self, text: &str) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        let compiled = self.compiled.get_or_init(|| Regex::new(pattern).ok());
        compiled.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

/// Stands in for an index that the table does not have; generated tables have none.
static ANYTHING: OnceLock<Node> = OnceLock::new();

impl Table {
    /// The table that holds a group; read on first use.
    pub fn of_group(group: &str) -> Option<&'static Table> {
        macro_rules! table {
            ($file:literal) => {{
                static TABLE: OnceLock<Table> = OnceLock::new();
                Some(
                    TABLE
                        .get_or_init(|| Table::read(include_str!(concat!("../../schemas/", $file, ".json")))),
                )
            }};
        }
        match group {
            "security.istio.io" => table!("security.istio.io"),
            "networking.istio.io" => table!("networking.istio.io"),
            "gateway.networking.k8s.io" => table!("gateway.networking.k8s.io"),
            "argoproj.io" => table!("argoproj.io"),
            "projectcalico.org" | "crd.projectcalico.org" => table!("projectcalico.org"),
            "" | "apps" | "batch" | "discovery.k8s.io" | "networking.k8s.io" => table!("kubernetes"),
            _ => None,
        }
    }

    fn read(text: &'static str) -> Table {
        // The files are part of the program and every one of them is read by a test; an empty table knows no kind.
        let mut table: Table = serde_json::from_str(text).unwrap_or_default();
        table.checks = table.rules.iter().map(|rule| Rule::of(&rule.rule)).collect();
        table
    }

    /// A node by its index.
    pub fn node(&self, index: u32) -> &Node {
        self.nodes.get(index as usize).unwrap_or_else(|| ANYTHING.get_or_init(Node::default))
    }

    /// The rules of a node that are implemented.
    pub fn rules_of<'s>(&'s self, node: &'s Node) -> impl Iterator<Item = Rule> + 's {
        node.rules.iter().filter_map(|&at| self.checks.get(at as usize).copied().flatten())
    }

    /// Whether a node has a rule.
    pub fn has_rule(&self, node: &Node, rule: Rule) -> bool {
        self.rules_of(node).any(|known| known == rule)
    }

    #[cfg(test)]
    pub fn unknown_rules(&self) -> Vec<&str> {
        let pairs = self.rules.iter().zip(&self.checks);
        pairs.filter(|(_, check)| check.is_none()).map(|(text, _)| &*text.rule).collect()
    }
}

/// Reads a JSON object into a sorted list, which is smaller and faster to search than a map.
fn sorted_entries<'de: 'static, D>(deserializer: D) -> Result<Vec<(&'static str, u32)>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    struct Entries(PhantomData<()>);
    impl<'de: 'static> Visitor<'de> for Entries {
        type Value = Vec<(&'static str, u32)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("names with indices")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(8));
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            entries.sort_unstable();
            Ok(entries)
        }
    }
    deserializer.deserialize_map(Entries(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: [&str; 11] = [
        "security.istio.io",
        "networking.istio.io",
        "gateway.networking.k8s.io",
        "argoproj.io",
        "projectcalico.org",
        "crd.projectcalico.org",
        "",
        "apps",
        "batch",
        "discovery.k8s.io",
        "networking.k8s.io",
    ];

    #[test]
    fn every_table_reads_and_is_whole() {
        for group in GROUPS {
            let table = Table::of_group(group).unwrap();
            assert!(table.origin.contains('@'), "{group}");
            assert!(table.kinds.iter().any(|kind| kind.group == group), "{group}");
            let known = |index: u32| (index as usize) < table.nodes.len();
            assert!(table.kinds.iter().all(|kind| known(kind.root)));
            for node in &table.nodes {
                assert!(node.properties.iter().all(|(_, index)| known(*index)));
                assert!(node.items.is_none_or(known) && node.additional.is_none_or(known));
                assert!(node.rules.iter().all(|&rule| (rule as usize) < table.rules.len()));
                assert!(node.pattern.is_none() || Regex::new(node.pattern.as_ref().unwrap()).is_ok());
            }
        }
    }

    #[test]
    fn every_rule_of_the_istio_groups_is_implemented() {
        for group in ["security.istio.io", "networking.istio.io"] {
            assert_eq!(Table::of_group(group).unwrap().unknown_rules(), Vec::<&str>::new(), "{group}");
        }
    }
}
