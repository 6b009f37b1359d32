use std::{error::Error, net::SocketAddr};

use nio_loop::EventLoop;
use nio_net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    event_loop.block_on(async {
        let listener = TcpListener::bind(&handle, SocketAddr::from(([127, 0, 0, 1], 7070)))?;
        loop {
            let (stream, _) = listener.accept().await?;
            let serve = async move { stream.write_all(b"hello\n").await };
            handle.spawn(serve).detach();
        }
    })?
}
