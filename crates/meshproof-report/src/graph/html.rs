//! One page without anything from elsewhere: search, filters, and for each edge the reasons.

use std::io::{self, Write};

use meshproof_graph::Picture;
use meshproof_source::SourceMap;

use super::json;
use crate::json::escape_hidden;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const BODY: &str = include_str!("page.html");

/// Writes the page.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, picture: &Picture, sources: &SourceMap) -> io::Result<()> {
    let data = serde_json::to_string(&json::value(picture, sources)).map_err(io::Error::other)?;
    // Nothing of the input may end the script.
    let data = escape_hidden(data).replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Who can reach what</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{BODY}\
         <script type=\"application/json\" id=\"data\">{data}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}
