//! Which selectors match a set of labels, without trying every selector.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_resources::TextMap;

/// Above this product of pairs and labels, labels are looked up in a table instead of one by one.
const LINEAR_LIMIT: usize = 256;

/// The labels of one set of pods, prepared for many selector checks.
pub(crate) struct LabelSet<'a> {
    labels: &'a TextMap,
    table: Option<HashMap<&'a str, &'a str, RandomState>>,
}

impl<'a> LabelSet<'a> {
    pub(crate) fn new(labels: &'a TextMap) -> Self {
        let table = (labels.entries.len() > LINEAR_LIMIT.isqrt()).then(|| pairs(labels).collect());
        LabelSet { labels, table }
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        match &self.table {
            Some(table) => table.get(key).copied(),
            None => self.labels.get(key).map(|value| value.value.as_str()),
        }
    }

    /// Whether every pair of `selector` stands here (Istio 1.32, labels/instance.go `SubsetOf`).
    pub(crate) fn satisfies(&self, selector: &TextMap) -> bool {
        pairs(selector).all(|(key, value)| self.get(key) == Some(value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

fn pairs(map: &TextMap) -> impl Iterator<Item = (&str, &str)> {
    map.entries.iter().map(|(key, value)| (key.value.as_str(), value.value.as_str()))
}

/// One selector text and everything that is written with it.
struct Class<'a> {
    scope: u32,
    selector: &'a TextMap,
    members: Vec<u32>,
}

type PairKey<'a> = (u32, &'a str, &'a str);
type ClassKey<'a> = (u32, Vec<(&'a str, &'a str)>);

/// Selectors of many objects, found by (scope, key, value).
///
/// Objects with equal selectors form one class; a class hangs under the one of its pairs that the fewest classes of
/// its scope share. Looking up a set of labels therefore tries only classes that share a rare pair with it.
#[derive(Default)]
pub(crate) struct SelectorIndex<'a> {
    classes: Vec<Class<'a>>,
    buckets: HashMap<PairKey<'a>, Vec<u32>, RandomState>,
}

impl<'a> SelectorIndex<'a> {
    /// Index over `(scope, selector, member)`; selectors without pairs belong elsewhere and are left out.
    pub(crate) fn new(entries: impl Iterator<Item = (u32, &'a TextMap, u32)>) -> Self {
        let mut index = SelectorIndex::default();
        let mut known: HashMap<ClassKey<'_>, u32, RandomState> = HashMap::default();
        let mut frequency: HashMap<PairKey<'_>, u32, RandomState> = HashMap::default();
        for (scope, selector, member) in entries {
            let mut key: Vec<(&str, &str)> = pairs(selector).collect();
            if key.is_empty() {
                continue;
            }
            key.sort_unstable();
            let next = index.classes.len() as u32;
            let class = *known.entry((scope, key)).or_insert(next);
            if class == next {
                index.classes.push(Class { scope, selector, members: Vec::new() });
                for (key, value) in pairs(selector) {
                    *frequency.entry((scope, key, value)).or_default() += 1;
                }
            }
            index.classes[class as usize].members.push(member);
        }
        drop(known);
        for (at, class) in index.classes.iter().enumerate() {
            let frequency = |(key, value)| frequency.get(&(class.scope, key, value)).copied();
            let rarest = pairs(class.selector).min_by_key(|pair| (frequency(*pair), *pair));
            if let Some((key, value)) = rarest {
                index.buckets.entry((class.scope, key, value)).or_default().push(at as u32);
            }
        }
        index
    }

    /// Adds the members of `scope` whose selector `labels` satisfy to `found`, in no particular order, and says how
    /// many selectors were tried. Stops when `found` holds `limit` members.
    pub(crate) fn matching(
        &self,
        scope: u32,
        labels: &LabelSet<'a>,
        limit: usize,
        found: &mut Vec<u32>,
    ) -> u64 {
        let mut tried = 0;
        if self.classes.is_empty() {
            return tried;
        }
        for (key, value) in pairs(labels.labels) {
            let Some(bucket) = self.buckets.get(&(scope, key, value)) else { continue };
            for class in bucket {
                if found.len() >= limit {
                    return tried;
                }
                tried += 1;
                let class = &self.classes[*class as usize];
                if labels.satisfies(class.selector) {
                    let room = limit - found.len();
                    found.extend(class.members.iter().take(room));
                }
            }
        }
        tried
    }
}
