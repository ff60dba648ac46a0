//! What holds for every text: nothing panics, errors point inside the text, printed values read back, and the fast
//! matchers agree with slow ones.

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::LANGUAGES;
use meshproof_grammar::calico::Expr;
use meshproof_grammar::cidr::Cidr;
use meshproof_grammar::duration::Duration;
use meshproof_grammar::host::Host;
use meshproof_grammar::label_selector::LabelSelector;
use meshproof_grammar::namespace_pattern::NamespacePattern;
use meshproof_grammar::path_template::{PathTemplate, Segment};
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::principal::{PrincipalPattern, expand};
use meshproof_grammar::service_account::ServiceAccountRef;
use proptest::prelude::*;

/// Text near the languages: their keywords and special characters in any order, and sometimes anything.
fn near_miss() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => prop::sample::select(vec![
            "*", "**", "/", "//", ".", ",", ":", "-", "_", "[", "]", "{", "}", "(", ")", "{*}", "{**}", "!", "=", "==",
            "!=", "&&", "||", "'", "\"", " ", "%", "ns", "sa", "spiffe://", "cluster.local", "request.headers",
            "request.auth.claims", "experimental.envoy.filters.", "source.ip", "in", "notin", "not in", "has(", "all()",
            "starts with", "contains", "true", "1", "0", "80", "65536", "10.0.0.1", "::1", "/8", "5s", "m", "h", "ns",
            "a", "B", "web", "prod", "~", "#", "é", "\u{2028}", "\n", "\t", "\0",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

/// Few letters, so that matches happen.
fn small(alphabet: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(alphabet.chars().collect::<Vec<_>>()), 0..10)
        .prop_map(|chars| chars.into_iter().collect())
}

fn check_everywhere(text: &str) {
    for language in LANGUAGES {
        if let Err(error) = (language.run)(text) {
            let range = error.at.clone();
            assert!(text.get(range).is_some(), "{}: {:?} in {text:?}", language.name, error);
            assert!(!error.message.is_empty());
        }
    }
}

/// The definition of a match pattern over all ways to cut the value.
fn naive_pattern(pattern: &str, value: &str) -> bool {
    let chars: Vec<char> = value.chars().collect();
    let tail = |from: usize| chars[from..].iter().collect::<String>();
    let head = |to: usize| chars[..to].iter().collect::<String>();
    if pattern == "*" {
        return !chars.is_empty();
    }
    if let Some(ending) = pattern.strip_prefix('*') {
        return (0..=chars.len()).any(|from| tail(from) == ending);
    }
    if let Some(start) = pattern.strip_suffix('*') {
        return (0..=chars.len()).any(|to| head(to) == start);
    }
    pattern == value
}

/// A star stands for any text; all cuts are tried.
fn naive_glob(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => (0..=text.len()).any(|cut| naive_glob(rest, &text[cut..])),
        (Some((wanted, rest)), Some((found, left))) => wanted == found && naive_glob(rest, left),
        _ => false,
    }
}

/// A template over all ways to cut the path.
fn naive_template(segments: &[Segment], path: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()+,;:@=*".contains(c);
    let Some((first, rest)) = segments.split_first() else { return path.is_empty() };
    (0..=path.len()).filter(|cut| path.is_char_boundary(*cut)).any(|cut| {
        let (head, tail) = path.split_at(cut);
        let fits = match first {
            Segment::Literal(text) => head == text,
            Segment::One => !head.is_empty() && head.chars().all(allowed),
            Segment::Any => head.chars().all(|c| allowed(c) || c == '/'),
        };
        let left = if rest.is_empty() { Some(tail) } else { tail.strip_prefix('/') };
        fits && left.is_some_and(|left| naive_template(rest, left))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_handled(text in any::<String>()) {
        check_everywhere(&text);
    }

    #[test]
    fn near_misses_are_handled(text in near_miss()) {
        check_everywhere(&text);
    }

    #[test]
    fn patterns_match_as_defined(pattern in small("ab*/é"), value in small("ab*/é")) {
        let read = Pattern::parse(&pattern);
        prop_assert_eq!(read.matches(&value), naive_pattern(&pattern, &value));
        if !value.is_empty() {
            prop_assert_eq!(read.matches_host(&value.to_uppercase().to_lowercase()), read.matches(&value));
        }
        if let Some(oddity) = read.oddity() {
            prop_assert!(pattern[oddity.at].chars().all(|c| c == '*'));
        }
    }

    #[test]
    fn templates_match_as_defined(
        segments in prop::collection::vec(prop::sample::select(vec!["a", "b", "{*}", "{**}", "ab"]), 1..5),
        trailing in any::<bool>(),
        path in small("ab/*\""),
    ) {
        let text = format!("/{}{}", segments.join("/"), if trailing { "/" } else { "" });
        if let Ok(template) = PathTemplate::parse(&text) {
            for path in [path.clone(), format!("/{path}"), text.replace("{*}", "a").replace("{**}", &path)] {
                prop_assert_eq!(template.matches(&path), naive_template(&template.segments, &path), "{} {}", text, path);
            }
        }
    }

    #[test]
    fn namespaces_match_as_defined(value in small("ans*"), namespace in small("ans"), account in small("ans")) {
        let name = format!("spiffe://a/ns/{namespace}/sa/{account}");
        let glob: Vec<char> = format!("*/ns/{value}/*").chars().collect();
        let pattern = NamespacePattern::parse(&value);
        prop_assert_eq!(pattern.matches_name(&name), naive_glob(&glob, &name.chars().collect::<Vec<_>>()));
        if !pattern.differs_between_engines() && namespace != "ns" && !value.is_empty() && !namespace.is_empty() {
            prop_assert_eq!(pattern.matches_name(&name), pattern.matches_namespace(&namespace), "{} {}", value, name);
        }
    }

    #[test]
    fn no_identity_matches_a_principal_with_a_problem(
        value in small("tnsa/*"),
        parts in (prop::sample::select(vec!["t", "ns", "a"]), prop::sample::select(vec!["n", "sa"]), "[tnsa]{1,3}"),
    ) {
        let identity = format!("{}/ns/{}/sa/{}", parts.0, parts.1, parts.2);
        let pattern = PrincipalPattern::parse(&value);
        if pattern.matches_principal(&identity) {
            prop_assert_eq!(pattern.problem(), None, "{} matches {}", value, identity);
            let name = format!("spiffe://{identity}");
            prop_assert!(pattern.matches_name(&name));
        }
    }

    /// Every shape without a problem is matched by the identity that fills its gaps.
    #[test]
    fn a_principal_without_a_problem_matches_some_identity(value in small("tnsa/*")) {
        let pattern = PrincipalPattern::parse(&value);
        if pattern.problem().is_some() {
            return Ok(());
        }
        let literal = pattern.pattern.literal();
        let sound = |identity: &str| {
            let parts: Vec<&str> = identity.split('/').collect();
            matches!(parts.as_slice(), [t, "ns", n, "sa", s] if ![t, n, s].into_iter().any(|part| part.is_empty()))
        };
        let fill = ["", "t", "t/ns/n/sa/s", "/ns/n/sa/s", "ns/n/sa/s", "s/n/sa/s", "/n/sa/s", "n/sa/s", "/sa/s", "sa/s", "a/s", "/s", "s"];
        let start = ["", "t", "t/", "t/n", "t/ns", "t/ns/", "t/ns/n", "t/ns/n/", "t/ns/n/s", "t/ns/n/sa", "t/ns/n/sa/", "t/ns/n/sa/s"];
        let found = match &pattern.pattern {
            Pattern::Present => true,
            Pattern::Exact(_) => sound(literal),
            Pattern::Prefix(_) => fill.iter().any(|end| sound(&format!("{literal}{end}"))),
            Pattern::Suffix(_) => start.iter().any(|start| sound(&format!("{start}{literal}"))),
        };
        prop_assert!(found, "{}", value);
    }

    #[test]
    fn expansion_keeps_order_and_has_no_repetition(
        value in small("ab*/"),
        known in prop::collection::vec("[ab*]{1,2}", 1..4),
    ) {
        let expanded = expand(&value, &known);
        prop_assert!(!expanded.is_empty());
        let unique: std::collections::BTreeSet<&String> = expanded.iter().collect();
        prop_assert_eq!(unique.len(), expanded.len());
        for text in &expanded {
            prop_assert_eq!(text.matches('/').count(), value.matches('/').count());
        }
    }

    #[test]
    fn service_accounts_match_mesh_identities(
        value in "[ab]{1,2}(/[ab]{1,2})?", namespace in "[ab]{1,2}", account in "[ab]{1,2}", home in "[ab]{1,2}",
    ) {
        let reference = ServiceAccountRef::parse(&value).unwrap();
        let name = format!("spiffe://t/ns/{namespace}/sa/{account}");
        let wanted = reference.namespace_in(&home) == namespace && reference.name == account;
        prop_assert_eq!(reference.matches_name(&name, &home), wanted);
    }

    #[test]
    fn blocks_contain_what_their_bits_say(block in any::<u32>(), bits in 0_u8..=32, address in any::<u32>(), near in any::<u8>()) {
        let cidr = Cidr { address: IpAddr::V4(Ipv4Addr::from(block)), zone: None, prefix: Some(bits) };
        prop_assert_eq!(Cidr::parse(&cidr.to_string()), Ok(cidr.clone()));
        for address in [address, block ^ u32::from(near)] {
            let same = (0..u32::from(bits)).all(|bit| (block ^ address) >> (31 - bit) & 1 == 0);
            prop_assert_eq!(cidr.contains(IpAddr::V4(Ipv4Addr::from(address))), same);
        }
    }

    #[test]
    fn every_duration_is_printed_and_read_back(nanos in any::<i64>()) {
        prop_assert_eq!(Duration::parse(&Duration { nanos }.to_string()), Ok(Duration { nanos }));
    }

    #[test]
    fn hosts_within_one_another(first in "(\\*|\\*-)?[ab](\\.[ab]){0,2}", second in "(\\*\\.)?[ab](\\.[ab]){0,2}", name in "[ab](\\.[ab]){0,3}") {
        let (first, second) = (Host::parse(&first).unwrap(), Host::parse(&second).unwrap());
        prop_assert_eq!(first.overlaps(&second), second.overlaps(&first));
        if first.covers(&name) && second.covers(&name) {
            prop_assert!(first.overlaps(&second));
        }
        if first.is_within(&second) && first.covers(&name) {
            prop_assert!(second.covers(&name));
        }
    }

    /// One test per label, written in both selector languages.
    #[test]
    fn both_selector_languages_agree(tests in prop::collection::vec(("[ab]", 0..5_usize, "[xy]", "[xy]"), 1..5), a in "[xy]?", b in "[xy]?") {
        let (mut kubernetes, mut calico) = (Vec::new(), Vec::new());
        for (key, kind, one, two) in tests {
            let (left, right) = match kind {
                0 => (format!("{key}={one}"), format!("{key} == '{one}'")),
                1 => (format!("{key}!={one}"), format!("{key} != '{one}'")),
                2 => (format!("{key} in ({one},{two})"), format!("{key} in {{'{one}','{two}'}}")),
                3 => (format!("{key} notin ({one},{two})"), format!("!({key} in {{\"{one}\"}} || {key}=='{two}')")),
                _ => (format!("!{key}"), format!("!has({key})")),
            };
            kubernetes.push(left);
            calico.push(right);
        }
        let kubernetes = LabelSelector::parse(&kubernetes.join(", ")).unwrap();
        let calico = Expr::parse(&calico.join(" && ")).unwrap();
        let label = |key: &str| match key {
            "a" if !a.is_empty() => Some(a.as_str()),
            "b" if !b.is_empty() => Some(b.as_str()),
            _ => None,
        };
        prop_assert_eq!(kubernetes.matches(label), calico.matches(&label));
    }
}

#[test]
fn long_and_deep_texts_take_little_time() {
    let pieces = [
        "(", "!", "[", "{", "/", "*", "a", "{*}/", "a,", "a in (", "has(", "'", "a.", "80,", "1h", "[a]",
        "&&", ":",
    ];
    let start = std::time::Instant::now();
    for piece in pieces {
        let text = piece.repeat(50_000 / piece.len());
        check_everywhere(&text);
        check_everywhere(&format!("request.auth.claims{text}]"));
    }
    // A quadratic step over 50 kB would need minutes here.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
