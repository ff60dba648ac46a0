//! The table as a person reads it: port by port, each with its clients in groups.

use std::collections::BTreeMap;
use std::io::{self, Write};

use meshproof_explain::tls::{Because, TlsClients, TlsRow};
use meshproof_explain::{Evidence, Outcome};
use meshproof_source::{SourceMap, Span};

use super::kinds::{Kind, kinds};
use super::{ADDRESS, SetUp, positions};
use crate::Style;
use crate::clean::{clean, width, wrap};
use crate::position::Positions;

/// Columns in front of clients.
const INDENT: usize = 3;
/// So many names of ports of which the same is told fit in front of what is told.
const IN_FRONT: usize = 2;
/// So many stand below it.
const BELOW: usize = 8;

/// Writes the tables, each with the name of its set-up above where there are several.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, set_ups: &[SetUp], sources: &SourceMap, style: Style) -> io::Result<()> {
    let positions = positions(set_ups, sources);
    let mut page =
        Page { out, sources, positions: &positions, style, columns: columns(set_ups, style.width) };
    for (at, set_up) in set_ups.iter().enumerate() {
        if at > 0 {
            writeln!(page.out)?;
        }
        if let Some(name) = &set_up.name {
            let line = format!("== {}", clean(name));
            writeln!(page.out, "{}\n", style.bold(&line))?;
        }
        for kind in kinds(&set_up.table.rows, style.verbose) {
            page.kind(&kind)?;
        }
        for note in &set_up.table.notes {
            writeln!(page.out, "note: {}", clean(note))?;
        }
        page.closing(&set_up.table.rows)?;
    }
    Ok(())
}

/// Widths of the first two cells, within shares of the page; a longer cell pushes the rest of its line.
fn columns(set_ups: &[SetUp], page: usize) -> [usize; 2] {
    let clients = || set_ups.iter().flat_map(|set_up| &set_up.table.rows).flat_map(|row| &row.clients);
    let widest = |limit: usize, of: fn(&TlsClients) -> &str| {
        clients().map(|clients| width(&clean(of(clients)))).filter(|cell| *cell <= limit).max().unwrap_or(0)
    };
    [widest(page * 35 / 100, |clients| &clients.who), widest(page * 40 / 100, |clients| &clients.sends)]
}

struct Page<'a> {
    out: &'a mut dyn Write,
    sources: &'a SourceMap,
    positions: &'a Positions,
    style: Style,
    columns: [usize; 2],
}

impl Page<'_> {
    /// Rows that stand for all of their kind.
    fn kind(&mut self, kind: &Kind<'_>) -> io::Result<()> {
        for row in &kind.shown {
            self.row(row)?;
            writeln!(self.out)?;
        }
        if kind.others > 0 {
            let ports = if kind.others == 1 { "1 port".to_owned() } else { format!("{} ports", kind.others) };
            let line = format!(
                "and {ports} more, of which the same is to be told but for names and numbers (--to tells of one, -v of all)"
            );
            writeln!(self.out, "{}\n", self.style.dim(&line))?;
        }
        Ok(())
    }

    fn row(&mut self, row: &TlsRow) -> io::Result<()> {
        let first = port_name(&row.to, row.cluster.as_deref(), row.port);
        let others = row.alike.iter().map(|port| port_name(&port.to, port.cluster.as_deref(), port.port));
        let names: Vec<String> = std::iter::once(first).chain(others).collect();
        let name = match names.len() {
            few if few <= IN_FRONT => names.join(", "),
            many => format!("{many} ports"),
        };
        let is_ruled = matches!(row.mode.as_str(), "STRICT" | "PERMISSIVE" | "DISABLE");
        let by = match &row.decided_by {
            Some(by) => format!("   {}", clean(by)),
            None if is_ruled => " by default".to_owned(),
            None => String::new(),
        };
        let place = self.place(row.place);
        writeln!(self.out, "{}   {}{by}{place}", self.style.bold(&clean(&name)), row.mode)?;
        if names.len() > IN_FRONT {
            let shown = if self.style.verbose { names.len() } else { BELOW.min(names.len()) };
            let more = names.len() - shown;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.wrapped(INDENT, &format!("{}{more}", names[..shown].join(", ")), "")?;
        }
        for note in &row.notes {
            self.note(note)?;
        }
        if row.clients.is_empty() {
            writeln!(self.out, "{}no client of the input gets here", " ".repeat(INDENT))?;
        }
        let mut hosts: Vec<Vec<String>> = row.clients.iter().map(called).collect();
        hosts.retain(|via| !via.is_empty() && *via != [ADDRESS]);
        hosts.dedup();
        let mut before: Option<Vec<String>> = None;
        for clients in &row.clients {
            let via = called(clients);
            if before.as_ref() != Some(&via) {
                let heading = match via.as_slice() {
                    [] => None,
                    [only] if only == ADDRESS => Some("at the address of the pod".to_owned()),
                    several => (hosts.len() > 1).then(|| format!("calling {}", several.join(", "))),
                };
                if let Some(heading) = heading {
                    let heading = self.style.dim(&clean(&heading));
                    writeln!(self.out, "{}{heading}", " ".repeat(INDENT))?;
                }
                before = Some(via);
            }
            self.clients(row, clients)?;
        }
        Ok(())
    }

    fn note(&mut self, note: &Evidence) -> io::Result<()> {
        let place = self.place(note.span);
        self.wrapped(INDENT, &note.text, &place)
    }

    fn clients(&mut self, row: &TlsRow, clients: &TlsClients) -> io::Result<()> {
        let (who, sends) = (clean(&clients.who), clean(&clients.sends));
        let pad = |text: &str, columns: usize| " ".repeat(columns.saturating_sub(width(text)) + 2);
        let left = format!(
            "{}{who}{}{sends}{}",
            " ".repeat(INDENT),
            pad(&who, self.columns[0]),
            pad(&sends, self.columns[1])
        );
        let doubt = if clients.unknown.is_empty() { "" } else { ", as far as the input tells" };
        let (word, colour) = match clients.outcome {
            Outcome::Mtls => ("mTLS", Some(true)),
            Outcome::Tls => ("TLS unopened", None),
            Outcome::Plaintext => ("plaintext", None),
            Outcome::Refused => ("REFUSED", Some(false)),
            Outcome::Unknown => ("not known", None),
        };
        let word = self.style.result(colour, &format!("{word}{doubt}"));
        // What is open about the server stands above all its clients.
        let is_told = |reason: &&str| row.notes.iter().any(|note| note.text.ends_with(*reason));
        let reason = clients.reason.as_deref().filter(|reason| !is_told(reason)).map_or("", brief);
        // What works needs no excuse.
        let is_weak = matches!(clients.outcome, Outcome::Refused | Outcome::Plaintext);
        let decisive = decisive(clients).filter(|_| is_weak);
        let place = self.place(decisive.and_then(|because| because.span));
        let right = if reason.is_empty() { String::new() } else { format!("  {}", clean(reason)) };
        let visible = width(&left) + 16 + width(&right) + width(&place);
        if visible <= self.style.width || (reason.is_empty() && place.is_empty()) {
            let line = format!("{left}{word}{right}{place}");
            writeln!(self.out, "{}", line.trim_end())?;
        } else {
            writeln!(self.out, "{left}{word}")?;
            self.wrapped(INDENT + 3, reason, &place)?;
        }
        if self.style.verbose {
            self.everything(clients)?;
        }
        Ok(())
    }

    /// Everything that stands behind a group.
    fn everything(&mut self, clients: &TlsClients) -> io::Result<()> {
        let indent = INDENT + 3;
        if clients.count > 2 {
            let more = clients.count - clients.names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.wrapped(indent, &format!("who: {}{more}", clients.names.join(", ")), "")?;
        }
        if let Some(identity) = &clients.identity {
            let identity = if identity == "own" { "each with its own identity" } else { identity };
            self.wrapped(indent, &format!("seen as: {identity}"), "")?;
        }
        for because in &clients.because {
            let object = because.object.as_ref().map_or(String::new(), |object| format!(" ({object})"));
            let place = self.place(because.span);
            self.wrapped(indent, &format!("because: {}{object}", because.text), &place)?;
        }
        if clients.and_alike {
            self.wrapped(indent, "because: for some of them other objects say the same", "")?;
        }
        for unknown in &clients.unknown {
            self.wrapped(indent, &format!("not known: {unknown}"), "")?;
        }
        Ok(())
    }

    /// A text with a place behind it, broken at the width of the page.
    fn wrapped(&mut self, indent: usize, text: &str, place: &str) -> io::Result<()> {
        let columns = self.style.width.saturating_sub(indent).max(30);
        let space = " ".repeat(indent);
        let lines = if text.is_empty() { Vec::new() } else { wrap(text, columns) };
        let last = lines.len().saturating_sub(1);
        for (at, line) in lines.iter().enumerate() {
            let line = self.style.glyphs(line.clone());
            if at == last && width(&line) + width(place) <= columns {
                writeln!(self.out, "{space}{line}{place}")?;
                return Ok(());
            }
            writeln!(self.out, "{space}{line}")?;
        }
        if place.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "{space}{}", place.trim_start())
    }

    /// `   file:line`.
    fn place(&self, span: Option<Span>) -> String {
        span.map_or_else(String::new, |span| {
            let file = &self.sources.get(span.source).name;
            let place = format!("{file}:{}", self.positions.start(span).line);
            format!("   {}", self.style.place(&clean(&place)))
        })
    }

    fn closing(&mut self, rows: &[TlsRow]) -> io::Result<()> {
        let mut modes: BTreeMap<&str, usize> = BTreeMap::new();
        for row in rows {
            *modes.entry(row.mode.as_str()).or_default() += 1 + row.alike.len();
        }
        let all: usize = modes.values().sum();
        let mut modes: Vec<(&str, usize)> = modes.into_iter().collect();
        modes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let modes: Vec<String> = modes.into_iter().map(|(mode, count)| format!("{count} {mode}")).collect();
        let ports = if all == 1 { "1 port".to_owned() } else { format!("{all} ports") };
        let line = if modes.is_empty() { ports } else { format!("{ports}: {}", modes.join(", ")) };
        writeln!(self.out, "{}", self.style.bold(&line))
    }
}

fn port_name(to: &str, cluster: Option<&str>, port: u16) -> String {
    let cluster = cluster.map_or(String::new(), |name| format!(" ({name})"));
    format!("{to}{cluster}:{port}")
}

/// The hosts that are called; the address of the pod only where there is none. Nothing is told of calls to gateways.
fn called(clients: &TlsClients) -> Vec<String> {
    let hosts: Vec<String> = clients.via.iter().filter(|via| *via != ADDRESS).cloned().collect();
    if hosts.is_empty() { clients.via.clone() } else { hosts }
}

/// What a client sends stands beside it already.
fn brief(reason: &str) -> &str {
    reason.split_once(", and the client").map_or(reason, |(server, _)| server)
}

/// What makes this group differ: a policy or rule, as opposed to what the row says of its server.
fn decisive(clients: &TlsClients) -> Option<&Because> {
    let decides = |because: &&Because| {
        let kind = because.object.as_deref().and_then(|object| object.split(' ').next());
        because.span.is_some()
            && kind.is_some_and(|kind| {
                matches!(kind, "DestinationRule" | "Sidecar") || kind.ends_with("NetworkPolicy")
            })
    };
    clients.because.iter().rev().find(decides)
}
