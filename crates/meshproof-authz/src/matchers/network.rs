//! Addresses, ports, server names.

use std::net::IpAddr;

use meshproof_grammar::cidr::Cidr;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::port::Port;

use super::text;
use crate::trace::Reason;
use crate::view::View;

/// Host bits do not count; IPv4 and IPv6 never meet, mapped addresses included.
pub(crate) fn address(value: &str, address: IpAddr) -> bool {
    Cidr::parse(value).is_ok_and(|block| block.contains(address))
}

pub(super) fn bad_address(value: &str) -> Option<Reason> {
    Cidr::parse(value).is_err().then_some(Reason::BadAddress)
}

pub(crate) fn port(value: &str, port: u16) -> bool {
    Port::parse(value).is_ok_and(|written| written.0 == port)
}

pub(super) fn bad_port(value: &str) -> Option<Reason> {
    Port::parse(value).is_err().then_some(Reason::BadPort)
}

/// The name is in lower case and the value is not changed, so a value with capitals never matches.
pub(super) fn sni(value: &str, view: &View<'_>) -> bool {
    text(&Pattern::parse(value), view.sni.as_deref().unwrap_or_default())
}
