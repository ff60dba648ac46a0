//! Selectors over labels beyond Istio's own `matchLabels`.

use meshproof_source::Span;
use meshproof_yaml::NodeRef;

use crate::read::{key_name, mapping, objects, text, text_map, texts};
use crate::{Field, Text, TextMap};

/// Kubernetes' LabelSelector (apimachinery meta/v1): all pairs and all expressions must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelSelector {
    /// The value.
    pub span: Span,
    /// `matchLabels`.
    pub match_labels: TextMap,
    /// `matchExpressions`.
    pub match_expressions: Field<LabelExpression>,
}

/// One item of `matchExpressions`.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelExpression {
    /// The item.
    pub span: Span,
    /// `key`.
    pub key: Option<Text>,
    /// `operator`: `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: Option<Text>,
    /// `values`.
    pub values: Field<Text>,
}

impl LabelSelector {
    /// Whether the labels satisfy it; `None` when an expression is not a valid one.
    pub fn matches(&self, labels: &TextMap) -> Option<bool> {
        if !self.match_labels.is_subset_of(labels) {
            return Some(false);
        }
        let mut result = Some(true);
        for expression in self.match_expressions.iter() {
            match expression.matches(labels) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => result = None,
            }
        }
        result
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    pub(crate) fn decode(node: NodeRef<'_>) -> Option<Self> {
        let node = mapping(node)?;
        let mut selector = LabelSelector {
            span: node.span(),
            match_labels: TextMap::default(),
            match_expressions: Field::default(),
        };
        for (key, value) in node.entries() {
            match key_name(key) {
                "matchLabels" => selector.match_labels = text_map(key, value),
                "matchExpressions" => selector.match_expressions = objects(key, value, expression),
                _ => {}
            }
        }
        Some(selector)
    }
}

impl LabelExpression {
    fn matches(&self, labels: &TextMap) -> Option<bool> {
        let label = labels.get(&self.key.as_ref()?.value);
        let listed = || label.is_some_and(|label| self.values.iter().any(|value| value.value == label.value));
        match self.operator.as_ref()?.value.as_str() {
            "In" => Some(listed()),
            // An absent label is in no list.
            "NotIn" => Some(!listed()),
            "Exists" => Some(label.is_some()),
            "DoesNotExist" => Some(label.is_none()),
            _ => None,
        }
    }
}

fn expression(item: NodeRef<'_>) -> LabelExpression {
    let mut expression =
        LabelExpression { span: item.span(), key: None, operator: None, values: Field::default() };
    for (key, value) in item.entries() {
        match key_name(key) {
            "key" => expression.key = text(value),
            "operator" => expression.operator = text(value),
            "values" => expression.values = texts(key, value),
            _ => {}
        }
    }
    expression
}

/// `workloadSelector: {labels: …}` of Sidecar, ServiceEntry and EnvoyFilter.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadSelector {
    /// The value.
    pub span: Span,
    /// `labels`; empty selects every workload of the namespace.
    pub labels: TextMap,
}

impl WorkloadSelector {
    pub(crate) fn decode(node: NodeRef<'_>) -> Option<Self> {
        let node = mapping(node)?;
        let labels = node.entry("labels").map(|(key, value)| text_map(key, value)).unwrap_or_default();
        Some(WorkloadSelector { span: node.span(), labels })
    }
}
