//! kqueue(2) on macOS, the BSDs and Linux.
//!
//! # What kqueue is
//!
//! One call and one structure for everything a program can wait for: sockets and pipes, timers, signals, child
//! processes, changes to files, and its own wake-ups. The program keeps a [`Kqueue`] and submits [`Kevent`]s to
//! it as *changes*, which say what to wait for. The queue hands back [`Kevent`]s as *events*, which say what
//! happened; each carries the number (`udata`) that the program attached. [`Kqueue::kevent`] does both in one
//! call.
//!
//! A registration is called a *knote*. Its key is the ident (a descriptor, a process id, a signal number, any
//! number) and the [`Filter`]. It is level-triggered (reported in each call while its condition holds),
//! edge-triggered ([`CLEAR`](EventFlags::CLEAR): reported once for each new activity) or oneshot
//! ([`ONESHOT`](EventFlags::ONESHOT): reported once and removed; [`DISPATCH`](EventFlags::DISPATCH): reported
//! once and disabled).
//!
//! On macOS, FreeBSD, NetBSD, OpenBSD and DragonFly this crate is a thin binding to the kernel. On Linux, Android
//! included, it is the same interface over epoll, eventfd, timerfd, pidfd and inotify. A program written against it runs on all
//! of them.
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
//! // Register: report each arrival of data at `reader` once, and attach 42 to the event.
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
//! # Laws
//!
//! 1. **Each change has its own answer.** A refused change has its errno in its [receipt](Kevent::receipt), and the
//!    changes after it are made all the same (K38, K43).
//! 2. **No event is lost.** Those that do not fit into the list come with the next call (K85).
//! 3. **An event describes the present state.** It is reported for a registration that still exists, with the `udata` that
//!    the program gave last.
//! 4. **A wait without an event is never shorter than its timeout** (K20).
//! 5. **One thread may wait while others make changes**, and their changes take part in that wait (K89).
//! 6. **A child of fork(2) does not have the queue** (K4), and exec(2) closes it.
//!
//! # Map
//!
//! The public types:
//!
//! | | |
//! |---|---|
//! | [`Kqueue`] | the queue: `new`, `kevent`, `wait`, `apply` |
//! | [`Kevent`] | a change or an event: ident, filter, flags, fflags, data, udata |
//! | [`EventList`] | the buffer that events are returned in |
//! | [`Filter`] | the kind of condition: `READ`, `WRITE`, `TIMER`, `USER`, … |
//! | [`EventFlags`] | the operation of a change: `ADD`, `DELETE`, `CLEAR`, …; the state in an event: `ERROR`, `EOF` |
//! | [`ReadWriteFlags`], [`VnodeFlags`] | `fflags` of descriptors and files |
//! | [`ProcFlags`], [`UserFlags`] | `fflags` of processes and user events |
//! | [`TimerUnit`], [`TimerFlags`] | `fflags` of timers |
//! | [`CaughtSignal`] | keeps a signal from its default action |
//! | [`accept()`] | accepts a connection in non-blocking mode, in one system call where the kernel can |
//!
//! # Where to start reading
//!
//! The source is meant to be read, in this order:
//!
//! 1. `kevent.rs`, then `filter.rs` and `flags.rs`: changes and events. `fflags.rs`, its directory and `raw.rs`
//!    are tables: values and widths on each system. `accept.rs`, with `owned.rs`, stands alone.
//! 2. `kqueue.rs`: the calls and their promises.
//! 3. `bsd.rs`: fits arguments to what each kernel takes. `lib.rs` chooses between it and `linux/`; the one that
//!    is compiled is the module `sys`.
//! 4. `linux/mod.rs`: the map and the laws of the engine for Linux. Then `linux/knote.rs`, the state that the
//!    registrations of all filters share.
//! 5. `linux/queue.rs`: a call, from its changes to its events. `linux/engine.rs` is what a call does under the
//!    lock, `linux/active.rs` the list of active knotes, and `linux/wake.rs` how one thread wakes another.
//! 6. `linux/filterops.rs`: the functions of a filter. `linux/user.rs` is the smallest filter,
//!    `linux/timer.rs` the next.
//! 7. `linux/slot.rs`, `descriptor.rs` and `deliver.rs`: sockets and pipes, whose two or three knotes share one
//!    entry of epoll. `readiness.rs` translates EPOLLHUP and EPOLLERR, `stale.rs` recognises events of a
//!    descriptor that was closed.
//! 8. The other filters, in any order: `process.rs` with `pidfd.rs`; `signal.rs` with `signal_handler.rs`,
//!    `signal_layer.rs` and `default_action.rs`; `vnode.rs` and `file.rs` with `watch.rs` and `inotify.rs`.
//!    `epoll.rs`, `count.rs` and `fork.rs` are system calls.
//!
//! Every rule of the interface has a number, and tests named for it: a comment that cites K85 means the rule that
//! the tests `k85_…` assert. `tests/coverage.rs` lists the rules without a test, and why.
//!
//! # Portable programs
//!
//! A constant exists only on the systems that have it, so most mistakes do not
//! compile. The rest, in short:
//!
//! - Pass `udata`, `fflags` and `data` in full with every change except a `DELETE`: most systems overwrite all
//!   three each time (K58, K59).
//! - `CLEAR`, `ONESHOT` and `DISPATCH` are fixed when a registration is made. To change them, delete and add
//!   (K60).
//! - `ADD` alone does not enable a disabled registration; `ENABLE` does (K63).
//! - Register a user event with `fflags` 0, and trigger it by a change of its own (K163) without `CLEAR` (K167).
//! - Do not combine `ADD` with `DELETE`, `ENABLE` with `DISABLE`, or `DISPATCH` with `ONESHOT` or `CLEAR` (K52,
//!   K53, K78, K79).
//! - Of the flags of an event, only `ERROR` and `EOF` mean the same on every system (K83).
//! - An event is a hint: read until `WouldBlock`, and accept that nothing is there. The other edge-triggered
//!   registration of the descriptor may have been reported once more (K128).
//! - Delete before closing a descriptor that may have duplicates. `ENOENT` and `EBADF` from a `DELETE` both mean
//!   that there was nothing to delete (K50).
//! - A wait may end with `EINTR`. The changes have been applied then: use [`Kqueue::wait`], or call again
//!   without them (K24).
//! - A queue with an event pending is readable. A readable queue may have none (K8).
//!
//! # Where Linux differs
//!
//! epoll and the other system calls do not report everything that a BSD kernel knows. Descriptors:
//!
//! | | on Linux |
//! |---|---|
//! | a closed descriptor | keeps its registrations while a duplicate of it is open (K99). Delete before closing, or close the duplicates |
//! | closing without `DELETE` | saves no system call: the next registration of the same number makes one epoll_ctl(2) more |
//! | a level-triggered registration that was left so, once the number belongs to another file | the queue makes its epoll set again. While it lacks the descriptor or the memory for that, waits spin: they return nothing for it and use the processor |
//! | a change of one filter | may report the other one again if that is registered with `CLEAR` and its condition holds (K128) |
//! | `WRITE` with `CLEAR` | may be reported again when something arrives, if `READ` of the descriptor is registered too (K128) |
//! | `data` of [`READ`](Filter::READ) and [`WRITE`](Filter::WRITE), and the error in `fflags` | are 0, unless the queue was made by [`Kqueue::with_counts`] |
//! | [`READ`](Filter::READ) and [`WRITE`](Filter::WRITE) of a descriptor with an error (EPOLLERR) | have `PENDING_ERROR` in their flags, also while the error ends nothing (K110) |
//! | shutdown(2) of the own writing direction | is no `EOF` of `WRITE` until the peer has closed, too (K121) |
//! | `LOWAT` of `WRITE` | `ENOTSUP` (K158) |
//!
//! Queues and waits:
//!
//! | | on Linux |
//! |---|---|
//! | a queue in a queue | at most five deep, and no cycles: `ELOOP` (K12) |
//! | a queue's descriptor | stays readable for an event that was disabled before a call collected it, as on FreeBSD: until the next call that returns nothing (K8, K13) |
//! | a queue that another poller watches | has to be registered there again if its epoll set was made again (the third row above) |
//! | the timeout of a wait | is rounded up to milliseconds before Linux 5.11, on Android, and in a sandbox that refuses epoll_pwait2(2) |
//! | [`Kqueue::kevent`] | also fails with `EINTR` when the process was stopped (SIGSTOP, SIGTSTP) and continues. [`Kqueue::wait`] goes on |
//!
//! Other filters:
//!
//! | | on Linux |
//! |---|---|
//! | [`USER`](Filter::USER) | a `TRIGGER` in the change that adds it counts, as on Apple, OpenBSD and DragonFly (K163) |
//! | [`TIMER`](Filter::TIMER) | takes a descriptor each: `EMFILE` at the limit |
//! | | on a 32-bit processor, a deadline of the wall clock after January 2038 needs Linux 5.1: before, the timer becomes due in January 2038 and from then on wakes each wait without an event, and the kernel's own wall clock ends there |
//! | [`SIGNAL`](Filter::SIGNAL) | uses a signal handler, which calls the one that the program had installed. It counts deliveries: signals of one kind that were pending together are one (K199), and one that all threads block comes when it is unblocked (K200) |
//! | | a handler that the program installs later takes the place of the one that counts until the next `EV_ADD`, unless it calls it (K208) |
//! | | a signal that was ignored has its default action in a program that this one executes (K209) |
//! | [`PROC`](Filter::PROC) | from Linux 5.3 and Android 12 on (`EINVAL` before, and in a sandbox that refuses pidfd_open(2)), and only `EXIT`: `ENOTSUP` for the others (K219) |
//! | | an exit status that is not known is `data` 0 with `NO_STATUS` in `fflags` (K214, K225). It is known of children that have not been waited for, from Linux 5.4 on; from Linux 6.15 on also of a process that has been waited for |
//! | [`PROCDESC`](Filter::PROCDESC) | from Linux 5.4 on (`EINVAL` before); takes a pidfd; closing it ends the registration and not the process (K226) |
//!
//! Files:
//!
//! | | on Linux |
//! |---|---|
//! | [`VNODE`](Filter::VNODE) needs | /proc (`ENOTSUP` without it) and permission to read the file, however it was opened (`EACCES`); only regular files and directories (`EINVAL`) |
//! | times | on a 32-bit processor, a file whose time is after January 2038 needs Linux 4.11: `EOVERFLOW` before |
//! | limits | the first knote of a queue that watches files makes an inotify descriptor: `EMFILE` at `max_user_instances`, or at the limit of descriptors. Each watched file has a watch, and a directory that is watched for its removal has two: `ENOMEM` at `max_user_watches` |
//! | a closed descriptor | is noticed when its knote would report, or is changed. If its number names *the same file* again by then, the knote goes on |
//! | `WRITE`, `EXTEND` | `EXTEND` is found by comparing sizes. A file that is emptied and written again, but not beyond its old length, is not extended; one that is lengthened by ftruncate(2) is |
//! | `ATTRIB` | a change of the time of modification alone looks like a `WRITE`, one of the time of access alone like a `READ`. A name that came and went before the queue looked is an `ATTRIB`, not a `LINK` |
//! | `LINK`, `DELETE` | the removal of the last name is both, that of another name is a `LINK` |
//! | `DELETE` of a directory | needs permission to read its parent; without it, it is not reported |
//! | `REVOKE` | never happens: a file system with an open file is not unmounted |
//! | overflow | if more happened than the kernel keeps (`max_queued_events`), each watched file reports `WRITE` and `ATTRIB`, and the differences that comparing shows; a `RENAME`, `OPEN`, `CLOSE` or `READ` may be lost |
//! | not reported | writes by the kernel's AIO (io_submit(2)) and to mapped memory; flags set by chattr(1); changes that other machines make on a network file system, and those in /proc and /sys; from Linux 6.14 on, writes to a memfd |
//! | [`READ`](Filter::READ) of a regular file | needs what `VNODE` needs. Ready until the descriptor's offset is at the end of the file. A knote that has been at the end notices growth, but not that the offset was moved back: add it again |
//! | `READ` of a file in /proc/PID or a namespace file | is accepted. Their size is 0: not ready at offset 0, ready with a negative `data` after that, and growth is never reported. Most other files in /proc and /sys are always ready |
//! | `READ` of a memfd | does not notice growth from Linux 6.14 on: add it again |
//! | [`WRITE`](Filter::WRITE) of a regular file, `READ` and `WRITE` of a device that epoll refuses, as /dev/null | always ready, `data` 0; with `CLEAR` once for each change of the knote |
//! | `READ` and `WRITE` of a directory | `EINVAL` (K149) |
//! | `LOWAT` and `EXCEPT` of a file | `ENOTSUP` |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]

mod accept;
mod event_list;
mod fflags;
mod filter;
mod flags;
mod kevent;
mod kqueue;
mod owned;
mod per_process;
mod raw;
mod signal;

// The engine of this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "bsd.rs"]
mod sys;
#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "linux/mod.rs"]
mod sys;

#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "linux",
    target_os = "android",
)))]
compile_error!(
    "nio-sys runs on the Apple systems, FreeBSD, NetBSD, OpenBSD, DragonFly, Linux and Android"
);

pub use accept::accept;
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
