//! The event loop of NodeJS, in Rust: timers, I/O, immediates, ticks and tasks, on kqueue(2).
//!
//! A program of futures, with callbacks beside them:
//!
//! ```
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), nio_loop::Error> {
//! nio_loop::run(async |handle| {
//!     let interval = handle.set_interval(Duration::from_millis(10), |_, _| println!("tick"));
//!     handle.sleep(Duration::from_millis(35)).await;
//!     println!("that will do");
//!     handle.clear(interval);
//! })
//! # }
//! ```
//!
//! The same with callbacks only, on a loop that runs until nothing is left:
//!
//! ```
//! use std::time::Duration;
//! use nio_loop::EventLoop;
//!
//! # fn main() -> Result<(), nio_loop::Error> {
//! let mut event_loop = EventLoop::new()?;
//! let handle = event_loop.handle();
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
//! there are none or their budget is spent.
//!
//! # Laws
//!
//! 1. **A phase runs the callbacks that were there when it began.** Those that it adds to itself wait for the next turn.
//! 2. **A cleared callback never runs**, even if it was due in this turn. Ids are not used twice, and an id of
//!    one loop names nothing in another.
//! 3. **No timer is early**, and timers run in the order of their deadlines, equal ones in the order in which they
//!    were set.
//! 4. **Nothing of the loop is borrowed while your code runs**: callbacks, wakers and `Drop` may use the loop.
//! 5. **Nothing starves the rest**: polls of tasks, ticks and events have budgets ([`poll_budget`]).
//! 6. **A future that is dropped while it waits leaves nothing behind**: no waker, no timer, no registration.
//! 7. **A call that fails changes nothing**, and gives back the descriptor, child or closure that it was given
//!    ([`Refused`]).
//! 8. **No wake-up is lost**: a closure that another thread [posts](Remote::post) runs, or the thread gets it back because
//!    the loop is gone.
//! 9. **The loop runs while something keeps it alive**: timers, immediates, watches, children and tasks do, unless
//!    they are [unreferenced](Handle::unref); callbacks of signals do not. [`Handle::report`] lists what does.
//!
//! # Callbacks or futures
//!
//! Both, on one loop and one thread, as in NodeJS. A future is run by [`run`], [`Handle::spawn`] or
//! [`EventLoop::block_on`], waits with [`Handle::sleep`], for any descriptor with [`Source`], and for
//! [signals](Handle::signals), [children](Handle::wait) and [files](Handle::changes).
//! Blocking closures run on other threads, by [`Handle::spawn_blocking`].
//!
//! # Optional features
//!
//! | feature | what it adds |
//! |---|---|
//! | `timeline` | `Handle::record`: what a loop does, as a page with a timeline or as a Chrome trace |
//! | `tracing` | events for the `tracing` crate: turns, callbacks, tasks, warnings |
//! | `futures-core` | `Stream` for intervals |
//!
//! # How to read the source
//!
//! Begin with `turn`: its `take` is the table above, a function for each row. Then `park`: how
//! long a turn sleeps, and why; and `drain`: what runs between two callbacks. Nothing else is needed to
//! understand the loop. Each file begins with its subject and its laws.
//!
//! | file | its subject |
//! |---|---|
//! | `event_loop` | the owner, and the ways to run |
//! | `turn`, `park`, `drain` | one turn; how long it sleeps; ticks and tasks between two callbacks |
//! | `state` | the parts of a loop, what keeps it alive, and its end |
//! | `handle`, `sleep`, `join`, `join_set`, `watch`, `source`, `signals`, `children`, `files`, `channel`, `remote`, `blocking`, `callbacks` | the handle, through which the parts are used |
//! | `meter`, `report`, `trace` | metrics and warnings; the report; events for `tracing` |
//! | `recorder`, `timeline`, `timeline_page`, `timeline_trace` | what it did, as a timeline to look at (feature `timeline`) |
//!
//! The parts, which hold the data of a loop and know neither turns nor the poll:
//!
//! | file | its subject |
//! |---|---|
//! | `timers`, `clock` | the timer heap; time, also that of tests |
//! | `queues`, `next_turn` | callbacks that run soon; waiters of the next turn |
//! | `readiness`, `registration` | futures that wait for descriptors; the registrations with the poll |
//! | `listeners` | the callbacks of each signal |
//! | `task`, `tasks`, `wakers`, `budget` | tasks; how they are woken; how long they may go on |
//! | `mailbox`, `alarm` | posts of other threads, and how they wake the loop |
//! | `pool` | threads for blocking closures |
//!
//! # Features and systems
//!
//! The optional features are off by default. The loop is the same on macOS, FreeBSD, NetBSD, OpenBSD, DragonFly and
//! Linux; children need Linux 5.3 or later. Differences of the systems are documented with the methods.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

// What a user sees, in the order of the documentation of `Handle`.
mod event_loop;

#[cfg(feature = "futures-core")]
mod futures_core;
mod handle;

mod sleep;

mod clock;

mod join;

mod join_set;

mod watch;

mod signals;

mod children;

mod files;

mod remote;

mod blocking;

mod callbacks;

mod meter;

mod report;

mod source;

mod error;

// Everything else.
mod alarm;
mod budget;
mod channel;
mod drain;
mod listeners;
mod mailbox;
mod next_turn;
mod panics;
mod park;
mod pool;
mod queued;
mod queues;
mod readiness;
#[cfg(feature = "timeline")]
mod recorder;
#[cfg(not(feature = "timeline"))]
#[path = "no_recorder.rs"]
mod recorder;
mod registration;
mod state;
mod task;
mod tasks;
#[cfg(feature = "timeline")]
mod timeline;
#[cfg(feature = "timeline")]
mod timeline_page;
#[cfg(feature = "timeline")]
mod timeline_trace;
mod timers;
mod trace;
mod turn;
mod wakers;

pub use budget::poll_budget;
pub use callbacks::{CallbackGuard, CallbackId};
pub use clock::{Clock, Time};
pub use error::{Error, Refused};
pub use event_loop::{EventLoop, run};
pub use files::Changes;
pub use handle::Handle;
pub use join::{AbortOnDrop, JoinError, JoinHandle};
pub use join_set::JoinSet;
pub use meter::{Metrics, Warning};
pub use nio_poll::{Event, FileChange, Interest, Signal, Subject};
pub use readiness::Direction;
#[cfg(feature = "timeline")]
pub use recorder::{Phase, Recording};
pub use remote::Remote;
pub use report::{CallbackKind, Report, ReportEntry};
pub use signals::Signals;
pub use sleep::{Elapsed, Interval, NextTurn, Sleep};
pub use source::{Source, Waiting};
#[cfg(feature = "timeline")]
pub use timeline::{Recorded, Timeline, TimelineEntry};
pub use timers::MissedTicks;

/// The example of the README, so that it is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
