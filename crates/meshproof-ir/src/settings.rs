//! MeshConfig and installation values in force.

use crate::{Fact, Origin};

/// Where the control plane stands unless told otherwise (Istio 1.32, pkg/config/mesh/mesh.go).
pub(crate) const DEFAULT_ROOT_NAMESPACE: &str = "istio-system";
const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";

/// MeshConfig in force, each value with its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `trustDomain`.
    pub trust_domain: Fact<String>,
    /// `trustDomainAliases`.
    pub trust_domain_aliases: Vec<String>,
    /// `rootNamespace`.
    pub root_namespace: Fact<String>,
    /// `enableAutoMtls`.
    pub auto_mtls: Fact<bool>,
    /// `outboundTrafficPolicy.mode` is ALLOW_ANY.
    pub allow_any_outbound: Fact<bool>,
    /// `sidecarInjectorWebhook.enableNamespacesByDefault`.
    pub inject_by_default: Fact<bool>,
    /// Revisions and revision tags that exist besides `default`.
    pub revisions: Vec<String>,
    /// `global.proxy.includeInboundPorts`; `*` means all.
    pub include_inbound_ports: Fact<String>,
    /// `global.proxy.excludeInboundPorts`.
    pub exclude_inbound_ports: Fact<String>,
    /// `defaultConfig.proxyMetadata.ISTIO_META_ENABLE_HBONE`: sidecars listen on HBONE too.
    pub sidecar_hbone: Fact<bool>,
    /// `PILOT_SELECTOR_BASED_K8S_GATEWAY_POLICY`: selectors reach Gateway API gateways.
    pub selectors_reach_gateways: Fact<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        fn by_default<T>(value: T) -> Fact<T> {
            Fact::Known(value, Origin::Default)
        }
        Settings {
            trust_domain: by_default(DEFAULT_TRUST_DOMAIN.to_owned()),
            trust_domain_aliases: Vec::new(),
            root_namespace: by_default(DEFAULT_ROOT_NAMESPACE.to_owned()),
            auto_mtls: by_default(true),
            allow_any_outbound: by_default(true),
            inject_by_default: by_default(false),
            revisions: Vec::new(),
            include_inbound_ports: by_default("*".to_owned()),
            exclude_inbound_ports: by_default(String::new()),
            sidecar_hbone: by_default(false),
            selectors_reach_gateways: by_default(true),
        }
    }
}

impl Settings {
    /// The root namespace, or Istio's default where the input leaves it open.
    pub fn root(&self) -> &str {
        self.root_namespace.known().map_or(DEFAULT_ROOT_NAMESPACE, String::as_str)
    }
}

/// What the user says of the mesh in the configuration file or on the command line; it beats what manifests say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SettingsOverride {
    pub trust_domain: Option<String>,
    pub trust_domain_aliases: Option<Vec<String>>,
    pub root_namespace: Option<String>,
    pub auto_mtls: Option<bool>,
    pub allow_any_outbound: Option<bool>,
    pub inject_by_default: Option<bool>,
    pub revisions: Option<Vec<String>>,
    pub include_inbound_ports: Option<String>,
    pub exclude_inbound_ports: Option<String>,
    pub sidecar_hbone: Option<bool>,
    pub selectors_reach_gateways: Option<bool>,
}

impl SettingsOverride {
    /// Replaces what the user has set.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        // The user's own word has no place in the manifests, so it counts like a default.
        fn set<T: Clone>(fact: &mut Fact<T>, value: &Option<T>) {
            if let Some(value) = value {
                *fact = Fact::Known(value.clone(), Origin::Default);
            }
        }
        set(&mut settings.trust_domain, &self.trust_domain);
        set(&mut settings.root_namespace, &self.root_namespace);
        set(&mut settings.auto_mtls, &self.auto_mtls);
        set(&mut settings.allow_any_outbound, &self.allow_any_outbound);
        set(&mut settings.inject_by_default, &self.inject_by_default);
        set(&mut settings.include_inbound_ports, &self.include_inbound_ports);
        set(&mut settings.exclude_inbound_ports, &self.exclude_inbound_ports);
        set(&mut settings.sidecar_hbone, &self.sidecar_hbone);
        set(&mut settings.selectors_reach_gateways, &self.selectors_reach_gateways);
        if let Some(aliases) = &self.trust_domain_aliases {
            settings.trust_domain_aliases.clone_from(aliases);
        }
        if let Some(revisions) = &self.revisions {
            settings.revisions.clone_from(revisions);
        }
    }
}
