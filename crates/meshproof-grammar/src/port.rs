//! Ports as policies write them (strings), and the port lists of capture annotations.
//!
//! Rules: Istio 1.32, `pkg/config/security/security.go` (`ValidatePorts`) and `pkg/kube/inject/validate.go`
//! (`includeInboundPorts`, `excludeInboundPorts`, `excludeOutboundPorts`).

use std::fmt;

use crate::error::ParseError;
use crate::text::{offset, pieces, shown};

/// One port. `"080"` means 80; 0 is admitted though no connection has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port(pub u16);

/// The value of a capture annotation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PortList {
    /// `*`: every port.
    All,
    /// The listed ones, in the order written; none for an empty value.
    Ports(Vec<u16>),
}

impl Port {
    /// Reads a port.
    ///
    /// # Errors
    /// Anything but decimal digits, or a number over 65535.
    pub fn parse(text: &str) -> Result<Port, ParseError> {
        let all = 0..text.len();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let Some(digits) = is_number.then_some(text) else {
            let error = ParseError::new(all, format!("{} is not a port number", shown(text)));
            return Err(if text.contains(['-', ':', ',']) {
                error.with_help("ranges and lists are not supported; write one string for each port")
            } else if text.trim() != text {
                error.with_help("remove the white space")
            } else {
                error.with_help("write a number from 0 to 65535; port names are not supported here")
            });
        };
        let value = digits.trim_start_matches('0');
        match if value.is_empty() { Ok(0) } else { value.parse::<u16>() } {
            Ok(number) => Ok(Port(number)),
            Err(_) => {
                Err(ParseError::new(all, format!("{} is larger than the largest port, 65535", shown(text))))
            }
        }
    }
}

impl PortList {
    /// Reads a list.
    ///
    /// # Errors
    /// The first invalid entry. A pod with such an annotation is rejected at injection.
    pub fn parse(text: &str) -> Result<PortList, ParseError> {
        let (list, errors) = PortList::read(text);
        errors.into_iter().next().map_or(Ok(list), Err)
    }

    /// Reads a list, keeping what is valid beside every error.
    pub fn read(text: &str) -> (PortList, Vec<ParseError>) {
        if text == "*" {
            return (PortList::All, Vec::new());
        }
        let trimmed = text.trim();
        let mut ports = Vec::new();
        let mut errors = Vec::new();
        if trimmed.is_empty() {
            return (PortList::Ports(ports), errors);
        }
        for (_, piece) in pieces(trimmed, ',') {
            let entry = piece.trim();
            let at = offset(text, entry);
            if entry.is_empty() {
                errors.push(ParseError::new(at..at, "a port is missing between the commas"));
                continue;
            }
            match Port::parse(entry) {
                Ok(port) => ports.push(port.0),
                Err(_) if entry == "*" => errors.push(
                    ParseError::new(at..at + 1, "`*` must stand alone")
                        .with_help("write `*` for every port, or list the ports"),
                ),
                Err(error) => errors.push(error.shifted(at)),
            }
        }
        (PortList::Ports(ports), errors)
    }

    /// Whether the list names the port.
    pub fn contains(&self, port: u16) -> bool {
        match self {
            PortList::All => true,
            PortList::Ports(ports) => ports.contains(&port),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PortList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortList::All => f.write_str("*"),
            PortList::Ports(ports) => {
                let texts: Vec<String> = ports.iter().map(u16::to_string).collect();
                f.write_str(&texts.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        assert_eq!(Port::parse("080"), Ok(Port(80)));
        assert_eq!(Port::parse("0"), Ok(Port(0)));
        assert_eq!(Port::parse("65535"), Ok(Port(65535)));
        for bad in ["65536", "", " 80", "8080 ", "+80", "1e3", "http", "80-90", "8_0", "٣"] {
            assert!(Port::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists() {
        assert_eq!(PortList::parse("*"), Ok(PortList::All));
        assert_eq!(PortList::parse(""), Ok(PortList::Ports(vec![])));
        assert_eq!(PortList::parse(" 80, 443 "), Ok(PortList::Ports(vec![80, 443])));
        let (list, errors) = PortList::read("80,,x,*, 99999");
        assert_eq!(list, PortList::Ports(vec![80]));
        let places: Vec<_> = errors.into_iter().map(|error| error.at).collect();
        assert_eq!(places, [3..3, 4..5, 6..7, 9..14]);
    }
}
