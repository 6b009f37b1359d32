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
//!
//! # Where Linux differs
//!
//! inotify and epoll cannot tell everything that a BSD kernel can. Of files:
//!
//! | | on Linux |
//! |---|---|
//! | [`VNODE`](Filter::VNODE) needs | /proc (`ENOTSUP` without it) and permission to read the file, however it was opened (`EACCES`); only regular files and directories (`EINVAL`) |
//! | limits | the first knote of a queue that watches files makes an inotify descriptor: `EMFILE` at `max_user_instances`, or at the limit of descriptors. Each watched file has a watch, a directory that is watched for its removal two: `ENOMEM` at `max_user_watches` |
//! | a closed descriptor | is noticed when its knote would report, or is changed. If its number names *the same file* again by then, the knote goes on |
//! | `WRITE`, `EXTEND` | `EXTEND` is seen by comparing sizes. A file that is emptied and written anew, but not beyond its old length, is not extended; one that is lengthened by ftruncate(2) is. Stores to mapped memory are not told |
//! | `ATTRIB` | a change of only the time of modification looks like a `WRITE`, one of only the time of access like a `READ`. A name that came and went again before the queue looked is an `ATTRIB`, not a `LINK` |
//! | `LINK`, `DELETE` | the removal of the last name is both, that of another is a `LINK` |
//! | `DELETE` of a directory | needs permission to read its parent; without it, it is not told |
//! | `REVOKE` | never happens: a file system with an open file is not unmounted |
//! | overflow | if more happened than the kernel keeps (`max_queued_events`), each watched file reports `WRITE` and `ATTRIB`, and what a look at it shows; a `RENAME`, `OPEN`, `CLOSE` or `READ` may be lost |
//! | not told | what other machines do to a network file system; changes in /proc and /sys; from Linux 6.14 on, writes to a memfd |
//! | [`READ`](Filter::READ) of a regular file | needs what `VNODE` needs. Ready until the descriptor's offset is at the end of the file. A knote that has been at the end notices growth, but not that the offset was moved back: add it again |
//! | [`WRITE`](Filter::WRITE) of a regular file, `READ` and `WRITE` of a device that epoll refuses, as /dev/null | always ready, `data` 0; with `CLEAR` once for each change of the knote |
//! | `READ` and `WRITE` of a directory | `EINVAL` (K149) |
//! | `LOWAT` and `EXCEPT` of a file | `ENOTSUP` |

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
