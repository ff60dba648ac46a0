//! Ports and methods that rows name, and have a bit of their own in each.

use crate::bytes::place;
use crate::format::{METHOD_BYTES, METHODS, PORTS};
use crate::hash::SECOND;

/// Ports that have a bit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ports {
    ports: [u16; PORTS],
    count: usize,
}

impl Ports {
    /// Adds one; those that are too many are left out.
    pub fn add(&mut self, port: u16) {
        if let Some(to) = self.ports.get_mut(self.count) {
            *to = port;
            self.count += 1;
        }
    }

    pub fn known(&self) -> &[u16] {
        self.ports.get(..self.count).unwrap_or_default()
    }

    /// The number of a port; none for one that no row names.
    #[inline(always)]
    pub fn number(&self, port: u16) -> Option<u32> {
        self.known().iter().position(|known| *known == port).map(|at| at as u32)
    }
}

/// Slots for methods, twice as many as there are of these, so that a factor that parts them is soon found.
const SLOTS: usize = 2 * METHODS;

/// Methods that have a bit, by some bits of their text times a factor. Which method comes is as good as random, so nothing
/// here branches on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Methods {
    factor: u64,
    /// The texts as numbers, and which methods they are.
    texts: [u64; SLOTS],
    places: [u8; SLOTS],
}

/// No method.
const FREE: u64 = u64::MAX;

impl Default for Methods {
    fn default() -> Methods {
        Methods { factor: 0, texts: [FREE; SLOTS], places: [0; SLOTS] }
    }
}

impl Methods {
    /// These methods in their order; nothing where one is twice there, or they are not to be told apart.
    pub fn new(methods: &[&[u8]]) -> Option<Methods> {
        (0..4096).find_map(|at| {
            let mut all = Methods { factor: SECOND.wrapping_mul(2 * at + 1), ..Methods::default() };
            for (place, method) in methods.iter().enumerate().take(METHODS) {
                let text = text(method);
                let slot = all.slot(text);
                let to = all.texts.get_mut(slot).filter(|to| **to == FREE)?;
                *to = text;
                all.places.get_mut(slot).into_iter().for_each(|to| *to = place as u8);
            }
            Some(all)
        })
    }

    #[inline(always)]
    fn slot(&self, text: u64) -> usize {
        (text.wrapping_mul(self.factor) >> 60) as usize % SLOTS
    }

    /// Which method it is; none for one that no row names.
    #[inline(always)]
    pub fn number(&self, method: &[u8]) -> Option<u32> {
        let text = text(method);
        let slot = self.slot(text);
        let is_known = self.texts.get(slot) == Some(&text) && method.len() <= METHOD_BYTES;
        is_known.then(|| self.places.get(slot).copied().unwrap_or_default().into())
    }

    /// The method with a number.
    pub fn name(&self, number: u32) -> Vec<u8> {
        let known = self.texts.iter().zip(self.places).filter(|(text, _)| **text != FREE);
        let found =
            known.filter(|(_, place)| u32::from(*place) == number).map(|(text, _)| text.to_le_bytes());
        found.take(1).flat_map(|[text @ .., length]| text.into_iter().take(place(length.into()))).collect()
    }
}

/// The first bytes of a method as a number, and how many they are.
#[inline(always)]
fn text(method: &[u8]) -> u64 {
    let byte = |at: usize| u64::from(*method.get(at).unwrap_or(&0)) << (8 * at);
    let length = method.len().min(METHOD_BYTES) as u64;
    (0..METHOD_BYTES).fold(length << (8 * METHOD_BYTES), |all, at| all | byte(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_is_itself() {
        let all: [&[u8]; METHODS] =
            [b"GET", b"PUT", b"POST", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS", b"CONNECT"];
        for count in 0..=all.len() {
            let methods = Methods::new(&all[..count]).expect("they differ");
            for (number, method) in all.iter().enumerate() {
                assert_eq!(methods.number(method), (number < count).then_some(number as u32));
                assert_eq!(methods.name(number as u32), if number < count { *method } else { b"" });
            }
            for other in [&b""[..], b"GE", b"GETS", b"G\0T", b"get", b"CONNECTS", b"PROPFIND", b"GET\0"] {
                assert_eq!(methods.number(other), None, "{other:?}");
            }
        }
        assert!(Methods::new(&[b"GET", b"GET"]).is_none());
    }
}
