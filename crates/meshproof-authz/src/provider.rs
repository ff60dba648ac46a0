//! Which entries of `extensionProviders` a CUSTOM policy can use.
//!
//! Rules: Istio 1.32, `security/authz/builder/extauthz.go` and
//! `pkg/config/validation/agent/extensionprovider.go`. One that cannot be used counts as missing.

use meshproof_grammar::dns::{check_label, check_subdomain};
use meshproof_grammar::duration::Duration;
use meshproof_grammar::provider_name::ProviderName;
use meshproof_resources::{ExtensionProvider, Text};

use crate::context::ProviderKind;

/// Status codes that Envoy has a name for (`envoy.type.v3.StatusCode`), which `statusOnError` must be one of.
const STATUS: [(u16, &str); 57] = [
    (0, "Empty"),
    (100, "Continue"),
    (200, "OK"),
    (201, "Created"),
    (202, "Accepted"),
    (203, "NonAuthoritativeInformation"),
    (204, "NoContent"),
    (205, "ResetContent"),
    (206, "PartialContent"),
    (207, "MultiStatus"),
    (208, "AlreadyReported"),
    (226, "IMUsed"),
    (300, "MultipleChoices"),
    (301, "MovedPermanently"),
    (302, "Found"),
    (303, "SeeOther"),
    (304, "NotModified"),
    (305, "UseProxy"),
    (307, "TemporaryRedirect"),
    (308, "PermanentRedirect"),
    (400, "BadRequest"),
    (401, "Unauthorized"),
    (402, "PaymentRequired"),
    (403, "Forbidden"),
    (404, "NotFound"),
    (405, "MethodNotAllowed"),
    (406, "NotAcceptable"),
    (407, "ProxyAuthenticationRequired"),
    (408, "RequestTimeout"),
    (409, "Conflict"),
    (410, "Gone"),
    (411, "LengthRequired"),
    (412, "PreconditionFailed"),
    (413, "PayloadTooLarge"),
    (414, "URITooLong"),
    (415, "UnsupportedMediaType"),
    (416, "RangeNotSatisfiable"),
    (417, "ExpectationFailed"),
    (421, "MisdirectedRequest"),
    (422, "UnprocessableEntity"),
    (423, "Locked"),
    (424, "FailedDependency"),
    (426, "UpgradeRequired"),
    (428, "PreconditionRequired"),
    (429, "TooManyRequests"),
    (431, "RequestHeaderFieldsTooLarge"),
    (500, "InternalServerError"),
    (501, "NotImplemented"),
    (502, "BadGateway"),
    (503, "ServiceUnavailable"),
    (504, "GatewayTimeout"),
    (505, "HTTPVersionNotSupported"),
    (506, "VariantAlsoNegotiates"),
    (507, "InsufficientStorage"),
    (508, "LoopDetected"),
    (510, "NotExtended"),
    (511, "NetworkAuthenticationRequired"),
];

/// The name that Envoy has for the status code of `statusOnError`.
pub fn status_name(written: &str) -> Option<&'static str> {
    let code: u16 = written.parse().ok()?;
    STATUS.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// How a provider is asked, or why it cannot be.
///
/// # Errors
/// What is wrong, as one sentence without a final stop. A provider of telemetry is not there at all for policies.
pub fn usable_provider(provider: &ExtensionProvider) -> Result<ProviderKind, String> {
    let kind = match provider.kind.as_ref().map(|kind| kind.value.as_str()) {
        Some("envoyExtAuthzGrpc") => ProviderKind::Grpc,
        Some("envoyExtAuthzHttp") => ProviderKind::Http,
        Some(other) => return Err(format!("{other} does not authorize")),
        None => return Err("it has no settings".to_owned()),
    };
    let value = |text: &Option<Text>| text.as_ref().map(|text| text.value.clone()).unwrap_or_default();
    ProviderName::parse(&value(&provider.name)).map_err(|error| format!("its name: {error}"))?;
    check_service(&value(&provider.service))?;
    match &provider.port {
        Some(port) if (1..=65_535).contains(&port.value) => {}
        Some(port) => return Err(format!("{} is no port", port.value)),
        None => return Err("it has no port".to_owned()),
    }
    if let Some(status) = &provider.status_on_error
        && !status.value.is_empty()
        && status_name(&status.value).is_none()
    {
        return Err(format!("statusOnError {} is no status that Envoy knows", status.value));
    }
    if let Some(timeout) = &provider.timeout {
        let is_length = Duration::parse(&timeout.value).is_ok_and(|timeout| timeout.nanos >= 1_000_000);
        if !is_length {
            return Err(format!("timeout {} is no length of time from 1ms on", timeout.value));
        }
    }
    if kind == ProviderKind::Http {
        let prefix = value(&provider.path_prefix);
        if !prefix.is_empty() && !prefix.starts_with('/') {
            return Err(format!("pathPrefix {prefix} does not start with a slash"));
        }
        let lists = [
            &provider.request_headers_in_check,
            &provider.headers_to_upstream,
            &provider.headers_to_downstream_on_allow,
            &provider.headers_to_downstream_on_deny,
        ];
        if lists.into_iter().flat_map(|list| list.iter()).any(|header| header.value == "*") {
            return Err("a list of headers holds a lone star".to_owned());
        }
    }
    Ok(kind)
}

/// `host` or `namespace/host`.
fn check_service(service: &str) -> Result<(), String> {
    if service.is_empty() {
        return Err("it has no service".to_owned());
    }
    let (namespace, host) = match service.split_once('/') {
        Some((namespace, host)) => (Some(namespace), host),
        None => (None, service),
    };
    if let Some(namespace) = namespace {
        check_label(namespace).map_err(|error| format!("service {service}: {error}"))?;
    }
    check_subdomain(&host.to_ascii_lowercase()).map_err(|error| format!("service {service}: {error}"))
}
