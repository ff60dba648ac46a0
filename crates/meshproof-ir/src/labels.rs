//! Which selectors match a set of labels, without trying every selector.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_resources::TextMap;

/// Above this product of pairs and labels, labels are looked up in a table instead of one by one.
const LINEAR_LIMIT: usize = 256;

/// The labels of one set of pods, prepared for many selector checks.
#[derive(Debug)]
pub struct LabelSet<'a> {
    labels: &'a TextMap,
    table: Option<HashMap<&'a str, &'a str, RandomState>>,
}

impl<'a> LabelSet<'a> {
    /// Prepares `labels`.
    pub fn new(labels: &'a TextMap) -> Self {
        let table = (labels.entries.len() > LINEAR_LIMIT.isqrt()).then(|| pairs(labels).collect());
        LabelSet { labels, table }
    }

    /// As they are written.
    pub(crate) fn written(&self) -> &'a TextMap {
        self.labels
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        match &self.table {
            Some(table) => table.get(key).copied(),
            None => self.labels.get(key).map(|value| value.value.as_str()),
        }
    }

    /// Whether every pair of `selector` stands here (Istio 1.32, labels/instance.go `SubsetOf`).
    pub fn satisfies(&self, selector: &TextMap) -> bool {
        pairs(selector).all(|(key, value)| self.get(key) == Some(value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

fn pairs(map: &TextMap) -> impl Iterator<Item = (&str, &str)> {
    map.entries.iter().map(|(key, value)| (key.value.as_str(), value.value.as_str()))
}

type PairKey<'a> = (u32, &'a str, &'a str);
type ClassKey<'a> = (u32, Vec<(&'a str, &'a str)>);

/// Selectors of many objects, found by (scope, key, value).
///
/// Objects of one scope with equal selectors form one class. A class with one pair is found by that pair; another
/// hangs under the one of its pairs that the fewest classes of its scope share. Looking up a set of labels therefore
/// tries only classes that share a rare pair with it.
#[derive(Debug, Default)]
pub struct SelectorIndex<'a> {
    single: HashMap<PairKey<'a>, u32, RandomState>,
    buckets: HashMap<PairKey<'a>, Vec<u32>, RandomState>,
    /// Selectors by class.
    selectors: Vec<&'a TextMap>,
    /// Where the members of each class end in `members`.
    ends: Vec<u32>,
    members: Vec<u32>,
}

impl<'a> SelectorIndex<'a> {
    /// Index over `(scope, selector, member)`; selectors without pairs belong elsewhere and are left out. Members of
    /// a class keep their order.
    pub fn new(entries: impl Iterator<Item = (u32, &'a TextMap, u32)>) -> Self {
        let mut index = SelectorIndex::default();
        let mut known: HashMap<ClassKey<'a>, u32, RandomState> = HashMap::default();
        let mut of_member: Vec<(u32, u32)> = Vec::new();
        for (scope, selector, member) in entries {
            let next = index.selectors.len() as u32;
            let class = match selector.entries.as_slice() {
                [] => continue,
                [(key, value)] => *index.single.entry((scope, &key.value, &value.value)).or_insert(next),
                _ => {
                    let mut pairs: Vec<(&str, &str)> = pairs(selector).collect();
                    pairs.sort_unstable();
                    *known.entry((scope, pairs)).or_insert(next)
                }
            };
            if class == next {
                index.selectors.push(selector);
            }
            of_member.push((class, member));
        }
        index.hang(&known);
        index.collect(&of_member);
        index
    }

    /// Hangs classes of several pairs under their rarest pair.
    fn hang(&mut self, known: &HashMap<ClassKey<'a>, u32, RandomState>) {
        let mut frequency: HashMap<PairKey<'a>, u32, RandomState> = HashMap::default();
        for (scope, pairs) in known.keys() {
            for (key, value) in pairs {
                *frequency.entry((*scope, key, value)).or_default() += 1;
            }
        }
        for ((scope, pairs), class) in known {
            let frequency = |(key, value): (&'a str, &'a str)| frequency.get(&(*scope, key, value)).copied();
            let rarest = pairs.iter().copied().min_by_key(|pair| (frequency(*pair), *pair));
            if let Some((key, value)) = rarest {
                self.buckets.entry((*scope, key, value)).or_default().push(*class);
            }
        }
        // The table above has no order of its own.
        self.buckets.values_mut().for_each(|bucket| bucket.sort_unstable());
    }

    /// Lays the members out by class.
    fn collect(&mut self, of_member: &[(u32, u32)]) {
        self.ends = vec![0; self.selectors.len()];
        for (class, _) in of_member {
            self.ends[*class as usize] += 1;
        }
        let mut total = 0;
        for end in &mut self.ends {
            total += std::mem::replace(end, total);
        }
        self.members = vec![0; of_member.len()];
        for (class, member) in of_member {
            let at = &mut self.ends[*class as usize];
            self.members[*at as usize] = *member;
            *at += 1;
        }
    }

    /// How many classes there are.
    pub(crate) fn classes(&self) -> u32 {
        self.selectors.len() as u32
    }

    fn range(&self, class: u32) -> std::ops::Range<usize> {
        let start = class.checked_sub(1).map_or(0, |before| self.ends[before as usize]);
        start as usize..self.ends[class as usize] as usize
    }

    /// The objects of a class.
    pub(crate) fn members(&self, class: u32) -> &[u32] {
        &self.members[self.range(class)]
    }

    /// The objects of a class, to be put in order.
    pub(crate) fn members_mut(&mut self, class: u32) -> &mut [u32] {
        let range = self.range(class);
        &mut self.members[range]
    }

    /// The classes of `scope` whose selector `labels` satisfy; counts selectors in `tried`.
    pub(crate) fn matching<'l>(&self, scope: u32, labels: &LabelSet<'l>, tried: &mut u64) -> Vec<u32>
    where
        'a: 'l,
    {
        let mut found = Vec::new();
        let this: &SelectorIndex<'l> = self;
        if this.selectors.is_empty() {
            return found;
        }
        for (key, value) in pairs(labels.labels) {
            if let Some(class) = this.single.get(&(scope, key, value)) {
                *tried += 1;
                found.push(*class);
            }
            if this.buckets.is_empty() {
                continue;
            }
            for class in this.buckets.get(&(scope, key, value)).into_iter().flatten() {
                *tried += 1;
                if labels.satisfies(this.selectors[*class as usize]) {
                    found.push(*class);
                }
            }
        }
        found
    }

    /// Up to `limit` objects of each class whose selector `labels` satisfy, in no particular order.
    pub fn members_matching<'l>(
        &self,
        scope: u32,
        labels: &LabelSet<'l>,
        limit: usize,
        tried: &mut u64,
    ) -> Vec<u32>
    where
        'a: 'l,
    {
        let classes = self.matching(scope, labels, tried);
        classes.iter().flat_map(|class| self.members(*class).iter().take(limit)).copied().collect()
    }
}
