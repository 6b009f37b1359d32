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
//! let handle = event_loop.handle().clone();
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
//! The types of a row are one type over different descriptors, and what they have in common is
//! documented there. [`TcpSocket`] is a TCP socket before it is a stream or a listener; [`Options`]
//! are those of any socket; [`resolve`] looks up names.
//!
//! # Thousands of connections
//!
//! A task that keeps a buffer keeps it also while it waits: that is most of the memory of an idle connection,
//! and more than the processor's caches hold. But the tasks of a loop run one at a time, and none between
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
//!         // Mostly there is room for all of it. What there is none for, the task keeps.
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
//! # let handle = event_loop.handle().clone();
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
//! - Every operation is tried before it is waited for; a socket that never blocks is never even
//!   registered with the loop.
//! - All operations take `&self`. Put a stream into an [`Rc`](std::rc::Rc) to read it in one task and
//!   write it in another, or [split](ByteStream::into_split) it. Where two tasks read, or two write,
//!   each may get what the other waits for.
//! - Dropping a future loses nothing: no byte and no connection is taken out of the kernel before
//!   the future is ready. Those that make several calls say what becomes of the first ones.
//! - No operation has a limit of time; [`Handle::timeout`](nio_loop::Handle::timeout) gives one to
//!   any.
//! - Writing to a connection that the other side has closed is an error, never a signal.
//! - A reset is told once, to a read or to a write, whichever comes first. After that, a read finds
//!   an end and a write a broken pipe: if a write has failed, an end does not say that all was there.
//! - Closing is dropping. What was written is sent all the same; to know that it has arrived, have
//!   the other side say so.
//! - A socket belongs to one loop. To give it to another, take it out (`into_std`), move it to the
//!   other thread, and put it into that loop (`from_std`).
//! - Urgent data (MSG_OOB) is not for this crate: a read ends at its mark, and what lies behind the
//!   mark may be noticed only when more arrives.
//!
//! # How to read the source
//!
//! `channel` says what there can be streams of, `stream` is the stream, `half` its halves; `tcp`,
//! `unix` and `pipe` add what is special. `listener` accepts, `datagram` is its own world, with `batch`
//! and `multicast`. `connect` races for a connection. What the standard library cannot do is in `raw`.

#![deny(missing_docs)]
#![deny(unsafe_code)]

mod batch;
#[cfg(any(feature = "futures-io", feature = "hyper"))]
pub mod bridge;
mod channel;
mod connect;
mod copy;
mod datagram;
mod error;
mod half;
mod idle;
mod limit;
mod listener;
mod multicast;
mod options;
mod pipe;
#[allow(unsafe_code)]
mod raw;
mod resolve;
mod shutdown;
mod socket;
mod stream;
mod tcp;
mod unix;
mod waiters;

pub use batch::{Batch, Datagram};
pub use channel::{Channel, Readable, Socket, Writable};
pub use copy::{CopyError, Way, copy_bidirectional, copy_bidirectional_with};
pub use datagram::{DatagramSocket, Datagrams, UdpSocket};
pub use error::Error;
pub use half::{OwnedReadHalf, OwnedWriteHalf, Owner, ReadHalf, ReuniteError, WriteHalf};
pub use idle::Idle;
pub use limit::{Admitted, Limit, Permit};
pub use listener::{Accepted, Incoming, Listener, Listens, TcpListener};
pub use options::{Keepalive, Options};
pub use pipe::{PipeReader, PipeWriter, ReadEnd, WriteEnd, pipe};
pub use raw::Address;
pub use resolve::resolve;
pub use shutdown::{Hold, Shutdown, Unfinished};
pub use socket::TcpSocket;
pub use stream::ByteStream;
pub use tcp::TcpStream;
pub use unix::{Credentials, UnixDatagram, UnixListener, UnixStream};

/// The example of the README, so that it is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
