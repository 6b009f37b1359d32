//! A safe Poll / Token API over kqueue(2), on macOS, the BSDs and Linux.
//!
//! Register descriptors, signals, processes, files or timers under a [`Token`] of your choice,
//! [`poll`](Poll::poll), and look at the [`Event`]s. There is no runtime, no callback, and no wrapper
//! type around sockets.
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
//!                 let stream = TcpStream::from(nio_poll::accept(&listener)?); // non-blocking
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
//! # Sources of events
//!
//! | source | registered by | its event |
//! |---|---|---|
//! | a descriptor: socket, pipe, terminal, another poll | [`Poll::register`] | [`is_readable`](Event::is_readable), [`is_writable`](Event::is_writable), [`is_priority`](Event::is_priority) |
//! | many descriptors | [`Poll::register_all`] | the same |
//! | a wake-up by the program itself | [`Waker::new`] | [`is_readable`](Event::is_readable) |
//! | a signal | [`Poll::register_signal`] | [`is_signal`](Event::is_signal) |
//! | the exit of a process | [`Poll::register_process`] | [`is_exit`](Event::is_exit), [`exit_status`](Event::exit_status) |
//! | changes of a file or directory | [`Poll::register_file`] | [`file_changes`](Event::file_changes) |
//! | a timer of the kernel | [`Poll::register_timer`] | [`is_timer`](Event::is_timer) |
//!
//! Each has its `deregister`; a waker is dropped. Descriptors and files are identified by the descriptor,
//! the others by their number or token; a descriptor may be watched as a file too. Dropping the poll ends
//! everything.
//!
//! # Laws
//!
//! 1. **A call that fails changes nothing**: all registrations are as they were.
//! 2. **No stale events**: a poll that begins after a descriptor was deregistered, or closed without duplicates, reports
//!    nothing of it, and never with the token of another one.
//! 3. **Nothing is lost**: an event that does not fit into the [`Events`] comes with the next poll, a wake-up before a
//!    poll ends that poll.
//! 4. **A poll without an event does not end before its timeout**, and no signal handler ends it.
//! 5. **Dropping the poll ends all registrations**, also while its wakers live.
//!
//! # A tour
//!
//! ## Interest and trigger
//!
//! An [`Interest`] is reading, writing, urgent data or several of them, a [`Trigger`] how often a condition is reported.
//! The default is [`Trigger::Edge`]: an event for each arrival, after which the program reads until
//! nothing is left. [`Trigger::Level`] reports in every poll while the condition holds;
//! [`Trigger::Oneshot`] reports once, until the descriptor is reregistered.
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
//! ## Ends, errors and counts
//!
//! Each direction has its end: [`is_read_closed`](Event::is_read_closed) and
//! [`is_write_closed`](Event::is_write_closed), or either of them: [`is_eof`](Event::is_eof). A half-close
//! of the peer ends reading and not writing. Events of a poll made by [`Poll::with_counts`] also have the
//! number of bytes or connections ([`count`](Event::count)) and the error that has ended a connection
//! ([`error`](Event::error)); on Linux they cost system calls, so they are off by default.
//!
//! ## Signals, children, timers, files
//!
//! They are events like any other, with tokens from the same space.
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
//!             TICK => drop(child.stdin.take()), // end of input: the child exits
//!             _ => {
//!                 println!("exited: {:?}", event.exit_status());
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
//! Everything takes `&self`. One thread may wait while others register, and their registrations take
//! effect in the wait that has begun. A [`Waker`] ends a wait; any number of wake-ups before it is
//! reported are one event, and only the first of them is a system call on Linux.
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
//!     received += inbox.try_iter().count(); // all of them: one event may stand for many
//! }
//! # Ok(())
//! # }
//! ```
//!
//! ## In another loop
//!
//! A poll is [`AsFd`](std::os::fd::AsFd) and readable while it has an event, so it can be registered
//! with another poll, or with any event loop. A [timer](Poll::register_timer) makes it readable after a
//! time.
//!
//! ## Errors
//!
//! An [`Error`] names the problem, the thing and the way out: ``descriptor 7 is already registered, with
//! Token(3): use `reregister` to change it``. It converts into an [`io::Error`](std::io::Error). A call that fails leaves all registrations as they
//! were. `{:?}` of a poll lists them, also a descriptor that was closed and not deregistered:
//!
//! ```text
//! Poll { kqueue: 3, registered: [descriptor 7: READABLE, Edge, Token(3), SIGTERM: Token(0), waker: Token(1)] }
//! ```
//!
//! # What it costs
//!
//! System calls; where there are two numbers, the first is for a kernel with kqueues, the second for
//! Linux. On a kernel with kqueues each change of a registration and each wake-up also asks for the process id.
//!
//! | | |
//! |---|---|
//! | [`Poll::poll`] | 1, however many events there are; no allocation |
//! | registering a descriptor | 1; 1, and one or two more for [`Interest::WRITABLE`] and [`Interest::PRIORITY`] (fstat(2); for a descriptor that is no pipe or socket, epoll_ctl(2)) |
//! | deregistering a descriptor | 1 |
//! | reregistering a descriptor | 1 (NetBSD, OpenBSD and DragonFly: 2); 1, and what a registration takes for an interest that is new; with another trigger up to 3 |
//! | [`Poll::register_all`] of n descriptors | 1; as n registrations |
//! | [`Poll::register_timer`] | 2; 3. Set again: 1 (DragonFly: 2); but from once to repeatedly or back 2; 5 |
//! | [`Waker::wake`] | 1; 1 if no other wake-up is pending, else 0 |
//! | an event of a poll made [`with_counts`](Poll::with_counts) | 0; 1 to 3, at an end up to 5 |
//! | arming [`Trigger::Oneshot`] again | 1 |
//!
//! # Special problems
//!
//! **A descriptor that is closed while registered.** The kernel forgets it, and the number may soon be
//! another file's: that can be registered, and until then it is [not registered](Error::NotRegistered).
//! But Linux forgets a descriptor only when its last duplicate is closed, one in a child process
//! included. Deregister first.
//!
//! **Stale events.** A poll that begins after [`deregister`](Poll::deregister) has returned reports
//! nothing of the descriptor. Events that an [`Events`] holds already stay there: a loop that deregisters
//! a descriptor while it handles another event may still find its token.
//!
//! **A loop that spins.** [`Trigger::Level`] reports room to write in every poll. Register for
//! [`Interest::WRITABLE`] only while there are bytes to write, or use [`Trigger::Edge`].
//!
//! **A loop that hangs.** After an edge there is no second event for bytes that are left. Read until
//! [`WouldBlock`](std::io::ErrorKind::WouldBlock), and put sockets into non-blocking mode.
//!
//! **A child of fork(2)** does not have its parent's poll: calls fail with `EBADF`, and dropping the poll
//! or a waker at most closes descriptors. On a kernel with kqueues, do not poll there: the number of the
//! queue is free, and a file that the child opens may have it. A program started by exec(2) does not have its
//! parent's poll either: the descriptor is close-on-exec.
//!
//! # Systems
//!
//! | | |
//! |---|---|
//! | Linux | one activity may be reported for both directions of an edge-triggered descriptor: room to write again when bytes arrive. Processes from 5.3 on, timeouts of less than a millisecond from 5.11 on |
//! | FreeBSD | that a pipe has lost its reader is reported once, whatever the trigger |
//! | NetBSD before 10, OpenBSD before 7.8 | no user events: a [`Waker`] is a pair of sockets |
//! | NetBSD, OpenBSD | timeouts and timers count in clock ticks |
//! | NetBSD before 10 | [`Poll::register_timer`] does not work: that kernel counts milliseconds whatever the unit, and does not restart a timer |
//! | macOS | poll(2) does not accept the descriptor of a poll, select(2) does; timers may be late to save power |
//!
//! Other differences are documented with the methods.
//!
//! # How to read the source
//!
//! `token`, `interest`, `event` and `error` are the vocabulary. `poll` waits. `registry` is the table, and
//! registers descriptors; `knotes` makes the kernel's changes for it, with `hang_up` for a pipe without a
//! reader. `watch` is everything else in the table, and has one file for each kind: `waker`, `signal`,
//! `process`, `file`, `timer`.

#![cfg_attr(docsrs, feature(doc_cfg))]
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

/// Accepts a connection that is ready to be registered. It is [`nio_sys::accept`].
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// use nio_poll::{Events, Interest, Poll, Token};
///
/// # fn main() -> std::io::Result<()> {
/// let poll = Poll::new()?;
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// listener.set_nonblocking(true)?;
/// poll.register(&listener, Token(0), Interest::READABLE)?;
/// let client = TcpStream::connect(listener.local_addr()?)?;
///
/// poll.poll(&mut Events::with_capacity(4), None)?;
/// let stream = TcpStream::from(nio_poll::accept(&listener)?); // non-blocking
/// poll.register(&stream, Token(1), Interest::READABLE)?;
/// # Ok(())
/// # }
/// ```
pub use nio_sys::accept;

/// The example of the README, tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
