//! The answer as a person reads it: by what is reached, each with those who reach it.

use std::io::{self, Write};

use meshproof_explain::Outcome;
use meshproof_graph::{Because, ReachEdge, ReachPath, Target, Through};
use meshproof_source::{SourceMap, Span};

use super::{SetUp, positions, shown};
use crate::Style;
use crate::clean::{clean, width, wrap};
use crate::position::Positions;

/// Columns in front of callers.
const INDENT: usize = 3;
/// Equal ports that are named in one heading.
const NAMED: usize = 4;

/// Writes the answers, each with the name of its set-up above where there are several.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, set_ups: &[SetUp], sources: &SourceMap, style: Style) -> io::Result<()> {
    let positions = positions(set_ups, sources);
    let mut page = Page { out, sources, positions: &positions, style };
    for (at, set_up) in set_ups.iter().enumerate() {
        if at > 0 {
            writeln!(page.out)?;
        }
        if let Some(name) = &set_up.name {
            let line = format!("== {}", clean(name));
            writeln!(page.out, "{}\n", style.bold(&line))?;
        }
        page.edges(&set_up.reach.edges)?;
        for path in &set_up.reach.paths {
            page.path(path)?;
        }
        for target in &set_up.reach.closed {
            writeln!(page.out, "{}   {}", style.bold(&named(target)), style.result(Some(false), "nobody"))?;
        }
        if !set_up.reach.closed.is_empty() {
            writeln!(page.out)?;
        }
        for note in &set_up.reach.notes {
            writeln!(page.out, "note: {}", clean(note))?;
        }
        page.closing(set_up)?;
    }
    Ok(())
}

struct Page<'a> {
    out: &'a mut dyn Write,
    sources: &'a SourceMap,
    positions: &'a Positions,
    style: Style,
}

impl Page<'_> {
    fn edges(&mut self, edges: &[ReachEdge]) -> io::Result<()> {
        for of_target in edges.chunk_by(|one, other| one.to == other.to) {
            let Some(first) = of_target.first() else { continue };
            let heading = format!(
                "{}   {}",
                self.style.bold(&heading(&first.to, self.style.verbose)),
                first.kind.name()
            );
            writeln!(self.out, "{heading}")?;
            let widest = of_target.iter().map(|edge| width(&clean(&edge.told.who))).max().unwrap_or(0);
            let widest = widest.min(self.style.width * 40 / 100);
            for edge in of_target {
                self.edge(edge, widest)?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn edge(&mut self, edge: &ReachEdge, widest: usize) -> io::Result<()> {
        let told = &edge.told;
        let who = clean(&told.who).into_owned();
        let pad = " ".repeat(widest.saturating_sub(width(&who)));
        let (word, works) = transport(told.transport);
        let requests = requests(edge);
        let lead = INDENT + widest.max(width(&who)) + 2 + 9 + 2;
        let first = format!(
            "{}{who}{pad}  {}{}  ",
            " ".repeat(INDENT),
            self.style.result(works, word),
            " ".repeat(9usize.saturating_sub(word.len()))
        );
        let room = self.style.width.saturating_sub(lead).max(30);
        let mut lines = wrap(&clean(&requests), room).into_iter();
        writeln!(self.out, "{first}{}", lines.next().unwrap_or_default())?;
        for line in lines {
            writeln!(self.out, "{}{line}", " ".repeat(lead))?;
        }
        if let Some(witness) = &told.witness {
            self.below(&format!("shown by {}", shown(witness)), None)?;
        }
        let because: Vec<&Because> = match self.style.verbose {
            true => told.because.iter().collect(),
            false => told.because.iter().filter(|one| is_decisive(one)).take(3).collect(),
        };
        for one in because {
            let text = match &one.object {
                Some(object) => format!("{object}: {}", one.text),
                None => one.text.clone(),
            };
            self.below(&text, one.span)?;
        }
        for note in &told.notes {
            self.below(note, None)?;
        }
        for doubt in &told.may {
            self.below(&format!("perhaps: {doubt}"), None)?;
        }
        if self.style.verbose && !told.callers.is_empty() {
            self.below(&format!("callers: {}", told.callers.join(", ")), None)?;
        }
        Ok(())
    }

    fn below(&mut self, text: &str, span: Option<Span>) -> io::Result<()> {
        let space = " ".repeat(INDENT + 3);
        let place = self.place(span);
        let lines = wrap(&clean(text), self.style.width.saturating_sub(INDENT + 3).max(30));
        let last = lines.len().saturating_sub(1);
        for (at, line) in lines.into_iter().enumerate() {
            let place = if at == last { place.as_str() } else { "" };
            writeln!(self.out, "{space}{}{place}", self.style.dim(&line))?;
        }
        Ok(())
    }

    /// `   file:line`.
    fn place(&self, span: Option<Span>) -> String {
        span.map_or_else(String::new, |span| {
            let file = &self.sources.get(span.source).name;
            let place = format!("{file}:{}", self.positions.start(span).line);
            format!("   {}", self.style.place(&clean(&place)))
        })
    }

    /// A way over several hops.
    fn path(&mut self, path: &ReachPath) -> io::Result<()> {
        let Some(first) = path.hops.first() else { return Ok(()) };
        let mut stations = vec![clean(&first.told.who).into_owned()];
        stations.extend(path.hops.iter().map(|hop| heading(&hop.to, false)));
        let line = self.style.glyphs(stations.join(" → "));
        writeln!(self.out, "{}", self.style.bold(&line))?;
        for (at, hop) in path.hops.iter().enumerate() {
            if let Some(through) = path.through.iter().find(|through| through.first == at) {
                self.through(path, through)?;
            }
            let (word, works) = transport(hop.told.transport);
            let space = " ".repeat(INDENT);
            let to = heading(&hop.to, false);
            writeln!(self.out, "{space}{to}  {}  {}", self.style.result(works, word), clean(&requests(hop)))?;
            if let Some(witness) = &hop.told.witness {
                self.below(&format!("shown by {}", shown(witness)), None)?;
            }
            for doubt in &hop.told.may {
                self.below(&format!("perhaps: {doubt}"), None)?;
            }
        }
        writeln!(self.out)
    }

    /// What gets through several hops.
    fn through(&mut self, path: &ReachPath, through: &Through) -> io::Result<()> {
        let Some(last) = path.hops.get(through.last) else { return Ok(()) };
        let requests = clean(&through.requests.join("; ")).into_owned();
        let line = format!("as far as {}: {requests}", heading(&last.to, false));
        let lines = wrap(&line, self.style.width.saturating_sub(INDENT + 2).max(30));
        for (at, line) in lines.iter().enumerate() {
            let space = " ".repeat(if at == 0 { INDENT } else { INDENT + 2 });
            writeln!(self.out, "{space}{line}")?;
        }
        for doubt in &through.may {
            self.below(&format!("perhaps: {doubt}"), None)?;
        }
        Ok(())
    }

    fn closing(&mut self, set_up: &SetUp) -> io::Result<()> {
        let reach = &set_up.reach;
        let count = |count: usize, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        let is_empty = reach.edges.is_empty() && reach.closed.is_empty();
        let line = match reach.paths.is_empty() {
            true if is_empty => "nothing is reached".to_owned(),
            true => {
                let targets: usize = reach
                    .edges
                    .chunk_by(|one, other| one.to == other.to)
                    .filter_map(|of| Some(of.first()?.to.len()))
                    .sum();
                let open = count(targets, "port is reached", "ports are reached");
                let closed = match reach.closed.len() {
                    0 => String::new(),
                    closed => format!(", {closed} by nobody"),
                };
                format!("{open}{closed}")
            }
            false => count(reach.paths.len(), "way", "ways"),
        };
        writeln!(self.out, "{}", self.style.bold(&line))
    }
}

/// What is reached, in one heading.
fn heading(to: &[Target], all: bool) -> String {
    let most = if all { usize::MAX } else { NAMED };
    let named: Vec<String> = to.iter().take(most).map(named).collect();
    match to.len().saturating_sub(most) {
        0 => named.join(", "),
        more => format!("{} and {more} equal ones", named.join(", ")),
    }
}

fn named(to: &Target) -> String {
    let mut name = format!("{}:{}", clean(&to.name), to.port);
    if let Some(host) = &to.host {
        name = format!("{} for {}:{}", clean(&to.name), clean(host), to.port);
    }
    match &to.cluster {
        Some(cluster) => format!("{name} ({})", clean(cluster)),
        None => name,
    }
}

/// The set of requests in words.
fn requests(edge: &ReachEdge) -> String {
    let mut said = edge.told.requests.join("; ");
    if !edge.told.except.is_empty() {
        said.push_str(&format!(", except {}", edge.told.except.join("; ")));
    }
    said
}

fn transport(outcome: Outcome) -> (&'static str, Option<bool>) {
    match outcome {
        Outcome::Mtls => ("mTLS", Some(true)),
        Outcome::Tls => ("TLS", None),
        Outcome::Plaintext => ("plaintext", None),
        Outcome::Refused => ("refused", Some(false)),
        Outcome::Unknown => ("not known", None),
    }
}

/// Policies decide; what is so by default is told where everything is asked for.
fn is_decisive(because: &Because) -> bool {
    let is_policy = because.object.as_deref().is_some_and(|object| {
        let kind = object.split(' ').next().unwrap_or_default();
        kind.ends_with("Policy") || kind == "DestinationRule"
    });
    is_policy || because.object.is_none() && because.text.starts_with("no ")
}
