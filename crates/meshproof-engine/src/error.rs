//! Why bytes are no table.

use std::fmt;

/// Why bytes are no table. Whoever gets one refuses everything ([`Decision::NO_TABLE`](crate::Decision::NO_TABLE)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenError {
    /// They do not begin as a table does.
    Foreign,
    /// They were made by a version that is not known here.
    Version(u32),
    /// They end before the table does.
    Truncated {
        /// Bytes that the table says it has.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// There is something behind the table.
    TooLong {
        /// Bytes that the table says it has.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The content is not what the hash says.
    Corrupt,
    /// The content is whole and breaks a rule of the format: what, and the place of the number that does in its section.
    Invalid {
        /// Which part.
        what: &'static str,
        /// The place.
        at: u32,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Foreign => {
                return f.write_str("this is no decision table; name what `meshproof compile` wrote");
            }
            OpenError::Version(version) => write!(
                f,
                "the table has format {version}, and this program reads format {}",
                crate::format::VERSION
            ),
            OpenError::Truncated { expected, found } => {
                write!(f, "the table has {expected} bytes, and only {found} are there")
            }
            OpenError::TooLong { expected, found } => {
                write!(f, "the table ends after {expected} bytes, and {found} are there")
            }
            OpenError::Corrupt => {
                f.write_str("the table was changed after it was made: its hash does not fit")
            }
            OpenError::Invalid { what, at } => write!(f, "the table breaks its format: {what} (at {at})"),
        }?;
        f.write_str("; compile the policies again")
    }
}

impl std::error::Error for OpenError {}
