//! Waiting for processes to exit.

use std::process::Child;

use nio_sys::{EventFlags, Filter, Kevent, ProcFlags};

use crate::{Error, Poll, Subject, Token, watch::Watch};

/// The flags of the change. Only Apple's systems need one for the status.
#[cfg(target_vendor = "apple")]
const EXIT: ProcFlags = ProcFlags::EXIT.union(ProcFlags::EXITSTATUS);
#[cfg(not(target_vendor = "apple"))]
const EXIT: ProcFlags = ProcFlags::EXIT;

/// A process to watch: a [`Child`], or the id of any process.
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
    /// Watches a process, usually a child. Its exit is reported once, with its status, and ends the
    /// registration. The program still has to wait for a child ([`Child::wait`] or `try_wait`); until then
    /// the child is a zombie.
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
    /// [`Error::AlreadyRegistered`]; [`Error::Refused`] with `ESRCH` if the process does not exist. macOS,
    /// NetBSD and OpenBSD also refuse a child that has exited and was not waited for: waiting for it does
    /// not block then.
    ///
    /// # Platform differences
    ///
    /// Linux supports this from 5.3 on, and Android from 12 on, with a descriptor for each process. Before that, and
    /// in a sandbox that refuses pidfd_open(2), it is refused with `EINVAL`. The status is
    /// not known ([`exit_status`](crate::Event::exit_status) is `None`) on macOS for a process that is not a
    /// child of this one. On Linux it is known of a child that nobody has reaped before the poll: neither this
    /// program, by waiting for it, nor the kernel, which reaps children while `SIGCHLD` is ignored. From 6.15 on
    /// it is also known of every process that was reaped before the poll.
    pub fn register_process(&self, process: impl Into<Process>, token: Token) -> Result<(), Error> {
        let Process(pid) = process.into();
        let knote = Kevent::process(pid, EventFlags::ADD | EventFlags::ONESHOT);
        let knote = knote.with_fflags(EXIT).with_udata(token.0);
        let subject = Subject::Process(pid);
        match self.watch(subject, Watch::new(knote)) {
            // Apple's systems refuse to report the status unless this process may signal the other.
            Err(Error::Refused { source, .. })
                if cfg!(target_vendor = "apple") && source.raw_os_error() == Some(libc::EACCES) =>
            {
                self.watch(subject, Watch::new(knote.with_fflags(ProcFlags::EXIT)))
            }
            result => result,
        }
    }

    /// Stops watching a process. This is not needed after its exit, which has ended the registration: the
    /// call is a success or [`Error::NotRegistered`] then.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`].
    pub fn deregister_process(&self, process: impl Into<Process>) -> Result<(), Error> {
        let Process(pid) = process.into();
        self.unwatch(Subject::Process(pid), Filter::PROC, pid as usize)
    }
}
