//! Keeping a signal from its default action, so that a program can watch it without being ended by it.

use std::{
    io,
    mem::MaybeUninit,
    ptr,
    sync::{Mutex, PoisonError},
};

use libc::c_int;

use crate::{
    per_process::PerProcess,
    sys::{disposition_beneath, set_disposition_beneath},
};

/// The highest number of a signal on any of the systems, and one more: 128 on FreeBSD and on Linux for MIPS, 64 on
/// Linux elsewhere.
pub(crate) const SIGNALS: usize = 129;

/// How many [`CaughtSignal`]s of each signal this process has.
static CAUGHT: PerProcess<Caught> = PerProcess::new();

type Caught = Mutex<[usize; SIGNALS]>;

/// While this value lives, a signal has no default action.
///
/// `EVFILT_SIGNAL` only observes: a `SIGTERM` that a queue watches still ends the process. This
/// type gives the signal a handler that does nothing, unless the program has a handler of its own or ignores
/// the signal, and removes the handler when the last `CaughtSignal` of that signal is dropped. Unlike an
/// ignored signal, a signal with a handler has its default action again in a program that this one executes.
///
/// Make it before the knote is added, and drop it after the knote is deleted: a signal that arrives
/// while there is only the knote has its default action.
///
/// ```
/// use std::time::Duration;
/// use nio_sys::{CaughtSignal, EventFlags, EventList, Kevent, Kqueue};
///
/// # fn main() -> std::io::Result<()> {
/// let kqueue = Kqueue::new()?;
/// let _caught = CaughtSignal::new(libc::SIGUSR1)?;
/// kqueue.apply(&mut [Kevent::signal(libc::SIGUSR1, EventFlags::ADD)])?;
///
/// // SAFETY: these take no pointers. (Not raise(3): macOS tells no queue of a signal for a thread.)
/// unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
///
/// let mut events = EventList::with_capacity(4);
/// kqueue.kevent(&[], &mut events, Some(Duration::from_secs(5)))?;
/// assert_eq!(events[0].ident(), libc::SIGUSR1 as usize);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CaughtSignal {
    number: usize,
    /// The counts of the process that made it.
    caught: &'static Caught,
}

impl CaughtSignal {
    /// Catches the signal with this number.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a number that no signal has, and for `SIGKILL` and `SIGSTOP`, which cannot be caught.
    pub fn new(signum: i32) -> io::Result<CaughtSignal> {
        let number = usize::try_from(signum)
            .ok()
            .filter(|number| (1..SIGNALS).contains(number))
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        let caught = CAUGHT.get_or_make(|| Mutex::new([0; SIGNALS]));
        let mut counts = caught.lock().unwrap_or_else(PoisonError::into_inner);
        // Read each time: the program may have restored the default action.
        let mut action = disposition_beneath(signum)?;
        if action.sa_sigaction == libc::SIG_DFL {
            action.sa_sigaction = do_nothing as *const () as usize;
            action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
            set_disposition_beneath(signum, &action)?;
        }
        counts[number] += 1;
        Ok(CaughtSignal { number, caught })
    }
}

impl Drop for CaughtSignal {
    fn drop(&mut self) {
        // A child of fork(2) inherits the disposition and leaves it as it is. Another thread of the parent
        // may have held the lock.
        if !CAUGHT.is_current(self.caught) {
            return;
        }
        let mut counts = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        counts[self.number] -= 1;
        if counts[self.number] > 0 {
            return;
        }
        let signum = self.number as c_int;
        let Ok(mut action) = disposition_beneath(signum) else {
            return;
        };
        // A handler that the program has installed meanwhile stays.
        if action.sa_sigaction == do_nothing as *const () as usize {
            action.sa_sigaction = libc::SIG_DFL;
            action.sa_flags = 0;
            // Cannot fail: the signal and the action were accepted before.
            let _ = set_disposition_beneath(signum, &action);
        }
    }
}

extern "C" fn do_nothing(_: c_int) {}

/// The disposition of a signal.
pub(crate) fn disposition(signum: c_int) -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: a null new action only asks, and the old one is read only when the call has filled it
    // in, which it says by returning 0.
    unsafe {
        match libc::sigaction(signum, ptr::null(), action.as_mut_ptr()) {
            0 => Ok(action.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Changes the disposition of a signal, and returns the one before. The action is one that [`disposition`]
/// returned, or has a handler in its place that is async-signal-safe and has the signature that its flags ask
/// for.
pub(crate) fn set_disposition(
    signum: c_int,
    action: &libc::sigaction,
) -> io::Result<libc::sigaction> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: the handler is sound, as the caller promises; the pointers live until the call returns.
    // The old action is read only when the call has filled it in.
    unsafe {
        match libc::sigaction(signum, action, before.as_mut_ptr()) {
            0 => Ok(before.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
