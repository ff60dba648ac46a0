//! `exportTo`: from which namespaces an object is seen (Istio 1.32, model/push_context.go `initServiceRegistry`,
//! `initVirtualServices`).

use meshproof_ir::{Mesh, ResourceId};
use meshproof_resources::Text;

/// Everywhere.
const PUBLIC: &str = "*";
/// In the namespace of the object.
const PRIVATE: &str = ".";
/// Nowhere.
const NONE: &str = "~";
/// The same list on a Kubernetes Service.
const ANNOTATION: &str = "networking.istio.io/exportTo";

/// How an object is seen from a namespace; objects for one namespace come before those for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    /// Kept in its own namespace, which is the one that looks.
    Private,
    /// Exported to the namespace that looks.
    Exported,
    /// Public.
    Public,
}

/// How an object in `own` with this list is seen from `namespace`. Of the defaults of the mesh only `.` and `*` count.
pub(crate) fn seen<'t>(
    written: impl Iterator<Item = &'t str> + Clone,
    defaults: &[String],
    own: Option<&str>,
    namespace: Option<&str>,
) -> Option<Seen> {
    let at_home = own == namespace;
    if written.clone().next().is_none() {
        let has = |word: &str| defaults.iter().any(|value| value == word);
        return match (has(PRIVATE), defaults.is_empty() || has(PUBLIC)) {
            (true, _) => at_home.then_some(Seen::Private),
            (false, true) => Some(Seen::Public),
            (false, false) => None,
        };
    }
    if written.clone().any(|value| value == PUBLIC) {
        return Some(Seen::Public);
    }
    if written.clone().any(|value| value == NONE) {
        return None;
    }
    let names = |wanted: Option<&str>| written.clone().any(|value| Some(value) == wanted);
    if at_home {
        return (names(own) || names(Some(PRIVATE))).then_some(Seen::Private);
    }
    names(namespace).then_some(Seen::Exported)
}

/// The values of a list in a spec.
pub(crate) fn values(list: &[Text]) -> impl Iterator<Item = &str> + Clone {
    list.iter().map(|value| value.value.as_str())
}

/// The list in the annotation of a Kubernetes Service.
pub(crate) fn of_service(mesh: &Mesh, service: ResourceId) -> impl Iterator<Item = &str> + Clone {
    let written = mesh.resource(service).meta.annotations.get(ANNOTATION);
    let list = written.map_or("", |value| value.value.as_str());
    list.split(',').map(str::trim).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(written: &[&str], defaults: &[&str], from: &str) -> Option<Seen> {
        let defaults: Vec<String> = defaults.iter().map(|value| (*value).to_owned()).collect();
        seen(written.iter().copied(), &defaults, Some("a"), Some(from))
    }

    #[test]
    fn lists_say_who_sees() {
        assert_eq!(look(&[], &[], "b"), Some(Seen::Public));
        assert_eq!(look(&[], &["."], "b"), None);
        assert_eq!(look(&[], &["."], "a"), Some(Seen::Private));
        assert_eq!(look(&["."], &[], "b"), None);
        assert_eq!(look(&[".", "b"], &[], "b"), Some(Seen::Exported));
        assert_eq!(look(&["b"], &[], "a"), None);
        assert_eq!(look(&["a"], &[], "a"), Some(Seen::Private));
        assert_eq!(look(&["~"], &[], "a"), None);
        assert_eq!(look(&["~", "*"], &[], "b"), Some(Seen::Public));
    }
}
