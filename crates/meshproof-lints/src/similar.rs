//! "Did you mean": names near to a written one.

use std::ops::Range;
use std::sync::OnceLock;

/// A set of names that answers which one is nearest. The index behind it is made when it is first asked; after that an
/// answer costs no more than the length of the written name, however many names there are and however alike they look.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    /// Names with the letters they have.
    names: Vec<(&'a str, u64)>,
    index: OnceLock<Index>,
}

/// Names that are indexed, so that a hostile list of very many long names costs a bounded amount of memory.
const INDEXED: usize = 20_000;

/// Longest name that is anything's slip.
const LONGEST: usize = 200;

/// Names looked at per question and place of the index, and names compared letter by letter per question.
const LOOKED_AT: usize = 512;
const COMPARED: usize = 64;

/// Parts of a name of which two slips leave one as it is (but for a swap across the border of two of them).
const PARTS: usize = 3;

/// Hashes with indexes of names, sorted.
#[derive(Debug)]
struct Index {
    /// Of the name, and of the name without each one of its letters: names one slip apart have one in common.
    one_less: Vec<(u32, u32)>,
    /// Of each part with its place and the length of the name.
    parts: Vec<(u32, u32)>,
}

impl<'a> Names<'a> {
    /// Adds a name.
    pub(crate) fn push(&mut self, name: &'a str) {
        self.names.push((name, letters(name)));
        self.index = OnceLock::new();
    }

    /// The name nearest to `written`, when one is near enough to be a slip of the keyboard. Equal names do not count,
    /// nor do those that differ in digits only: `worker-2` is another worker than `worker-1`.
    pub(crate) fn nearest(&self, written: &str) -> Option<&'a str> {
        let limit = allowed_distance(written);
        if limit == 0 || self.names.is_empty() {
            return None;
        }
        let index = self.index.get_or_init(|| Index::new(&self.names));
        let one = self.one_slip(index, written);
        one.or_else(|| if limit > 1 { self.two_slips(index, written) } else { None })
    }

    fn one_slip(&self, index: &Index, written: &str) -> Option<&'a str> {
        let hashes = Hashes::new(written);
        let near = |name: &&str| {
            !same_but_digits(name, written) && one_edit_apart(name.as_bytes(), written.as_bytes())
        };
        hashes
            .one_less()
            .filter_map(|hash| {
                let found = &index.one_less[range(&index.one_less, hash)];
                found.iter().take(LOOKED_AT).map(|(_, at)| *at).find(|at| near(&self.names[*at as usize].0))
            })
            .min()
            .map(|at| self.names[at as usize].0)
    }

    fn two_slips(&self, index: &Index, written: &str) -> Option<&'a str> {
        let hashes = Hashes::new(written);
        let mask = letters(written);
        // The rarest part first: a common one like `-service` says little.
        let mut places: Vec<Range<usize>> = hashes
            .parts_within_two()
            .map(|hash| range(&index.parts, hash))
            .filter(|found| !found.is_empty())
            .collect();
        places.sort_unstable_by_key(|found| (found.len(), found.start));
        // Each edit adds or removes at most two kinds of letters.
        let likely = |at: &u32| {
            let (name, letters) = self.names[*at as usize];
            (letters ^ mask).count_ones() <= 4 && !same_but_digits(name, written)
        };
        let candidates = places.into_iter().flatten().take(LOOKED_AT).map(|at| index.parts[at].1);
        candidates
            .filter(likely)
            .take(COMPARED)
            .map(|at| self.names[at as usize].0)
            .find(|name| strsim::osa_distance(name, written) <= 2)
    }
}

impl Index {
    fn new(names: &[(&str, u64)]) -> Self {
        let (mut one_less, mut parts) = (Vec::new(), Vec::new());
        for (at, (name, _)) in names.iter().enumerate().take(INDEXED) {
            if name.len() > LONGEST {
                continue;
            }
            let hashes = Hashes::new(name);
            one_less.extend(hashes.one_less().map(|hash| (hash, at as u32)));
            parts.extend(hashes.parts().map(|hash| (hash, at as u32)));
        }
        for list in [&mut one_less, &mut parts] {
            list.sort_unstable();
            list.dedup();
        }
        Index { one_less, parts }
    }
}

/// Entries with a hash.
fn range(list: &[(u32, u32)], hash: u32) -> Range<usize> {
    let start = list.partition_point(|(other, _)| *other < hash);
    let length = list[start..].partition_point(|(other, _)| *other == hash);
    start..start + length
}

/// Hashes of any part of a name in constant time. They need not resist anybody: what they find is compared again, and
/// only so many are looked at.
struct Hashes {
    /// Of the first n letters.
    before: Vec<u64>,
    powers: Vec<u64>,
}

const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hashes {
    fn new(name: &str) -> Self {
        let (mut before, mut powers) = (vec![0_u64], vec![1_u64]);
        let (mut hash, mut power) = (0_u64, 1_u64);
        for byte in name.bytes() {
            hash = hash.wrapping_mul(BASE).wrapping_add(u64::from(byte) + 1);
            power = power.wrapping_mul(BASE);
            before.push(hash);
            powers.push(power);
        }
        Hashes { before, powers }
    }

    fn len(&self) -> usize {
        self.before.len() - 1
    }

    fn of(&self, range: Range<usize>) -> u64 {
        let start = self.before[range.start].wrapping_mul(self.powers[range.len()]);
        self.before[range.end].wrapping_sub(start)
    }

    /// The whole, and the whole without each letter.
    fn one_less(&self) -> impl Iterator<Item = u32> + '_ {
        let all = self.len();
        let without = move |at: usize| {
            let rest = self.of(at + 1..all);
            fold(self.before[at].wrapping_mul(self.powers[all - at - 1]).wrapping_add(rest), 0)
        };
        std::iter::once(fold(self.before[all], 0)).chain((0..all).map(without))
    }

    /// Its own parts.
    fn parts(&self) -> impl Iterator<Item = u32> + '_ {
        let all = self.len();
        (0..PARTS).map(move |part| fold(self.of(part_of(all, part)), seed(all, part)))
    }

    /// What the parts of a name within two slips may be.
    fn parts_within_two(&self) -> impl Iterator<Item = u32> + '_ {
        let all = self.len();
        let lengths = all.saturating_sub(2)..=all + 2;
        let places = lengths.flat_map(|length| (0..PARTS).map(move |part| (length, part)));
        places.flat_map(move |(length, part)| {
            let wanted = part_of(length, part);
            (-2_isize..=2).filter_map(move |shift| {
                let start = wanted.start.checked_add_signed(shift)?;
                let end = wanted.end.checked_add_signed(shift)?;
                (start < end && end <= all).then(|| fold(self.of(start..end), seed(length, part)))
            })
        })
    }
}

fn part_of(length: usize, part: usize) -> Range<usize> {
    length * part / PARTS..length * (part + 1) / PARTS
}

fn seed(length: usize, part: usize) -> u64 {
    (length * PARTS + part) as u64
}

fn fold(hash: u64, seed: u64) -> u32 {
    (((hash ^ (seed << 40)).wrapping_mul(BASE)) >> 32) as u32
}

/// Equal when digits are left out.
fn same_but_digits(one: &str, other: &str) -> bool {
    let words = |name: &'_ str| name.bytes().filter(|byte| !byte.is_ascii_digit()).collect::<Vec<u8>>();
    one.len().abs_diff(other.len()) <= 2 && words(one) == words(other)
}

/// One letter more, less or different, or two neighbours swapped.
fn one_edit_apart(one: &[u8], other: &[u8]) -> bool {
    let before = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[before..], &other[before..]);
    let after = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[..one.len() - after], &other[..other.len() - after]);
    match (one, other) {
        ([a, b], [c, d]) => a == d && b == c,
        _ => one.len().max(other.len()) == 1,
    }
}

/// How many letters may differ: short names are near to everything, and long ones are costly to compare.
fn allowed_distance(written: &str) -> usize {
    match written.len() {
        0..=2 => 0,
        3..=5 => 1,
        6..=64 => 2,
        65..=LONGEST => 1,
        _ => 0,
    }
}

fn letters(name: &str) -> u64 {
    name.bytes().fold(0, |mask, byte| mask | 1 << (byte & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<'a>(list: &[&'a str]) -> Names<'a> {
        let mut names = Names::default();
        list.iter().for_each(|name| names.push(name));
        names
    }

    #[test]
    fn a_slip_finds_its_name_and_a_different_word_does_not() {
        let names = names(&["frontend", "backend", "db"]);
        assert_eq!(names.nearest("frontnd"), Some("frontend"));
        assert_eq!(names.nearest("frotnend"), Some("frontend"));
        assert_eq!(names.nearest("frontend"), None);
        assert_eq!(names.nearest("database"), None);
        assert_eq!(names.nearest("frontned"), Some("frontend"));
        assert_eq!(names.nearest("frntnd"), Some("frontend"));
        assert_eq!(names.nearest("xfrontendx"), Some("frontend"));
        assert_eq!(names.nearest("backends"), Some("backend"));
        assert_eq!(names.nearest("dc"), None);
    }

    #[test]
    fn every_single_slip_is_found() {
        let name = "cart-api";
        let names = names(&["stock", name, "carrot"]);
        for at in 0..name.len() {
            let (before, after) = name.split_at(at);
            let mut swapped = name.as_bytes().to_vec();
            if at > 0 {
                swapped.swap(at - 1, at);
            }
            let swapped = String::from_utf8(swapped).unwrap();
            for written in [format!("{before}x{after}"), format!("{before}x{}", &after[1..]), swapped] {
                let wanted = (written != name).then_some(name);
                assert_eq!(names.nearest(&written), wanted, "{written}");
            }
            assert_eq!(names.nearest(&format!("{before}{}", &after[1..])), Some(name));
        }
    }

    #[test]
    fn names_that_differ_in_digits_are_no_slips() {
        let names = names(&["worker-1", "orders", "cart-12"]);
        for written in ["worker-2", "orders2", "cart-2", "cart-21", "worker-11"] {
            assert_eq!(names.nearest(written), None, "{written}");
        }
        assert_eq!(names.nearest("worker-1x"), Some("worker-1"));
        assert_eq!(names.nearest("ordres2"), Some("orders"));
    }

    #[test]
    fn thousands_of_questions_to_thousands_of_names_take_no_time() {
        let all: Vec<String> = (0..20_000).map(|at| format!("service-number-{at}-of-many")).collect();
        let list: Vec<&str> = all.iter().map(String::as_str).collect();
        let names = names(&list);
        let start = std::time::Instant::now();
        let found = (0..20_000).filter(|at| names.nearest(&format!("srvice-numbr-{at}-of-mny")).is_some());
        assert_eq!(found.count(), 0, "three slips");
        assert_eq!(names.nearest("service-number-777-ofmany"), Some("service-number-777-of-many"));
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }
}
