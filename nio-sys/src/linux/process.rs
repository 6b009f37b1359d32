//! EVFILT_PROC and EVFILT_PROCDESC: the exit of a process, by a pidfd.
//!
//! A pidfd names one process, also after its process id has been given to another; it becomes readable when the
//! process has exited. EVFILT_PROC opens one for its knote; EVFILT_PROCDESC is given one, and duplicates it, so that
//! the caller's number is free for other filters and for other files.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use super::{
    filterops::{Answer, Filterops, Host, Report},
    knote::{descriptor, invalid, unsupported},
    pidfd::{self, Exit},
    watch::Watches,
};
use crate::{EventFlags, Filter, Kevent, ProcFlags};

/// A process that is watched.
#[derive(Debug)]
pub(super) struct Process {
    pidfd: OwnedFd,
    /// The flags that are asked for: NOTE_EXIT or none.
    fflags: u32,
    /// The caller's own pidfd, of EVFILT_PROCDESC.
    named_by: Option<RawFd>,
}

impl Process {
    /// EV_ADD of a new knote.
    pub(super) fn new(change: &Kevent) -> io::Result<Process> {
        check_fflags(change)?;
        if change.filter() == Filter::PROC {
            return Ok(Process {
                pidfd: open(change.ident())?,
                fflags: change.fflags(),
                named_by: None,
            });
        }
        let fd = descriptor(change)?;
        if !pidfd::is_pidfd(fd)? {
            return Err(invalid());
        }
        Ok(Process {
            pidfd: pidfd::duplicate(fd)?,
            fflags: change.fflags(),
            named_by: Some(fd),
        })
    }
}

impl Filterops for Process {
    fn descriptor(&self) -> Option<RawFd> {
        Some(self.pidfd.as_raw_fd())
    }

    fn is_named(&self, _: &mut Watches) -> bool {
        let same = |fd| pidfd::is_same_process(fd, self.pidfd.as_raw_fd());
        self.named_by.is_none_or(same)
    }

    fn touch(&mut self, change: &Kevent, _: &mut Host<'_>) -> io::Result<()> {
        check_fflags(change)?;
        self.fflags = change.fflags();
        Ok(())
    }

    /// The exit. The knote is removed then, also if it did not ask for NOTE_EXIT (K211, K218).
    fn report(&mut self) -> Answer {
        let (fflags, status) = match pidfd::exit(self.pidfd.as_raw_fd()) {
            Exit::NotYet => return Answer::Nothing,
            Exit::Status(status) => (ProcFlags::EXIT, status),
            Exit::Unknown => (ProcFlags::EXIT | ProcFlags::NO_STATUS, 0),
        };
        Answer::Last((self.fflags != 0).then(|| Report {
            flags: EventFlags::EOF | EventFlags::ONESHOT,
            fflags: fflags.bits(),
            data: status.into(),
        }))
    }
}

/// Forks and executions need privileges that a program seldom has (K219, K242).
fn check_fflags(change: &Kevent) -> io::Result<()> {
    if change.fflags() & !ProcFlags::EXIT.bits() == 0 {
        Ok(())
    } else {
        Err(unsupported())
    }
}

/// A pidfd of the process with this id.
fn open(ident: usize) -> io::Result<OwnedFd> {
    let no_such_process = || io::Error::from_raw_os_error(libc::ESRCH);
    let pid = i32::try_from(ident).ok().filter(|&pid| pid > 0);
    pidfd::open(pid.ok_or_else(no_such_process)?).map_err(|error| match error.raw_os_error() {
        // A kernel before 5.3, and a sandbox that refuses the call, do not have this filter.
        Some(libc::ENOSYS) => invalid(),
        // The answers of kernels for the id of a thread.
        Some(libc::EINVAL | libc::ENOENT) => no_such_process(),
        _ => error,
    })
}
