//! Sockets whose operations are futures on the nio event loop: TCP, UDP, Unix sockets and pipes; servers; and
//! children with their pipes.
//!
//! An echo server, and a client of it on the same loop:
//!
//! ```
//! use nio_net::{TcpListener, TcpStream};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! nio_loop::run(async |handle| {
//!     let listener = TcpListener::bind(&handle, "127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     handle.spawn_detached(async move {
//!         let (stream, _) = listener.accept().await?;
//!         let mut bytes = [0; 1024];
//!         loop {
//!             match stream.read(&mut bytes).await? {
//!                 0 => return std::io::Result::Ok(()),
//!                 n => stream.write_all(&bytes[..n]).await?,
//!             }
//!         }
//!     });
//!
//!     let stream = TcpStream::connect(&handle, address).await?;
//!     stream.write_all(b"hello").await?;
//!     let mut answer = [0; 5];
//!     stream.read_exact(&mut answer).await?;
//!     assert_eq!(&answer, b"hello");
//!     Ok(())
//! })?
//! # }
//! ```
//!
//! # A tour
//!
//! | | TCP | UDP | Unix | pipes |
//! |---|---|---|---|---|
//! | a [`ByteStream`] | [`TcpStream`] | | [`UnixStream`] | [`PipeReader`], [`PipeWriter`] |
//! | a [`Listener`] | [`TcpListener`] | | [`UnixListener`] | |
//! | a [`DatagramSocket`] | | [`UdpSocket`] | [`UnixDatagram`] | |
//!
//! The types of a row are one type over different descriptors, which has the documentation of their
//! operations. [`TcpSocket`] and [`UnixSocket`] are sockets before they are a stream or a listener;
//! [`Options`] are the options of any socket. [`BufReader`] reads lines, and [`copy`] copies a stream to another.
//! [`Child`] is a process that this one has started, and [`stdin()`] reads the standard input.
//!
//! [`Server`] serves connections with limits and a graceful shutdown, and [`Cores`] does so on all cores.
//! Their parts serve servers of another shape: [`Semaphore`], [`GracefulShutdown`], [`Idle`];
//! [`copy_bidirectional`] is for proxies.
//!
//! # Addresses
//!
//! An address is given as `"localhost:8080"`, `("::1", 8080)`, a `SocketAddr`, several of them, or as another
//! type that [`ToAddresses`] lists. Host names are looked up off the loop. Connecting to a name tries all its
//! addresses, and a listener on a name accepts from all of them. For Unix sockets it is a path
//! ([`ToUnixAddress`]).
//!
//! # Thousands of connections
//!
//! A task that has a buffer keeps it while it waits: that is most of the memory of an idle connection, and
//! more than the processor's caches hold. But the tasks of a loop run one at a time, so all of them can
//! read into one buffer, which the loop lends during a read: [`read_with`](ByteStream::read_with).
//!
//! ```
//! use std::io;
//! use nio_net::TcpStream;
//!
//! async fn echo(stream: TcpStream) -> io::Result<()> {
//!     while let Some(left) = stream.read_with(|bytes| stream.try_write_all(bytes)).await? {
//!         // Usually there was room for all bytes, and nothing is left to write.
//!         stream.write_all(&left?).await?;
//!     }
//!     Ok(())
//! }
//! #
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut event_loop = nio_loop::EventLoop::new()?;
//! # let handle = event_loop.handle();
//! # event_loop.block_on(async {
//! #     let listener = nio_net::TcpListener::bind(&handle, "127.0.0.1:0").await?;
//! #     let client = TcpStream::connect(&handle, listener.local_addr()?);
//! #     let (client, (server, _)) = (client.await?, listener.accept().await?);
//! #     handle.spawn(echo(server)).detach();
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
//! # Laws
//!
//! 1. **Tried before waited for**: an operation makes its system call first, and waits only if that would block. A
//!    socket that never blocks is never registered with the loop.
//! 2. **Dropping a future loses no byte, no datagram and no connection**: nothing is taken out of the kernel before
//!    the future is ready. Futures that make several calls say what becomes of the first ones.
//! 3. **All operations take `&self`.** Put a stream into an [`Rc`](std::rc::Rc) to read it in one task and
//!    write it in another, or [split](ByteStream::into_split) it. If two tasks read, or two write,
//!    each may get the bytes that the other waits for.
//! 4. **Writing to a connection that the other side has closed is an error**, never a signal.
//! 5. **A call that takes a socket and fails gives it back**: [`Refused`].
//! 6. **No operation starves the loop**: all draw on the [budget](nio_loop::poll_budget) of the task.
//! 7. **A listener loses no connection** when descriptors run out: it pauses, and goes on.
//!
//! # What to know
//!
//! - No operation has a time limit; [`Handle::timeout`](nio_loop::Handle::timeout) gives one to any. An operation
//!   that has to wait is an error if the loop is gone.
//! - A reset is reported once, to a read or to a write, whichever comes first. After that, a read finds
//!   the end and a write a broken pipe: once a write has failed, the end does not prove that all bytes
//!   were read.
//! - Dropping closes. Bytes that were written are still sent, unless bytes of the other side are unread:
//!   [`close_gracefully`](ByteStream::close_gracefully). To know that they have arrived, let the other
//!   side say so.
//! - A socket belongs to one loop. To give it to another, take it out (`into_std`), move it to the
//!   other thread, and put it into that loop (`from_std`).
//! - Urgent data (MSG_OOB) is not supported: a read stops at its mark, and the bytes behind the mark
//!   may be noticed only when more arrive.
//!
//! # Blocking mode
//!
//! A descriptor in a loop is in non-blocking mode (O_NONBLOCK): `from_std` puts it there, and `into_std`
//! and [`Stdio::from`](std::process::Stdio) put it back into blocking mode. A child that finds its
//! stdout in non-blocking mode would lose what it writes when a pipe is full. (Another library for
//! non-blocking I/O has to be asked for that mode, or given it by `set_nonblocking` of the standard library.)
//!
//! The mode belongs to the open file description (open(2)), not to the descriptor. Duplicates share it: those made
//! by `try_clone` or `try_clone_to_owned`, those sent over a Unix socket, and those that a process has inherited. So:
//!
//! - Duplicates change mode together. Take a stream out of the loop only when no duplicate of it is in a
//!   loop, which would have to wait in its system calls.
//! - Dropping a stream closes its descriptor and leaves the mode: `into_std` it if a duplicate is used
//!   elsewhere.
//! - Do not make a stream of the process's stdin, stdout or stderr: other processes share the terminal or the pipe,
//!   and it would stay in non-blocking mode after this one has ended. [`stdin()`] reads the input without
//!   changing the mode. For output there is `println!`, which waits while a pipe is full; write much of it on
//!   [another thread](nio_loop::Handle::spawn_blocking).
//!
//! # Features and systems
//!
//! The features `futures-core`, `futures-io` and `hyper` are off by default: see the module `bridge`. Everything works
//! on macOS, FreeBSD, NetBSD, OpenBSD, DragonFly and Linux; what a system lacks is documented with the method, and in a
//! table of the README.
//!
//! # How to read the source
//!
//! `kinds` has the traits, `stream` is the stream with `read`, `write`, `file`, `ready` and its `half`s;
//! `tcp`, `unix`, `pipe` and `fifo` add to it. `shared_buffer` has the buffer of the thread, `buffered` reads lines, and
//! `copy` copies. `socket` and `unix_socket` are sockets before they are a stream or a listener, and `options` sets their
//! options.
//! `listener` accepts, with `round_robin` and `tcp_listener`; `datagram` receives and `send` sends, with `udp` and `batch`.
//! `address` has the ways to write an address, `resolve` looks names up, `connect` tries several addresses.
//! `serve` is the server, of `semaphore`, `graceful`, `idle`, `close` and `panics`; `cores` runs it on several threads,
//! and `cores_shutdown` shuts down all of them. `child` starts processes, and `stdin` reads the standard input.
//! `waiters` is a queue of waiting tasks, `both` waits for two futures, and `bridge` has the traits of other crates.
//! `error` has the errors, and `advice` the ends of their messages. Calls that the standard library does not
//! make are in `raw`, and so is all `unsafe` code.

// Each bridge names its own feature; the module's own condition would be added to it.
#![cfg_attr(docsrs, feature(doc_cfg), doc(auto_cfg = false))]
#![deny(missing_docs)]
#![deny(unsafe_code)]

mod address;
mod advice;
mod batch;
mod both;
#[cfg(any(feature = "futures-core", feature = "futures-io", feature = "hyper"))]
pub mod bridge;
mod buffered;
mod child;
mod close;
mod connect;
mod copy;
mod cores;
mod cores_shutdown;
mod datagram;
mod error;
mod fifo;
mod file;
mod graceful;
mod half;
mod idle;
mod kinds;
mod listener;
mod options;
mod panics;
mod pipe;
#[allow(unsafe_code)]
mod raw;
mod read;
mod ready;
mod resolve;
mod round_robin;
mod semaphore;
mod send;
mod serve;
mod serve_options;
mod shared_buffer;
mod socket;
mod stdin;
mod stream;
mod tcp;
mod tcp_listener;
mod udp;
mod unix;
mod unix_socket;
mod waiters;
mod write;

pub use address::{ToAddresses, ToUnixAddress};
pub use batch::{Batch, Datagram};
pub use buffered::{AsStream, BufReader, Lines};
pub use child::Child;
pub use copy::{CopyError, Way, copy, copy_bidirectional, copy_bidirectional_with};
pub use cores::{Core, Cores, CoresError, RunningCores};
pub use cores_shutdown::CoresShutdown;
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
pub use ready::Ready;
pub use resolve::resolve;
pub use semaphore::{Admitted, Permit, Semaphore};
pub use serve::{Connection, ConnectionError, ServeError, Server};
pub use serve_options::ServeOptions;
pub use socket::TcpSocket;
pub use stdin::{Stdin, stdin};
pub use stream::ByteStream;
pub use tcp::TcpStream;
pub use tcp_listener::TcpListener;
pub use udp::UdpSocket;
pub use unix::{Credentials, UnixDatagram, UnixListener, UnixStream};
pub use unix_socket::UnixSocket;

/// The example of the README, so that it is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
