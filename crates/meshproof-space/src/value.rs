//! Values of variables, and requests as values.

use std::net::IpAddr;
use std::sync::Arc;

/// A port or an address on one line: ports and IPv4 addresses first, IPv6 addresses behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number {
    pub is_v6: bool,
    pub value: u128,
}

impl Number {
    pub fn port(port: u16) -> Number {
        Number { is_v6: false, value: u128::from(port) }
    }

    pub fn address(address: IpAddr) -> Number {
        match address {
            IpAddr::V4(address) => Number { is_v6: false, value: u128::from(u32::from(address)) },
            IpAddr::V6(address) => Number { is_v6: true, value: u128::from(address) },
        }
    }

    /// The address back.
    pub fn to_address(self) -> IpAddr {
        if self.is_v6 {
            IpAddr::V6(self.value.into())
        } else {
            IpAddr::V4(u32::try_from(self.value).unwrap_or(u32::MAX).into())
        }
    }

    /// The next number of the same line.
    pub fn next(self) -> Option<Number> {
        Some(Number { value: self.value.checked_add(1)?, ..self })
    }
}

/// What a variable has in one request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    /// A port or an address.
    Number(Number),
    /// A text in its parts; a part that is not there is nothing.
    Parts(Arc<[Option<Arc<str>>]>),
    /// Several texts, none of them when there is nothing.
    Lines(Arc<[Arc<str>]>),
}

impl Value {
    pub fn text(text: Option<&Arc<str>>) -> Value {
        Value::Parts(Arc::from([text.cloned()]))
    }
}
