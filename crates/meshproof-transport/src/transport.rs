//! The way from a question to an answer.

use meshproof_ir::Mesh;

use crate::{Call, Outcome, Path};

/// A mesh with the indexes over its Services, DestinationRules and Sidecars.
#[derive(Debug)]
pub struct Transport<'m> {
    mesh: &'m Mesh,
}

impl<'m> Transport<'m> {
    /// Builds the indexes; linear in the objects of the mesh.
    pub fn new(mesh: &'m Mesh) -> Self {
        Transport { mesh }
    }

    /// The mesh that it is built over.
    pub fn mesh(&self) -> &'m Mesh {
        self.mesh
    }

    /// What becomes of a call.
    pub fn call(&self, _call: &Call<'_>) -> Outcome {
        Outcome {
            path: Path::NoCluster,
            tls: None,
            endpoints: Vec::new(),
            evidence: Vec::new(),
            unknown: vec!["calls are not followed yet".to_owned()],
        }
    }
}
