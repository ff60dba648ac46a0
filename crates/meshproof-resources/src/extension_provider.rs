//! `extensionProviders` of MeshConfig: who answers CUSTOM policies.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::{NodeRef, Shape};

use crate::read::{boolean, key_name, number, text, texts};
use crate::{Field, Text};

/// One item of `extensionProviders`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtensionProvider {
    /// The item.
    pub span: Span,
    /// `name`.
    pub name: Option<Text>,
    /// Which kind: the key that holds the settings (`envoyExtAuthzHttp`, `envoyExtAuthzGrpc`, or one of telemetry).
    pub kind: Option<Text>,
    /// `service`.
    pub service: Option<Text>,
    /// `port`; numbers that are no port are kept for the check.
    pub port: Option<Spanned<u32>>,
    /// `failOpen`.
    pub fail_open: Option<Spanned<bool>>,
    /// `statusOnError`.
    pub status_on_error: Option<Text>,
    /// `pathPrefix`.
    pub path_prefix: Option<Text>,
    /// `includeRequestHeadersInCheck`, or the older `includeHeadersInCheck`.
    pub request_headers_in_check: Field<Text>,
    /// Headers that the provider's answer may set towards the workload: `headersToUpstreamOnAllow`.
    pub headers_to_upstream: Field<Text>,
    /// `headersToDownstreamOnAllow`.
    pub headers_to_downstream_on_allow: Field<Text>,
    /// `headersToDownstreamOnDeny`.
    pub headers_to_downstream_on_deny: Field<Text>,
}

impl ExtensionProvider {
    /// Whether a CUSTOM policy may name it (Istio 1.32, extauthz.go).
    pub fn is_authorizer(&self) -> bool {
        let authorizer =
            |kind: &Text| matches!(kind.value.as_str(), "envoyExtAuthzHttp" | "envoyExtAuthzGrpc");
        self.kind.as_ref().is_some_and(authorizer)
    }

    pub(crate) fn decode(item: NodeRef<'_>) -> Self {
        let mut provider = ExtensionProvider {
            span: item.span(),
            name: None,
            kind: None,
            service: None,
            port: None,
            fail_open: None,
            status_on_error: None,
            path_prefix: None,
            request_headers_in_check: Field::default(),
            headers_to_upstream: Field::default(),
            headers_to_downstream_on_allow: Field::default(),
            headers_to_downstream_on_deny: Field::default(),
        };
        for (key, value) in item.entries() {
            match key_name(key) {
                "name" => provider.name = text(value),
                _ if value.shape() == Shape::Mapping => {
                    provider.kind = text(key);
                    provider.read_settings(value);
                }
                _ => {}
            }
        }
        provider
    }

    fn read_settings(&mut self, settings: NodeRef<'_>) {
        for (key, value) in settings.entries() {
            match key_name(key) {
                "service" => self.service = text(value),
                "port" => self.port = number(value),
                "failOpen" => self.fail_open = boolean(value),
                "statusOnError" => self.status_on_error = text(value),
                "pathPrefix" => self.path_prefix = text(value),
                "includeRequestHeadersInCheck" | "includeHeadersInCheck" => {
                    self.request_headers_in_check = texts(key, value);
                }
                "headersToUpstreamOnAllow" => self.headers_to_upstream = texts(key, value),
                "headersToDownstreamOnAllow" => self.headers_to_downstream_on_allow = texts(key, value),
                "headersToDownstreamOnDeny" => self.headers_to_downstream_on_deny = texts(key, value),
                _ => {}
            }
        }
    }
}
