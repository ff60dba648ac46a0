//! istiod's rules for load balancing (Istio 1.32, `validateLoadBalancer`).

use std::collections::HashSet;

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::{connection_pool, locality, view};
use crate::schema::{Path, shown};

/// Checks `loadBalancer` of a traffic policy.
pub(super) fn validate(collector: &mut Collector, policy: NodeRef<'_>, path: &Path<'_>) {
    let Some(settings) = view::field(policy, "loadBalancer") else { return };
    let path = path.field("loadBalancer");
    if let Some(hash) = view::field(settings, "consistentHash") {
        consistent_hash(collector, hash, &path.field("consistentHash"));
    }
    let outlier = view::field(policy, "outlierDetection").is_some();
    let locality = view::field(settings, "localityLbSetting");
    let zone_aware = view::entry(settings, "zoneAwareLbSetting");
    if let (Some(_), Some((key, _))) = (locality, zone_aware) {
        collector.refuse(&path, key, "only one of `localityLbSetting` and `zoneAwareLbSetting` can be set");
    }
    if let Some(locality) = locality {
        locality::validate(collector, locality, outlier, &path.field("localityLbSetting"));
    }
    if let Some((_, zone_aware)) = zone_aware {
        locality::zone_aware(collector, zone_aware, outlier, &path.field("zoneAwareLbSetting"));
    }
    if let Some(warmup) = view::field(settings, "warmup") {
        self::warmup(collector, warmup, &path.field("warmup"));
    }
}

fn consistent_hash(collector: &mut Collector, hash: NodeRef<'_>, path: &Path<'_>) {
    if let Some(cookie) = view::field(hash, "httpCookie") {
        let path = path.field("httpCookie");
        if view::string(cookie, "name").is_empty() {
            collector.refuse(&path.field("name"), cookie, "a cookie needs a name");
        }
        let mut names = HashSet::new();
        for (index, attribute) in view::items(cookie, "attributes") {
            let list = path.field("attributes");
            let name = view::string(attribute, "name");
            if name.is_empty() {
                collector.refuse(&list.item(index), attribute, "an attribute of a cookie needs a name");
            } else if !names.insert(name) {
                let message = format!("the attribute {} stands twice", shown(name));
                collector.refuse(&list.item(index), attribute, message);
            }
        }
    }
    if view::number_field(hash, "minimumRingSize") != 0.0 {
        let node = view::field(hash, "minimumRingSize").unwrap_or(hash);
        let path = path.field("minimumRingSize");
        let help = "use `ringHash.minimumRingSize`";
        collector.warn(&path, node, "`minimumRingSize` of `consistentHash` is deprecated", help);
        if view::field(hash, "ringHash").or(view::field(hash, "maglev")).is_some() {
            collector.refuse(&path, node, "`minimumRingSize` cannot stand beside `ringHash` or `maglev`");
        }
    }
    if let Some(maglev) = view::field(hash, "maglev") {
        let size = view::number_field(maglev, "tableSize");
        if !is_table_size(size) {
            let node = view::field(maglev, "tableSize").unwrap_or(maglev);
            let maglev = path.field("maglev");
            let message = "`tableSize` of maglev is a prime number below 5000011";
            collector.refuse(&maglev.field("tableSize"), node, message);
        }
    }
}

/// Prime by Envoy's own test (`isPrime`), and below the limit. Envoy's test takes 1.
fn is_table_size(size: f64) -> bool {
    if !(1.0..5_000_011.0).contains(&size) {
        return false;
    }
    let size = size as u64;
    if size < 4 {
        return true;
    }
    !size.is_multiple_of(2)
        && (3..)
            .step_by(2)
            .take_while(|factor| factor * factor <= size)
            .all(|factor| !size.is_multiple_of(factor))
}

fn warmup(collector: &mut Collector, warmup: NodeRef<'_>, path: &Path<'_>) {
    if view::field(warmup, "duration").is_none() {
        collector.refuse(&path.field("duration"), warmup, "`warmup` needs a duration");
    }
    connection_pool::duration(collector, warmup, "duration", path);
    if let Some(node) =
        view::field(warmup, "minimumPercent").filter(|node| view::number(*node).is_some_and(|n| n > 100.0))
    {
        collector.refuse(&path.field("minimumPercent"), node, "`minimumPercent` is 100 at most");
    }
    if let Some(node) =
        view::field(warmup, "aggression").filter(|node| view::number(*node).is_some_and(|n| n <= 0.0))
    {
        collector.refuse(&path.field("aggression"), node, "`aggression` must be greater than 0");
    }
}

#[cfg(test)]
mod tests {
    use super::is_table_size;

    #[test]
    fn table_sizes_are_primes() {
        for good in [1.0, 2.0, 3.0, 5.0, 65537.0, 4_999_999.0] {
            assert!(is_table_size(good), "{good}");
        }
        for bad in [0.0, 4.0, 9.0, 65536.0, 5_000_011.0, 1e30] {
            assert!(!is_table_size(bad), "{bad}");
        }
    }
}
