//! The answer as one JSON object. `"format": 1` promises these keys; later releases of the same format may add some.

use std::io::{self, Write};

use meshproof_graph::{Because, ReachEdge, Target, Through, Witness};
use meshproof_source::{SourceMap, Span};
use serde_json::{Value, json};

use super::{SetUp, positions};
use crate::json::escape_hidden;
use crate::position::Positions;

/// Writes the answers and a line break.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, set_ups: &[SetUp], sources: &SourceMap) -> io::Result<()> {
    let positions = positions(set_ups, sources);
    let places = Places { sources, positions: &positions };
    let edges = set_ups.iter().flat_map(|set_up| {
        let edges = set_up.reach.edges.iter().flat_map(|edge| edge.to.iter().map(move |to| (edge, to)));
        let places = &places;
        edges.map(move |(edge, to)| places.edge(set_up.name.as_deref(), edge, to))
    });
    let paths = set_ups.iter().flat_map(|set_up| {
        let places = &places;
        set_up.reach.paths.iter().map(move |path| {
            let name = set_up.name.as_deref();
            let hops = path.hops.iter().filter_map(|hop| Some(places.edge(name, hop, hop.to.first()?)));
            let through: Vec<Value> = path.through.iter().map(through).collect();
            json!({ "setUp": name, "hops": hops.collect::<Vec<_>>(), "through": through })
        })
    });
    let closed = set_ups.iter().flat_map(|set_up| {
        set_up.reach.closed.iter().map(move |to| {
            json!({ "setUp": set_up.name, "to": to.name, "port": to.port, "host": to.host, "cluster": to.cluster })
        })
    });
    let notes = set_ups.iter().flat_map(|set_up| &set_up.reach.notes).map(|note| json!(note));
    // One after the other: of a large mesh the whole would be held twice.
    out.write_all(b"{\n  \"format\": 1")?;
    list(out, "edges", edges)?;
    list(out, "paths", paths)?;
    list(out, "closed", closed)?;
    list(out, "notes", notes)?;
    out.write_all(b"\n}\n")
}

/// A key with its list, item by item.
pub(crate) fn list(out: &mut dyn Write, key: &str, items: impl Iterator<Item = Value>) -> io::Result<()> {
    write!(out, ",\n  \"{key}\": [")?;
    let mut is_first = true;
    for item in items {
        out.write_all(if is_first { "\n" } else { ",\n" }.as_bytes())?;
        is_first = false;
        let text = serde_json::to_string_pretty(&item).map_err(io::Error::other)?;
        for (at, line) in escape_hidden(text).lines().enumerate() {
            out.write_all(if at == 0 { "    " } else { "\n    " }.as_bytes())?;
            out.write_all(line.as_bytes())?;
        }
    }
    out.write_all(if is_first { "]" } else { "\n  ]" }.as_bytes())
}

struct Places<'a> {
    sources: &'a SourceMap,
    positions: &'a Positions,
}

impl Places<'_> {
    fn edge(&self, set_up: Option<&str>, edge: &ReachEdge, to: &Target) -> Value {
        let told = &edge.told;
        json!({
            "setUp": set_up,
            "from": told.from,
            "who": told.who,
            "callers": told.callers,
            "count": told.count,
            "tokens": told.tokens,
            "to": to.name,
            "port": to.port,
            "host": to.host,
            "cluster": to.cluster,
            "kind": edge.kind.name(),
            "transport": told.transport.word(),
            "requests": told.requests,
            "except": told.except,
            "certain": told.may.is_empty(),
            "may": told.may,
            "notes": told.notes,
            "because": told.because.iter().map(|one| self.because(one)).collect::<Vec<_>>(),
            "witness": told.witness.as_ref().map(witness),
        })
    }

    fn because(&self, because: &Because) -> Value {
        json!({ "text": because.text, "object": because.object, "place": self.place(because.span) })
    }

    fn place(&self, span: Option<Span>) -> Value {
        span.map_or(Value::Null, |span| {
            let position = self.positions.start(span);
            let file = &self.sources.get(span.source).name;
            json!({ "file": file, "line": position.line, "column": position.column })
        })
    }
}

fn through(through: &Through) -> Value {
    json!({
        "first": through.first,
        "last": through.last,
        "requests": through.requests,
        "certain": through.may.is_empty(),
        "may": through.may,
        "shown": through.is_shown,
    })
}

fn witness(witness: &Witness) -> Value {
    let headers: Vec<Value> =
        witness.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let claims: Option<Value> = witness.claims.as_deref().and_then(|text| serde_json::from_str(text).ok());
    json!({
        "from": witness.from,
        "identity": witness.identity,
        "method": witness.method,
        "path": witness.path,
        "host": witness.host,
        "headers": headers,
        "claims": claims,
        "sourceIp": witness.source,
        "sni": witness.sni,
    })
}
