//! `extensionProviders` of MeshConfig: who answers CUSTOM policies.

use meshproof_source::{Span, Spanned};
use meshproof_yaml::{NodeRef, Shape};

use crate::read::{boolean, key_name, mapping, number, text, text_map, texts};
use crate::{Field, Text, TextMap};

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
    /// `includeAdditionalHeadersInCheck`: headers with fixed values.
    pub additional_headers_in_check: TextMap,
    /// `includeRequestBodyInCheck`.
    pub request_body_in_check: Option<RequestBody>,
    /// `timeout`.
    pub timeout: Option<Text>,
    /// `clearRouteCache`.
    pub clear_route_cache: Option<Spanned<bool>>,
}

/// `includeRequestBodyInCheck`: how much of the body a provider is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestBody {
    /// `maxRequestBytes`.
    pub max_bytes: u32,
    /// `allowPartialMessage`: longer bodies are cut instead of refused.
    pub allow_partial: bool,
    /// `packAsBytes`: sent as bytes, not as UTF-8.
    pub pack_as_bytes: bool,
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
            additional_headers_in_check: TextMap::default(),
            request_body_in_check: None,
            timeout: None,
            clear_route_cache: None,
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
                "includeRequestHeadersInCheck" => self.request_headers_in_check = texts(key, value),
                // The older name counts where the newer one says nothing.
                "includeHeadersInCheck" if settings.get("includeRequestHeadersInCheck").is_none() => {
                    self.request_headers_in_check = texts(key, value);
                }
                "headersToUpstreamOnAllow" => self.headers_to_upstream = texts(key, value),
                "headersToDownstreamOnAllow" => self.headers_to_downstream_on_allow = texts(key, value),
                "headersToDownstreamOnDeny" => self.headers_to_downstream_on_deny = texts(key, value),
                "includeAdditionalHeadersInCheck" => self.additional_headers_in_check = text_map(key, value),
                "includeRequestBodyInCheck" => {
                    let flag = |name| value.get(name).and_then(boolean).is_some_and(|flag| flag.value);
                    self.request_body_in_check = mapping(value).map(|_| RequestBody {
                        max_bytes: value.get("maxRequestBytes").and_then(number).map_or(0, |max| max.value),
                        allow_partial: flag("allowPartialMessage"),
                        pack_as_bytes: flag("packAsBytes"),
                    });
                }
                "timeout" => self.timeout = text(value),
                "clearRouteCache" => self.clear_route_cache = boolean(value),
                _ => {}
            }
        }
    }
}
