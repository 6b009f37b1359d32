//! An echo server: one task for each connection, on one thread.
//!
//! ```text
//! cargo run --release --example echo [ADDRESS]
//! nc 127.0.0.1 7070
//! ```
//!
//! Ctrl-C starts a graceful shutdown: it accepts no more connections, and ends when the open ones are
//! closed. A second Ctrl-C ends it at once.

use std::{env, error::Error, io, rc::Rc, time::Duration};

use nio_examples::println;
use nio_loop::{EventLoop, Handle, Signal};
use nio_net::{TcpListener, TcpStream};

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:7070".into());

    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let listener = event_loop.block_on(TcpListener::bind(&handle, address))?;
    let listener = listener.map_err(|error| error.to_string())?;
    let address = listener.local_addr()?;

    let accepting = Rc::new(handle.spawn(accept(handle.clone(), listener)));
    for signal in [Signal::INTERRUPT, Signal::TERMINATE] {
        let accepting = Rc::clone(&accepting);
        handle.on_signal(signal, move |_, _| {
            if accepting.is_finished() {
                std::process::exit(130);
            }
            accepting.abort();
            println!("no more connections; waiting for those that are open");
        })?;
    }
    println!(
        "listening on {address}; try: nc {} {}",
        address.ip(),
        address.port()
    );

    event_loop.run()?;
    println!("all connections are closed");
    Ok(())
}

/// Accepts connections without end.
async fn accept(handle: Handle, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                handle.spawn(async move {
                    if let Err(error) = echo(stream).await {
                        println!("{peer}: {error}");
                    }
                });
            }
            Err(error) => {
                // Usually no descriptor is free. Clients wait in the listener's queue for the next attempt.
                println!("cannot accept: {error}");
                handle.sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Sends back the bytes that arrive, until the peer ends writing.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        match stream.read(&mut bytes).await? {
            0 => return Ok(()),
            n => stream.write_all(&bytes[..n]).await?,
        }
    }
}
