//! kqueue(2) on Linux: the same interface over epoll(7), eventfd(2), inotify(7) and signal handlers.
//!
//! Laid out like a BSD kernel: one engine ([`queue`]) that keeps the list of active knotes, and one
//! file per filter ([`fd`] for READ, WRITE and EXCEPT, [`mod@file`] for READ and WRITE of what epoll does
//! not take, [`user`], [`timer`], [`signal`], [`process`], [`vnode`]) that knows when its knotes are
//! active. [`knote`] is what all filters share; [`slot`] is where the knotes of a descriptor stand; [`watch`] is shared by those that watch files. The
//! system calls are in [`epoll`] and [`inotify`].
//!
//! The laws:
//!
//! 1. The queue's descriptor is an epoll descriptor, so it can itself be polled or nested.
//! 2. Conditions that the kernel watches are told by epoll; conditions of user space stand in the
//!    list of active knotes, or are a bit of the queue's [`bell`]. Whenever there is one, the queue's
//!    eventfd has an edge that no wait has returned yet, or whoever made it active is about to write it.
//!    So one wait on epoll sees both.
//! 3. The lock is never held across a wait, and no foreign code runs under it.
//! 4. A call that waits makes one system call, and none per event, and takes no lock, unless an event
//!    is of the rare kinds: hang-ups and errors, oneshots, descriptors whose two filters have different
//!    modes, and events that did not fit. Other filters' events take the lock once.

mod bell;
mod count;
mod default_action;
mod epoll;
mod fd;
mod file;
mod fork;
mod inotify;
mod knote;
mod pidfd;
mod process;
mod queue;
mod queue_numbers;
mod signal;
mod signal_handler;
mod signal_layer;
mod slot;
mod timer;
mod user;
mod vnode;
mod watch;

pub(crate) use fork::this_process;
pub(crate) use queue::Queue;
pub(crate) use signal_handler::{disposition_beneath, set_disposition_beneath};
