//! Texts in their order.

/// So few texts are compared as they are.
const FEW: usize = 4;

/// The places of the texts in ascending order; equal ones in the order in which they stand.
///
/// Texts of one kind begin alike (`cluster.local/ns/`), which makes comparing them one by one slow. So they are sorted by
/// their first twelve bytes as a number, then those with the same number by the next twelve, and so on.
pub(super) fn order_of(texts: &[&[u8]]) -> Vec<u32> {
    // The place of a text below twelve bytes of it.
    let mut sorted: Vec<u128> = (0..texts.len() as u128).collect();
    let text_of = |one: u128| texts[one as u32 as usize];
    // Where texts stand that are equal up to a length.
    let mut equal = vec![(0..sorted.len(), 0)];
    while let Some((range, length)) = equal.pop() {
        let run = &mut sorted[range.clone()];
        // Of those that have ended, numbers tell no more.
        if run.len() <= FEW || run.iter().any(|one| text_of(*one).len() < length) {
            run.sort_unstable_by_key(|one| (text_of(*one), *one as u32));
            continue;
        }
        for one in &mut *run {
            *one = twelve(&text_of(*one)[length..]) << 32 | u128::from(*one as u32);
        }
        run.sort_unstable();
        let mut start = range.start;
        for run in run.chunk_by(|a, b| a >> 32 == b >> 32) {
            equal.extend((run.len() > 1).then_some((start..start + run.len(), length + TWELVE)));
            start += run.len();
        }
    }
    sorted.into_iter().map(|one| one as u32).collect()
}

const TWELVE: usize = 12;

/// The first twelve bytes as a number; what is missing counts as zero.
fn twelve(text: &[u8]) -> u128 {
    match text.first_chunk::<TWELVE>() {
        Some([a, b, c, d, rest @ ..]) => {
            u128::from(u32::from_be_bytes([*a, *b, *c, *d])) << 64 | u128::from(u64::from_be_bytes(*rest))
        }
        None => {
            text.iter().chain([&0; TWELVE]).take(TWELVE).fold(0, |all, byte| all << 8 | u128::from(*byte))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_sorted_as_the_library_sorts_them() {
        let mut rng = fastrand::Rng::with_seed(7);
        for round in 0..300 {
            let start = "cluster.local/ns/".repeat(round % 3);
            let mut text = || {
                let length = rng.usize(0..20);
                // Zeros are what short texts are filled up with.
                let tail = std::iter::repeat_with(|| *rng.choice(b"\0/ab").expect("one")).take(length);
                start.bytes().chain(tail).collect()
            };
            let texts: Vec<Vec<u8>> = (0..40).map(|_| text()).collect();
            let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            let mut sorted: Vec<u32> = (0..40).collect();
            sorted.sort_by_key(|at| texts[*at as usize]);
            assert_eq!(order_of(&texts), sorted, "round {round}");
        }
        assert!(order_of(&[]).is_empty());
    }
}
