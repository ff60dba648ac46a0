//! Ports and addresses as intervals.

use std::collections::BTreeMap;

use meshproof_engine::format::NONE;
use meshproof_space::Test;

use super::Uncompiled;
use super::links::{Entries, Links};
use super::set::{SetId, SetStore};
use super::view::Placed;

/// The intervals of an attribute: borders with entries, of ports and IPv4 addresses, and of IPv6 addresses.
#[derive(Default)]
pub(super) struct Intervals {
    pub narrow: Vec<(u32, u32)>,
    pub wide: Vec<(u128, u32)>,
}

/// The range of numbers that a test takes, and whether they are of IPv6.
fn range(test: &Test) -> Option<(bool, u128, u128)> {
    let number = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(address) => u128::from(u32::from(address)),
        std::net::IpAddr::V6(address) => u128::from(address),
    };
    match test {
        Test::Port(port) => Some((false, u128::from(*port), u128::from(*port))),
        Test::Block(block) => {
            Some((block.network().is_ipv6(), number(block.network()), number(block.broadcast())))
        }
        _ => None,
    }
}

/// Cuts the numbers where a test begins or ends.
///
/// # Errors
/// There is no room.
pub(super) fn intervals<'t>(
    tests: impl Iterator<Item = (&'t Test, Placed)>,
    entries: &mut Entries,
    sets: &mut SetStore,
) -> Result<Intervals, Uncompiled> {
    // By border what begins there, and what has ended before it. Tests are few at each number, for blocks nest.
    let mut borders: [BTreeMap<u128, Change>; 2] = [BTreeMap::new(), BTreeMap::new()];
    for (test, placed) in tests {
        let Some((is_wide, from, to)) = range(test) else { continue };
        let borders = &mut borders[usize::from(is_wide)];
        borders.entry(from).or_default().begins.push(placed);
        if let Some(next) = to.checked_add(1) {
            borders.entry(next).or_default().ended.push(placed);
        }
    }
    let [narrow, wide] = borders;
    let mut found = Intervals::default();
    for (border, record) in cut(narrow, entries, sets)? {
        // Behind the last address nothing comes.
        found.narrow.extend(u32::try_from(border).ok().map(|border| (border, record)));
    }
    found.wide = cut(wide, entries, sets)?;
    Ok(found)
}

#[derive(Default)]
struct Change {
    begins: Vec<Placed>,
    ended: Vec<Placed>,
}

fn cut(
    borders: BTreeMap<u128, Change>,
    entries: &mut Entries,
    sets: &mut SetStore,
) -> Result<Vec<(u128, u32)>, Uncompiled> {
    let mut open = Links::default();
    let mut found: Vec<(u128, u32)> = Vec::new();
    for (border, change) in borders {
        for placed in change.ended {
            close(&mut open.wanted, placed.wanted);
            close(&mut open.refused, placed.refused);
        }
        for placed in change.begins {
            open.wanted.extend(placed.wanted);
            open.refused.extend(placed.refused);
        }
        let record = if open.is_empty() { NONE } else { entries.add_bare(&open, sets)? };
        if found.last().map_or(NONE, |(_, last)| *last) != record {
            found.push((border, record));
        }
    }
    Ok(found)
}

/// Blocks with the same rows share a set, so one of them goes and the others stay.
fn close(open: &mut Vec<SetId>, set: Option<SetId>) {
    if let Some(at) = set.and_then(|set| open.iter().rposition(|open| *open == set)) {
        open.remove(at);
    }
}
