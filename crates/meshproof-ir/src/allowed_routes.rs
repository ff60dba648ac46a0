//! From which namespaces a listener of a Gateway may be used.

use meshproof_resources::{AllowedRoutes, LabelSelector, TextMap};
use meshproof_source::Spanned;

use crate::placement::NAME_LABEL;
use crate::{Fact, Mesh, NamespaceId};

impl Mesh {
    /// Whether `allowedRoutes` of a listener in namespace `own` admit what stands in `namespace`. A selector without
    /// `from: Selector` has no effect; with it, it holds for the own namespace too (waypoint reference, C2).
    ///
    /// # Errors
    /// What has to be known of the namespace and is not.
    pub(crate) fn admits_namespace(
        &self,
        routes: Option<&AllowedRoutes>,
        own: NamespaceId,
        namespace: NamespaceId,
    ) -> Result<bool, String> {
        let from = routes.and_then(|routes| routes.from.as_ref()).map(|from| from.value.as_str());
        match from {
            Some("All") => Ok(true),
            Some("Selector") => match routes.and_then(|routes| routes.selector.as_ref()) {
                Some(selector) => self.selects_namespace(selector, namespace),
                None => Ok(false),
            },
            _ => Ok(own == namespace),
        }
    }

    fn selects_namespace(&self, selector: &LabelSelector, namespace: NamespaceId) -> Result<bool, String> {
        let namespace = self.namespace(namespace);
        let matches = match (&namespace.labels, &namespace.name) {
            (Fact::Known(labels, _), _) => selector.matches(labels),
            (Fact::Unknown(_), Some(name)) if asks_for_name_only(selector) => {
                let text = |value: &str| Spanned::new(value.to_owned(), selector.span);
                selector.matches(&TextMap { key: None, entries: vec![(text(NAME_LABEL), text(name))] })
            }
            (Fact::Unknown(reason), _) => {
                return Err(format!("whether the Gateway admits the namespace is open: {reason}"));
            }
        };
        matches.ok_or_else(|| "the selector in allowedRoutes is not valid".to_owned())
    }
}

/// Whether all that a selector asks for is the label that every namespace gets.
fn asks_for_name_only(selector: &LabelSelector) -> bool {
    let pairs = selector.match_labels.entries.iter().map(|(key, _)| Some(key));
    let expressions = selector.match_expressions.iter().map(|expression| expression.key.as_ref());
    pairs.chain(expressions).flatten().all(|key| key.value == NAME_LABEL)
}
