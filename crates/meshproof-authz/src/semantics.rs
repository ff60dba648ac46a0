//! What depends on the version of a proxy or on settings of the mesh.

/// How a header that is sent in several lines is tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeaderMatching {
    /// Line by line; one that matches is enough. Envoy 1.37.1 and newer, runtime guard
    /// `envoy.reloadable_features.rbac_match_headers_individually`.
    #[default]
    Individual,
    /// All lines joined by commas, then once. Older proxies.
    Joined,
}

/// `meshConfig.pathNormalization.normalization` (Istio 1.32, `listener_builder.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathNormalization {
    /// `NONE`: the path is taken as sent.
    None,
    /// `BASE`, which `DEFAULT` means: dot segments, backslashes, needless escapes.
    #[default]
    Base,
    /// `MERGE_SLASHES`: also `//`.
    MergeSlashes,
    /// `DECODE_AND_MERGE_SLASHES`: also `%2F` and `%5C`.
    DecodeAndMergeSlashes,
}

/// Where an HTTP chain takes the original client address from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientAddress {
    /// Sidecars and waypoints: an entry of `x-forwarded-for`, trusted from everybody; 0 means the last one.
    Forwarded(u32),
    /// Gateways, with `numTrustedProxies`: 0 means the connection, more the entry that so many proxies added.
    TrustedProxies(u32),
}

/// The switches, with Istio's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semantics {
    /// Repeated headers.
    pub headers: HeaderMatching,
    /// Paths.
    pub normalization: PathNormalization,
    /// `remoteIpBlocks` in HTTP.
    pub client_address: ClientAddress,
    /// `PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS`: without it, two providers at one workload are none.
    pub multiple_custom_providers: bool,
    /// `AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY`: ztunnel gets dry-run policies and reports on them.
    pub ztunnel_dry_run: bool,
    /// Claims that are split at spaces: `scope` and `permission`, and `spaceDelimitedClaims` of the JWT rule.
    pub space_delimited_claims: Vec<String>,
}

impl Default for Semantics {
    fn default() -> Self {
        Semantics {
            headers: HeaderMatching::default(),
            normalization: PathNormalization::default(),
            client_address: ClientAddress::Forwarded(0),
            multiple_custom_providers: false,
            ztunnel_dry_run: false,
            space_delimited_claims: vec!["scope".to_owned(), "permission".to_owned()],
        }
    }
}
