//! A concrete request that proves a finding.

use serde::Serialize;

/// What happens to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It gets through.
    Allow,
    /// It is refused.
    Deny,
}

/// One request at one workload port, and its fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// Who sends it: a SPIFFE id, `ns/serviceaccount`, or `plaintext`.
    pub from: String,
    /// Where to: `ns/workload`.
    pub to: String,
    /// The workload port, when it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What is on the wire: `mtls` or `plaintext`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<&'static str>,
    /// HTTP method; absent for TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// HTTP path; absent for TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What happens.
    pub decision: Decision,
    /// Why, a line each.
    pub because: Vec<String>,
}

impl std::fmt::Display for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.method, &self.path) {
            (None, None) => write!(f, "connection")?,
            (method, path) => {
                write!(f, "{} {}", method.as_deref().unwrap_or("GET"), path.as_deref().unwrap_or("/"))?
            }
        }
        write!(f, " from {} to {}", self.from, self.to)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if let Some(transport) = self.transport {
            write!(f, " over {}", if transport == "mtls" { "mTLS" } else { transport })?;
        }
        write!(f, " → {}", if self.decision == Decision::Allow { "allowed" } else { "denied" })
    }
}
