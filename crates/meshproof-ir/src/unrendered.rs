//! Which sources are not what is applied.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_source::SourceId;

/// Sources in folders that would have to be rendered first, with the reasons.
#[derive(Debug, Default)]
pub(crate) struct Unrendered {
    reasons: Vec<String>,
    /// Index into `reasons` by source.
    of_source: Vec<Option<u32>>,
}

impl Unrendered {
    /// From the folder of each source and the folders (those below them included) with their reasons.
    pub(crate) fn new(folders: &[String], unrendered: &[(String, String)]) -> Self {
        let mut by_folder: HashMap<&str, u32, RandomState> = HashMap::default();
        for (at, (folder, _)) in unrendered.iter().enumerate() {
            by_folder.entry(folder.trim_end_matches('/')).or_insert(at as u32);
        }
        let of_source = folders.iter().map(|folder| nearest(folder, &by_folder)).collect();
        Unrendered { reasons: unrendered.iter().map(|(_, reason)| reason.clone()).collect(), of_source }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    pub(crate) fn reason(&self, source: SourceId) -> Option<&str> {
        let at = self.of_source.get(source.0 as usize).copied().flatten()?;
        self.reasons.get(at as usize).map(String::as_str)
    }
}

/// The reason of the folder or of the nearest one above it; `.` is above everything that is not absolute.
fn nearest(folder: &str, by_folder: &HashMap<&str, u32, RandomState>) -> Option<u32> {
    if by_folder.is_empty() {
        return None;
    }
    let mut folder = folder;
    loop {
        if let Some(at) = by_folder.get(folder) {
            return Some(*at);
        }
        match folder.rsplit_once('/') {
            Some((above, _)) => folder = above,
            None => return by_folder.get(".").copied(),
        }
    }
}
