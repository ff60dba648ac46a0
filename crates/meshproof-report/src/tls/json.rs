//! The table as one JSON object. `"format": 1` promises these keys; later releases of the same format may add some.

use std::io::{self, Write};

use meshproof_explain::Evidence;
use meshproof_explain::tls::{Because, TlsClients, TlsPort, TlsRow};
use meshproof_source::{SourceMap, Span};
use serde_json::{Value, json};

use super::{SetUp, positions};
use crate::json::escape_hidden;
use crate::position::Positions;

/// Writes the tables and a line break.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, set_ups: &[SetUp], sources: &SourceMap) -> io::Result<()> {
    let positions = positions(set_ups, sources);
    let places = Places { sources, positions: &positions };
    let rows: Vec<Value> = set_ups
        .iter()
        .flat_map(|set_up| set_up.table.rows.iter().map(|row| places.row(set_up.name.as_deref(), row)))
        .collect();
    let notes: Vec<&String> = set_ups.iter().flat_map(|set_up| &set_up.table.notes).collect();
    let report = json!({ "format": 1, "rows": rows, "notes": notes });
    let text = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
    out.write_all(escape_hidden(text).as_bytes())?;
    out.write_all(b"\n")
}

fn alike(port: &TlsPort) -> Value {
    json!({ "to": port.to, "cluster": port.cluster, "port": port.port })
}

struct Places<'a> {
    sources: &'a SourceMap,
    positions: &'a Positions,
}

impl Places<'_> {
    fn row(&self, set_up: Option<&str>, row: &TlsRow) -> Value {
        json!({
            "setUp": set_up,
            "to": row.to,
            "cluster": row.cluster,
            "port": row.port,
            "alike": row.alike.iter().map(alike).collect::<Vec<_>>(),
            "mode": row.mode,
            "decidedBy": row.decided_by,
            "place": self.place(row.place),
            "clients": row.clients.iter().map(|clients| self.clients(clients)).collect::<Vec<_>>(),
            "notes": row.notes.iter().map(|note| self.evidence(note)).collect::<Vec<_>>(),
        })
    }

    fn clients(&self, clients: &TlsClients) -> Value {
        json!({
            "who": clients.who,
            "count": clients.count,
            "names": clients.names,
            "via": clients.via,
            "sends": clients.sends,
            "wire": clients.wire,
            "outcome": clients.outcome.word(),
            "reason": clients.reason,
            "identity": clients.identity,
            "because": clients.because.iter().map(|because| self.because(because)).collect::<Vec<_>>(),
            "andAlike": clients.and_alike,
            "unknown": clients.unknown,
        })
    }

    fn because(&self, because: &Because) -> Value {
        json!({ "text": because.text, "object": because.object, "place": self.place(because.span) })
    }

    fn evidence(&self, evidence: &Evidence) -> Value {
        json!({ "text": evidence.text, "place": self.place(evidence.span) })
    }

    fn place(&self, span: Option<Span>) -> Value {
        span.map_or(Value::Null, |span| {
            let position = self.positions.start(span);
            let file = &self.sources.get(span.source).name;
            json!({ "file": file, "line": position.line, "column": position.column })
        })
    }
}
