//! tokio: a task for each connection, on its runtime of one thread.

use std::{io, net, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::yield_now,
};

use super::SHORT_BUFFER;

pub(super) fn echo<const SIZE: usize>(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut tasks = Vec::with_capacity(streams.len());
        for stream in streams {
            tasks.push(tokio::spawn(serve::<SIZE>(TcpStream::from_std(stream)?)));
        }
        for task in tasks {
            task.await.expect("no task panics")?;
        }
        Ok(())
    })
}

async fn serve<const SIZE: usize>(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; SIZE];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}

pub(super) fn short(listener: net::TcpListener, connections: usize) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let open = Arc::new(());
        for _ in 0..connections {
            let (stream, _) = listener.accept().await?;
            let open = Arc::clone(&open);
            tokio::spawn(async move {
                serve_shortly(stream).await.expect("no connection fails");
                drop(open);
            });
        }
        while Arc::strong_count(&open) > 1 {
            yield_now().await;
        }
        Ok(())
    })
}

async fn serve_shortly(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; SHORT_BUFFER];
    let n = stream.read(&mut buffer).await?;
    stream.write_all(&buffer[..n]).await
}
