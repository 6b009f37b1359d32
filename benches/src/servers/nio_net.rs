//! nio-net: a task for each connection, on nio-loop. With a buffer for each, or *shared*, with one for all.

use std::{io, net};

use nio_loop::EventLoop;
use nio_net::{TcpListener, TcpStream};

use super::SHORT_BUFFER;

pub(super) fn echo<const SIZE: usize>(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    for stream in streams {
        let stream = TcpStream::from_std(&handle, stream)?;
        handle.spawn(serve::<SIZE>(stream)).detach();
    }
    event_loop.run()?;
    Ok(())
}

/// 56 bytes and the buffer's others. An `async fn` would keep its argument twice, and a `match` on the
/// result of a read would keep that result beside the number.
#[expect(clippy::manual_async_fn, reason = "an async fn would be larger")]
fn serve<const SIZE: usize>(stream: TcpStream) -> impl Future<Output = io::Result<()>> {
    async move {
        let mut buffer = [0; SIZE];
        loop {
            let n = stream.read(&mut buffer).await?;
            if n == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..n]).await?;
        }
    }
}

/// Reads into the buffer of the loop; bytes that have no room in the socket are kept.
pub(super) fn echo_shared(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    for stream in streams {
        let stream = TcpStream::from_std(&handle, stream)?;
        handle.spawn(serve_shared(stream)).detach();
    }
    event_loop.run()?;
    Ok(())
}

#[expect(clippy::manual_async_fn, reason = "an async fn would be larger")]
fn serve_shared(stream: TcpStream) -> impl Future<Output = io::Result<()>> {
    async move {
        let echo = |bytes: &[u8]| stream.try_write_all(bytes);
        while let Some(left) = stream.read_with(echo).await? {
            let left = left?;
            if !left.is_empty() {
                // Boxed, as it is rare and would make every task larger.
                let write = async |left: Vec<u8>| stream.write_all(&left).await;
                Box::pin(write(left)).await?;
            }
        }
        Ok(())
    }
}

pub(super) fn short(listener: net::TcpListener, connections: usize) -> io::Result<()> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let listener = TcpListener::from_std(&handle, listener)?;
    event_loop.block_on(async {
        for _ in 0..connections {
            let (stream, _) = listener.accept().await?;
            handle.spawn(serve_shortly(stream)).detach();
        }
        io::Result::Ok(())
    })??;
    event_loop.run()?;
    Ok(())
}

async fn serve_shortly(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; SHORT_BUFFER];
    let n = stream.read(&mut buffer).await?;
    stream.write_all(&buffer[..n]).await
}
