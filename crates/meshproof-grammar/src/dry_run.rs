//! The annotation `istio.io/dry-run`: a boolean as Go's `strconv.ParseBool` reads it.

use std::fmt;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::{all_consuming, value};

use crate::error::ParseError;
use crate::text::shown;

/// Whether a policy is only tried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DryRun(pub bool);

fn boolean(input: &str) -> nom::IResult<&str, bool> {
    let yes = alt((tag("TRUE"), tag("True"), tag("true"), tag("T"), tag("t"), tag("1")));
    let no = alt((tag("FALSE"), tag("False"), tag("false"), tag("F"), tag("f"), tag("0")));
    all_consuming(alt((value(true, yes), value(false, no)))).parse(input)
}

impl DryRun {
    /// Reads the annotation.
    ///
    /// # Errors
    /// Anything but `1 t T true True TRUE` and `0 f F false False FALSE`. Such a value is rejected at admission; where it
    /// gets in, the policy is enforced.
    pub fn parse(text: &str) -> Result<DryRun, ParseError> {
        match boolean(text) {
            Ok((_, dry)) => Ok(DryRun(dry)),
            Err(_) => {
                let message = format!("{} is neither true nor false", shown(text));
                Err(ParseError::new(0..text.len(), message).with_help("write \"true\" or \"false\""))
            }
        }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_booleans() {
        assert_eq!(DryRun::parse("T"), Ok(DryRun(true)));
        assert_eq!(DryRun::parse("False"), Ok(DryRun(false)));
        for bad in ["yes", "on", "tRUE", "", " true", "true ", "10"] {
            assert!(DryRun::parse(bad).is_err(), "{bad}");
        }
    }
}
