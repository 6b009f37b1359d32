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
//!     for event in &events {
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
//! | many descriptors | [`Poll::register_all`] | the same |
//! | a wake-up from another thread | [`Waker::new`] | [`is_readable`](Event::is_readable) |
//! | what the program itself makes happen | [`Poll::register_user`] | [`is_readable`](Event::is_readable) |
//! | a signal | [`Poll::register_signal`] | [`is_signal`](Event::is_signal) |
//! | the exit of a process | [`Poll::register_process`] | [`is_exit`](Event::is_exit), [`exit_status`](Event::exit_status) |
//! | changes of a file or directory | [`Poll::register_file`] | [`file_changes`](Event::file_changes) |
//! | the passing of time | [`Poll::register_timer`] | [`is_timer`](Event::is_timer) |
//!
//! Each has its `deregister`. Descriptors and files are named by the descriptor, the others by their
//! number or token; a descriptor may be watched as a file too.
//!
//! # A tour
//!
//! ## Interest and trigger
//!
//! An [`Interest`] says what to watch a descriptor for, a [`Trigger`] how often to tell. The default is
//! [`Trigger::Edge`]: an event for each arrival, after which one reads until there is nothing left.
//! [`Trigger::Level`] tells in every poll, for as long as it holds; [`Trigger::Oneshot`] tells once,
//! and then not before the descriptor is registered anew.
//!
//! ```
//! # use std::{io::Write, os::unix::net::UnixStream, time::Duration};
//! # use nio_poll::{Events, Interest, Poll, Token, Trigger};
//! # fn main() -> std::io::Result<()> {
//! # let poll = Poll::new()?;
//! # let mut events = Events::with_capacity(8);
//! let (near, mut far) = UnixStream::pair()?;
//! let both = Interest::READABLE | Interest::WRITABLE;
//! poll.register_with(&near, Token(1), both, Trigger::Oneshot)?;
//! far.write_all(b"hello")?;
//! assert_eq!(poll.poll(&mut events, None)?, 2); // readable, and writable
//!
//! assert_eq!(poll.poll(&mut events, Some(Duration::ZERO))?, 0);
//! poll.reregister_with(&near, Token(1), Interest::READABLE, Trigger::Oneshot)?;
//! assert_eq!(poll.poll(&mut events, None)?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! ## How it ended, and how much there is
//!
//! Each direction has its end: [`is_read_closed`](Event::is_read_closed) and
//! [`is_write_closed`](Event::is_write_closed), or in one word [`is_eof`](Event::is_eof). A peer that
//! has shut down its writing half closes the one and not the other. A poll made by
//! [`Poll::with_counts`] says besides how many bytes or connections there are
//! ([`count`](Event::count)) and which error has ended a connection ([`error`](Event::error)); on Linux
//! that costs system calls, so it is not asked for by default.
//!
//! ## Signals, children, timers, files
//!
//! They are events like any other, and have tokens from the same space.
//!
//! ```
//! # use std::{process::{Command, Stdio}, time::Duration};
//! # use nio_poll::{Events, Poll, Signal, Timer, Token};
//! const STOP: Token = Token(0);
//! const CHILD: Token = Token(1);
//! const TICK: Token = Token(2);
//!
//! # fn main() -> std::io::Result<()> {
//! let poll = Poll::new()?;
//! let mut child = Command::new("sh").args(["-c", "read line"]).stdin(Stdio::piped()).spawn()?;
//! poll.register_signal(Signal::TERMINATE, STOP)?;
//! poll.register_process(&child, CHILD)?;
//! poll.register_timer(Timer::Every(Duration::from_millis(5)), TICK)?;
//!
//! let mut events = Events::with_capacity(8);
//! 'wait: loop {
//!     poll.poll(&mut events, None)?;
//!     for event in &events {
//!         match event.token() {
//!             STOP => child.kill()?,
//!             TICK => drop(child.stdin.take()), // the end of its input: it exits
//!             _ => {
//!                 println!("it has ended: {:?}", event.exit_status());
//!                 child.wait()?;
//!                 break 'wait;
//!             }
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! ## Threads
//!
//! Everything takes `&self`. One thread may wait while others register, and what they register counts
//! for the wait that has begun. A [`Waker`] ends a wait; any number of wakes before it is noticed are
//! one event, and only the first of them is a system call on Linux.
//!
//! ```
//! # use std::{sync::{Arc, mpsc}, thread};
//! # use nio_poll::{Events, Poll, Token, Waker};
//! # fn main() -> std::io::Result<()> {
//! let poll = Poll::new()?;
//! let waker = Arc::new(Waker::new(&poll, Token(0))?);
//! let (sender, inbox) = mpsc::channel();
//! for number in 0..3 {
//!     let (sender, waker) = (sender.clone(), Arc::clone(&waker));
//!     thread::spawn(move || {
//!         sender.send(number).expect("the inbox is there");
//!         waker.wake()
//!     });
//! }
//!
//! let mut events = Events::with_capacity(8);
//! let mut received = 0;
//! while received < 3 {
//!     poll.poll(&mut events, None)?;
//!     received += inbox.try_iter().count(); // all there are, not one for each event
//! }
//! # Ok(())
//! # }
//! ```
//!
//! ## In another loop
//!
//! A poll is [`AsFd`](std::os::fd::AsFd) and readable while it has an event, so it can be registered
//! with another poll, or with any event loop. A poll with a [timer](Poll::register_timer) brings along
//! its timeout.
//!
//! ## Errors
//!
//! An [`Error`] says what went wrong and with what: `descriptor 7 is already registered, with Token(3)`.
//! It converts into an [`io::Error`](std::io::Error). A call that fails leaves everything registered as
//! it was. What is registered, and how, is what `{:?}` of a poll shows:
//!
//! ```text
//! Poll { kqueue: 3, registered: [descriptor 7: READABLE, Edge, Token(3), SIGTERM: Token(0), waker: Token(1)] }
//! ```
//!
//! # What it costs
//!
//! System calls; where two are named, the first is that of a kernel with kqueues.
//!
//! | | |
//! |---|---|
//! | [`Poll::poll`] | 1, however many events there are; no allocation |
//! | registering, changing, deregistering a descriptor | 1 |
//! | [`Poll::register_all`] of n descriptors | 1; n |
//! | [`Waker::wake`] | 1; 1 if no other is under way, else 0 |
//! | an event of a poll made [`with_counts`](Poll::with_counts) | 0; 1 to 3 |
//! | [`Trigger::Oneshot`] | 0; 1 for each event |
//!
//! # Special problems
//!
//! **A descriptor that is closed while registered.** The kernel forgets it, and the number may soon be
//! another file's, which can then be registered. But on Linux it forgets only when the last duplicate is
//! closed, one in a child process included. Deregister first.
//!
//! **Events of something deregistered.** A poll that begins after [`deregister`](Poll::deregister) has
//! returned reports nothing of it. What an [`Events`] holds already is still there: a loop that
//! deregisters a descriptor while it handles another's event may come upon its token.
//!
//! **A loop that spins.** [`Trigger::Level`] tells of room to write in every poll. Register for
//! [`Interest::WRITABLE`] only while there is something to write, or use [`Trigger::Edge`].
//!
//! **A loop that hangs.** After an edge there is no second event for what is left. Read until
//! [`WouldBlock`](std::io::ErrorKind::WouldBlock), and put sockets into non-blocking mode.
//!
//! **A child of fork(2)** does not have its parent's poll (`EBADF`). A program that is executed does not
//! either: the descriptor is close-on-exec.
//!
//! # Systems
//!
//! | | |
//! |---|---|
//! | Linux | of readiness, one activity may be reported for both directions; room to write is reported again when something arrives. Processes from 5.3 on, timeouts of less than a millisecond from 5.11 on |
//! | FreeBSD | when the reader of a pipe goes, that is reported once, whatever the trigger |
//! | NetBSD before 10, OpenBSD before 7.8 | no user events: a [`Waker`] and a user event are a pair of sockets |
//! | NetBSD, OpenBSD | timeouts and timers count in clock ticks |
//! | macOS | poll(2) does not take the descriptor of a poll, select(2) does; timers may be late to save power |
//!
//! The methods say what else differs.
//!
//! # How to read the source
//!
//! `token`, `interest`, `event` and `error` are the vocabulary. `poll` is a queue and a table, which is
//! in `registry`; `descriptor` registers what is read and written, with `hang_up` for a pipe without a
//! reader. Then one file for each other kind of thing: `user`, on which `waker` is built, `signal`,
//! `process`, `file`, `timer`.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod error;
mod event;
mod file;
mod hang_up;
mod interest;
mod knotes;
mod poll;
mod process;
mod registry;
mod signal;
mod timer;
mod token;
mod waker;
mod watch;

pub use error::{Error, Subject};
pub use event::{Event, Events, Iter};
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
