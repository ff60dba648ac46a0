//! PeerAuthentication (security.istio.io v1, v1beta1).

use meshproof_source::{Span, Spanned};

use crate::Selector;

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
