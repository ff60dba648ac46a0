//! Spanned YAML and JSON trees with Kubernetes' scalar rules.
