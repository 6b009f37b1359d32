//! The process's signal handler: it counts signals for all queues, and then runs the action that the process has
//! for the signal otherwise.
//!
//! A knote only observes a signal. So the handler counts it, writes its eventfd, and runs its *previous action*,
//! the disposition that it replaced: nothing, the default action (`default_action.rs`), or the program's handler.
//! The handler is in `signal_layer.rs`; this file installs it. The laws:
//!
//! 1. **A layer has one previous action.** The handler exists several times, as functions that differ only in
//!    a number, the layer. A layer of a signal gets its previous action before it is first installed, and keeps
//!    it. A layer cannot be removed while a handler of the program is installed above it and calls it. It stays,
//!    another layer is installed above that handler, and each calls the one beneath it.
//! 2. **A layer runs once in a delivery.** If the program installs a handler a second time, above a layer
//!    whose previous action it is, the calls make a cycle. A layer that is called again by its own previous
//!    action returns, and a layer does not call the handler that is the disposition.
//! 3. **The first layer of a delivery counts.** The others only run their previous actions.
//! 4. **The kernel is asked.** Every EV_ADD asks for the disposition, and installs a layer unless it is one:
//!    the program, also a child of fork(2), may have replaced the handler. When the last knote of a signal
//!    goes and the disposition is a layer, its previous action is put back.
//! 5. **The default action** is taken if the previous action is SIG_DFL and the disposition is this layer, or
//!    SIG_DFL by now. Any other disposition is a handler that replaces the default action.
//! 6. **A child of fork(2)** inherits the dispositions. In it the handler only runs the previous action. The
//!    number of knotes and the eventfds belong to one process ([`PerProcess`]).
//! 7. **The handler is async-signal-safe**: it uses atomics, a thread-local variable that needs no
//!    constructor, sigaction(2), write(2), raise(3) and pthread_sigmask(3); it allocates and locks nothing,
//!    and leaves `errno` as it was.

use std::{
    io,
    os::fd::{IntoRawFd, RawFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
};

use libc::c_int;

use super::{
    epoll,
    knote::invalid,
    signal_layer::{HANDLERS, is_about_to_be_put_back, is_installed, layer, layer_above, previous},
};
use crate::{
    per_process::PerProcess,
    signal::{SIGNALS, disposition, set_disposition},
};

/// The deliveries of each signal; wraps round.
static COUNTS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// The state that belongs to one process.
static WATCHED: PerProcess<Watched> = PerProcess::new();

#[derive(Debug)]
struct Watched {
    /// The number of knotes of each signal. The lock is held while dispositions change.
    knotes: Mutex<[usize; SIGNALS]>,
    /// The eventfds that the handler writes; −1 until a knote is made. Never closed: the handler may be running
    /// on any thread at any time.
    eventfds: [AtomicI32; SIGNALS],
}

impl Watched {
    fn new() -> Watched {
        Watched {
            knotes: Mutex::new([0; SIGNALS]),
            eventfds: [const { AtomicI32::new(-1) }; SIGNALS],
        }
    }

    /// Takes the lock, under which the dispositions of this process may be changed.
    fn lock() -> (&'static Watched, MutexGuard<'static, [usize; SIGNALS]>) {
        let watched = WATCHED.get_or_make(Watched::new);
        let knotes = watched.knotes.lock();
        (watched, knotes.unwrap_or_else(PoisonError::into_inner))
    }
}

/// A knote's reference to the handler of its signal; the last one to go uninstalls it.
#[derive(Debug)]
pub(super) struct Installed {
    number: usize,
    watched: &'static Watched,
}

impl Installed {
    /// Installs the handler, unless it is there already.
    pub(super) fn new(number: usize) -> io::Result<Installed> {
        // For other numbers that no handler can have sigaction(2) answers EINVAL.
        if number == 0 || number >= SIGNALS {
            return Err(invalid());
        }
        let (watched, mut knotes) = Watched::lock();
        let eventfd = &watched.eventfds[number];
        let new = (eventfd.load(Ordering::Acquire) < 0).then(epoll::eventfd);
        let new = new.transpose()?;
        install(number)?;
        if let Some(new) = new {
            eventfd.store(new.into_raw_fd(), Ordering::Release);
        }
        knotes[number] += 1;
        Ok(Installed { number, watched })
    }

    /// Installs the handler again if it has been replaced: for each further EV_ADD of the knote.
    pub(super) fn renew(&self) -> io::Result<()> {
        let _knotes = Watched::lock();
        install(self.number)
    }

    /// The deliveries of the signal; wraps round.
    pub(super) fn count(&self) -> usize {
        COUNTS[self.number].load(Ordering::Acquire)
    }

    /// The eventfd that the handler writes. It is never closed.
    pub(super) fn eventfd(&self) -> RawFd {
        self.watched.eventfds[self.number].load(Ordering::Acquire)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // A child has only the copy of its parent's knote (law 6).
        if !WATCHED.is_current(self.watched) {
            return;
        }
        let (_, mut knotes) = Watched::lock();
        knotes[self.number] -= 1;
        if knotes[self.number] == 0 {
            uninstall(self.number);
        }
    }
}

/// Makes a layer the disposition, unless one is.
fn install(number: usize) -> io::Result<()> {
    loop {
        let found = disposition(number as c_int)?;
        // Ignoring SIGCHLD makes the kernel reap children; a handler would end that (K197).
        let reaps = number == libc::SIGCHLD as usize && found.sa_sigaction == libc::SIG_IGN;
        if reaps || layer(&found).is_some() {
            return Ok(());
        }
        if exchange(number as c_int, &found, &action_above(number, &found)?)? {
            is_installed(number);
            return Ok(());
        }
    }
}

/// Replaces the disposition `found`. If another thread has changed it meanwhile, that change stays, and the
/// answer is false.
pub(super) fn exchange(
    number: c_int,
    found: &libc::sigaction,
    action: &libc::sigaction,
) -> io::Result<bool> {
    let before = set_disposition(number, action)?;
    let is_found = before.sa_sigaction == found.sa_sigaction;
    if !is_found {
        set_disposition(number, &before)?;
    }
    Ok(is_found)
}

/// The action of the layer above a previous action. The mask stays: the signals that the previous handler blocks
/// while it runs stay blocked.
fn action_above(number: usize, previous: &libc::sigaction) -> io::Result<libc::sigaction> {
    let mut action = *previous;
    action.sa_sigaction = HANDLERS[layer_above(number, previous)?] as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | flags_above(previous);
    Ok(action)
}

/// The flags of a handler above a previous action. A function keeps its own flags; above SIG_DFL and SIG_IGN the
/// handler restarts system calls and runs on the alternate stack.
fn flags_above(previous: &libc::sigaction) -> c_int {
    let of_signal = previous.sa_flags & (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT);
    let of_handler = libc::SA_RESTART | libc::SA_ONSTACK;
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => of_signal | of_handler,
        _ => of_signal | previous.sa_flags & (of_handler | libc::SA_NODEFER),
    }
}

/// Puts back the previous action, unless the program has installed a handler meanwhile (K207).
fn uninstall(number: usize) {
    while let Ok(found) = disposition(number as c_int) {
        let Some(previous) = layer(&found).and_then(|layer| previous(number, layer)) else {
            return;
        };
        let mut action = found;
        action.sa_sigaction = previous.peek();
        action.sa_flags = previous.flags;
        is_about_to_be_put_back(number);
        // sigaction(2) has accepted this action before.
        if exchange(number as c_int, &found, &action).unwrap_or(true) {
            return;
        }
    }
}

/// The disposition of a signal without the layers.
pub(crate) fn disposition_beneath(signum: c_int) -> io::Result<libc::sigaction> {
    let _knotes = Watched::lock();
    Ok(beneath(signum as usize, disposition(signum)?))
}

/// Changes the disposition of a signal beneath the layers. The action is as for [`set_disposition`].
pub(crate) fn set_disposition_beneath(signum: c_int, action: &libc::sigaction) -> io::Result<()> {
    let (_, knotes) = Watched::lock();
    loop {
        let found = disposition(signum)?;
        let number = signum as usize;
        let action = match layer(&found) {
            // The handler may also have been replaced, or the default action is being taken.
            None if knotes[number] == 0 => action,
            _ => &action_above(number, action)?,
        };
        if exchange(signum, &found, action)? {
            return Ok(());
        }
    }
}

/// The previous action of a layer; any other action as it is.
fn beneath(number: usize, mut action: libc::sigaction) -> libc::sigaction {
    if let Some(previous) = layer(&action).and_then(|layer| previous(number, layer)) {
        action.sa_sigaction = previous.peek();
        action.sa_flags = previous.flags;
    }
    action
}

/// Counts a signal and wakes the queues that watch it.
pub(super) fn count(number: usize) {
    COUNTS[number].fetch_add(1, Ordering::Release);
    if let Some(watched) = WATCHED.get() {
        let eventfd = watched.eventfds[number].load(Ordering::Acquire);
        if eventfd >= 0 {
            epoll::notify(eventfd);
        }
    }
}
