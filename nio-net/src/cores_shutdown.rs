//! The shutdown of all threads of a server on several cores.

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// Shuts down the servers of all threads, from any of them.
#[derive(Clone, Default)]
pub struct CoresShutdown {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    begun: bool,
    /// The waker of each thread that runs, by its number.
    waiting: BTreeMap<usize, Waker>,
}

impl CoresShutdown {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock, so it is never poisoned by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the shutdown of all threads. Further calls have no effect.
    pub fn begin(&self) {
        let mut state = self.lock();
        state.begun = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    /// Waits until it begins, on the thread of this number. If this is dropped, as when the thread ends, it leaves
    /// no waker.
    pub(crate) async fn begun(&self, thread: usize) {
        let _waiting = Waiting(self, thread);
        poll_fn(|context| {
            let waker = context.waker().clone();
            let mut state = self.lock();
            if state.begun {
                return Poll::Ready(());
            }
            let old = state.waiting.insert(thread, waker);
            drop(state);
            drop(old);
            Poll::Pending
        })
        .await;
    }
}

/// A thread that waits.
struct Waiting<'a>(&'a CoresShutdown, usize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waker = self.0.lock().waiting.remove(&self.1);
        drop(waker);
    }
}

impl fmt::Debug for CoresShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoresShutdown")
            .field("begun", &self.lock().begun)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context};

    use super::*;

    #[test]
    fn a_thread_has_one_waker_and_none_after_its_end() {
        let shutdown = CoresShutdown::default();
        let waiting = || shutdown.lock().waiting.len();
        {
            let mut context = Context::from_waker(Waker::noop());
            let mut begun = pin!(shutdown.begun(3));
            for _ in 0..2 {
                assert!(begun.as_mut().poll(&mut context).is_pending());
                assert_eq!(waiting(), 1);
            }
        }
        assert_eq!(waiting(), 0);
    }
}
