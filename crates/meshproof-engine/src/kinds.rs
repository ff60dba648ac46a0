//! What stands in a table as a code.

macro_rules! codes {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant = $code,)*
        }

        impl $name {
            /// What the code stands for.
            pub fn of_code(code: u32) -> Option<$name> {
                match code {
                    $($code => Some($name::$variant),)*
                    _ => None,
                }
            }

            /// Its code.
            pub fn code(self) -> u32 {
                self as u32
            }
        }
    };
}

codes! {
    /// Whose reading of the policies a table holds. The engines read the same policies differently.
    Engine {
        /// An HTTP filter chain of Envoy.
        EnvoyHttp = 0,
        /// A network filter chain of Envoy.
        EnvoyTcp = 1,
        /// ztunnel: connections, and one identity.
        Ztunnel = 2,
        /// A gRPC server without a proxy.
        Grpc = 3,
    }
}

codes! {
    /// What rows of a segment lead to, in the order in which the segments stand.
    Effect {
        /// Refused before any provider is asked: CUSTOM with a provider that cannot be asked.
        Refuse = 0,
        /// The provider of the segment is asked.
        Ask = 1,
        /// The request is marked.
        Audit = 2,
        /// The request is refused.
        Deny = 3,
        /// The request is allowed unless something refuses it.
        Allow = 4,
        /// On trial: it would have been refused.
        DryDeny = 5,
        /// On trial: it would have been allowed.
        DryAllow = 6,
    }
}

codes! {
    /// What varies from one request to the next.
    Attribute {
        /// The names of the peer.
        Peer = 0,
        /// Issuer and subject of the token.
        Token = 1,
        /// The normalized path with its query.
        Path = 2,
        /// The host with its port.
        Authority = 3,
        /// The method.
        Method = 4,
        /// The port that the connection was made to.
        Port = 5,
        /// The server name of the TLS handshake.
        Sni = 6,
        /// The address at the other end of the hop.
        SourceIp = 7,
        /// The original client address.
        RemoteIp = 8,
        /// The address that the connection was made to.
        DestinationIp = 9,
        /// A header, by its name.
        Header = 10,
        /// A claim, by its path: names with a zero byte between them.
        Claim = 11,
        /// Dynamic metadata as a text, by filter and key with a zero byte between them.
        MetadataText = 12,
        /// Dynamic metadata as a list of texts.
        MetadataList = 13,
    }
}

codes! {
    /// A part of a value that an index looks at.
    View {
        /// All of it; of a peer its name without `spiffe://`.
        Whole = 0,
        /// A path without its query.
        Path = 1,
        /// The trust domain of a peer.
        TrustDomain = 2,
        /// The namespace of a peer.
        Namespace = 3,
        /// Namespace and account of a peer: `ns/sa/account`.
        Account = 4,
        /// The issuer of a token.
        Issuer = 5,
        /// The subject of a token.
        Subject = 6,
        /// A port or an address.
        Number = 7,
    }
}

codes! {
    /// A test that a table spells out.
    TestKind {
        /// A peer with a name.
        PrincipalPresent = 0,
        /// `spiffe://` with the text behind it.
        PrincipalExact = 1,
        /// `spiffe://`, the text, anything.
        PrincipalPrefix = 2,
        /// `spiffe://`, anything, the text.
        PrincipalSuffix = 3,
        /// `*/ns/TEXT/*`, every star for any text.
        NamespaceGlob = 4,
        /// The namespace part of an identity, not empty.
        NamespacePresent = 5,
        /// The namespace part of an identity.
        NamespaceExact = 6,
        /// It starts with the text.
        NamespacePrefix = 7,
        /// It ends with the text.
        NamespaceSuffix = 8,
        /// `spiffe://.+/ns/FIRST/(.+/|)sa/SECOND(/.+)?`; of ztunnel, both parts of an identity.
        Account = 9,
        /// The trust domain, one star for any text without a slash.
        TrustDomain = 10,
        /// A text that is there.
        Exists = 11,
        /// A text that is not empty and has no line break.
        Line = 12,
        /// The text.
        Exact = 13,
        /// It starts with the text.
        Prefix = 14,
        /// It ends with the text.
        Suffix = 15,
        /// A path without its query, by a template of literals and operators; the second text is how it ends.
        Template = 16,
        /// A path without its query, by a template step by step; the second text says what is repeated as a whole.
        Steps = 17,
        /// Issuer and subject: each by a letter (`-` no demand, `*` a line, `=`, `<` prefix, `>` suffix) before its text.
        Token = 18,
        /// An address in the block: the number of the network in 16 bytes, then 4 or 6, then the length of the prefix.
        Block = 19,
        /// This port, in two bytes.
        Port = 20,
        /// A path without its query that is not empty and has no line break.
        PathLine = 21,
        /// A path without its query.
        PathExact = 22,
        /// A path without its query starts with the text.
        PathPrefix = 23,
        /// A path without its query ends with the text.
        PathSuffix = 24,
        /// The text in any case; it is written in small letters.
        HostExact = 25,
        /// It starts with the text in any case.
        HostPrefix = 26,
        /// It ends with the text in any case.
        HostSuffix = 27,
    }
}
