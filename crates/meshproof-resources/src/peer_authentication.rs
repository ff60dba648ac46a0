//! PeerAuthentication (security.istio.io v1, v1beta1).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::{NodeRef, Shape};

use crate::Selector;
use crate::read::{entries, key_name, port_key, selector, spec_span, word};

/// `mtls.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MtlsMode {
    /// Inherit.
    Unset,
    /// Plaintext only.
    Disable,
    /// Both.
    Permissive,
    /// Mutual TLS only.
    Strict,
}

impl MtlsMode {
    /// As written in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            MtlsMode::Unset => "UNSET",
            MtlsMode::Disable => "DISABLE",
            MtlsMode::Permissive => "PERMISSIVE",
            MtlsMode::Strict => "STRICT",
        }
    }
}

/// The spec of a PeerAuthentication.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerAuthentication {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// `selector`.
    pub selector: Option<Selector>,
    /// `mtls.mode`; absent means inherit.
    pub mode: Option<Spanned<MtlsMode>>,
    /// `portLevelMtls`: workload port (its key's place) and mode; absent mode is UNSET with the entry's place.
    pub port_level: Vec<(Spanned<u16>, Spanned<MtlsMode>)>,
}

impl PeerAuthentication {
    /// Whether it names workloads: absent and empty selectors do not (Istio 1.32, authentication.go).
    pub fn selects_workloads(&self) -> bool {
        self.selector.as_ref().is_some_and(|selector| !selector.match_labels.is_empty())
    }
}

const MODES: [(&str, MtlsMode); 4] = [
    ("UNSET", MtlsMode::Unset),
    ("DISABLE", MtlsMode::Disable),
    ("PERMISSIVE", MtlsMode::Permissive),
    ("STRICT", MtlsMode::Strict),
];

impl PeerAuthentication {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut policy = PeerAuthentication {
            span: spec_span(spec, object),
            selector: None,
            mode: None,
            port_level: Vec::new(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "selector" => policy.selector = selector(value),
                "mtls" => policy.mode = mode(value),
                "portLevelMtls" => policy.port_level = port_level(value),
                _ => {}
            }
        }
        policy
    }
}

fn mode(mtls: NodeRef<'_>) -> Option<Spanned<MtlsMode>> {
    mtls.get("mode").and_then(|mode| word(mode, &MODES))
}

fn port_level(node: NodeRef<'_>) -> Vec<(Spanned<u16>, Spanned<MtlsMode>)> {
    let mut ports: Vec<(Spanned<u16>, Spanned<MtlsMode>)> = Vec::new();
    for (key, value) in node.entries() {
        let Some(port) = port_key(key) else { continue };
        if value.shape() == Shape::Mapping || value.is_null() {
            ports.push((port, mode(value).unwrap_or(Spanned::new(MtlsMode::Unset, value.span()))));
        }
    }
    // The last of equal ports wins; `8080` and `"8080"` are equal after Kubernetes' conversion to JSON.
    ports.reverse();
    let mut seen = std::collections::HashSet::new();
    ports.retain(|(port, _)| seen.insert(port.value));
    ports.reverse();
    ports
}
