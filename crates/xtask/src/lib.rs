//! Project tasks that tests run as well.

pub mod conformance;
