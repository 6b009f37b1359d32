//! hyper on nio and on tokio: the same service on either, with and without the timer that limits how long the head of a
//! request may take.

use std::{convert::Infallible, future, io, net, time::Duration};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nio_loop::{EventLoop, Handle};
use nio_net::bridge::hyper::Timer;

/// The limit on the time for a head.
const LIMIT: Duration = Duration::from_secs(30);

/// On nio: its streams are the ones that hyper asks for.
pub(super) fn nio(streams: Vec<net::TcpStream>) -> io::Result<()> {
    serve_on_nio(streams, |_| http1::Builder::new())
}

pub(super) fn nio_timer(streams: Vec<net::TcpStream>) -> io::Result<()> {
    serve_on_nio(streams, |handle| {
        let mut builder = http1::Builder::new();
        builder.timer(Timer::new(handle)).header_read_timeout(LIMIT);
        builder
    })
}

fn serve_on_nio(
    streams: Vec<net::TcpStream>,
    builder: impl Fn(&Handle) -> http1::Builder,
) -> io::Result<()> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    for stream in streams {
        let stream = nio_net::TcpStream::from_std(&handle, stream)?;
        let service = service_fn(|request| future::ready(answer(request)));
        let connection = builder(&handle).serve_connection(stream, service);
        handle.spawn(connection).detach();
    }
    event_loop.run()?;
    Ok(())
}

/// On tokio's runtime of one thread.
pub(super) fn tokio(streams: Vec<net::TcpStream>) -> io::Result<()> {
    serve_on_tokio(streams, http1::Builder::new)
}

pub(super) fn tokio_timer(streams: Vec<net::TcpStream>) -> io::Result<()> {
    serve_on_tokio(streams, || {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(LIMIT);
        builder
    })
}

fn serve_on_tokio(
    streams: Vec<net::TcpStream>,
    builder: impl Fn() -> http1::Builder,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut tasks = Vec::with_capacity(streams.len());
        for stream in streams {
            let stream = TokioIo::new(tokio::net::TcpStream::from_std(stream)?);
            let service = service_fn(|request| future::ready(answer(request)));
            let connection = builder().serve_connection(stream, service);
            tasks.push(tokio::spawn(connection));
        }
        for task in tasks {
            // A client that is done closes its connections.
            let _ = task.await.expect("no task panics");
        }
        Ok(())
    })
}

/// As many bytes as the path says.
fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let size = request.uri().path().trim_start_matches('/').parse();
    Ok(Response::new(".".repeat(size.unwrap_or(0))))
}
