//! Hash tables whose keys come from manifests: seeded, so that nobody can choose them to collide, and quick.

use foldhash::fast::RandomState;

/// A map.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, RandomState>;
/// A set.
pub(crate) type Set<K> = std::collections::HashSet<K, RandomState>;
