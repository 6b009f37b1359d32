//! A small web site, for `http` and `https`: what it answers, and how a connection is served.
//!
//! A client that keeps the server waiting for too long is closed, whatever it should be doing:
//!
//! - for a request, and for the whole of its head, hyper waits no longer than its own timeout;
//! - who reads a body says how long it waits for the next piece: see `Answer::Echo`;
//! - for a client that reads no answer hyper has no limit, so its stream has one: `Impatient`.

use std::{
    convert::Infallible,
    future::ready,
    io::{self, IoSlice},
    os::fd::AsFd,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
    service::service_fn,
};
use nio_loop::{Handle, Sleep};
use nio_net::{GracefulShutdown, bridge::hyper::Timer};

use crate::{reset, why};

const HELP: &str = "\
GET  /          a greeting
GET  /bytes/N   N bytes
GET  /ticks/N   N lines, one every tenth of a second, each sent when it comes
POST /echo      what was sent, as it comes
";

/// Serves the requests of a connection, one after the other, until its client is content, has kept
/// the server waiting for too long, or the server ends: then the request that is under way is the
/// last one.
///
/// # Errors
///
/// Those of the connection, and of requests that are none.
pub async fn converse<I>(
    handle: &Handle,
    stream: I,
    shutdown: &GracefulShutdown,
    idle: Duration,
) -> io::Result<()>
where
    I: Read + Write + AsFd + Unpin,
{
    let patience = Patience::new(handle, idle);
    let respond = |request| ready(Ok::<_, Infallible>(respond(&patience, request)));
    let service = service_fn(respond);
    let stream = Impatient {
        stream,
        patience: patience.anew(),
    };
    let mut builder = http1::Builder::new();
    builder
        .timer(Timer::new(handle))
        .header_read_timeout(idle)
        // A client may say that it has asked everything, and still read.
        .half_close(true);
    let mut connection = pin!(builder.serve_connection(stream, service));
    let ended = match shutdown.unless_begun(connection.as_mut()).await {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(|error| io::Error::other(why(&error)))
}

/// How long a client may keep the server waiting for one thing.
struct Patience {
    handle: Handle,
    limit: Duration,
    /// Since something is waited for.
    sleep: Option<Sleep>,
}

impl Patience {
    fn new(handle: &Handle, limit: Duration) -> Patience {
        let handle = handle.clone();
        Patience {
            handle,
            limit,
            sleep: None,
        }
    }

    /// The same for something else.
    fn anew(&self) -> Patience {
        Patience::new(&self.handle, self.limit)
    }

    /// Passes on what has been polled, but an error if that has been pending for too long.
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<T>,
        what: &str,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(output) = polled {
            self.sleep = None;
            return Poll::Ready(Ok(output));
        }
        let sleep = || self.handle.sleep(self.limit);
        ready!(Pin::new(self.sleep.get_or_insert_with(sleep)).poll(context));
        let text = format!("the client has {what} for {:?}", self.limit);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    }
}

/// A stream whose other side has to read. If it does not, the connection is reset.
struct Impatient<I> {
    stream: I,
    patience: Patience,
}

impl<I: AsFd> Impatient<I> {
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = ready!(self.patience.poll(context, polled, "read nothing"));
        Poll::Ready(polled.unwrap_or_else(|error| {
            reset(&self.stream);
            Err(error)
        }))
    }
}

impl<I: Read + Unpin> Read for Impatient<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<I: Write + AsFd + Unpin> Write for Impatient<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.poll(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.poll(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(context);
        self.poll(context, shut_down)
    }
}

fn respond(patience: &Patience, request: Request<Incoming>) -> Response<Answer> {
    let (method, path) = (request.method(), request.uri().path());
    let number = |prefix| path.strip_prefix(prefix).and_then(|n: &str| n.parse().ok());
    let gets = matches!(*method, Method::GET | Method::HEAD);
    let body = if gets && path == "/" {
        Answer::text("hello from nio\n")
    } else if let (true, Some(left)) = (gets, number("/bytes/")) {
        Answer::Bytes { left }
    } else if let (true, Some(left)) = (gets, number("/ticks/")) {
        let sleep = patience.handle.sleep(TICK);
        Answer::Ticks { left, sleep }
    } else if method == Method::POST && path == "/echo" {
        Answer::Echo(request.into_body(), patience.anew())
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
    Echo(Incoming, Patience),
}

impl Answer {
    fn text(text: &'static str) -> Answer {
        Answer::Text(Some(Bytes::from_static(text.as_bytes())))
    }
}

/// What the answer to /bytes/N is made of.
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
            Answer::Echo(body, patience) => {
                let polled = Pin::new(body).poll_frame(context);
                let frame = ready!(patience.poll(context, polled, "sent nothing"))?;
                return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
            }
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Text(text) => text.is_none(),
            Answer::Bytes { left } | Answer::Ticks { left, .. } => *left == 0,
            Answer::Echo(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Answer::Bytes { left } => SizeHint::with_exact(*left),
            Answer::Ticks { .. } => SizeHint::default(),
            Answer::Echo(body, _) => body.size_hint(),
        }
    }
}
