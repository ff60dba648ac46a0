//! Requests that pass beside what is refused, of many boxes in one question.

use foldhash::HashSet;
use meshproof_authz::{Context, Policy};

use crate::boxes::RequestBox;
use crate::confirm::Confirm;
use crate::domain::Domain;
use crate::lower::RuleId;
use crate::space::Answer;
use crate::universe::Universe;
use crate::vocabulary::CubeId;

/// Boxes that rules let in as long as nothing refuses them.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// Each lies in what one of the rules matches.
    pub boxes: Vec<RequestBox>,
    /// The rules; none where no ALLOW policy applies.
    pub by: Vec<RuleId>,
}

/// For each list of boxes a request of one of them that passes.
///
/// Only `refused` is searched, every box that some rule refuses: that ALLOW rules match is given. The evaluator confirms each
/// request, with everything that may refuse it and with the rules that let it in. So it costs what the boxes are and what is
/// refused, once for all lists, however many other rules let something in.
pub fn passing_beside(
    lists: &[Admitted],
    refused: &[RequestBox],
    (policies, context): (&[Policy<'_>], &Context),
    domain: &Domain,
) -> Vec<Answer> {
    let boxes: Vec<RequestBox> = lists.iter().flat_map(|list| &list.boxes).chain(refused).cloned().collect();
    let universe = Universe::new(Vec::new(), context, domain, &boxes);
    let (mut asked, except) = universe.probes.split_at(boxes.len() - refused.len());
    let mut except = except.to_vec();
    except.sort_unstable();
    except.dedup();
    let closed: HashSet<CubeId> = except.iter().copied().collect();
    let mut cover = universe.cover(except);
    let confirm = Confirm::new(policies, context);
    let mut answers = Vec::with_capacity(lists.len());
    for list in lists {
        let (own, rest) = asked.split_at(list.boxes.len());
        asked = rest;
        let mut answer: Answer = Ok(None);
        for cube in own.iter().filter(|cube| !closed.contains(cube)) {
            let passes = |request: &_| confirm.is_allowed_by(&list.by, request);
            match universe.find_beside(&vec![*cube], &mut cover, passes) {
                Ok(None) => {}
                Ok(found) => {
                    answer = Ok(found);
                    break;
                }
                Err(limit) => answer = Err(limit),
            }
        }
        answers.push(answer);
    }
    answers
}
