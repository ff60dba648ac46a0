//! Addresses, ports, server names.

use std::net::IpAddr;

use meshproof_grammar::cidr::Cidr;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::port::Port;

use super::text;
use crate::trace::Reason;
use crate::view::View;

pub(crate) fn blocks(values: &mut dyn Iterator<Item = &str>) -> Vec<Cidr> {
    values.filter_map(|value| Cidr::parse(value).ok()).collect()
}

pub(crate) fn ports(values: &mut dyn Iterator<Item = &str>) -> Vec<u16> {
    values.filter_map(|value| Port::parse(value).ok()).map(|port| port.0).collect()
}

/// Host bits do not count; IPv4 and IPv6 never meet, mapped addresses included.
pub(super) fn address(blocks: &[Cidr], address: IpAddr) -> bool {
    blocks.iter().any(|block| block.contains(address))
}

pub(super) fn bad_address(value: &str) -> Option<Reason> {
    Cidr::parse(value).is_err().then_some(Reason::BadAddress)
}

pub(super) fn bad_port(value: &str) -> Option<Reason> {
    Port::parse(value).is_err().then_some(Reason::BadPort)
}

/// The name is in lower case and the value is not changed, so a value with capitals never matches.
pub(super) fn sni(patterns: &[Pattern], view: &View<'_>) -> bool {
    let name = view.sni.as_deref().unwrap_or_default();
    patterns.iter().any(|pattern| text(pattern, name))
}
