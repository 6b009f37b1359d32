use std::error::Error;

use tokio::{io::AsyncWriteExt, net::TcpListener, runtime::Builder};

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:7070").await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move { stream.write_all(b"hello\n").await });
        }
    })
}
