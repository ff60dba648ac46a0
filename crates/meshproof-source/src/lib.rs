//! Text of manifests: finding files, decoding them, splitting streams into documents, and telling positions.
//!
//! This crate knows nothing of YAML. A [`SourceMap`] owns every text that was read; a [`Span`] names a byte range
//! in one of them and stays valid for the life of the map.

mod map;
mod read;
mod span;
mod split;
mod walk;

pub use map::{LineColumn, Origin, Source, SourceMap};
pub use read::{
    BytePlace, DEFAULT_SIZE_LIMIT, ReadNote, ReadProblem, ReadProblemKind, ReadText, read_file, read_stdin,
    source_name,
};
pub use span::{SourceId, Span, Spanned};
pub use split::{DocumentRange, split_documents};
pub use walk::{Discovery, Found, WalkOptions, discover};
