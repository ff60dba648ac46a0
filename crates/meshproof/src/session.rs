//! The library facade: everything from paths to findings in one call.

use std::time::Instant;

use crate::lints;
use crate::options::{Error, Input, Options, Outcome};
use crate::pipeline::{self, Depth};

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
        for lint in self.options.levels.named() {
            if !lints::is_known(lint) {
                let suggestion = lints::closest(lint).map(str::to_owned);
                return Err(Error::UnknownLint { lint: lint.to_owned(), suggestion });
            }
        }
        self.run(inputs, Depth::Findings)
    }

    /// Reads the inputs and builds the mesh, and asks no lint: for questions of one's own. The findings are those of
    /// reading.
    ///
    /// # Errors
    /// A path that does not exist, and options that make no sense.
    pub fn load(&self, inputs: &[Input]) -> Result<Outcome, Error> {
        self.run(inputs, Depth::Meshes)
    }

    fn run(&self, inputs: &[Input], depth: Depth) -> Result<Outcome, Error> {
        let start = Instant::now();
        let run = || pipeline::run(&self.options, inputs, depth);
        let mut outcome = match self.options.jobs {
            None => run(),
            Some(jobs) => rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?.install(run),
        }?;
        outcome.summary.elapsed = Some(start.elapsed());
        Ok(outcome)
    }
}
