//! Bytes and the tables in them as one value.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::path::Path;

use meshproof_engine::{Bundle, OpenError};
use self_cell::self_cell;

use crate::LoadError;

/// Where the bytes are.
pub(crate) enum Bytes {
    Read(Vec<u8>),
    #[cfg(feature = "mmap")]
    Mapped(memmap2::Mmap),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Read(bytes) => bytes,
            #[cfg(feature = "mmap")]
            Bytes::Mapped(map) => map,
        }
    }
}

self_cell!(
    struct Cell {
        owner: Bytes,
        #[covariant]
        dependent: Bundle,
    }
);

/// A file of tables, in memory and opened: every place in it was checked. It can be sent to other threads and shared by
/// them, and lasts as long as somebody holds it.
pub struct Loaded(Cell);

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tables = self.bundle().tables().len();
        f.debug_struct("Loaded").field("bytes", &self.size()).field("tables", &tables).finish()
    }
}

/// Places in a file are numbers of 32 bits.
const LARGEST: u64 = u32::MAX as u64;

impl Loaded {
    /// Opens a bundle that is in memory already.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Loaded, OpenError> {
        Loaded::open(Bytes::Read(bytes))
    }

    /// Reads a file that `meshproof compile` wrote, and opens it.
    ///
    /// # Errors
    /// The file cannot be read, or holds no tables.
    pub fn read(path: &Path) -> Result<Loaded, LoadError> {
        let (file, size) = file(path)?;
        let mut bytes = Vec::new();
        let read = bytes
            .try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
            // A file that grows meanwhile is no reason to read without end.
            .and_then(|()| file.take(LARGEST).read_to_end(&mut bytes));
        read.map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })?;
        Loaded::open_at(path, Bytes::Read(bytes))
    }

    /// The tables.
    pub fn bundle(&self) -> &Bundle<'_> {
        self.0.borrow_dependent()
    }

    /// Bytes that the file has.
    pub fn size(&self) -> usize {
        self.0.borrow_owner().len()
    }

    fn open(bytes: Bytes) -> Result<Loaded, OpenError> {
        Cell::try_new(bytes, |bytes| Bundle::open(bytes)).map(Loaded)
    }

    pub(crate) fn open_at(path: &Path, bytes: Bytes) -> Result<Loaded, LoadError> {
        Loaded::open(bytes).map_err(|error| LoadError::NoTables { path: path.to_owned(), error })
    }
}

/// The file, and how large it is.
pub(crate) fn file(path: &Path) -> Result<(File, u64), LoadError> {
    let unreadable = |error| LoadError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(LoadError::TooLarge { path: path.to_owned(), size });
    }
    Ok((file, size))
}
