//! Durations as Go writes them: `5s`, `1h30m`, `1.5ms`.
//!
//! Rules: Go, `time.ParseDuration`, which the mesh uses for every duration in JSON and YAML.

use std::fmt;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till1, take_while};
use nom::character::complete::one_of;
use nom::combinator::{all_consuming, opt, value};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::error::ParseError;
use crate::text::{offset, shown};

const SECOND: i64 = 1_000_000_000;

/// A length of time, signed, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duration {
    /// Nanoseconds.
    pub nanos: i64,
}

/// A unit in nanoseconds. As in Go, everything up to the next digit or point belongs to it, so `5sec` has none.
fn unit(input: &str) -> IResult<&str, u64> {
    let name = take_till1(|c: char| c == '.' || c.is_ascii_digit());
    name.and_then(all_consuming(alt((
        value(1, tag("ns")),
        value(1_000, alt((tag("us"), tag("µs"), tag("μs")))),
        value(1_000_000, tag("ms")),
        value(1_000_000_000, tag("s")),
        value(60_000_000_000, tag("m")),
        value(3_600_000_000_000, tag("h")),
    ))))
    .parse(input)
}

/// Digits, and digits after a point when there is one. (`digit0` of nom 8 loses the position at the end of the text.)
fn number(input: &str) -> IResult<&str, (&str, Option<&str>)> {
    let digits = || take_while(|c: char| c.is_ascii_digit());
    (digits(), opt(preceded(tag("."), digits()))).parse(input)
}

fn sign(input: &str) -> IResult<&str, Option<char>> {
    opt(one_of("+-")).parse(input)
}

/// `whole.fraction` of a unit in nanoseconds, or nothing when it does not fit. Digits behind the ninth are below a
/// nanosecond for every unit up to a second; Go drops what does not fit, and so does this.
fn scaled(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let whole: u64 = match whole.trim_start_matches('0') {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    let mut total = u128::from(whole) * u128::from(unit);
    let (mut numerator, mut scale) = (0_u128, 1_u128);
    for digit in fraction.bytes().take(18) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    total += numerator * u128::from(unit) / scale;
    u64::try_from(total).ok()
}

impl Duration {
    /// Reads a duration.
    ///
    /// # Errors
    /// No number, a number without unit (only `0` needs none), an unknown unit, or more than about 292 years.
    pub fn parse(text: &str) -> Result<Duration, ParseError> {
        let unreadable = || {
            ParseError::new(0..text.len(), format!("{} is not a duration", shown(text)))
                .with_help("write numbers with units, such as `5s`, `1m30s` or `250ms`")
        };
        let (mut rest, sign) = sign(text).map_err(|_| unreadable())?;
        if rest == "0" {
            return Ok(Duration { nanos: 0 });
        }
        if rest.is_empty() {
            return Err(unreadable());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (after, (whole, fraction)) = number(rest).map_err(|_| unreadable())?;
            if whole.is_empty() && fraction.is_none_or(str::is_empty) {
                return Err(unreadable());
            }
            let at = offset(text, after);
            let (next, unit) = unit(after).map_err(|_| unit_error(after, at))?;
            let too_long = || ParseError::new(0..text.len(), format!("{} is too long", shown(text)));
            let part = scaled(whole, fraction.unwrap_or(""), unit).ok_or_else(too_long)?;
            total = total.checked_add(part).ok_or_else(too_long)?;
            rest = next;
            if total > i64::MIN.unsigned_abs() || (sign != Some('-') && total > i64::MAX.unsigned_abs()) {
                return Err(too_long());
            }
        }
        let nanos = if sign == Some('-') { 0_i64.wrapping_sub_unsigned(total) } else { total.cast_signed() };
        Ok(Duration { nanos })
    }
}

fn unit_error(after: &str, at: usize) -> ParseError {
    let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
    let found = &after[..end];
    let error = if found.is_empty() {
        ParseError::new(at..at, "a unit is missing after the number")
    } else {
        ParseError::new(at..at + end, format!("{} is not a unit of time", shown(found)))
    };
    error.with_help("use one of `ns`, `us`, `ms`, `s`, `m`, `h`")
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0s");
        }
        if self.nanos < 0 {
            f.write_str("-")?;
        }
        let nanos = self.nanos.unsigned_abs();
        let second = SECOND.unsigned_abs();
        let (minutes, below) = (nanos / second / 60, nanos % (60 * second));
        if minutes >= 60 {
            write!(f, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(f, "{}m", minutes % 60)?;
        }
        let (scale, unit) = match nanos {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (second, "s"),
        };
        write!(f, "{}", below / scale)?;
        let fraction = below % scale;
        if fraction > 0 {
            let digits = format!("{:0width$}", fraction, width = scale.ilog10() as usize);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> i64 {
        Duration::parse(text).unwrap().nanos
    }

    #[test]
    fn values() {
        assert_eq!(nanos("5s"), 5 * SECOND);
        assert_eq!(nanos("1h30m"), 90 * 60 * SECOND);
        assert_eq!(nanos("1.5ms"), 1_500_000);
        assert_eq!(nanos("-.5s"), -SECOND / 2);
        assert_eq!(nanos("0"), 0);
        assert_eq!(nanos("1µs"), 1_000);
        assert_eq!(nanos("-9223372036854775808ns"), i64::MIN);
    }

    #[test]
    fn printed_as_go_does() {
        for text in ["0s", "1ns", "1.1µs", "2.2ms", "3.3s", "4m5.001s", "5h6m7.001s", "-1m0s", "1h0m0s"] {
            assert_eq!(Duration::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Duration { nanos: i64::MIN }.to_string(), "-2562047h47m16.854775808s");
    }

    #[test]
    fn errors() {
        let at = |text: &str| Duration::parse(text).unwrap_err().at;
        assert_eq!(at("10"), 2..2);
        assert_eq!(at("5sec"), 1..4);
        assert_eq!(at("1d"), 1..2);
        assert_eq!(at(""), 0..0);
        assert_eq!(at("."), 0..1);
        assert_eq!(at("9223372036854775808ns"), 0..21);
        assert_eq!(at("3000000h"), 0..8);
    }
}
