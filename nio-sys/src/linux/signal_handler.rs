//! The process's signal handler: it counts signals for all queues, and lets happen what happened before.
//!
//! A knote only observes a signal. So the handler counts it, writes its eventfd, and then does what the
//! process did about the signal before: nothing, the default action, or a call of the program's handler.
//! That is the handler's *previous action*. The laws:
//!
//! 1. **A layer has one previous action.** The handler exists [`LAYERS`] times, as functions that differ in
//!    their number only. Layer and previous action of a signal are brought together once, before the layer
//!    is first installed, and stay together. So it does no harm that a layer cannot be taken out while a
//!    handler of the program stands above it and calls it: another layer is installed above that handler, and
//!    each calls what was beneath it.
//! 2. **A layer runs once in a delivery.** A handler of the program's that is installed a second time, above
//!    a layer that has it as its previous action, makes a circle. A layer that is called again by its own
//!    previous action returns, and the handler that is the disposition is not called from beneath.
//! 3. **The first layer of a delivery counts.** The others only go on to their previous actions.
//! 4. **The kernel is asked.** Every EV_ADD asks for the disposition, and installs a layer if it is none of
//!    ours: the program, or a child after fork(2), may have replaced the handler. The last knote of a
//!    signal puts the previous action back if a layer is the disposition; if not, something else is, and
//!    the program's.
//! 5. **The default action** is taken where the previous action is SIG_DFL and the disposition is this very
//!    layer, or SIG_DFL by now. Any other handler was installed to replace the default action.
//! 6. **A child of fork(2)** inherits dispositions, and the handler goes on to the previous action there. How
//!    many knotes a signal has, and its eventfd, belong to one process ([`PerProcess`]).
//!
//! The handler is async-signal-safe: it uses atomics, a thread-local variable that needs no constructor,
//! sigaction(2), write(2), raise(3) and pthread_sigmask(3), and allocates and locks nothing. `errno` is as it
//! was when it returns.

use std::{
    cell::Cell,
    io,
    os::fd::{IntoRawFd, RawFd},
    ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering},
    },
};

use libc::{c_int, c_void, siginfo_t};

use super::{default_action, epoll, knote::invalid};
use crate::{
    per_process::PerProcess,
    signal::{disposition, set_disposition},
};

/// Signals are numbered from 1 to 64.
const SIGNALS: usize = 65;

/// How many different previous actions a signal can have in the life of a process. Most have one; each
/// handler of the program that stays above a layer of ours costs another.
const LAYERS: usize = 16;

/// The handlers of the layers.
#[rustfmt::skip]
static HANDLERS: [extern "C" fn(c_int, *mut siginfo_t, *mut c_void); LAYERS] = [
    on_signal::<0>, on_signal::<1>, on_signal::<2>, on_signal::<3>,
    on_signal::<4>, on_signal::<5>, on_signal::<6>, on_signal::<7>,
    on_signal::<8>, on_signal::<9>, on_signal::<10>, on_signal::<11>,
    on_signal::<12>, on_signal::<13>, on_signal::<14>, on_signal::<15>,
];

/// What each layer of each signal goes on to: null, or leaked once and never freed (law 1).
static PREVIOUS: [[AtomicPtr<Previous>; LAYERS]; SIGNALS] =
    [const { [const { AtomicPtr::new(ptr::null_mut()) }; LAYERS] }; SIGNALS];

/// How often each signal was seen; wraps round.
static COUNTS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// What belongs to one process.
static WATCHED: PerProcess<Watched> = PerProcess::new();

#[derive(Debug)]
struct Watched {
    /// How many knotes each signal has. The lock is held while dispositions change.
    knotes: Mutex<[usize; SIGNALS]>,
    /// What the handler writes; −1 until a knote is made. Never closed: the handler may be running on
    /// any thread at any time.
    eventfds: [AtomicI32; SIGNALS],
}

impl Watched {
    fn new() -> Watched {
        Watched {
            knotes: Mutex::new([0; SIGNALS]),
            eventfds: [const { AtomicI32::new(-1) }; SIGNALS],
        }
    }

    /// The dispositions of this process are the caller's to change.
    fn lock() -> (&'static Watched, MutexGuard<'static, [usize; SIGNALS]>) {
        let watched = WATCHED.get_or_make(Watched::new);
        let knotes = watched.knotes.lock();
        (watched, knotes.unwrap_or_else(PoisonError::into_inner))
    }
}

/// One knote's share in the handler of its signal.
#[derive(Debug)]
pub(super) struct Installed {
    number: usize,
    watched: &'static Watched,
}

impl Installed {
    /// Installs the handler, unless it is there already.
    pub(super) fn new(number: usize) -> io::Result<Installed> {
        // SIGKILL and SIGSTOP have no handlers, and sigaction(2) answers EINVAL; a number that does not
        // fit cannot be asked for.
        if number == 0 || number >= SIGNALS {
            return Err(invalid());
        }
        let (watched, mut knotes) = Watched::lock();
        let eventfd = &watched.eventfds[number];
        if eventfd.load(Ordering::Acquire) < 0 {
            eventfd.store(epoll::eventfd()?.into_raw_fd(), Ordering::Release);
        }
        install(number)?;
        knotes[number] += 1;
        Ok(Installed { number, watched })
    }

    /// Installs the handler again if it has been replaced: for each further EV_ADD of the knote.
    pub(super) fn renew(&self) -> io::Result<()> {
        let _knotes = Watched::lock();
        install(self.number)
    }

    /// How often the signal was seen; wraps round.
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

/// Makes one of our layers the disposition, if none is.
fn install(number: usize) -> io::Result<()> {
    let found = disposition(number as c_int)?;
    // Ignoring SIGCHLD makes the kernel reap children; a handler would end that (K197).
    let reaps = number == libc::SIGCHLD as usize && found.sa_sigaction == libc::SIG_IGN;
    if reaps || layer(&found).is_some() {
        return Ok(());
    }
    install_above(number, &found)
}

/// Makes the layer above a previous action the disposition. The mask stays: what the previous handler
/// wants blocked while it runs stays blocked.
fn install_above(number: usize, previous: &libc::sigaction) -> io::Result<()> {
    let mut action = *previous;
    action.sa_sigaction = HANDLERS[layer_above(number, previous)?] as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | flags_above(previous);
    set_disposition(number as c_int, &action)
}

/// The flags of a handler above a previous action. A function gets what it asked for; where there is
/// none, the handler disturbs as little as it can.
fn flags_above(previous: &libc::sigaction) -> c_int {
    let of_signal = previous.sa_flags & (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT);
    let of_handler = libc::SA_RESTART | libc::SA_ONSTACK;
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => of_signal | of_handler,
        _ => of_signal | previous.sa_flags & (of_handler | libc::SA_NODEFER),
    }
}

/// Puts back what was there, unless the program has installed something else since (K207).
fn uninstall(number: usize) {
    let Ok(found) = disposition(number as c_int) else {
        return;
    };
    if layer(&found).is_some() {
        // It was accepted when it was read from there.
        let _ = set_disposition(number as c_int, &beneath(number, found));
    }
}

/// What the process does about a signal apart from its knotes.
pub(crate) fn disposition_beneath(signum: c_int) -> io::Result<libc::sigaction> {
    let _knotes = Watched::lock();
    Ok(beneath(signum as usize, disposition(signum)?))
}

/// Changes what the process does about a signal apart from its knotes. The action is as for
/// [`set_disposition`].
pub(crate) fn set_disposition_beneath(signum: c_int, action: &libc::sigaction) -> io::Result<()> {
    let _knotes = Watched::lock();
    match layer(&disposition(signum)?) {
        Some(_) => install_above(signum as usize, action),
        None => set_disposition(signum, action),
    }
}

/// The previous action of an action of ours; any other action as it is.
fn beneath(number: usize, mut action: libc::sigaction) -> libc::sigaction {
    if let Some(previous) = layer(&action).and_then(|layer| previous(number, layer)) {
        action.sa_sigaction = previous.peek();
        action.sa_flags = previous.flags;
    }
    action
}

/// The layer whose handler an action has.
pub(super) fn layer(action: &libc::sigaction) -> Option<usize> {
    let mut handlers = HANDLERS.iter();
    handlers.position(|&handler| handler as *const () as usize == action.sa_sigaction)
}

/// The layer above a previous action: the one that was above it before, or the first that is free. To be
/// called with the lock.
fn layer_above(number: usize, action: &libc::sigaction) -> io::Result<usize> {
    for layer in 0..LAYERS {
        match previous(number, layer) {
            None => {
                let new = ptr::from_mut(Box::leak(Box::new(Previous::new(action))));
                PREVIOUS[number][layer].store(new, Ordering::Release);
                return Ok(layer);
            }
            Some(previous) if previous.is(action) => {
                previous.is_used.store(false, Ordering::Release);
                return Ok(layer);
            }
            Some(_) => {}
        }
    }
    // A layer may still be called, so none can be given another previous action.
    Err(io::Error::from_raw_os_error(libc::ENOMEM))
}

/// What a layer goes on to.
fn previous(number: usize, layer: usize) -> Option<&'static Previous> {
    let previous = PREVIOUS[number][layer].load(Ordering::Acquire);
    // SAFETY: it is null, or was leaked by `layer_above` and is never freed.
    unsafe { previous.as_ref() }
}

/// An action that a layer was installed above.
#[derive(Debug)]
struct Previous {
    /// SIG_DFL, SIG_IGN or a function.
    handler: usize,
    flags: c_int,
    /// A handler with SA_RESETHAND has run, and is SIG_DFL from now on.
    is_used: AtomicBool,
}

impl Previous {
    fn new(action: &libc::sigaction) -> Previous {
        Previous {
            handler: action.sa_sigaction,
            flags: action.sa_flags,
            is_used: AtomicBool::new(false),
        }
    }

    fn is(&self, action: &libc::sigaction) -> bool {
        (self.handler, self.flags) == (action.sa_sigaction, action.sa_flags)
    }

    /// What it is now.
    fn peek(&self) -> usize {
        match self.is_used.load(Ordering::Acquire) {
            true => libc::SIG_DFL,
            false => self.handler,
        }
    }

    /// What it is for one signal.
    fn take(&self) -> usize {
        let resets = self.flags & libc::SA_RESETHAND != 0 && self.handler != libc::SIG_IGN;
        match resets && self.is_used.swap(true, Ordering::AcqRel) {
            true => libc::SIG_DFL,
            false => self.handler,
        }
    }
}

/// The delivery that a thread is in: what the last layer that ran has left.
#[derive(Clone, Copy)]
struct Delivery {
    number: c_int,
    /// A bit for each layer that has run.
    layers: u16,
    /// An address in that layer's stack frame.
    frame: usize,
}

thread_local! {
    static DELIVERY: Cell<Delivery> =
        const { Cell::new(Delivery { number: 0, layers: 0, frame: 0 }) };
}

impl Delivery {
    /// Whether a layer that is called with these arguments is in this delivery, and not in one that has
    /// interrupted it. (A handler calls the one beneath as it likes, also without a siginfo.)
    fn goes_on(&self, number: c_int, frame: usize, info: *mut siginfo_t) -> bool {
        // The stack grows down. A frame that is not above was left by longjmp(3).
        if self.number != number || frame >= self.frame {
            return false;
        }
        // The kernel puts the siginfo of a new delivery between the two frames.
        let is_between = (frame..self.frame).contains(&(info as usize));
        // SAFETY: it points into this thread's stack, between frames that are in use; whatever is there
        // is read as an int. A siginfo begins with its signal's number.
        !(is_between && unsafe { info.cast::<c_int>().read_unaligned() } == number)
    }
}

/// The handler of a layer.
extern "C" fn on_signal<const LAYER: usize>(
    number: c_int,
    info: *mut siginfo_t,
    context: *mut c_void,
) {
    // SAFETY: errno is a variable of this thread and its address is always valid.
    let errno = unsafe { *libc::__errno_location() };
    let frame = ptr::from_ref(&errno) as usize;
    let before = DELIVERY.get();
    let goes_on = before.goes_on(number, frame, info);
    let (ran, bit) = (if goes_on { before.layers } else { 0 }, 1 << LAYER);
    if ran & bit == 0 {
        DELIVERY.set(Delivery {
            number,
            layers: ran | bit,
            frame,
        });
        if !goes_on {
            count(number as usize);
        }
        run_previous(LAYER, number, info, context);
        DELIVERY.set(before);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Counts a signal and wakes the queues that watch it.
fn count(number: usize) {
    COUNTS[number].fetch_add(1, Ordering::Release);
    if let Some(watched) = WATCHED.get() {
        let eventfd = watched.eventfds[number].load(Ordering::Acquire);
        if eventfd >= 0 {
            epoll::signal(eventfd);
        }
    }
}

/// Does what a layer's previous action does.
fn run_previous(layer: usize, number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(previous) = previous(number as usize, layer) else {
        return;
    };
    match previous.take() {
        libc::SIG_IGN => {}
        libc::SIG_DFL => default_action::take(number, layer),
        // It is above this layer, too, and has called it.
        handler if disposition(number).is_ok_and(|found| found.sa_sigaction == handler) => {}
        handler if previous.flags & libc::SA_SIGINFO != 0 => {
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
}
