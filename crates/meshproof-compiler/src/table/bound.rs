//! How much a table has to ask at most when the names of peers are looked up and the rows that they leave are asked one
//! after the other.

use foldhash::{HashMap, HashMapExt};
use meshproof_engine::View;
use meshproof_space::Variable;

use super::demand::Demand;
use super::demands::Demands;
use super::row::Rows;
use super::test::{Key, Placement};

/// What a name leaves to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Left {
    /// About as many tests of a text as it costs.
    pub cost: usize,
    /// Rows; one counts as often as it is led to.
    pub rows: usize,
}

/// What names leave to be asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bound {
    /// Whatever the name is.
    pub everyone: Left,
    /// The most that the name of any workload leaves, with that.
    pub most: Left,
}

impl Left {
    fn and(self, other: Left) -> Left {
        Left { cost: self.cost + other.cost, rows: self.rows + other.rows }
    }

    fn or(self, other: Left) -> Left {
        Left { cost: self.cost.max(other.cost), rows: self.rows.max(other.rows) }
    }
}

/// What names leave at most. `leading` are the demands that names are looked up for, if there are any, with the places
/// where their tests are found.
pub(super) fn bound(rows: &Rows<'_>, leading: Option<(&Demands<'_>, &[Option<Placement<'_>>])>) -> Bound {
    let of_demands: Vec<usize> = rows.demands.iter().map(cost).collect();
    let of_row = |row| {
        let cost = rows.asked_of(row).iter().map(|demand| of_demands[*demand as usize]).sum::<usize>();
        Left { cost: 1 + cost, rows: 1 }
    };
    let costs: Vec<Left> = rows.rows.iter().map(|row| row.as_ref().map_or(Left::default(), of_row)).collect();
    let all = |rows: &[u32]| rows.iter().fold(Left::default(), |left, row| left.and(costs[*row as usize]));
    let everything = costs.iter().fold(Left::default(), |left, cost| left.and(*cost));
    let Some((leading, placements)) = leading else {
        return Bound { everyone: everything, most: everything };
    };
    let mut wanting = leading.wanting.iter().peekable();
    let indifferent = (0..costs.len() as u32).filter(|row| wanting.next_if_eq(&row).is_none());
    let mut everyone = all(&indifferent.collect::<Vec<u32>>());
    // Of the values of one view a name has one, and with it the prefixes and suffixes of that.
    let mut exact: HashMap<(View, &[u8]), Left> = HashMap::new();
    let mut affixes: [HashMap<(View, &[u8]), Left>; 2] = [HashMap::new(), HashMap::new()];
    let mut whole = Left::default();
    for ((_, [wanted, _]), place) in leading.tests().zip(placements) {
        let cost = all(wanted);
        let Some(place) = place else {
            everyone = everyone.and(cost);
            continue;
        };
        let (map, text) = match &place.key {
            // Only one test is met by a whole name and nothing else.
            Key::Exact(_) if place.view == View::Whole => {
                whole = whole.or(cost);
                continue;
            }
            Key::Exact(text) => (&mut exact, text),
            Key::Prefix(text) => (&mut affixes[0], text),
            Key::Suffix(text) => (&mut affixes[1], text),
            Key::There | Key::Line => {
                everyone = everyone.and(cost);
                continue;
            }
        };
        let known = map.entry((place.view, text.as_ref())).or_default();
        *known = known.and(cost);
    }
    let mut most: HashMap<(View, usize), Left> = HashMap::new();
    most.insert((View::Whole, 2), whole);
    for ((view, _), cost) in &exact {
        let known = most.entry((*view, 2)).or_default();
        *known = known.or(*cost);
    }
    for (at, affixes) in affixes.iter().enumerate() {
        let mut lengths: Vec<usize> = affixes.keys().map(|(_, text)| text.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        for (view, text) in affixes.keys() {
            let inner = lengths.iter().take_while(|length| **length <= text.len()).filter_map(|length| {
                let part = if at == 0 { &text[..*length] } else { &text[text.len() - length..] };
                affixes.get(&(*view, part))
            });
            let cost = inner.fold(Left::default(), |left, cost| left.and(*cost));
            let known = most.entry((*view, at)).or_default();
            *known = known.or(cost);
        }
    }
    let most = most.values().fold(everyone, |left, cost| left.and(*cost));
    Bound { everyone, most }
}

/// What a demand costs to ask: texts one by one; headers, claims and metadata have to be found first.
fn cost(demand: &Demand<'_>) -> usize {
    let tests = demand.any_of.len() + demand.none_of.len();
    match demand.variable {
        Variable::Peer if demand.number == 0 => demand.none_of.len(),
        Variable::DestinationPort | Variable::Method => 1 + tests / 8,
        Variable::Header(_) | Variable::Claim(_) | Variable::Metadata { .. } | Variable::Token => {
            tests + FOUND
        }
        _ => tests,
    }
}

/// What it costs to find a header.
const FOUND: usize = 6;
