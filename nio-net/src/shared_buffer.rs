//! The shared buffer of a thread, for reads of all connections.
//!
//! The laws:
//!
//! 1. It is in use only while a task is polled, so one buffer serves all connections.
//! 2. No borrow is held while the closure runs: a nested call gets a temporary buffer.

use std::cell::Cell;

/// The length of the buffer: the longest datagram fits, and longer reads are rarely full. libuv uses the same.
pub(crate) const SIZE: usize = 64 * 1024;

thread_local! {
    /// `None` before the first use, and while it is in use.
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Calls a closure with the buffer. If the closure panics, the next call makes a new buffer.
#[inline]
pub(crate) fn with_buffer<R>(closure: impl FnOnce(&mut [u8]) -> R) -> R {
    // While a thread ends, its buffer may be gone: then a temporary one is used.
    let kept = BUFFER.try_with(Cell::take).ok().flatten();
    let mut buffer = kept.unwrap_or_else(|| vec![0; SIZE].into());
    let result = closure(&mut buffer);
    let _ = BUFFER.try_with(|kept| kept.set(Some(buffer)));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_uses_the_same_buffer_and_a_nested_call_another_one() {
        let address = |buffer: &mut [u8]| buffer.as_ptr() as usize;
        let first = with_buffer(address);
        assert_eq!(with_buffer(address), first);
        let inner = with_buffer(|outer| {
            assert_eq!(outer.len(), SIZE);
            assert_eq!(address(outer), first);
            with_buffer(address)
        });
        assert_ne!(inner, first);
        assert_eq!(with_buffer(address), first);
    }
}
