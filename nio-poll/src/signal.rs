//! Signals: constants for their numbers, and watching them.

use std::fmt;

use nio_sys::{CaughtSignal, EventFlags, Filter, Kevent};

use crate::{Error, Poll, Subject, Token, watch::Watch};

/// A Unix signal.
///
/// The numbers differ between systems; the constants are right on each.
///
/// ```
/// use nio_poll::Signal;
///
/// assert_eq!(format!("{:?}", Signal::INTERRUPT), "SIGINT");
/// assert_eq!(Signal::from_raw(Signal::HANGUP.as_raw()), Signal::HANGUP);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

impl Signal {
    /// SIGINT: Ctrl-C at the terminal.
    pub const INTERRUPT: Signal = Signal(libc::SIGINT);
    /// SIGTERM: a request to end.
    pub const TERMINATE: Signal = Signal(libc::SIGTERM);
    /// SIGHUP: the terminal is closed. Servers usually reload their configuration.
    pub const HANGUP: Signal = Signal(libc::SIGHUP);
    /// SIGQUIT: Ctrl-\ at the terminal.
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    /// SIGCHLD: a child has ended or stopped.
    pub const CHILD: Signal = Signal(libc::SIGCHLD);
    /// SIGWINCH: the terminal's window has another size.
    pub const WINDOW_CHANGE: Signal = Signal(libc::SIGWINCH);
    /// SIGUSR1: free for the program's own use.
    pub const USER_1: Signal = Signal(libc::SIGUSR1);
    /// SIGUSR2: free for the program's own use.
    pub const USER_2: Signal = Signal(libc::SIGUSR2);

    /// The signal with this number. Any number is accepted here; registering refuses a number that no
    /// signal has.
    #[must_use]
    pub const fn from_raw(number: i32) -> Signal {
        Signal(number)
    }

    /// The number on this system.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Signal::INTERRUPT => f.write_str("SIGINT"),
            Signal::TERMINATE => f.write_str("SIGTERM"),
            Signal::HANGUP => f.write_str("SIGHUP"),
            Signal::QUIT => f.write_str("SIGQUIT"),
            Signal::CHILD => f.write_str("SIGCHLD"),
            Signal::WINDOW_CHANGE => f.write_str("SIGWINCH"),
            Signal::USER_1 => f.write_str("SIGUSR1"),
            Signal::USER_2 => f.write_str("SIGUSR2"),
            Signal(number) => write!(f, "signal {number}"),
        }
    }
}

impl Poll {
    /// Watches a signal: each time it is sent to the process, the next poll reports it. A watched signal
    /// has no default action: SIGINT and SIGTERM do not end the process. A handler that the program has
    /// installed still runs.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyRegistered`]; [`Error::Refused`] for SIGKILL, SIGSTOP and numbers that no signal
    /// has.
    ///
    /// # Platform differences
    ///
    /// On Linux a signal that is blocked in all threads is reported when it is unblocked, and a
    /// handler that the program installs while the signal is watched ends the watching.
    pub fn register_signal(&self, signal: Signal, token: Token) -> Result<(), Error> {
        let subject = Subject::Signal(signal);
        // A child of fork(2) has the dispositions of its parent, which a refused call leaves alone.
        let caught = self
            .shared()
            .check_process()
            .and_then(|()| CaughtSignal::new(signal.as_raw()))
            .map_err(|source| Error::Refused { subject, source })?;
        let knote = Kevent::signal(signal.as_raw(), EventFlags::ADD | EventFlags::CLEAR);
        let watch = Watch {
            caught: Some(caught),
            ..Watch::new(knote.with_udata(token.0))
        };
        self.watch(subject, watch)
    }

    /// Stops watching a signal, which has its default action again.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`].
    pub fn deregister_signal(&self, signal: Signal) -> Result<(), Error> {
        let ident = signal.as_raw() as usize;
        self.unwatch(Subject::Signal(signal), Filter::SIGNAL, ident)
    }
}
