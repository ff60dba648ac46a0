//! What the manifests mean: the mesh with its workloads, ports, identities and attached policies.
