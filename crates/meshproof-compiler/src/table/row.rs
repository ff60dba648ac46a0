//! Rows: one alternative of `from` with one of `to`, and everything of `when`.

use std::borrow::Cow;
use std::ops::Range;

use foldhash::HashMap;
use meshproof_authz::{Context, CustomOutcome, Engine, Policy, custom_outcome};
use meshproof_engine as engine;
use meshproof_resources::Action;
use meshproof_space::{Effect, LoweredRule, RequestBox, RuleBoxes, Test, Variable};

use super::order::order_of;
use super::{Lowered, ReportOrder, Uncompiled};

/// More rows than this make a table too large.
const MOST_ROWS: usize = 4 << 20;

/// The rules of one enforcement point as rows, in their order.
#[derive(Default)]
pub(super) struct Rows<'b> {
    /// What the rows lead to; those of one segment stand together.
    pub segments: Vec<Segment>,
    /// Rules in the order in which they are reported, segment by segment.
    pub rules: Vec<Rule>,
    /// Policies by their place in what was handed in, each with what is written around the names of its rules.
    pub policies: Vec<(usize, [String; 2])>,
    /// Rows by number; free places at the end of a segment are nothing.
    pub rows: Vec<Option<Row>>,
    /// The demands of all rows, rule by rule: so they were made, and so what they point to is near each other.
    pub demands: Vec<Demand<'b>>,
    /// What the rows make demands of, in the order in which it was met.
    pub dimensions: Vec<Dimension<'b>>,
}

/// An attribute, or one of several demands that rows make of it.
pub(super) type Dimension<'b> = (&'b Variable, usize);

pub(super) struct Segment {
    pub effect: engine::Effect,
    pub provider: String,
    pub first_word: usize,
}

pub(super) struct Rule {
    /// Its place in `policies` of the rows.
    pub policy: usize,
    pub rule: usize,
}

pub(super) struct Row {
    pub rule: usize,
    /// Its demands among those of all rows.
    demands: Range<usize>,
}

/// What a row asks of one attribute: of the list one test, and none of those refused. A second list of the same
/// attribute has a demand of its own, with the next number.
pub(super) struct Demand<'b> {
    pub variable: &'b Variable,
    pub number: usize,
    /// The place of these two among the dimensions of the rows.
    pub dimension: usize,
    pub any_of: &'b [Test],
    pub none_of: Vec<&'b Test>,
}

/// A rule on its way to a segment.
struct Entry<'l> {
    effect: engine::Effect,
    provider: &'l str,
    /// The name under which it is reported.
    name: String,
    /// What is written around its own name there, if anything is.
    around: Option<[String; 2]>,
    rule: &'l LoweredRule,
}

/// The rows of a segment, and what they are sorted by.
#[derive(Default)]
struct Unsorted<'b> {
    places: Vec<Cow<'b, [u8]>>,
    rows: Vec<Option<Row>>,
}

/// What rows have in common with earlier ones.
#[derive(Default)]
struct Known<'b> {
    /// Policies by their place, and whether something is written around their names: that is the same for all rules.
    policies: HashMap<(usize, bool), usize>,
    dimensions: HashMap<Dimension<'b>, usize>,
}

impl<'b> Rows<'b> {
    /// The rows of the rules.
    ///
    /// # Errors
    /// A rule that is not known exactly, or too many rows.
    pub fn new(
        lowered: &'b Lowered,
        policies: &[Policy<'_>],
        context: &Context,
        order: ReportOrder,
    ) -> Result<Rows<'b>, Uncompiled> {
        let mut entries: Vec<Entry<'_>> = Vec::new();
        let all = lowered.enforced.rules.iter().map(|rule| (rule, false));
        for (rule, on_trial) in all.chain(lowered.dry_run.iter().map(|rule| (rule, true))) {
            entries.push(entry(rule, on_trial, policies, context));
        }
        entries.sort_by(|a, b| {
            let by_name = match order {
                ReportOrder::Name => a.name.cmp(&b.name),
                ReportOrder::Policy => std::cmp::Ordering::Equal,
            };
            (a.effect, a.provider).cmp(&(b.effect, b.provider)).then(by_name).then(a.rule.id.cmp(&b.rule.id))
        });
        let mut rows = Rows::default();
        let mut known = Known::default();
        let mut entries = entries.into_iter().peekable();
        while let Some(first) = entries.next() {
            let (effect, provider) = (first.effect, first.provider);
            let mut segment = Unsorted::default();
            let mut next = Some(first);
            while let Some(entry) = next {
                rows.rule(entry, policies, &mut known, &mut segment, context)?;
                next = entries.next_if(|entry| (entry.effect, entry.provider) == (effect, provider));
            }
            rows.segment(effect, provider, segment)?;
        }
        Ok(rows)
    }

    /// What a row asks.
    pub fn demands_of(&self, row: &Row) -> &[Demand<'b>] {
        &self.demands[row.demands.clone()]
    }

    /// Adds a rule and its rows.
    fn rule(
        &mut self,
        entry: Entry<'b>,
        policies: &[Policy<'_>],
        known: &mut Known<'b>,
        segment: &mut Unsorted<'b>,
        context: &Context,
    ) -> Result<(), Uncompiled> {
        let boxes = match &*entry.rule.boxes {
            RuleBoxes::Boxes(boxes) => boxes,
            RuleBoxes::Dropped(_) => return Ok(()),
            RuleBoxes::Unknown(limit) => {
                let policy = policies.get(entry.rule.id.policy).map(Policy::id).unwrap_or_default();
                return Err(Uncompiled::Rule { policy, rule: entry.rule.id.rule, limit: *limit });
            }
        };
        let of = entry.rule.id.policy;
        let policy = *known.policies.entry((of, entry.around.is_some())).or_insert_with(|| {
            self.policies.push((of, entry.around.unwrap_or_default()));
            self.policies.len() - 1
        });
        self.rules.push(Rule { policy, rule: entry.rule.id.rule });
        let rule = self.rules.len() - 1;
        for each in boxes {
            let start = self.demands.len();
            add_demands(&mut self.demands, each, context);
            for demand in &mut self.demands[start..] {
                let dimension = (demand.variable, demand.number);
                demand.dimension = *known.dimensions.entry(dimension).or_insert_with(|| {
                    self.dimensions.push(dimension);
                    self.dimensions.len() - 1
                });
                // One place in memory is read from now on, not that of each rule.
                demand.variable = self.dimensions[demand.dimension].0;
            }
            segment.places.push(place_of(&self.demands[start..]));
            segment.rows.push(Some(Row { rule, demands: start..self.demands.len() }));
        }
        if segment.rows.len() + self.rows.len() > MOST_ROWS {
            return Err(Uncompiled::TooLarge);
        }
        Ok(())
    }

    /// Adds the rows of a segment. Rows of sources that are near each other stand together, so that a peer leaves few
    /// words; within a word they stand in the order of the rules, so that the first that matches is the one to report.
    fn segment(
        &mut self,
        effect: engine::Effect,
        provider: &str,
        unsorted: Unsorted<'b>,
    ) -> Result<(), Uncompiled> {
        let Unsorted { places, mut rows } = unsorted;
        if rows.is_empty() {
            return Ok(());
        }
        let first_word = self.rows.len() / 64;
        self.segments.push(Segment { effect, provider: provider.to_owned(), first_word });
        // They come rule by rule, and of one place stay so.
        let places: Vec<&[u8]> = places.iter().map(Cow::as_ref).collect();
        let mut order = order_of(&places);
        let rule_of = |at: &u32| rows[*at as usize].as_ref().map(|row| row.rule);
        order.chunks_mut(64).for_each(|word| word.sort_by_key(rule_of));
        self.rows.extend(order.into_iter().map(|at| rows[at as usize].take()));
        let whole = self.rows.len().next_multiple_of(64);
        self.rows.resize_with(whole, || None);
        Ok(())
    }
}

/// The name under which a rule is reported.
pub(super) fn name(rule: &LoweredRule, on_trial: bool, policies: &[Policy<'_>], context: &Context) -> String {
    entry(rule, on_trial, policies, context).name
}

fn entry<'l>(rule: &'l LoweredRule, on_trial: bool, policies: &[Policy<'_>], context: &Context) -> Entry<'l> {
    let (effect, provider) = match &rule.effect {
        Effect::Refuse => (engine::Effect::Refuse, ""),
        Effect::Delegate(provider) => (engine::Effect::Ask, provider.as_str()),
        Effect::Audit => (engine::Effect::Audit, ""),
        Effect::Deny if on_trial => (engine::Effect::DryDeny, ""),
        Effect::Allow if on_trial => (engine::Effect::DryAllow, ""),
        Effect::Deny => (engine::Effect::Deny, ""),
        Effect::Allow => (engine::Effect::Allow, ""),
    };
    let policy = policies.get(rule.id.policy);
    let mut around = None;
    if let (engine::Effect::Refuse, Some(policy)) = (effect, policy)
        && policy.action() == Action::Custom
    {
        // Istio 1.32, `builder.go`: how istiod names rules that no provider is asked about.
        let named =
            policy.spec.provider.as_ref().map(|name| name.value.as_str()).filter(|name| !name.is_empty());
        let before =
            named.map(|name| format!("istio-ext-authz-{name}-")).unwrap_or("istio-ext-authz-".to_owned());
        around = match custom_outcome(policies, policy, context) {
            CustomOutcome::Unusable => Some([before, "-deny-due-to-bad-CUSTOM-action".to_owned()]),
            CustomOutcome::OnTrial => Some([before, String::new()]),
            CustomOutcome::Asked { .. } => None,
        };
    }
    let own = policy.map(|policy| match context.engine {
        Engine::EnvoyHttp | Engine::EnvoyTcp => policy.rule_id(rule.id.rule),
        Engine::Ztunnel => policy.id(),
        Engine::Grpc => format!("{}-{}-{}", policy.namespace, policy.name, rule.id.rule),
    });
    let own = own.unwrap_or_default();
    let name = match &around {
        Some([before, behind]) => format!("{before}{own}{behind}"),
        None => own,
    };
    Entry { effect, provider, name, around, rule }
}

/// Adds what the box asks, attribute by attribute.
fn add_demands<'b>(to: &mut Vec<Demand<'b>>, of: &'b RequestBox, context: &Context) {
    let start = to.len();
    for clause in of.clauses.iter().filter(|clause| !clause.any_of.is_empty() || !clause.none_of.is_empty()) {
        let variable = match &clause.variable {
            // A gRPC server only knows who is at the other end.
            Variable::RemoteIp if context.engine == Engine::Grpc => &Variable::SourceIp,
            variable => variable,
        };
        let mut any_of = clause.any_of.as_slice();
        let same = to[start..].iter_mut().filter(|demand| demand.variable == variable);
        let mut number = 0;
        for demand in same {
            if number == 0 {
                demand.none_of.extend(&clause.none_of);
            }
            if demand.any_of.is_empty() || demand.any_of == any_of {
                demand.any_of = if any_of.is_empty() { demand.any_of } else { any_of };
                any_of = &[];
            }
            number += 1;
        }
        if number == 0 || !any_of.is_empty() {
            let mut none_of = Vec::new();
            if number == 0 {
                none_of.extend(&clause.none_of);
            }
            to.push(Demand { variable, number, dimension: 0, any_of, none_of });
        }
    }
}

/// Where a row stands among those of its segment: by namespace and account of the first source that it names.
fn place_of<'b>(demands: &[Demand<'b>]) -> Cow<'b, [u8]> {
    let nowhere = Cow::Borrowed(&b""[..]);
    let first = demands.iter().find(|demand| *demand.variable == Variable::Peer && demand.number == 0);
    let Some(test) = first.and_then(|demand| demand.any_of.first()) else { return nowhere };
    match test {
        Test::Principal(pattern) => {
            let text = pattern.literal().as_bytes();
            let namespace = text.windows(4).position(|four| four == b"/ns/").map_or(0, |at| at + 4);
            Cow::Borrowed(&text[namespace..])
        }
        Test::Namespace(pattern) => Cow::Owned([pattern.text.as_bytes(), b"/"].concat()),
        Test::NamespaceName(pattern) => Cow::Owned([pattern.literal().as_bytes(), b"/"].concat()),
        Test::ServiceAccount { namespace, name } => Cow::Owned(format!("{namespace}/sa/{name}").into_bytes()),
        Test::TrustDomain(domain) => Cow::Borrowed(domain.as_bytes()),
        _ => nowhere,
    }
}
