//! One file per kind: what was written, every value with its span, and what admission says of it.
