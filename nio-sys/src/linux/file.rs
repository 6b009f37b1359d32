//! READ and WRITE of descriptors that epoll refuses: regular files, and devices that are always ready.
//!
//! The laws:
//!
//! 1. A change comes here only if epoll has refused the descriptor or has no entry of it.
//! 2. A knote that is ready is in the list of active knotes, and goes to its end after a report: so a wait does
//!    not block (K152), and no other knote starves (K151).
//! 3. A file that has been read to its end leaves the list. It returns when inotify reports a write, or by a
//!    change of the knote. No event reports that the descriptor's offset was moved.
//! 4. When the number names another file or none, the knote is removed (K155).

use std::{io, os::fd::RawFd};

use super::{
    filterops::{Answer, Filterops, Host, Report},
    inotify::{self, FileState, Inode, Notice, Wd},
    knote::{descriptor, invalid, unsupported},
    watch::Watches,
};
use crate::{Filter, Kevent};

/// A file that is watched for READ or WRITE.
#[derive(Debug)]
pub(super) struct File {
    fd: RawFd,
    filter: Filter,
    /// Identifies the file that the knote was made for.
    state: FileState,
    /// The watch that reports growth. Only READ of a regular file needs it.
    wd: Option<Wd>,
}

/// Whether knotes of this filter may have watches.
pub(super) fn is_watched(filter: Filter) -> bool {
    matches!(filter, Filter::VNODE | Filter::READ)
}

impl File {
    /// EV_ADD of a new knote.
    pub(super) fn new(change: &Kevent, host: &mut Host<'_>) -> io::Result<File> {
        check_fflags(change)?;
        let fd = descriptor(change)?;
        let state = FileState::of(fd)?;
        let mut file = File {
            fd,
            filter: change.filter(),
            state,
            wd: None,
        };
        match state.file_type() {
            libc::S_IFREG if file.filter == Filter::READ => {
                file.watch(host)?;
            }
            libc::S_IFREG | libc::S_IFCHR | libc::S_IFBLK => {}
            // Directories (K149), and descriptors that are no files.
            _ => return Err(invalid()),
        }
        Ok(file)
    }

    fn watch(&mut self, host: &mut Host<'_>) -> io::Result<()> {
        host.watch(&mut self.wd, Inode::Of(self.fd), libc::IN_MODIFY)
    }
}

impl Filterops for File {
    fn is_named(&self, watches: &mut Watches) -> bool {
        self.state.is_of(self.fd, self.wd, watches)
    }

    fn touch(&mut self, change: &Kevent, _: &mut Host<'_>) -> io::Result<()> {
        check_fflags(change)
    }

    fn report(&mut self) -> Answer {
        let ready = |data| {
            Answer::Event(Report {
                data,
                ..Report::default()
            })
        };
        if self.filter == Filter::WRITE || self.state.file_type() != libc::S_IFREG {
            return ready(0);
        }
        // Negative if the file was truncated to less than the offset (K145).
        match FileState::of(self.fd).map(|now| now.size - inotify::offset(self.fd)) {
            Ok(0) | Err(_) => Answer::Nothing,
            Ok(left) => ready(left),
        }
    }

    fn notice(&mut self, notice: &Notice, host: &mut Host<'_>) -> bool {
        let unwatched = notice.mask & libc::IN_IGNORED != 0 && self.wd == Some(notice.wd);
        if unwatched {
            self.wd = None;
            if FileState::of(self.fd).is_ok_and(|now| now.links > 0) {
                // Another file has the inode and the descriptor's number (as in `vnode`).
                self.state.forget();
                return true;
            }
        }
        let overflow = notice.mask & libc::IN_Q_OVERFLOW != 0;
        if unwatched || overflow {
            // If that fails, growth is not reported.
            let _ = self.watch(host);
        }
        unwatched || overflow || notice.mask & libc::IN_MODIFY != 0
    }

    fn detach(&mut self, watches: &mut Watches, id: u32) {
        if let Some(wd) = self.wd.take() {
            watches.remove(wd, id);
        }
    }
}

/// A file has no low-water mark, no urgent data, and no NOTE_FILE_POLL (K153, K242). EXCEPT always asks for one
/// of them.
fn check_fflags(change: &Kevent) -> io::Result<()> {
    if change.fflags() == 0 && change.filter() != Filter::EXCEPT {
        Ok(())
    } else {
        Err(unsupported())
    }
}
