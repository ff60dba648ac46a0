//! The layout of a table, shared by whoever writes one and the loader. All numbers are little-endian.
//!
//! A head of [`HEAD`] bytes, then the directory of [`SECTIONS`] sections (offset and length in bytes, 32 bits each),
//! then the sections, each at a multiple of eight bytes. What stands in a section is told beside its number here;
//! `docs/engine.md` puts it together.

/// The first eight bytes of a table.
pub const MAGIC: [u8; 8] = *b"meshtabl";
/// The version that this crate reads and writes.
pub const VERSION: u32 = 3;
/// Bytes before the directory: magic, version (`u32` at 8), engine (`u8` at 12), settings (`u8` at 13), two bytes of
/// zero, length of the table (`u64` at 16), BLAKE3 of everything else (32 bytes at 24), words of a row set (`u32` at
/// 56), the set of all rows (`u32` at 60).
pub const HEAD: usize = 64;
/// How many sections there are.
pub const SECTIONS: usize = 18;
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
/// Numbers of rules and policies have 32 bits instead of 16, and places of rules in policies 32 instead of 8.
pub const WIDE_RULES: u8 = 16;
/// What rows ask stands row by row in [`SCRIPTS`]; only the names of the peer are looked up.
pub const BY_ROWS: u8 = 32;

/// The places of names of policies have 32 bits instead of 16.
pub const WIDE_NAMES: u8 = 64;

/// Per segment three `u32`: what it leads to, its first word (with scripts its first rule), and its provider as a text.
pub const SEGMENTS: usize = 0;
/// Per row its rule; all bits for a row that is none. With scripts, per row 64 bits as [`RowLayout`](crate::RowLayout) says.
pub const ROWS: usize = 1;
/// Per rule its policy; then per rule its place in the policy, in one byte, or in 32 bits if those of rules have that.
pub const RULES: usize = 2;
/// Per policy [`POLICY`] numbers of 16 bits (with [`WIDE_NAMES`] of 32): namespace, name, and what is written before and behind the names of its rules with a zero
/// byte between, as texts.
pub const POLICIES: usize = 3;
/// Per dimension [`DIMENSION`] `u32`.
pub const DIMENSIONS: usize = 4;
/// Per index [`INDEX`] `u32`.
pub const INDEXES: usize = 5;
/// Row sets with a bit per row, as `u64`: of the first word those of all sets, then of the second, and so on, so that all
/// that is known of a word stands together.
pub const COLUMNS: usize = 6;
/// Row sets of many rows, as `u64`: groups of 32 words each ([`GROUP_WORDS`]), then a mask per word that has rows.
pub const SETS: usize = 7;
/// Row sets of few rows that several records share: the length in bytes, then rows.
pub const LISTS: usize = 8;
/// Texts with what they lead to, as bytes.
pub const ENTRIES: usize = 9;
/// Slots of look-up tables, as `u32`: the place of an entry, and in the bits above a part of the hash of its text. Zero
/// for a free one. From where the search for a text begins up to it, no slot is free and none has a greater part of a hash.
pub const SLOTS: usize = 10;
/// Of prefixes or suffixes: a filter of [`FILTER`] `u32`, then their lengths, as `u32`, ascending.
pub const LENGTHS: usize = 11;
/// Tests that are spelled out, as bytes.
pub const TESTS: usize = 12;
/// Of ports and IPv4 addresses the borders of intervals, as `u32`, ascending; and the entries of all intervals.
pub const BORDERS: usize = 13;
/// Of IPv6 addresses the borders of intervals, as `u128`, ascending.
pub const WIDE_BORDERS: usize = 14;
/// Starts that texts of entries share, as texts, `u32` each.
pub const STARTS: usize = 15;
/// Texts, each behind its length.
pub const POOL: usize = 16;

/// What rows ask that has no bits in [`ROWS`], as bytes. First, as short numbers, the most rows that one name leaves; the
/// dimension of ports and one (or zero), how many ports have a bit, and these; the dimension of methods and one (or zero),
/// how many methods have a bit, and these as texts; from which place on four bytes of paths are looked at and one (or
/// zero), and how many bits these have. Then what is asked, which several rows may share. Of connections: how many demands
/// these are, twice, and one if what is asked of the request stands elsewhere; the demands; and what is asked of the
/// request, or the place of that as a short number. Of requests: how many demands there are, and these. A demand begins
/// with two bytes: the number of its dimension, twice, and one where its tests are refused; and how many tests follow.
pub const SCRIPTS: usize = 17;
/// The longest script section: places in it are told by 24 bits of a row.
pub const MOST_SCRIPTS: usize = 1 << 24;
/// The most rows that a name may lead to in a table with scripts.
pub const MOST_LEFT: usize = 512;
/// The most ports with a bit. With places, rules and methods they are not more than the 64 bits of a row.
pub const PORTS: usize = 12;
/// The most bits that paths have.
pub const PATH_BITS: u32 = 24;
/// So many methods have a bit, and at most [`METHOD_BYTES`] bytes each.
pub const METHODS: usize = 8;
/// The longest method with a bit.
pub const METHOD_BYTES: usize = 7;
/// The most demands of a row at one time, tests of a demand, and dimensions.
pub const MOST_DEMANDS: usize = 127;
/// How a test of a text stands in a script: four bytes for its form, the length of the text, its [`mark`](crate::mark), and
/// how many bytes follow; these are the number of a shared start and the bytes behind it. The form has in its lowest two
/// bits what the text is: all of the value.
pub const TEXT_EXACT: u8 = 0;
/// The text is a prefix.
pub const TEXT_PREFIX: u8 = 1;
/// The text is a suffix.
pub const TEXT_SUFFIX: u8 = 2;
/// Any other test. Length and mark are of a prefix that passing texts have, and may be of none; what follows is its kind, a
/// start, its first text behind its length, and its second one.
pub const TEXT_OTHER: u8 = 3;
/// What is shared stands behind the bytes.
pub const TEXT_ENDS: u8 = 4;
/// By how many bits the text is shorter than the eight bytes that marks are of.
pub const TEXT_MISSING: u8 = 0x38;
/// The two lengths are zero, and follow as 16 bits each.
pub const TEXT_LONG: u8 = 0x40;
/// Its mark alone does not say whether a value is of interest: it is long, empty, or a suffix of less than eight bytes.
pub const TEXT_ALWAYS: u8 = 0x80;

/// The form of a test with these lengths, of its text and of what follows.
pub fn text_form(way: u8, is_end: bool, length: usize, size: usize) -> u8 {
    let missing = if length > 8 { 0 } else { 8 - length as u8 };
    let is_long = length > 255 || size > 255;
    let always = is_long || length == 0 || (way == TEXT_SUFFIX && missing > 0);
    let flags = [(is_end, TEXT_ENDS), (is_long, TEXT_LONG), (always, TEXT_ALWAYS)];
    let missing = if always { 0 } else { missing * 8 };
    flags.into_iter().fold(way | missing, |form, (is_set, flag)| if is_set { form | flag } else { form })
}
/// What stands before the address of a block is the length of its prefix, and so much more for IPv6.
pub const BLOCK_WIDE: u8 = 64;

/// Numbers of a policy.
pub const POLICY: usize = 3;
/// Numbers of a dimension: attribute, how it is asked ([`OF_CONNECTION`], [`OF_REQUEST`], [`DRIVER`]), name as a text, rows
/// that want something (a column), rows that refuse something (a column or [`NONE`]), indexes (first and count), tests
/// (from and up to a place), which of its tests are spelled out ([`SPELLED_ALL`], [`SPELLED_PARTS`] or zero), rows that
/// want nothing as a set (of the one that leads at connections, else [`NONE`]), and one of zero.
pub const DIMENSION: usize = 12;
/// Every test is spelled out.
pub const SPELLED_ALL: u32 = 1;
/// Every test of another view than the whole.
pub const SPELLED_PARTS: u32 = 2;
/// A dimension that is asked once per connection.
pub const OF_CONNECTION: u32 = 0;
/// A dimension that is asked of each request.
pub const OF_REQUEST: u32 = 1;
/// The one dimension of requests that is asked first where many rows are in question.
pub const DRIVER: u32 = 2;
/// Numbers of an index: view, fold, then exact slots (two), prefix slots (two) and lengths (two), suffix slots (two) and
/// lengths (two), entries of texts that are there, and of those that are not empty and have no line break; two of zero.
/// Of numbers behind view and fold: borders of ports or IPv4 addresses (place and count in `BORDERS`), the place of their
/// entries there, borders of IPv6 addresses (two, in `WIDE_BORDERS`), the place of their entries.
pub const INDEX: usize = 16;
/// Numbers of a filter: how many bytes of a text are looked at, a bit for each eight bits of their hash, and the byte with
/// which all prefixes end, or all suffixes begin; zero where they have none in common, and then shorter texts announce
/// longer ones.
pub const FILTER: usize = 10;
/// Where that byte stands.
pub const BOUNDARY: usize = 9;

/// The first byte of what an entry leads to, behind its text (a shared start, its length, its own bytes). Nothing else of
/// the view can match.
pub const COMPLETE: u8 = 1;
/// The first wanting set is that of the literal itself.
pub const OWN_WANTED: u8 = 2;
/// The first refusing set is that of the literal itself.
pub const OWN_REFUSED: u8 = 4;
/// Behind the tests stands an earlier entry that holds too.
pub const PARENT: u8 = 8;
/// Counts of wanting sets (four bits), of refusing sets and of tests (two each) follow; otherwise there is one wanting set.
pub const COUNTED: u8 = 16;
/// In place of these counts: three short numbers follow.
pub const MANY_COUNTS: u8 = 15;
/// An earlier entry follows that says what this one leads to.
pub const ALIAS: u8 = 32;
/// The text only leads on to longer ones.
pub const MARKER: u8 = 64;

/// Kinds of sets in the lowest two bits of a set's number. Rows stand right behind it, as many bytes as the number says.
pub const SET_ROWS: u32 = 0;
/// A column.
pub const SET_COLUMN: u32 = 1;
/// A place in `SETS`.
pub const SET_GROUPS: u32 = 2;
/// A place in `LISTS`.
pub const SET_LIST: u32 = 3;
/// With scripts, rows of sets are told by their numbers, in two bytes each, and in four in tables of more rows than this.
/// Other rows are told by short numbers, the first one and then distances.
pub const NARROW_ROWS: usize = 1 << 16;
/// How many words a group tells of: a bit for each in its lower half, and in the upper half how many words have rows in
/// the groups before.
pub const GROUP_WORDS: usize = 32;

/// In the second byte of a test, behind its kind: rows that want it follow.
pub const TEST_WANTED: u8 = 1;
/// Rows that refuse it follow.
pub const TEST_REFUSED: u8 = 2;

/// The longest text of an entry.
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

/// How many bits of a slot are the place of its entry; the rest is of the hash.
pub fn place_bits(entries: usize) -> u32 {
    (usize::BITS - entries.leading_zeros()).min(32)
}

/// The bits of a slot that are the place of its entry.
#[inline(always)]
pub fn place_mask(place_bits: u32) -> u32 {
    1u64.checked_shl(place_bits).unwrap_or_default().wrapping_sub(1) as u32
}

/// The part of a hash that stands in a slot, with the place of the entry. Of two hashes the part of the smaller lower half is
/// never greater, whatever places need. At 32 bits there is no room for it.
#[inline(always)]
pub fn slot(hash: u64, entry: u32, place_bits: u32) -> u32 {
    entry | (hash as u32 & !place_mask(place_bits))
}

/// The bit of a filter for the bytes that it looks at.
#[inline(always)]
pub fn filter_bit(hash: u64) -> (usize, u32) {
    ((hash >> 5) as usize & 7, (hash as u32) & 31)
}
