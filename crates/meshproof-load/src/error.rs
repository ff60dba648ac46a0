//! Why a file holds no tables.

use std::io;
use std::path::PathBuf;

use meshproof_engine::OpenError;

/// Why a file holds no tables. Keep those that were there before, or refuse every request
/// ([`Decision::NO_TABLE`](meshproof_engine::Decision::NO_TABLE)).
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// It is larger than a file of tables can be: their places are numbers of 32 bits.
    #[error("{}: {size} bytes are more than tables can have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// Its content is no bundle of tables.
    #[error("{}: {error}", path.display())]
    NoTables {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: OpenError,
    },
}
