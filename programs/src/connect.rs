//! Connecting to `HOST:PORT` with a time limit.

use std::{io, time::Duration};

use nio_loop::Handle;
use nio_net::TcpStream;

/// Connects to `HOST:PORT` within a time limit.
///
/// # Errors
///
/// Those of [`TcpStream::connect`]; [`TimedOut`](io::ErrorKind::TimedOut) after the limit.
pub async fn connect(handle: &Handle, target: &str, limit: Duration) -> io::Result<TcpStream> {
    match handle
        .timeout(limit, TcpStream::connect(handle, target))
        .await
    {
        Ok(connected) => Ok(connected?),
        Err(elapsed) => {
            let text = format!("cannot connect to {target}: {elapsed}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        }
    }
}
