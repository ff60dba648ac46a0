//! Mesh-wide settings, wherever they are written: the `istio` ConfigMap, IstioOperator, the Istio object of the Sail
//! operator, Helm values of istiod, and the injector's own ConfigMap (mesh/v1alpha1 `MeshConfig`; values of the
//! istiod chart).

use meshproof_source::{Span, Spanned};
use meshproof_yaml::{NodeRef, Shape};

use crate::read::{
    boolean, key_name, mapping, mapping_at, number, objects, text, text_at, text_map, texts, word,
};
use crate::sidecar::outbound_mode;
use crate::{ExtensionProvider, Field, LabelSelector, OutboundMode, Text, TextMap};

/// Settings written in one place; what is absent is not written there. How several places combine is for the mesh to
/// say.
#[derive(Clone, Debug, PartialEq)]
pub struct MeshConfig {
    /// The value it was read from.
    pub span: Span,
    /// Which kind of place that is.
    pub origin: MeshConfigOrigin,
    /// `trustDomain`.
    pub trust_domain: Option<Text>,
    /// `trustDomainAliases`.
    pub trust_domain_aliases: Field<Text>,
    /// `rootNamespace`.
    pub root_namespace: Option<Text>,
    /// `enableAutoMtls`.
    pub enable_auto_mtls: Option<Spanned<bool>>,
    /// `outboundTrafficPolicy.mode`.
    pub outbound: Option<Spanned<OutboundMode>>,
    /// `pathNormalization.normalization`.
    pub path_normalization: Option<Spanned<PathNormalization>>,
    /// `extensionProviders`.
    pub extension_providers: Field<ExtensionProvider>,
    /// `discoverySelectors`; a namespace must satisfy one of them.
    pub discovery_selectors: Field<LabelSelector>,
    /// `defaultServiceExportTo`.
    pub default_service_export_to: Field<Text>,
    /// `defaultVirtualServiceExportTo`.
    pub default_virtual_service_export_to: Field<Text>,
    /// `defaultDestinationRuleExportTo`.
    pub default_destination_rule_export_to: Field<Text>,
    /// `caCertificates[].trustDomains`, all of them.
    pub ca_trust_domains: Vec<Text>,
    /// `defaultConfig.proxyMetadata` (`ISTIO_META_ENABLE_HBONE` …).
    pub proxy_metadata: TextMap,
    /// `defaultConfig.interceptionMode`.
    pub interception_mode: Option<Text>,
    /// `defaultConfig.gatewayTopology.numTrustedProxies`.
    pub num_trusted_proxies: Option<Spanned<u32>>,
    /// Environment of istiod: feature flags such as `PILOT_ENABLE_AMBIENT`. Of equal names the last counts.
    pub features: Vec<(Text, Text)>,
    /// `tlsDefaults.minProtocolVersion`: for TLS that is not of the mesh.
    pub default_tls_version: Option<Text>,
    /// `meshMTLS.minProtocolVersion`: for mutual TLS between proxies.
    pub mesh_tls_version: Option<Text>,
    /// `enablePrometheusMerge`: sidecars serve the metrics of their applications along with their own.
    pub prometheus_merge: Option<Spanned<bool>>,
    /// `global.network`.
    pub network: Option<Text>,
    /// `global.multiCluster.clusterName`.
    pub cluster_name: Option<Text>,
    /// `global.meshID`.
    pub mesh_id: Option<Text>,
    /// `global.istioNamespace`: where istiod runs.
    pub istio_namespace: Option<Text>,
    /// `global.proxy.autoInject`.
    pub auto_inject: Option<Text>,
    /// `global.proxy.includeInboundPorts`.
    pub include_inbound_ports: Option<Text>,
    /// `global.proxy.excludeInboundPorts`.
    pub exclude_inbound_ports: Option<Text>,
    /// `global.proxy.includeOutboundPorts`.
    pub include_outbound_ports: Option<Text>,
    /// `global.proxy.excludeOutboundPorts`.
    pub exclude_outbound_ports: Option<Text>,
    /// `global.proxy.includeIPRanges`.
    pub include_ip_ranges: Option<Text>,
    /// `global.proxy.excludeIPRanges`.
    pub exclude_ip_ranges: Option<Text>,
    /// `sidecarInjectorWebhook.enableNamespacesByDefault`.
    pub enable_namespaces_by_default: Option<Spanned<bool>>,
    /// `sidecarInjectorWebhook.rewriteAppHTTPProbe`.
    pub rewrite_probes: Option<Spanned<bool>>,
    /// `revision`, or the label `istio.io/rev` of a ConfigMap.
    pub revision: Option<Text>,
    /// `revisionTags`.
    pub revision_tags: Field<Text>,
    /// `profile` (`ambient` turns features on).
    pub profile: Option<Text>,
}

/// Where mesh-wide settings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeshConfigOrigin {
    /// `data.mesh` of the ConfigMap `istio` or `istio-REVISION`.
    ConfigMap,
    /// `data.values` of the ConfigMap `istio-sidecar-injector`.
    InjectorConfigMap,
    /// An IstioOperator.
    IstioOperator,
    /// The Istio object of the Sail operator.
    SailIstio,
    /// Helm values of istiod, or of a chart that has istiod under `istiod`.
    HelmValues,
    /// The `mesh` section of meshproof's own configuration.
    Meshproof,
}

/// `pathNormalization.normalization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum PathNormalization {
    Default,
    None,
    Base,
    MergeSlashes,
    DecodeAndMergeSlashes,
}

impl MeshConfig {
    /// The value of a feature flag.
    pub fn feature(&self, name: &str) -> Option<&Text> {
        self.features.iter().rev().find(|(flag, _)| flag.value == name).map(|(_, value)| value)
    }

    /// No settings yet.
    pub fn empty(origin: MeshConfigOrigin, span: Span) -> Self {
        MeshConfig {
            span,
            origin,
            trust_domain: None,
            trust_domain_aliases: Field::default(),
            root_namespace: None,
            enable_auto_mtls: None,
            outbound: None,
            path_normalization: None,
            extension_providers: Field::default(),
            discovery_selectors: Field::default(),
            default_service_export_to: Field::default(),
            default_virtual_service_export_to: Field::default(),
            default_destination_rule_export_to: Field::default(),
            ca_trust_domains: Vec::new(),
            proxy_metadata: TextMap::default(),
            interception_mode: None,
            num_trusted_proxies: None,
            features: Vec::new(),
            default_tls_version: None,
            mesh_tls_version: None,
            prometheus_merge: None,
            network: None,
            cluster_name: None,
            mesh_id: None,
            istio_namespace: None,
            auto_inject: None,
            include_inbound_ports: None,
            exclude_inbound_ports: None,
            include_outbound_ports: None,
            exclude_outbound_ports: None,
            include_ip_ranges: None,
            exclude_ip_ranges: None,
            enable_namespaces_by_default: None,
            rewrite_probes: None,
            revision: None,
            revision_tags: Field::default(),
            profile: None,
        }
    }

    /// Reads a MeshConfig as it stands under `meshConfig:` or in the ConfigMap; what is written there replaces what
    /// was read before.
    pub fn read_mesh_config(&mut self, node: NodeRef<'_>) {
        for (key, value) in node.entries() {
            match key_name(key) {
                "trustDomain" => self.trust_domain = text(value),
                "trustDomainAliases" => self.trust_domain_aliases = texts(key, value),
                "rootNamespace" => self.root_namespace = text(value),
                "enableAutoMtls" => self.enable_auto_mtls = boolean(value),
                "enablePrometheusMerge" => self.prometheus_merge = boolean(value),
                "tlsDefaults" => self.default_tls_version = text_at(value, "minProtocolVersion"),
                "meshMTLS" => self.mesh_tls_version = text_at(value, "minProtocolVersion"),
                "outboundTrafficPolicy" => self.outbound = outbound_mode(value),
                "pathNormalization" => self.path_normalization = normalization(value),
                "extensionProviders" => {
                    self.extension_providers = objects(key, value, ExtensionProvider::decode);
                }
                "discoverySelectors" => {
                    let items = value.items().filter_map(LabelSelector::decode).collect();
                    self.discovery_selectors = Field { key: Some(key.span()), items };
                }
                "defaultServiceExportTo" => self.default_service_export_to = texts(key, value),
                "defaultVirtualServiceExportTo" => self.default_virtual_service_export_to = texts(key, value),
                "defaultDestinationRuleExportTo" => {
                    self.default_destination_rule_export_to = texts(key, value);
                }
                "caCertificates" => {
                    let domains = value.items().filter_map(|item| item.get("trustDomains"));
                    self.ca_trust_domains = domains.flat_map(NodeRef::items).filter_map(text).collect();
                }
                "defaultConfig" => {
                    if let Some((key, value)) = value.entry("proxyMetadata") {
                        self.proxy_metadata = text_map(key, value);
                    }
                    self.interception_mode = text_at(value, "interceptionMode");
                    let topology = mapping_at(value, "gatewayTopology");
                    self.num_trusted_proxies =
                        topology.and_then(|topology| topology.get("numTrustedProxies")).and_then(number);
                }
                _ => {}
            }
        }
    }

    /// Reads Helm values of istiod; those of a chart around it stand under `istiod`.
    pub fn read_values(&mut self, values: NodeRef<'_>) {
        for (key, value) in values.entries() {
            match key_name(key) {
                "meshConfig" => self.read_mesh_config(value),
                "global" => self.read_global(value),
                // The istiod chart takes what stands under `pilot` as if it stood at the top, and the other way round.
                "pilot" => value.get("env").into_iter().for_each(|env| self.read_env_map(env)),
                "env" => self.read_env_map(value),
                "sidecarInjectorWebhook" => {
                    let flag = |name| value.get(name).and_then(boolean);
                    self.enable_namespaces_by_default = flag("enableNamespacesByDefault");
                    self.rewrite_probes = flag("rewriteAppHTTPProbe");
                }
                "revision" => self.revision = non_empty(value),
                "revisionTags" => self.revision_tags = texts(key, value),
                "profile" => self.profile = non_empty(value),
                _ => {}
            }
        }
    }

    /// Reads the `spec` of an IstioOperator.
    pub(crate) fn read_operator(&mut self, spec: NodeRef<'_>) {
        if let Some(values) = mapping_at(spec, "values") {
            self.read_values(values);
        }
        for (key, value) in spec.entries() {
            match key_name(key) {
                "meshConfig" => self.read_mesh_config(value),
                "revision" => self.revision = non_empty(value),
                "profile" => self.profile = non_empty(value),
                "namespace" => self.istio_namespace = non_empty(value),
                "components" => {
                    let k8s = mapping_at(value, "pilot").and_then(|pilot| mapping_at(pilot, "k8s"));
                    let env = k8s.and_then(|k8s| k8s.get("env")).into_iter().flat_map(NodeRef::items);
                    let variable = |item| Some((text_at(item, "name")?, text_at(item, "value")?));
                    self.features.extend(env.filter_map(variable));
                }
                _ => {}
            }
        }
    }

    fn read_global(&mut self, global: NodeRef<'_>) {
        for (key, value) in global.entries() {
            match key_name(key) {
                "network" => self.network = non_empty(value),
                "meshID" => self.mesh_id = non_empty(value),
                "istioNamespace" => self.istio_namespace = non_empty(value),
                "multiCluster" => self.cluster_name = value.get("clusterName").and_then(non_empty),
                "proxy" => self.read_proxy(value),
                _ => {}
            }
        }
    }

    fn read_proxy(&mut self, proxy: NodeRef<'_>) {
        for (key, value) in proxy.entries() {
            match key_name(key) {
                "autoInject" => self.auto_inject = text(value),
                "includeInboundPorts" => self.include_inbound_ports = text(value),
                "excludeInboundPorts" => self.exclude_inbound_ports = text(value),
                "includeOutboundPorts" => self.include_outbound_ports = text(value),
                "excludeOutboundPorts" => self.exclude_outbound_ports = text(value),
                "includeIPRanges" => self.include_ip_ranges = text(value),
                "excludeIPRanges" => self.exclude_ip_ranges = text(value),
                _ => {}
            }
        }
    }

    fn read_env_map(&mut self, env: NodeRef<'_>) {
        self.features.extend(env.entries().filter_map(|(name, value)| Some((text(name)?, text(value)?))));
    }
}

/// Whether a document without `apiVersion` and `kind` is Helm values for istiod, told by keys that no other chart has;
/// gives the mapping that holds them (the document, or its `istiod` part).
pub(crate) fn istiod_values(document: NodeRef<'_>) -> Option<NodeRef<'_>> {
    let known = |values: &NodeRef<'_>| {
        let global = mapping_at(*values, "global");
        let pilot_env = mapping_at(*values, "pilot").and_then(|pilot| mapping_at(pilot, "env"));
        mapping_at(*values, "meshConfig").is_some()
            || global
                .is_some_and(|global| global.get("meshID").is_some() || global.get("multiCluster").is_some())
            || pilot_env
                .is_some_and(|env| env.entries().any(|(name, _)| key_name(name).starts_with("PILOT_")))
    };
    [mapping(document), mapping_at(document, "istiod")].into_iter().flatten().find(known)
}

fn non_empty(node: NodeRef<'_>) -> Option<Text> {
    text(node).filter(|text| !text.value.is_empty())
}

fn normalization(node: NodeRef<'_>) -> Option<Spanned<PathNormalization>> {
    let words = [
        ("DEFAULT", PathNormalization::Default),
        ("NONE", PathNormalization::None),
        ("BASE", PathNormalization::Base),
        ("MERGE_SLASHES", PathNormalization::MergeSlashes),
        ("DECODE_AND_MERGE_SLASHES", PathNormalization::DecodeAndMergeSlashes),
    ];
    node.get("normalization").filter(|node| node.shape() == Shape::Scalar).and_then(|node| word(node, &words))
}
