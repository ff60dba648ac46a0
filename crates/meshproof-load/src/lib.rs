//! Files of decision tables, as a proxy holds them: the bytes and the tables that look into them are one value, which can
//! be shared between threads and exchanged while requests run.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use arc_swap::{ArcSwap, cache::Cache};
//! use meshproof_engine::{Connection, Context, Decision, Layer, NoRequest};
//! use meshproof_load::{LoadError, Loaded};
//!
//! # fn main() -> Result<(), LoadError> {
//! let file = Path::new("tables/mesh.mpt");
//! let current = ArcSwap::from_pointee(Loaded::read(file)?);
//!
//! // Each worker has a cache; while nothing changed, a load of it costs one relaxed read.
//! let mut cache = Cache::new(&current);
//! // Each connection has a context, and keeps it to its end.
//! let (connection, mut context) = (Connection::default(), Context::new());
//! let loaded = cache.load();
//! let workload = loaded.bundle().workload("shop/web");
//! let decision = match workload.as_ref().and_then(|workload| workload.table(Layer::Http, 8080, None)) {
//!     Some(table) => table.decide_on(&connection, &mut context, &NoRequest),
//!     None => Decision::NO_TABLE,
//! };
//! # let _ = decision;
//!
//! // On a reload: open first; what does not open changes nothing.
//! current.store(Arc::new(Loaded::read(file)?));
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `mmap` a file can be mapped instead of read, so that the workers of several processes share its pages.

mod error;
mod loaded;
#[cfg(feature = "mmap")]
mod map;

pub use error::LoadError;
pub use loaded::Loaded;
