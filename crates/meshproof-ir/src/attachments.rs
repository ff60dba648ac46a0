//! The list of policies at one enforcement point, stored once for all workloads that share it.

use std::iter::Peekable;
use std::slice::Iter;
use std::sync::Arc;

use crate::{Attachment, ResourceId};

/// Policies attached to a workload, sorted by resource.
///
/// What a namespace or the whole mesh shares is stored once, so that thousands of policies without a selector over
/// thousands of workloads cost their sum, not their product.
#[derive(Clone, Debug)]
pub struct Attachments {
    layers: [Arc<[Attachment]>; 3],
}

impl Attachments {
    /// From what the mesh, the namespace and the workload itself contribute, each sorted by resource.
    pub(crate) fn layered(
        mesh: Arc<[Attachment]>,
        namespace: Arc<[Attachment]>,
        own: Arc<[Attachment]>,
    ) -> Self {
        Attachments { layers: [mesh, namespace, own] }
    }

    /// In the order of resources.
    pub fn iter(&self) -> AttachmentsIter<'_> {
        AttachmentsIter { layers: self.layers.each_ref().map(|layer| layer.iter().peekable()) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.layers.iter().map(|layer| layer.len()).sum()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry of a policy.
    pub fn get(&self, policy: ResourceId) -> Option<&Attachment> {
        self.layers.iter().find_map(|layer| {
            let at = layer.binary_search_by_key(&policy, |attachment| attachment.policy).ok()?;
            layer.get(at)
        })
    }

    /// Equal keys mean the same list: workloads with one key need one analysis. Different keys may still mean equal
    /// lists.
    pub fn sharing_key(&self) -> [usize; 3] {
        self.layers.each_ref().map(|layer| if layer.is_empty() { 0 } else { layer.as_ptr().addr() })
    }
}

impl Default for Attachments {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Vec<Attachment>> for Attachments {
    fn from(mut own: Vec<Attachment>) -> Self {
        own.sort_by_key(|attachment| attachment.policy);
        let empty: Arc<[Attachment]> = Arc::new([]);
        Attachments { layers: [empty.clone(), empty, own.into()] }
    }
}

impl FromIterator<Attachment> for Attachments {
    fn from_iter<I: IntoIterator<Item = Attachment>>(items: I) -> Self {
        items.into_iter().collect::<Vec<_>>().into()
    }
}

impl PartialEq for Attachments {
    fn eq(&self, other: &Self) -> bool {
        self.sharing_key() == other.sharing_key() || self.iter().eq(other.iter())
    }
}

impl Eq for Attachments {}

impl<'a> IntoIterator for &'a Attachments {
    type Item = &'a Attachment;
    type IntoIter = AttachmentsIter<'a>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterator over [`Attachments`].
#[derive(Clone, Debug)]
pub struct AttachmentsIter<'a> {
    layers: [Peekable<Iter<'a, Attachment>>; 3],
}

impl<'a> Iterator for AttachmentsIter<'a> {
    type Item = &'a Attachment;

    fn next(&mut self) -> Option<&'a Attachment> {
        let mut first: Option<(ResourceId, usize)> = None;
        for (at, layer) in self.layers.iter_mut().enumerate() {
            if let Some(attachment) = layer.peek()
                && first.is_none_or(|(policy, _)| attachment.policy < policy)
            {
                first = Some((attachment.policy, at));
            }
        }
        self.layers[first?.1].next()
    }
}
