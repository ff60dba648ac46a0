//! "Did you mean".

/// Names longer than this are not compared: no field name is, and the comparison is quadratic in length.
const LONGEST: usize = 64;

/// The candidate that a misspelt name most likely stands for: the same letters in another case or with other
/// separators, a singular for a plural, or a small edit distance.
pub(crate) fn closest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let folded = fold(name);
    let allowed = (name.len() / 4).clamp(1, 3);
    let mut best: Option<(usize, &'c str)> = None;
    for candidate in candidates {
        let other = fold(candidate);
        let distance = if other == folded {
            0
        } else if name.len() < 3 || other.len().abs_diff(folded.len()) > allowed {
            continue;
        } else {
            strsim::damerau_levenshtein(&folded, &other)
        };
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn finds_the_field_that_was_meant() {
        let fields = ["from", "to", "when", "matchLabels", "portLevelMtls", "notPrincipals"];
        for (written, meant) in [
            ("form", Some("from")),
            ("matchlabels", Some("matchLabels")),
            ("matchLabel", Some("matchLabels")),
            ("portLevelMTLS", Some("portLevelMtls")),
            ("not_principals", Some("notPrincipals")),
            ("extra", None),
            ("tp", None),
            ("TO", Some("to")),
        ] {
            assert_eq!(closest(written, fields.into_iter()), meant, "{written}");
        }
    }

    #[test]
    fn leaves_huge_names_alone() {
        assert_eq!(closest(&"a".repeat(1 << 20), ["a"].into_iter()), None);
    }
}
