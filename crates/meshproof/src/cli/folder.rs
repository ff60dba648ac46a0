//! A folder of files that one run writes and the next one replaces.
//!
//! What a run writes stands in its index, and only that is ever replaced or removed. Links are not followed, so nothing
//! is written outside of the folder.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// The name of the index.
pub(crate) const INDEX: &str = "index.json";

/// A folder with the files of an earlier run, if there was one.
pub(crate) struct Folder {
    root: PathBuf,
    before: BTreeSet<String>,
}

impl Folder {
    /// Makes the folder if it is missing. `files` reads an index; nothing when it is none of ours.
    ///
    /// # Errors
    /// The folder cannot be made, or its index is somebody else's.
    pub(crate) fn open(root: &Path, files: impl Fn(&str) -> Option<Vec<String>>) -> Result<Folder, String> {
        fs::create_dir_all(root).map_err(|error| told(root, &error))?;
        let index = root.join(INDEX);
        let before = match fs::symlink_metadata(&index) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(told(&index, &error)),
            Ok(found) if !found.is_file() => return Err(foreign(&index)),
            Ok(_) => {
                let text = fs::read_to_string(&index).map_err(|error| told(&index, &error))?;
                files(&text).ok_or_else(|| foreign(&index))?
            }
        };
        let before = before.into_iter().filter(|name| is_inside(name)).collect();
        Ok(Folder { root: root.to_owned(), before })
    }

    /// Replaces what the earlier run wrote by these files; each is made when it is its turn, and one that is there
    /// already as it should be is left alone. The index is written
    /// before them: it names at least what is there, also when the run is broken off.
    ///
    /// # Errors
    /// A file that the earlier run did not write is in the way, or something cannot be written. In the first case
    /// nothing was changed.
    pub(crate) fn replace(
        &self,
        index: &str,
        names: &[String],
        bytes: impl Fn(usize) -> Vec<u8>,
    ) -> Result<(), String> {
        for name in names {
            let path = self.root.join(name);
            let is_there = match self.parents_are_folders(name)? {
                true => fs::symlink_metadata(&path).is_ok(),
                false => false,
            };
            if is_there && !self.before.contains(name) {
                return Err(format!("{}: is in the way, and no earlier run wrote it", path.display()));
            }
        }
        let stays: BTreeSet<&String> = names.iter().collect();
        for name in self.before.iter().filter(|name| !stays.contains(name)) {
            self.remove(name)?;
        }
        self.write(INDEX, index.as_bytes())?;
        names.iter().enumerate().try_for_each(|(at, name)| self.write(name, &bytes(at)))
    }

    /// Whether all folders above a file are there. Something else in their place is an error.
    fn parents_are_folders(&self, name: &str) -> Result<bool, String> {
        for folder in self.parents(name) {
            match fs::symlink_metadata(&folder) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(format!("{}: is no folder", folder.display())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(told(&folder, &error)),
            }
        }
        Ok(true)
    }

    /// The folders between the root and a file, from above.
    fn parents(&self, name: &str) -> Vec<PathBuf> {
        let mut folder = self.root.clone();
        let mut parents = Vec::new();
        for part in Path::new(name).parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            parents.push(folder.clone());
        }
        parents
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        if !self.parents_are_folders(name)?
            && let Some(folder) = self.parents(name).last()
        {
            fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
        }
        let path = self.root.join(name);
        // A link would lead elsewhere.
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(format!("{}: is no file", path.display()));
        }
        if fs::read(&path).is_ok_and(|before| before == bytes) {
            return Ok(());
        }
        replace_file(&path, bytes).map_err(|error| told(&path, &error))
    }

    /// Removes a file of the earlier run, and the folders that it leaves empty.
    fn remove(&self, name: &str) -> Result<(), String> {
        let path = self.root.join(name);
        if !self.parents_are_folders(name)? {
            return Ok(());
        }
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => {
                fs::remove_file(&path).map_err(|error| told(&path, &error))?;
            }
            // Somebody put something else there, or took it away.
            _ => return Ok(()),
        }
        // Folders with anything else in them stay.
        self.parents(name).iter().rev().take_while(|folder| fs::remove_dir(folder).is_ok()).count();
        Ok(())
    }
}

/// Gives a file new content at once: whoever reads or maps it meanwhile has the old one or the new one, whole.
fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new();
    beside.prefix(".meshproof-");
    // As any new file; temporary ones are for their owner alone otherwise.
    #[cfg(unix)]
    beside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = beside.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Whether a name from an index leads to a file below the folder.
fn is_inside(name: &str) -> bool {
    let parts = || Path::new(name).components();
    parts().count() > 0 && parts().all(|part| matches!(part, Component::Normal(_)))
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn foreign(index: &Path) -> String {
    format!("{}: is no index of an earlier run; choose another folder", index.display())
}
