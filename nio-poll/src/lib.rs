//! A safe Poll / Token API over kqueue(2), on macOS, the BSDs and Linux.
//!
//! Register what you wait for under a [`Token`] of your choice, [`poll`](Poll::poll), and look at
//! the [`Event`]s. That is all: no runtime, no callbacks, no wrapper types around sockets.
//!
//! ```
//! use std::{io::{Read, Write}, net::{TcpListener, TcpStream}};
//! use nio_poll::{Events, Interest, Poll, Token};
//!
//! const LISTENER: Token = Token(0);
//! const CONNECTION: Token = Token(1);
//!
//! # fn main() -> std::io::Result<()> {
//! let poll = Poll::new()?;
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! listener.set_nonblocking(true)?;
//! poll.register(&listener, LISTENER, Interest::READABLE)?;
//!
//! let mut client = TcpStream::connect(listener.local_addr()?)?;
//! client.write_all(b"hello")?;
//!
//! let mut connection = None;
//! let mut events = Events::with_capacity(64);
//! 'serve: loop {
//!     poll.poll(&mut events, None)?;
//!     for event in events.iter() {
//!         match event.token() {
//!             LISTENER => {
//!                 let (stream, _) = listener.accept()?;
//!                 stream.set_nonblocking(true)?;
//!                 poll.register(&stream, CONNECTION, Interest::READABLE)?;
//!                 connection = Some(stream);
//!             }
//!             _ => {
//!                 let mut text = [0; 16];
//!                 let n = connection.as_mut().unwrap().read(&mut text)?;
//!                 assert_eq!(&text[..n], b"hello");
//!                 break 'serve;
//!             }
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! In which order to read the source: `token`, `interest`, `event`, `error`, then [`Poll`], which is
//! a table beside a queue, and [`Waker`].

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod error;
mod event;
mod interest;
mod poll;
mod signal;
mod token;
mod waker;

pub use error::Error;
pub use event::{Event, Events};
pub use interest::{Interest, Trigger};
pub use poll::Poll;
pub use signal::Signal;
pub use token::Token;
pub use waker::Waker;

/// The example of the README, so that it is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
