//! The errors of a loop.

use std::{fmt, io, panic::Location};

use nio_poll::Subject;

use crate::{Handle, registration::Registration};

/// An error of an event loop. Its text says what failed, with what, and what to do. Each variant names
/// the kind of the [`io::Error`] that it converts into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused an operation; the text names it and the reason. The kind is that of the
    /// system's error.
    #[error(transparent)]
    Poll(#[from] nio_poll::Error),
    /// The descriptor, file or process is registered with this loop already
    /// ([`AlreadyExists`](io::ErrorKind::AlreadyExists)).
    #[error("{subject} is in use by this loop already{}", end_of_in_use(subject, *.place))]
    InUse {
        /// The descriptor, file or process.
        subject: Subject,
        /// The place of the call that registered it, if it has a callback.
        place: Option<&'static Location<'static>>,
    },
    /// The loop is gone: its [`EventLoop`](crate::EventLoop) has been dropped
    /// ([`BrokenPipe`](io::ErrorKind::BrokenPipe)).
    #[error(
        "the event loop is gone: its EventLoop was dropped; keep the EventLoop as long as its handles are used"
    )]
    Closed,
    /// There is no thread for blocking closures, and the system refused to start one. The kind is that
    /// of the system's error.
    #[error(
        "no thread for blocking closures can be started: {0}; {advice}",
        advice = advice_for_threads(.0)
    )]
    Thread(#[source] io::Error),
    /// The future of [`block_on`](crate::EventLoop::block_on) and all tasks wait, and nothing can wake
    /// one of them: there is no timer, descriptor, signal, child or blocking closure, no
    /// [`Remote`](crate::Remote), and no clone of a [`Waker`](std::task::Waker)
    /// ([`Deadlock`](io::ErrorKind::Deadlock)).
    #[error(
        "the future of {place} would wait for ever: nothing is left that could wake it. Check what \
         it awaits, for example a task that waits for itself, or a channel without a sender"
    )]
    NeverWoken {
        /// The place of the call of `block_on`.
        place: &'static Location<'static>,
    },
    /// The loop has the system's clock, which cannot be moved
    /// ([`Unsupported`](io::ErrorKind::Unsupported)).
    #[error(
        "the clock is real and cannot be moved: make the loop with \
         EventLoop::with_clock(Clock::manual())"
    )]
    RealClock,
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::Poll(error) => error.kind(),
            Error::InUse { .. } => io::ErrorKind::AlreadyExists,
            Error::Closed => io::ErrorKind::BrokenPipe,
            Error::Thread(error) => error.kind(),
            Error::NeverWoken { .. } => io::ErrorKind::Deadlock,
            Error::RealClock => io::ErrorKind::Unsupported,
        };
        io::Error::new(kind, error)
    }
}

fn advice_for_threads(error: &io::Error) -> &'static str {
    match error.kind() {
        // EPERM. The GNU C library from 2021 on makes another call only after ENOSYS.
        io::ErrorKind::PermissionDenied => {
            "the sandbox refuses clone3(2); use a newer one (Docker from 20.10.10 on), or let it answer ENOSYS"
        }
        _ => "raise the limit on threads (ulimit -u), or use fewer threads",
    }
}

/// The place of the registration, and the ways out.
fn end_of_in_use(subject: &Subject, place: Option<&'static Location<'static>>) -> String {
    let Some(place) = place else {
        return ", by a Source: wait with that one, or give the loop a duplicate (try_clone)"
            .into();
    };
    let instead = match subject {
        Subject::Descriptor(_) => {
            "change it with set_interest, or give the loop a duplicate (try_clone)"
        }
        _ => "or use the callback that it has",
    };
    format!(", from {place}: clear that first, {instead}")
}

impl Handle {
    /// The error of a refused registration, with the place of the existing one.
    pub(crate) fn refused(&self, error: nio_poll::Error) -> Error {
        let nio_poll::Error::AlreadyRegistered { subject, token } = error else {
            return Error::Poll(error);
        };
        let registrations = self.state.registrations.borrow();
        let key = registrations.key_of_word(token.0);
        let place = match key.and_then(|key| registrations.get(key)) {
            Some(Registration::Watch(watch)) => Some(watch.origin.place),
            _ => None,
        };
        Error::InUse { subject, place }
    }
}

/// The error of a call, with the value that the call was given. It converts into its error and into an
/// [`io::Error`], so `?` works where the value is not needed any more.
///
/// ```
/// # use std::{process::Command, io};
/// # use nio_loop::EventLoop;
/// # fn main() -> io::Result<()> {
/// let event_loop = EventLoop::new()?;
/// let handle = event_loop.handle();
/// drop(event_loop);
/// let child = Command::new("true").spawn()?;
/// let mut refused = handle.on_exit(child, |_, _| {}).unwrap_err();
/// assert!(refused.to_string().starts_with("the event loop is gone"));
/// assert!(refused.value.wait()?.success());
/// # Ok(())
/// # }
/// ```
pub struct Refused<T, E = Error> {
    /// Why it has failed.
    pub error: E,
    /// The value that the call was given.
    pub value: T,
}

impl<T, E: fmt::Debug> fmt::Debug for Refused<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T, E: fmt::Display> fmt::Display for Refused<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T, E: std::error::Error> std::error::Error for Refused<T, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<T> From<Refused<T>> for Error {
    fn from(refused: Refused<T>) -> Error {
        refused.error
    }
}

impl<T, E: Into<io::Error>> From<Refused<T, E>> for io::Error {
    fn from(refused: Refused<T, E>) -> io::Error {
        refused.error.into()
    }
}
