//! From one document to objects.

use std::collections::BTreeMap;

use meshproof_source::{Span, Spanned};
use meshproof_yaml::{NodeRef, Shape};

use crate::mesh_config::istiod_values;
use crate::read::{key_name, mapping, mapping_at, text};
use crate::{
    ApiBackends, AuthorizationPolicy, CalicoNetworkSet, CalicoPolicy, CalicoTier, DestinationRule, Endpoints,
    EnvoyFilter, Gateway, GatewayClass, Ingress, Kind, KubernetesGateway, MeshConfig, MeshConfigOrigin, Meta,
    Monitor, NetworkPolicy, Patch, PeerAuthentication, ReferenceGrant, RequestAuthentication, Resource,
    Route, RouteKind, Service, ServiceEntry, Sidecar, Spec, Text, VirtualService, Workload, WorkloadEntry,
    WorkloadGroup, embedded,
};

/// Lists inside lists beyond this depth are not read; real ones have one level.
const MAX_LIST_DEPTH: usize = 8;

/// What one document, or several one after the other, gave.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Objects of known kinds in the order of the text.
    pub resources: Vec<Resource>,
    /// Helm values of istiod: mesh settings in documents that are no objects.
    pub helm_values: Vec<MeshConfig>,
    /// What could not be read although it should have been.
    pub issues: Vec<Issue>,
    /// Objects of kinds that no analysis reads: API group, kind, how many.
    pub unknown_kinds: BTreeMap<(String, String), usize>,
    /// Documents and list items that are no Kubernetes objects.
    pub not_objects: Vec<NotObject>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Kebab-case id of the lint that reports it.
    pub lint: &'static str,
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Something that is no Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotObject {
    /// Where: the document or the item.
    pub span: Span,
    /// Why it is none, for the list of what was skipped.
    pub reason: String,
}

/// The type that a typed list (`AuthorizationPolicyList`) gives items without one of their own.
#[derive(Clone)]
struct ItemType {
    api_version: Text,
    kind: Text,
}

/// Reads the objects of one document: an object, a `List` of any kind, or a JSON array of objects. It never fails:
/// what is no object is told in `out`. Documents of nothing but comments give nothing.
pub fn decode(root: NodeRef<'_>, out: &mut Decoded) {
    Decoder { text: None, out }.document(root);
}

/// The same, with the whole text of the source at hand: mesh settings inside a ConfigMap are then pointed at one by
/// one instead of at the value that holds them all.
pub fn decode_with_text(root: NodeRef<'_>, text: &str, out: &mut Decoded) {
    Decoder { text: Some(text), out }.document(root);
}

struct Decoder<'a> {
    text: Option<&'a str>,
    out: &'a mut Decoded,
}

impl Decoder<'_> {
    fn document(&mut self, root: NodeRef<'_>) {
        match root.shape() {
            Shape::Sequence => root.items().for_each(|item| self.object(item, None, 1)),
            _ if root.is_null() => {}
            _ => self.object(root, None, 0),
        }
    }

    fn object(&mut self, object: NodeRef<'_>, item_type: Option<&ItemType>, depth: usize) {
        if object.shape() != Shape::Mapping {
            let reason = match object.shape() {
                Shape::Sequence => "a list where an object belongs",
                _ => "a single value, not a Kubernetes object",
            };
            self.out.not_objects.push(NotObject { span: object.span(), reason: reason.to_owned() });
            return;
        }
        let inherited = |of: fn(&ItemType) -> &Text| item_type.map(|item| of(item).clone());
        let (mut api_version, mut kind, mut metadata, mut spec) = (None, None, None, None);
        for (key, value) in object.entries() {
            match key_name(key) {
                "apiVersion" => api_version = text(value),
                "kind" => kind = text(value),
                "metadata" => metadata = Some(value),
                "spec" => spec = mapping(value),
                _ => {}
            }
        }
        let api_version = api_version.or_else(|| inherited(|item| &item.api_version));
        let kind = kind.or_else(|| inherited(|item| &item.kind));
        let (api_version, kind) = match (api_version, kind) {
            (Some(api_version), Some(kind)) => (api_version, kind),
            (api_version, kind) => return self.not_an_object(object, api_version, kind),
        };
        let (group, version) = group_and_version(&api_version.value);
        if let Some(known) = Kind::of(group, &kind.value) {
            check_version(group, version, &api_version, &kind.value, self.out);
            let meta = Meta::decode(api_version, kind, metadata, object);
            let spec = match Patch::find([Some(object), metadata, spec]) {
                Some(patch) => Some(Spec::Patch(Box::new(patch))),
                None => self.spec(known, &meta, spec, object),
            };
            match spec {
                Some(spec) => self.out.resources.push(Resource { meta, spec }),
                None => self.unknown_kind("", meta.kind.value),
            }
        } else if let Some(items) = list_items(&kind.value, object) {
            self.list(items, &api_version, &kind, depth);
        } else {
            self.unknown_kind(group, kind.value);
        }
    }

    fn unknown_kind(&mut self, group: &str, kind: String) {
        *self.out.unknown_kinds.entry((group.to_owned(), kind)).or_default() += 1;
    }

    fn list(&mut self, items: NodeRef<'_>, api_version: &Text, kind: &Text, depth: usize) {
        if depth >= MAX_LIST_DEPTH {
            self.out.issues.push(Issue {
                lint: "unreadable-list",
                span: kind.span,
                message: format!(
                    "lists stand in lists more than {MAX_LIST_DEPTH} deep; the items of this one are not read"
                ),
                help: Some("write the objects as documents of their own, separated by `---`".to_owned()),
            });
            return;
        }
        let item_type =
            kind.value.strip_suffix("List").filter(|name| !name.is_empty()).map(|name| ItemType {
                api_version: api_version.clone(),
                // Point at the part of the token that names the items; quoted tokens are pointed at as a whole.
                kind: Spanned::new(
                    name.to_owned(),
                    if kind.span.len() == kind.value.len() {
                        kind.span.part(0, name.len())
                    } else {
                        kind.span
                    },
                ),
            });
        match items.shape() {
            Shape::Sequence => {
                for item in items.items() {
                    self.object(item, item_type.as_ref(), depth + 1);
                }
            }
            _ if items.is_null() => {}
            _ => self.out.issues.push(Issue {
                lint: "unreadable-list",
                span: kind.span,
                message: format!(
                    "this {} has no list of items, so there is nothing to read in it",
                    kind.value
                ),
                help: Some("put the objects under `items:`, each after a `- `".to_owned()),
            }),
        }
    }

    fn not_an_object(&mut self, object: NodeRef<'_>, api_version: Option<Text>, kind: Option<Text>) {
        if let (None, None, Some(values)) = (&api_version, &kind, istiod_values(object)) {
            let mut config = MeshConfig::empty(MeshConfigOrigin::HelmValues, values.span());
            config.read_values(values);
            self.out.helm_values.push(config);
            return;
        }
        let reason = match (&api_version, &kind) {
            (Some(_), _) => "not a Kubernetes object: it has no kind",
            (None, Some(_)) => "not a Kubernetes object: it has no apiVersion",
            (None, None) => "not a Kubernetes object: it has neither apiVersion nor kind",
        };
        // Half a type on something that has metadata is a slip, not another format.
        let half = match (&api_version, &kind) {
            (Some(api_version), None) => Some((api_version, "kind")),
            (None, Some(kind)) if Kind::names().any(|name| name == kind.value) => Some((kind, "apiVersion")),
            _ => None,
        };
        if let Some((written, missing)) = half.filter(|_| mapping_at(object, "metadata").is_some()) {
            self.out.issues.push(Issue {
            lint: "incomplete-type",
            span: written.span,
            message: format!(
                "this object has no `{missing}`, so the API server cannot tell what it is; it is not analysed"
            ),
            help: Some(format!("add `{missing}:` next to this line")),
        });
        }
        self.out.not_objects.push(NotObject { span: object.span(), reason: reason.to_owned() });
    }

    /// The spec by kind; `None` for a ConfigMap that holds no mesh settings.
    fn spec<'t>(
        &mut self,
        known: Kind,
        meta: &Meta,
        spec: Option<NodeRef<'t>>,
        object: NodeRef<'t>,
    ) -> Option<Spec> {
        let route = |kind| Spec::Route(Box::new(Route::decode(kind, spec, object)));
        let calico = |global| Spec::CalicoPolicy(Box::new(CalicoPolicy::decode(global, spec, object)));
        let set = |global| Spec::CalicoNetworkSet(Box::new(CalicoNetworkSet::decode(global, spec, object)));
        let settings = |origin| MeshConfig::empty(origin, spec.unwrap_or(object).span());
        Some(match known {
            Kind::AuthorizationPolicy => {
                Spec::AuthorizationPolicy(Box::new(AuthorizationPolicy::decode(spec, object)))
            }
            Kind::PeerAuthentication => {
                Spec::PeerAuthentication(Box::new(PeerAuthentication::decode(spec, object)))
            }
            Kind::RequestAuthentication => {
                Spec::RequestAuthentication(Box::new(RequestAuthentication::decode(spec, object)))
            }
            Kind::DestinationRule => Spec::DestinationRule(Box::new(DestinationRule::decode(spec, object))),
            Kind::Workload => Spec::Workload(Box::new(Workload::decode(&meta.kind.value, spec, object))),
            Kind::Service => Spec::Service(Box::new(Service::decode(spec))),
            Kind::Namespace => Spec::Namespace,
            Kind::ServiceAccount => Spec::ServiceAccount,
            Kind::ServiceEntry => Spec::ServiceEntry(Box::new(ServiceEntry::decode(spec, object))),
            Kind::WorkloadEntry => Spec::WorkloadEntry(Box::new(WorkloadEntry::decode(spec, object))),
            Kind::WorkloadGroup => Spec::WorkloadGroup(Box::new(WorkloadGroup::decode(spec, object))),
            Kind::Sidecar => Spec::Sidecar(Box::new(Sidecar::decode(spec, object))),
            Kind::Gateway => Spec::Gateway(Box::new(Gateway::decode(spec, object))),
            Kind::VirtualService => Spec::VirtualService(Box::new(VirtualService::decode(spec, object))),
            Kind::EnvoyFilter => Spec::EnvoyFilter(Box::new(EnvoyFilter::decode(spec, object))),
            Kind::ProxyConfig => Spec::ProxyConfig,
            Kind::Telemetry => Spec::Telemetry,
            Kind::KubernetesGateway => {
                Spec::KubernetesGateway(Box::new(KubernetesGateway::decode(spec, object)))
            }
            Kind::GatewayClass => Spec::GatewayClass(Box::new(GatewayClass::decode(spec, object))),
            Kind::HttpRoute => route(RouteKind::Http),
            Kind::GrpcRoute => route(RouteKind::Grpc),
            Kind::TlsRoute => route(RouteKind::Tls),
            Kind::TcpRoute => route(RouteKind::Tcp),
            Kind::ReferenceGrant => Spec::ReferenceGrant(Box::new(ReferenceGrant::decode(spec, object))),
            Kind::NetworkPolicy => Spec::NetworkPolicy(Box::new(NetworkPolicy::decode(spec, object))),
            Kind::CalicoNetworkPolicy => calico(false),
            Kind::CalicoGlobalNetworkPolicy => calico(true),
            Kind::CalicoTier => Spec::CalicoTier(Box::new(CalicoTier::decode(spec, object))),
            Kind::CalicoNetworkSet => set(false),
            Kind::CalicoGlobalNetworkSet => set(true),
            Kind::OtherNetworkPolicy => Spec::OtherNetworkPolicy { cluster_wide: false },
            Kind::OtherClusterNetworkPolicy => Spec::OtherNetworkPolicy { cluster_wide: true },
            Kind::Endpoints => Spec::Endpoints(Box::new(Endpoints::decode(object))),
            Kind::EndpointSlice => Spec::Endpoints(Box::new(Endpoints::decode_slice(object))),
            Kind::Ingress => Spec::Ingress(Box::new(Ingress::decode(meta, spec, object))),
            Kind::WebhookConfiguration => Spec::ApiBackends(Box::new(ApiBackends::decode_webhooks(object))),
            Kind::ApiService => Spec::ApiBackends(Box::new(ApiBackends::decode_api_service(spec))),
            Kind::ServiceMonitor => Spec::Monitor(Box::new(Monitor::decode(false, spec, object))),
            Kind::PodMonitor => Spec::Monitor(Box::new(Monitor::decode(true, spec, object))),
            Kind::ConfigMap => {
                let config = embedded::mesh_config(meta, object, self.text, &mut self.out.issues)?;
                Spec::MeshConfig(Box::new(config))
            }
            Kind::IstioOperator => {
                let mut config = settings(MeshConfigOrigin::IstioOperator);
                spec.into_iter().for_each(|spec| config.read_operator(spec));
                Spec::MeshConfig(Box::new(config))
            }
            Kind::SailIstio => {
                let mut config = settings(MeshConfigOrigin::SailIstio);
                spec.and_then(|spec| mapping_at(spec, "values"))
                    .into_iter()
                    .for_each(|it| config.read_values(it));
                Spec::MeshConfig(Box::new(config))
            }
        })
    }
}

/// `List`, or a kind that ends in `List` and has items. (`AllowList` without items is a kind of its own.)
fn list_items<'t>(kind: &str, object: NodeRef<'t>) -> Option<NodeRef<'t>> {
    let items = object.get("items");
    match kind.strip_suffix("List")? {
        "" => Some(items.unwrap_or(object)),
        _ => items.filter(|items| items.shape() == Shape::Sequence || items.is_null()),
    }
}

fn group_and_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// A version that was never served: the object is read, and the finding says that the cluster would not take it.
fn check_version(group: &str, version: &str, api_version: &Text, kind: &str, out: &mut Decoded) {
    let versions = Kind::versions(group, kind);
    if versions.contains(&version) {
        return;
    }
    let prefix = if group.is_empty() { String::new() } else { format!("{group}/") };
    out.issues.push(Issue {
        lint: "unknown-api-version",
        span: api_version.span,
        message: format!("no API server knows {kind} in `{}`", api_version.value),
        help: versions.first().map(|version| format!("write `apiVersion: {prefix}{version}`")),
    });
}
