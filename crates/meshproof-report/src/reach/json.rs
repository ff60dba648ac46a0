//! The answer as one JSON object. `"format": 1` promises these keys; later releases of the same format may add some.

use std::io::{self, Write};

use meshproof_graph::{Because, ReachEdge, Target, Witness};
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
    let mut edges: Vec<Value> = Vec::new();
    let mut paths: Vec<Value> = Vec::new();
    let mut closed: Vec<Value> = Vec::new();
    for set_up in set_ups {
        let name = set_up.name.as_deref();
        for edge in &set_up.reach.edges {
            edges.extend(edge.to.iter().map(|to| places.edge(name, edge, to)));
        }
        for path in &set_up.reach.paths {
            let hops = path.hops.iter().filter_map(|hop| Some(places.edge(name, hop, hop.to.first()?)));
            paths.push(json!({ "setUp": name, "hops": hops.collect::<Vec<_>>() }));
        }
        closed.extend(set_up.reach.closed.iter().map(|to| {
            json!({ "setUp": name, "to": to.name, "port": to.port, "host": to.host, "cluster": to.cluster })
        }));
    }
    let notes: Vec<&String> = set_ups.iter().flat_map(|set_up| &set_up.reach.notes).collect();
    let report = json!({ "format": 1, "edges": edges, "paths": paths, "closed": closed, "notes": notes });
    let text = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
    out.write_all(escape_hidden(text).as_bytes())?;
    out.write_all(b"\n")
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
