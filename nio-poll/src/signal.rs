//! A signal's number, under the name that people know it by.

use std::fmt;

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
    /// SIGTERM: a polite request to end.
    pub const TERMINATE: Signal = Signal(libc::SIGTERM);
    /// SIGHUP: the terminal is gone; for servers by custom "read your configuration again".
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

    /// The signal with this number. Any number is taken here; one that is no signal's is refused
    /// when it is to be watched.
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
