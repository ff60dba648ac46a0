//! Reads the Istio authorization manifests of a folder and says what is wrong with them, with proof.
//!
//! [`Session`] is the whole way from paths to findings; the `meshproof` command is a thin layer over it.

pub mod config;
mod document;
mod gather;
mod groups;
mod kustomization;
mod levels;
pub mod lints;
mod meshes;
mod options;
mod pipeline;
mod provenance;
mod render;
mod session;
mod suppress;
mod surroundings;
mod units;
mod variants;

pub use levels::{ALL, Levels};
pub use options::{ClusterInput, Error, Input, Options, Outcome, Render};
pub use session::Session;
