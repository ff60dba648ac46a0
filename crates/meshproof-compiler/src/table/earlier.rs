//! Tables of an earlier run, which need not be made and proven again while their policies say the same.

use std::hash::{Hash, Hasher};

use foldhash::{HashMap, HashMapExt};
use meshproof_authz::{Context, Policy};
use meshproof_engine::Bundle;
use meshproof_space::{LoweredRule, RuleBoxes};
use serde_json::Value;

use super::{Lowered, ReportOrder};

/// All that a table is made from, and the version of what makes it, as one number. Where policies are written, and what
/// they say that the engine does not read, is no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Input([u8; 16]);

/// A standard hasher whose result is the same in every run of one build.
#[derive(Default)]
struct Content(blake3::Hasher);

impl Hasher for Content {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        self.0.finalize_xof().fill(&mut first);
        u64::from_le_bytes(first)
    }
}

impl Input {
    /// Goes up with every change by which the same policies make another table, so that none of those made before is taken.
    pub const REVISION: u32 = 9;

    /// Of the policies at an enforcement point; nothing when some rule has no exact form, and so no table either.
    pub fn of(policies: &[Policy<'_>], context: &Context, order: ReportOrder) -> Option<Input> {
        let lowered = Lowered::new(policies, context);
        let mut content = Content::default();
        (env!("CARGO_PKG_VERSION"), Input::REVISION, meshproof_engine::format::VERSION, order)
            .hash(&mut content);
        // It has numbers and texts only; `Debug` cannot leave a field of it out.
        format!("{context:?}").hash(&mut content);
        for policy in policies {
            let provider = policy.spec.provider.as_ref().map(|provider| provider.value.as_str());
            (policy.namespace, policy.name, policy.action(), policy.is_dry_run(), provider)
                .hash(&mut content);
        }
        lowered.enforced.needs_allow.hash(&mut content);
        for rules in [&lowered.enforced.rules, &lowered.dry_run] {
            rules.len().hash(&mut content);
            for rule in rules {
                add(rule, &mut content)?;
            }
        }
        let mut own = [0; 16];
        content.0.finalize_xof().fill(&mut own);
        Some(Input(own))
    }

    /// As an index has it.
    pub fn written(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn add(rule: &LoweredRule, content: &mut Content) -> Option<()> {
    (rule.id, &rule.effect).hash(content);
    match rule.boxes.as_ref() {
        RuleBoxes::Boxes(boxes) => (0u8, boxes).hash(content),
        // Why does not matter: the engine does not have it.
        RuleBoxes::Dropped(_) => 1u8.hash(content),
        RuleBoxes::Unknown(_) => return None,
    }
    Some(())
}

/// What an earlier run left.
#[derive(Debug, Default)]
pub struct Earlier<'t> {
    known: HashMap<String, EarlierTable<'t>>,
}

/// A table of an earlier run.
#[derive(Clone, Copy, Debug)]
pub(super) struct EarlierTable<'t> {
    pub bytes: &'t [u8],
    pub is_proven: bool,
}

impl<'t> Earlier<'t> {
    /// Reads the index of an earlier run and the tables beside it. What does not fit together is left out, and made again.
    pub fn new(index: &Value, bundle: &Bundle<'t>) -> Earlier<'t> {
        let by_hash: HashMap<String, &'t [u8]> = bundle
            .tables()
            .iter()
            .enumerate()
            .filter_map(|(at, table)| Some((super::mesh::short_hash(table), bundle.bytes_of(at)?)))
            .collect();
        let mut known = HashMap::new();
        let proxies = index["proxies"].as_array().into_iter().flatten();
        for chain in proxies.filter_map(|proxy| proxy["chains"].as_array()).flatten() {
            let (Some(input), Some(table)) = (chain["input"].as_str(), chain["table"].as_str()) else {
                continue;
            };
            if let Some(bytes) = by_hash.get(table) {
                let is_proven = chain["proven"] == true;
                known.insert(input.to_owned(), EarlierTable { bytes, is_proven });
            }
        }
        Earlier { known }
    }

    pub(super) fn get(&self, input: Input) -> Option<EarlierTable<'t>> {
        self.known.get(&input.written()).copied()
    }
}
