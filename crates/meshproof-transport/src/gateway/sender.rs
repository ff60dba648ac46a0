//! The gateway that looks for a route: matches of VirtualServices also ask who it is.

use meshproof_ir::is_given_later;
use meshproof_resources::{HttpMatch, Text, TextMap};

use super::routes::gateway_name;

/// A gateway, as matches of VirtualServices ask for it.
#[derive(Clone, Copy, Debug)]
pub struct RouteSender<'a> {
    /// The labels of its pods; nothing where they are not in the input.
    pub labels: Option<&'a TextMap>,
    /// Their namespace.
    pub namespace: &'a str,
    /// The Gateway objects of the port, as `namespace/name`.
    pub gateways: &'a [String],
    /// The numbers that their servers give the port (Istio 1.32, core/gateway.go `buildGatewayHTTPRouteConfig`).
    pub ports: &'a [u16],
    /// The scheme of requests, unless clients name another one; nothing where there are several.
    pub scheme: Option<&'static str>,
    /// The namespace of the VirtualService, which short names of Gateways mean.
    pub own: &'a str,
}

/// Which requests a match takes by their scheme. It is that of the port unless clients name another one, as those of HTTP/2
/// can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemeFit {
    /// All of them.
    Every,
    /// Those of clients that name no other scheme than that of the port.
    Usual,
    /// Those of clients that name another one.
    Named,
    /// Some, and the scheme of the port is not known.
    Unknown,
    /// None.
    Never,
}

impl RouteSender<'_> {
    /// Whether a match is for this gateway; nothing where that is not known. With `gateways` nobody looks at labels (Istio 1.32,
    /// core/route/route.go `sourceMatchHTTP`).
    pub fn is_meant(&self, one: &HttpMatch) -> Option<bool> {
        let by_source = match one.gateways.is_empty() {
            true => both(self.has_labels(&one.source_labels), Some(self.is_in(one))),
            false => all_or_none(self.gateways.iter().map(|gateway| {
                one.gateways.iter().any(|name| gateway_name(&name.value, self.own) == *gateway)
            })),
        };
        let by_port = match &one.port {
            None => Some(true),
            Some(port) => all_or_none(self.ports.iter().map(|own| *own == port.value)),
        };
        both(by_source, by_port)
    }

    /// Which requests have a scheme that passes a test.
    pub fn scheme_fit(&self, passes: impl Fn(&str) -> bool) -> SchemeFit {
        match (passes("http"), passes("https"), self.scheme.map(&passes)) {
            (true, true, _) => SchemeFit::Every,
            (false, false, _) => SchemeFit::Never,
            (_, _, Some(true)) => SchemeFit::Usual,
            (_, _, Some(false)) => SchemeFit::Named,
            (_, _, None) => SchemeFit::Unknown,
        }
    }

    /// An empty name is none.
    fn is_in(&self, one: &HttpMatch) -> bool {
        let wanted = one.source_namespace.as_ref().map(|name| name.value.as_str());
        wanted.is_none_or(|name| name.is_empty() || name == self.namespace)
    }

    fn has_labels(&self, wanted: &TextMap) -> Option<bool> {
        if wanted.entries.is_empty() {
            return Some(true);
        }
        let labels = self.labels?;
        let has = |(key, value): &(Text, Text)| match labels.get(&key.value) {
            Some(own) => Some(own.value == value.value),
            // Injection and controllers add some with such names.
            None if key.value.contains('/') || is_given_later(&key.value) => None,
            None => Some(false),
        };
        wanted.entries.iter().map(has).fold(Some(true), both)
    }
}

fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// What holds of all or of none of some; not known where there are none.
fn all_or_none(mut of: impl Iterator<Item = bool>) -> Option<bool> {
    let first = of.next()?;
    of.all(|other| other == first).then_some(first)
}
