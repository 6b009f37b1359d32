//! Echo with work to do for each message: on one thread, and on as many threads as there are cores.

use std::{
    hint::black_box,
    io,
    net::TcpStream,
    thread::{self, available_parallelism},
};

use nio_loop::EventLoop;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};

/// Multiplications for each message, each of which waits for the one before: some 20 microseconds.
const WORK: u64 = 20_000;

/// The largest message.
const BUFFER: usize = 1024;

fn work() {
    let multiply = |product: u64, factor| product.wrapping_mul(factor | 1);
    black_box((0..WORK).map(black_box).fold(1, multiply));
}

fn cores() -> usize {
    available_parallelism().map_or(1, |count| count.get())
}

pub(super) fn nio_on_one(streams: Vec<TcpStream>) -> io::Result<()> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    for stream in streams {
        let stream = nio_net::TcpStream::from_std(&handle, stream)?;
        let serve = async move {
            let mut buffer = [0; BUFFER];
            loop {
                let n = stream.read(&mut buffer).await?;
                if n == 0 {
                    return io::Result::Ok(());
                }
                work();
                stream.write_all(&buffer[..n]).await?;
            }
        };
        handle.spawn(serve).detach();
    }
    event_loop.run()?;
    Ok(())
}

/// A thread for each core, with a loop and its share of the connections.
pub(super) fn nio_on_all(streams: Vec<TcpStream>) -> io::Result<()> {
    let mut shares: Vec<Vec<TcpStream>> = (0..cores()).map(|_| Vec::new()).collect();
    for (number, stream) in streams.into_iter().enumerate() {
        shares[number % cores()].push(stream);
    }
    let start = |share| thread::spawn(move || nio_on_one(share));
    let threads: Vec<_> = shares.into_iter().map(start).collect();
    for thread in threads {
        thread.join().expect("no thread panics")?;
    }
    Ok(())
}

pub(super) fn tokio_on_one(streams: Vec<TcpStream>) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    serve_on_tokio(&runtime, streams)
}

pub(super) fn tokio_on_all(streams: Vec<TcpStream>) -> io::Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(cores())
        .enable_io()
        .build()?;
    serve_on_tokio(&runtime, streams)
}

fn serve_on_tokio(runtime: &Runtime, streams: Vec<TcpStream>) -> io::Result<()> {
    runtime.block_on(async {
        let mut tasks = Vec::with_capacity(streams.len());
        for stream in streams {
            let mut stream = tokio::net::TcpStream::from_std(stream)?;
            tasks.push(tokio::spawn(async move {
                let mut buffer = [0; BUFFER];
                loop {
                    let n = stream.read(&mut buffer).await?;
                    if n == 0 {
                        return io::Result::Ok(());
                    }
                    work();
                    stream.write_all(&buffer[..n]).await?;
                }
            }));
        }
        for task in tasks {
            task.await.expect("no task panics")?;
        }
        Ok(())
    })
}
