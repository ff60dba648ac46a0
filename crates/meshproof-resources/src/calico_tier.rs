//! What Calico's policies refer to: Tier, NetworkSet and GlobalNetworkSet (projectcalico.org/v3,
//! crd.projectcalico.org/v1).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::NodeRef;

use crate::calico::float;
use crate::read::{entries, key_name, spec_span, text, texts};
use crate::{Field, Text};

/// The spec of a Tier: a group of policies that is asked as a whole before or after others.
#[derive(Clone, Debug, PartialEq)]
pub struct CalicoTier {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `order`; absent sorts last.
    pub order: Option<Spanned<f64>>,
    /// `defaultAction`: `Deny` (also when absent) or `Pass`, for pods that its policies select and no rule decides.
    pub default_action: Option<Text>,
}

/// The spec of a NetworkSet or GlobalNetworkSet: addresses that selectors of policies find by its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct CalicoNetworkSet {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// A GlobalNetworkSet.
    pub global: bool,
    /// `nets`.
    pub nets: Field<Text>,
}

impl CalicoTier {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut tier = CalicoTier { span: spec_span(spec, object), order: None, default_action: None };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "order" => tier.order = float(value),
                "defaultAction" => tier.default_action = text(value),
                _ => {}
            }
        }
        tier
    }
}

impl CalicoNetworkSet {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(global: bool, spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let nets = spec.and_then(|spec| spec.entry("nets")).map(|(key, value)| texts(key, value));
        CalicoNetworkSet { span: spec_span(spec, object), global, nets: nets.unwrap_or_default() }
    }
}
