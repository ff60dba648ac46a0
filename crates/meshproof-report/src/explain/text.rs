//! The answer as a person reads it: the verdict first, then every place that had a say, in order.

use std::io::{self, Write};

use meshproof_explain::{
    Answer, Authorization, Evidence, Fate, Ground, Hop, Outcome, Passage, Phase, PointKind, PolicyTold,
    RuleTold, Verdict,
};
use meshproof_resources::Action;
use meshproof_source::{SourceMap, Span};

use super::place;
use crate::Style;
use crate::clean::{clean, width};

/// Columns of the headings on the left.
const HEADING: usize = 13;

/// Rules that do not match and are shown per action, unless everything is asked for.
const SHOWN_RULES: usize = 8;

/// Writes the answer.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, answer: &Answer, sources: &SourceMap, style: Style) -> io::Result<()> {
    let mut page = Page { out, sources, style };
    page.verdict(answer)?;
    let plain = matches!(answer.hops.as_slice(), [only] if !matches!(only.kind, PointKind::Gateway | PointKind::Waypoint));
    for (at, hop) in answer.hops.iter().enumerate() {
        writeln!(page.out)?;
        if !plain {
            let name = format!("{}. {} {}:{}", at + 1, hop.kind.name(), clean(&hop.name), hop.port);
            writeln!(page.out, "{}", style.bold(&name))?;
        }
        page.hop(hop)?;
    }
    page.closing(answer)
}

struct Page<'a> {
    out: &'a mut dyn Write,
    sources: &'a SourceMap,
    style: Style,
}

impl Page<'_> {
    fn verdict(&mut self, answer: &Answer) -> io::Result<()> {
        let doubt = if answer.unknowns.is_empty() { "" } else { ", as far as the input tells" };
        let word = match answer.verdict {
            Verdict::Allow => format!("ALLOWED{doubt}"),
            Verdict::Deny => format!("DENIED{doubt}"),
        };
        let way = format!("{} → {}:{}", clean(&answer.from), clean(&answer.to), answer.port);
        let way = self.style.glyphs(way);
        writeln!(
            self.out,
            "{}  {way}   {}",
            self.style.verdict(answer.verdict, &word),
            clean(&answer.request)
        )?;
        if let Some(cluster) = &answer.cluster {
            writeln!(self.out, "in cluster {}", clean(cluster))?;
        }
        let mut reason = clean(&answer.reason).into_owned();
        if let Some(deciding) = &answer.deciding {
            reason.push_str(&format!("   {}", self.place(deciding.span)));
        }
        writeln!(self.out, "{reason}")?;
        match &answer.service {
            Some(service) => self.line("called as", &clean(service)),
            None => self.line("called at", "the address of a pod"),
        }
    }

    fn hop(&mut self, hop: &Hop) -> io::Result<()> {
        let transport = &hop.transport;
        let identity = transport.identity.as_ref().map(|id| format!(", as spiffe://{}", clean(id)));
        let wire = match transport.outcome {
            Outcome::Mtls => format!("mTLS{}", identity.unwrap_or_default()),
            Outcome::Tls if hop.kind == PointKind::Gateway => "TLS: the caller has no identity".to_owned(),
            Outcome::Tls => "TLS that no proxy opens: the caller has no identity".to_owned(),
            Outcome::Plaintext => "plaintext: the caller has no identity".to_owned(),
            Outcome::Refused => {
                format!(
                    "refused: {}",
                    clean(transport.refusal.as_deref().unwrap_or("no connection comes about"))
                )
            }
            Outcome::Unknown => {
                format!(
                    "not known: {}",
                    clean(transport.refusal.as_deref().unwrap_or("the input does not tell"))
                )
            }
        };
        self.line("transport", &wire)?;
        for (side, list) in [("client", &transport.client), ("server", &transport.server)] {
            for evidence in list {
                let text = format!("{side}  {}", self.evidence(evidence));
                self.line("", &text)?;
            }
        }
        if let Some(network) = &hop.network {
            let word = match network.passage {
                Passage::Allowed => "passes",
                Passage::Denied => "dropped",
                Passage::Unknown => "not known",
            };
            for (at, evidence) in network.evidence.iter().enumerate() {
                let text = self.evidence(evidence);
                match at {
                    0 => self.line("network", &format!("{word}: {text}"))?,
                    _ => self.line("", &text)?,
                }
            }
        }
        match &hop.authorization {
            Some(authorization) => self.authorization(authorization),
            None => Ok(()),
        }
    }

    fn authorization(&mut self, told: &Authorization) -> io::Result<()> {
        if told.ground == Ground::Proxy && !self.style.verbose {
            // Policies were never asked.
            return self.notes(told);
        }
        if told.phases.is_empty() {
            self.line("policies", "none applies")?;
        }
        for phase in &told.phases {
            self.phase(phase, told)?;
        }
        if let Some((policy, rule)) = closest(told) {
            let tests = match rule.tests_short {
                Some(1) => "one test short".to_owned(),
                Some(many) => format!("{many} tests short"),
                None => String::new(),
            };
            let text = format!("{} rule {}: {tests}", clean(&policy.id), rule.number);
            self.line("closest", &text)?;
        }
        for (policy, rule) in bypassed(told) {
            let place = self.place(rule.span);
            let text = format!(
                "{} rule {} asks for more, and the rule above lets the request in without it   {place}",
                clean(&policy.id),
                rule.number
            );
            self.line("bypassed", &text)?;
        }
        for provider in told.asked.iter().filter(|_| told.verdict == Verdict::Allow) {
            self.line(
                "asks",
                &format!("the provider {}, and is let in only if it says yes", clean(provider)),
            )?;
        }
        self.notes(told)
    }

    fn notes(&mut self, told: &Authorization) -> io::Result<()> {
        for note in &told.notes {
            let text = self.evidence(note);
            self.line("note", &text)?;
        }
        Ok(())
    }

    fn phase(&mut self, phase: &Phase, told: &Authorization) -> io::Result<()> {
        let (matching, all) = phase.matching();
        let (heading, then) = match phase.action {
            Action::Allow if told.ground == Ground::NoRule => ("allow rules", ", so the request is refused"),
            Action::Allow => ("allow rules", ""),
            Action::Deny if matching > 0 => ("deny rules", ", so the request is refused"),
            Action::Deny => ("deny rules", ""),
            Action::Custom => ("custom rules", ""),
            Action::Audit => ("audit rules", ""),
        };
        let counted = phase.policies.iter().any(|policy| policy.aside.is_none());
        let verb = if matching == 1 { "matches" } else { "match" };
        let text = match (counted, all) {
            (false, _) => "none that counts here".to_owned(),
            (true, 0) => format!("there are none{then}"),
            (true, all) => format!("{matching} of {all} {verb}{then}"),
        };
        self.line(heading, &text)?;
        // A matching DENY makes everything behind it idle; without one all rules are of interest.
        let decided_before = phase.action == Action::Allow
            && told.deciding.as_ref().is_some_and(|deciding| deciding.action == Action::Deny);
        if decided_before && !self.style.verbose {
            return Ok(());
        }
        self.rules(phase)
    }

    fn rules(&mut self, phase: &Phase) -> io::Result<()> {
        let mut rows: Vec<[String; 4]> = Vec::new();
        let mut hidden = 0;
        for policy in &phase.policies {
            if let Some(aside) = policy.aside {
                rows.push([
                    clean(&policy.id).into_owned(),
                    aside.to_owned(),
                    String::new(),
                    self.place(policy.span),
                ]);
                continue;
            }
            if policy.rules.is_empty() {
                let place = self.place(policy.span);
                rows.push([clean(&policy.id).into_owned(), "has no rules".to_owned(), String::new(), place]);
            }
            for rule in &policy.rules {
                let misses = rule.fate != Fate::Matched;
                if misses && rows.len() >= SHOWN_RULES && !self.style.verbose {
                    hidden += 1;
                    continue;
                }
                rows.push(self.row(policy, rule));
                rows.extend(rule.ignored.iter().map(|ignored| self.ignored(ignored)));
            }
        }
        self.table(&rows)?;
        if hidden > 0 {
            writeln!(self.out, "   {hidden} more that do not match, listed with -v")?;
        }
        Ok(())
    }

    fn row(&self, policy: &PolicyTold, rule: &RuleTold) -> [String; 4] {
        let doubt = if policy.doubt.is_some() { " (may apply)" } else { "" };
        let name = format!("{}{doubt} rule {}", clean(&policy.id), rule.number);
        match &rule.fate {
            Fate::Matched => [name, "matches".to_owned(), String::new(), self.place(rule.span)],
            Fate::Failed(miss) => [
                name,
                format!("{} {}", clean(&miss.field), clean(&miss.wants)),
                clean(&miss.has).into_owned(),
                self.place(miss.span),
            ],
            Fate::Dropped(why) => {
                let place = why.span.map_or_else(String::new, |span| self.place(span));
                [name, clean(&why.text).into_owned(), String::new(), place]
            }
        }
    }

    /// A part of a rule that does not count.
    fn ignored(&self, ignored: &Evidence) -> [String; 4] {
        let place = ignored.span.map_or_else(String::new, |span| self.place(span));
        [String::new(), clean(&ignored.text).into_owned(), String::new(), place]
    }

    /// Rows with columns under each other; a cell that is much longer than the others pushes the rest of its row.
    fn table(&mut self, rows: &[[String; 4]]) -> io::Result<()> {
        let limit = [44, 56, 56];
        let columns: Vec<usize> = (0..3)
            .map(|at| {
                rows.iter().map(|row| width(&row[at])).filter(|cell| *cell <= limit[at]).max().unwrap_or(0)
            })
            .collect();
        for row in rows {
            let mut line = String::from("   ");
            for at in 0..3 {
                line.push_str(&row[at]);
                line.push_str(&" ".repeat(columns[at].saturating_sub(width(&row[at])) + 2));
            }
            line.push_str(&self.style.place(&row[3]));
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn closing(&mut self, answer: &Answer) -> io::Result<()> {
        for unknown in &answer.unknowns {
            self.line("not known", &clean(unknown))?;
        }
        for note in &answer.notes {
            let text = self.evidence(note);
            self.line("note", &text)?;
        }
        Ok(())
    }

    fn line(&mut self, heading: &str, text: &str) -> io::Result<()> {
        let space = " ".repeat(HEADING.saturating_sub(heading.len()));
        writeln!(self.out, "{}{space}{}", self.style.bold(heading), self.style.glyphs(text.to_owned()))
    }

    fn evidence(&self, evidence: &Evidence) -> String {
        let text = clean(&evidence.text);
        match evidence.span {
            Some(span) => format!("{text}   {}", self.style.place(&self.place(span))),
            None => text.into_owned(),
        }
    }

    fn place(&self, span: Span) -> String {
        clean(&place(self.sources, span)).into_owned()
    }
}

/// The ALLOW rule nearest to the request, when it is refused for want of one.
fn closest(told: &Authorization) -> Option<(&PolicyTold, &RuleTold)> {
    if told.ground != Ground::NoRule {
        return None;
    }
    counting(told, Action::Allow)
        .filter(|(_, rule)| rule.tests_short.is_some())
        .min_by_key(|(_, rule)| rule.tests_short)
}

/// ALLOW rules for this very operation that the request does not meet, when another one lets it in.
fn bypassed(told: &Authorization) -> impl Iterator<Item = (&PolicyTold, &RuleTold)> {
    let allowed = told.deciding.as_ref().is_some_and(|deciding| deciding.action == Action::Allow);
    counting(told, Action::Allow).filter(move |(_, rule)| allowed && rule.restricts)
}

fn counting(told: &Authorization, action: Action) -> impl Iterator<Item = (&PolicyTold, &RuleTold)> {
    let phases = told.phases.iter().filter(move |phase| phase.action == action);
    let policies = phases.flat_map(|phase| &phase.policies).filter(|policy| policy.aside.is_none());
    policies.flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)))
}
