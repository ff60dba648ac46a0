//! Random policies over few patterns, as text and as formulas.

use std::collections::BTreeSet;

use biodivine_lib_bdd::{Bdd, BddVariable, BddVariableSet};
use fastrand::Rng;

use super::attribute::{Attribute, Place, realisable};
use crate::common::policy;

/// A pattern of an attribute, by its place among those of the world.
type Asked = usize;

/// One of these, and none of those.
#[derive(Clone)]
pub struct Field {
    attribute: &'static Attribute,
    any_of: Vec<Asked>,
    none_of: Vec<Asked>,
}

/// Alternatives of `from`, alternatives of `to`, and conditions.
#[derive(Clone)]
pub struct Rule {
    from: Vec<Vec<Field>>,
    to: Vec<Vec<Field>>,
    when: Vec<Field>,
}

#[derive(Clone)]
pub struct Written {
    denies: bool,
    pub rules: Vec<Rule>,
}

pub struct World {
    attributes: Vec<&'static Attribute>,
    /// The patterns, those of one attribute side by side.
    patterns: Vec<(&'static Attribute, &'static str)>,
    pub policies: Vec<Written>,
}

/// Patterns of each attribute: with three attributes there are twelve variables.
const EACH: usize = 4;

impl World {
    pub fn new(attributes: &[&'static Attribute], rng: &mut Rng) -> World {
        let mut patterns = Vec::new();
        for attribute in attributes {
            let chosen = rng.choose_multiple(attribute.patterns, EACH);
            patterns.extend(chosen.into_iter().map(|pattern| (*attribute, *pattern)));
        }
        let mut world = World { attributes: attributes.to_vec(), patterns, policies: Vec::new() };
        world.policies = (0..1 + rng.usize(0..3)).map(|_| world.policy(rng)).collect();
        world
    }

    /// Over the same patterns, with one policy more, less or different.
    pub fn changed(&self, rng: &mut Rng) -> World {
        let mut policies = self.policies.clone();
        let at = rng.usize(0..policies.len());
        match rng.usize(0..3) {
            0 => {
                policies.remove(at);
            }
            1 => policies.push(self.policy(rng)),
            _ => policies[at] = self.policy(rng),
        }
        World { attributes: self.attributes.clone(), patterns: self.patterns.clone(), policies }
    }

    fn policy(&self, rng: &mut Rng) -> Written {
        let rules = (0..1 + rng.usize(0..3)).map(|_| self.rule(rng)).collect();
        Written { denies: rng.usize(0..3) == 0, rules }
    }

    fn rule(&self, rng: &mut Rng) -> Rule {
        let in_place = |wanted: fn(&Place) -> bool| -> Vec<&'static Attribute> {
            self.attributes.iter().copied().filter(|attribute| wanted(&attribute.place)).collect()
        };
        let items = |attributes: Vec<&'static Attribute>, rng: &mut Rng| -> Vec<Vec<Field>> {
            if attributes.is_empty() || rng.usize(0..5) == 0 {
                return Vec::new();
            }
            (0..1 + rng.usize(0..2)).map(|_| self.item(&attributes, rng)).collect()
        };
        let from = items(in_place(|place| matches!(place, Place::Source(_))), rng);
        let to = items(in_place(|place| matches!(place, Place::Operation(_))), rng);
        let conditions = in_place(|place| matches!(place, Place::Condition(_)));
        // Several conditions may ask about one attribute.
        let asked = conditions.iter().flat_map(|attribute| vec![*attribute; rng.usize(0..3)]);
        let asked: Vec<&'static Attribute> = asked.collect();
        let when = asked.into_iter().map(|attribute| self.field(attribute, rng)).collect();
        Rule { from, to, when }
    }

    fn item(&self, attributes: &[&'static Attribute], rng: &mut Rng) -> Vec<Field> {
        let certain = rng.usize(0..attributes.len());
        let mut fields = Vec::new();
        for (at, attribute) in attributes.iter().enumerate() {
            if at == certain || rng.bool() {
                fields.push(self.field(attribute, rng));
            }
        }
        fields
    }

    fn field(&self, attribute: &'static Attribute, rng: &mut Rng) -> Field {
        let is_own = |at: &Asked| self.patterns[*at].0.place == attribute.place;
        let own: Vec<Asked> = (0..self.patterns.len()).filter(is_own).collect();
        let mut some = |least: usize| -> Vec<Asked> {
            let count = least + rng.usize(0..2);
            rng.choose_multiple(&own, count).into_iter().copied().collect()
        };
        let (any_of, none_of) = match some(0).len() {
            0 => (some(1), Vec::new()),
            _ => (some(0), some(1)),
        };
        Field { attribute, any_of, none_of }
    }

    pub fn text(&self) -> String {
        let documents = self.policies.iter().enumerate().map(|(at, written)| {
            let rules: Vec<String> = written.rules.iter().map(|rule| self.rule_text(rule)).collect();
            let action = if written.denies { "DENY" } else { "ALLOW" };
            policy("foo", &format!("p{at}"), &format!("{{action: {action}, rules: [{}]}}", rules.join(", ")))
        });
        let text = documents.collect::<Vec<_>>().join("---\n");
        if text.is_empty() { policy("foo", "nothing", "{action: DENY, rules: []}") } else { text }
    }

    fn rule_text(&self, rule: &Rule) -> String {
        let items = |items: &[Vec<Field>], inside: &str| {
            let each = items.iter().map(|item| {
                let fields = item.iter().flat_map(|field| self.field_texts(field)).collect::<Vec<_>>();
                format!("{{{inside}: {{{}}}}}", fields.join(", "))
            });
            each.collect::<Vec<_>>().join(", ")
        };
        let mut parts = Vec::new();
        if !rule.from.is_empty() {
            parts.push(format!("from: [{}]", items(&rule.from, "source")));
        }
        if !rule.to.is_empty() {
            parts.push(format!("to: [{}]", items(&rule.to, "operation")));
        }
        if !rule.when.is_empty() {
            let each = rule.when.iter().map(|field| format!("{{{}}}", self.field_texts(field).join(", ")));
            parts.push(format!("when: [{}]", each.collect::<Vec<_>>().join(", ")));
        }
        format!("{{{}}}", parts.join(", "))
    }

    fn field_texts(&self, field: &Field) -> Vec<String> {
        let list = |asked: &[Asked]| {
            let values = asked.iter().map(|at| format!("'{}'", self.patterns[*at].1));
            values.collect::<Vec<_>>().join(", ")
        };
        let (mut texts, names) = match field.attribute.place {
            Place::Source(name) | Place::Operation(name) => {
                let (first, rest) = name.split_at(1);
                (Vec::new(), [name.to_owned(), format!("not{}{rest}", first.to_uppercase())])
            }
            Place::Condition(key) => {
                (vec![format!("key: '{key}'")], ["values".to_owned(), "notValues".to_owned()])
            }
        };
        for (name, asked) in names.iter().zip([&field.any_of, &field.none_of]) {
            if !asked.is_empty() {
                texts.push(format!("{name}: [{}]", list(asked)));
            }
        }
        texts
    }
}

/// The formulas of a world: a variable for each pattern, and what goes together.
pub struct Formulas {
    set: BddVariableSet,
    variables: Vec<BddVariable>,
    theory: Bdd,
}

impl Formulas {
    pub fn new(world: &World) -> Formulas {
        let set = BddVariableSet::new_anonymous(u16::try_from(world.patterns.len()).unwrap());
        let variables = set.variables();
        let mut formulas = Formulas { theory: set.mk_true(), set, variables };
        let mut left: BTreeSet<Asked> = (0..world.patterns.len()).collect();
        while let Some(first) = left.first() {
            // Attributes that look at the same value are told together.
            let value = world.patterns[*first].0.value;
            let same = |at: &&Asked| world.patterns[**at].0.value == value;
            let asked: Vec<Asked> = left.iter().filter(same).copied().collect();
            left.retain(|at| !asked.contains(at));
            let patterns: Vec<_> = asked.iter().map(|at| world.patterns[*at]).collect();
            let mut either = formulas.nothing();
            for bits in realisable(&patterns) {
                let mut all = formulas.set.mk_true();
                for (bit, at) in asked.iter().enumerate() {
                    let literal = formulas.set.mk_literal(formulas.variables[*at], bits & (1 << bit) != 0);
                    all = all.and(&literal);
                }
                either = either.or(&all);
            }
            formulas.theory = formulas.theory.and(&either);
        }
        formulas
    }

    pub fn nothing(&self) -> Bdd {
        self.set.mk_false()
    }

    /// Whether some request meets it.
    pub fn exists(&self, of: &Bdd) -> bool {
        !of.and(&self.theory).is_false()
    }

    pub fn rule(&self, rule: &Rule) -> Bdd {
        let items = |items: &[Vec<Field>]| {
            if items.is_empty() {
                return self.set.mk_true();
            }
            items.iter().fold(self.set.mk_false(), |any, item| any.or(&self.all(item)))
        };
        items(&rule.from).and(&items(&rule.to)).and(&self.all(&rule.when))
    }

    fn all(&self, fields: &[Field]) -> Bdd {
        fields.iter().fold(self.set.mk_true(), |all, field| {
            let any_of = |asked: &[Asked]| {
                asked
                    .iter()
                    .fold(self.set.mk_false(), |any, at| any.or(&self.set.mk_var(self.variables[*at])))
            };
            let wanted = if field.any_of.is_empty() { self.set.mk_true() } else { any_of(&field.any_of) };
            all.and(&wanted).and_not(&any_of(&field.none_of))
        })
    }

    /// What passes: nothing denies it, and where ALLOW policies are, one allows it.
    pub fn allowed(&self, world: &World) -> Bdd {
        let of = |denies: bool| {
            let rules = world.policies.iter().filter(|written| written.denies == denies);
            let rules = rules.flat_map(|written| &written.rules);
            rules.fold(self.set.mk_false(), |any, rule| any.or(&self.rule(rule)))
        };
        let needs_allow = world.policies.iter().any(|written| !written.denies);
        let passing = if needs_allow { of(false) } else { self.set.mk_true() };
        passing.and_not(&of(true))
    }
}
