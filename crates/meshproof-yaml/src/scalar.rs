//! Plain scalars as Kubernetes reads them: go-yaml v2 as vendored in sigs.k8s.io/yaml (YAML 1.1).

use std::borrow::Cow;

/// A resolved scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'t> {
    /// `~`, `null`, or nothing at all.
    Null,
    /// `true`, `yes`, `on`, … unquoted.
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer between `i64::MAX` and `u64::MAX`.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A string, unescaped.
    Str(Cow<'t, str>),
}
