//! From bytes to text: decoding, and refusing what is not text.
//!
//! A YAML stream is UTF-8, or UTF-16 with a byte order mark (YAML 1.2.2 §5.2). Offsets of a [`ReadText`] count bytes
//! of the decoded text: a byte order mark is not part of it, and a UTF-16 file is counted as the UTF-8 it becomes.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// Larger inputs are refused unless the caller says otherwise: 256 MiB.
pub const DEFAULT_SIZE_LIMIT: u64 = 256 << 20;

/// Offsets are 32 bits wide ([`Span`](crate::Span)), so no limit can be above this.
const HARD_SIZE_LIMIT: u64 = u32::MAX as u64 - 1;

/// Why an input could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadProblemKind {
    /// There is no such path.
    NotFound,
    /// The operating system does not let us read it.
    Permission,
    /// A pipe, socket or device: reading it could wait for ever.
    SpecialFile,
    /// A folder where a file was wanted.
    Folder,
    /// Above the size limit.
    TooLarge,
    /// Bytes that are neither UTF-8 nor UTF-16 with a byte order mark.
    Encoding,
    /// A zero byte, which no manifest may hold.
    Nul,
    /// A pattern of `--exclude` that is not a glob.
    Pattern,
    /// Everything else the operating system may say.
    Io,
}

impl ReadProblemKind {
    /// A short stable name, as used in lists of skipped input.
    pub fn code(self) -> &'static str {
        match self {
            ReadProblemKind::NotFound => "not-found",
            ReadProblemKind::Permission => "permission-denied",
            ReadProblemKind::SpecialFile => "special-file",
            ReadProblemKind::Folder => "folder",
            ReadProblemKind::TooLarge => "too-large",
            ReadProblemKind::Encoding => "not-utf8",
            ReadProblemKind::Nul => "nul-byte",
            ReadProblemKind::Pattern => "bad-pattern",
            ReadProblemKind::Io => "unreadable",
        }
    }
}

/// A place in the raw bytes of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytePlace {
    /// Offset in the file as it stands on disk, from 0, a byte order mark included.
    pub offset: u64,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// An input that could not be read: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadProblem {
    /// Why.
    pub kind: ReadProblemKind,
    /// The path as given, with `/`; `<stdin>` for standard input.
    pub path: String,
    /// The offending byte, when it is one.
    pub place: Option<BytePlace>,
    /// One line that says what is wrong, without the path.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl ReadProblem {
    pub(crate) fn new(
        kind: ReadProblemKind,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        ReadProblem { kind, path: path.into(), place: None, message: message.into(), help: help.into() }
    }

    /// The problem behind an error of the operating system.
    pub(crate) fn from_io(path: impl Into<String>, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => ReadProblem::new(
                ReadProblemKind::NotFound,
                path,
                "no such file or folder",
                "check the spelling, or whether a symbolic link leads nowhere",
            ),
            io::ErrorKind::PermissionDenied => ReadProblem::new(
                ReadProblemKind::Permission,
                path,
                "permission denied",
                "make it readable for the user who runs meshproof, or leave it out with --exclude",
            ),
            io::ErrorKind::IsADirectory => folder_problem(path.into()),
            _ => ReadProblem::new(
                ReadProblemKind::Io,
                path,
                format!("cannot be read: {error}"),
                "mend the file or its disk, or leave it out with --exclude",
            ),
        }
    }
}

impl fmt::Display for ReadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ReadProblem {}

/// What a reader should know about how the text came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadNote {
    /// The file began with a UTF-8 byte order mark. The text starts after it: its offset 0 is byte 3 on disk.
    Utf8Bom,
    /// The file is UTF-16, little endian. Offsets count bytes of the UTF-8 it was turned into.
    Utf16Le,
    /// The file is UTF-16, big endian. Offsets count bytes of the UTF-8 it was turned into.
    Utf16Be,
}

impl fmt::Display for ReadNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadNote::Utf8Bom => "begins with a UTF-8 byte order mark",
            ReadNote::Utf16Le => "is UTF-16 (little endian)",
            ReadNote::Utf16Be => "is UTF-16 (big endian)",
        })
    }
}

/// A decoded input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadText {
    /// The text, without byte order mark and without zero bytes.
    pub text: String,
    /// How it was decoded, when not as plain UTF-8.
    pub notes: Vec<ReadNote>,
}

/// A path as findings show it: `/` between folders, no `./` in front.
pub fn source_name(path: &Path) -> String {
    let name = path.to_string_lossy();
    let name = if std::path::MAIN_SEPARATOR == '/' { name } else { name.replace('\\', "/").into() };
    let short = name.strip_prefix("./").unwrap_or(&name);
    if short.is_empty() { ".".to_owned() } else { short.to_owned() }
}

/// Reads a file of at most `limit` bytes.
///
/// Pipes and devices are refused, since reading one may never end. The exception is what a shell makes of `<(…)`:
/// `/dev/fd/N` was opened for us by whoever started the run.
pub fn read_file(path: &Path, limit: u64) -> Result<ReadText, ReadProblem> {
    let name = source_name(path);
    let refused = |error: io::Error| ReadProblem::from_io(name.as_str(), &error);
    let passed_in = path.starts_with("/dev/fd") || path == Path::new("/dev/stdin");
    // Before opening, because opening a pipe without a writer already waits.
    let metadata = std::fs::metadata(path).map_err(refused)?;
    refuse_unreadable_kind(&name, &metadata, passed_in)?;
    if metadata.len() > limit.min(HARD_SIZE_LIMIT) {
        return Err(too_large(&name, limit));
    }
    let file = File::open(path).map_err(refused)?;
    refuse_unreadable_kind(&name, &file.metadata().map_err(refused)?, passed_in)?;
    read_from(file, &name, limit, metadata.len())
}

/// Reads standard input to its end, at most `limit` bytes.
pub fn read_stdin(limit: u64) -> Result<ReadText, ReadProblem> {
    read_from(io::stdin().lock(), "<stdin>", limit, 0)
}

/// Reads at most `limit` bytes and decodes them; `expected` is a hint at the size.
fn read_from(reader: impl Read, name: &str, limit: u64, expected: u64) -> Result<ReadText, ReadProblem> {
    let limit = limit.min(HARD_SIZE_LIMIT);
    let mut bytes = Vec::with_capacity(usize::try_from(expected.saturating_add(1)).unwrap_or(0));
    let mut limited = reader.take(limit + 1);
    limited.read_to_end(&mut bytes).map_err(|error| ReadProblem::from_io(name, &error))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(name, limit));
    }
    decode(bytes, name, limit)
}

fn refuse_unreadable_kind(name: &str, metadata: &Metadata, passed_in: bool) -> Result<(), ReadProblem> {
    if metadata.is_dir() {
        return Err(folder_problem(name.to_owned()));
    }
    if metadata.is_file() || passed_in {
        return Ok(());
    }
    Err(ReadProblem::new(
        ReadProblemKind::SpecialFile,
        name,
        "is a pipe, socket or device, not a file",
        "pipe its content in and give `-` as the path",
    ))
}

fn folder_problem(path: String) -> ReadProblem {
    ReadProblem::new(ReadProblemKind::Folder, path, "is a folder, not a file", "give a file here")
}

fn too_large(name: &str, limit: u64) -> ReadProblem {
    let limit = limit.min(HARD_SIZE_LIMIT);
    let shown = if limit >= 1 << 20 { format!("{} MiB", limit >> 20) } else { format!("{limit} bytes") };
    ReadProblem::new(
        ReadProblemKind::TooLarge,
        name,
        format!("is larger than the limit of {shown}"),
        "split it, raise the limit, or leave it out with --exclude",
    )
}

/// Turns the bytes of an input into text.
pub(crate) fn decode(bytes: Vec<u8>, name: &str, limit: u64) -> Result<ReadText, ReadProblem> {
    match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            let mut problem = encoding_problem(name, "is UTF-32, which no Kubernetes tool reads");
            problem.place = Some(BytePlace { offset: 0, line: 1, column: 1 });
            Err(problem)
        }
        [0xff, 0xfe, ..] => decode_utf16(&bytes, name, limit, u16::from_le_bytes, ReadNote::Utf16Le),
        [0xfe, 0xff, ..] => decode_utf16(&bytes, name, limit, u16::from_be_bytes, ReadNote::Utf16Be),
        _ => decode_utf8(bytes, name),
    }
}

fn decode_utf8(mut bytes: Vec<u8>, name: &str) -> Result<ReadText, ReadProblem> {
    let mut notes = Vec::new();
    let mut before = 0;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
        before = 3;
        notes.push(ReadNote::Utf8Bom);
    }
    // Zero bytes first: they tell a binary file or UTF-16 without a mark, which is the better explanation.
    if let Some(at) = memchr::memchr(0, &bytes) {
        let mut problem = ReadProblem::new(
            ReadProblemKind::Nul,
            name,
            "holds a zero byte",
            if looks_like_utf16(&bytes) {
                "it looks like UTF-16 without a byte order mark: save it as UTF-8"
            } else {
                "a manifest is text: remove the byte, or leave a binary file out with --exclude"
            },
        );
        problem.place = Some(place_in(&bytes, at, before));
        return Err(problem);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(ReadText { text, notes }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let what = bytes.get(at).map_or("is not UTF-8".to_owned(), |byte| {
                format!("is not UTF-8: byte 0x{byte:02x} at offset {} begins no character", at + before)
            });
            let mut problem = encoding_problem(name, &what);
            problem.place = Some(place_in(bytes, at, before));
            Err(problem)
        }
    }
}

fn decode_utf16(
    bytes: &[u8],
    name: &str,
    limit: u64,
    unit: fn([u8; 2]) -> u16,
    note: ReadNote,
) -> Result<ReadText, ReadProblem> {
    let (pairs, rest) = bytes[2..].as_chunks::<2>();
    let mut text = String::with_capacity(pairs.len());
    let mut offset = 2u64;
    let refuse = |text: &str, offset: u64, kind: ReadProblemKind, message: String| {
        let mut problem = encoding_problem(name, &message);
        problem.kind = kind;
        let BytePlace { line, column, .. } = place_in(text.as_bytes(), text.len(), 0);
        problem.place = Some(BytePlace { offset, line, column });
        problem
    };
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let message = match decoded {
            Ok('\0') => {
                return Err(refuse(&text, offset, ReadProblemKind::Nul, "holds a zero character".into()));
            }
            Ok(character) => {
                text.push(character);
                offset += character.len_utf16() as u64 * 2;
                continue;
            }
            Err(_) => format!("is not UTF-16: half a character at offset {offset}"),
        };
        return Err(refuse(&text, offset, ReadProblemKind::Encoding, message));
    }
    if !rest.is_empty() {
        let message = format!("is not UTF-16: a single byte is left at offset {offset}");
        return Err(refuse(&text, offset, ReadProblemKind::Encoding, message));
    }
    // Three bytes of UTF-8 may come of two: the text has to respect the limit too.
    if text.len() as u64 > limit.min(HARD_SIZE_LIMIT) {
        return Err(too_large(name, limit));
    }
    Ok(ReadText { text, notes: vec![note] })
}

fn encoding_problem(name: &str, message: &str) -> ReadProblem {
    ReadProblem::new(
        ReadProblemKind::Encoding,
        name,
        message,
        "save it as UTF-8 (for example `iconv -t UTF-8`), or leave a binary file out with --exclude",
    )
}

/// Text of mostly ASCII letters in UTF-16 has a zero in every other byte.
fn looks_like_utf16(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(256) & !1];
    let zeros = |from: usize| sample.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    !sample.is_empty() && even.max(odd) * 2 >= sample.len() / 2 && even.min(odd) * 8 <= sample.len()
}

/// Line and column of byte `at`, whose predecessors are UTF-8; `before` bytes of the file come before `bytes`.
fn place_in(bytes: &[u8], at: usize, before: usize) -> BytePlace {
    let head = &bytes[..at];
    let line_start = memchr::memrchr(b'\n', head).map_or(0, |newline| newline + 1);
    BytePlace {
        offset: (at + before) as u64,
        line: memchr::memchr_iter(b'\n', head).count() + 1,
        column: String::from_utf8_lossy(&head[line_start..]).chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<ReadText, ReadProblem> {
        read_from(bytes, "a.yaml", 1 << 20, 0)
    }

    fn refused(bytes: &[u8]) -> (ReadProblemKind, u64, usize, usize) {
        let problem = decoded(bytes).unwrap_err();
        let place = problem.place.unwrap();
        (problem.kind, place.offset, place.line, place.column)
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn a_byte_order_mark_is_taken_off() {
        let read = decoded(b"\xef\xbb\xbfa: 1\n").unwrap();
        assert_eq!((read.text.as_str(), read.notes.as_slice()), ("a: 1\n", &[ReadNote::Utf8Bom][..]));
        assert_eq!(decoded(b"").unwrap().text, "");
    }

    #[test]
    fn utf16_with_a_mark_is_read_in_both_orders() {
        let text = "a: é漢😀\r\n";
        let little = decoded(&utf16(&format!("\u{feff}{text}"), u16::to_le_bytes)).unwrap();
        assert_eq!((little.text.as_str(), little.notes[0]), (text, ReadNote::Utf16Le));
        let big = decoded(&utf16(&format!("\u{feff}{text}"), u16::to_be_bytes)).unwrap();
        assert_eq!((big.text.as_str(), big.notes[0]), (text, ReadNote::Utf16Be));
    }

    #[test]
    fn broken_utf16_is_placed_in_the_file() {
        let mut half = utf16("\u{feff}a\nbc", u16::to_le_bytes);
        half.extend([0x00, 0xd8]);
        assert_eq!(refused(&half), (ReadProblemKind::Encoding, 10, 2, 3));
        assert_eq!(refused(b"\xff\xfea\0b"), (ReadProblemKind::Encoding, 4, 1, 2));
        assert_eq!(refused(b"\xfe\xff\0a\0\0"), (ReadProblemKind::Nul, 4, 1, 2));
        assert_eq!(refused(b"\xff\xfe\0\0a\0\0\0"), (ReadProblemKind::Encoding, 0, 1, 1));
    }

    #[test]
    fn invalid_utf8_is_placed_in_the_file() {
        assert_eq!(refused("a: 1\né: \u{0}".as_bytes()), (ReadProblemKind::Nul, 9, 2, 4));
        assert_eq!(refused(b"a: 1\nb: \xff\n"), (ReadProblemKind::Encoding, 8, 2, 4));
        assert_eq!(refused(b"\xef\xbb\xbfb: \xc3"), (ReadProblemKind::Encoding, 6, 1, 4));
        let problem = decoded(b"b: \xff").unwrap_err();
        assert_eq!(
            problem.to_string(),
            "a.yaml:1:4: is not UTF-8: byte 0xff at offset 3 begins no character"
        );
    }

    #[test]
    fn zero_bytes_of_unmarked_utf16_are_explained() {
        let unmarked = decoded(&utf16("kind: Service\n", u16::to_le_bytes)).unwrap_err();
        assert!(unmarked.help.contains("UTF-16 without a byte order mark"), "{}", unmarked.help);
        let binary = decoded(b"a: text with one zero byte only \0 and more text after it").unwrap_err();
        assert!(binary.help.contains("remove the byte"), "{}", binary.help);
    }

    #[test]
    fn an_input_without_end_stops_at_the_limit() {
        let problem = read_from(io::repeat(b'a'), "<stdin>", 1000, 0).unwrap_err();
        assert_eq!(problem.kind, ReadProblemKind::TooLarge);
        assert_eq!(problem.message, "is larger than the limit of 1000 bytes");
        assert_eq!(read_from(io::repeat(b'a').take(1000), "<stdin>", 1000, 0).unwrap().text.len(), 1000);
    }

    #[test]
    fn utf16_may_not_outgrow_the_limit_by_decoding() {
        let bytes = utf16("\u{feff}漢漢漢", u16::to_le_bytes);
        assert_eq!(decode(bytes.clone(), "a", 8).unwrap_err().kind, ReadProblemKind::TooLarge);
        assert_eq!(decode(bytes, "a", 9).unwrap().text.len(), 9);
    }

    #[test]
    fn names_are_shown_without_the_leading_dot() {
        assert_eq!(source_name(Path::new("./a/b.yaml")), "a/b.yaml");
        assert_eq!(source_name(Path::new(".")), ".");
        assert_eq!(source_name(Path::new("../a")), "../a");
    }

    #[test]
    fn what_parallel_readers_hand_over_is_send() {
        fn send<T: Send>() {}
        send::<Result<ReadText, ReadProblem>>();
    }
}
