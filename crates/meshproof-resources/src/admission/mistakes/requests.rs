//! Values about HTTP requests: hosts, methods, paths and the keys of conditions.

use meshproof_grammar::ParseError;
use meshproof_grammar::path_template::is_template;
use meshproof_grammar::when_key::WhenKey;

use super::{METHOD_CASE, NEVER_MATCHING_VALUE, wildcard};

type Problem = (&'static str, ParseError);

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// Methods are compared letter by letter, and those of the standard are in upper case (RFC 9110, 9.1).
pub(super) fn method(value: &str) -> Option<Problem> {
    let upper = value.to_ascii_uppercase();
    let trimmed = upper.trim();
    if value != trimmed && METHODS.contains(&trimmed) {
        let message = if value.trim() == trimmed {
            "blanks around the method are part of the value, so it matches no request"
        } else {
            "methods are compared letter by letter, and clients send this one in upper case"
        };
        return Some((
            METHOD_CASE,
            ParseError::new(0..value.len(), message).with_help(format!("write `{trimmed}`")),
        ));
    }
    wildcard(value)
}

/// A Host header holds a name and perhaps a port: no scheme, no path, no blank.
pub(super) fn host(value: &str) -> Option<Problem> {
    if let Some(at) = value.find("://") {
        let name = value[at + 3..].split('/').next().unwrap_or("");
        let error =
            ParseError::new(0..at + 3, "the Host header holds no scheme, so this value matches no request");
        return Some((NEVER_MATCHING_VALUE, error.with_help(format!("write the name alone: `{name}`"))));
    }
    if let Some(at) = value.find('/') {
        let error = ParseError::new(
            at..value.len(),
            "the Host header holds no path, so this value matches no request",
        );
        return Some((NEVER_MATCHING_VALUE, error.with_help("put the path into `paths`")));
    }
    wildcard(value)
}

/// Paths are compared after the query is cut off; by default dot segments are resolved, backslashes turned into
/// slashes and unreserved characters decoded (meshConfig `pathNormalization`, BASE and above).
pub(super) fn path(value: &str) -> Option<Problem> {
    let never = |at, message: &str, help: &str| {
        Some((NEVER_MATCHING_VALUE, ParseError::new(at, message).with_help(help)))
    };
    if is_template(value) {
        if !value.starts_with('/') {
            let message = "a path template begins with `/`: Envoy refuses the whole configuration otherwise";
            return never(0..value.len(), message, "put a slash in front");
        }
        return None;
    }
    if let Some(at) = value.find(['?', '#']) {
        let message = "query and fragment are cut off before paths are compared, so this matches no request";
        return never(
            at..value.len(),
            message,
            "end the value before it; a query cannot be tested by `paths`",
        );
    }
    if !value.starts_with(['/', '*']) {
        let message = "every path begins with `/`, so this value matches no request";
        let help = if value.starts_with('^') {
            "paths are no regular expressions: write `/x`, `/x*`, `*/x` or a template with `{*}`"
        } else {
            "put a slash in front"
        };
        return never(0..value.len(), message, help);
    }
    if let Some(problem) = not_normal(value) {
        return Some((NEVER_MATCHING_VALUE, problem));
    }
    let (lint, error) = wildcard(value)?;
    let help = "use one `*`, as the first or the last character, or a template: `{*}` for one segment, `{**}` for the rest";
    Some((lint, error.with_help(help)))
}

/// What normalization never leaves in a path. A star at an end stands for any text, so parts next to it are not judged.
fn not_normal(value: &str) -> Option<ParseError> {
    let always = "with path normalization (on by default) no path that is compared holds this";
    if let Some(at) = value.find('\\') {
        return Some(
            ParseError::new(at..at + 1, format!("{always}: `\\` becomes `/`")).with_help("write `/`"),
        );
    }
    let mut start = 0;
    for segment in value.split('/') {
        let end = start + segment.len();
        // The last segment of `/a/..` is a whole one too, but `/a/.*` is a prefix of hidden files.
        let whole = start > 0 && (end < value.len() || !value.ends_with('*'));
        if whole && matches!(segment, "." | "..") {
            let error = ParseError::new(start..end, format!("{always}: dot segments are resolved"));
            return Some(error.with_help("write the path that they lead to"));
        }
        start = end + 1;
    }
    for (at, _) in value.match_indices('%') {
        let code = value.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(code) = code.filter(|&code| code.is_ascii_alphanumeric() || b"-._~".contains(&code)) {
            let plain = char::from(code);
            let error = ParseError::new(at..at + 3, format!("{always}: it is decoded to `{plain}`"));
            return Some(error.with_help(format!("write `{plain}`")));
        }
    }
    None
}

/// A key that the webhook takes and that names nothing.
pub(super) fn key(key: &str) -> Option<ParseError> {
    let WhenKey::RequestHeader(name) = WhenKey::parse(key).ok()? else {
        return unusable(key);
    };
    let start = key.len().saturating_sub(name.len() + 1);
    let bare = name.trim_matches(['"', '\'', ' ']);
    if bare != name {
        let error = ParseError::new(
            start..start + name.len(),
            "quotes and blanks are part of the header's name here, and no header is called so",
        );
        return Some(error.with_help(format!("write `request.headers[{bare}]`")));
    }
    None
}

fn unusable(key: &str) -> Option<ParseError> {
    match WhenKey::parse(key).ok()? {
        WhenKey::RequestClaim(path) => {
            let quoted = path.iter().find(|name| name.starts_with(['"', '\'']))?;
            let at = key.find(quoted.as_str())?;
            let error =
                ParseError::new(at..at + quoted.len(), "the quotes are part of the claim's name here");
            Some(error.with_help(format!("write `{}` without quotes", quoted.trim_matches(['"', '\'']))))
        }
        WhenKey::Unusable(_) => {
            let family =
                if key.starts_with("request.headers") { "request.headers" } else { "request.auth.claims" };
            let error = ParseError::new(
                0..key.find('[').unwrap_or(key.len()),
                "istiod takes this key and cannot use it: an ALLOW rule with it is dropped, a DENY rule denies more",
            );
            Some(
                error.with_help(format!(
                    "write `{family}[name]`, with nothing between the word and the bracket"
                )),
            )
        }
        _ => None,
    }
}
