//! Connections to a host and a port in one text.

use std::{io, time::Duration};

use nio_loop::Handle;
use nio_net::TcpStream;

/// A host, by its name or its address, and a port: of `example.com:80` or `[::1]:80`.
///
/// # Errors
///
/// What is wrong with it.
pub fn host_and_port(target: &str) -> Result<(&str, u16), String> {
    let split = target.rsplit_once(':');
    match split.map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port @ 1..))) if !host.is_empty() => {
            let address = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            Ok((address.unwrap_or(host), port))
        }
        _ => Err("not of the form HOST:PORT; try example.com:80".into()),
    }
}

/// Connects to `HOST:PORT` within a time.
///
/// # Errors
///
/// Whether the name or the connection is the problem.
pub async fn connect(handle: &Handle, target: &str, limit: Duration) -> io::Result<TcpStream> {
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidInput, format!("{target}: {what}"));
    let host = host_and_port(target).map_err(wrong)?;
    let connecting = TcpStream::connect(handle, host);
    match handle.timeout(limit, connecting).await {
        Ok(connected) => {
            let stream = connected?;
            // A port that is free may be chosen for this end: then TCP connects the socket to itself.
            if matches!((stream.local_addr(), stream.peer_addr()), (Ok(a), Ok(b)) if a == b) {
                let text = format!("cannot connect to {target}: nobody listens there");
                return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
            }
            Ok(stream)
        }
        Err(elapsed) => {
            let text = format!("cannot connect to {target}: {elapsed}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_host_and_a_port() {
        assert_eq!(host_and_port("example.com:80"), Ok(("example.com", 80)));
        assert_eq!(host_and_port("[::1]:80"), Ok(("::1", 80)));
        for text in ["example.com", ":80", "example.com:0", "example.com:http"] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }
}
