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

/// One selector of several pairs and everything that is written with it.
struct Class<'a> {
    scope: u32,
    selector: &'a TextMap,
    first: u32,
}

/// A member and the next one with the same selector.
struct Link {
    member: u32,
    next: u32,
}

const END: u32 = u32::MAX;

type PairKey<'a> = (u32, &'a str, &'a str);
type ClassKey<'a> = (u32, Vec<(&'a str, &'a str)>);

/// Selectors of many objects, found by (scope, key, value).
///
/// A selector of one pair is found by that pair. Of the others, equal ones form one class; a class hangs under the one
/// of its pairs that the fewest classes of its scope share. Looking up a set of labels therefore tries only classes
/// that share a rare pair with it.
#[derive(Default)]
pub(crate) struct SelectorIndex<'a> {
    links: Vec<Link>,
    single: HashMap<PairKey<'a>, u32, RandomState>,
    classes: Vec<Class<'a>>,
    buckets: HashMap<PairKey<'a>, Vec<u32>, RandomState>,
}

impl<'a> SelectorIndex<'a> {
    /// Index over `(scope, selector, member)`; selectors without pairs belong elsewhere and are left out.
    pub(crate) fn new(entries: impl Iterator<Item = (u32, &'a TextMap, u32)>) -> Self {
        let mut index = SelectorIndex::default();
        let mut known: HashMap<ClassKey<'_>, u32, RandomState> = HashMap::default();
        for (scope, selector, member) in entries {
            match selector.entries.as_slice() {
                [] => {}
                [(key, value)] => {
                    let head = index.single.entry((scope, &key.value, &value.value)).or_insert(END);
                    push(&mut index.links, head, member);
                }
                _ => {
                    let mut pairs: Vec<(&str, &str)> = pairs(selector).collect();
                    pairs.sort_unstable();
                    let next = index.classes.len() as u32;
                    let class = *known.entry((scope, pairs)).or_insert(next);
                    if class == next {
                        index.classes.push(Class { scope, selector, first: END });
                    }
                    push(&mut index.links, &mut index.classes[class as usize].first, member);
                }
            }
        }
        index.hang_classes();
        index
    }

    fn hang_classes(&mut self) {
        let mut frequency: HashMap<PairKey<'_>, u32, RandomState> = HashMap::default();
        for class in &self.classes {
            for (key, value) in pairs(class.selector) {
                *frequency.entry((class.scope, key, value)).or_default() += 1;
            }
        }
        for (at, class) in self.classes.iter().enumerate() {
            let frequency = |(key, value)| frequency.get(&(class.scope, key, value)).copied();
            let rarest = pairs(class.selector).min_by_key(|pair| (frequency(*pair), *pair));
            if let Some((key, value)) = rarest {
                self.buckets.entry((class.scope, key, value)).or_default().push(at as u32);
            }
        }
    }

    /// Adds the members of `scope` whose selector `labels` satisfy to `found`, in no particular order, and says how
    /// many selectors were tried. Stops when `found` holds `limit` members.
    pub(crate) fn matching<'l>(
        &self,
        scope: u32,
        labels: &LabelSet<'l>,
        limit: usize,
        found: &mut Vec<u32>,
    ) -> u64
    where
        'a: 'l,
    {
        let this: &SelectorIndex<'l> = self;
        let mut tried = 0;
        if this.links.is_empty() {
            return tried;
        }
        for (key, value) in pairs(labels.labels) {
            if let Some(first) = this.single.get(&(scope, key, value)) {
                tried += 1;
                this.follow(*first, limit, found);
            }
            let bucket = if this.buckets.is_empty() { None } else { this.buckets.get(&(scope, key, value)) };
            for class in bucket.into_iter().flatten() {
                if found.len() >= limit {
                    return tried;
                }
                tried += 1;
                let class = &this.classes[*class as usize];
                if labels.satisfies(class.selector) {
                    this.follow(class.first, limit, found);
                }
            }
        }
        tried
    }

    fn follow(&self, mut at: u32, limit: usize, found: &mut Vec<u32>) {
        while let Some(link) = self.links.get(at as usize) {
            if found.len() >= limit {
                return;
            }
            found.push(link.member);
            at = link.next;
        }
    }
}

/// Puts a member in front of a chain.
fn push(links: &mut Vec<Link>, head: &mut u32, member: u32) {
    links.push(Link { member, next: *head });
    *head = links.len() as u32 - 1;
}
