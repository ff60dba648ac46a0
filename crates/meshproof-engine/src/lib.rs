//! Decision tables: what the policies of one enforcement point say, compiled, and looked up in a fraction of a
//! microsecond.
//!
//! ```no_run
//! use meshproof_engine::{Connection, Context, Decision, NoRequest, Table};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bytes = std::fs::read("table.mpt")?;
//! let table = Table::open(&bytes)?;
//! let mut context = Context::for_table(&table);
//! let names: [&[u8]; 1] = [b"spiffe://cluster.local/ns/shop/sa/web"];
//! // Once per connection.
//! table.prepare(&Connection { names: &names, port: 8080, ..Connection::default() }, &mut context);
//! // Once per request.
//! let decision: Decision = table.decide(&context, &NoRequest);
//! println!("{}", decision.is_allowed());
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is allocated by `decide`, nor by `prepare` with a context that has room. Bytes are looked at once, when a
//! table is opened; what is no table is refused, and so is every request that has none to be judged by. `docs/engine.md`
//! has the format, the guarantees and the figures.

#![forbid(unsafe_code)]

mod attributes;
mod bundle;
mod bytes;
mod collect;
mod context;
mod decide;
mod dimension;
mod error;
pub mod format;
mod hash;
mod head;
mod hits;
mod identity;
mod index;
mod inspect;
mod joined;
mod kinds;
mod layout;
mod live;
mod lookup;
mod mark;
mod named;
mod number;
mod pieces;
mod pool;
mod row;
mod rule;
mod script;
mod set;
mod table;
mod template;
mod test;
mod validate;

pub use attributes::{ClaimPath, Connection, NoRequest, RequestAttributes};
pub use bundle::{BUNDLE_CHAIN, BUNDLE_MAGIC, BUNDLE_WORKLOAD, Bundle, Chain, Layer, Workload};
pub use context::Context;
pub use decide::{Decision, DryRun, Phase, Verdict};
pub use error::OpenError;
pub use hash::hash;
pub use head::content_hash;
pub use identity::workload_parts;
pub use inspect::{Probe, StoredAttribute, StoredRow, StoredTest};
pub use kinds::{Attribute, Effect, Engine, TestKind, View};
pub use layout::{Field, RowLayout};
pub use lookup::start;
pub use mark::{mark, path_bit};
pub use rule::{ProviderRef, Rule, RuleRef};
pub use table::Table;
