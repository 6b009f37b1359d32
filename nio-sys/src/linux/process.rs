//! EVFILT_PROC and EVFILT_PROCDESC: the exit of a process, told by a pidfd.
//!
//! A pidfd names one process for ever, also when its number has gone to another; it becomes readable
//! when the process has exited. EVFILT_PROC opens one for its knote; EVFILT_PROCDESC is given one, and
//! duplicates it, so that the caller's number is free for other filters and for other files.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use super::{
    epoll,
    knote::{Knote, invalid, no_such_knote},
    pidfd::{self, Exit},
    queue::{Active, EDGE, internal},
};
use crate::{EventFlags, Filter, Kevent, ProcFlags};

/// The payload of a pidfd: one of these and the ident, which no system lets grow into that bit.
pub(super) const PROCESS: u32 = 1 << 30;
const DESCRIPTOR: u32 = 1 << 31;

/// The processes that one queue watches.
#[derive(Debug, Default)]
pub(super) struct Processes {
    knotes: HashMap<(Filter, usize), Process>,
}

#[derive(Debug)]
struct Process {
    knote: Knote,
    /// What is asked for: NOTE_EXIT, NOTE_EXITSTATUS.
    fflags: u32,
    pidfd: Pidfd,
    exited: bool,
    /// The serial of its entry in the list of active knotes, if it has one.
    queued: Option<u64>,
}

/// A descriptor of our own, and the payload of its entry.
#[derive(Debug)]
struct Pidfd {
    fd: OwnedFd,
    payload: u32,
}

impl Pidfd {
    /// Registers it with an epoll set.
    fn attach(&self, epoll: &OwnedFd) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        epoll::control(epoll, libc::EPOLL_CTL_ADD, fd, EDGE, internal(self.payload))
    }
}

impl Process {
    /// Whether the ident still names this process. A descriptor may have been closed, which ends its
    /// knote (K98) and epoll does not tell, and its number may be another's by now.
    fn is_named(&self, (filter, ident): (Filter, usize)) -> bool {
        filter == Filter::PROC || pidfd::is_same_process(ident as RawFd, self.pidfd.fd.as_raw_fd())
    }

    /// Has it in the list of active knotes, or not.
    fn enqueue(&mut self, filter: Filter, ident: usize, active: &mut Active) {
        if !self.exited || !self.knote.is_enabled() {
            active.cancel(self.queued.take());
        } else if self.queued.is_none() {
            self.queued = Some(active.push(filter, ident));
        }
    }
}

impl Processes {
    /// Applies a change.
    pub(super) fn change(
        &mut self,
        epoll: &OwnedFd,
        change: &Kevent,
        active: &mut Active,
    ) -> io::Result<()> {
        let (filter, ident, flags) = (change.filter(), change.ident(), change.flags());
        let key = (filter, ident);
        if self
            .knotes
            .get(&key)
            .is_some_and(|known| !known.is_named(key))
        {
            // The knote went with the descriptor that had this number (K98).
            self.remove(epoll, key, active);
        }
        if flags.contains(EventFlags::DELETE) {
            return self.remove(epoll, key, active).ok_or_else(no_such_knote);
        }
        if change.fflags() & !(ProcFlags::EXIT | ProcFlags::EXITSTATUS).bits() != 0 {
            // Forks and executions are told to nobody but the administrator (K219, K242).
            return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
        }
        if let Some(known) = self.knotes.get_mut(&key) {
            known.knote.modify(change);
            known.fflags = change.fflags();
            known.enqueue(filter, ident, active);
            return Ok(());
        }
        if !flags.contains(EventFlags::ADD) {
            return Err(no_such_knote());
        }
        let pidfd = open(filter, ident)?;
        pidfd.attach(epoll)?;
        let process = Process {
            // An exit happens once: EV_CLEAR is implied (K82).
            knote: Knote::new(&change.with_flags(flags | EventFlags::CLEAR)),
            fflags: change.fflags(),
            pidfd,
            exited: false,
            queued: None,
        };
        self.knotes.insert(key, process);
        Ok(())
    }

    /// Registers the pidfds with a new epoll set.
    pub(super) fn attach(&self, epoll: &OwnedFd) -> io::Result<()> {
        let mut processes = self.knotes.values();
        processes.try_for_each(|process| process.pidfd.attach(epoll))
    }

    fn remove(&mut self, epoll: &OwnedFd, key: (Filter, usize), active: &mut Active) -> Option<()> {
        let process = self.knotes.remove(&key)?;
        active.cancel(process.queued);
        // The file may have other descriptors, in which the entry would live on. It is there, and if
        // it were not, that would be as well.
        let fd = process.pidfd.fd.as_raw_fd();
        let _ = epoll::control(epoll, libc::EPOLL_CTL_DEL, fd, 0, 0);
        Some(())
    }

    /// The pidfd with this payload has become readable.
    pub(super) fn activate(&mut self, payload: u32, active: &mut Active) {
        let filter = if payload & DESCRIPTOR != 0 {
            Filter::PROCDESC
        } else {
            Filter::PROC
        };
        let ident = (payload & !(DESCRIPTOR | PROCESS)) as usize;
        if let Some(process) = self.knotes.get_mut(&(filter, ident)) {
            process.exited = true;
            process.enqueue(filter, ident, active);
        }
    }

    /// Makes the event of a process that was found in the list of active ones. With it the knote is
    /// gone, also when nobody had asked to be told (K211, K218).
    pub(super) fn collect(
        &mut self,
        epoll: &OwnedFd,
        filter: Filter,
        ident: usize,
        serial: u64,
        active: &mut Active,
    ) -> Option<Kevent> {
        let process = self.knotes.get_mut(&(filter, ident))?;
        if process.queued != Some(serial) {
            return None;
        }
        process.queued = None;
        if !process.knote.is_enabled() {
            return None;
        }
        let asked =
            process.fflags & ProcFlags::EXIT.bits() != 0 && process.is_named((filter, ident));
        let asks_status = process.fflags & ProcFlags::EXITSTATUS.bits();
        let (fflags, status) = match pidfd::exit(process.pidfd.fd.as_raw_fd()) {
            Exit::NotYet => {
                process.exited = false;
                return None;
            }
            Exit::Status(status) => (ProcFlags::EXIT.bits() | asks_status, status),
            Exit::Unknown => (ProcFlags::EXIT.bits(), 0),
        };
        let event = process
            .knote
            .event(ident, filter, EventFlags::EOF | EventFlags::ONESHOT)
            .with_fflags(fflags)
            .with_data(i64::from(status));
        self.remove(epoll, (filter, ident), active);
        asked.then_some(event)
    }
}

/// The pidfd of a change.
fn open(filter: Filter, ident: usize) -> io::Result<Pidfd> {
    let number = i32::try_from(ident).ok();
    let number = number.filter(|&number| number as u32 & (PROCESS | DESCRIPTOR) == 0);
    if filter == Filter::PROCDESC {
        let fd = number.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        if !pidfd::is_pidfd(fd)? {
            return Err(invalid());
        }
        return Ok(Pidfd {
            fd: pidfd::duplicate(fd)?,
            payload: DESCRIPTOR | fd as u32,
        });
    }
    let no_such_process = || io::Error::from_raw_os_error(libc::ESRCH);
    let pid = number.filter(|&pid| pid > 0).ok_or_else(no_such_process)?;
    match pidfd::open(pid) {
        Ok(fd) => Ok(Pidfd {
            fd,
            payload: PROCESS | pid as u32,
        }),
        Err(error) => Err(match error.raw_os_error() {
            // A kernel before 5.3 has no such filter.
            Some(libc::ENOSYS) => invalid(),
            // What kernels say of the number of a thread.
            Some(libc::EINVAL | libc::ENOENT) => no_such_process(),
            _ => error,
        }),
    }
}
