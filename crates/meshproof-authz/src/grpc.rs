//! Proxyless gRPC: a server library with a filter per action.
//!
//! Rules: Istio 1.32, `grpcgen/lds.go`: only DENY and ALLOW, no dry run, no trust domain aliases; a filter without rules
//! is not built, so an ALLOW policy that allows nothing refuses nothing.

use meshproof_resources::{Action, Rule};

use crate::attribute::Attribute;
use crate::evaluate::Note;
use crate::policy::Policy;
use crate::rule::ReadRule;

/// Whether the filter gets an entry for the rule: one with an unknown key is passed over; one that fails to translate still
/// has its (empty) entry.
pub(crate) fn has_entry(rule: &Rule) -> bool {
    ReadRule::new(rule).is_ok()
}

/// What gRPC libraries do not test, or not reliably. Here such a test finds nothing, as if the request had none.
pub(crate) fn notes(policies: &[Policy<'_>]) -> Vec<Note> {
    let mut notes = Vec::new();
    let sent = policies.iter().filter(|policy| matches!(policy.action(), Action::Allow | Action::Deny));
    for rule in sent.flat_map(|policy| policy.spec.rules.iter()) {
        let Ok(read) = ReadRule::new(rule) else { continue };
        for test in read.items().flat_map(|item| &item.tests) {
            for (_, name, values) in test.halves() {
                let Some(first) = values.first() else { continue };
                let message = match &test.attribute {
                    attribute if unreliable(attribute) => {
                        format!(
                            "gRPC servers do not know `{name}`; what they make of it depends on the library"
                        )
                    }
                    Attribute::Header(header) if header.chars().any(|c| c.is_ascii_uppercase()) => format!(
                        "older gRPC libraries never find the header `{header}`, because they compare its name in lower \
                         case only (GHSA-qc2q-p7wx-3px3)"
                    ),
                    _ => continue,
                };
                notes.push(Note { message, span: first.span });
            }
        }
    }
    notes
}

/// What a note says of a property that an engine does not test reliably.
fn unreliable(attribute: &Attribute) -> bool {
    matches!(
        attribute,
        Attribute::RequestPrincipal
            | Attribute::Claim(_)
            | Attribute::Metadata { .. }
            | Attribute::Sni
            | Attribute::RemoteIp
    )
}
