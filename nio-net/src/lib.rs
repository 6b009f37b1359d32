//! Sockets whose operations are futures on the nio event loop: TCP, UDP, Unix sockets and pipes.
//!
//! An echo server, and a client of it on the same loop:
//!
//! ```
//! use nio_loop::EventLoop;
//! use nio_net::{TcpListener, TcpStream};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut event_loop = EventLoop::new()?;
//! let handle = event_loop.handle();
//!
//! let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
//! let address = listener.local_addr()?;
//! handle.spawn(async move {
//!     let (stream, _) = listener.accept().await?;
//!     let mut bytes = [0; 1024];
//!     loop {
//!         match stream.read(&mut bytes).await? {
//!             0 => return std::io::Result::Ok(()),
//!             n => stream.write_all(&bytes[..n]).await?,
//!         }
//!     }
//! });
//!
//! let answer = event_loop.block_on(async {
//!     let stream = TcpStream::connect(&handle, address).await?;
//!     stream.write_all(b"hello").await?;
//!     let mut answer = [0; 5];
//!     stream.read_exact(&mut answer).await?;
//!     Ok::<_, Box<dyn std::error::Error>>(answer)
//! })??;
//! assert_eq!(&answer, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # What there is
//!
//! | | TCP | UDP | Unix | pipes |
//! |---|---|---|---|---|
//! | a [`ByteStream`] | [`TcpStream`] | | [`UnixStream`] | [`PipeReader`], [`PipeWriter`] |
//! | a [`Listener`] | [`TcpListener`] | | [`UnixListener`] | |
//! | a [`DatagramSocket`] | | [`UdpSocket`] | [`UnixDatagram`] | |
//!
//! The types of a row are one type over different descriptors; the operations that they share are
//! documented there. [`TcpSocket`] is a TCP socket before it is a stream or a listener; [`Options`] are
//! those of any socket; [`resolve`] looks up names.
//!
//! [`Server`] serves connections with limits and a graceful shutdown, and [`Cores`] does so on all cores.
//! Their parts are there for servers of another shape: [`Semaphore`], [`GracefulShutdown`], [`Idle`];
//! and [`copy_bidirectional`].
//!
//! # Thousands of connections
//!
//! A task that has a buffer keeps it while it waits: that is most of the memory of an idle connection, and
//! more than the processor's caches hold. But the tasks of a loop run one at a time, and none runs between
//! two `await`s of another. So all of them can read into one buffer:
//!
//! ```
//! use std::{cell::RefCell, future::poll_fn, io, rc::Rc, task::Context};
//! use nio_net::TcpStream;
//!
//! async fn echo(stream: TcpStream, buffer: Rc<RefCell<Vec<u8>>>) -> io::Result<()> {
//!     loop {
//!         let read = |context: &mut Context<'_>| stream.poll_read(context, &mut buffer.borrow_mut());
//!         let n = poll_fn(read).await?;
//!         if n == 0 {
//!             return Ok(());
//!         }
//!         // Usually there is room for all bytes. The task keeps those that had no room.
//!         let written = match stream.try_write(&buffer.borrow()[..n]) {
//!             Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
//!             result => result?,
//!         };
//!         if written < n {
//!             let rest = buffer.borrow()[written..n].to_vec();
//!             stream.write_all(&rest).await?;
//!         }
//!     }
//! }
//! #
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut event_loop = nio_loop::EventLoop::new()?;
//! # let handle = event_loop.handle();
//! # let listener = nio_net::TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
//! # let client = TcpStream::connect(&handle, listener.local_addr()?);
//! # event_loop.block_on(async {
//! #     let (client, (server, _)) = (client.await?, listener.accept().await?);
//! #     let buffer = Rc::new(RefCell::new(vec![0; 16 * 1024]));
//! #     handle.spawn(echo(server, buffer)).detach();
//! #     for said in [b"hello", b"again"] {
//! #         client.write_all(said).await?;
//! #         let mut answer = [0; 5];
//! #         client.read_exact(&mut answer).await?;
//! #         assert_eq!(&answer, said);
//! #     }
//! #     Ok::<_, Box<dyn std::error::Error>>(())
//! # })??;
//! # Ok(())
//! # }
//! ```
//!
//! # What to know
//!
//! - Every operation is tried before it is waited for; a socket that never blocks is never registered
//!   with the loop.
//! - All operations take `&self`. Put a stream into an [`Rc`](std::rc::Rc) to read it in one task and
//!   write it in another, or [split](ByteStream::into_split) it. Where two tasks read, or two write,
//!   each may get the bytes that the other waits for.
//! - Dropping a future loses no byte and no connection: nothing is taken out of the kernel before the
//!   future is ready. Futures that make several calls say what becomes of the first ones.
//! - An operation that has to wait is an error if the loop is gone. No operation has a time limit; [`Handle::timeout`](nio_loop::Handle::timeout) gives one to any.
//! - Writing to a connection that the other side has closed is an error, never a signal.
//! - A reset is reported once, to a read or to a write, whichever comes first. After that, a read finds
//!   the end and a write a broken pipe: once a write has failed, the end does not prove that all bytes
//!   were read.
//! - Dropping closes. Bytes that were written are still sent, unless bytes of the other side are unread:
//!   [`close_gracefully`](ByteStream::close_gracefully). To know that they have arrived, have the other
//!   side say so.
//! - A call that takes a socket and fails gives it back: [`Refused`].
//! - A socket belongs to one loop. To give it to another, take it out (`into_std`), move it to the
//!   other thread, and put it into that loop (`from_std`).
//! - Urgent data (MSG_OOB) is not supported: a read stops at its mark, and the bytes behind the mark
//!   may be noticed only when more arrive.
//!
//! # How to read the source
//!
//! `kinds` has the traits, `stream` is the stream with `read`, `write` and its `half`s; `tcp`, `unix`
//! and `pipe` add to it. `listener` accepts, with `tcp_listener`; `datagram` receives and `send` sends,
//! with `udp` and `batch`. `connect` tries several addresses. `serve` is the server, of `semaphore`,
//! `graceful`, `idle`, `close` and `tasks`; `cores` runs it on several threads. Calls that the standard library does not
//! make are in `raw`, and so is all `unsafe` code.

#![deny(missing_docs)]
#![deny(unsafe_code)]

mod batch;
#[cfg(any(feature = "futures-io", feature = "hyper"))]
pub mod bridge;
mod close;
mod connect;
mod copy;
mod cores;
mod datagram;
mod error;
mod graceful;
mod half;
mod idle;
mod kinds;
mod listener;
mod options;
mod pipe;
#[allow(unsafe_code)]
mod raw;
mod read;
mod resolve;
mod semaphore;
mod send;
mod serve;
mod serve_options;
mod socket;
mod stream;
mod tasks;
mod tcp;
mod tcp_listener;
mod udp;
mod unix;
mod waiters;
mod write;

pub use batch::{Batch, Datagram};
pub use copy::{CopyError, Way, copy_bidirectional, copy_bidirectional_with};
pub use cores::{Core, Cores, CoresError, CoresShutdown, RunningCores};
pub use datagram::DatagramSocket;
pub use error::{Error, Refused};
pub use graceful::{GracefulShutdown, Guard, Unfinished};
pub use half::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use idle::Idle;
pub use kinds::{Datagrams, Listen, Stream};
pub use listener::{Accepted, Listener};
pub use options::{Keepalive, Options};
pub use pipe::{PipeReader, PipeWriter, ReadEnd, WriteEnd, pipe};
pub use raw::Address;
pub use resolve::resolve;
pub use semaphore::{Admitted, Permit, Semaphore};
pub use serve::{Connection, ConnectionError, ServeError, Server};
pub use serve_options::ServeOptions;
pub use socket::TcpSocket;
pub use stream::ByteStream;
pub use tcp::TcpStream;
pub use tcp_listener::TcpListener;
pub use udp::UdpSocket;
pub use unix::{Credentials, UnixDatagram, UnixListener, UnixStream};

/// The example of the README, so that it is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
