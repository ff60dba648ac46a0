//! Which protocol a port speaks, from its name, `appProtocol`, transport and number.
//!
//! Rules: Istio 1.32, `pkg/config/kube/conversion.go` (`ConvertProtocol`) and `pkg/config/protocol/instance.go`.

use std::fmt;

use crate::error::ParseError;
use crate::text::shown;

/// A protocol as the mesh knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Plain bytes.
    Tcp,
    /// Datagrams, which the mesh never handles.
    Udp,
    /// gRPC.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// HTTP/1.1.
    Http,
    /// A generic forward proxy port.
    HttpProxy,
    /// HTTP/2.
    Http2,
    /// TLS that the application ends, carrying HTTP.
    Https,
    /// TLS that the application ends.
    Tls,
    /// MongoDB.
    Mongo,
    /// Redis.
    Redis,
    /// MySQL.
    MySql,
    /// Not recognised: the proxy looks at the first bytes.
    Unsupported,
}

/// Which filter chains a port gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProtocolClass {
    /// The HTTP chain: paths, methods, headers and tokens exist.
    Http,
    /// The TCP chain: only identities, addresses and ports exist.
    Tcp,
    /// Both chains; the bytes of the connection decide.
    Auto,
    /// Not handled by the mesh.
    Udp,
}

/// Names as [`Protocol::parse`] reads them, in the spelling Istio prints.
const NAMES: [(&str, Protocol); 12] = [
    ("TCP", Protocol::Tcp),
    ("UDP", Protocol::Udp),
    ("GRPC", Protocol::Grpc),
    ("GRPC-Web", Protocol::GrpcWeb),
    ("HTTP", Protocol::Http),
    ("HTTP_PROXY", Protocol::HttpProxy),
    ("HTTP2", Protocol::Http2),
    ("HTTPS", Protocol::Https),
    ("TLS", Protocol::Tls),
    ("Mongo", Protocol::Mongo),
    ("Redis", Protocol::Redis),
    ("MySQL", Protocol::MySql),
];

/// Server-first protocols live on these ports, so that an unnamed port is never sniffed there.
const NEVER_SNIFFED: [u32; 4] = [25, 53, 3306, 27017];

impl Protocol {
    /// Reads a protocol name, ignoring case: `Gateway` and `ServiceEntry` ports.
    ///
    /// # Errors
    /// A name that Istio does not know (it treats such a port as [`Protocol::Unsupported`]).
    pub fn parse(text: &str) -> Result<Protocol, ParseError> {
        Protocol::named(text).ok_or_else(|| {
            ParseError::new(0..text.len(), format!("{} is not a protocol that the mesh knows", shown(text)))
                .with_help(
                    "use one of TCP, TLS, HTTP, HTTP2, HTTPS, GRPC, GRPC-Web, Mongo, MySQL, Redis, UDP",
                )
        })
    }

    fn named(text: &str) -> Option<Protocol> {
        NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, protocol)| *protocol)
    }

    /// The protocol of a Service port. `transport` is the `protocol` field of the port, `port` the Service port
    /// number. `app_protocol` replaces the name even when it says nothing Istio knows.
    pub fn select(port: u32, name: &str, app_protocol: Option<&str>, transport: Option<&str>) -> Protocol {
        if transport == Some("UDP") {
            return Protocol::Udp;
        }
        match app_protocol {
            Some("kubernetes.io/h2c") => return Protocol::Http2,
            Some("kubernetes.io/ws") => return Protocol::Http,
            Some("kubernetes.io/wss") => return Protocol::Https,
            _ => {}
        }
        let name = app_protocol.unwrap_or(name);
        let is_grpc_web = name
            .as_bytes()
            .get(.."grpc-web".len())
            .is_some_and(|head| head.eq_ignore_ascii_case(b"grpc-web"));
        if is_grpc_web {
            return Protocol::GrpcWeb;
        }
        let prefix = name.split('-').next().unwrap_or(name);
        match Protocol::named(prefix) {
            Some(protocol) => protocol,
            None if NEVER_SNIFFED.contains(&port) => Protocol::Tcp,
            None => Protocol::Unsupported,
        }
    }

    /// The chains that an inbound port of this protocol gets.
    pub fn class(self) -> ProtocolClass {
        match self {
            Protocol::Http | Protocol::Http2 | Protocol::HttpProxy | Protocol::Grpc | Protocol::GrpcWeb => {
                ProtocolClass::Http
            }
            Protocol::Tcp
            | Protocol::Https
            | Protocol::Tls
            | Protocol::Mongo
            | Protocol::Redis
            | Protocol::MySql => ProtocolClass::Tcp,
            Protocol::Unsupported => ProtocolClass::Auto,
            Protocol::Udp => ProtocolClass::Udp,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, protocol)| protocol == self).map(|(name, _)| *name);
        f.write_str(name.unwrap_or("UnsupportedProtocol"))
    }
}

impl fmt::Display for ProtocolClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolClass::Http => "HTTP",
            ProtocolClass::Tcp => "TCP",
            ProtocolClass::Auto => "auto",
            ProtocolClass::Udp => "UDP",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection() {
        let by_name = |name| Protocol::select(80, name, None, Some("TCP"));
        assert_eq!(by_name("http"), Protocol::Http);
        assert_eq!(by_name("HTTP2-api"), Protocol::Http2);
        assert_eq!(by_name("grpc-web-x"), Protocol::GrpcWeb);
        assert_eq!(by_name("grpc-webfoo"), Protocol::GrpcWeb);
        assert_eq!(by_name("grpc-x"), Protocol::Grpc);
        assert_eq!(by_name("httpfoo"), Protocol::Unsupported);
        assert_eq!(by_name("web"), Protocol::Unsupported);
        assert_eq!(by_name(""), Protocol::Unsupported);
        assert_eq!(Protocol::select(3306, "db", None, None), Protocol::Tcp);
        assert_eq!(Protocol::select(3306, "http", None, None), Protocol::Http);
        assert_eq!(Protocol::select(80, "http", None, Some("UDP")), Protocol::Udp);
        assert_eq!(Protocol::select(80, "http", Some("mine"), None), Protocol::Unsupported);
        assert_eq!(Protocol::select(80, "tcp", Some("kubernetes.io/h2c"), None), Protocol::Http2);
        assert_eq!(Protocol::select(80, "kubernetes.io/h2c", None, None), Protocol::Unsupported);
    }

    #[test]
    fn classes() {
        assert_eq!(Protocol::Https.class(), ProtocolClass::Tcp);
        assert_eq!(Protocol::GrpcWeb.class(), ProtocolClass::Http);
        assert_eq!(Protocol::Unsupported.class(), ProtocolClass::Auto);
        assert_eq!(Protocol::Udp.class(), ProtocolClass::Udp);
    }
}
