//! `time.ParseDuration`.

/// Nanoseconds of a duration such as `1h15m` or `-1.5s`; `None` when Go does not read it.
///
/// Every number needs a unit, save a lone `0`; digits beyond a nanosecond are cut off; what does not fit into an
/// `i64` of nanoseconds (about 292 years) is refused (Go 1.26, `time/format.go`).
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    const LIMIT: u64 = 1 << 63;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let unit = nanoseconds(&after[..end])?;
        rest = &after[end..];
        let value: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let value = value.checked_mul(unit).filter(|&value| value <= LIMIT)?;
        total = total.checked_add(value)?.checked_add(part_of(fraction, unit))?;
        if total > LIMIT {
            return None;
        }
    }
    if negative {
        return Some((total as i64).wrapping_neg());
    }
    i64::try_from(total).ok()
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `0.fraction` of a unit, rounded down. Go computes it in floating point; so do we, to agree on the last digit.
fn part_of(fraction: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in fraction.bytes() {
        let Some(next) = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0'))) else {
            break;
        };
        if next > (i64::MAX as u64) {
            break;
        }
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

#[cfg(test)]
mod tests {
    use super::parse_duration;

    #[test]
    fn reads_what_go_reads() {
        for (text, expected) in [
            ("5s", Some(5_000_000_000)),
            ("1h15m30.918s", Some(4_530_918_000_000)),
            ("-1.5h", Some(-5_400_000_000_000)),
            ("1us", Some(1_000)),
            ("1µs", Some(1_000)),
            (".5s", Some(500_000_000)),
            ("0", Some(0)),
            ("+0", Some(0)),
            ("0s", Some(0)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("-9223372036854775808ns", Some(i64::MIN)),
            ("9223372036854775808ns", None),
            ("3000000h", None),
            ("5", None),
            ("", None),
            ("-", None),
            ("s", None),
            (".s", None),
            ("5 s", None),
            ("1d", None),
            ("x", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
    }
}
