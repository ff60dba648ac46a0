//! Templates of paths: `/shops/{*}/items/{**}`.

use crate::format::{
    MOST_STEPS, STEP_LITERAL, STEP_SEGMENT, STEP_SLASHES, TAKES_SEGMENT, TAKES_SLASHES, TAKES_THIS,
};

/// The characters that operators match (Envoy 1.40, `uri_template_internal.cc`).
#[inline(always)]
fn is_of_segment(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=*".contains(&byte)
}

#[inline(always)]
fn takes(class: u8, byte: u8) -> bool {
    is_of_segment(byte) || (class == STEP_SLASHES && byte == b'/')
}

/// Whether the path is of the template: literals and operators, one after the other.
///
/// Each literal is taken at its first place behind its operator. That is enough because an operator never takes fewer
/// characters than the one before it: nothing follows `{**}`, which takes slashes too.
pub(crate) fn matches(template: &[u8], path: &[u8]) -> bool {
    let mut steps = Steps(template);
    let mut rest = path;
    // The operator that waits for its literal, and how many characters it has to take.
    let mut open: Option<(u8, usize)> = None;
    while let Some(step) = steps.next() {
        match (step, open) {
            (Step::Literal(text), None) => match rest.strip_prefix(text) {
                Some(after) => rest = after,
                None => return false,
            },
            (Step::Literal(text), Some((class, least))) => {
                let is_last = steps.0.is_empty();
                match behind(rest, text, class, least, is_last) {
                    Some(after) => (rest, open) = (after, None),
                    None => return false,
                }
            }
            (Step::Operator(class), open_before) => {
                let least = usize::from(class == STEP_SEGMENT);
                open = Some((class, open_before.map_or(0, |(_, least)| least) + least));
            }
        }
    }
    match open {
        Some((class, least)) => rest.len() >= least && rest.iter().all(|byte| takes(class, *byte)),
        None => rest.is_empty(),
    }
}

/// What is left behind the operator and its literal.
fn behind<'p>(rest: &'p [u8], literal: &[u8], class: u8, least: usize, is_last: bool) -> Option<&'p [u8]> {
    if is_last {
        let taken = rest.strip_suffix(literal)?;
        return (taken.len() >= least && taken.iter().all(|byte| takes(class, *byte))).then_some(&[]);
    }
    for at in 0..=rest.len() {
        let (taken, after) = rest.split_at(at);
        if taken.last().is_some_and(|byte| !takes(class, *byte)) {
            return None;
        }
        if at >= least
            && let Some(after) = after.strip_prefix(literal)
        {
            return Some(after);
        }
    }
    None
}

enum Step<'t> {
    Literal(&'t [u8]),
    Operator(u8),
}

struct Steps<'t>(&'t [u8]);

impl<'t> Steps<'t> {
    fn next(&mut self) -> Option<Step<'t>> {
        let (code, rest) = self.0.split_first()?;
        if *code != STEP_LITERAL {
            self.0 = rest;
            return Some(Step::Operator(*code));
        }
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        self.0 = rest;
        Some(Step::Literal(text))
    }
}

/// Whether the bytes are a template.
pub(crate) fn is_valid(template: &[u8]) -> bool {
    let mut steps = Steps(template);
    let (mut slashes, mut literal_before) = (false, false);
    while !steps.0.is_empty() {
        match steps.next() {
            // A literal after `{**}` may only be the last step.
            Some(Step::Literal(text)) if !text.is_empty() && !literal_before => literal_before = true,
            Some(Step::Operator(STEP_SEGMENT)) if !slashes => literal_before = false,
            Some(Step::Operator(STEP_SLASHES)) if !slashes => (slashes, literal_before) = (true, false),
            _ => return false,
        }
    }
    true
}

/// Whether the bytes are steps, and the others nothing, or where steps that are repeated as a whole begin and end.
pub(crate) fn are_valid_steps(steps: &[u8], repeated: &[u8]) -> bool {
    let is_range = match range(repeated) {
        Some((start, end)) => start <= end && end <= steps.len() / 2,
        None => repeated.is_empty(),
    };
    let (pairs, rest) = steps.as_chunks::<2>();
    is_range
        && rest.is_empty()
        && pairs.len() <= MOST_STEPS
        && pairs.iter().all(|[takes, _]| takes & 0x7f <= TAKES_SLASHES)
}

fn range(repeated: &[u8]) -> Option<(usize, usize)> {
    let [a, b, c, d] = *repeated.first_chunk::<4>().filter(|_| repeated.len() == 4)?;
    Some((u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into()))
}

/// Whether the path is of a template step by step: a pair of bytes says what a step takes (with the high bit any number
/// of times), and which byte. All ways are followed at once, so the time is that of the path times the steps.
pub(crate) fn matches_steps(steps: &[u8], repeated: &[u8], path: &[u8]) -> bool {
    let steps = steps.as_chunks::<2>().0;
    let repeated = range(repeated);
    let mut now = Places::default();
    now.reach(steps, repeated, 0);
    for byte in path {
        let mut next = Places::default();
        for (at, [what, this]) in steps.iter().enumerate().take(MOST_STEPS) {
            let fits = match what & 0x7f {
                TAKES_THIS => this == byte,
                TAKES_SEGMENT => is_of_segment(*byte),
                TAKES_SLASHES => *byte == b'/' || is_of_segment(*byte),
                _ => false,
            };
            if fits && now.has(at) {
                next.reach(steps, repeated, if what & 0x80 != 0 { at } else { at + 1 });
            }
        }
        now = next;
    }
    now.has(steps.len())
}

/// Places between steps.
#[derive(Default)]
struct Places([u64; (MOST_STEPS + 1) / 64]);

impl Places {
    fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }

    /// The place, and those that are reached from it without a character: behind steps that may be passed over, and at
    /// both ends of what is repeated. A place that is known leads nowhere new, so this ends.
    fn reach(&mut self, steps: &[[u8; 2]], repeated: Option<(usize, usize)>, place: usize) {
        let mut place = place;
        loop {
            let Some(word) = self.0.get_mut(place / 64) else { return };
            let before = *word;
            *word |= 1 << (place % 64);
            if before == *word {
                return;
            }
            match repeated {
                Some((start, end)) if place == start => self.reach(steps, repeated, end),
                Some((start, end)) if place == end => self.reach(steps, repeated, start),
                _ => {}
            }
            if steps.get(place).is_none_or(|[what, _]| what & 0x80 == 0) {
                return;
            }
            place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(parts: &[(u8, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, text) in parts {
            bytes.push(*code);
            if *code == STEP_LITERAL {
                bytes.extend(u16::try_from(text.len()).expect("short").to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
        assert!(is_valid(&bytes));
        bytes
    }

    #[test]
    fn operators() {
        const L: u8 = STEP_LITERAL;
        let one = template(&[(L, "/a/"), (STEP_SEGMENT, ""), (L, "/b")]);
        assert!(matches(&one, b"/a/x/b") && matches(&one, b"/a/b/b") && !matches(&one, b"/a//b"));
        assert!(!matches(&one, b"/a/x/y/b") && !matches(&one, b"/a/x/bb"));
        let any = template(&[(L, "/a/"), (STEP_SLASHES, ""), (L, "/b")]);
        assert!(matches(&any, b"/a//b") && matches(&any, b"/a/x/b/b") && !matches(&any, b"/a/b"));
        let two = template(&[(L, "/"), (STEP_SEGMENT, ""), (L, "/"), (STEP_SEGMENT, "")]);
        assert!(matches(&two, b"/a/b") && !matches(&two, b"/a/") && !matches(&two, b"/a/b/c"));
        assert!(!matches(&two, b"/a/[") && matches(&template(&[(L, "/")]), b"/"));
    }

    #[test]
    fn steps() {
        let steps = [0u8, b'/', 0x80, b'x', 1, 0, 0x81, 0];
        assert!(
            are_valid_steps(&steps, b"") && !are_valid_steps(&[3, 0], b"") && !are_valid_steps(&[0], b"")
        );
        assert!(
            matches_steps(&steps, b"", b"/xxy")
                && matches_steps(&steps, b"", b"/x")
                && !matches_steps(&steps, b"", b"/")
        );
    }

    #[test]
    fn nonsense_is_no_template() {
        assert!(
            !is_valid(&[STEP_LITERAL, 9, 0, b'a'])
                && !is_valid(&[7])
                && !is_valid(&[STEP_SLASHES, STEP_SEGMENT])
        );
    }
}
