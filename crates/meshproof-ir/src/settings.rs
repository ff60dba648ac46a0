//! MeshConfig and installation values in force.

use meshproof_resources::{ExtensionProvider, LabelSelector, PathNormalization};
use meshproof_source::Span;

use crate::{Fact, Origin};

/// Where the control plane stands unless told otherwise (Istio 1.32, pkg/config/mesh/mesh.go).
const DEFAULT_ROOT_NAMESPACE: &str = "istio-system";
const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";

/// What pods have in front of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dataplane {
    /// A sidecar, unless they say that they want none.
    Sidecar,
    /// ztunnel.
    Ambient,
    /// Nothing.
    None,
}

/// What is assumed of the pods of namespaces that are not in the input, where nothing on the pods tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumption {
    /// What they have.
    pub dataplane: Dataplane,
    /// The user has said so; otherwise it is a guess, and facts say that ([`Origin::Assumed`]).
    pub is_certain: bool,
}

/// MeshConfig and installation values in force, each value with its origin. Where places in the input disagree, the
/// value is unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What the pods of namespaces have that are not in the input; no key of MeshConfig.
    pub assumed: Option<Assumption>,
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
    /// `ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY`: selectors reach Gateway API gateways.
    pub selectors_reach_gateways: Fact<bool>,
    /// `global.proxy.autoInject` is not `disabled`.
    pub auto_inject: Fact<bool>,
    /// `pathNormalization.normalization`.
    pub path_normalization: Fact<PathNormalization>,
    /// `defaultConfig.gatewayTopology.numTrustedProxies`: proxies in front of gateways that tell the client's address.
    pub trusted_proxies: Fact<u32>,
    /// Proxies older than Envoy 1.37.1 join the lines of a repeated header before rules look at it.
    pub joins_headers: Fact<bool>,
    /// `extensionProviders` as written; of equal names the first place counts.
    pub extension_providers: Vec<ExtensionProvider>,
    /// Names of all providers that are known, written or told by the user.
    pub provider_names: Vec<String>,
    /// `discoverySelectors`; empty means that every namespace is looked at.
    pub discovery_selectors: Vec<LabelSelector>,
    /// `caCertificates[].trustDomains`: further trust domains whose certificates are taken.
    pub ca_trust_domains: Vec<String>,
    /// `defaultServiceExportTo`; empty means everywhere.
    pub default_service_export_to: Vec<String>,
    /// `defaultVirtualServiceExportTo`.
    pub default_virtual_service_export_to: Vec<String>,
    /// `defaultDestinationRuleExportTo`.
    pub default_destination_rule_export_to: Vec<String>,
    /// `defaultConfig.proxyMetadata`.
    pub proxy_metadata: Vec<(String, String)>,
    /// `defaultConfig.interceptionMode` is NONE: no pod is captured unless it says otherwise.
    pub interception_none: Fact<bool>,
    /// Environment of istiod: flags with their values.
    pub features: Vec<(String, Fact<String>)>,
    /// `global.network`.
    pub network: Option<String>,
    /// Whether probes are rewritten (`sidecarInjectorWebhook.rewriteAppHTTPProbe`).
    pub rewrite_probes: Fact<bool>,
    /// `global.proxy.excludeOutboundPorts`.
    pub exclude_outbound_ports: Fact<String>,
    /// `global.proxy.includeOutboundPorts`.
    pub include_outbound_ports: Fact<String>,
    /// `global.proxy.excludeIPRanges`.
    pub exclude_ip_ranges: Fact<String>,
    /// `global.proxy.includeIPRanges`; `*` means all.
    pub include_ip_ranges: Fact<String>,
    /// Where something of this is written.
    pub written_at: Vec<Span>,
}

impl Default for Settings {
    fn default() -> Self {
        fn by_default<T>(value: T) -> Fact<T> {
            Fact::Known(value, Origin::Default)
        }
        Settings {
            assumed: None,
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
            auto_inject: by_default(true),
            path_normalization: by_default(PathNormalization::Default),
            trusted_proxies: by_default(0),
            joins_headers: by_default(false),
            extension_providers: Vec::new(),
            provider_names: Vec::new(),
            discovery_selectors: Vec::new(),
            ca_trust_domains: Vec::new(),
            default_service_export_to: Vec::new(),
            default_virtual_service_export_to: Vec::new(),
            default_destination_rule_export_to: Vec::new(),
            proxy_metadata: Vec::new(),
            interception_none: by_default(false),
            features: Vec::new(),
            network: None,
            rewrite_probes: by_default(true),
            exclude_outbound_ports: by_default(String::new()),
            include_outbound_ports: by_default(String::new()),
            exclude_ip_ranges: by_default(String::new()),
            include_ip_ranges: by_default("*".to_owned()),
            written_at: Vec::new(),
        }
    }
}

impl Settings {
    /// The root namespace, or Istio's default where the input leaves it open.
    pub fn root(&self) -> &str {
        self.root_namespace.known().map_or(DEFAULT_ROOT_NAMESPACE, String::as_str)
    }

    /// The value of a feature flag of istiod, where the input gives one.
    pub fn feature(&self, name: &str) -> Option<&Fact<String>> {
        self.features.iter().find(|(flag, _)| flag == name).map(|(_, value)| value)
    }

    /// The trust domain with its aliases, the domain itself first; empty when it is not known.
    pub fn trust_domains(&self) -> impl Iterator<Item = &str> {
        let own = self.trust_domain.known().into_iter();
        own.chain(&self.trust_domain_aliases).map(String::as_str)
    }
}

/// What the user says of the mesh in the configuration file or on the command line; it beats what manifests say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SettingsOverride {
    /// What the pods of namespaces have that are not in the input.
    pub assumed: Option<Assumption>,
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
    pub path_normalization: Option<PathNormalization>,
    pub trusted_proxies: Option<u32>,
    pub joins_headers: Option<bool>,
    /// Names of extension providers that exist beside the ones written in manifests.
    pub extension_providers: Vec<String>,
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
        settings.assumed = self.assumed;
        set(&mut settings.trust_domain, &self.trust_domain);
        set(&mut settings.root_namespace, &self.root_namespace);
        set(&mut settings.auto_mtls, &self.auto_mtls);
        set(&mut settings.allow_any_outbound, &self.allow_any_outbound);
        set(&mut settings.inject_by_default, &self.inject_by_default);
        set(&mut settings.include_inbound_ports, &self.include_inbound_ports);
        set(&mut settings.exclude_inbound_ports, &self.exclude_inbound_ports);
        set(&mut settings.sidecar_hbone, &self.sidecar_hbone);
        set(&mut settings.selectors_reach_gateways, &self.selectors_reach_gateways);
        set(&mut settings.path_normalization, &self.path_normalization);
        set(&mut settings.trusted_proxies, &self.trusted_proxies);
        set(&mut settings.joins_headers, &self.joins_headers);
        settings.provider_names.extend(self.extension_providers.iter().cloned());
        if let Some(aliases) = &self.trust_domain_aliases {
            settings.trust_domain_aliases.clone_from(aliases);
        }
        if let Some(revisions) = &self.revisions {
            settings.revisions.clone_from(revisions);
        }
    }
}
