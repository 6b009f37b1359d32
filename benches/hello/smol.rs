use std::{error::Error, net::TcpListener};

use async_executor::LocalExecutor;
use async_io::{Async, block_on};
use futures_lite::AsyncWriteExt;

fn main() -> Result<(), Box<dyn Error>> {
    let executor = LocalExecutor::new();
    block_on(executor.run(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 7070))?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            let serve = async move { stream.write_all(b"hello\n").await };
            executor.spawn(serve).detach();
        }
    }))
}
