//! kqueue(2) on Linux: the same interface over epoll(7), eventfd(2), timerfd(2), pidfds, inotify(7) and signal
//! handlers.
//!
//! Laid out like a BSD kernel: one engine, and a file for each filter.
//!
//! ```text
//!   queue ── kevent(2): changes, then one wait        wake ── how one thread wakes another
//!     │
//!   engine ─ the life of knotes, the list of active ones (knote, active)
//!     │
//!     ├── descriptor, deliver ─ READ, WRITE, EXCEPT by one entry of epoll (slot, readiness, stale, count)
//!     └── filterops ─ user, timer, signal (signal_handler, signal_layer, default_action),
//!                     process (pidfd),
//!                     vnode and file (watch, inotify)
//!
//!   epoll ── system calls             fork ── a child does not have the queue
//! ```
//!
//! The laws:
//!
//! 1. The queue's descriptor is an epoll descriptor, so it can itself be polled or nested.
//! 2. epoll reports the conditions that the kernel watches. A knote whose condition the engine itself knows is in the
//!    list of active knotes. While the list is not empty, the queue's eventfd has an edge that no wait has
//!    returned, or a thread is about to write it ([`wake`]). So one wait on epoll sees both.
//! 3. The lock is never held across a wait, and no foreign code runs under it.
//! 4. A wait makes one system call and takes the lock once. An event of a plain descriptor needs no other.

mod active;
mod count;
mod default_action;
mod deliver;
mod descriptor;
mod engine;
mod epoll;
mod file;
mod filterops;
mod fork;
mod inotify;
mod knote;
mod pidfd;
mod process;
mod queue;
mod readiness;
mod signal;
mod signal_handler;
mod signal_layer;
mod slot;
mod stale;
mod timer;
mod user;
mod vnode;
mod wake;
mod watch;

pub(crate) use fork::this_process;
pub(crate) use queue::Queue;
pub(crate) use signal_handler::{disposition_beneath, set_disposition_beneath};
