//! smol, by the crates that it is made of: a task for each connection, on its executor of one thread.

use std::{io, net, rc::Rc};

use async_executor::LocalExecutor;
use async_io::{Async, block_on};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future::yield_now};

use super::SHORT_BUFFER;

pub(super) fn echo<const SIZE: usize>(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let executor = LocalExecutor::new();
    let mut tasks = Vec::with_capacity(streams.len());
    for stream in streams {
        tasks.push(executor.spawn(serve::<SIZE>(Async::new(stream)?)));
    }
    block_on(executor.run(async {
        for task in tasks {
            task.await?;
        }
        Ok(())
    }))
}

async fn serve<const SIZE: usize>(mut stream: Async<net::TcpStream>) -> io::Result<()> {
    let mut buffer = [0; SIZE];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}

pub(super) fn short(listener: net::TcpListener, connections: usize) -> io::Result<()> {
    let executor = LocalExecutor::new();
    let listener = Async::new(listener)?;
    block_on(executor.run(async {
        let open = Rc::new(());
        for _ in 0..connections {
            let (stream, _) = listener.accept().await?;
            let open = Rc::clone(&open);
            let task = executor.spawn(async move {
                serve_shortly(stream).await.expect("no connection fails");
                drop(open);
            });
            task.detach();
        }
        while Rc::strong_count(&open) > 1 {
            yield_now().await;
        }
        Ok(())
    }))
}

async fn serve_shortly(mut stream: Async<net::TcpStream>) -> io::Result<()> {
    let mut buffer = [0; SHORT_BUFFER];
    let n = stream.read(&mut buffer).await?;
    stream.write_all(&buffer[..n]).await
}
