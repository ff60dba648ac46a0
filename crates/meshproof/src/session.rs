//! The library facade: everything from paths to findings in one call.

use std::time::Instant;

use crate::lints;
use crate::options::{Error, Input, Options, Outcome};
use crate::pipeline;

/// Runs analyses over manifests.
///
/// ```
/// use meshproof::{Input, Options, Session};
///
/// let text = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 80}]}\n";
/// let input = Input::Text { name: "web.yaml".into(), text: text.into() };
/// let outcome = Session::new(Options::default()).check(&[input])?;
/// assert_eq!(outcome.objects, 1);
/// for finding in &outcome.findings {
///     let place = outcome.sources.position(finding.primary.span);
///     println!("line {}: {}", place.line, finding.message);
/// }
/// # Ok::<(), meshproof::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Session {
    options: Options,
}

impl Session {
    /// A session with these options.
    pub fn new(options: Options) -> Self {
        Session { options }
    }

    /// Reads the inputs, builds the mesh, runs every lint, and applies levels and suppressions.
    ///
    /// What is wrong with a file or a document becomes a finding, and the run goes on.
    ///
    /// # Errors
    /// A path that does not exist, and options that make no sense: then nothing was analysed.
    pub fn check(&self, inputs: &[Input]) -> Result<Outcome, Error> {
        let start = Instant::now();
        for lint in self.options.levels.named() {
            if !lints::is_known(lint) {
                let suggestion = lints::closest(lint).map(str::to_owned);
                return Err(Error::UnknownLint { lint: lint.to_owned(), suggestion });
            }
        }
        let run = || pipeline::run(&self.options, inputs);
        let mut outcome = match self.options.jobs {
            None => run(),
            Some(jobs) => rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?.install(run),
        }?;
        outcome.summary.elapsed = Some(start.elapsed());
        Ok(outcome)
    }
}
