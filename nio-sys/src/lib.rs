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
//! # Where to start reading
//!
//! The source is meant to be read, in this order:
//!
//! 1. `kevent.rs`, then `filter.rs` and `flags.rs`: what is said to a queue and what it says.
//!    `fflags.rs` and `raw.rs` are tables, to be looked up: values and widths on each system.
//! 2. `kqueue.rs`: the calls, and what they promise.
//! 3. `bsd.rs`: what is left to be done where the kernel does the work. `lib.rs` chooses between it
//!    and `linux/`, which stand for each other as the module `sys`.
//! 4. `linux/mod.rs`: the laws of the engine for Linux. Then `linux/knote.rs`, what all registrations
//!    have in common.
//! 5. `linux/queue.rs`, the engine: change, wait, translate. `linux/bell.rs` is how one thread wakes
//!    another, and `linux/user.rs` the filter that does nothing else.
//! 6. `linux/fd.rs`: sockets and pipes, and how two knotes share one entry of epoll. `linux/slot.rs` is
//!    where they stand, so that a wait can read them without a lock.
//! 7. The other filters, in any order: `timer.rs`, `process.rs`, `signal.rs`; `file.rs` and `vnode.rs`
//!    with `watch.rs` and `inotify.rs`. What they need of the kernel is in `epoll.rs`, `count.rs`,
//!    `pidfd.rs` and `fork.rs`; what they need of the process in `signal_handler.rs` and the two files that
//!    it names.
//!
//! Every rule of the interface has a number, and a test named for it: what K85 means in a comment is
//! told by `k85_…` in `tests`. `tests/coverage.rs` lists the rules that have none, and why.
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
//! epoll and its relatives cannot tell everything that a BSD kernel can.
//!
//! | | on Linux |
//! |---|---|
//! | a closed descriptor | keeps its registrations while a duplicate of it is open. Delete before closing, or close the duplicates |
//! | `data` of [`READ`](Filter::READ) and [`WRITE`](Filter::WRITE), and their error in `fflags` | are 0, unless the queue was made by [`Kqueue::with_counts`] |
//! | `WRITE` with `CLEAR` | may be reported again when something arrives, if `READ` of the descriptor is registered too (K128) |
//! | shutdown(2) of the own writing end | is no `EOF` of `WRITE` until the peer has closed, too (K121) |
//! | `LOWAT` of `WRITE` | `ENOTSUP` (K158) |
//! | a queue in a queue | five deep at most, and no cycles: `ELOOP` (K12) |
//! | a queue's own descriptor | readable if there is an event, and also if the kernel has told of one that was deleted or disabled before a call noticed it: that lasts until the next call (K8, K13) |
//! | | whoever watches it from outside loses it if the queue has to be made anew: for a descriptor that was closed, has a duplicate that goes on reporting, and whose registration was deleted or its number registered again after that |
//! | [`USER`](Filter::USER) | a `TRIGGER` in the change that adds it counts, as on Apple, OpenBSD and DragonFly (K163) |
//! | [`SIGNAL`](Filter::SIGNAL) | is told by a handler. It counts what is delivered: signals of a kind that were pending together are one (K199), one that all threads block comes when it is unblocked (K200). A handler that the program installs later takes its place until the next `EV_ADD` (K208); a signal that was ignored is not ignored in a program that this one executes (K209) |
//! | [`PROC`](Filter::PROC) | from Linux 5.3 on, and `EXIT` alone: `ENOTSUP` for the rest (K219). A status that is not known is 0, with `NO_STATUS` (K214, K225) |
//! | [`PROCDESC`](Filter::PROCDESC) | takes a pidfd; closing it ends the registration and not the process (K226) |
//!
//! Of files:
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
mod per_process;
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
