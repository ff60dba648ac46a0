//! `meshproof.yaml`: what a repository says once instead of on every command line.
//!
//! The file is our own, so it is read with serde and strictly: a key that is not known is a mistake, not a wish.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The name under which the file is looked for.
pub const CONFIG_FILE: &str = "meshproof.yaml";

/// What a configuration says. Every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Level per lint id, or for `all`.
    #[serde(default)]
    pub lints: BTreeMap<String, LevelSetting>,
    /// Files and folders to leave out, as in `.gitignore`, relative to the configuration file.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Namespace of objects that name none, where nothing else tells it.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The parts of MeshConfig that decide what policies mean, for repositories that do not hold it.
    #[serde(default)]
    pub mesh: MeshSettings,
    /// Objects that exist although the input does not show them.
    #[serde(default)]
    pub external: External,
}

/// How a lint counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LevelSetting {
    /// Not reported.
    Allow,
    /// Reported as info.
    Info,
    /// Reported as warning.
    #[serde(alias = "warn")]
    Warning,
    /// Reported as error.
    #[serde(alias = "deny")]
    Error,
}

/// Keys of MeshConfig, under their own names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MeshSettings {
    /// `trustDomain`.
    pub trust_domain: Option<String>,
    /// `trustDomainAliases`.
    #[serde(default)]
    pub trust_domain_aliases: Vec<String>,
    /// `rootNamespace`.
    pub root_namespace: Option<String>,
    /// `enableAutoMtls`.
    pub enable_auto_mtls: Option<bool>,
    /// `outboundTrafficPolicy`.
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
    /// `pathNormalization`.
    pub path_normalization: Option<PathNormalization>,
    /// `gatewayTopology`, which stands under `defaultConfig` in MeshConfig.
    pub gateway_topology: Option<GatewayTopology>,
    /// How rules see a header that comes in several lines: no key of MeshConfig, but a matter of the proxies' version.
    pub repeated_headers: Option<RepeatedHeaders>,
    /// `extensionProviders`, of which only the names matter here.
    #[serde(default)]
    pub extension_providers: Vec<ExtensionProvider>,
    /// Revisions and revision tags of the control plane beside `default`.
    #[serde(default)]
    pub revisions: Vec<String>,
}

/// MeshConfig `outboundTrafficPolicy`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundTrafficPolicy {
    /// What happens to calls to hosts that the mesh does not know.
    pub mode: OutboundMode,
}

/// Values of `outboundTrafficPolicy.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundMode {
    /// They pass.
    AllowAny,
    /// They are refused.
    RegistryOnly,
}

/// MeshConfig `defaultConfig.gatewayTopology`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewayTopology {
    /// Proxies in front of gateways whose word on the client's address is taken.
    pub num_trusted_proxies: u32,
}

/// How rules see a header that comes in several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RepeatedHeaders {
    /// Line by line: Envoy 1.37.1 and newer.
    Individual,
    /// Joined by commas: older proxies.
    Joined,
}

/// MeshConfig `pathNormalization`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathNormalization {
    /// Which.
    pub normalization: Normalization,
}

/// Values of `pathNormalization.normalization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum Normalization {
    Default,
    None,
    Base,
    MergeSlashes,
    DecodeAndMergeSlashes,
}

/// One entry of MeshConfig `extensionProviders`; everything beside the name is accepted and not read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ExtensionProvider {
    /// What policies call it.
    pub name: String,
}

/// What exists outside of the input.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct External {
    /// Namespaces.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Service accounts, as `namespace/name`.
    #[serde(default)]
    pub service_accounts: Vec<String>,
    /// Namespaces (or `namespace/name`) where an operator adds AuthorizationPolicies at run time.
    #[serde(default)]
    pub policies: Vec<String>,
    /// What the pods of namespaces have in front of them whose Namespace objects are not in the input.
    #[serde(default)]
    pub dataplane: Option<Dataplane>,
}

/// What pods have in front of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dataplane {
    /// A sidecar, unless the pods say otherwise.
    Sidecar,
    /// ztunnel.
    Ambient,
    /// Nothing.
    None,
    /// That is not known, and nothing is assumed.
    Unknown,
}

/// A configuration that cannot be used: what is wrong, where and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}{}", path.display(), place(*.line, *.column), help.as_ref().map(|help| format!("; {help}")).unwrap_or_default())]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line from 1; 0 when it is not known.
    pub line: usize,
    /// Column from 1; 0 when it is not known.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

fn place(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!(":{line}:{column}") }
}

impl Config {
    /// Reads a configuration from text; `path` is for messages.
    ///
    /// # Errors
    /// Text that is not YAML, a key that is not known, or a value of the wrong kind.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        // An empty file, or one of nothing but comments, says nothing.
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Config::default());
        }
        let config: Config = serde_yaml::from_str(text).map_err(|error| explain(path, &error))?;
        config.check(path)?;
        Ok(config)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, and everything of [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            path: path.to_path_buf(),
            line: 0,
            column: 0,
            message: format!("the configuration cannot be read: {error}"),
            help: None,
        })?;
        Self::parse(path, text.strip_prefix('\u{feff}').unwrap_or(&text))
    }

    /// The configuration that is in force for `start`: the nearest `meshproof.yaml` in it or above it.
    pub fn find(start: &Path) -> Option<PathBuf> {
        let start = std::fs::canonicalize(start).ok()?;
        let start = if start.is_dir() { start.as_path() } else { start.parent()? };
        start.ancestors().map(|folder| folder.join(CONFIG_FILE)).find(|file| file.is_file())
    }

    /// What serde's types cannot say.
    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let fail = |message: String, help: &str| {
            Err(ConfigError {
                path: path.to_path_buf(),
                line: 0,
                column: 0,
                message,
                help: Some(help.to_owned()),
            })
        };
        for account in &self.external.service_accounts {
            let parts: Vec<&str> = account.split('/').collect();
            if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) {
                return fail(
                    format!("external.serviceAccounts: `{account}` is no service account"),
                    "write it as namespace/name",
                );
            }
        }
        for policy in &self.external.policies {
            if policy.is_empty() || policy.split('/').count() > 2 {
                return fail(
                    format!("external.policies: `{policy}` names no policy"),
                    "write a namespace, or namespace/name",
                );
            }
        }
        Ok(())
    }
}

/// Turns serde's words into ours: place, and the key that was probably meant.
fn explain(path: &Path, error: &serde_yaml::Error) -> ConfigError {
    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    let mut message = error.to_string();
    if let Some(end) = message.rfind(" at line ") {
        message.truncate(end);
    }
    let mut help = None;
    for (what, name) in [("unknown field ", "key"), ("unknown variant ", "value")] {
        let Some(start) = message.find(what) else { continue };
        let mut quoted = message[start..].split('`').skip(1).step_by(2).map(str::to_owned);
        let Some(written) = quoted.next() else { continue };
        let known: Vec<String> = quoted.collect();
        let prefix = message[..start].to_owned();
        help = Some(match closest(&written, known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are: {}", known.join(", ")),
        });
        message = format!("{prefix}unknown {name} `{written}`");
        break;
    }
    ConfigError { path: path.to_path_buf(), line, column, message, help }
}

/// The word that was probably meant, if one is near enough.
pub(crate) fn closest<'w>(written: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&written.to_lowercase(), &word.to_lowercase()), word))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("meshproof.yaml"), text)
    }

    #[test]
    fn everything_may_be_left_out() {
        assert_eq!(parse(""), Ok(Config::default()));
        assert_eq!(parse("# nothing yet\n"), Ok(Config::default()));
    }

    #[test]
    fn keys_carry_the_names_of_mesh_config() {
        let config = parse(concat!(
            "lints:\n  permissive-mtls: warn\n  all: allow\n",
            "exclude: [vendor/]\n",
            "mesh:\n  trustDomain: prod.example\n  enableAutoMtls: false\n",
            "  outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n",
            "  pathNormalization: {normalization: MERGE_SLASHES}\n",
            "  extensionProviders:\n  - name: opa\n    envoyExtAuthzGrpc: {service: opa, port: 9191}\n",
            "external:\n  serviceAccounts: [web/frontend]\n",
        ))
        .unwrap();
        assert_eq!(config.lints["permissive-mtls"], LevelSetting::Warning);
        assert_eq!(config.lints["all"], LevelSetting::Allow);
        assert_eq!(config.mesh.trust_domain.as_deref(), Some("prod.example"));
        assert_eq!(config.mesh.enable_auto_mtls, Some(false));
        assert_eq!(config.mesh.extension_providers[0].name, "opa");
        assert_eq!(config.external.service_accounts, ["web/frontend"]);
    }

    #[test]
    fn the_documented_example_sets_every_key() {
        let page = include_str!("../../../docs/configuration.md");
        let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let config = parse(example).unwrap();
        for lint in config.lints.keys() {
            assert!(crate::lints::is_known(lint), "{lint}");
        }
        assert!(config.namespace.is_some() && !config.exclude.is_empty());
        let MeshSettings {
            trust_domain,
            trust_domain_aliases,
            root_namespace,
            enable_auto_mtls,
            outbound_traffic_policy,
            path_normalization,
            gateway_topology,
            repeated_headers,
            extension_providers,
            revisions,
        } = config.mesh;
        assert!(trust_domain.is_some() && root_namespace.is_some() && enable_auto_mtls.is_some());
        assert!(outbound_traffic_policy.is_some() && path_normalization.is_some());
        assert!(gateway_topology.is_some() && repeated_headers.is_some());
        assert!(!trust_domain_aliases.is_empty() && !extension_providers.is_empty() && !revisions.is_empty());
        let External { namespaces, service_accounts, policies, dataplane } = config.external;
        assert!(!namespaces.is_empty() && !service_accounts.is_empty() && !policies.is_empty());
        assert_eq!(dataplane, Some(Dataplane::Sidecar));
    }

    #[test]
    fn an_unknown_key_is_told_with_its_place_and_a_suggestion() {
        let error = parse("exclude: []\nmesh:\n  trustDomian: x\n").unwrap_err();
        assert_eq!((error.line, error.help.as_deref()), (3, Some("did you mean `trustDomain`?")));
        assert_eq!(
            error.to_string(),
            "meshproof.yaml:3:3: mesh: unknown key `trustDomian`; did you mean `trustDomain`?"
        );
    }

    #[test]
    fn an_unknown_level_is_told_with_the_levels() {
        let error = parse("lints:\n  permissive-mtls: fatal\n").unwrap_err();
        assert!(error.message.contains("unknown value `fatal`"), "{error}");
        assert!(error.help.as_deref().unwrap_or_default().contains("warning"), "{error}");
    }

    #[test]
    fn a_service_account_needs_its_namespace() {
        let error = parse("external:\n  serviceAccounts: [frontend]\n").unwrap_err();
        assert!(error.to_string().contains("write it as namespace/name"));
    }
}
