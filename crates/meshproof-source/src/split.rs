//! Splitting a stream into documents the way Istio's `YAMLReader` does (istio/istio `kubeyaml.go`): a line that starts
//! with `---` followed by nothing but white space ends a document. `...` has no meaning, and `--- {b: 2}` or
//! `--- # note` do not separate.

use std::ops::Range;

/// One document of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRange {
    /// Bytes of the document without the separator lines.
    pub range: Range<usize>,
    /// Position in the stream, from 0, counting empty documents.
    pub index: usize,
}

/// The documents of `text` in order. Documents of nothing but white space are left out; their index still counts.
pub fn split_documents(text: &str) -> Vec<DocumentRange> {
    let bytes = text.as_bytes();
    let mut documents = Vec::new();
    let mut start = 0;
    let mut index = 0;
    let mut push = |range: Range<usize>, index: usize| {
        if bytes[range.clone()].iter().any(|byte| !byte.is_ascii_whitespace()) {
            documents.push(DocumentRange { range, index });
        }
    };
    for at in memchr::memmem::find_iter(bytes, b"---") {
        if at < start || (at > 0 && bytes[at - 1] != b'\n') {
            continue;
        }
        let line_end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length + 1);
        if bytes[at + 3..line_end].iter().all(u8::is_ascii_whitespace) {
            push(start..at, index);
            index += 1;
            start = line_end;
        }
    }
    push(start..bytes.len(), index);
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        split_documents(text).into_iter().map(|document| &text[document.range]).collect()
    }

    #[test]
    fn only_a_bare_dash_line_separates() {
        assert_eq!(texts("a: 1\n---\nb: 2\n"), ["a: 1\n", "b: 2\n"]);
        assert_eq!(texts("a: 1\n--- \t\r\nb: 2\n"), ["a: 1\n", "b: 2\n"]);
        assert_eq!(texts("a: 1\n--- # c\nb: 2\n"), ["a: 1\n--- # c\nb: 2\n"]);
        assert_eq!(texts("a: 1\n--- {b: 2}\n"), ["a: 1\n--- {b: 2}\n"]);
        assert_eq!(texts("a: 1\n...\nb: 2\n"), ["a: 1\n...\nb: 2\n"]);
        assert_eq!(texts("a: x---\nb: 2\n"), ["a: x---\nb: 2\n"]);
    }

    #[test]
    fn empty_documents_are_left_out_and_counted() {
        let documents = split_documents("---\n\n---\na: 1\n---");
        assert_eq!(documents, [DocumentRange { range: 9..14, index: 2 }]);
    }
}
