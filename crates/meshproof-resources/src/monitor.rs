//! ServiceMonitor and PodMonitor (monitoring.coreos.com/v1): ports that Prometheus scrapes at the addresses of pods.

use meshproof_source::Span;
use meshproof_yaml::NodeRef;

use crate::read::{entries, is_true, items, key_name, mapping, port_ref, spec_span, text, text_at, texts};
use crate::{Field, LabelSelector, PortRef, Text};

/// The spec of a ServiceMonitor or PodMonitor.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// The `spec` value; the object's span when there is none.
    pub span: Span,
    /// A PodMonitor: the selector is for pods, not for Services.
    pub of_pods: bool,
    /// `selector`; absent and empty ones find everything.
    pub selector: Option<LabelSelector>,
    /// `namespaceSelector.any`.
    pub any_namespace: bool,
    /// `namespaceSelector.matchNames`; without them the namespace of the object.
    pub namespaces: Field<Text>,
    /// `endpoints` or `podMetricsEndpoints`.
    pub endpoints: Vec<Scrape>,
}

/// One port that is scraped.
#[derive(Clone, Debug, PartialEq)]
pub struct Scrape {
    /// The item.
    pub span: Span,
    /// `port`: the name of a port of the Service, or of a container for pods.
    pub port: Option<Text>,
    /// `targetPort` or `portNumber`: the port of the pods.
    pub target: Option<PortRef>,
    /// `scheme`; absent means `http`.
    pub scheme: Option<Text>,
}

impl Monitor {
    /// Reads `spec` of `object`.
    pub(crate) fn decode(of_pods: bool, spec: Option<NodeRef<'_>>, object: NodeRef<'_>) -> Self {
        let mut monitor = Monitor {
            span: spec_span(spec, object),
            of_pods,
            selector: None,
            any_namespace: false,
            namespaces: Field::default(),
            endpoints: Vec::new(),
        };
        for (key, value) in entries(spec) {
            match key_name(key) {
                "selector" => monitor.selector = LabelSelector::decode(value),
                "namespaceSelector" => {
                    monitor.any_namespace = value.get("any").is_some_and(is_true);
                    let names = mapping(value).and_then(|value| value.entry("matchNames"));
                    monitor.namespaces = names.map(|(key, list)| texts(key, list)).unwrap_or_default();
                }
                "endpoints" | "podMetricsEndpoints" => monitor.endpoints = items(value, scrape),
                _ => {}
            }
        }
        monitor
    }
}

fn scrape(node: NodeRef<'_>) -> Option<Scrape> {
    let node = mapping(node)?;
    let target = node.get("targetPort").or_else(|| node.get("portNumber"));
    Some(Scrape {
        span: node.span(),
        port: text_at(node, "port"),
        target: target.and_then(port_ref),
        scheme: node.get("scheme").and_then(text),
    })
}
