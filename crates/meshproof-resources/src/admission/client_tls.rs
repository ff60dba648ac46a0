//! istiod's rules for the TLS settings of a client (Istio 1.32, `ValidateTLS`).

use meshproof_yaml::NodeRef;

use super::issue::Collector;
use super::view;
use crate::schema::{Path, shown};

const MODES: [&str; 4] = ["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"];
const SIMPLE: usize = 1;
const MUTUAL: usize = 2;

/// Checks `tls` of a traffic policy.
pub(super) fn validate(collector: &mut Collector, policy: NodeRef<'_>, namespace: &str, path: &Path<'_>) {
    let Some(tls) = view::field(policy, "tls") else { return };
    let path = path.field("tls");
    let mode = view::choice(tls, "mode", &MODES);
    let set = |name: &str| view::entry(tls, name).filter(|(_, value)| !view::text(*value).is_empty());
    let credential = view::string(tls, "credentialName");
    if let (Some(message), Some((_, node))) =
        (config_map_problem(credential, namespace), view::entry(tls, "credentialName"))
    {
        collector.refuse(&path.field("credentialName"), node, message);
    }
    if view::boolean(tls, "insecureSkipVerify") && (mode == SIMPLE || mode == MUTUAL) {
        let names = view::entry(tls, "subjectAltNames").filter(|(_, list)| list.items().next().is_some());
        let credential = set("credentialName").filter(|_| mode == SIMPLE);
        if let Some((key, _)) = set("caCertificates").or(names).or(credential) {
            collector.refuse_with_help(
                &path.field("insecureSkipVerify"),
                key,
                "with `insecureSkipVerify: true` nothing is verified, so there is nothing to verify against",
                "delete `insecureSkipVerify` to verify the server",
            );
        }
    }
    if !credential.is_empty() && (mode == SIMPLE || mode == MUTUAL) {
        let files = ["clientCertificate", "caCertificates", "privateKey", "caCrl"];
        if let Some((key, _)) = files.iter().find_map(|name| set(name)) {
            let message = "beside `credentialName` no certificate or key files can be set";
            collector.refuse(&path, key, message);
        }
        return;
    }
    if mode == MUTUAL {
        for name in ["clientCertificate", "privateKey"] {
            if set(name).is_none() {
                let node = view::field(tls, "mode").unwrap_or(tls);
                collector.refuse_with_help(
                    &path.field(name),
                    node,
                    format!("mode MUTUAL needs `{name}`"),
                    "for the mesh's own certificates use ISTIO_MUTUAL; otherwise name files or a `credentialName`",
                );
            }
        }
    }
}

/// A `configmap://namespace/name` credential lies in the rule's own namespace.
fn config_map_problem(credential: &str, namespace: &str) -> Option<String> {
    let rest = credential.strip_prefix("configmap://")?;
    let mut parts = rest.split('/');
    let (found, name) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    if found.is_empty() || name.is_empty() {
        return Some(format!("{}: write configmap://NAMESPACE/NAME", shown(credential)));
    }
    (found != namespace || namespace.is_empty())
        .then(|| format!("{}: the ConfigMap must lie in the rule's own namespace", shown(credential)))
}
