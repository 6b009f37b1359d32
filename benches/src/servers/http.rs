//! hyper on nio and on tokio: the same service on either.

use std::{convert::Infallible, future, io, net};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use nio_loop::EventLoop;

/// On nio: its streams are what hyper asks for.
pub(super) fn nio(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    for stream in streams {
        let stream = nio_net::TcpStream::from_std(&handle, stream)?;
        let service = service_fn(|request| future::ready(answer(request)));
        let connection = http1::Builder::new().serve_connection(stream, service);
        handle.spawn(connection).detach();
    }
    event_loop.run()?;
    Ok(())
}

/// On tokio's runtime of one thread.
pub(super) fn tokio(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let mut tasks = Vec::with_capacity(streams.len());
        for stream in streams {
            let stream = TokioIo::new(tokio::net::TcpStream::from_std(stream)?);
            let service = service_fn(|request| future::ready(answer(request)));
            let connection = http1::Builder::new().serve_connection(stream, service);
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
