//! Where nodes stand: callers to the left of what they call, the workloads of a namespace in one box.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use meshproof_graph::Picture;

use crate::clean::{clean, width};

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// Everything with its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub nodes: Vec<Area>,
    /// Boxes of namespaces.
    pub boxes: Vec<(String, Area)>,
    pub width: f64,
    pub height: f64,
}

impl Layout {
    /// Where the titles of boxes stand.
    pub fn titles(&self) -> impl Iterator<Item = Area> {
        self.boxes.iter().map(|(title, area)| {
            let letters = width(&clean(title)) as f64;
            Area { x: area.x + 12.0, y: area.y + 8.0, width: letters * LETTER, height: 15.0 }
        })
    }
}

const NODE_HEIGHT: f64 = 32.0;
const LETTER: f64 = 7.2;
const GAP: f64 = 16.0;
const COLUMN_GAP: f64 = 70.0;
const GROUP_GAP: f64 = 110.0;
const PADDING: f64 = 16.0;
const TITLE: f64 = 24.0;
/// Room for lines that go around the right side of the last column.
const LOOP: f64 = 28.0;
/// A column that is higher goes on beside itself.
const MOST_HEIGHT: f64 = 760.0;
/// More layers than this do not fit on a page.
const MOST_LAYERS: usize = 7;

/// Nodes that stand together.
struct Group {
    title: Option<String>,
    nodes: Vec<usize>,
    /// Where each node stands in the group.
    places: Vec<Area>,
    size: (f64, f64),
}

/// Lays the picture out. Costs nodes times their logarithm, and edges.
pub(super) fn layout(picture: &Picture) -> Layout {
    let mut groups: Vec<Group> = Vec::new();
    let mut of_namespace: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
    let mut group_of: Vec<usize> = Vec::with_capacity(picture.nodes.len());
    for (at, node) in picture.nodes.iter().enumerate() {
        let next = groups.len();
        let group = match node.frame() {
            Some(namespace) => *of_namespace.entry(namespace).or_insert(next),
            None => next,
        };
        if group == next {
            let title = node.frame().map(Cow::into_owned);
            groups.push(Group { title, nodes: Vec::new(), places: Vec::new(), size: (0.0, 0.0) });
        }
        groups[group].nodes.push(at);
        group_of.push(group);
    }
    let mut inside: Vec<Vec<(usize, usize)>> = vec![Vec::new(); groups.len()];
    let mut between: Vec<(usize, usize)> = Vec::new();
    for edge in &picture.edges {
        let (from, to) = (group_of[edge.from], group_of[edge.to]);
        if from == to {
            inside[from].push((edge.from, edge.to));
        } else {
            between.push((from, to));
        }
    }
    for (group, edges) in groups.iter_mut().zip(&inside) {
        arrange(group, picture, edges);
    }
    let layer = layers(groups.len(), &between);
    let sizes: Vec<(f64, f64)> = groups.iter().map(|group| group.size).collect();
    let (places, size) = columns(&layer, &sizes, &between, GROUP_GAP, GAP * 2.0);
    let mut out = Layout {
        nodes: vec![Area::default(); picture.nodes.len()],
        boxes: Vec::new(),
        width: size.0 + PADDING * 2.0 + LOOP,
        height: size.1 + PADDING * 2.0,
    };
    for (group, (x, y)) in groups.iter().zip(places) {
        let (x, y) = (x + PADDING, y + PADDING);
        for (node, place) in group.nodes.iter().zip(&group.places) {
            out.nodes[*node] = Area { x: place.x + x, y: place.y + y, ..*place };
        }
        if let Some(title) = &group.title {
            let area = Area { x, y, width: group.size.0, height: group.size.1 };
            out.boxes.push((title.clone(), area));
        }
    }
    out
}

/// Places the nodes of a group.
fn arrange(group: &mut Group, picture: &Picture, edges: &[(usize, usize)]) {
    let number: BTreeMap<usize, usize> =
        group.nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
    let edges: Vec<(usize, usize)> =
        edges.iter().filter_map(|(from, to)| Some((*number.get(from)?, *number.get(to)?))).collect();
    let layer = layers(group.nodes.len(), &edges);
    let sizes: Vec<(f64, f64)> = group
        .nodes
        .iter()
        .map(|node| {
            let letters = width(&clean(&picture.nodes[*node].label)) as f64;
            ((letters * LETTER + 24.0).clamp(80.0, 420.0), NODE_HEIGHT)
        })
        .collect();
    let (places, size) = columns(&layer, &sizes, &edges, COLUMN_GAP, GAP);
    let (left, top) = match group.title {
        Some(_) => (PADDING, PADDING + TITLE),
        None => (0.0, 0.0),
    };
    group.places = places
        .into_iter()
        .zip(&sizes)
        .map(|((x, y), (width, height))| Area { x: x + left, y: y + top, width: *width, height: *height })
        .collect();
    let title = group.title.as_deref().map_or(0.0, |title| width(&clean(title)) as f64 * LETTER);
    group.size = match group.title {
        Some(_) => ((size.0 + PADDING * 2.0).max(title + PADDING * 2.0), size.1 + PADDING * 2.0 + TITLE),
        None => size,
    };
}

/// Things in columns by layer, each column from above; and the size of the whole.
fn columns(
    layer: &[usize],
    sizes: &[(f64, f64)],
    edges: &[(usize, usize)],
    gap: f64,
    space: f64,
) -> (Vec<(f64, f64)>, (f64, f64)) {
    let mut by_layer: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, layer) in layer.iter().enumerate() {
        by_layer.entry(*layer).or_default().push(at);
    }
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); layer.len()];
    for (from, to) in edges {
        if layer[*from] < layer[*to] {
            before[*to].push(*from);
        }
    }
    let mut places = vec![(0.0, 0.0); layer.len()];
    let (mut x, mut height): (f64, f64) = (0.0, 0.0);
    let columns = by_layer.len();
    let mut heights: Vec<(Vec<usize>, f64)> = Vec::new();
    for mut members in by_layer.into_values() {
        // Near to those who call it.
        let mean = |at: &usize| {
            let own = &before[*at];
            match own.is_empty() {
                true => f64::MAX,
                false => own.iter().map(|from| places[*from].1).sum::<f64>() / own.len() as f64,
            }
        };
        members.sort_by(|one, other| mean(one).total_cmp(&mean(other)).then(one.cmp(other)));
        let total: f64 = members.iter().map(|at| sizes[*at].1 + space).sum();
        let area: f64 = members.iter().map(|at| (sizes[*at].0 + gap) * (sizes[*at].1 + space)).sum();
        // One long column would be a ribbon.
        let most = match columns {
            1 => area.sqrt().max(NODE_HEIGHT),
            _ => MOST_HEIGHT.max((area * 1.5).sqrt()),
        };
        let parts = (total / most).ceil().max(1.0);
        let most = total / parts;
        let (mut y, mut wide, mut column) = (0.0_f64, 0.0_f64, Vec::new());
        for at in members {
            if y > 0.0 && y + sizes[at].1 / 2.0 > most {
                heights.push((std::mem::take(&mut column), y - space));
                x += wide + gap.min(40.0);
                (y, wide) = (0.0, 0.0);
            }
            places[at] = (x, y);
            column.push(at);
            y += sizes[at].1 + space;
            height = height.max(y - space);
            wide = wide.max(sizes[at].0);
        }
        heights.push((column, y - space));
        x += wide + gap;
    }
    // Short columns stand in the middle.
    for (column, own) in heights {
        for at in column {
            places[at].1 += (height - own) / 2.0;
        }
    }
    (places, ((x - gap).max(0.0), height))
}

/// How many calls lead to each thing at most, where circles are cut.
fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut incoming = vec![0_usize; count];
    for (from, to) in edges.iter().filter(|(from, to)| from != to) {
        next[*from].push(*to);
        incoming[*to] += 1;
    }
    next.iter_mut().for_each(|list| {
        list.sort_unstable();
        list.dedup();
    });
    // What nobody calls comes first, so that circles are cut behind their entrance.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|at| (incoming[*at], *at));
    let mut state = vec![0_u8; count];
    let mut finished: Vec<usize> = Vec::with_capacity(count);
    for root in order {
        if state[root] != 0 {
            continue;
        }
        state[root] = 1;
        let mut stack = vec![(root, 0)];
        while let Some((at, edge)) = stack.last_mut() {
            let Some(to) = next[*at].get(*edge).copied() else {
                state[*at] = 2;
                finished.push(*at);
                stack.pop();
                continue;
            };
            *edge += 1;
            if state[to] == 0 {
                state[to] = 1;
                stack.push((to, 0));
            }
        }
    }
    let mut rank = vec![0_usize; count];
    for (position, at) in finished.iter().rev().enumerate() {
        rank[*at] = position;
    }
    let mut layer = vec![0_usize; count];
    for at in finished.iter().rev() {
        for to in &next[*at] {
            if rank[*to] > rank[*at] {
                layer[*to] = layer[*to].max(layer[*at] + 1);
            }
        }
    }
    // Where everything calls everything the longest way says little, and would make a ribbon.
    if layer.iter().max().is_some_and(|most| *most >= MOST_LAYERS) {
        nearest(&next, &incoming)
    } else {
        layer
    }
}

/// How many calls lead to each thing at least, from what is called least.
fn nearest(next: &[Vec<usize>], incoming: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..next.len()).collect();
    order.sort_by_key(|at| (incoming[*at], *at));
    let mut layer = vec![usize::MAX; next.len()];
    let mut queue: VecDeque<usize> = order.iter().copied().take_while(|at| incoming[*at] == 0).collect();
    queue.iter().for_each(|at| layer[*at] = 0);
    for root in order {
        if layer[root] == usize::MAX {
            layer[root] = 0;
            queue.push_back(root);
        }
        while let Some(at) = queue.pop_front() {
            for to in &next[at] {
                if layer[*to] == usize::MAX {
                    layer[*to] = layer[at] + 1;
                    queue.push_back(*to);
                }
            }
        }
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_stand_before_what_they_call() {
        assert_eq!(layers(4, &[(0, 1), (1, 2), (0, 2), (3, 2)]), [0, 1, 2, 0]);
    }

    #[test]
    fn circles_are_cut_behind_their_entrance() {
        assert_eq!(layers(4, &[(0, 1), (1, 2), (2, 3), (3, 1)]), [0, 1, 2, 3]);
        assert_eq!(layers(2, &[(0, 1), (1, 0), (0, 0)]).iter().max(), Some(&1));
    }

    #[test]
    fn a_long_way_through_circles_is_no_ribbon() {
        let circle: Vec<(usize, usize)> =
            (0..40).flat_map(|at| [(at, (at + 1) % 40), (at, (at + 7) % 40)]).collect();
        assert!(layers(40, &circle).into_iter().max() < Some(12));
    }

    #[test]
    fn nothing_overlaps() {
        let mut seed = 7_u64;
        let mut random = |most: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % most
        };
        for count in [1, 2, 9, 60] {
            let layer: Vec<usize> = (0..count).map(|_| random(4)).collect();
            let sizes: Vec<(f64, f64)> =
                (0..count).map(|_| (50.0 + random(200) as f64, 20.0 + random(300) as f64)).collect();
            let edges: Vec<(usize, usize)> = (0..count).map(|_| (random(count), random(count))).collect();
            let (places, (width, height)) = columns(&layer, &sizes, &edges, 30.0, 10.0);
            for one in 0..count {
                let ((x, y), (w, h)) = (places[one], sizes[one]);
                assert!(x >= 0.0 && y >= -0.01 && x + w <= width + 0.01 && y + h <= height + 0.01);
                for other in 0..one {
                    let ((u, v), (p, q)) = (places[other], sizes[other]);
                    assert!(x + w <= u || u + p <= x || y + h <= v || v + q <= y, "{one} over {other}");
                }
            }
        }
    }
}
