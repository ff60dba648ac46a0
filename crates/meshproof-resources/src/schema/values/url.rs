//! `net/url`, as far as admission asks: whether a URL parses, its scheme and its port.

/// The parts of a URL that admission looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// In lower case; empty when there is none.
    pub scheme: String,
    /// Behind the host, without the colon; empty when there is none.
    pub port: String,
}

/// `url.Parse` (Go 1.26, `net/url/url.go`).
pub fn parse_url(text: &str) -> Option<Url> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    parse(text, false).filter(|_| escapes_are_whole(fragment))
}

/// `url.ParseRequestURI`: absolute, or a path that starts with a slash. What follows `#` is part of the path.
pub fn parse_request_url(text: &str) -> Option<Url> {
    parse(text, true)
}

fn parse(text: &str, via_request: bool) -> Option<Url> {
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) || (text.is_empty() && via_request) {
        return None;
    }
    let nothing = || Url { scheme: String::new(), port: String::new() };
    if text == "*" {
        return Some(nothing());
    }
    let (scheme, rest) = split_scheme(text)?;
    let scheme = scheme.to_ascii_lowercase();
    // The query may hold anything.
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            return Some(Url { scheme, port: String::new() });
        }
        if via_request || rest.split('/').next().is_some_and(|first| first.contains(':')) {
            return None;
        }
    }
    let has_authority =
        (!scheme.is_empty() || (!via_request && !rest.starts_with("///"))) && rest.starts_with("//");
    let (authority, path) = if has_authority {
        let rest = &rest[2..];
        rest.split_at(rest.find('/').unwrap_or(rest.len()))
    } else {
        ("", rest)
    };
    let port = port_of(authority)?.to_owned();
    escapes_are_whole(path).then_some(Url { scheme, port })
}

/// Scheme and rest; `None` for a colon without a scheme before it.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at > 0 => return Some((&text[..at], &text[at + 1..])),
            b':' => return None,
            _ => return Some(("", text)),
        }
    }
    Some(("", text))
}

/// The port of `user@host:port`, or `None` when the authority is malformed.
fn port_of(authority: &str) -> Option<&str> {
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
            if !user.bytes().all(allowed) || !escapes_are_whole(user) {
                return None;
            }
            host
        }
        None => authority,
    };
    let port = if host.starts_with('[') {
        let (address, port) = host.rsplit_once(']')?;
        let literal = address[1..].replacen("%25", "%", 1);
        super::parse_address(&literal).filter(std::net::IpAddr::is_ipv6)?;
        port
    } else {
        let (name, port) = host.split_at(host.rfind(':').unwrap_or(host.len()));
        // A second colon would be an IPv6 address without brackets.
        if name.contains(':') || !name.bytes().all(host_byte) || !host_escapes(name) {
            return None;
        }
        port
    };
    match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits),
        None => port.is_empty().then_some(""),
    }
}

fn host_byte(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte)
}

/// In a host only bytes beyond ASCII may be escaped.
fn host_escapes(text: &str) -> bool {
    escapes_are_whole(text)
        && text
            .split('%')
            .skip(1)
            .all(|escape| escape.as_bytes().first().is_some_and(|byte| !matches!(byte, b'0'..=b'7')))
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|escape| {
        let bytes = escape.as_bytes();
        bytes.len() >= 2 && bytes[0].is_ascii_hexdigit() && bytes[1].is_ascii_hexdigit()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_and_ports() {
        for (text, scheme, port) in [
            ("https://i.example/jwks", "https", ""),
            ("HTTP://i.example:99999/x", "http", "99999"),
            ("https://u:p@[::1]:8080/x?y=%zz", "https", "8080"),
            ("mailto:x", "mailto", ""),
            ("/only/path", "", ""),
            ("https:", "https", ""),
        ] {
            let expected = Some(Url { scheme: scheme.to_owned(), port: port.to_owned() });
            assert_eq!(parse_url(text), expected, "{text}");
            assert_eq!(parse_request_url(text), expected, "{text}");
        }
    }

    #[test]
    fn relative_ones_are_no_request_urls() {
        assert!(parse_url("bad").is_some() && parse_request_url("bad").is_none());
        assert!(parse_url("").is_some() && parse_request_url("").is_none());
    }

    #[test]
    fn malformed_ones() {
        for bad in [
            "://x",
            "https://a b/",
            "https://a:b/",
            "https://[::1",
            "https://x/%zz",
            "https://a\nb",
            "https://::1/",
        ] {
            assert_eq!(parse_url(bad), None, "{bad:?}");
        }
    }
}
