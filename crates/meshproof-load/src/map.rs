//! Files that are mapped.
#![allow(unsafe_code)]

use std::path::Path;

use memmap2::Mmap;

use crate::loaded::{Bytes, file};
use crate::{LoadError, Loaded};

impl Loaded {
    /// Maps a file that `meshproof compile` wrote, and opens it. Opening reads every page once.
    ///
    /// # Safety
    /// Until the value is dropped nobody changes or shortens the file in place, neither this process nor another one. New
    /// tables are to take the *name* of the file: write them beside it and rename, as `meshproof compile` does; whoever has
    /// the old file mapped then keeps it. Use [`Loaded::read`] where others may write into the file.
    ///
    /// # Errors
    /// The file cannot be mapped, or holds no tables.
    pub unsafe fn map(path: &Path) -> Result<Loaded, LoadError> {
        let (file, size) = file(path)?;
        // An empty file cannot be mapped; it is no table either, and the message should say that.
        if size == 0 {
            return Loaded::open_at(path, Bytes::Read(Vec::new()));
        }
        // SAFETY: that the mapped bytes stay as they are is what the caller promises for the life of the value, which owns
        // the map; nothing here hands out the bytes for longer.
        let map = unsafe { Mmap::map(&file) };
        let map = map.map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })?;
        Loaded::open_at(path, Bytes::Mapped(map))
    }
}
