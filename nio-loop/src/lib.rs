//! The event loop of the NodeJS guide, in Rust: timers, I/O, immediates, ticks and tasks, on
//! kqueue(2).
//!
//! ```
//! use std::time::Duration;
//! use nio_loop::EventLoop;
//!
//! # fn main() -> Result<(), nio_loop::Error> {
//! let mut event_loop = EventLoop::new()?;
//! let handle = event_loop.handle().clone();
//!
//! let interval = handle.set_interval(Duration::from_millis(10), |_, _| println!("tick"));
//! handle.set_timeout(Duration::from_millis(35), move |handle| {
//!     println!("that will do");
//!     handle.clear(interval);
//! });
//! event_loop.run()?; // nothing is left: the loop ends by itself
//! # Ok(())
//! # }
//! ```
//!
//! # One turn
//!
//! | phase | what runs |
//! |---|---|
//! | timers | [timeouts](Handle::set_timeout) and [intervals](Handle::set_interval) that are due |
//! | poll | waits for I/O, at most until the next timer is due; then [watches](Handle::watch), [signals](Handle::on_signal) and what other threads [posted](Remote::post) |
//! | check | [immediates](Handle::set_immediate) |
//!
//! After each callback, [ticks](Handle::next_tick) run and then woken [tasks](Handle::spawn), until
//! there are none. What a phase adds to itself waits for the next turn; what a callback clears does
//! not run, whatever phase it was due in.
//!
//! # Callbacks or futures
//!
//! Both, on one loop and one thread, as in NodeJS. A future is run by [`Handle::spawn`] or
//! [`EventLoop::block_on`], waits with [`Handle::sleep`], and for any descriptor with [`Source`].
//!
//! # How to read the source
//!
//! `event_loop` has the turn, from which everything else is called; `core` is the state; `handle`
//! what users call; then `timer`, `watch`, `source`, `task` and `remote`, each one kind of thing to
//! wait for.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod blocking;
mod clock;
mod core;
mod doorbell;
mod error;
mod event_loop;
mod handle;
mod join;
mod meter;
mod queues;
mod remote;
mod report;
mod slab;
mod sleep;
mod source;
mod task;
mod timer;
mod trace;
mod watch;

pub use blocking::Lane;
pub use clock::{Clock, Time};
pub use error::Error;
pub use event_loop::{Bound, EventLoop};
pub use handle::{CallbackGuard, CallbackId, Handle};
pub use join::{JoinError, JoinHandle};
pub use meter::{Metrics, Warning};
pub use nio_poll::{Event, FileChange, Interest, Signal};
pub use remote::{Posted, Remote};
pub use report::{CallbackKind, Report, ReportEntry};
pub use sleep::{Elapsed, Interval, Sleep};
pub use source::{Direction, Source};
pub use timer::Missed;

/// The example of the README, so that it is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
