//! Well-known mistakes that admission does not catch.
