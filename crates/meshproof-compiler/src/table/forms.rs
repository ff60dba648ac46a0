//! The two forms of a table: row by row where names leave few rows, else by words.

use meshproof_authz::Context;
use meshproof_engine::format::{self, DRIVER, OF_CONNECTION};
use meshproof_engine::{Attribute, Engine};

use super::Uncompiled;
use super::bound::{Bound, bound};
use super::demands::{Demands, collect};
use super::dimension::{DimensionParts, Parts, is_of_request};
use super::links::Entries;
use super::pool::Pool;
use super::row::Rows;
use super::scripts::{Scripts, is_leading};
use super::set::SetStore;
use super::tests::TestStore;

/// What rows ask, in one of the two forms of a table.
pub(super) struct Attributes<'b> {
    pub parts: Parts,
    pub dimensions: Vec<DimensionParts>,
    pub scripts: Option<Scripts<'b>>,
}

/// About so many tests may be asked one by one for any name, and so many for one: what is in question on every connection
/// is soon looked up faster.
const EVERYONE_COST: usize = 96;
const MOST_COST: usize = 512;

fn new_parts(words: usize) -> Parts {
    Parts {
        sets: SetStore::new(words),
        entries: Entries::new(),
        pool: Pool::new(),
        tests: TestStore::default(),
    }
}

/// Names of peers are looked up, and everything else is asked row by row; nothing where that might be too much.
pub(super) fn by_rows<'b>(
    rows: &'b Rows<'_>,
    context: &Context,
    engine: Engine,
) -> Result<Option<Attributes<'b>>, Uncompiled> {
    let leading = collect(rows, |demand| is_leading(&(demand.variable, demand.number)));
    // What rows refuse to be led by is asked row by row too.
    let leading = leading.into_iter().map(Demands::only_wanted).find(|leading| !leading.wanting.is_empty());
    let placements = leading.as_ref().map(|leading| leading.placements(engine)).unwrap_or_default();
    let Bound { everyone, most } =
        bound(rows, leading.as_ref().map(|leading| (leading, placements.as_slice())));
    if everyone.cost > EVERYONE_COST || most.cost > MOST_COST || most.rows > format::MOST_LEFT {
        return Ok(None);
    }
    let mut parts = new_parts(0);
    let Some(scripts) = Scripts::write(rows, &mut parts, engine, most.rows as u32)? else { return Ok(None) };
    parts.sets = SetStore::of_scripts(rows.numbers());
    let mut index = None;
    if let Some(leading) = &leading {
        let mut built = leading.build(&placements, &mut parts, context, engine)?;
        let rows = rows.rows.iter().enumerate().filter(|(_, row)| row.is_some()).map(|(at, _)| at as u32);
        built.indifferent = indifferent(leading, rows, &mut parts)?;
        index = Some(built);
    }
    let dimensions = scripts.dimension_parts(&mut parts, index);
    Ok(Some(Attributes { parts, dimensions, scripts: Some(scripts) }))
}

/// Every attribute is looked up.
pub(super) fn by_words<'b>(
    rows: &'b Rows<'_>,
    all: &[u32],
    context: &Context,
    engine: Engine,
) -> Result<Attributes<'b>, Uncompiled> {
    let mut parts = new_parts(rows.rows.len() / 64);
    let demands = collect(rows, |_| true);
    let mut dimensions = Vec::with_capacity(demands.len());
    for demand in &demands {
        dimensions.push(demand.build(&demand.placements(engine), &mut parts, context, engine)?);
    }
    let leading = demands.iter().enumerate().filter(|(_, demand)| is_of_request(demand.variable, engine));
    if let Some((at, _)) = leading.min_by_key(|(_, demand)| demand.breadth(all.len())) {
        dimensions[at].asked = DRIVER;
    }
    // Rows that do not ask for what leads at connections are in question on every one.
    let leads = |dimension: &DimensionParts| dimension.asked == OF_CONNECTION;
    let first = dimensions.iter().position(|one| leads(one) && one.attribute == Attribute::Peer);
    if let Some(at) = first.or_else(|| dimensions.iter().position(leads)) {
        dimensions[at].indifferent = indifferent(&demands[at], all.iter().copied(), &mut parts)?;
    }
    Ok(Attributes { parts, dimensions, scripts: None })
}

/// The set of the rows that want nothing of an attribute.
fn indifferent(
    demands: &Demands<'_>,
    rows: impl Iterator<Item = u32>,
    parts: &mut Parts,
) -> Result<u32, Uncompiled> {
    let mut wanting = demands.wanting.iter().peekable();
    let rows: Vec<u32> = rows.filter(|row| wanting.next_if_eq(&row).is_none()).collect();
    let set = parts.sets.add(&rows)?;
    parts.sets.code(set)
}
