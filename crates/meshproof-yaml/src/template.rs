//! Recognising templates on the text, before anything is parsed.
//!
//! Unrendered Helm often parses as YAML (`{{ x }}` is a mapping whose key is a mapping), so it cannot be left to the
//! parser. On the other hand braces and dollars are ordinary in shell scripts, proxy configurations, alert texts and
//! annotations of finished manifests. So block scalars and comments do not count; quoted text and `${…}` count only
//! where a finished manifest has no use for them.

use std::ops::Range;

/// Which language a template is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateKind {
    /// Go templates as Helm uses them: `{{ .Values.name }}`, `{{- if … }}`.
    Helm,
    /// `{{< … >}}`, as deployKF and Hugo write it.
    Angle,
    /// `{% … %}` and `{{ name }}`: Jinja, Ansible.
    Jinja,
    /// `#@ …`: ytt.
    Ytt,
    /// `${NAME}`: envsubst, Flux, Terraform.
    Envsubst,
    /// Another placeholder: `###NAME###`, `@@NAME@@`.
    Other,
}

impl TemplateKind {
    /// A short name for messages.
    pub fn name(self) -> &'static str {
        match self {
            TemplateKind::Helm => "a Helm template",
            TemplateKind::Angle => "a `{{< … >}}` template",
            TemplateKind::Jinja => "a Jinja template",
            TemplateKind::Ytt => "a ytt template",
            TemplateKind::Envsubst => "a template with `${…}` variables",
            TemplateKind::Other => "a template with placeholders",
        }
    }
}

/// The first sign that a document is a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateMarker {
    /// The language.
    pub kind: TemplateKind,
    /// Where the sign stands, in bytes of the text that was given.
    pub span: Range<usize>,
}

/// The first place that shows a document to be a template; `None` for finished manifests.
pub fn template_marker(text: &str) -> Option<TemplateMarker> {
    if !has_sign(text.as_bytes()) {
        return None;
    }
    let mut lines = Lines { block: None, quote: None, key: String::new() };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(mut marker) = lines.line(line.trim_end_matches(['\n', '\r'])) {
            marker.span = marker.span.start + start..marker.span.end + start;
            return Some(marker);
        }
        start += line.len();
    }
    None
}

/// Whether any sign occurs at all; most documents end here.
fn has_sign(bytes: &[u8]) -> bool {
    memchr::memchr3_iter(b'{', b'@', b'#', bytes).any(|at| {
        let after = bytes.get(at + 1);
        let before = at.checked_sub(1).map(|before| bytes[before]);
        match bytes[at] {
            b'{' => matches!(after, Some(b'{' | b'%')) || before == Some(b'$'),
            b'@' => after == Some(&b'@') || before == Some(b'#'),
            _ => bytes[at..].starts_with(b"###"),
        }
    })
}

/// What carries over from line to line.
struct Lines {
    /// Indentation of the line whose key has a block scalar that is still open.
    block: Option<usize>,
    /// The quote of a quoted scalar that goes on in the next line.
    quote: Option<u8>,
    /// The last key seen: what a value on the next line belongs to.
    key: String,
}

impl Lines {
    fn line(&mut self, line: &str) -> Option<TemplateMarker> {
        let indentation = line.len() - line.trim_start_matches(' ').len();
        let content = &line[indentation..];
        if let Some(parent) = self.block {
            if content.is_empty() || indentation > parent {
                return None;
            }
            self.block = None;
        }
        if self.quote.is_none() && content.starts_with('#') {
            return ytt(content, indentation);
        }
        let marker = self.scalars(line, indentation);
        if marker.is_none() && self.quote.is_none() && opens_block_scalar(content) {
            // In `- key: |` the block belongs to the key, which stands behind the dash.
            let dashes = content.len() - content.trim_start_matches(['-', ' ']).len();
            let nested = dashes > 0 && content.contains(": ");
            self.block = Some(if nested { indentation + dashes } else { indentation });
        }
        marker
    }

    /// Walks over the scalars of a line.
    fn scalars(&mut self, line: &str, mut at: usize) -> Option<TemplateMarker> {
        let bytes = line.as_bytes();
        let mut item = false;
        while at < bytes.len() {
            if let Some(quote) = self.quote {
                let (end, closed) = quoted_end(bytes, at, quote);
                let marker = in_quotes(&line[at..end], &self.key, item);
                if closed {
                    self.quote = None;
                }
                if let Some((kind, span)) = marker {
                    return Some(TemplateMarker { kind, span: at + span.start..at + span.end });
                }
                let after = end + usize::from(closed);
                if bytes.get(after) == Some(&b':') {
                    self.key = line[at..end].to_owned();
                }
                at = after;
                continue;
            }
            match bytes[at] {
                b' ' | b'\t' | b',' | b']' | b'}' | b':' => at += 1,
                b'-' if matches!(bytes.get(at + 1), None | Some(b' ')) => {
                    item = true;
                    at += 1;
                }
                b'#' if at == 0 || matches!(bytes[at - 1], b' ' | b'\t') => {
                    return in_comment(&line[at..], at);
                }
                b'[' => {
                    item = true;
                    at += 1;
                }
                b'{' if !matches!(bytes.get(at + 1), Some(b'{' | b'%')) => at += 1,
                quote @ (b'"' | b'\'') => {
                    self.quote = Some(quote);
                    at += 1;
                }
                _ => {
                    let end = plain_end(bytes, at);
                    let word = &line[at..end];
                    if let Some((kind, span)) = in_plain(word, &self.key, item) {
                        return Some(TemplateMarker { kind, span: at + span.start..at + span.end });
                    }
                    if bytes.get(end) == Some(&b':') {
                        word.clone_into(&mut self.key);
                        item = false;
                    }
                    at = end.max(at + 1);
                }
            }
        }
        None
    }
}

/// Where a quoted text that is open at `at` ends in this line, and whether it is closed there.
fn quoted_end(bytes: &[u8], mut at: usize, quote: u8) -> (usize, bool) {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 2,
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 2,
            byte if byte == quote => return (at, true),
            _ => at += 1,
        }
    }
    (bytes.len(), false)
}

/// The end of a plain scalar: a key's colon, a comment, a flow separator outside braces, the end of the line.
fn plain_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    for at in start..bytes.len() {
        match bytes[at] {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && matches!(bytes.get(at + 1), None | Some(b' ')) => return at,
            b',' if depth == 0 && matches!(bytes.get(at + 1), None | Some(b' ')) => return at,
            b'#' if depth == 0 && bytes[at - usize::from(at > start)] == b' ' => return at,
            b']' if depth == 0 => return at,
            _ => {}
        }
    }
    bytes.len()
}

/// Whether a line without its comment ends in the header of a block scalar: `key: |-`, `- >2`.
fn opens_block_scalar(content: &str) -> bool {
    let content = content.split(" #").next().unwrap_or(content).trim_end();
    let header = content.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
    let Some(before) = header.strip_suffix(['|', '>']) else { return false };
    let short = content.len() - header.len() <= 2;
    short && (before.is_empty() || before.ends_with([' ', '\t']))
}

type Sign = Option<(TemplateKind, Range<usize>)>;

/// `#@ …` and the known annotations of ytt; other comments mean nothing.
fn ytt(comment: &str, at: usize) -> Option<TemplateMarker> {
    let rest = comment.strip_prefix("#@")?;
    let known = ["data/", "overlay/", "schema/", "library/", "yaml/", "template", "load(", "def ", "end"];
    if rest.starts_with(' ') || known.iter().any(|word| rest.starts_with(word)) {
        return Some(TemplateMarker { kind: TemplateKind::Ytt, span: at..at + comment.trim_end().len() });
    }
    None
}

/// A comment behind a key: `#@ …`, or `###NAME###` where a value was meant.
fn in_comment(comment: &str, at: usize) -> Option<TemplateMarker> {
    match fenced_name(comment) {
        Some(span) if span.start == 0 => {
            Some(TemplateMarker { kind: TemplateKind::Other, span: at..at + span.end })
        }
        _ => ytt(comment, at),
    }
}

fn in_plain(word: &str, key: &str, item: bool) -> Sign {
    braces(word).or_else(|| placeholder_value(word, key, item))
}

/// In quotes, braces belong to a template when they speak of Helm's objects, or make up a value where neither an
/// annotation nor an argument stands.
fn in_quotes(content: &str, key: &str, item: bool) -> Sign {
    if let Some((kind, span)) = braces(content) {
        let inside = &content[span.clone()];
        let helm = [".Values", ".Release", ".Chart", ".Capabilities", ".Template", ".Files"];
        let calls = ["include \"", "include '", "tpl "];
        if helm.iter().chain(&calls).any(|word| inside.contains(word)) {
            return Some((kind, span));
        }
        let rest_is_name = !content[..span.start].contains(' ') && !content[span.end..].contains(' ');
        return (rest_is_name && !takes_free_text(key)).then_some((kind, span));
    }
    placeholder_value(content, key, item)
}

/// `{{ … }}`, `{{< … >}}`, `{% … %}`.
fn braces(text: &str) -> Sign {
    let start = text.as_bytes().windows(2).position(|pair| pair == b"{{" || pair == b"{%")?;
    let rest = &text[start..];
    let end = |close: &str| start + rest.find(close).map_or(rest.len(), |at| at + close.len());
    if rest.starts_with("{%") {
        return Some((TemplateKind::Jinja, start..end("%}")));
    }
    if rest.starts_with("{{<") {
        return Some((TemplateKind::Angle, start..end("}}")));
    }
    let inside = rest[2..].trim_start_matches(['-', ' ', '(']);
    let words = [
        ".",
        "$",
        "/*",
        "if ",
        "else",
        "end",
        "include ",
        "range ",
        "with ",
        "define ",
        "template ",
        "tpl ",
        "toYaml ",
        "default ",
        "printf ",
        "quote ",
        "required ",
        "lookup ",
        "block ",
    ];
    let helm = words.iter().any(|word| inside.starts_with(word));
    Some((if helm { TemplateKind::Helm } else { TemplateKind::Jinja }, start..end("}}")))
}

/// `${NAME}`, `###NAME###`, `@@NAME@@` in a value without spaces.
fn placeholder_value(text: &str, key: &str, item: bool) -> Sign {
    let text = text.trim_end();
    if text.contains(' ') || takes_free_text(key) || (item && (text.starts_with('-') || text.contains('='))) {
        return None;
    }
    if let Some(span) = variable(text) {
        return Some((TemplateKind::Envsubst, span));
    }
    fenced_name(text).map(|span| (TemplateKind::Other, span))
}

/// `###NAME###` or `@@NAME@@`.
fn fenced_name(text: &str) -> Option<Range<usize>> {
    ["###", "@@"].iter().find_map(|fence| {
        let start = text.find(fence)?;
        let inside = &text[start + fence.len()..];
        let length = inside.find(fence)?;
        let is_name =
            inside[..length].bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        (length > 0 && is_name).then(|| start..start + length + 2 * fence.len())
    })
}

/// Keys whose values are handed on to programs: variables, arguments, annotations.
fn takes_free_text(key: &str) -> bool {
    matches!(key, "value" | "args" | "command" | "description" | "summary" | "message") || key.contains('/')
}

/// The first `${NAME}`, also with a default (`${NAME:-x}`, `${NAME:=x}`).
fn variable(text: &str) -> Option<Range<usize>> {
    let mut from = 0;
    while let Some(offset) = text[from..].find("${") {
        let start = from + offset;
        let inside = &text[start + 2..];
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        let length = inside.bytes().take_while(is_name).count();
        let named = length > 0 && !inside.starts_with(|first: char| first.is_ascii_digit());
        if named && inside[length..].starts_with(['}', ':', '-', '=']) {
            let end = inside[length..].find('}')?;
            return Some(start..start + 2 + length + end + 1);
        }
        from = start + 2;
    }
    None
}

/// Whether a value is to be filled in later (`${NS}`, `{{ .Release.Namespace }}`, `PATCH_ME`, `<AUD>`), so that
/// nothing can be said about it.
pub fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    if braces(text).is_some_and(|(_, span)| text[span].ends_with('}')) || variable(text).is_some() {
        return true;
    }
    let upper = |name: &str| {
        let allowed = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_-".contains(byte);
        !name.is_empty() && name.bytes().all(|byte| allowed(&byte)) && name.as_bytes()[0].is_ascii_uppercase()
    };
    if text.strip_prefix('$').is_some_and(upper) {
        return true;
    }
    let words =
        ["PATCH_ME", "REPLACE_ME", "REPLACEME", "CHANGE_ME", "CHANGEME", "PLACEHOLDER", "TODO", "FIXME"];
    let whole = ["ISSUER", "AUD", "AUDIENCE", "JWKS_URI", "DOMAIN", "NAMESPACE", "HOSTNAME", "TRUST_DOMAIN"];
    if words.iter().any(|word| text.contains(word)) || whole.contains(&text) {
        return true;
    }
    if text.starts_with("YOUR_") || text.starts_with("REPLACE_") || text.starts_with("INSERT_") {
        return true;
    }
    let fenced = |open: &str, close: &str| {
        text.find(open).is_some_and(|start| {
            let inside = &text[start + open.len()..];
            inside.find(close).is_some_and(|end| {
                let name = &inside[..end];
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte))
            })
        })
    };
    fenced("<", ">")
        || fenced("###", "###")
        || fenced("@@", "@@")
        || (text.starts_with("__") && fenced("__", "__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(text: &str) -> Option<(TemplateKind, &str)> {
        template_marker(text).map(|marker| (marker.kind, &text[marker.span]))
    }

    #[test]
    fn templates_are_recognised() {
        assert_eq!(sign("a: 1\nname: {{ .Values.x }}\n"), Some((TemplateKind::Helm, "{{ .Values.x }}")));
        assert_eq!(sign("name: \"{{ .Values.x }}\"\n"), Some((TemplateKind::Helm, "{{ .Values.x }}")));
        assert_eq!(
            sign("{{- if .Values.on }}\na: b\n{{- end }}\n"),
            Some((TemplateKind::Helm, "{{- if .Values.on }}"))
        );
        assert_eq!(
            sign("labels:\n    {{- toYaml . | nindent 4 }}\n"),
            Some((TemplateKind::Helm, "{{- toYaml . | nindent 4 }}"))
        );
        assert_eq!(
            sign("name: x-{{ .Release.Name }}-y\n"),
            Some((TemplateKind::Helm, "{{ .Release.Name }}"))
        );
        assert_eq!(sign("name: {{<tpl>.Values.x</tpl>}}\n").map(|(kind, _)| kind), Some(TemplateKind::Angle));
        assert_eq!(sign("name: '{{ app_name }}'\n"), Some((TemplateKind::Jinja, "{{ app_name }}")));
        assert_eq!(sign("a: b\n{% if x %}\nc: d\n{% endif %}\n"), Some((TemplateKind::Jinja, "{% if x %}")));
        assert_eq!(
            sign("#@ load(\"@ytt:data\", \"data\")\na: 1\n").map(|(kind, _)| kind),
            Some(TemplateKind::Ytt)
        );
        assert_eq!(sign("name: #@ data.values.x\n").map(|(kind, _)| kind), Some(TemplateKind::Ytt));
        assert_eq!(sign("namespace: ${NS}\n"), Some((TemplateKind::Envsubst, "${NS}")));
        assert_eq!(
            sign("hosts:\n- \"${HOST:-a}.example.com\"\n"),
            Some((TemplateKind::Envsubst, "${HOST:-a}"))
        );
        assert_eq!(sign("metadata: {name: x, namespace: ${NS}}\n"), Some((TemplateKind::Envsubst, "${NS}")));
        assert_eq!(
            sign("host: ###ZARF_VAR_DOMAIN###\n"),
            Some((TemplateKind::Other, "###ZARF_VAR_DOMAIN###"))
        );
    }

    #[test]
    fn finished_manifests_are_not() {
        for text in [
            "a: {b: {c: d}}\n",
            "# name: {{ .Values.x }}\na: b # {{ x }}\n",
            "data:\n  nginx.conf: |\n    location ${x} { {{ y }} }\n    {% z %}\n  b: c\n",
            "args: [\"sh\", \"-c\", \"echo ${HOME} && {{ x }}\"]\n",
            "args:\n- -c\n- >-\n  echo ${HOME}\n- --config=${X}\n",
            "env:\n- name: A\n  value: ${B}\n- name: C\n  value: \"http://$(HOST)/\"\n",
            "annotations:\n  vault.hashicorp.com/agent-inject-template-x: '{{ with secret \"a\" }}'\n  summary: \"Pod {{ $labels.pod }} is down\"\n",
            "- name: x\n  script: |\n    a ${b}\n- y\n",
            "regex: \"^[a-z]{2}$\"\npath: /a/{id}/{rest}\n",
            "text: it's ${not closed\n",
        ] {
            assert_eq!(sign(text), None, "{text:?}");
        }
    }

    #[test]
    fn placeholders_of_values() {
        for text in [
            "${NS}",
            "{{ .Release.Namespace }}",
            "PATCH_ME",
            "<AUD>",
            "$NAMESPACE",
            "a-${B}",
            "ISSUER",
            "###X###",
        ] {
            assert!(is_placeholder(text), "{text:?}");
        }
        for text in [
            "foo",
            "ISTIO_MUTUAL",
            "GET",
            "*",
            "/a/{id}",
            "$",
            "a<b",
            "cluster.local/ns/a/sa/b",
            "${",
            "{}",
            "{{",
        ] {
            assert!(!is_placeholder(text), "{text:?}");
        }
    }
}
