//! What makes an edge: the objects that decide, each with its place.

use meshproof_explain::PointKind;
use meshproof_ir::{Fact, Mesh, ResourceId};
use meshproof_resources::Action;

use crate::chain::RuleRef;
use crate::effect::Effect;
use crate::graph::{Edge, Graph};
use crate::party::Because;

impl Graph<'_> {
    /// What decides, in the order in which a connection meets it.
    pub(crate) fn because(&self, edge: &Edge) -> Vec<Because> {
        let mut because = self.of_transport(edge);
        for deciding in &edge.network {
            because.push(Because {
                text: match edge.may.is_empty() {
                    true => "lets the packets pass".to_owned(),
                    false => "has a say whether the packets pass".to_owned(),
                },
                object: Some(object(self.mesh, deciding.object)),
                span: Some(deciding.span),
            });
        }
        let allows = |rule: &RuleRef| {
            let action = self.mesh.policy(rule.policy).and_then(|policy| policy.action.as_ref());
            action.is_none_or(|action| action.value == Some(Action::Allow))
        };
        for rule in &edge.rules {
            because.push(self.of_rule(
                *rule,
                if allows(rule) { "lets it in" } else { "refuses whoever has no such token" },
            ));
        }
        if !edge.rules.iter().any(allows) {
            let text = match edge.effect.engine(self.place(edge.place).kind) {
                None => "no proxy looks at it, so no policy counts",
                Some(_) => "no ALLOW policy applies, so whatever is not refused gets in",
            };
            because.push(Because { text: text.to_owned(), object: None, span: None });
        }
        because
    }

    fn of_rule(&self, rule: RuleRef, text: &str) -> Because {
        let span = self.mesh.policy(rule.policy).and_then(|policy| policy.rules.get(rule.rule));
        let span = span.map_or(self.mesh.resource(rule.policy).meta.span, |rule| rule.span);
        Because {
            text: format!("rule {} {text}", rule.rule + 1),
            object: Some(object(self.mesh, rule.policy)),
            span: Some(span),
        }
    }

    /// What the row of the transport table says for those who arrive in this way.
    fn of_transport(&self, edge: &Edge) -> Vec<Because> {
        let place = self.place(edge.place);
        let Some(row) = place.row.and_then(|at| self.table.rows.get(at)) else { return Vec::new() };
        let clients = self.clients(self.who(edge.who).clients);
        let of_edge = |group: &&meshproof_transport::Group| {
            let effect = Effect::of(&group.reception);
            let effect = effect.map(|effect| match place.kind {
                PointKind::NoProxy => Effect { is_http: None, ..effect },
                _ => effect,
            });
            effect == Some(edge.effect)
                && (clients.outsider && self.table.roster.has_outsider(&group.clients)
                    || self.table.roster.part_numbers(&group.clients).any(|(_, at)| clients.has_part(at))
                    || !clients.waypoints.is_empty())
        };
        let Some(group) = row.groups.iter().find(of_edge) else { return Vec::new() };
        let reception = &group.reception;
        let mut because: Vec<Because> = Vec::new();
        if let Fact::Unknown(reason) = &reception.result {
            because.push(Because { text: reason.clone(), object: None, span: None });
        }
        for one in reception.client.iter().chain(&reception.server) {
            because.push(Because {
                text: one.text.clone(),
                object: one.object.map(|id| object(self.mesh, id)),
                span: one.span,
            });
        }
        because.dedup();
        because
    }
}

/// `Kind namespace/name`.
pub(crate) fn object(mesh: &Mesh, id: ResourceId) -> String {
    let meta = &mesh.resource(id).meta;
    match mesh.placement[id.index()].1 {
        Some(namespace) => {
            format!("{} {}/{}", meta.kind.value, mesh.namespace_display(namespace), meta.name())
        }
        None => format!("{} {}", meta.kind.value, meta.name()),
    }
}
