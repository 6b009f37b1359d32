//! nio-net: a task for each connection, on nio-loop. With a buffer for each, or *shared*, with one for all.

use std::{cell::RefCell, future::poll_fn, io, net, rc::Rc, task::Context};

use nio_loop::EventLoop;
use nio_net::{TcpListener, TcpStream};

use super::{BUFFER, SHORT_BUFFER};

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

/// One buffer for all connections: bytes that were read are written before another task runs, or kept.
pub(super) fn echo_shared(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let buffer = Rc::new(RefCell::new([0; BUFFER]));
    for stream in streams {
        let stream = TcpStream::from_std(&handle, stream)?;
        handle.spawn(serve_shared(stream, buffer.clone())).detach();
    }
    event_loop.run()?;
    Ok(())
}

#[expect(clippy::manual_async_fn, reason = "an async fn would be larger")]
fn serve_shared(
    stream: TcpStream,
    buffer: Rc<RefCell<[u8; BUFFER]>>,
) -> impl Future<Output = io::Result<()>> {
    async move {
        loop {
            let read = |context: &mut Context<'_>| {
                let mut buffer = buffer.borrow_mut();
                stream.poll_read(context, &mut *buffer)
            };
            let n = poll_fn(read).await?;
            if n == 0 {
                return Ok(());
            }
            let written = match stream.try_write(&buffer.borrow()[..n]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                result => result?,
            };
            if written < n {
                let rest = buffer.borrow()[written..n].to_vec();
                // Boxed, as it is rare and would make every task larger.
                let write = async |rest: Vec<u8>| stream.write_all(&rest).await;
                Box::pin(write(rest)).await?;
            }
        }
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
