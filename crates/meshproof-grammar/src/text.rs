//! Helpers that several languages share: offsets, pieces with their positions, excerpts for messages.

use std::ops::Range;

/// How many characters of a value a message repeats before it is cut.
const SHOWN: usize = 60;

/// The offset of `part` inside `whole`. A part that is no slice of it counts as its end: nom gives a fresh empty string
/// for an exhausted input.
pub(crate) fn offset(whole: &str, part: &str) -> usize {
    let distance = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    if distance <= whole.len() { distance } else { whole.len() }
}

/// The range of the first character of `rest` inside `whole`, or the empty range at the end.
pub(crate) fn char_range(whole: &str, rest: &str) -> Range<usize> {
    let start = offset(whole, rest);
    let length = rest.chars().next().map_or(0, char::len_utf8);
    start..start + length
}

/// Pieces between separators, each with its offset.
pub(crate) fn pieces(text: &str, separator: char) -> impl Iterator<Item = (usize, &str)> {
    text.split(separator).map(move |piece| (offset(text, piece), piece))
}

/// The value as it stands in a message: quoted, control characters escaped, cut when it is long.
pub(crate) fn shown(value: &str) -> String {
    let mut cut: String = value.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if value.chars().nth(SHOWN).is_some() {
        cut.push('…');
    }
    format!("`{cut}`")
}
