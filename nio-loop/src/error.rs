//! What can go wrong in a loop, and what to do about it.

use std::{fmt, io, panic::Location};

use nio_poll::Subject;

use crate::{Handle, registration::Registration};

/// An error of an event loop. Its text says what failed, with what, and what to do. Converts into an
/// [`io::Error`] of the kind that is named here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused something; it says what and why. The kind is that of the system's error.
    #[error("{0}{advice}", advice = advice(.0))]
    Poll(#[from] nio_poll::Error),
    /// The loop has this descriptor, file or process already
    /// ([`AlreadyExists`](io::ErrorKind::AlreadyExists)).
    #[error(
        "{subject} is in use by this loop already{since}: clear that first, change it with \
         set_interest, or give the loop a duplicate (try_clone)", since = since(*.place)
    )]
    InUse {
        /// What it is.
        subject: Subject,
        /// Where it was given to the loop, if a callback was.
        place: Option<&'static Location<'static>>,
    },
    /// The loop is gone: its [`EventLoop`](crate::EventLoop) has been dropped
    /// ([`BrokenPipe`](io::ErrorKind::BrokenPipe)).
    #[error("the event loop is gone: its EventLoop was dropped; keep it for as long as it is used")]
    Closed,
    /// There is no thread for blocking closures, and none can be started. The kind is that of the
    /// system's error.
    #[error(
        "no thread for blocking closures can be started: {0}; raise the limit on threads \
         (ulimit -u), or have fewer"
    )]
    Thread(#[source] io::Error),
    /// The future of [`block_on`](crate::EventLoop::block_on) waits, and so do all tasks, and nothing is
    /// left that could wake any of them: no timer, descriptor, signal, child or blocking closure, no
    /// [`Remote`](crate::Remote), and no [`Waker`](std::task::Waker) that was kept
    /// ([`Deadlock`](io::ErrorKind::Deadlock)).
    #[error(
        "the future of {place} would wait for ever: nothing is left that could wake it. Look for \
         what it awaits, such as a task that waits for itself, or for what nobody sends"
    )]
    NeverWoken {
        /// Where it was given to the loop.
        place: &'static Location<'static>,
    },
    /// The time of this loop is that of the system, which passes by itself
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
            Error::Poll(nio_poll::Error::AlreadyRegistered { .. }) | Error::InUse { .. } => {
                io::ErrorKind::AlreadyExists
            }
            Error::Poll(nio_poll::Error::NotRegistered { .. }) => io::ErrorKind::NotFound,
            Error::Poll(error) => system_error(error).map_or(io::ErrorKind::Other, io::Error::kind),
            Error::Closed => io::ErrorKind::BrokenPipe,
            Error::Thread(error) => error.kind(),
            Error::NeverWoken { .. } => io::ErrorKind::Deadlock,
            Error::RealClock => io::ErrorKind::Unsupported,
        };
        io::Error::new(kind, error)
    }
}

/// The error of the system in one of the poll.
fn system_error(error: &nio_poll::Error) -> Option<&io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// What to do, if there is something.
fn advice(error: &nio_poll::Error) -> &'static str {
    // The same on every system.
    const EPERM: i32 = 1;
    const EBADF: i32 = 9;
    const EINVAL: i32 = 22;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let errno = system_error(error).and_then(io::Error::raw_os_error);
    match (error, errno) {
        (_, Some(EMFILE | ENFILE)) => "; raise the limit on open files (ulimit -n), or close some",
        (nio_poll::Error::Refused { subject, .. }, Some(errno)) => match (subject, errno) {
            (Subject::Signal(signal), EINVAL) => match signal.as_raw() {
                9 => "; no program can catch SIGKILL: to end cleanly, listen to SIGTERM",
                _ => "; it is no signal, or one like SIGSTOP that no program can catch",
            },
            (Subject::Descriptor(_), EPERM | EINVAL) => {
                "; only sockets, pipes, terminals and the like can be waited for: read a file \
                 with spawn_blocking"
            }
            (_, EBADF) => "; it was closed: give the loop its owner, which closes it later",
            _ => "",
        },
        _ => "",
    }
}

/// Where a callback was set.
fn since(place: Option<&'static Location<'static>>) -> String {
    place.map_or(String::new(), |place| format!(", from {place}"))
}

impl Handle {
    /// The error of a registration, which says where the one before it was made.
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

/// A call has failed, and gives back the value that it was given. Converts into its error and into an
/// [`io::Error`], so that `?` can be used where the value is not needed any more.
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
