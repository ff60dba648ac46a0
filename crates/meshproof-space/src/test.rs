//! One value of a rule as a test of one variable, everything that depends on its policy and engine resolved.

use ipnet::IpNet;
use meshproof_grammar::namespace_pattern::NamespacePattern;
use meshproof_grammar::pattern::Pattern;
use meshproof_grammar::uri_template::UriTemplate;

/// A half of the name of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    /// The claim `iss`.
    Issuer,
    /// The claim `sub`.
    Subject,
}

/// A test of a [`Variable`](crate::Variable). A property that the request does not have passes none but
/// [`Test::Absent`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// The request does not have it. No policy says this; it tells kinds of requests apart.
    Absent,
    /// A name of the peer, written without `spiffe://`; trust domains are replaced already.
    Principal(Pattern),
    /// A name of the peer as Envoy reads a namespace: a star runs across slashes.
    Namespace(NamespacePattern),
    /// The namespace of the peer as ztunnel reads it: that part alone.
    NamespaceName(Pattern),
    /// A name of the peer that belongs to the account.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A name of the peer that lies in the trust domain; aliases are replaced already.
    TrustDomain(String),
    /// An address in the block.
    Block(IpNet),
    /// This port.
    Port(u16),
    /// A text; `*` wants one that is not empty.
    Text(Pattern),
    /// A text; `*` also takes an empty one. Headers and methods, and pseudo headers over the whole value.
    Header(Pattern),
    /// A text in any case; `*` also takes an empty one.
    Host(Pattern),
    /// The path without its query.
    Path(Pattern),
    /// The path without its query, by a template.
    Template(UriTemplate),
    /// Issuer and subject of the token.
    Token {
        /// What the issuer has to be; nothing when it does not matter, whether it is there included.
        issuer: Option<Pattern>,
        /// What the subject has to be.
        subject: Option<Pattern>,
    },
    /// A word of the issuer, or of the subject, where that claim is told to be split at blanks.
    Word {
        /// Which of them.
        of: Half,
        /// What the word has to be; `*` wants any.
        pattern: Pattern,
    },
}
