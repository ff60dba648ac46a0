//! Addresses and address blocks: `10.1.2.3`, `10.0.0.0/8`, `2001:db8::/32`.
//!
//! Rules: Istio 1.32, `pkg/config/security/security.go` (`ValidateIPs`), which relies on Go's `net/netip`: a value with
//! a slash is a prefix, any other an address. Host bits are kept as written and ignored when matching.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use nom::bytes::complete::tag;
use nom::character::complete::digit1;
use nom::combinator::{all_consuming, verify};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::error::ParseError;
use crate::text::shown;

/// An address or a block of addresses, as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    /// The address, host bits included.
    pub address: IpAddr,
    /// The zone of a single IPv6 address (`fe80::1%eth0`). It is admitted, but no proxy understands it.
    pub zone: Option<String>,
    /// The number of leading bits that count; a single address has none written.
    pub prefix: Option<u8>,
}

/// A decimal number without leading zeros.
fn prefix_length(input: &str) -> IResult<&str, &str> {
    all_consuming(preceded(
        tag("/"),
        verify(digit1, |digits: &str| digits.len() <= 3 && (digits == "0" || !digits.starts_with('0'))),
    ))
    .parse(input)
}

impl Cidr {
    /// Reads an address or a block.
    ///
    /// # Errors
    /// Not an IPv4 or IPv6 address, a zone in a block or on IPv4, or a prefix length that is not a plain number of at
    /// most 32 or 128.
    pub fn parse(text: &str) -> Result<Cidr, ParseError> {
        match text.rfind('/') {
            None => {
                let (address, zone) = parse_address(text)?;
                Ok(Cidr { address, zone, prefix: None })
            }
            Some(slash) => parse_block(text, slash),
        }
    }

    /// Reads a block; a single address is not enough (`excludeOutboundIPRanges` and the like).
    ///
    /// # Errors
    /// As [`Cidr::parse`], or a missing prefix length.
    pub fn parse_block(text: &str) -> Result<Cidr, ParseError> {
        let cidr = Cidr::parse(text)?;
        if cidr.prefix.is_some() {
            return Ok(cidr);
        }
        let bits = if cidr.address.is_ipv4() { 32 } else { 128 };
        Err(ParseError::new(
            text.len()..text.len(),
            format!("the prefix length is missing after {}", shown(text)),
        )
        .with_help(format!("write `{text}/{bits}` for this one address")))
    }

    /// The block with host bits cleared; a single address is a block of one.
    pub fn network(&self) -> IpNet {
        let bits = if self.address.is_ipv4() { 32 } else { 128 };
        // A prefix length that `parse` accepted always fits; a hand-made longer one means the single address.
        IpNet::new(self.address, self.prefix.unwrap_or(bits).min(bits))
            .map_or_else(|_| IpNet::from(self.address), |net| net.trunc())
    }

    /// Whether the address lies in the block. IPv4 and IPv6 never meet.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.zone.is_none() && self.network().contains(&address)
    }

    /// Whether every address of the other block lies in this one.
    pub fn covers(&self, other: &Cidr) -> bool {
        self.zone.is_none() && self.network().contains(&other.network())
    }

    /// Whether bits behind the prefix are set, as in `10.0.0.7/8`.
    pub fn has_host_bits(&self) -> bool {
        self.prefix.is_some() && self.network().addr() != self.address
    }
}

fn parse_address(text: &str) -> Result<(IpAddr, Option<String>), ParseError> {
    let (bare, zone) = match text.split_once('%') {
        Some((bare, zone)) => (bare, Some(zone)),
        None => (text, None),
    };
    let address: IpAddr = bare.parse().map_err(|_| {
        let error = ParseError::new(0..text.len(), format!("{} is not an IP address", shown(text)));
        if text.contains('*') {
            error.with_help("write a block such as `10.0.0.0/8` instead of a wildcard")
        } else if text.starts_with(|c: char| c.is_ascii_digit()) {
            error.with_help("write four numbers from 0 to 255 without leading zeros, or an IPv6 address")
        } else {
            error
        }
    })?;
    match zone {
        None => Ok((address, None)),
        Some(zone) if address.is_ipv6() && !zone.is_empty() => Ok((address, Some(zone.to_owned()))),
        Some(_) => Err(ParseError::new(bare.len()..text.len(), "a zone needs an IPv6 address and a name")),
    }
}

fn parse_block(text: &str, slash: usize) -> Result<Cidr, ParseError> {
    let (address, zone) = parse_address(&text[..slash])?;
    if let Some(zone) = zone {
        let start = slash - zone.len() - 1;
        return Err(ParseError::new(start..slash, "a zone cannot stand in a block of addresses"));
    }
    let max: u8 = if address.is_ipv4() { 32 } else { 128 };
    let digits = slash + 1..text.len();
    let (_, written) = prefix_length(&text[slash..]).map_err(|_| {
        ParseError::new(digits.clone(), format!("{} is not a prefix length", shown(&text[digits.clone()])))
            .with_help(format!("write a number from 0 to {max} without sign or leading zeros"))
    })?;
    match written.parse::<u16>() {
        Ok(bits) if bits <= u16::from(max) => {
            Ok(Cidr { address, zone: None, prefix: u8::try_from(bits).ok() })
        }
        _ => Err(ParseError::new(digits, format!("the prefix length {written} is larger than {max}"))),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(zone) = &self.zone {
            write!(f, "%{zone}")?;
        }
        match self.prefix {
            Some(prefix) => write!(f, "/{prefix}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_ignored() {
        let cidr = Cidr::parse("10.0.0.7/8").unwrap();
        assert!(cidr.has_host_bits());
        assert!(cidr.contains("10.200.1.1".parse().unwrap()));
        assert!(!cidr.contains("11.0.0.1".parse().unwrap()));
        assert!(!Cidr::parse("0.0.0.0/0").unwrap().contains("::1".parse().unwrap()));
        assert!(cidr.covers(&Cidr::parse("10.1.0.0/16").unwrap()));
        assert!(!cidr.covers(&Cidr::parse("0.0.0.0/0").unwrap()));
    }

    #[test]
    fn zones() {
        assert!(Cidr::parse("fe80::1%eth0").is_ok());
        assert_eq!(Cidr::parse("fe80::1%eth0/64").unwrap_err().at, 7..12);
        assert_eq!(Cidr::parse("10.0.0.1%eth0").unwrap_err().at, 8..13);
    }

    #[test]
    fn prefix_lengths() {
        for bad in
            ["10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/+1", "10.0.0.0/", "::/129", "::/1000"]
        {
            assert_eq!(Cidr::parse(bad).unwrap_err().at.start, bad.find('/').unwrap() + 1, "{bad}");
        }
        assert!(Cidr::parse("10.0.0.0/8/8").is_err());
        assert!(Cidr::parse("010.0.0.1").is_err());
        assert!(Cidr::parse_block("10.0.0.1").is_err());
    }
}
