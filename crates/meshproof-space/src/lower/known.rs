//! Lists that rules repeat, read once: methods and ports are few, and policies of one workload often name the same
//! callers. Their boxes then share the clause.

use meshproof_authz::Attribute;
use meshproof_resources::Text;

use crate::boxes::Clause;

/// So many lists of methods and of ports are kept in mind.
const MOST: usize = 32;

/// The lists that were read last, by attribute and whether they are those of its `not` twin.
#[derive(Debug, Default)]
pub(super) struct Known<'a>([Vec<Read<'a>>; 18]);

/// A list with its clause.
#[derive(Debug)]
struct Read<'a> {
    /// Lists with different keys are different.
    key: u64,
    list: &'a [Text],
    clause: Clause,
}

impl<'a> Known<'a> {
    /// The clauses of a list, read unless an equal one was read before.
    pub fn clauses(
        &mut self,
        attribute: &Attribute,
        is_refused: bool,
        list: &'a [Text],
        read: impl FnOnce() -> [Option<Clause>; 2],
    ) -> [Option<Clause>; 2] {
        let Some(place) = place(attribute) else { return read() };
        let lists = &mut self.0[place * 2 + usize::from(is_refused)];
        let key = key(list);
        let known = lists.iter().find(|known| known.key == key && are_equal(known.list, list));
        if let Some(known) = known {
            return [Some(known.clause.clone()), None];
        }
        let clauses = read();
        if let [Some(clause), None] = &clauses {
            let most =
                if matches!(attribute, Attribute::Method | Attribute::DestinationPort) { MOST } else { 1 };
            let read = Read { key, list, clause: clause.clone() };
            if lists.len() < most {
                lists.push(read);
            } else if let Some(last) = lists.last_mut() {
                *last = read;
            }
        }
        clauses
    }
}

/// Where lists of the attribute are kept; nothing where what they ask hangs on more than the list and the engine.
fn place(attribute: &Attribute) -> Option<usize> {
    Some(match attribute {
        Attribute::Principal => 0,
        Attribute::Namespace => 1,
        Attribute::TrustDomain => 2,
        Attribute::SourceIp => 3,
        Attribute::RemoteIp => 4,
        Attribute::Host => 5,
        Attribute::DestinationPort => 6,
        Attribute::Method => 7,
        Attribute::Path => 8,
        // Short names of accounts mean the policy's namespace, and some actions run before tokens are looked at.
        Attribute::ServiceAccount | Attribute::RequestPrincipal | Attribute::Claim(_) => return None,
        Attribute::DestinationIp | Attribute::Sni => return None,
        Attribute::Header(_) | Attribute::Metadata { .. } | Attribute::Untranslatable(_) => return None,
    })
}

/// Of the lengths of the texts and how they start and end, which tells most lists apart.
fn key(list: &[Text]) -> u64 {
    list.iter().fold(list.len() as u64, |key, text| {
        let text = text.value.as_bytes();
        let ends = [text.first(), text.last()].map(|byte| u64::from(byte.copied().unwrap_or_default()));
        key.wrapping_mul(1_000_003) ^ (text.len() as u64) << 16 ^ ends[0] << 8 ^ ends[1]
    })
}

fn are_equal(a: &[Text], b: &[Text]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.value == b.value)
}
