//! `atlas-collab health`: asks the server that runs with the same settings whether it is alive. A container image needs
//! no other program for its health check.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::config::Config;

/// Each for connecting, for asking and for the answer. A check is given up after three seconds.
const STEP_TIMEOUT: Duration = Duration::from_millis(900);
/// Bytes. The beginning of an answer that has its status.
const STATUS_BYTES: usize = 12;

/// # Errors
/// When nobody answers, or not with 200.
pub fn health(config: &Config) -> anyhow::Result<()> {
    let addr = reachable(config.server.listen);
    let mut stream = TcpStream::connect_timeout(&addr, STEP_TIMEOUT)
        .with_context(|| format!("nobody listens on {addr} (ATLAS_LISTEN)"))?;
    stream.set_write_timeout(Some(STEP_TIMEOUT))?;
    stream.set_read_timeout(Some(STEP_TIMEOUT))?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; STATUS_BYTES];
    stream.read_exact(&mut status).with_context(|| format!("{addr} does not answer"))?;
    if &status != b"HTTP/1.1 200" {
        bail!("{addr} answers {:?}", String::from_utf8_lossy(&status));
    }
    Ok(())
}

/// Who listens on all addresses of the machine is reached at its own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_reached_at_ones_own() {
        for (listen, reached) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:3000", "[::1]:3000"),
            ("10.1.2.3:80", "10.1.2.3:80"),
            ("127.0.0.1:3000", "127.0.0.1:3000"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), reached);
        }
    }
}
