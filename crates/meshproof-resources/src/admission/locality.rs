//! istiod's rules for locality load balancing (Istio 1.32, `ValidateLocalityLbSetting`,
//! `ValidateZoneAwareLbSetting`).

use std::collections::{HashMap, HashSet};

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::view;
use crate::schema::{Path, shown};

const TOPOLOGY: [&str; 3] =
    ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

/// Checks `localityLbSetting`. As in istiod, the first contradiction ends the check.
pub(super) fn validate(collector: &mut Collector, setting: NodeRef<'_>, outlier: bool, path: &Path<'_>) {
    let has_failover = view::has_items(setting, "failover");
    if view::has_items(setting, "distribute") && has_failover {
        let node = view::field(setting, "failover").unwrap_or(setting);
        collector.refuse(path, node, "`distribute` and `failover` exclude each other");
        return;
    }
    if let Some((index, node)) = topology_label(setting).filter(|_| has_failover) {
        let list = path.field("failoverPriority");
        let message = "`failover` cannot stand beside a topology label in `failoverPriority`";
        collector.refuse(&list.item(index), node, message);
        return;
    }
    let mut from = Vec::new();
    for (index, item) in view::items(setting, "distribute") {
        let list = path.field("distribute");
        let path = list.item(index);
        from.push((view::string(item, "from"), view::field(item, "from").unwrap_or(item)));
        let mut to = Vec::new();
        let mut total = 0.0;
        for (key, weight) in view::field(item, "to").into_iter().flat_map(NodeRef::entries) {
            let Some(name) = key.str() else { continue };
            to.push((name, key));
            let weight_of = view::number(weight).unwrap_or(0.0);
            if !(1.0..=100.0).contains(&weight_of) {
                collector.refuse(&path.field("to").field(name), weight, "a weight is 1 to 100");
                return;
            }
            total += weight_of;
        }
        if total != 100.0 {
            let node = view::field(item, "to").unwrap_or(item);
            collector.refuse(&path.field("to"), node, format!("the weights add up to {total}, not to 100"));
            return;
        }
        localities(collector, &to, &path.field("to"));
    }
    localities(collector, &from, &path.field("distribute"));
    failover(collector, setting, outlier, path);
}

/// Checks `zoneAwareLbSetting`.
pub(super) fn zone_aware(collector: &mut Collector, setting: NodeRef<'_>, outlier: bool, path: &Path<'_>) {
    for (index, node) in view::items(setting, "failoverPriority") {
        if TOPOLOGY.contains(&view::text(node)) {
            let list = path.field("failoverPriority");
            let message = "regions and zones are ordered by themselves: no topology label is allowed here";
            collector.refuse(&list.item(index), node, message);
        }
    }
    failover(collector, setting, outlier, path);
}

fn topology_label(setting: NodeRef<'_>) -> Option<(usize, NodeRef<'_>)> {
    view::items(setting, "failoverPriority").find(|(_, node)| TOPOLOGY.contains(&view::text(*node)))
}

fn failover(collector: &mut Collector, setting: NodeRef<'_>, outlier: bool, path: &Path<'_>) {
    let entry =
        view::entry(setting, "failover").filter(|(_, list)| list.items().next().is_some()).or_else(|| {
            view::entry(setting, "failoverPriority").filter(|(_, list)| list.items().next().is_some())
        });
    if let Some((key, _)) = entry.filter(|_| !outlier) {
        collector.warn(
            path,
            key,
            "failover has no effect without outlier detection: nothing tells that an endpoint is down",
            "add `outlierDetection` to the traffic policy",
        );
    }
    for (index, item) in view::items(setting, "failover") {
        let list = path.field("failover");
        let path = list.item(index);
        let (from, to) = (view::string(item, "from"), view::string(item, "to"));
        if from == to {
            collector.refuse(&path, item, "failover leads to the region where it starts");
        }
        if from.contains('/') || to.contains('/') {
            collector.refuse(&path, item, "failover is between regions: name no zone");
        }
        if from.contains('*') || to.contains('*') {
            collector.refuse(&path, item, "failover is between named regions: `*` is not allowed");
        }
    }
}

/// `validateLocalities`: stars at the end only, no empty parts, and no locality inside another one.
fn localities(collector: &mut Collector, list: &[(&str, NodeRef<'_>)], path: &Path<'_>) {
    // Regions; in each its zones; in each its subzones. `None` stands for all of them.
    let mut regions: HashMap<&str, Option<Zones<'_>>> = HashMap::new();
    for &(locality, node) in list {
        let stars = locality.matches('*').count();
        if stars > 1 || (stars == 1 && !locality.ends_with('*')) {
            collector.refuse(path, node, format!("{}: one `*` is allowed, at the end", shown(locality)));
            return;
        }
        let parts: Vec<&str> = locality.splitn(3, '/').collect();
        let overlaps = regions.contains_key("*");
        if !overlaps && parts.iter().any(|part| part.is_empty()) {
            collector.refuse(path, node, format!("{} has an empty region, zone or subzone", shown(locality)));
            return;
        }
        if overlaps || !insert(&mut regions, &parts) {
            collector.refuse(
                path,
                node,
                format!("{} overlaps with another locality of the list", shown(locality)),
            );
            return;
        }
    }
}

type Zones<'a> = HashMap<&'a str, Option<HashSet<&'a str>>>;

/// Adds a locality; `false` when it overlaps with one that is there.
fn insert<'a>(regions: &mut HashMap<&'a str, Option<Zones<'a>>>, parts: &[&'a str]) -> bool {
    match *parts {
        [region] => {
            if regions.contains_key(region) {
                return false;
            }
            regions.insert(region, None);
            true
        }
        [region, zone] => match regions.entry(region).or_insert_with(|| Some(HashMap::new())) {
            Some(zones) if !zones.contains_key("*") && !zones.contains_key(zone) => {
                zones.insert(zone, None);
                true
            }
            _ => false,
        },
        [region, zone, subzone] => match regions.entry(region).or_insert_with(|| Some(HashMap::new())) {
            Some(zones) if !zones.contains_key("*") => {
                let subzones = zones.entry(zone).or_insert_with(|| Some(HashSet::new()));
                subzones.as_mut().is_some_and(|known| !known.contains("*") && known.insert(subzone))
            }
            _ => false,
        },
        _ => true,
    }
}
