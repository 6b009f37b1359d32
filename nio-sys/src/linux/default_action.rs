//! Takes the default action of a signal (K198) from within its handler.
//!
//! The disposition becomes SIG_DFL, and the signal is raised again and takes effect. If the process goes on
//! after that (it was stopped), the handler is put back.
//!
//! One thread at a time does this for a signal. A second one might raise the signal after the first has put the
//! handler back, and would run the handler again on a stack that may be full. So a thread that finds another
//! one at work asks it for one more round, and does not wait.

use std::{
    mem::MaybeUninit,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

use libc::c_int;

use super::{fork::this_process, signal_handler::exchange, signal_layer::layer};
use crate::signal::{SIGNALS, disposition};

/// No thread takes the default action.
const IDLE: usize = 0;
/// A thread takes it. Above these bits is the process's number: a child of fork(2) does not have the thread.
const TAKING: usize = 1;
/// Another thread has asked it for one more round.
const AGAIN: usize = 2;

static STATES: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(IDLE) }; SIGNALS];

/// Takes the default action of a signal, if the handler of this layer has to (law 5).
pub(super) fn take(number: c_int, own_layer: usize) {
    let does_nothing = matches!(
        number,
        libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH | libc::SIGCONT
    );
    if does_nothing {
        return;
    }
    let state = &STATES[number as usize];
    let process = this_process() << 2;
    let before = state.swap(process | AGAIN, Ordering::AcqRel);
    if before == process | TAKING || before == process | AGAIN {
        return;
    }
    loop {
        state.store(process | TAKING, Ordering::Release);
        take_once(number, own_layer);
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let ended = state.compare_exchange(process | TAKING, IDLE, success, failure);
        if ended.is_ok() {
            return;
        }
    }
}

fn take_once(number: c_int, own_layer: usize) {
    let Ok(found) = disposition(number) else {
        return;
    };
    let mut default = found;
    default.sa_sigaction = libc::SIG_DFL;
    if layer(&found) == Some(own_layer) {
        if exchange(number, &found, &default).unwrap_or(false) {
            raise(number);
            let _ = exchange(number, &default, &found);
        }
    } else if found.sa_sigaction == libc::SIG_DFL {
        raise(number);
    }
    // Otherwise a handler was installed above this one.
}

/// Raises a signal, which takes effect here: it is blocked while its handler runs.
fn raise(number: c_int) {
    // SAFETY: `set` is initialised by sigemptyset before it is used, and `old` is filled in by
    // pthread_sigmask.
    unsafe {
        let mut set = MaybeUninit::uninit();
        let mut old = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), number);
        libc::raise(number);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), old.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), ptr::null_mut());
    }
}
