//! Structural schemas: which fields a kind has, and what may stand in them.
//!
//! The tables under `schemas/` are generated from the published CRDs, the Go types of the built-in kinds and the reference of Calico
//! (`cargo xtask schemas`). [`find`] looks a kind up, [`Schema::check`] compares an object with it the way an API
//! server does: unknown fields are dropped, wrong types, enums, limits and CEL rules refuse the object.

mod cel;
mod check;
mod path;
mod suggest;
mod table;
pub mod values;
mod violation;

pub use path::Path;
pub(crate) use path::shown;
pub use violation::{Violation, ViolationKind};

pub(crate) use suggest::closest;
pub(crate) use table::{Node, Type};

use meshproof_yaml::NodeRef;
use table::Table;

/// The schema of one kind in one API version.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    table: &'static Table,
    root: u32,
}

/// What the tables know of a kind.
#[derive(Clone, Debug)]
pub enum Found {
    /// Kind and version are served.
    Served(Schema),
    /// The kind exists, but not in this version; these are served.
    OtherVersion(&'static [&'static str]),
    /// Nothing is known of the kind.
    Unknown,
}

/// Looks up a kind by its `apiVersion` and `kind` as written.
pub fn find(api_version: &str, kind: &str) -> Found {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let Some(table) = Table::of_group(group) else { return Found::Unknown };
    let mut other: Option<&'static [&'static str]> = None;
    for entry in &table.kinds {
        if entry.group != group || entry.kind != kind {
            continue;
        }
        if entry.versions.contains(&version) {
            return Found::Served(Schema { table, root: entry.root });
        }
        other = Some(&entry.versions);
    }
    // Old versions of built-in kinds are gone from clusters, but their objects are not refused by a CRD.
    match other {
        Some(versions) if !table.nulls_ignored => Found::OtherVersion(versions),
        _ => Found::Unknown,
    }
}

impl Schema {
    /// Compares an object with the schema, in the order of the text.
    pub fn check(self, object: NodeRef<'_>) -> Vec<Violation> {
        check::check(self.table, self.root, object)
    }

    /// The schema node of the whole object, for the decoder of the webhook.
    pub(crate) fn root(self) -> &'static Node {
        self.table.node(self.root)
    }

    /// Follows an index of a schema node.
    pub(crate) fn node(self, index: u32) -> &'static Node {
        self.table.node(index)
    }

    /// Whether a node has one of the rules that name durations.
    pub(crate) fn is_duration(self, node: &Node) -> bool {
        self.table.has_rule(node, cel::Rule::DurationAtLeastOneMillisecond)
    }

    /// Whether a node is a map whose keys are port numbers.
    pub(crate) fn has_port_keys(self, node: &Node) -> bool {
        self.table.has_rule(node, cel::Rule::KeysArePorts)
    }
}

/// Looks up a kind and checks an object of it; nothing is said about kinds that the tables do not hold.
pub fn check(object: NodeRef<'_>, api_version: &str, kind: &str) -> Vec<Violation> {
    match find(api_version, kind) {
        Found::Served(schema) => schema.check(object),
        Found::OtherVersion(_) | Found::Unknown => Vec::new(),
    }
}
