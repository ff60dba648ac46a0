//! Sends the requests of the vectors, one connection each.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

use super::certificates::Certificates;
use super::{failed, metadata};

const PATIENCE: Duration = Duration::from_secs(5);

/// What is sent where there is no HTTP. Long enough that Envoy does not wait for more to tell TLS from bytes.
const BYTES: &[u8] = &[b'x'; 64];

/// A client that remembers how to speak TLS as whom.
pub(super) struct Client<'a> {
    certificates: &'a Certificates,
    tls: HashMap<(String, bool), Arc<ClientConfig>>,
}

/// What a client sees of a request.
pub(super) struct Sent {
    /// Its own address, by which the line in Envoy's log is found.
    pub(super) client: SocketAddr,
    /// Whether anything came back.
    pub(super) answered: bool,
}

impl<'a> Client<'a> {
    pub(super) fn new(certificates: &'a Certificates) -> Client<'a> {
        Client { certificates, tls: HashMap::new() }
    }

    /// Sends one request (in the form of the vectors) to a listener and waits for the first bytes that come back.
    pub(super) fn send(&mut self, listener: SocketAddr, request: &Value) -> io::Result<Sent> {
        let mut stream = TcpStream::connect_timeout(&listener, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let client = stream.local_addr()?;
        let bytes = if request["proto"] == "http" { self.http(request)? } else { BYTES.to_vec() };
        stream.write_all(&preamble(request, client)?)?;
        let result = if request["tls"] == true {
            let name = request["sni"].as_str();
            let config = self.config(request.get("peer"), name.is_some())?;
            let name = ServerName::try_from(name.unwrap_or("unnamed").to_owned()).map_err(failed)?;
            let connection = ClientConnection::new(config, name).map_err(failed)?;
            exchange(&mut StreamOwned::new(connection, stream), &bytes)
        } else {
            exchange(&mut stream, &bytes)
        };
        // A connection that is cut off is an answer of a kind: the log tells why.
        Ok(Sent { client, answered: result.unwrap_or(false) })
    }

    fn config(&mut self, peer: Option<&Value>, sends_name: bool) -> io::Result<Arc<ClientConfig>> {
        let peer = peer.filter(|peer| !peer.is_null());
        let key = (peer.map(Value::to_string).unwrap_or_default(), sends_name);
        if let Some(config) = self.tls.get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.certificates.client(peer, sends_name)?);
        self.tls.insert(key, Arc::clone(&config));
        Ok(config)
    }

    fn http(&self, request: &Value) -> io::Result<Vec<u8>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut head = format!("{} {} HTTP/1.1\r\n", text(&request["method"]), text(&request["path"]));
        for header in request["headers"].as_array().into_iter().flatten() {
            head.push_str(&format!("{}: {}\r\n", text(&header[0]), text(&header[1])));
        }
        if request["jwt"].is_object() {
            head.push_str(&format!(
                "authorization: Bearer {}\r\n",
                self.certificates.token(&request["jwt"])?
            ));
        }
        if let Some(value) = metadata::of(request) {
            head.push_str(&format!("{}: {}\r\n", metadata::HEADER, metadata::header(value)));
        }
        head.push_str("\r\n");
        Ok(head.into_bytes())
    }
}

/// What starts every header of the PROXY protocol, version 2, and says that addresses follow.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21";

/// The header of the PROXY protocol: from where, to where, and the metadata of a connection without HTTP.
fn preamble(request: &Value, client: SocketAddr) -> io::Result<Vec<u8>> {
    let address = |text: &str| text.parse::<IpAddr>().map_err(failed);
    let to = address(request["dst"][0].as_str().unwrap_or_default())?;
    let from = request["pp_src"].as_str().map_or(Ok(client.ip()), address)?;
    let port = request["dst"][1].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
    let (family, mut body) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (0x11, [from.octets(), to.octets()].concat()),
        (IpAddr::V6(from), IpAddr::V6(to)) => (0x21, [from.octets(), to.octets()].concat()),
        _ => return Err(failed(format!("no connection goes from {from} to {to}"))),
    };
    body.extend(client.port().to_be_bytes());
    body.extend(port.to_be_bytes());
    if let Some(Value::String(text)) = metadata::of(request).filter(|_| request["proto"] == "tcp") {
        body.push(metadata::FIELD);
        body.extend(length(text.as_bytes())?);
        body.extend(text.as_bytes());
    }
    Ok([SIGNATURE, &[family], &length(&body)?, &body].concat())
}

fn length(bytes: &[u8]) -> io::Result<[u8; 2]> {
    u16::try_from(bytes.len()).map(u16::to_be_bytes).map_err(failed)
}

fn exchange(stream: &mut (impl Read + Write), bytes: &[u8]) -> io::Result<bool> {
    stream.write_all(bytes)?;
    stream.flush()?;
    let mut answer = [0; 4096];
    Ok(stream.read(&mut answer)? > 0)
}
