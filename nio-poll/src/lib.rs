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
//! # What can be waited for
//!
//! | what | registered by | its event |
//! |---|---|---|
//! | a descriptor: socket, pipe, terminal, another poll | [`Poll::register`] | [`is_readable`](Event::is_readable), [`is_writable`](Event::is_writable) |
//! | a wake-up from another thread | [`Waker::new`] | [`is_readable`](Event::is_readable) |
//! | a signal | [`Poll::register_signal`] | [`is_signal`](Event::is_signal) |
//! | the exit of a process | [`Poll::register_process`] | [`is_exit`](Event::is_exit), [`exit_status`](Event::exit_status) |
//! | changes of a file or directory | [`Poll::register_file`] | [`file_changes`](Event::file_changes) |
//! | the passing of time | [`Poll::register_timer`] | [`is_timer`](Event::is_timer) |
//!
//! # How to read the source
//!
//! `token`, `interest`, `event` and `error` are the vocabulary; `poll` is a queue and a table, which is
//! in `registry`; then one file for each other kind of thing.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod descriptor;
mod error;
mod event;
mod file;
mod hang_up;
mod interest;
mod poll;
mod process;
mod registry;
mod signal;
mod timer;
mod token;
mod user;
mod waker;

pub use error::{Error, Subject};
pub use event::{Event, Events};
pub use file::FileChange;
pub use interest::{Interest, Trigger};
pub use poll::Poll;
pub use process::Process;
pub use signal::Signal;
pub use timer::Timer;
pub use token::Token;
pub use waker::Waker;

/// The example of the README, so that it is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
