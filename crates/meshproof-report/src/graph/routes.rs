//! Ways of lines: between the nodes that stand in between, not under them.
//!
//! A line goes from left to right, or back, column by column: where nodes begin or end, a column begins. Inside of a column
//! it turns up or down as far as nothing stands there, so that each turn lies in an empty rectangle. Of all such ways the
//! shortest is taken, with few turns, and these where there is room.

use super::layout::Area;

/// How far lines stay away from nodes beside them.
const ASIDE: f64 = 6.0;
/// The same above and below them; lines of other callers a little more.
const ABOVE: f64 = 4.0;
/// Lanes between two nodes, and how far they lie apart.
const LANES: usize = 3;
const LANE: f64 = 3.0;
/// What a turn costs, in pixels of detour.
const TURN: f64 = 12.0;
/// Turns in columns narrower than this cost more.
const ROOM: f64 = 30.0;
/// Pictures in which more steps would be tried get plain lines.
const MOST_STEPS: usize = 60_000_000;

/// The way of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Route {
    /// Its turns: between two points it goes straight on, or from one height to another one.
    pub points: Vec<(f64, f64)>,
    /// One above the other: it goes around the right side, as far as this.
    pub around: Option<f64>,
}

impl Route {
    /// Where it ends.
    pub fn end(&self) -> (f64, f64) {
        self.points.last().copied().unwrap_or_default()
    }

    /// Whether it comes from the left.
    pub fn is_from_left(&self) -> bool {
        let before = self.points.iter().rev().nth(1).copied().unwrap_or_default();
        self.around.is_none() && before.0 < self.end().0
    }

    /// As a path of SVG.
    pub fn path(&self) -> String {
        let mut path = String::new();
        let mut at: Option<(f64, f64)> = None;
        for (x, y) in &self.points {
            path.push_str(&match (at, self.around) {
                (None, _) => format!("M{x:.1} {y:.1}"),
                (Some((_, before)), Some(around)) => {
                    format!("C{around:.1} {before:.1} {around:.1} {y:.1} {x:.1} {y:.1}")
                }
                (Some((_, before)), None) if before == *y => format!("L{x:.1} {y:.1}"),
                (Some((from, before)), None) => {
                    let bow = ((x - from) / 2.0).clamp(-160.0, 160.0);
                    format!("C{:.1} {before:.1} {:.1} {y:.1} {x:.1} {y:.1}", from + bow, x - bow)
                }
            });
            at = Some((*x, *y));
        }
        path
    }
}

/// What lines go around.
pub(super) struct Roads<'a> {
    nodes: &'a [Area],
    /// Titles of boxes, which are not crossed out.
    titles: Vec<Area>,
    is_plain: bool,
}

impl<'a> Roads<'a> {
    /// `lines`: how many there will be.
    pub fn new(nodes: &'a [Area], titles: Vec<Area>, lines: usize) -> Roads<'a> {
        let obstacles = nodes.len() + titles.len();
        let is_plain = obstacles.saturating_mul(obstacles).saturating_mul(4 * lines) > MOST_STEPS;
        Roads { nodes, titles, is_plain }
    }

    /// The way from one node to another one. `shift`: how far it stands from their middles.
    pub fn between(&self, from: usize, to: usize, shift: f64) -> Route {
        let (a, b) = (self.nodes[from], self.nodes[to]);
        let (y, v) = (middle(a) + shift, middle(b) + shift);
        let lane = (from % LANES) as f64 * LANE;
        if b.x >= a.x + a.width {
            let (start, end) = ((a.x + a.width, y), (b.x, v));
            let points = self.around_nodes((from, to), start, end, lane).unwrap_or_else(|| vec![start, end]);
            return Route { points, around: None };
        }
        if b.x + b.width <= a.x {
            let (start, end) = ((a.x, y), (b.x + b.width, v));
            let points = self.around_nodes((from, to), end, start, lane);
            let points = points.map(|points| points.into_iter().rev().collect());
            return Route { points: points.unwrap_or_else(|| vec![start, end]), around: None };
        }
        let (start, end) = ((a.x + a.width, y), (b.x + b.width, v));
        let around = self.side((from, to), start, end) + lane;
        Route { points: vec![start, end], around: Some(around) }
    }

    /// How far a line around the right side has to go, for its middle to be beside everything between the two.
    fn side(&self, (from, to): (usize, usize), start: (f64, f64), end: (f64, f64)) -> f64 {
        let near = start.0.max(end.0);
        let (top, bottom) = (start.1.min(end.1), start.1.max(end.1));
        let is_between = |(at, node): &(usize, &Area)| {
            let is_other = *at != from && *at != to;
            is_other && node.y < bottom && node.y + node.height > top && node.x < near + 40.0
        };
        let others = self.nodes.iter().enumerate().filter(is_between);
        let wall = others.map(|(_, node)| node.x + node.width + ASIDE).fold(near, f64::max);
        // A curve goes three quarters of the way to where it is pulled.
        (near + 40.0).max(near + (wall - start.0.min(end.0)) / 0.75)
    }

    /// From left to right; nothing where there is no such way.
    fn around_nodes(
        &self,
        (from, to): (usize, usize),
        start: (f64, f64),
        end: (f64, f64),
        lane: f64,
    ) -> Option<Vec<(f64, f64)>> {
        let is_other = |(at, _): &(usize, &Area)| *at != from && *at != to;
        let nodes = self.nodes.iter().enumerate().filter(is_other).map(|(_, area)| area);
        let in_reach = |area: &&Area| area.x - ASIDE < end.0 && area.x + area.width + ASIDE > start.0;
        let obstacles: Vec<Area> = nodes.chain(&self.titles).filter(in_reach).copied().collect();
        if obstacles.is_empty() || self.is_plain {
            return None;
        }
        let sides = obstacles.iter().flat_map(|area| [area.x - ASIDE, area.x + area.width + ASIDE]);
        let inside = sides.filter(|x| *x > start.0 && *x < end.0);
        let columns = sorted(inside.chain([start.0, end.0]).collect());
        let away = ABOVE + 1.0 + lane;
        let edges = obstacles.iter().flat_map(|area| [area.y - away, area.y + area.height + away]);
        let heights = sorted(edges.chain([start.1, end.1]).collect());
        Search { obstacles: &obstacles, columns: &columns, heights: &heights }.way(start.1, end.1)
    }
}

struct Search<'s> {
    obstacles: &'s [Area],
    /// Where columns begin and end.
    columns: &'s [f64],
    /// Heights at which the line may go.
    heights: &'s [f64],
}

impl Search<'_> {
    fn way(&self, start: f64, end: f64) -> Option<Vec<(f64, f64)>> {
        let at = |height: f64| self.heights.iter().position(|own| *own == height);
        let (first, last) = (at(start)?, at(end)?);
        let mut costs = vec![f64::INFINITY; self.heights.len()];
        costs[first] = 0.0;
        // For each column and height: at which height the line came into the column.
        let mut came: Vec<Vec<usize>> = Vec::new();
        for column in self.columns.windows(2) {
            let blocked = self.blocked(column);
            let is_free =
                |height: f64| !blocked.iter().any(|(top, bottom)| height > *top && height < *bottom);
            for (cost, height) in costs.iter_mut().zip(self.heights) {
                if !is_free(*height) {
                    *cost = f64::INFINITY;
                }
            }
            let slope = 1.0 + ROOM / (column[1] - column[0]).max(1.0);
            came.push(self.turn(&mut costs, &blocked, slope));
        }
        if !costs[last].is_finite() {
            return None;
        }
        let mut points = vec![(*self.columns.last()?, self.heights[last])];
        let mut now = last;
        for (column, came) in came.iter().enumerate().rev() {
            now = came[now];
            points.push((self.columns[column], self.heights[now]));
        }
        points.reverse();
        Some(straight(points))
    }

    /// Heights that something stands at in a column.
    fn blocked(&self, column: &[f64]) -> Vec<(f64, f64)> {
        let here = |area: &&Area| {
            area.x - ASIDE < column[1] - 0.01 && area.x + area.width + ASIDE > column[0] + 0.01
        };
        let here = self.obstacles.iter().filter(here);
        here.map(|area| (area.y - ABOVE, area.y + area.height + ABOVE)).collect()
    }

    /// Lets the line turn up or down as far as nothing stands there. Gives where it came from, for each height.
    fn turn(&self, costs: &mut [f64], blocked: &[(f64, f64)], slope: f64) -> Vec<usize> {
        let count = self.heights.len();
        let mut came: Vec<usize> = (0..count).collect();
        let before = costs.to_vec();
        for is_down in [true, false] {
            let mut best: Option<(f64, usize)> = None;
            for step in 0..count {
                let at = if is_down { step } else { count - 1 - step };
                let height = self.heights[at];
                if step > 0 {
                    let last = self.heights[if is_down { at - 1 } else { at + 1 }];
                    let (top, bottom) = (height.min(last), height.max(last));
                    let is_closed = blocked.iter().any(|(from, to)| *from < bottom && *to > top);
                    best =
                        best.filter(|_| !is_closed).map(|(cost, from)| (cost + (bottom - top) * slope, from));
                }
                if let Some((cost, from)) = best
                    && cost + TURN < costs[at]
                {
                    (costs[at], came[at]) = (cost + TURN, from);
                }
                if before[at].is_finite() && best.is_none_or(|(cost, _)| before[at] < cost) {
                    best = Some((before[at], at));
                }
            }
        }
        came
    }
}

/// Without the points between which nothing changes.
fn straight(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for point in points {
        if let [.., before, last] = out.as_mut_slice()
            && before.1 == last.1
            && last.1 == point.1
        {
            last.0 = point.0;
        } else {
            out.push(point);
        }
    }
    out
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

fn middle(area: Area) -> f64 {
    area.y + area.height / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of a route, close to each other.
    fn sampled(route: &Route) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        for pair in route.points.windows(2) {
            let ((x, y), (u, v)) = (pair[0], pair[1]);
            let bow = ((u - x) / 2.0).clamp(-160.0, 160.0);
            let (out, back) = route.around.map_or((x + bow, u - bow), |around| (around, around));
            for step in 0..=50 {
                let t = f64::from(step) / 50.0;
                let s = 1.0 - t;
                let curve = |a: f64, b: f64, c: f64, d: f64| {
                    s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d
                };
                points.push((curve(x, out, back, u), curve(y, y, v, v)));
            }
        }
        points
    }

    #[test]
    fn lines_pass_between_nodes() {
        let mut seed = 11_u64;
        let mut random = |most: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % most
        };
        let mut turned = 0;
        for _ in 0..40 {
            // Columns of nodes of any width, those of every second one a little to the right.
            let mut nodes: Vec<Area> = Vec::new();
            for column in 0..5 {
                let mut y = random(40) as f64;
                for _ in 0..1 + random(6) {
                    let (x, width) =
                        (column as f64 * 220.0 + random(2) as f64 * 25.0, 80.0 + random(60) as f64);
                    nodes.push(Area { x, y, width, height: 32.0 });
                    y += 48.0 + random(3) as f64 * 20.0;
                }
            }
            let roads = Roads::new(&nodes, Vec::new(), nodes.len());
            for from in 0..nodes.len() {
                for to in (0..nodes.len()).filter(|to| *to != from) {
                    let route = roads.between(from, to, 0.0);
                    if route.around.is_some() {
                        continue;
                    }
                    turned += usize::from(route.points.len() > 2);
                    for (x, y) in sampled(&route) {
                        for (at, node) in nodes.iter().enumerate().filter(|(at, _)| *at != from && *at != to)
                        {
                            let is_under = x > node.x
                                && x < node.x + node.width
                                && y > node.y
                                && y < node.y + node.height;
                            assert!(!is_under, "{from} to {to} under {at}: {route:?}");
                        }
                    }
                }
            }
        }
        assert!(turned > 500, "{turned}");
    }

    #[test]
    fn lines_around_the_side_go_beside_wide_nodes() {
        let node = |y: f64, width: f64| Area { x: 0.0, y, width, height: 32.0 };
        let nodes = [node(0.0, 80.0), node(48.0, 200.0), node(96.0, 80.0)];
        let route = Roads::new(&nodes, Vec::new(), 1).between(0, 2, 0.0);
        let beside = sampled(&route).into_iter().filter(|(_, y)| *y > 60.0 && *y < 70.0);
        assert!(beside.clone().count() > 0 && beside.into_iter().all(|(x, _)| x > 200.0));
    }
}
