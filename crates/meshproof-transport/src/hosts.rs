//! Tables by host, wildcards included.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Values by host. A wildcard is a star in front; everything behind it has to match as an ending.
#[derive(Debug)]
pub(crate) struct HostTable<V> {
    specific: HashMap<String, V, RandomState>,
    /// By the text behind the star.
    wildcard: HashMap<String, V, RandomState>,
}

impl<V> Default for HostTable<V> {
    fn default() -> Self {
        HostTable { specific: HashMap::default(), wildcard: HashMap::default() }
    }
}

impl<V> HostTable<V> {
    /// The value of exactly this host, made when there is none.
    pub(crate) fn entry(&mut self, host: &str) -> &mut V
    where
        V: Default,
    {
        match host.strip_prefix('*') {
            Some(ending) => self.wildcard.entry(ending.to_owned()).or_default(),
            None => self.specific.entry(host.to_owned()).or_default(),
        }
    }

    /// The values of all hosts that cover `host`, the most specific first (Istio 1.32, model/config.go
    /// `MostSpecificHostMatch`).
    pub(crate) fn covering<'t, 'h>(&'t self, host: &'h str) -> impl Iterator<Item = &'t V> + use<'t, 'h, V> {
        let ending = host.strip_prefix('*').unwrap_or(host);
        let exact = (ending.len() == host.len()).then(|| self.specific.get(host)).flatten();
        // Without wildcards there is nothing to try.
        let ends = if self.wildcard.is_empty() { 0 } else { ending.len() + 1 };
        let endings = (0..ends).filter_map(move |at| ending.get(at..));
        exact.into_iter().chain(endings.filter_map(|ending| self.wildcard.get(ending)))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.specific.values().chain(self.wildcard.values())
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.specific.values_mut().chain(self.wildcard.values_mut())
    }

    /// The value of the most specific host that covers `host`.
    pub(crate) fn most_specific(&self, host: &str) -> Option<&V> {
        self.covering(host).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ending_wins() {
        let mut table: HostTable<u8> = HostTable::default();
        for (host, value) in
            [("*", 1), ("*.local", 2), ("*.a.svc.cluster.local", 3), ("x.a.svc.cluster.local", 4)]
        {
            *table.entry(host) = value;
        }
        let found = |host: &str| table.most_specific(host).copied();
        assert_eq!(found("x.a.svc.cluster.local"), Some(4));
        assert_eq!(found("y.a.svc.cluster.local"), Some(3));
        assert_eq!(found("y.b.svc.cluster.local"), Some(2));
        assert_eq!(found("example.com"), Some(1));
        assert_eq!(found("*.local"), Some(2), "a wildcard finds itself");
        assert_eq!(found("*.a.local"), Some(2), "and then wider ones");
        let all: Vec<u8> = table.covering("x.a.svc.cluster.local").copied().collect();
        assert_eq!(all, [4, 3, 2, 1]);
    }
}
