//! Waiting for processes to exit.

use std::process::Child;

use nio_sys::{EventFlags, Filter, Kevent, ProcFlags};

use crate::{Error, Poll, Subject, Token, watch::Watch};

/// What is asked for. Only on Apple's systems the status has to be.
#[cfg(target_vendor = "apple")]
const EXIT: ProcFlags = ProcFlags::EXIT.union(ProcFlags::EXITSTATUS);
#[cfg(not(target_vendor = "apple"))]
const EXIT: ProcFlags = ProcFlags::EXIT;

/// Which process to watch: a [`Child`], or the number of any process.
///
/// Both convert into it, so that [`Poll::register_process`] takes either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process(u32);

impl From<u32> for Process {
    fn from(pid: u32) -> Process {
        Process(pid)
    }
}

impl From<&Child> for Process {
    fn from(child: &Child) -> Process {
        Process(child.id())
    }
}

impl Poll {
    /// Watches a process, usually a child: its exit is reported once, with its status, and ends the
    /// registration. A child still has to be waited for ([`Child::wait`] or `try_wait`), or it stays a
    /// zombie.
    ///
    /// ```
    /// use nio_poll::{Events, Poll, Token};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poll = Poll::new()?;
    /// let mut child = std::process::Command::new("sh").args(["-c", "read line; exit 7"])
    ///     .stdin(std::process::Stdio::piped()).spawn()?;
    /// poll.register_process(&child, Token(1))?;
    /// drop(child.stdin.take()); // the end of its input: it exits
    ///
    /// let mut events = Events::with_capacity(4);
    /// poll.poll(&mut events, None)?;
    /// let event = events.get(0).expect("it has exited");
    /// assert_eq!(event.exit_status().and_then(|status| status.code()), Some(7));
    /// child.wait()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyRegistered`]; [`Error::Refused`] with `ESRCH` if there is no such process. macOS,
    /// NetBSD and OpenBSD also answer so for a child that has exited and was not waited for: then
    /// waiting for it does not block.
    ///
    /// # Platform differences
    ///
    /// Linux needs 5.3 for this (`EINVAL` before), and a descriptor for each process. There and on
    /// macOS the status of a process that is not a child of this one is not known, nor on Linux before
    /// 6.15 that of a child that was waited for by others, or not at all because `SIGCHLD` is ignored:
    /// [`exit_status`](crate::Event::exit_status) is `None` then.
    pub fn register_process(&self, process: impl Into<Process>, token: Token) -> Result<(), Error> {
        let Process(pid) = process.into();
        let knote = Kevent::process(pid, EventFlags::ADD | EventFlags::ONESHOT);
        let knote = knote.with_fflags(EXIT).with_udata(token.0);
        let subject = Subject::Process(pid);
        match self.watch(subject, Watch::new(knote)) {
            // Apple's systems tell the status only to processes that may signal this one.
            Err(Error::Refused { source, .. })
                if cfg!(target_vendor = "apple") && source.raw_os_error() == Some(libc::EACCES) =>
            {
                self.watch(subject, Watch::new(knote.with_fflags(ProcFlags::EXIT)))
            }
            result => result,
        }
    }

    /// Ends the watching of a process. For one that has exited it is not needed: the exit ends it, and
    /// ending it again is a success or [`Error::NotRegistered`].
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`].
    pub fn deregister_process(&self, process: impl Into<Process>) -> Result<(), Error> {
        let Process(pid) = process.into();
        self.unwatch(Subject::Process(pid), Filter::PROC, pid as usize)
    }
}
