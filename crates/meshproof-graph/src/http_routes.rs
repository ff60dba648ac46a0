//! HTTPRoutes and GRPCRoutes of a port of a gateway: which of them sends on a request.
//!
//! The longest name counts that is for the request, and the routes of one name are one list, in the order of their matches
//! (Istio 1.32, gateway conversion, `mergeHTTPRoutes` and `sortHTTPRoutes`).

use std::collections::BTreeMap;

use foldhash::HashMap;
use meshproof_ir::{Mesh, ResourceId, all_dated, sort_by_age};
use meshproof_resources::{Route, RouteKind, RouteRule, Spec};
use meshproof_space::{Clause, Test, Variable};

use crate::conditions::of_host;
use crate::precedence::Order;
use crate::routing::{ANOTHER_ROUTE, Routing};

/// More names than this are not taken out of those of a route with a star.
const MOST_NAMES: usize = 256;

/// A route that a listener admits, with the names that both are for; none where they are for all.
pub(crate) struct Admitted {
    pub route: ResourceId,
    pub listener: usize,
    pub names: Vec<String>,
}

/// Routes that are one list: those of a listener, of one kind, for a name that is written with a star in front or alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct List {
    listener: usize,
    is_grpc: bool,
    name: String,
}

/// What a list takes.
struct Listed {
    order: Order,
    /// The test of requests that its name takes and no longer one does; nothing where it takes all.
    host: Option<Clause>,
    /// That is all that there is to know of them.
    is_sure: bool,
}

/// The routes of a port.
pub(crate) struct HttpRoutes {
    lists: BTreeMap<List, Listed>,
    of_route: HashMap<ResourceId, Vec<List>>,
}

impl HttpRoutes {
    pub fn of(mesh: &Mesh, admitted: &[Admitted]) -> HttpRoutes {
        let mut routes: BTreeMap<List, Vec<ResourceId>> = BTreeMap::new();
        let mut of_route: HashMap<ResourceId, Vec<List>> = HashMap::default();
        for Admitted { route: id, listener, names } in admitted {
            let Spec::Route(route) = &mesh.resource(*id).spec else { continue };
            let all = ["*".to_owned()];
            for name in if names.is_empty() { &all[..] } else { names } {
                let is_grpc = route.kind == RouteKind::Grpc;
                let list = List { listener: *listener, is_grpc, name: name.clone() };
                let own = of_route.entry(*id).or_default();
                if !own.contains(&list) {
                    own.push(list.clone());
                    routes.entry(list).or_default().push(*id);
                }
            }
        }
        let order = |mut ids: Vec<ResourceId>| {
            sort_by_age(&mut ids, &mesh.resources);
            let is_dated = all_dated(ids.iter().map(|id| &mesh.resource(*id).meta));
            let route = |id: &ResourceId| match &mesh.resource(*id).spec {
                Spec::Route(route) => Some((*id, &**route)),
                _ => None,
            };
            let routes: Vec<(ResourceId, &Route)> = ids.iter().filter_map(route).collect();
            Order::of(&routes, is_dated)
        };
        let names: Vec<List> = routes.keys().cloned().collect();
        let listed = |(list, ids): (List, Vec<ResourceId>)| {
            let (host, is_sure) = requests_of(&list, &names);
            (list, Listed { order: order(ids), host, is_sure })
        };
        HttpRoutes { lists: routes.into_iter().map(listed).collect(), of_route }
    }

    /// What a rule of a route sends on; nothing where other rules take all of it.
    pub fn routing(&self, id: ResourceId, (at, rule): (usize, &RouteRule)) -> Option<Routing> {
        let mut routing = Routing::default();
        for list in self.of_route.get(&id).into_iter().flatten() {
            let Some(listed) = self.lists.get(list) else { continue };
            routing.take((id, at), &listed.order, listed.host.as_ref());
            if !listed.is_sure || self.has_rivals(list, id) {
                routing.doubt_of_others(ANOTHER_ROUTE);
            }
        }
        routing.of_rule(rule)
    }

    /// Whether routes of another listener or kind may take some of it: how they and these go together is not followed.
    fn has_rivals(&self, list: &List, id: ResourceId) -> bool {
        let is_other = |other: &&List| !are_together(list, other);
        self.lists.keys().filter(is_other).any(|other| {
            let of_others = || self.of_route.iter().any(|(own, lists)| *own != id && lists.contains(other));
            (admits(&list.name, &other.name) || admits(&other.name, &list.name)) && of_others()
        })
    }
}

/// Whether two lists are of one listener and kind.
fn are_together(one: &List, other: &List) -> bool {
    (one.listener, one.is_grpc) == (other.listener, other.is_grpc)
}

/// The test of requests that the name of a list takes and no longer one does, and whether that is all there is to know.
fn requests_of(list: &List, names: &[List]) -> (Option<Clause>, bool) {
    let own = of_host(&list.name);
    if !list.name.starts_with('*') {
        return (own, true);
    }
    let is_longer = |other: &&List| {
        are_together(list, other) && other.name != list.name && admits(&list.name, &other.name)
    };
    let mut longer = names.iter().filter(is_longer);
    let tests = longer.by_ref().take(MOST_NAMES).filter_map(|other| of_host(&other.name));
    let none_of: Vec<Test> = tests.flat_map(|clause| clause.any_of.clone()).collect();
    let any_of = own.map(|clause| clause.any_of.clone()).unwrap_or_default();
    let asks = !any_of.is_empty() || !none_of.is_empty();
    let clause = asks.then(|| Clause::new(Variable::Authority, any_of, none_of));
    (clause, longer.next().is_none())
}

/// Whether a name, with a star in front or alone, is for all of another one.
pub(crate) fn admits(name: &str, other: &str) -> bool {
    name == other || name.strip_prefix('*').is_some_and(|rest| other.ends_with(rest))
}
