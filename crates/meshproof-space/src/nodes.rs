//! Interval decision diagrams: sets of points, held in one form each, so that equal sets are the same node.
//!
//! A node asks for the class of one level; neighbouring classes with the same answer share an edge. What grows beyond the
//! budget is an error, never a smaller set.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};

use crate::limit::Limit;

/// The place of a node.
pub(crate) type NodeId = u32;

/// No point at all.
pub(crate) const NONE: NodeId = 0;
/// Every point.
pub(crate) const ALL: NodeId = 1;

/// Few rules make about as many nodes.
const USUAL: usize = 256;
/// Nodes that may be made: some 50 MB, a fifth of a second.
const MOST_NODES: usize = 250_000;
/// Edges that may be made.
const MOST_EDGES: usize = 2_500_000;
/// Pairs of nodes that may be worked on.
const MOST_STEPS: usize = 3_000_000;

/// The first class of a stretch, and where it leads.
pub(crate) type Edge = (u32, NodeId);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Both,
    Either,
    Without,
}

/// The nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<(u32, Arc<[Edge]>)>,
    known: HashMap<(u32, Arc<[Edge]>), NodeId>,
    done: HashMap<(Operation, NodeId, NodeId), NodeId>,
    edges: usize,
    steps: usize,
}

impl Nodes {
    pub fn new() -> Nodes {
        let end = |at| (u32::MAX, Arc::from([(0, at)]));
        Nodes {
            nodes: vec![end(NONE), end(ALL)],
            known: HashMap::with_capacity(USUAL),
            done: HashMap::with_capacity(USUAL),
            edges: 0,
            steps: 0,
        }
    }

    /// How many nodes were made.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The level that the node asks for; the two ends ask for none.
    pub fn level(&self, node: NodeId) -> u32 {
        self.nodes[node as usize].0
    }

    pub fn edges(&self, node: NodeId) -> &[Edge] {
        &self.nodes[node as usize].1
    }

    /// The node with these edges, the first of which starts at class 0.
    ///
    /// # Errors
    /// There are too many.
    pub fn make(&mut self, level: u32, mut edges: Vec<Edge>) -> Result<NodeId, Limit> {
        edges.dedup_by_key(|(_, child)| *child);
        if let [(_, child)] = edges.as_slice() {
            return Ok(*child);
        }
        let key = (level, Arc::from(edges));
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        self.edges += key.1.len();
        if self.nodes.len() >= MOST_NODES || self.edges > MOST_EDGES {
            return Err(Limit::Nodes);
        }
        let id = NodeId::try_from(self.nodes.len()).map_err(|_| Limit::Nodes)?;
        self.nodes.push(key.clone());
        self.known.insert(key, id);
        Ok(id)
    }

    /// The points whose class at the level lies in one of the stretches, each from a class to before another.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn stretches(
        &mut self,
        level: u32,
        stretches: &[(u32, u32)],
        within: NodeId,
    ) -> Result<NodeId, Limit> {
        let mut edges: Vec<Edge> = vec![(0, NONE)];
        for (from, to) in stretches.iter().filter(|(from, to)| from < to) {
            // What starts where another one ended takes its place.
            if edges.last().is_some_and(|(first, _)| first == from) {
                edges.pop();
            }
            edges.push((*from, within));
            edges.push((*to, NONE));
        }
        self.make(level, edges)
    }

    /// Points of both.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn both(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, Limit> {
        self.apply(Operation::Both, a, b)
    }

    /// Points of one or the other.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn either(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, Limit> {
        self.apply(Operation::Either, a, b)
    }

    /// Points of the first alone.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn without(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, Limit> {
        self.apply(Operation::Without, a, b)
    }

    /// Points of any, joined as a balanced tree: a fold meets the growing union again and again.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn any(&mut self, mut nodes: Vec<NodeId>) -> Result<NodeId, Limit> {
        while nodes.len() > 1 {
            let mut joined = Vec::with_capacity(nodes.len().div_ceil(2));
            for pair in nodes.chunks(2) {
                joined.push(match pair {
                    [a, b] => self.either(*a, *b)?,
                    _ => pair[0],
                });
            }
            nodes = joined;
        }
        Ok(nodes.pop().unwrap_or(NONE))
    }

    fn apply(&mut self, operation: Operation, a: NodeId, b: NodeId) -> Result<NodeId, Limit> {
        let (a, b) = match operation {
            Operation::Both | Operation::Either if a > b => (b, a),
            _ => (a, b),
        };
        match (operation, a, b) {
            (Operation::Both, NONE, _) | (Operation::Without, NONE, _) | (Operation::Without, _, ALL) => {
                return Ok(NONE);
            }
            (Operation::Both, ALL, other) | (Operation::Either, NONE, other) => return Ok(other),
            (Operation::Either, ALL, _) => return Ok(ALL),
            (Operation::Without, other, NONE) => return Ok(other),
            (Operation::Both | Operation::Either, _, _) if a == b => return Ok(a),
            (Operation::Without, _, _) if a == b => return Ok(NONE),
            _ => {}
        }
        if let Some(known) = self.done.get(&(operation, a, b)) {
            return Ok(*known);
        }
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Limit::Nodes);
        }
        let level = self.level(a).min(self.level(b));
        let of_level = |node: NodeId| -> Arc<[Edge]> {
            let (own, edges) = &self.nodes[node as usize];
            if *own == level { Arc::clone(edges) } else { Arc::from([(0, node)]) }
        };
        let (left, right) = (of_level(a), of_level(b));
        let mut edges = Vec::with_capacity(left.len().max(right.len()));
        let (mut at, mut beside) = (0, 0);
        let mut class = 0;
        loop {
            let child = self.apply(operation, left[at].1, right[beside].1)?;
            if edges.last().is_none_or(|(_, last)| *last != child) {
                edges.push((class, child));
            }
            let next = [left.get(at + 1), right.get(beside + 1)];
            let Some(first) = next.iter().flatten().map(|(first, _)| *first).min() else { break };
            at += usize::from(next[0].is_some_and(|(of, _)| *of == first));
            beside += usize::from(next[1].is_some_and(|(of, _)| *of == first));
            class = first;
        }
        let made = self.make(level, edges)?;
        self.done.insert((operation, a, b), made);
        Ok(made)
    }

    /// Whether all points of the first are points of the second. Makes no nodes.
    pub fn is_subset(&self, a: NodeId, b: NodeId) -> bool {
        self.lies_in(a, b, &mut HashSet::new())
    }

    fn lies_in(&self, a: NodeId, b: NodeId, known: &mut HashSet<(NodeId, NodeId)>) -> bool {
        if a == NONE || b == ALL || a == b {
            return true;
        }
        if a == ALL && self.level(b) == u32::MAX {
            return false;
        }
        // What is known here was found to lie inside; the first that does not ends everything.
        if !known.insert((a, b)) {
            return true;
        }
        let level = self.level(a).min(self.level(b));
        if level == u32::MAX {
            return false;
        }
        let skipped = [[(0, a)], [(0, b)]];
        let of_level =
            |node: NodeId, skipped| if self.level(node) == level { self.edges(node) } else { skipped };
        let (left, right) = (of_level(a, &skipped[0]), of_level(b, &skipped[1]));
        let (mut at, mut beside) = (0, 0);
        loop {
            if !self.lies_in(left[at].1, right[beside].1, known) {
                return false;
            }
            let next = [left.get(at + 1), right.get(beside + 1)];
            let Some(first) = next.iter().flatten().map(|(first, _)| *first).min() else { return true };
            at += usize::from(next[0].is_some_and(|(of, _)| *of == first));
            beside += usize::from(next[1].is_some_and(|(of, _)| *of == first));
        }
    }

    /// The points that some point of the set agrees with on the levels that are kept.
    ///
    /// # Errors
    /// There are too many nodes.
    pub fn project(&mut self, node: NodeId, keep: &impl Fn(u32) -> bool) -> Result<NodeId, Limit> {
        self.forget(node, keep, &mut HashMap::new())
    }

    fn forget(
        &mut self,
        node: NodeId,
        keep: &impl Fn(u32) -> bool,
        known: &mut HashMap<NodeId, NodeId>,
    ) -> Result<NodeId, Limit> {
        if node == NONE || node == ALL {
            return Ok(node);
        }
        if let Some(found) = known.get(&node) {
            return Ok(*found);
        }
        let (level, edges) = self.nodes[node as usize].clone();
        let mut children = Vec::with_capacity(edges.len());
        for (first, child) in edges.iter() {
            children.push((*first, self.forget(*child, keep, known)?));
        }
        let found = if keep(level) {
            self.make(level, children)?
        } else {
            self.any(children.into_iter().map(|(_, child)| child).collect())?
        };
        known.insert(node, found);
        Ok(found)
    }

    /// One point: a class for each level that matters, or nothing when there is none.
    pub fn point(&self, mut node: NodeId) -> Option<HashMap<u32, u32>> {
        let mut classes = HashMap::new();
        while node != ALL {
            // The last stretch is ordinary: what no test knows, numbers behind all borders.
            let (first, child) = *self.edges(node).iter().rev().find(|(_, child)| *child != NONE)?;
            if node == NONE {
                return None;
            }
            classes.insert(self.level(node), first);
            node = child;
        }
        Some(classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels with four classes each.
    const LEVELS: u32 = 3;
    const CLASSES: u32 = 4;

    /// The set of points as bits of a number: point `(a, b, c)` is bit `16a + 4b + c`.
    fn build(nodes: &mut Nodes, bits: u64, level: u32) -> NodeId {
        if level == LEVELS {
            return if bits & 1 == 1 { ALL } else { NONE };
        }
        let below = CLASSES.pow(LEVELS - level - 1);
        let edges = (0..CLASSES).map(|class| (class, build(nodes, bits >> (class * below), level + 1)));
        let edges = edges.collect();
        nodes.make(level, edges).unwrap()
    }

    #[test]
    fn operations_are_those_of_sets() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut nodes = Nodes::new();
        for _ in 0..500 {
            // Some sets with many points, some with few.
            let mut bits = || if rng.bool() { rng.u64(..) } else { rng.u64(..) & rng.u64(..) & rng.u64(..) };
            let (a, b) = (bits(), bits());
            let (left, right) = (build(&mut nodes, a, 0), build(&mut nodes, b, 0));
            assert_eq!(nodes.both(left, right), Ok(build(&mut nodes, a & b, 0)));
            assert_eq!(nodes.either(left, right), Ok(build(&mut nodes, a | b, 0)));
            assert_eq!(nodes.without(left, right), Ok(build(&mut nodes, a & !b, 0)));
            assert_eq!(nodes.is_subset(left, right), a & !b == 0);
            assert_eq!(left == right, a == b);
            let both = nodes.both(left, right).unwrap();
            assert!(nodes.is_subset(both, left) && nodes.is_subset(both, right));
            let point = nodes.point(left).map(|point| {
                let class = |level| point.get(&level).copied().unwrap_or(0);
                16 * class(0) + 4 * class(1) + class(2)
            });
            assert_eq!(point.is_none(), a == 0);
            assert!(point.is_none_or(|point| a & (1 << point) != 0));
        }
    }

    #[test]
    fn forgetting_keeps_what_some_point_shows() {
        let mut rng = fastrand::Rng::with_seed(8);
        let mut nodes = Nodes::new();
        for _ in 0..200 {
            let bits = rng.u64(..) & rng.u64(..) & rng.u64(..) & rng.u64(..);
            let set = build(&mut nodes, bits, 0);
            let mut shown = 0;
            for point in (0..64).filter(|point| bits & (1 << point) != 0) {
                let kept = point & 0b1100;
                (0..64).filter(|other| other & 0b1100 == kept).for_each(|other| shown |= 1 << other);
            }
            let found = nodes.project(set, &|level| level == 1);
            assert_eq!(found, Ok(build(&mut nodes, shown, 0)));
        }
    }
}
