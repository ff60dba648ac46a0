//! Plain scalars as Kubernetes reads them: go-yaml v2 as vendored in sigs.k8s.io/yaml (YAML 1.1, `resolve.go`).

use std::borrow::Cow;

use crate::Style;

/// A resolved scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'t> {
    /// `~`, `null`, or nothing at all.
    Null,
    /// `true`, `yes`, `on`, … unquoted.
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer between `i64::MAX` and `u64::MAX`.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A string, unescaped.
    Str(Cow<'t, str>),
}

/// An explicit tag as far as it changes the meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// No tag.
    None,
    /// `!`: resolve as if unquoted.
    NonSpecific,
    /// `!!int`, `!!bool`, `!!float`, `!!null`, `!!timestamp`: resolved even when quoted.
    Resolved,
    /// `!!float`.
    Float,
    /// `!!str`, or a tag that go-yaml does not know: the content as it is.
    Str,
}

/// The value of a scalar.
pub(crate) fn resolve(text: &str, style: Style, tag: Tag) -> Scalar<'_> {
    match tag {
        Tag::Str => Scalar::Str(Cow::Borrowed(text)),
        Tag::None if style != Style::Plain => Scalar::Str(Cow::Borrowed(text)),
        Tag::None | Tag::NonSpecific | Tag::Resolved => plain(text),
        Tag::Float => match plain(text) {
            Scalar::Int(value) => Scalar::Float(value as f64),
            other => other,
        },
    }
}

/// An unquoted scalar. Only the first byte decides which forms are tried, so most strings end here at once.
fn plain(text: &str) -> Scalar<'_> {
    let string = || Scalar::Str(Cow::Borrowed(text));
    let Some(first) = text.bytes().next() else { return Scalar::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => match text {
            "~" | "null" | "Null" | "NULL" => Scalar::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
                Scalar::Bool(true)
            }
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
                Scalar::Bool(false)
            }
            _ => string(),
        },
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Scalar::Float(f64::INFINITY),
            _ => float_from_dot(text).map_or_else(string, Scalar::Float),
        },
        b'+' | b'-' | b'0'..=b'9' => match text {
            "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
            _ => number(text).unwrap_or_else(string),
        },
        _ => string(),
    }
}

/// `.5`, `.5e3`: Go's `ParseFloat`, which takes underscores between digits.
fn float_from_dot(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        if *byte == b'_' && !(at > 0 && digit(at - 1) && digit(at + 1)) {
            return None;
        }
    }
    yaml_float(&without_underscores(text))
}

/// A text that begins with a sign or a digit.
fn number(text: &str) -> Option<Scalar<'static>> {
    // Host names, addresses and versions begin with a digit too; one look at the bytes settles them.
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')) {
        return None;
    }
    let plain = without_underscores(text);
    let (negative, digits) = match plain.as_bytes().first() {
        Some(b'-') => (true, &plain[1..]),
        Some(b'+') => (false, &plain[1..]),
        _ => (false, &*plain),
    };
    let signed = digits.len() < plain.len();
    let (radix, body) = go_base(digits);
    if !body.is_empty() && body.bytes().all(|byte| (byte as char).is_digit(radix)) {
        return Some(match u64::from_str_radix(body, radix) {
            Ok(value) => match (negative, i64::try_from(value)) {
                (false, Ok(value)) => Scalar::Int(value),
                (true, Ok(value)) => Scalar::Int(-value),
                (true, Err(_)) if value == i64::MIN.unsigned_abs() => Scalar::Int(i64::MIN),
                (false, Err(_)) if !signed => Scalar::Uint(value),
                _ => Scalar::Float(signed_float(negative, value as f64)),
            },
            // Larger than 64 bits: go-yaml keeps it exactly, which no field of ours can hold.
            Err(_) => Scalar::Float(signed_float(negative, large_integer(body, radix))),
        });
    }
    yaml_float(&plain).map(Scalar::Float)
}

fn signed_float(negative: bool, value: f64) -> f64 {
    if negative { -value } else { value }
}

fn large_integer(body: &str, radix: u32) -> f64 {
    body.chars()
        .filter_map(|digit| digit.to_digit(radix))
        .fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(digit))
}

/// The base a Go integer literal names by its prefix, and the digits after it (`strconv.ParseInt` with base 0).
fn go_base(digits: &str) -> (u32, &str) {
    let bytes = digits.as_bytes();
    if bytes.len() < 2 || bytes[0] != b'0' {
        return (10, digits);
    }
    match bytes[1] {
        b'x' | b'X' => (16, &digits[2..]),
        b'o' | b'O' => (8, &digits[2..]),
        b'b' | b'B' => (2, &digits[2..]),
        _ => (8, &digits[1..]),
    }
}

/// A number of the form `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` that a float can hold.
fn yaml_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if !mantissa_fits || !exponent_fits {
        return None;
    }
    // Go refuses a value out of range, and the scalar stays a string then.
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn without_underscores(text: &str) -> Cow<'_, str> {
    if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) }
}
