//! The layout of a table, shared by whoever writes one and the loader. All numbers are little-endian.
//!
//! A head of [`HEAD`] bytes, then the directory of [`SECTIONS`] sections (offset and length in bytes, 32 bits each),
//! then the sections, each at a multiple of eight bytes. What stands in a section is told beside its number here;
//! `docs/engine.md` puts it together.

/// The first eight bytes of a table.
pub const MAGIC: [u8; 8] = *b"meshtabl";
/// The version that this crate reads and writes.
pub const VERSION: u32 = 1;
/// Bytes before the directory: magic, version (`u32` at 8), engine (`u8` at 12), settings (`u8` at 13), two bytes of
/// zero, length of the table (`u64` at 16), BLAKE3 of everything else (32 bytes at 24), words of a row set (`u32` at
/// 56), the set of all rows (`u32` at 60).
pub const HEAD: usize = 64;
/// How many sections there are.
pub const SECTIONS: usize = 15;
/// Where the hash stands.
pub const HASH_AT: usize = 24;
/// No place.
pub const NONE: u32 = u32::MAX;
/// How many slots a look-up may have to walk.
pub const MOST_PROBES: u32 = 64;

/// Settings, bit by bit: header lines arrive joined.
pub const HEADERS_JOINED: u8 = 1;
/// Of several rules that match, the first in the order of the policies is reported, else the one with the least name.
pub const POLICY_ORDER: u8 = 2;
/// A request that nothing denies needs an ALLOW rule.
pub const NEEDS_ALLOW: u8 = 4;
/// There are ALLOW policies on trial.
pub const HAS_DRY_ALLOW: u8 = 8;

/// Per segment four `u32`: what it leads to, its first word, and its provider as a text.
pub const SEGMENTS: usize = 0;
/// Per row a `u32`: its rule.
pub const ROW_RULES: usize = 1;
/// Per rule two `u32`: its policy, and its place in the policy.
pub const RULES: usize = 2;
/// Per policy [`POLICY`] `u32`: namespace, name, and what is written before and behind the names of its rules, as texts.
pub const POLICIES: usize = 3;
/// Per dimension [`DIMENSION`] `u32`.
pub const DIMENSIONS: usize = 4;
/// Per index [`INDEX`] `u32`.
pub const INDEXES: usize = 5;
/// Row sets with a bit per row, as `u64`.
pub const BITS: usize = 6;
/// Other row sets, as `u32`: a count, then as many rows; or a count with [`BLOCKS`], as many words, then as many masks of
/// two numbers, the lower half first. Rows and words ascend.
pub const SETS: usize = 7;
/// What a value of an attribute leads to, as `u32`: a head, then sets, then tests.
pub const RECORDS: usize = 8;
/// Per slot of a look-up table three `u32`: tag and length, text, record.
pub const SLOTS: usize = 9;
/// Lengths of prefixes and suffixes, as `u32`, ascending.
pub const LENGTHS: usize = 10;
/// Per test [`TEST`] `u32`.
pub const TESTS: usize = 11;
/// Of ports and IPv4 addresses the borders of intervals, as `u32`, ascending; and the records of all intervals.
pub const BORDERS: usize = 12;
/// Of IPv6 addresses the borders of intervals, as `u128`, ascending.
pub const WIDE_BORDERS: usize = 13;
/// Texts.
pub const POOL: usize = 14;

/// Numbers of a policy.
pub const POLICY: usize = 8;
/// Numbers of a dimension: attribute, how it is asked ([`OF_CONNECTION`], [`OF_REQUEST`], [`DRIVER`]), name (two), rows
/// that want something (place in `BITS`), rows that refuse something (place in `BITS` or [`NONE`]), indexes (two), tests
/// (two), whether those tests are all (1), rows that want nothing, as a set.
pub const DIMENSION: usize = 12;
/// A dimension that is asked once per connection.
pub const OF_CONNECTION: u32 = 0;
/// A dimension that is asked of each request.
pub const OF_REQUEST: u32 = 1;
/// The one dimension of requests that is asked first.
pub const DRIVER: u32 = 2;
/// Numbers of an index: view, fold, then exact slots (two), prefix slots (two) and lengths (two), suffix slots (two) and
/// lengths (two), records of texts that are there, that are not empty, and that are not empty and have no line break;
/// one of zero. Of numbers behind view and fold: borders of ports or IPv4 addresses (place and count in `BORDERS`), the
/// place of their records there, borders of IPv6 addresses (two, in `WIDE_BORDERS`), the place of their records.
pub const INDEX: usize = 16;
/// Numbers of a test: kind, first text (two), second text (two), sets of rows that want and that refuse it.
pub const TEST: usize = 7;

/// The head of a record: counts of wanting sets, refusing sets and tests, eight bits each, then these flags. Nothing
/// else of the view can match.
pub const COMPLETE: u32 = 1 << 24;
/// The first wanting set is that of the literal itself.
pub const OWN_WANTED: u32 = 1 << 25;
/// The first refusing set is that of the literal itself.
pub const OWN_REFUSED: u32 = 1 << 26;
/// Behind the tests stands the record of a shorter affix, which holds too. It stands before this one.
pub const PARENT: u32 = 1 << 27;
/// In the place of a record: one wanting set, that of the literal itself, and nothing else of the view can match.
pub const DIRECT: u32 = 1 << 31;
/// Kinds of sets in bits 29 and 30 of a set's reference; the rest is a place or a row.
pub const SET_KIND_SHIFT: u32 = 29;
/// The place or row.
pub const SET_PLACE: u32 = (1 << SET_KIND_SHIFT) - 1;
/// Rows one by one.
pub const SET_ROWS: u32 = 0;
/// Words with masks.
pub const SET_BLOCKS: u32 = 1;
/// A bit per row.
pub const SET_BITS: u32 = 2;
/// A single row.
pub const SET_ROW: u32 = 3;

/// In the head of a set: words with masks.
pub const BLOCKS: u32 = 1 << 31;
/// In the head of a set: how many rows or words.
pub const SET_COUNT: u32 = BLOCKS - 1;

/// In the length of a slot: it only leads on to longer affixes.
pub const MARKER: u32 = 1 << 15;
/// The longest text of a slot.
pub const LONGEST: usize = (1 << 15) - 1;

/// Steps of a template: any number of characters of a segment and slashes.
pub const STEP_SLASHES: u8 = 1;
/// One character of a segment, or more.
pub const STEP_SEGMENT: u8 = 2;
/// A literal; its length follows in two bytes, then the text.
pub const STEP_LITERAL: u8 = 3;
/// In templates step by step ([`Steps`](crate::TestKind::Steps)): what one step takes, a byte with its flag behind it.
pub const TAKES_THIS: u8 = 0;
/// A character of a segment.
pub const TAKES_SEGMENT: u8 = 1;
/// A character of a segment, or a slash.
pub const TAKES_SLASHES: u8 = 2;
/// The most steps of such a template.
pub const MOST_STEPS: usize = 1023;
