//! The list of policies at one enforcement point, stored once for all workloads that share it.

use std::hash::BuildHasher;
use std::iter::Peekable;
use std::slice::Iter;
use std::sync::Arc;

use foldhash::quality::FixedState;

use crate::{Attachment, ResourceId};

static MIX: FixedState = FixedState::with_seed(0x6d65_7368);

/// Policies attached to a workload, sorted by resource.
///
/// What a namespace or the whole mesh shares is stored once, so that thousands of policies without a selector over
/// thousands of workloads cost their sum, not their product.
#[derive(Clone, Debug, Default)]
pub struct Attachments {
    layers: Vec<Arc<[Attachment]>>,
}

impl Attachments {
    /// From lists that many workloads may share, each sorted by resource, no policy in two of them.
    pub(crate) fn layered(layers: impl IntoIterator<Item = Arc<[Attachment]>>) -> Self {
        Attachments { layers: layers.into_iter().filter(|layer| !layer.is_empty()).collect() }
    }

    /// In the order of resources.
    pub fn iter(&self) -> AttachmentsIter<'_> {
        AttachmentsIter { layers: self.layers.iter().map(|layer| layer.iter().peekable()).collect() }
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

    /// Equal keys mean the same lists: workloads with one key need one analysis. Different keys may still mean equal
    /// lists. The key holds the addresses of the shared lists; from the third on they are mixed into one number.
    pub fn sharing_key(&self) -> [usize; 3] {
        let mut key = [0; 3];
        for (at, layer) in self.layers.iter().enumerate() {
            let address = layer.as_ptr().addr();
            match at {
                0..=2 => key[at] = address,
                _ => key[2] = MIX.hash_one((key[2], address)) as usize,
            }
        }
        key
    }

    /// Whether this is the same list as `other` without looking at its entries: workloads that share it need one
    /// analysis. Two lists that are not the same may still be equal.
    pub fn is_shared_with(&self, other: &Attachments) -> bool {
        let mut pairs = self.layers.iter().zip(&other.layers);
        self.layers.len() == other.layers.len() && pairs.all(|(left, right)| Arc::ptr_eq(left, right))
    }
}

impl From<Vec<Attachment>> for Attachments {
    fn from(mut own: Vec<Attachment>) -> Self {
        own.sort_by_key(|attachment| attachment.policy);
        Attachments::layered([own.into()])
    }
}

impl FromIterator<Attachment> for Attachments {
    fn from_iter<I: IntoIterator<Item = Attachment>>(items: I) -> Self {
        items.into_iter().collect::<Vec<_>>().into()
    }
}

impl PartialEq for Attachments {
    fn eq(&self, other: &Self) -> bool {
        self.is_shared_with(other) || self.iter().eq(other.iter())
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
    layers: Vec<Peekable<Iter<'a, Attachment>>>,
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
