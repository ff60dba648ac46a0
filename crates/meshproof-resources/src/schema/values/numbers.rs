//! `strconv`.

/// `strconv.ParseUint(text, 10, bits)`: digits only, leading zeros welcome; `None` beyond `most`.
pub fn parse_unsigned(text: &str, most: u64) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&value| value <= most)
}

/// `strconv.Atoi`: an optional sign and digits that fit into 64 bits.
pub fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_numbers_have_digits_only() {
        for (text, expected) in [
            ("0", Some(0)),
            ("080", Some(80)),
            ("65535", Some(65535)),
            ("65536", None),
            ("+1", None),
            ("-1", None),
            ("1 ", None),
            ("8e1", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_unsigned(text, 65535), expected, "{text:?}");
        }
    }

    #[test]
    fn signed_numbers_may_have_a_sign() {
        assert_eq!(parse_int("+80"), Some(80));
        assert_eq!(parse_int("-1"), Some(-1));
        assert_eq!(parse_int("80.5"), None);
        assert_eq!(parse_int(""), None);
    }

    #[test]
    fn booleans_are_the_twelve_words_of_go() {
        assert_eq!(parse_bool("T"), Some(true));
        assert_eq!(parse_bool("False"), Some(false));
        assert_eq!(parse_bool("yes"), None);
        assert_eq!(parse_bool(""), None);
    }
}
