//! Chapter 6: applying changes.

use std::io;

use nio_sys::{Kevent, Kqueue};

/// Applies changes. The first one that is refused is the error; the others are done all the same.
pub fn apply(queue: &Kqueue, changes: &[Kevent]) -> io::Result<()> {
    let mut receipts = changes.to_vec();
    queue.apply(&mut receipts)?;
    receipts.iter().try_for_each(Kevent::receipt)
}
