//! Errors: each names the operation and its subject.

use std::{fmt, io, os::fd::RawFd};

use crate::{Interest, Signal, Token};

/// Whether the queue is nio-sys's own, not the kernel's.
const IS_LINUX: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// The subject of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// Reading and writing of the descriptor with this number.
    Descriptor(RawFd),
    /// Changes of the file that is open as this descriptor.
    File(RawFd),
    /// A signal.
    Signal(Signal),
    /// The exit of the process with this id.
    Process(u32),
    /// The timer with this token.
    Timer(Token),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Descriptor(fd) => write!(f, "descriptor {fd}"),
            Subject::File(fd) => write!(f, "the file of descriptor {fd}"),
            Subject::Signal(signal) => write!(f, "{signal:?}"),
            Subject::Process(pid) => write!(f, "process {pid}"),
            Subject::Timer(Token(token)) => write!(f, "the timer of token {token}"),
        }
    }
}

impl Subject {
    /// The call to use instead of registering again.
    fn instead(&self) -> &'static str {
        match self {
            Subject::Descriptor(_) => "use `reregister` to change it",
            _ => "deregister it first to change its token",
        }
    }

    /// Advice for a refusal by the system, if there is any.
    fn advice(&self, error: &io::Error) -> &'static str {
        match (self, error.raw_os_error()) {
            (Subject::Signal(signal), Some(libc::EINVAL)) => match signal.as_raw() {
                libc::SIGKILL => " (SIGKILL cannot be caught; watch SIGTERM)",
                libc::SIGSTOP => " (SIGSTOP cannot be caught; watch SIGTSTP)",
                _ => " (no signal of this system that can be caught has this number)",
            },
            (Subject::Process(_), Some(libc::ESRCH)) => {
                " (there is no such process; register a child before it is waited for)"
            }
            (Subject::Process(_), Some(libc::EINVAL)) if IS_LINUX => {
                " (the kernel or the sandbox lacks pidfd_open(2): it needs Linux 5.3 or Android 12, and in a \
                 container Docker 20.10; else wait for the child on another thread)"
            }
            (Subject::File(_), Some(libc::ENOTSUP)) if IS_LINUX => {
                " (files are watched by way of /proc, which is not there; mount it)"
            }
            (Subject::Descriptor(_) | Subject::File(_), Some(libc::EBADF)) => {
                " (it is closed, or the poll belongs to the parent of this process)"
            }
            (Subject::Descriptor(_), Some(libc::EPERM | libc::EINVAL)) => {
                " (a file or device of this kind cannot be polled; read it on another thread)"
            }
            _ => advice_for(error),
        }
    }
}

/// Advice for an error that is not about a descriptor of the program.
fn advice_for(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => " (raise the limit on open descriptors, `ulimit -n`)",
        Some(libc::EBADF) => {
            " (a child of fork(2) does not have its parent's poll; make a new one)"
        }
        _ => "",
    }
}

/// An error of a [`Poll`](crate::Poll). Converts into an [`io::Error`] of the corresponding kind.
///
/// A call that fails leaves all registrations as they were, except for a timer that was to be set again, see
/// [`register_timer`](crate::Poll::register_timer).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The subject is already registered with this poll. To change the interest of a descriptor, use
    /// [`reregister`](crate::Poll::reregister).
    #[error("{subject} is already registered, with {token:?}: {}", subject.instead())]
    AlreadyRegistered {
        /// The subject of the call.
        subject: Subject,
        /// The token it is registered with.
        token: Token,
    },
    /// The subject is not registered with this poll: it never was, it was deregistered, or the descriptor
    /// names another file by now.
    #[error("{subject} is not registered")]
    NotRegistered {
        /// The subject of the call.
        subject: Subject,
    },
    /// This system cannot report a part of the interest: [`Interest::PRIORITY`] on FreeBSD and NetBSD.
    #[error(
        "{subject} cannot be registered for {interest:?}: this system does not report urgent data; leave out \
         PRIORITY, and read the data in line (SO_OOBINLINE)"
    )]
    Unsupported {
        /// The subject of the call.
        subject: Subject,
        /// The interest that was asked for.
        interest: Interest,
    },
    /// The system refused it: a descriptor that is closed (`EBADF`) or of a kind that cannot be
    /// polled (`EPERM` or `EINVAL`), a signal that cannot be caught (`EINVAL`), a process that does
    /// not exist (`ESRCH`), or no memory (`ENOMEM`).
    #[error("{subject} cannot be registered: {source}{}", subject.advice(source))]
    Refused {
        /// The subject of the call.
        subject: Subject,
        /// The system's error.
        source: io::Error,
    },
    /// The poll itself could not be made, usually because the limit on open descriptors is reached
    /// (`EMFILE`).
    #[error("cannot create a poll: {0}{advice}", advice = advice_for(.0))]
    Create(#[source] io::Error),
    /// A waker could not be made.
    #[error("cannot create a waker: {0}{advice}", advice = advice_for(.0))]
    Waker(#[source] io::Error),
    /// Waiting for events failed.
    #[error("cannot wait for events: {0}{advice}", advice = advice_for(.0))]
    Wait(#[source] io::Error),
}

impl Error {
    /// The kind of the [`io::Error`] that it converts into.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Error::AlreadyRegistered { .. } => io::ErrorKind::AlreadyExists,
            Error::NotRegistered { .. } => io::ErrorKind::NotFound,
            Error::Unsupported { .. } => io::ErrorKind::Unsupported,
            Error::Refused { source, .. }
            | Error::Create(source)
            | Error::Waker(source)
            | Error::Wait(source) => source.kind(),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::Poll;

    #[test]
    fn a_signal_that_cannot_be_caught_is_refused_with_one_that_can() {
        let poll = Poll::new().unwrap();
        for (signal, other) in [(libc::SIGKILL, "SIGTERM"), (libc::SIGSTOP, "SIGTSTP")] {
            let error = poll.register_signal(Signal::from_raw(signal), Token(1));
            let text = error.unwrap_err().to_string();
            assert!(text.contains("cannot be caught; watch "), "{text}");
            assert!(text.contains(other), "{text}");
        }
        let error = poll.register_signal(Signal::from_raw(100_000), Token(1));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("no signal of this system"), "{text}");
    }

    #[test]
    fn the_error_of_a_second_registration_names_the_call_to_use() {
        let poll = Poll::new().unwrap();
        poll.register_signal(Signal::WINDOW_CHANGE, Token(5))
            .unwrap();
        let error = poll
            .register_signal(Signal::WINDOW_CHANGE, Token(6))
            .unwrap_err();
        let expected = "SIGWINCH is already registered, with Token(5): deregister it first to change its token";
        assert_eq!(error.to_string(), expected);
        let (socket, _peer) = UnixStream::pair().unwrap();
        poll.register(&socket, Token(7), Interest::READABLE)
            .unwrap();
        let error = poll
            .register(&socket, Token(8), Interest::READABLE)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("with Token(7): use `reregister` to change it")
        );
    }

    #[test]
    fn a_refusal_by_the_system_has_advice_if_there_is_any() {
        let text = |subject: Subject, errno| {
            let source = io::Error::from_raw_os_error(errno);
            Error::Refused { subject, source }.to_string()
        };
        assert!(text(Subject::Descriptor(3), libc::EBADF).contains("it is closed"));
        assert!(text(Subject::Descriptor(3), libc::EPERM).contains("cannot be polled"));
        if IS_LINUX {
            assert!(text(Subject::Process(9), libc::EINVAL).contains("lacks pidfd_open(2)"));
            assert!(text(Subject::File(3), libc::ENOTSUP).contains("mount it"));
        }
        assert!(text(Subject::Process(9), libc::ESRCH).contains("no such process"));
        assert!(text(Subject::Timer(Token(1)), libc::EMFILE).contains("ulimit -n"));
        assert!(text(Subject::File(3), libc::EACCES).ends_with(')')); // the text of the system alone
        let ebadf = || io::Error::from_raw_os_error(libc::EBADF);
        for error in [Error::Wait(ebadf()), Error::Waker(ebadf())] {
            assert!(error.to_string().contains("make a new one"));
        }
        assert!(text(Subject::Process(9), libc::EBADF).contains("make a new one"));
    }
}
