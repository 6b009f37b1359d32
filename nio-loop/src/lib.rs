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
//! | timers | [timeouts](Handle::set_timeout) and [intervals](Handle::set_interval) that are due, in the order of their deadlines |
//! | poll | waits for I/O, at most until the next timer is due; then [watches](Handle::watch) and [changes of files](Handle::on_change), after them [signals](Handle::on_signal) and [exits](Handle::on_exit), after them what other threads [posted](Remote::post) |
//! | check | [immediates](Handle::set_immediate) |
//! | closing | what follows a [close](Handle::close) |
//!
//! After each callback, [ticks](Handle::next_tick) run and then woken [tasks](Handle::spawn), until
//! there are none. What a phase adds to itself waits for the next turn; what a callback clears does
//! not run, whatever phase it was due in.
//!
//! The loop goes on for as long as something keeps it alive: everything does that is set, unless it
//! was [unreferenced](Handle::unref). [`Handle::report`] tells what that is.
//!
//! # Callbacks or futures
//!
//! Both, on one loop and one thread, as in NodeJS. A future is run by [`Handle::spawn`] or
//! [`EventLoop::block_on`], waits with [`Handle::sleep`], and for any descriptor with [`Source`].
//! What blocks runs on other threads, by [`Handle::spawn_blocking`].
//!
//! # How to read the source
//!
//! Begin with `Turn::take` in `event_loop`, from which everything else is called. Each file opens
//! with what it is for and with its laws. In this order:
//!
//! | file | what it is |
//! |---|---|
//! | `event_loop` | the turn, one function for each phase; what runs between two callbacks; how long to wait |
//! | `core` | the state of a loop, and its law: no foreign code runs while any of it is borrowed |
//! | `slab` | the table that most of that state is kept in, by keys that are never used twice |
//! | `handle` | what callbacks hold; clearing and unreferencing, for all kinds of callbacks |
//! | `queues` | ticks, immediates and what follows a close |
//! | `clock`, `timer` | time, also that of tests; timeouts and intervals |
//! | `watch` | callbacks for descriptors, signals, children and files |
//! | `task`, `waker`, `join` | futures, how they are woken, and what becomes of their output |
//! | `sleep` | time for futures |
//! | `source` | descriptors for futures |
//! | `doorbell`, `remote` | how other threads wake the loop, and what they leave for it |
//! | `blocking` | threads for what blocks |
//! | `meter`, `report`, `trace` | what a loop tells about itself |
//! | `error` | what can go wrong |

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
mod waker;
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
