//! Requests that pass beside what is refused, of many boxes in one question.

use foldhash::HashSet;
use meshproof_authz::{Context, Policy};

use crate::boxes::RequestBox;
use crate::confirm::Confirm;
use crate::domain::Domain;
use crate::space::{Answer, Outcome};
use crate::universe::Universe;
use crate::vocabulary::CubeId;

/// For each list of boxes a request of one of them that passes.
///
/// Whoever asks knows that the rules let all of these boxes in, so only `refused` is searched: every box that some rule
/// refuses. The policies are what the evaluator confirms requests with. Costs what the boxes are and what is refused, once
/// for all lists, however many rules let something in.
pub fn passing_beside(
    lists: &[Vec<RequestBox>],
    refused: &[RequestBox],
    (policies, context): (&[Policy<'_>], &Context),
    domain: &Domain,
) -> Vec<Answer> {
    let boxes: Vec<RequestBox> = lists.iter().flatten().chain(refused).cloned().collect();
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
        let (own, rest) = asked.split_at(list.len());
        asked = rest;
        let mut answer: Answer = Ok(None);
        for cube in own.iter().filter(|cube| !closed.contains(cube)) {
            let passes = |request: &_| confirm.has_outcome(request, Outcome::Allowed);
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
