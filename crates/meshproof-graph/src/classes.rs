//! What makes places equal.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use meshproof_explain::PointKind;
use meshproof_ir::{Attachments, ClusterId, ResourceId};
use meshproof_network::Class;

use crate::clients::ClientsId;
use crate::effect::Effect;

/// Longer lists of policies are one only where they are stored once.
const COMPARED: usize = 64;

/// What makes places equal.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub kind: PointKind,
    pub port: u16,
    pub cluster: ClusterId,
    pub policies: u32,
    pub request_authentications: u32,
    pub network: Option<Class>,
    pub doubts: Vec<String>,
    pub arrivals: Vec<(Effect, ClientsId)>,
    /// A waypoint or gateway is a place by itself.
    pub own: Option<(bool, u32)>,
}

/// Lists of policies by number.
#[derive(Default)]
pub(crate) struct Lists {
    shared: HashMap<[usize; 3], u32, RandomState>,
    written: HashMap<Vec<(ResourceId, bool)>, u32, RandomState>,
    next: u32,
}

impl Lists {
    /// Equal lists have equal numbers.
    pub fn number(&mut self, list: &Attachments) -> u32 {
        if let Some(known) = self.shared.get(&list.sharing_key()) {
            return *known;
        }
        let next = self.next;
        let number = match list.len() <= COMPARED {
            true => {
                let own = list.iter().map(|one| (one.policy, one.certain.is_ok())).collect();
                *self.written.entry(own).or_insert(next)
            }
            false => next,
        };
        self.next += u32::from(number == next);
        self.shared.insert(list.sharing_key(), number);
        number
    }
}
