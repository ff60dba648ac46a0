//! `meshproof explain`: one question, answered.

use std::io::Write;

use meshproof::{Outcome, Session};
use meshproof_diagnostics::{Finding, Level};
use meshproof_explain::{Answer, Evidence, Explainer, HttpParts, Question, Unclear, Verdict, Way, add_claim};
use meshproof_ir::Layer;
use meshproof_report::{Style, explain as report};
use meshproof_source::Span;

use super::args::{Expected, ExplainArgs};
use super::output::{self, Format, Output};
use super::{CLEAN, FINDINGS, exit, nothing, read};

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &ExplainArgs) -> u8 {
    exit(answer(args))
}

fn answer(args: &ExplainArgs) -> Result<u8, String> {
    let outputs = output::chosen(&args.reports.output)?;
    if let Some(other) = outputs.iter().find(|output| !matches!(output.format, Format::Text | Format::Json)) {
        return Err(format!("an answer has no format `{}`; use text or json", other.format.name()));
    }
    let question = question(args)?;
    let options = read::options(&args.read).map_err(|error| error.to_string())?;
    let options = read::assuming(options, args.ask.assume);
    let outcome = Session::new(options).load(&read::inputs(&args.read)).map_err(|error| error.to_string())?;
    if outcome.meshes.is_empty() {
        return Ok(nothing(&outcome));
    }
    let mut answer = ask(&outcome, &question)?;
    answer.unknowns.extend(outcome.incomplete.iter().map(|what| format!("what else there is: {what}")));
    answer.notes.extend(refused_objects(&outcome, &answer));
    write(&outputs, &answer, &outcome, args)?;
    let expected = args.expect.map(|expected| match expected {
        Expected::Allow => Verdict::Allow,
        Expected::Deny => Verdict::Deny,
    });
    let code = if expected.is_some_and(|expected| expected != answer.verdict) { FINDINGS } else { CLEAN };
    std::mem::forget(outcome);
    Ok(code)
}

fn question(args: &ExplainArgs) -> Result<Question, String> {
    let mut http = HttpParts {
        method: args.method.clone(),
        path: args.path.clone(),
        host: args.host.clone(),
        headers: args.header.clone(),
        bad_token: args.bad_token,
        ..HttpParts::default()
    };
    for claim in &args.claim {
        add_claim(&mut http.claims, claim)?;
    }
    Ok(Question {
        from: args.from.clone(),
        to: args.to.clone(),
        from_cluster: args.ask.from_cluster.clone(),
        to_cluster: args.ask.to_cluster.clone(),
        way: if args.direct { Way::Direct } else { args.service.clone().unwrap_or_default() },
        speaks: if args.tcp { Layer::Tcp } else { Layer::Http },
        http,
        source_ip: args.source_ip,
        remote_ip: args.remote_ip,
        sni: args.sni.clone(),
    })
}

/// Overlays that share objects are meshes of their own, and each that has the names may answer. One answer is given if
/// they agree.
fn ask(outcome: &Outcome, question: &Question) -> Result<Answer, String> {
    let mut answers: Vec<Answer> = Vec::new();
    let mut set_ups: Vec<Option<String>> = Vec::new();
    let mut unclear: Option<Unclear> = None;
    for (mesh, folder) in outcome.meshes.iter().zip(super::tls::folders(outcome)) {
        match Explainer::new(mesh).answers(question) {
            Ok(found) => {
                for answer in found {
                    if !answers.contains(&answer) {
                        answers.push(answer);
                        set_ups.push(folder.clone());
                    }
                }
            }
            Err(problem) => {
                unclear.get_or_insert(problem);
            }
        }
    }
    let verdicts = |wanted| answers.iter().filter(|answer| answer.verdict == wanted).count();
    let (allow, deny) = (verdicts(Verdict::Allow), verdicts(Verdict::Deny));
    let mut names: Vec<&str> = answers.iter().map(|answer| answer.to.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if allow > 0 && deny > 0 && names.len() > 1 {
        let told = answers.iter().map(|answer| format!("{} {} it", answer.to, word(answer)));
        let told: Vec<String> = told.collect();
        return Err(format!(
            "{} is the name of several workloads that answer differently ({}); name the one you mean: --to {}:{}",
            question.to,
            told.join(", "),
            answers[0].to,
            answers[0].port
        ));
    }
    if allow > 0 && deny > 0 {
        return Err(format!(
            "the input holds {} set-ups (overlays or environments) that answer differently: {allow} allow it and {deny} \
             deny it{}; pass the folder of the one you mean",
            answers.len(),
            places(&answers, &set_ups)
        ));
    }
    if let [first, ..] = answers.as_slice()
        && answers.len() > 1
    {
        let what =
            if names.len() > 1 { "workloads of that name" } else { "set-ups or clusters of the input" };
        let text = format!("{} {what} agree; this is one of them", answers.len());
        answers = vec![Answer {
            notes: [first.notes.clone(), vec![Evidence::new(text)]].concat(),
            ..first.clone()
        }];
    }
    match (answers.into_iter().next(), unclear) {
        (Some(answer), _) => Ok(answer),
        (None, Some(problem)) => Err(problem.to_string()),
        (None, None) => Err("there is no mesh to ask".to_owned()),
    }
}

/// So many set-ups are named.
const NAMED: usize = 4;

/// The clusters or folders that answer, when they have names.
fn places(answers: &[Answer], set_ups: &[Option<String>]) -> String {
    let told = |(answer, folder): (&Answer, &Option<String>)| {
        Some(format!("{} {} it", answer.cluster.as_ref().or(folder.as_ref())?, word(answer)))
    };
    let mut told: Vec<String> = answers.iter().zip(set_ups).filter_map(told).collect();
    let more = told.len().saturating_sub(NAMED);
    told.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if told.is_empty() { String::new() } else { format!(" ({}{more})", told.join(", ")) }
}

fn word(answer: &Answer) -> &'static str {
    if answer.verdict == Verdict::Allow { "allows" } else { "denies" }
}

/// Policies of the answer that the API server or istiod would refuse: what they say is not what is in force.
fn refused_objects(outcome: &Outcome, answer: &Answer) -> Vec<Evidence> {
    let phases =
        answer.hops.iter().filter_map(|hop| hop.authorization.as_ref()).flat_map(|told| &told.phases);
    let policies: Vec<_> = phases.flat_map(|phase| &phase.policies).collect();
    let of = |finding: &Finding| {
        let at = finding.primary.span;
        let inside = |span: Span| span.source == at.source && span.start <= at.start && at.end <= span.end;
        let policy = policies.iter().find(|policy| inside(policy.span))?;
        let text = format!("{} is not what would be in force: {}", policy.id, finding.message);
        Some(Evidence::at(text, at))
    };
    let errors = outcome.findings.iter().filter(|finding| finding.level == Level::Error);
    errors.filter_map(of).collect()
}

fn write(outputs: &[Output], answer: &Answer, outcome: &Outcome, args: &ExplainArgs) -> Result<(), String> {
    let one = |out: &mut dyn Write, format: Format, style: Style| match format {
        Format::Json => report::write_json(out, answer, &outcome.sources),
        _ => report::write_text(out, answer, &outcome.sources, style),
    };
    outputs.iter().try_for_each(|output| output::write_to(output, args.reports.color, args.verbose, one))
}
