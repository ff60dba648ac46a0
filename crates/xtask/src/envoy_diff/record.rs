//! Has a real Envoy decide.

use std::io;
use std::path::{Path, PathBuf};

use super::certificates::Certificates;
use super::client::Client;
use super::process::{Envoy, NotStarted};
use super::{Case, Set, config, observe};

/// What it takes to start Envoys one after the other.
pub(super) struct Recorder {
    binary: PathBuf,
    folder: PathBuf,
    certificates: Certificates,
    key_set: String,
}

/// What came of some sets.
#[derive(Default)]
pub(super) struct Recorded {
    /// Requests with what Envoy decided.
    pub(super) cases: Vec<Case>,
    /// Requests about which Envoy said nothing, several times.
    pub(super) lost: Vec<Case>,
    /// Sets whose filters Envoy does not take, with its words.
    pub(super) refused: Vec<(usize, String)>,
}

impl Recorder {
    /// Makes certificates in `folder`.
    pub(super) fn new(binary: PathBuf, folder: &Path) -> io::Result<Recorder> {
        let certificates = Certificates::new(folder)?;
        let key_set = certificates.key_set();
        Ok(Recorder { binary, folder: folder.to_owned(), certificates, key_set })
    }

    /// Sends all requests of the sets. Filters that Envoy refuses are found by halving the sets.
    pub(super) fn record(&self, sets: &[Set]) -> io::Result<Recorded> {
        let mut recorded = Recorded::default();
        let mut open = Vec::from([(0, sets.len())]);
        while let Some((start, end)) = open.pop() {
            let Some(part) = sets.get(start..end).filter(|part| !part.is_empty()) else { continue };
            let bootstrap = config::bootstrap(part, &self.folder, &self.key_set)?;
            let envoy = match Envoy::start(&self.binary, &bootstrap, &self.folder) {
                Ok(envoy) => envoy,
                Err(NotStarted::Failed(error)) => return Err(error),
                Err(NotStarted::Refused(words)) if part.len() == 1 => {
                    recorded.refused.push((start, words));
                    continue;
                }
                Err(NotStarted::Refused(_)) => {
                    let middle = start + part.len() / 2;
                    open.extend([(start, middle), (middle, end)]);
                    continue;
                }
            };
            let mut client = Client::new(&self.certificates);
            let (cases, lost) = observe::observe(&envoy, &mut client, part, &self.folder)?;
            let moved =
                |cases: Vec<Case>| cases.into_iter().map(move |case| Case { set: case.set + start, ..case });
            recorded.cases.extend(moved(cases));
            recorded.lost.extend(moved(lost));
        }
        Ok(recorded)
    }
}
