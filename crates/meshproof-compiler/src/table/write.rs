//! The bytes of a table.

use meshproof_authz::{Context, Engine as AuthzEngine, HeaderMatching, Policy, Standing, standings};
use meshproof_engine::Engine;
use meshproof_engine::format::{self, HASH_AT, HEAD, MAGIC, NONE, POLICY, SECTIONS, VERSION};
use meshproof_resources::Action;

use super::forms::{Attributes, by_rows, by_words};
use super::indexes::Indexes;
use super::row::Rows;
use super::{Form, Lowered, ReportOrder, Uncompiled};

/// The engine of a table.
pub(super) fn engine_of(engine: AuthzEngine) -> Engine {
    match engine {
        AuthzEngine::EnvoyHttp => Engine::EnvoyHttp,
        AuthzEngine::EnvoyTcp => Engine::EnvoyTcp,
        AuthzEngine::Ztunnel => Engine::Ztunnel,
        AuthzEngine::Grpc => Engine::Grpc,
    }
}

/// Writes the table.
///
/// # Errors
/// Why there is none.
pub(super) fn write(
    lowered: &Lowered,
    policies: &[Policy<'_>],
    context: &Context,
    order: ReportOrder,
    form: Form,
) -> Result<Vec<u8>, Uncompiled> {
    let mut rows = Rows::new(lowered, policies, context, order)?;
    let engine = engine_of(context.engine);
    let words = rows.rows.len() / 64;
    let all: Vec<u32> =
        (0..rows.rows.len() as u32).filter(|row| rows.rows[*row as usize].is_some()).collect();
    let by_rows = match form {
        Form::Best => by_rows(&rows, context, engine)?,
        Form::Words => None,
    };
    let Attributes { mut parts, dimensions, scripts } = match by_rows {
        Some(attributes) => attributes,
        None => {
            rows.sort_words();
            by_words(&rows, &all, context, engine)?
        }
    };
    // Where names lead to scripts, nobody asks for all of them.
    let is_led = scripts.is_some() && dimensions.iter().any(|dimension| dimension.indifferent != NONE);
    let everything = parts.sets.add(if is_led { &[] } else { &all })?;
    let everything = parts.sets.code(everything)?;
    let mut sections: [Vec<u8>; SECTIONS] = Default::default();
    let mut put = |section: usize, numbers: &[u32]| {
        sections[section].extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    };
    for segment in &rows.segments {
        let provider = parts.pool.add(segment.provider.as_bytes());
        let first = match &scripts {
            Some(_) => rows.first_rule(segment),
            None => segment.first_word as u32,
        };
        put(format::SEGMENTS, &[segment.effect.code(), first, provider]);
    }
    let mut names = Vec::with_capacity(rows.policies.len() * POLICY);
    for (at, [before, behind]) in &rows.policies {
        let (namespace, name) = policies.get(*at).map_or(("", ""), |policy| (policy.namespace, policy.name));
        let around = format!("{before}\0{behind}");
        names.extend([namespace, name, &around].map(|text| parts.pool.add(text.as_bytes())));
    }
    let mut indexes = Indexes::new(parts.entries.bytes.len());
    for dimension in &dimensions {
        put(format::DIMENSIONS, &indexes.dimension(dimension));
    }
    put(format::INDEXES, &indexes.numbers);
    put(format::SLOTS, &indexes.slots);
    put(format::LENGTHS, &indexes.lengths);
    put(format::BORDERS, &indexes.borders);
    put(format::STARTS, &parts.entries.starts.places);
    let is_wide = rows.rules.len() >= NARROW
        || rows.policies.len() >= NARROW
        || rows.rules.iter().any(|rule| rule.rule > usize::from(u8::MAX));
    let has_wide_names = names.iter().any(|name| *name as usize >= NARROW);
    sections[format::POLICIES] = numbers(names.into_iter(), has_wide_names);
    if scripts.is_none() {
        let row_rules = rows.rows.iter().map(|row| row.as_ref().map_or(NONE, |row| row.rule as u32));
        sections[format::ROWS] = numbers(row_rules, is_wide);
    }
    sections[format::RULES] = numbers(rows.rules.iter().map(|rule| rule.policy as u32), is_wide);
    for rule in &rows.rules {
        let place = (rule.rule as u32).to_le_bytes();
        sections[format::RULES].extend_from_slice(if is_wide { &place } else { &place[..1] });
    }
    sections[format::COLUMNS] = parts.sets.columns().flat_map(u64::to_le_bytes).collect();
    sections[format::SETS] = parts.sets.groups.iter().flat_map(|number| number.to_le_bytes()).collect();
    sections[format::WIDE_BORDERS] = indexes.wide.iter().flat_map(|border| border.to_le_bytes()).collect();
    sections[format::LISTS] = parts.sets.lists;
    sections[format::ENTRIES] = parts.entries.bytes;
    sections[format::TESTS] = parts.tests.bytes;
    sections[format::POOL] = parts.pool.bytes;
    let mut settings = settings(lowered, policies, context, order);
    if is_wide {
        settings |= format::WIDE_RULES;
    }
    if has_wide_names {
        settings |= format::WIDE_NAMES;
    }
    let words = if scripts.is_some() { 0 } else { words };
    if let Some(scripts) = scripts {
        settings |= format::BY_ROWS;
        (sections[format::SCRIPTS], sections[format::ROWS]) = (scripts.bytes, scripts.rows);
    }
    assemble(&sections, [words as u32, everything], engine, settings)
}

/// Numbers of 32 bits, or of 16 where all fit.
fn numbers(numbers: impl Iterator<Item = u32>, is_wide: bool) -> Vec<u8> {
    let length = if is_wide { 4 } else { 2 };
    let mut bytes = Vec::with_capacity(numbers.size_hint().0 * length);
    numbers.for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()[..length]));
    bytes
}

/// From this number on rules take 32 bits, for the largest of 16 says that there is none.
const NARROW: usize = u16::MAX as usize;

/// The table that refuses everything, for policies that no table can be made of.
pub(super) fn refuse_all(context: &Context, order: ReportOrder) -> Vec<u8> {
    let order = if order == ReportOrder::Policy { format::POLICY_ORDER } else { 0 };
    let mut sections: [Vec<u8>; SECTIONS] = Default::default();
    // The set of all rows is the first and only one, and empty.
    sections[format::LISTS] = vec![0];
    sections[format::ENTRIES] = vec![0];
    let everything = format::SET_LIST;
    let made = assemble(&sections, [0, everything], engine_of(context.engine), format::NEEDS_ALLOW | order);
    made.unwrap_or_default()
}

/// Whether ALLOW policies are on trial.
pub(super) fn has_dry_allow(policies: &[Policy<'_>], context: &Context) -> bool {
    policies
        .iter()
        .zip(standings(policies, context))
        .any(|(policy, standing)| policy.action() == Action::Allow && standing == Standing::DryRun)
}

fn settings(lowered: &Lowered, policies: &[Policy<'_>], context: &Context, order: ReportOrder) -> u8 {
    [
        (context.semantics.headers == HeaderMatching::Joined, format::HEADERS_JOINED),
        (order == ReportOrder::Policy, format::POLICY_ORDER),
        (lowered.enforced.needs_allow, format::NEEDS_ALLOW),
        (has_dry_allow(policies, context), format::HAS_DRY_ALLOW),
    ]
    .into_iter()
    .fold(0, |all, (is_set, flag)| if is_set { all | flag } else { all })
}

/// Head, directory and sections, with the hash of everything.
fn assemble(
    sections: &[Vec<u8>; SECTIONS],
    [words, everything]: [u32; 2],
    engine: Engine,
    settings: u8,
) -> Result<Vec<u8>, Uncompiled> {
    let length: usize = sections.iter().map(|section| section.len().next_multiple_of(8)).sum();
    let mut bytes = Vec::with_capacity(HEAD + SECTIONS * 8 + length);
    bytes.resize(HEAD + SECTIONS * 8, 0);
    for (at, section) in sections.iter().enumerate() {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let offset = u32::try_from(bytes.len()).map_err(|_| Uncompiled::TooLarge)?;
        let length = u32::try_from(section.len()).map_err(|_| Uncompiled::TooLarge)?;
        bytes[HEAD + at * 8..][..4].copy_from_slice(&offset.to_le_bytes());
        bytes[HEAD + at * 8 + 4..][..4].copy_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(section);
    }
    u32::try_from(bytes.len()).map_err(|_| Uncompiled::TooLarge)?;
    let length = bytes.len() as u64;
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12] = engine.code() as u8;
    bytes[13] = settings;
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    bytes[56..60].copy_from_slice(&words.to_le_bytes());
    bytes[60..64].copy_from_slice(&everything.to_le_bytes());
    let hash = meshproof_engine::content_hash(&bytes);
    bytes[HASH_AT..HASH_AT + 32].copy_from_slice(&hash);
    Ok(bytes)
}
