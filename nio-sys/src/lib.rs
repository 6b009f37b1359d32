//! kqueue(2) on macOS, the BSDs and Linux.
//!
//! # What kqueue is
//!
//! One call and one structure for everything a program can wait for: sockets and pipes, timers,
//! signals, child processes, changes to files, and wake-ups of its own. The program keeps a
//! [`Kqueue`] and tells it what it is interested in by submitting [`Kevent`]s as *changes*; the
//! queue hands back [`Kevent`]s as *events*, each with the number (`udata`) that the program had
//! attached. [`Kqueue::kevent`] does both at once, so that a turn of an event loop is one system
//! call.
//!
//! On macOS, FreeBSD, NetBSD, OpenBSD and DragonFly this crate is a thin binding to the kernel. On
//! Linux it is the same interface, built from epoll and its relatives. A program written against it
//! runs on all of them.
//!
//! # Example
//!
//! ```
//! use std::io::Write;
//! use std::os::unix::net::UnixStream;
//! use std::time::Duration;
//! use nio_sys::{EventFlags, EventList, Filter, Kevent, Kqueue};
//!
//! let queue = Kqueue::new()?;
//! let (reader, mut writer) = UnixStream::pair()?;
//!
//! // Tell the queue: report what arrives at `reader`, once per arrival, and attach 42 to it.
//! let mut changes = [Kevent::read(&reader, EventFlags::ADD | EventFlags::CLEAR).with_udata(42)];
//! queue.apply(&mut changes)?;
//! changes[0].receipt()?;
//!
//! // Nothing has arrived yet.
//! let mut events = EventList::with_capacity(64);
//! assert_eq!(queue.kevent(&[], &mut events, Some(Duration::ZERO))?, 0);
//!
//! writer.write_all(b"hello")?;
//! queue.kevent(&[], &mut events, Some(Duration::from_secs(5)))?;
//! assert_eq!(events[0].filter(), Filter::READ);
//! assert_eq!(events[0].udata(), 42);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Map
//!
//! What is public:
//!
//! | | |
//! |---|---|
//! | [`Kqueue`] | the queue: `new`, `kevent`, `apply` |
//! | [`Kevent`] | a change or an event: ident, filter, flags, fflags, data, udata |
//! | [`EventList`] | the buffer that events are returned in |
//! | [`Filter`] | what to wait for: `READ`, `WRITE`, `TIMER`, `USER`, … |
//! | [`EventFlags`] | what to do: `ADD`, `DELETE`, `CLEAR`, …; what happened: `ERROR`, `EOF` |
//! | [`ReadWriteFlags`], [`VnodeFlags`] | `fflags` of descriptors and files |
//! | [`ProcFlags`], [`UserFlags`] | `fflags` of processes and user events |
//! | [`TimerUnit`], [`TimerFlags`] | `fflags` of timers |
//!
//! Inside, `raw` holds the kernel's structure with the widths of its fields, and `sys` is what does
//! the work: `bsd.rs` or `linux/`.
//!
//! # Portable programs
//!
//! A constant exists only where the system has it, so what compiles everywhere is nearly what works
//! everywhere. The rest, in short (the numbers such as K58 name the rules of the interface, and the
//! tests that assert them):
//!
//! - Pass `udata`, `fflags` and `data` in full with every change but a `DELETE`: most systems
//!   overwrite all of them each time (K58, K59).
//! - `CLEAR`, `ONESHOT` and `DISPATCH` are fixed when a registration is made. To change them delete
//!   and add (K60).
//! - `ADD` alone does not wake what is disabled; `ENABLE` does (K63).
//! - Make a user event with `fflags` 0 and trigger it by a change of its own (K163), without
//!   `CLEAR` in it (K167).
//! - Do not combine `ADD` with `DELETE`, `ENABLE` with `DISABLE`, or `DISPATCH` with `ONESHOT` or
//!   `CLEAR` (K52, K53, K78, K79).
//! - Of the flags of an event only `ERROR` and `EOF` mean the same everywhere (K83).
//! - Delete before closing a descriptor that has duplicates. `ENOENT` and `EBADF` from a `DELETE`
//!   both mean that there was nothing to delete (K50).

#![deny(missing_docs)]

mod event_list;
mod fflags;
mod filter;
mod flags;
mod kevent;
mod kqueue;
mod raw;
mod signal;

// Which engine: the one place where it is decided.
#[cfg(not(target_os = "linux"))]
#[path = "bsd.rs"]
mod sys;
#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod sys;

#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "linux",
)))]
compile_error!("nio-sys runs on the Apple systems, FreeBSD, NetBSD, OpenBSD, DragonFly and Linux");

pub use event_list::EventList;
#[cfg(target_os = "openbsd")]
pub use fflags::DeviceFlags;
#[cfg(target_os = "freebsd")]
pub use fflags::JailFlags;
#[cfg(target_vendor = "apple")]
pub use fflags::VmFlags;
pub use fflags::{ProcFlags, ReadWriteFlags, TimerFlags, TimerUnit, UserFlags, VnodeFlags};
pub use filter::Filter;
pub use flags::EventFlags;
pub use kevent::Kevent;
pub use kqueue::Kqueue;
pub use signal::CaughtSignal;

/// The example of the README, so that it is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
