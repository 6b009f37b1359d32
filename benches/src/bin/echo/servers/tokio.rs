//! tokio: a task for each connection, on its runtime of one thread.

use std::{io, net};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    task::JoinSet,
};

use super::BUFFER;

pub(super) fn serve(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for stream in streams {
            tasks.spawn(echo(TcpStream::from_std(stream)?));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no task panics")?;
        }
        Ok(())
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}
