//! `net/netip`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `netip.ParseAddr`: an IPv4 address without leading zeros, or an IPv6 address with an optional zone.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        // A zone belongs to IPv6 and must not be empty.
        Some((address, zone)) if !zone.is_empty() => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        Some(_) => None,
        None if text.contains(':') => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// `netip.ParsePrefix`: an address without a zone, a slash, and a length without sign or leading zero. Bits behind
/// the prefix may be set.
pub fn parse_prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.rsplit_once('/')?;
    if address.contains('%') {
        return None;
    }
    let address = parse_address(address)?;
    if length.len() > 1 && !matches!(length.as_bytes()[0], b'1'..=b'9') {
        return None;
    }
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.parse().ok().filter(|&length| length <= most).map(|length| (address, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["10.0.0.1", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "2001:db8::"] {
            assert!(parse_address(good).is_some(), "{good}");
        }
        for bad in ["", "*", "10.0.0", "10.0.0.01", "256.0.0.1", "10.0.0.1%x", "fe80::1%", "bad", "10.0.0.1 "]
        {
            assert!(parse_address(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn prefixes() {
        for good in ["10.0.0.1/8", "0.0.0.0/0", "2001:db8::/32", "::/128"] {
            assert!(parse_prefix(good).is_some(), "{good}");
        }
        for bad in [
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/08",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "fe80::%e/64",
            "/8",
        ] {
            assert!(parse_prefix(bad).is_none(), "{bad}");
        }
    }
}
