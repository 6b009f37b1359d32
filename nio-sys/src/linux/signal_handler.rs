//! The process-wide part of signals: one handler for each watched signal, which counts and wakes.
//!
//! A knote only observes: whatever happened to the signal before still happens. So the handler
//! counts, wakes, and then does what the disposition that it replaced would have done. It is
//! installed by the first knote of a signal in the process and taken out by the last.
//!
//! The eventfd of a signal is made once in a process and never closed, because the handler may be running on any
//! thread at any time.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{IntoRawFd, RawFd},
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
};

use libc::{c_int, c_void, siginfo_t};

use super::{epoll, fork, knote::invalid};
use crate::signal::{disposition, set_disposition};

/// Signals are numbered from 1 to 64.
const SIGNALS: usize = 65;

/// What the handler knows of one signal.
struct Watch {
    /// How often it was seen, ever; wraps round.
    count: AtomicUsize,
    /// Woken by the handler; −1 until somebody watches the signal.
    eventfd: AtomicI32,
    /// The process that made it. A child has it too, and leaves it alone.
    home: AtomicUsize,
    /// The disposition that the handler replaced: SIG_DFL, SIG_IGN or a function, and its flags.
    previous: AtomicUsize,
    previous_flags: AtomicI32,
}

static WATCHES: [Watch; SIGNALS] = [const {
    Watch {
        count: AtomicUsize::new(0),
        eventfd: AtomicI32::new(-1),
        home: AtomicUsize::new(0),
        previous: AtomicUsize::new(libc::SIG_DFL),
        previous_flags: AtomicI32::new(0),
    }
}; SIGNALS];

impl Watch {
    /// The disposition that the handler replaced, as it is for one signal: a handler with
    /// SA_RESETHAND is there for the first only.
    fn previous(&self) -> (usize, c_int) {
        // In this order: whoever replaces them writes them in the other.
        let mut handler = self.previous.load(Ordering::Acquire);
        let flags = self.previous_flags.load(Ordering::Acquire);
        if flags & libc::SA_RESETHAND != 0 && handler != libc::SIG_IGN {
            handler = self.previous.swap(libc::SIG_DFL, Ordering::AcqRel);
        }
        (handler, flags)
    }

    /// Makes the eventfd, if this process has none.
    fn make_eventfd(&self) -> io::Result<()> {
        if !self.is_here() {
            self.eventfd
                .store(epoll::eventfd()?.into_raw_fd(), Ordering::Release);
            self.home.store(fork::current(), Ordering::Release);
        }
        Ok(())
    }

    /// Whether the eventfd is of this process.
    fn is_here(&self) -> bool {
        self.eventfd.load(Ordering::Acquire) >= 0
            && self.home.load(Ordering::Acquire) == fork::current()
    }

    fn set_previous(&self, action: &libc::sigaction) {
        self.previous_flags
            .store(action.sa_flags, Ordering::Release);
        self.previous.store(action.sa_sigaction, Ordering::Release);
    }
}

/// How many knotes of the process each signal has.
static KNOTES: Mutex<[usize; SIGNALS]> = Mutex::new([0; SIGNALS]);

/// One knote's share in the handler of its signal.
#[derive(Debug)]
pub(super) struct Installed {
    number: usize,
}

impl Installed {
    /// Installs the handler, unless it is there already.
    pub(super) fn new(number: usize) -> io::Result<Installed> {
        // SIGKILL and SIGSTOP have no handlers, and sigaction(2) says so by EINVAL; what it cannot
        // be asked is a number that does not fit.
        if number == 0 || number >= SIGNALS {
            return Err(invalid());
        }
        let mut knotes = KNOTES.lock().unwrap_or_else(PoisonError::into_inner);
        WATCHES[number].make_eventfd()?;
        if knotes[number] == 0 {
            install(number)?;
        }
        knotes[number] += 1;
        Ok(Installed { number })
    }

    /// Asks the process's disposition again, and installs the handler if another one has replaced it.
    pub(super) fn renew(&self) -> io::Result<()> {
        Ok(())
    }

    /// How often the signal was seen, ever; wraps round.
    pub(super) fn count(&self) -> usize {
        WATCHES[self.number].count.load(Ordering::Acquire)
    }

    /// The eventfd that the handler writes. It is never closed.
    pub(super) fn eventfd(&self) -> RawFd {
        WATCHES[self.number].eventfd.load(Ordering::Acquire)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let mut knotes = KNOTES.lock().unwrap_or_else(PoisonError::into_inner);
        knotes[self.number] -= 1;
        if knotes[self.number] == 0 {
            uninstall(self.number);
        }
    }
}

/// Puts the handler in place of what is there, and remembers that.
fn install(number: usize) -> io::Result<()> {
    let mut action = disposition(number as c_int)?;
    if number == libc::SIGCHLD as usize && action.sa_sigaction == libc::SIG_IGN {
        // Ignoring SIGCHLD makes the kernel reap children; a handler would end that (K197).
        return Ok(());
    }
    if is_ours(&action) {
        // It was put back after the last knote had gone.
        return Ok(());
    }
    WATCHES[number].set_previous(&action);
    // The mask stays: what the previous handler wanted blocked while it runs stays blocked.
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO
        | libc::SA_RESTART
        | libc::SA_ONSTACK
        | action.sa_flags & (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT | libc::SA_NODEFER);
    set_disposition(number as c_int, &action)
}

/// Puts back what was there, unless the program has installed something else since (K207).
fn uninstall(number: usize) {
    let Ok(mut action) = disposition(number as c_int) else {
        return;
    };
    if is_ours(&action) {
        let watch = &WATCHES[number];
        action.sa_sigaction = watch.previous.load(Ordering::Acquire);
        action.sa_flags = watch.previous_flags.load(Ordering::Acquire);
        // It was accepted when it was read from there.
        let _ = set_disposition(number as c_int, &action);
    }
}

/// What the process does about a signal apart from its knotes: the disposition that the handler
/// replaced, where it is installed.
pub(crate) fn disposition_beneath(signum: c_int) -> io::Result<libc::sigaction> {
    let _knotes = KNOTES.lock().unwrap_or_else(PoisonError::into_inner);
    let mut action = disposition(signum)?;
    if is_ours(&action) {
        let watch = &WATCHES[signum as usize];
        action.sa_sigaction = watch.previous.load(Ordering::Acquire);
        action.sa_flags = watch.previous_flags.load(Ordering::Acquire);
    }
    Ok(action)
}

/// Changes what the process does about a signal apart from its knotes. The action is as for
/// [`set_disposition`].
pub(crate) fn set_disposition_beneath(signum: c_int, action: &libc::sigaction) -> io::Result<()> {
    let _knotes = KNOTES.lock().unwrap_or_else(PoisonError::into_inner);
    if is_ours(&disposition(signum)?) {
        WATCHES[signum as usize].set_previous(action);
        return Ok(());
    }
    set_disposition(signum, action)
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == on_signal as *const () as usize
}

/// The handler. Async-signal-safe: atomics, write(2), sigaction(2), raise(3), pthread_sigmask(3)
/// and whatever the previous handler does; `errno` is as it was when it returns.
extern "C" fn on_signal(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: errno is a variable of this thread and its address is always valid.
    let errno = unsafe { *libc::__errno_location() };
    let watch = &WATCHES[number as usize];
    watch.count.fetch_add(1, Ordering::Release);
    if watch.is_here() {
        epoll::notify(watch.eventfd.load(Ordering::Acquire));
    }
    let (handler, flags) = watch.previous();
    match handler {
        libc::SIG_IGN => {}
        libc::SIG_DFL => take_default_action(number),
        handler if flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the process had installed this address as a handler with SA_SIGINFO, that is
            // with this signature, and the kernel would have called it with these arguments.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(number, info, context);
        }
        handler => {
            // SAFETY: as above, without SA_SIGINFO: a function of one argument.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
            handler(number);
        }
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Does to the process what the signal does by default (K198). If that was to stop it, the
/// handler is put back when it goes on.
fn take_default_action(number: c_int) {
    if matches!(
        number,
        libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH | libc::SIGCONT
    ) {
        return;
    }
    let Ok(found) = disposition(number) else {
        return;
    };
    // If it is not, another thread is here already, and puts it back; or the last knote has gone.
    let is_installed = is_ours(&found);
    if is_installed {
        let mut default = found;
        default.sa_sigaction = libc::SIG_DFL;
        if set_disposition(number, &default).is_err() {
            return;
        }
    }
    // SAFETY: `set` is initialised by sigemptyset before it is used, and `old` is filled in by
    // pthread_sigmask. The signal is blocked while its handler runs; unblocking it lets the one
    // that was just raised take effect, here.
    unsafe {
        let mut set = MaybeUninit::uninit();
        let mut old = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), number);
        libc::raise(number);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), old.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), ptr::null_mut());
    }
    if is_installed {
        let _ = set_disposition(number, &found);
    }
}
