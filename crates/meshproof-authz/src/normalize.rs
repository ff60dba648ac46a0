//! What happens to the request target before policies see it.
//!
//! Rules: Envoy 1.40 (`path_utility.cc`, the Chromium path canonicalizer behind it, the HTTP/1 codec), configured as in
//! Istio 1.32 `listener_builder.go`; checked character by character against recorded answers.

use crate::semantics::PathNormalization;

/// Why a request is answered with 400 before any policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The target is neither a path nor a URL.
    InvalidUrl,
    /// A byte that may not stand in a target: a control character, or one over 127.
    InvalidByte,
    /// A fragment (`#`), or `%00` in a path that is normalized.
    NotNormalizable,
}

impl Refusal {
    /// Envoy's response code detail.
    pub fn detail(self) -> &'static str {
        match self {
            Refusal::InvalidUrl => "http1.invalid_url",
            Refusal::InvalidByte => "http1.codec_error",
            Refusal::NotNormalizable => "path_normalization_failed",
        }
    }
}

/// The target, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The host of an absolute URL; it replaces the header `Host`.
    pub authority: Option<String>,
    /// The normalized path with its query; CONNECT has none.
    pub path: Option<String>,
}

/// Reads the target of a request.
///
/// # Errors
/// Why the proxy answers 400.
pub(crate) fn read_target(method: &str, target: &str, mode: PathNormalization) -> Result<Target, Refusal> {
    if method == "CONNECT" {
        return Ok(Target { authority: Some(target.to_owned()), path: None });
    }
    let is_asterisk = target == "*" && method == "OPTIONS";
    let (authority, path) = match absolute(target) {
        Some((authority, path)) => (Some(authority.to_owned()), path),
        None if target.starts_with('/') || is_asterisk => (None, target.to_owned()),
        None => return Err(Refusal::InvalidUrl),
    };
    let path = if is_asterisk { path } else { normalize_path(&path, mode)? };
    Ok(Target { authority, path: Some(path) })
}

/// `http://host/path`, as sent to forward proxies; any server has to take it.
fn absolute(target: &str) -> Option<(&str, String)> {
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let slash = if path.starts_with('/') { "" } else { "/" };
    (!authority.is_empty()).then(|| (authority, format!("{slash}{path}")))
}

/// The path as policies see it, its query untouched.
///
/// # Errors
/// Why the proxy answers 400.
pub fn normalize_path(path: &str, mode: PathNormalization) -> Result<String, Refusal> {
    if path.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
        return Err(Refusal::InvalidByte);
    }
    if path.contains('#') {
        return Err(Refusal::NotNormalizable);
    }
    if mode == PathNormalization::None {
        return Ok(path.to_owned());
    }
    let (path, query) = match path.find('?') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    let mut normal = if mode == PathNormalization::DecodeAndMergeSlashes {
        canonical(&unescape_slashes(path))?
    } else {
        canonical(path)?
    };
    if mode != PathNormalization::Base {
        normal = merge_slashes(&normal);
    }
    Ok(normal + query)
}

/// `%2f` and `%5c` become what they stand for. One pass: `%252f` stays.
fn unescape_slashes(path: &str) -> String {
    ["%2f", "%2F"]
        .iter()
        .fold(path.to_owned(), |path, escape| path.replace(escape, "/"))
        .replace("%5c", "\\")
        .replace("%5C", "\\")
}

/// Characters that Chromium escapes when they stand in a path unescaped.
const ESCAPED: &[u8] = b"\"<>^`{|}";

/// Decodes needless escapes, turns backslashes, escapes a few characters, then resolves dot segments.
fn canonical(path: &str) -> Result<String, Refusal> {
    let bytes = path.as_bytes();
    let mut text = String::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' => text.push('/'),
            b'%' => match escaped_byte(bytes.get(at..at + 2)) {
                Some(0) => return Err(Refusal::NotNormalizable),
                Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                    text.push(char::from(byte));
                    at += 2;
                }
                // Other escapes keep their spelling, and what is no escape stays as it is.
                _ => text.push('%'),
            },
            _ if ESCAPED.contains(&byte) => text.push_str(&format!("%{byte:02X}")),
            _ => text.push(char::from(byte)),
        }
    }
    Ok(resolve_dots(&text))
}

fn escaped_byte(digits: Option<&[u8]>) -> Option<u8> {
    let [high, low] = digits? else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// RFC 3986 §5.2.4; empty segments count, so `/a//..` is `/a/`.
fn resolve_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        // A dot segment at the end leaves its slash.
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// Runs of slashes become one; but a path of several slashes only becomes two, because Envoy puts the first and the
/// last slash back separately (`PathUtil::mergeSlashes`).
fn merge_slashes(path: &str) -> String {
    if !path.contains("//") {
        return path.to_owned();
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let last = if path.ends_with('/') { "/" } else { "" };
    format!("/{}{last}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let read = |method, target| read_target(method, target, PathNormalization::Base);
        let target = read("GET", "http://example.com?x").unwrap();
        assert_eq!((target.authority.as_deref(), target.path.as_deref()), (Some("example.com"), Some("/?x")));
        assert_eq!(read("GET", "*"), Err(Refusal::InvalidUrl));
        assert_eq!(read("OPTIONS", "*").unwrap().path.as_deref(), Some("*"));
        assert_eq!(read("CONNECT", "a:80").unwrap(), Target { authority: Some("a:80".into()), path: None });
        assert_eq!(read("GET", "ftp://a/b"), Err(Refusal::InvalidUrl));
        assert_eq!(read("GET", "/a b"), Err(Refusal::InvalidByte));
    }

    #[test]
    fn dots_and_slashes() {
        let base = |path| normalize_path(path, PathNormalization::Base).unwrap();
        let merge = |path| normalize_path(path, PathNormalization::MergeSlashes).unwrap();
        assert_eq!(base("/a/../../b/."), "/b/");
        assert_eq!(base("/a//../b"), "/a/b");
        assert_eq!(base("/.."), "/");
        assert_eq!(base("/a?b/../%41"), "/a?b/../%41");
        assert_eq!(base("/%zz%"), "/%zz%");
        assert_eq!(merge("///"), "//");
        assert_eq!(merge("//a//"), "/a/");
        assert_eq!(merge("/"), "/");
    }

    proptest::proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(path in "/[ab./\\\\%2fF5cC]{0,12}") {
            // Decoding can uncover a new escape (`%%32f`), so only the modes that leave slashes alone are meant.
            for mode in [PathNormalization::None, PathNormalization::MergeSlashes] {
                if let Ok(once) = normalize_path(&path, mode) && !once.contains('%') {
                    proptest::prop_assert_eq!(normalize_path(&once, mode).unwrap(), once);
                }
            }
        }
    }
}
