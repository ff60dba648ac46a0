//! Dense ids into the tables of a [`Mesh`](crate::Mesh).

macro_rules! id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

id! {
    /// Index into `Mesh::resources`.
    ResourceId,
    /// Index into `Mesh::clusters`.
    ClusterId,
    /// Index into `Mesh::namespaces`.
    NamespaceId,
    /// Index into `Mesh::workloads`.
    WorkloadId,
    /// Index into `Mesh::services`.
    ServiceId,
    /// Index into `Mesh::gateways`.
    GatewayId,
}
