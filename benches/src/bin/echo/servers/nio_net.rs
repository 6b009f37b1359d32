//! nio-net: a task for each connection, on nio-loop.

use std::{io, net};

use nio_loop::EventLoop;
use nio_net::TcpStream;

use super::BUFFER;

pub(super) fn serve(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle().clone();
    for stream in streams {
        let stream = TcpStream::from_std(&handle, stream)?;
        handle.spawn(async move { echo(stream).await.expect("no connection fails") });
    }
    event_loop.run()?;
    Ok(())
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}
