//! Helpers that several languages share: offsets, pieces with their positions, excerpts for messages.

/// How many characters of a value a message repeats before it is cut.
const SHOWN: usize = 60;

/// The offset of `part` inside `whole`. A part from elsewhere counts as its end, so that a range is always valid.
pub(crate) fn offset(whole: &str, part: &str) -> usize {
    let distance = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    if distance <= whole.len() { distance } else { whole.len() }
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
