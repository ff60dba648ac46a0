//! Ports and addresses: intervals between borders, each with its record.

use std::net::IpAddr;

use crate::bytes::{U32s, U128s};
use crate::format::NONE;

/// The intervals of ports or addresses, each from its border up to the next. Below the first border nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Intervals<'t> {
    /// Of ports and IPv4 addresses, ascending.
    pub borders: U32s<'t>,
    /// One per border, or [`NONE`].
    pub records: U32s<'t>,
    /// Of IPv6 addresses.
    pub wide_borders: U128s<'t>,
    pub wide_records: U32s<'t>,
}

/// How many of `count` ascending numbers are not above the wanted one.
#[inline(always)]
fn up_to(count: usize, is_above: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = (low + high) / 2;
        if is_above(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

impl Intervals<'_> {
    /// The record of the interval with the port.
    #[inline(always)]
    pub fn port(&self, port: u16) -> Option<u32> {
        self.narrow(u32::from(port))
    }

    /// The record of the interval with the address. IPv4 and IPv6 never meet, mapped addresses included.
    #[inline(always)]
    pub fn address(&self, address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(address) => self.narrow(u32::from(address)),
            IpAddr::V6(address) => {
                let number = u128::from(address);
                let at = up_to(self.wide_borders.len(), |at| self.wide_borders.at(at) > number);
                known(self.wide_records.at(at.checked_sub(1)?))
            }
        }
    }

    #[inline(always)]
    fn narrow(&self, number: u32) -> Option<u32> {
        let at = up_to(self.borders.len(), |at| self.borders.at(at) > number);
        known(self.records.at(at.checked_sub(1)?))
    }
}

#[inline(always)]
fn known(record: u32) -> Option<u32> {
    (record != NONE).then_some(record)
}
