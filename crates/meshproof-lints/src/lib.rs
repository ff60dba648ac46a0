//! One file per lint.
