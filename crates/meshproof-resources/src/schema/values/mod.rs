//! Small value languages as Go's standard library reads them, since API server and istiod are written in Go.

mod address;
mod duration;
mod names;
mod numbers;
mod url;

pub use address::{parse_address, parse_prefix};
pub use duration::parse_duration;
pub use names::{
    is_dns_label, is_dns_subdomain, is_label_key, is_label_value, is_qualified_name, is_wildcard_dns_label,
};
pub use numbers::{parse_bool, parse_int, parse_unsigned};
pub use url::{Url, parse_request_url, parse_url};
