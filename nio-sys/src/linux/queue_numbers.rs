//! Which descriptors of this process are queues.
//!
//! A queue cannot be watched for writing (K10), and epoll would accept it and never say a word. The queues
//! of a parent are no queues of its child (K4): what has such a number there may be anything.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::per_process::PerProcess;

/// How many descriptors a word has.
const BITS: usize = usize::BITS as usize;

/// Descriptors beyond this are not known as queues.
const DESCRIPTORS: usize = 65_536;

/// A bit for each descriptor. No lock: it would be shared by all threads that register.
static QUEUES: PerProcess<[AtomicUsize; DESCRIPTORS / BITS]> = PerProcess::new();

/// This descriptor is a queue from now on.
pub(super) fn add(fd: usize) {
    let queues = QUEUES.get_or_make(|| [const { AtomicUsize::new(0) }; DESCRIPTORS / BITS]);
    if let Some(word) = queues.get(fd / BITS) {
        word.fetch_or(1 << (fd % BITS), Ordering::Relaxed);
    }
}

/// This descriptor is about to be closed.
pub(super) fn remove(fd: usize) {
    if let Some(word) = QUEUES.get().and_then(|queues| queues.get(fd / BITS)) {
        word.fetch_and(!(1 << (fd % BITS)), Ordering::Relaxed);
    }
}

/// Whether this descriptor is a queue.
pub(super) fn contains(fd: usize) -> bool {
    let word = QUEUES.get().and_then(|queues| queues.get(fd / BITS));
    word.is_some_and(|word| word.load(Ordering::Relaxed) & 1 << (fd % BITS) != 0)
}
