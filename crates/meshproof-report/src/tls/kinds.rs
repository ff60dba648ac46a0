//! Rows of long tables that differ in names and numbers alone.

use std::collections::HashMap;

use meshproof_explain::tls::TlsRow;

/// Tables of up to so many rows are shown whole.
const WHOLE: usize = 60;
/// So many rows of a kind stand for the others.
const SHOWN: usize = 2;

/// Rows of one kind.
pub(super) struct Kind<'a> {
    /// Those that are shown.
    pub shown: Vec<&'a TlsRow>,
    /// How many ports the others have.
    pub others: usize,
}

/// The rows of a table by kind, in the order of the first of each; every row is a kind of its own where the table is short
/// or everything is wanted.
pub(super) fn kinds(rows: &[TlsRow], all: bool) -> Vec<Kind<'_>> {
    if all || rows.len() <= WHOLE {
        return rows.iter().map(|row| Kind { shown: vec![row], others: 0 }).collect();
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for row in rows {
        let at = *places.entry(shape(row)).or_insert_with(|| {
            kinds.push(Kind { shown: Vec::new(), others: 0 });
            kinds.len() - 1
        });
        match &mut kinds[at] {
            kind if kind.shown.len() < SHOWN => kind.shown.push(row),
            kind => kind.others += 1 + row.alike.len(),
        }
    }
    kinds
}

/// A row without names and numbers.
fn shape(row: &TlsRow) -> String {
    let mut shape = format!("{}|{}", row.mode, impersonal(row.decided_by.as_deref().unwrap_or_default()));
    for note in &row.notes {
        shape += &format!("|{}", impersonal(&note.text));
    }
    for clients in &row.clients {
        let at_address = clients.via.first().is_some_and(|via| via == super::ADDRESS);
        let reason = impersonal(clients.reason.as_deref().unwrap_or_default());
        let (sends, outcome) = (impersonal(&clients.sends), clients.outcome.word());
        shape += &format!("|{at_address} {sends}: {outcome} {reason} {}", clients.unknown.is_empty());
    }
    shape
}

fn impersonal(text: &str) -> String {
    let is_name = |word: &&str| word.contains('/') || word.contains(|c: char| c.is_ascii_digit());
    text.split(' ').filter(|word| !is_name(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_do_not_count() {
        assert_eq!(
            impersonal("dropped by NetworkPolicy shop/cart, and 7 more"),
            "dropped by NetworkPolicy and more"
        );
    }
}
