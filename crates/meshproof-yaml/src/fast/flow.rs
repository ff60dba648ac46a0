//! One-line flow collections: `{name: x, ports: ["8080"]}`.

use super::{DEPTH, LONG_KEY, Reader};
use crate::{Shape, Style};

impl Reader<'_> {
    /// Adds the flow collection that begins at `pos`; gives the byte behind it.
    pub(super) fn flow(&mut self, pos: usize) -> Option<usize> {
        self.flow.clear();
        let mut at = pos;
        loop {
            // A value begins here.
            match self.byte(at) {
                opening @ (b'[' | b'{') => {
                    if self.frames.len() + self.flow.len() >= DEPTH {
                        return None;
                    }
                    let shape = if opening == b'{' { Shape::Mapping } else { Shape::Sequence };
                    let index = self.tree.open(shape, at);
                    at = self.skip_spaces(at + 1);
                    if self.byte(at) == closing(shape) {
                        at += 1;
                        self.tree.close(index, at);
                    } else {
                        self.flow.push(index);
                        if shape == Shape::Mapping {
                            at = self.flow_key(at)?;
                        }
                        continue;
                    }
                }
                b'"' | b'\'' => at = self.quoted(at)?,
                _ => {
                    let stop = self.flow_plain_stop(at)?;
                    if self.byte(stop) == b':' {
                        return None;
                    }
                    let end = self.trimmed(at, stop);
                    self.tree.written(Style::Plain, at, end);
                    at = stop;
                }
            }
            // A value has ended.
            loop {
                let Some(index) = self.flow.last().copied() else { return Some(at) };
                let shape = self.tree.nodes[index].shape;
                at = self.skip_spaces(at);
                match self.byte(at) {
                    b',' => {
                        at = self.skip_spaces(at + 1);
                        if shape == Shape::Mapping {
                            at = self.flow_key(at)?;
                        }
                        break;
                    }
                    byte if byte == closing(shape) => {
                        at += 1;
                        self.tree.close(index, at);
                        self.flow.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Adds a key; gives the first byte of its value.
    fn flow_key(&mut self, pos: usize) -> Option<usize> {
        let colon = if matches!(self.byte(pos), b'"' | b'\'') {
            self.quoted(pos)?
        } else {
            let stop = self.flow_plain_stop(pos)?;
            if &self.bytes[pos..stop] == b"<<" || self.bytes[stop - 1] == b' ' {
                return None;
            }
            self.tree.written(Style::Plain, pos, stop);
            stop
        };
        if self.byte(colon) != b':' || self.byte(colon + 1) != b' ' || colon - pos > LONG_KEY {
            return None;
        }
        Some(self.skip_spaces(colon + 1))
    }

    /// Where a plain scalar in flow style stops: at a comma, a closing bracket, or the colon of a key.
    fn flow_plain_stop(&self, pos: usize) -> Option<usize> {
        if !self.starts_plain(pos) {
            return None;
        }
        let mut at = pos + 1;
        loop {
            match self.byte(at) {
                b',' | b']' | b'}' => return Some(at),
                // Readers differ on what these mean here.
                0 | b'\n' | b'[' | b'{' | b'?' => return None,
                b'#' if self.bytes[at - 1] == b' ' => return None,
                b':' => match self.byte(at + 1) {
                    b' ' => return Some(at),
                    b',' | b']' | b'}' | b'[' | b'{' | b'\n' | 0 => return None,
                    _ => at += 1,
                },
                _ => at += 1,
            }
        }
    }
}

fn closing(shape: Shape) -> u8 {
    if shape == Shape::Mapping { b'}' } else { b']' }
}
