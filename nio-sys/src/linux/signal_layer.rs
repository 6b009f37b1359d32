//! The signal handler: its layers, and the previous action of each.
//!
//! The laws are in [`signal_handler`](super::signal_handler).

use std::{
    cell::Cell,
    io, ptr,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
};

#[cfg(target_os = "android")]
use libc::__errno as errno_location;
#[cfg(not(target_os = "android"))]
use libc::__errno_location as errno_location;
use libc::{c_int, c_void, siginfo_t};

use super::{default_action, signal_handler::count};
use crate::signal::{SIGNALS, disposition};

/// How many previous actions a signal can have in the life of a process. Most signals have one; each handler of
/// the program that stays above a layer takes another.
const LAYERS: usize = 16;

/// The handlers of the layers.
#[rustfmt::skip]
pub(super) static HANDLERS: [extern "C" fn(c_int, *mut siginfo_t, *mut c_void); LAYERS] = [
    on_signal::<0>, on_signal::<1>, on_signal::<2>, on_signal::<3>,
    on_signal::<4>, on_signal::<5>, on_signal::<6>, on_signal::<7>,
    on_signal::<8>, on_signal::<9>, on_signal::<10>, on_signal::<11>,
    on_signal::<12>, on_signal::<13>, on_signal::<14>, on_signal::<15>,
];

/// The previous action of each layer of each signal: null, or leaked once and never freed (law 1).
static PREVIOUS: [[AtomicPtr<Previous>; LAYERS]; SIGNALS] =
    [const { [const { AtomicPtr::new(ptr::null_mut()) }; LAYERS] }; SIGNALS];

/// Changes whenever a layer has been installed, and before a previous action is put back: then it is odd.
static CHANGES: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// Called under the lock.
pub(super) fn is_installed(number: usize) {
    let changes = CHANGES[number].load(Ordering::SeqCst);
    CHANGES[number].store((changes & !1) + 2, Ordering::SeqCst);
}

/// Called under the lock.
pub(super) fn is_about_to_be_put_back(number: usize) {
    let changes = CHANGES[number].load(Ordering::SeqCst);
    CHANGES[number].store((changes | 1) + 2, Ordering::SeqCst);
}

/// The layer whose handler an action has.
pub(super) fn layer(action: &libc::sigaction) -> Option<usize> {
    let mut handlers = HANDLERS.iter();
    handlers.position(|&handler| handler as *const () as usize == action.sa_sigaction)
}

/// The layer above a previous action: the one that was above it before, or the first that is free. Called
/// under the lock.
pub(super) fn layer_above(number: usize, action: &libc::sigaction) -> io::Result<usize> {
    for (layer, slot) in PREVIOUS[number].iter().enumerate() {
        match previous(number, layer) {
            None => {
                let new = ptr::from_mut(Box::leak(Box::new(Previous::new(action))));
                slot.store(new, Ordering::Release);
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

/// The previous action of a layer.
pub(super) fn previous(number: usize, layer: usize) -> Option<&'static Previous> {
    let previous = PREVIOUS[number][layer].load(Ordering::Acquire);
    // SAFETY: it is null, or was leaked by `layer_above` and is never freed.
    unsafe { previous.as_ref() }
}

/// An action that a layer was installed above.
#[derive(Debug)]
pub(super) struct Previous {
    /// SIG_DFL, SIG_IGN or a function.
    handler: usize,
    pub(super) flags: c_int,
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

    /// Its handler now.
    pub(super) fn peek(&self) -> usize {
        match self.is_used.load(Ordering::Acquire) {
            true => libc::SIG_DFL,
            false => self.handler,
        }
    }

    /// Whether the program has installed this handler again, above a layer that has it beneath: then the handler
    /// has called the layer. It is also the disposition if it was put back while the layer was running; that case is
    /// excluded.
    fn is_above(&self, number: c_int) -> bool {
        let changes = &CHANGES[number as usize];
        let before = changes.load(Ordering::SeqCst);
        disposition(number).is_ok_and(|found| found.sa_sigaction == self.handler)
            && before % 2 == 0
            && changes.load(Ordering::SeqCst) == before
    }

    /// Its handler for one delivery.
    fn take(&self) -> usize {
        let resets = self.flags & libc::SA_RESETHAND != 0 && self.handler != libc::SIG_IGN;
        match resets && self.is_used.swap(true, Ordering::AcqRel) {
            true => libc::SIG_DFL,
            false => self.handler,
        }
    }
}

/// The delivery that a thread is in, as the last layer that ran has recorded it.
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
    /// interrupted it. A handler may call the one beneath without a siginfo.
    fn goes_on(&self, number: c_int, frame: usize, info: *mut siginfo_t) -> bool {
        // The stack grows down. A frame that is not above was left by longjmp(3).
        if self.number != number || frame >= self.frame {
            return false;
        }
        // The kernel puts the siginfo of a new delivery between the two frames.
        let is_between = (frame..self.frame).contains(&(info as usize));
        // SAFETY: it points into this thread's stack, between frames that are in use, and any bytes
        // there can be read as an int. A siginfo begins with its signal's number.
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
    let errno = unsafe { *errno_location() };
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
    unsafe { *errno_location() = errno };
}

/// Runs the previous action of a layer.
fn run_previous(layer: usize, number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(previous) = previous(number as usize, layer) else {
        return;
    };
    match previous.take() {
        libc::SIG_IGN => {}
        libc::SIG_DFL => default_action::take(number, layer),
        _ if previous.is_above(number) => {}
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
