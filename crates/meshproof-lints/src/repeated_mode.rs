//! `repeated-mode`: a PeerAuthentication that says nothing, or what would hold without it (mutual-TLS reference §11.1,
//! PA17).

use std::collections::BTreeMap;

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{ClusterId, NamespaceId, ResourceId};
use meshproof_resources::{MtlsMode, PeerAuthentication};

use crate::Context;
use crate::conflicting_rules::revision;
use crate::hash::Map;
use crate::peers::{effect, is_empty, peer_authentications, selector_pairs};

const ID: &str = "repeated-mode";
/// Objects pointed at per finding, beside the first.
const SHOWN: usize = 6;

/// Runs the lint: one finding per object that says nothing, and one per object that others repeat.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let scopes = Scopes::new(ctx);
    let mut repeated: BTreeMap<ResourceId, Vec<ResourceId>> = BTreeMap::new();
    let mut findings = Vec::new();
    for (id, policy) in peer_authentications(ctx).filter(|(id, _)| scopes.is_alone(ctx, *id)) {
        if is_empty(policy) {
            findings.push(empty(ctx, id));
        } else if let Some(above) = scopes.above(ctx, id, policy)
            && says_the_same(ctx, above, policy)
        {
            repeated.entry(above).or_default().push(id);
        }
    }
    findings.extend(repeated.iter().filter_map(|(above, ids)| repeats(ctx, *above, ids)));
    findings
}

/// A namespace, and the labels by which an object selects there.
type Scope<'c> = (NamespaceId, Vec<(&'c str, &'c str)>);

/// Objects by what they are for. Those of a revision count for some control planes only, and take part in nothing here.
#[derive(Default)]
struct Scopes<'c> {
    /// How many there are for a namespace and labels.
    count: Map<Scope<'c>, usize>,
    /// The last one of a namespace as a whole.
    of_namespace: Map<NamespaceId, ResourceId>,
    /// How many objects of a namespace select workloads.
    selecting: Map<NamespaceId, usize>,
    /// Namespaces with an object of a revision.
    revised: Vec<NamespaceId>,
}

impl<'c> Scopes<'c> {
    fn new(ctx: &'c Context<'_>) -> Self {
        let mut scopes = Scopes::default();
        for (id, policy) in peer_authentications(ctx) {
            let Some(namespace) = ctx.namespace_of(id) else { continue };
            if revision(&ctx.resource(id).meta).is_some() {
                scopes.revised.push(namespace);
            }
            let labels = if policy.selects_workloads() { selector_pairs(policy) } else { Vec::new() };
            if labels.is_empty() {
                scopes.of_namespace.insert(namespace, id);
            } else {
                *scopes.selecting.entry(namespace).or_default() += 1;
            }
            *scopes.count.entry((namespace, labels)).or_default() += 1;
        }
        scopes.revised.sort_unstable();
        scopes
    }

    /// Whether nothing else is for the same; of two objects `conflicting-rules` tells. In the root namespace selectors
    /// are ignored, which `permissive-mtls` tells.
    fn is_alone(&self, ctx: &Context<'_>, id: ResourceId) -> bool {
        let (Some(namespace), Some(policy)) = (ctx.namespace_of(id), ctx.mesh.peer_authentication(id)) else {
            return false;
        };
        let labels = if policy.selects_workloads() { selector_pairs(policy) } else { Vec::new() };
        ctx.mesh.namespace(namespace).name.is_some()
            && self.revised.binary_search(&namespace).is_err()
            && !ctx.is_incomplete(namespace)
            && !(policy.selects_workloads() && ctx.is_root(namespace))
            && self.count.get(&(namespace, labels)) == Some(&1)
    }

    /// The object that would decide without this one, where it is plain: that of the namespace, else of the mesh.
    fn above(&self, ctx: &Context<'_>, id: ResourceId, policy: &PeerAuthentication) -> Option<ResourceId> {
        let namespace = ctx.namespace_of(id).filter(|namespace| !ctx.is_root(*namespace))?;
        let own = self.of_namespace.get(&namespace).filter(|_| policy.selects_workloads());
        let own = own.filter(|id| !ctx.mesh.peer_authentication(**id).is_some_and(is_empty));
        let above = own.copied().or_else(|| self.of_mesh(ctx, ctx.mesh.namespace(namespace).cluster))?;
        // Where several select, this one may be there to win over another.
        let has_rivals = self.selecting.get(&namespace).is_some_and(|count| *count > 1);
        if policy.selects_workloads() && has_rivals {
            return None;
        }
        self.is_alone(ctx, above).then_some(above)
    }

    fn of_mesh(&self, ctx: &Context<'_>, cluster: ClusterId) -> Option<ResourceId> {
        let root = ctx.mesh.namespace_by_name(cluster, ctx.mesh.settings_of(cluster).root())?;
        self.of_namespace.get(&root).copied()
    }
}

/// Whether an object sets no more than what an object above it sets for everything that it is for.
fn says_the_same(ctx: &Context<'_>, above: ResourceId, policy: &PeerAuthentication) -> bool {
    let Some(above) = ctx.mesh.peer_authentication(above) else { return false };
    let ((mode, ports), (inherited, _)) = (effect(policy), effect(above));
    // ztunnel reads an empty selector otherwise than an absent one.
    mode != MtlsMode::Unset && mode == inherited && ports.is_empty() && above.selector.is_none()
}

fn empty(ctx: &Context<'_>, id: ResourceId) -> Finding {
    let meta = &ctx.resource(id).meta;
    let name = meta.resource_name();
    let message = format!("{name} sets no mode: everything stays as it is without it");
    let label =
        Label::new(meta.name_span(), "takes the place of other objects for the same, and says nothing");
    Finding::new(ID, Level::Info, Category::Dead, message, label)
        .with_resource(name)
        .with_confidence(Confidence::High)
        .with_help("remove it, or write the mode that is meant: an older object that says nothing still wins over a younger one that says STRICT")
}

fn repeats(ctx: &Context<'_>, above: ResourceId, ids: &[ResourceId]) -> Option<Finding> {
    let (first, rest) = ids.split_first()?;
    let mode = |id: ResourceId| ctx.mesh.peer_authentication(id)?.mode.as_ref();
    let (own, inherited) = (mode(*first)?, mode(above)?);
    let meta = &ctx.resource(*first).meta;
    let more = match rest.len() {
        0 => String::new(),
        1 => " and one more".to_owned(),
        more => format!(" and {more} more"),
    };
    let repeat = if rest.is_empty() { "only repeats" } else { "only repeat" };
    let message = format!(
        "{}{more} {repeat} {} of {}",
        meta.resource_name(),
        own.value.as_str(),
        ctx.resource(above).meta.resource_name()
    );
    let label = Label::new(own.span, "would be inherited");
    let mut finding = Finding::new(ID, Level::Info, Category::Dead, message, label)
        .with_resource(meta.resource_name())
        .with_confidence(Confidence::High)
        .with_related(inherited.span, "the mode that holds anyway");
    for id in rest.iter().take(SHOWN) {
        finding = finding.with_related(mode(*id).map_or(meta.name_span(), |mode| mode.span), "the same");
    }
    Some(finding.with_help("remove it, unless it is there to stand when the wider object changes"))
}
