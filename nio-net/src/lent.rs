//! The buffer that the loops of a thread lend to reads.
//!
//! The laws:
//!
//! 1. The buffer is lent while a task is polled, and is back before the next one is. So one is enough
//!    for all connections.
//! 2. No borrow is held while the closure that reads its bytes runs: a closure that reads too gets a
//!    buffer of its own.

use std::cell::Cell;

/// How long the buffer is: the longest datagram fits, and a read of more is rarely full. libuv asks for
/// as much.
pub(crate) const SIZE: usize = 64 * 1024;

thread_local! {
    /// None before the first use, and while it is lent.
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the buffer to a closure. If the closure panics, the next call makes another one.
#[inline]
pub(crate) fn lend<R>(borrow: impl FnOnce(&mut [u8]) -> R) -> R {
    // At the end of a thread the buffer is gone, and a new one is dropped after use.
    let kept = BUFFER.try_with(Cell::take).ok().flatten();
    let mut buffer = kept.unwrap_or_else(|| vec![0; SIZE].into());
    let result = borrow(&mut buffer);
    let _ = BUFFER.try_with(|kept| kept.set(Some(buffer)));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_the_same_each_time_and_another_one_while_it_is_lent() {
        let address = |buffer: &mut [u8]| buffer.as_ptr() as usize;
        let first = lend(address);
        assert_eq!(lend(address), first);
        let inner = lend(|outer| {
            assert_eq!(outer.len(), SIZE);
            assert_eq!(address(outer), first);
            lend(address)
        });
        assert_ne!(inner, first);
        assert_eq!(lend(address), first);
    }
}
