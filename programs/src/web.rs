//! How a connection of HTTP/1 is served, and a small web site for `http` and `https`.
//!
//! The idle limit of the server counts bytes that are sent. So a client has a time limit to send a request
//! and to take a part of the response. An echoed body counts too, as it is sent while it arrives.

use std::{
    convert::Infallible,
    error::Error,
    future::ready,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    rt::{Read, Write},
    server::conn::http1,
    service::{HttpService, service_fn},
};
use nio_loop::{Handle, Sleep};
use nio_net::Connection;

use crate::describe;

const HELP: &str = "\
GET  /          a greeting
GET  /bytes/N   N bytes
GET  /ticks/N   N lines, one every tenth of a second
POST /echo      the body of the request, as it comes
";

/// Serves the web site. `stream` is the client's stream, or TLS over it.
///
/// # Errors
///
/// Those of [`serve_http`].
pub async fn serve_site(
    client: Connection<'_>,
    stream: impl Read + Write + Unpin,
) -> io::Result<()> {
    let handle = client.handle();
    let respond = |request| ready(Ok::<_, Infallible>(respond(handle, request)));
    serve_http(client, stream, service_fn(respond)).await
}

/// Serves the requests of a connection one after the other, until the client ends it. When the server shuts
/// down, the current request is the last one. `stream` is the client's stream, or TLS over it.
///
/// # Errors
///
/// Those of the connection, and requests that are not HTTP/1.
pub async fn serve_http<S, B>(
    client: Connection<'_>,
    stream: impl Read + Write + Unpin,
    service: S,
) -> io::Result<()>
where
    S: HttpService<Incoming, ResBody = B, Error: Into<Box<dyn Error + Send + Sync>>>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let mut builder = http1::Builder::new();
    // A client may half-close after its last request and still read. hyper's limit for the head of a
    // request is not used: it counts from when the last response was written, not from when it arrived.
    builder.half_close(true).header_read_timeout(None);
    let mut connection = pin!(builder.serve_connection(stream, service));
    let ended = match client.unless_shutdown(connection.as_mut()).await {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(|error| io::Error::other(describe(&error)))
}

fn respond(handle: &Handle, request: Request<Incoming>) -> Response<Answer> {
    let (method, path) = (request.method(), request.uri().path());
    let number = |prefix| path.strip_prefix(prefix).and_then(|n: &str| n.parse().ok());
    let gets = matches!(*method, Method::GET | Method::HEAD);
    let body = if gets && path == "/" {
        Answer::text("hello from nio\n")
    } else if let (true, Some(left)) = (gets, number("/bytes/")) {
        Answer::Bytes { left }
    } else if let (true, Some(left)) = (gets, number("/ticks/")) {
        let sleep = handle.sleep(TICK);
        Answer::Ticks { left, sleep }
    } else if method == Method::POST && path == "/echo" {
        Answer::Echo(request.into_body())
    } else {
        let mut response = Response::new(Answer::text(HELP));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    Response::new(body)
}

const TICK: Duration = Duration::from_millis(100);

/// The body of a response, made as it is sent.
enum Answer {
    Text(Option<Bytes>),
    Bytes { left: u64 },
    Ticks { left: u64, sleep: Sleep },
    Echo(Incoming),
}

impl Answer {
    fn text(text: &'static str) -> Answer {
        Answer::Text(Some(Bytes::from_static(text.as_bytes())))
    }
}

/// The content of /bytes/N.
static BYTES: [u8; 64 * 1024] = [b'n'; 64 * 1024];

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let bytes = match self.get_mut() {
            Answer::Text(text) => text.take(),
            Answer::Bytes { left: 0 } | Answer::Ticks { left: 0, .. } => None,
            Answer::Bytes { left } => {
                let len = BYTES
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= len as u64;
                Some(Bytes::from_static(&BYTES[..len]))
            }
            Answer::Ticks { left, sleep } => {
                ready!(Pin::new(&mut *sleep).poll(context));
                sleep.reset(sleep.deadline() + TICK);
                *left -= 1;
                Some(Bytes::from(format!("{left} to go\n")))
            }
            Answer::Echo(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
            }
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Text(text) => text.is_none(),
            Answer::Bytes { left } | Answer::Ticks { left, .. } => *left == 0,
            Answer::Echo(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Answer::Bytes { left } => SizeHint::with_exact(*left),
            Answer::Ticks { .. } => SizeHint::default(),
            Answer::Echo(body) => body.size_hint(),
        }
    }
}
