//! Lists that rules repeat, read once: methods and ports are few, and policies of one workload often name the same
//! callers. Their boxes then share the clause.

use meshproof_authz::Attribute;
use meshproof_resources::Text;

use crate::boxes::Clause;

/// So many lists of methods and of ports are kept in mind.
const MOST: usize = 32;

/// The lists that were read last, by attribute and whether they are those of its `not` twin.
#[derive(Debug, Default)]
pub(super) struct Known<'a>([Vec<(&'a [Text], Clause)>; 18]);

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
        if let Some((_, clause)) = lists.iter().find(|(known, _)| are_equal(known, list)) {
            return [Some(clause.clone()), None];
        }
        let clauses = read();
        if let [Some(clause), None] = &clauses {
            let most =
                if matches!(attribute, Attribute::Method | Attribute::DestinationPort) { MOST } else { 1 };
            if lists.len() < most {
                lists.push((list, clause.clone()));
            } else if let Some(last) = lists.last_mut() {
                *last = (list, clause.clone());
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

fn are_equal(a: &[Text], b: &[Text]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.value == b.value)
}
