//! Numbers of seven bits per byte.

/// Writes a number, the lowest bits first; a byte from 128 on says that more follow.
pub(super) fn put_number(to: &mut Vec<u8>, number: u32) {
    let mut rest = number;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}
