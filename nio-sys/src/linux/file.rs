//! READ and WRITE of what epoll does not take: regular files, and devices that are always ready.
//!
//! The laws:
//!
//! 1. A change comes here only after epoll has refused the descriptor, or does not know it.
//! 2. What is ready stands in the list of active knotes, one entry each, and goes to the end of it
//!    after a delivery: so a wait does not block (K152), and nobody starves (K151).
//! 3. A file that has been read to its end leaves the list. It comes back when inotify tells that
//!    the file was written to, or by a change of the knote. Moving the descriptor's offset is told
//!    to nobody.
//! 4. As soon as the number names another file, or none, the knote is gone (K155). Nobody tells us
//!    of a close, so the file is looked at before anything is said of it.

use std::{
    collections::HashMap,
    io,
    os::fd::{OwnedFd, RawFd},
};

use super::{
    inotify::{self, Look, Place, Wd},
    knote::{Knote, invalid, no_such_knote},
    queue::{Active, Collected},
    watch::{Listener, Watches},
};
use crate::{EventFlags, Filter, Kevent};

/// The knotes of one queue whose descriptors are files.
#[derive(Debug, Default)]
pub(super) struct Files {
    knotes: HashMap<Listener, File>,
}

#[derive(Debug)]
struct File {
    knote: Knote,
    /// The file as it was when the knote was made: which one it is.
    look: Look,
    /// The watch that tells of growth. Only READ of a regular file needs it.
    wd: Option<Wd>,
    /// The serial of its entry in the list of active knotes, if it has one.
    queued: Option<u64>,
}

impl File {
    /// The `data` of an event, if there is to be one.
    fn condition(&self, (filter, ident): Listener, now: &Look) -> Option<i64> {
        let regular = now.file_type() == libc::S_IFREG;
        if filter == Filter::WRITE || !regular {
            return Some(0);
        }
        // Negative if the file was cut short behind the offset (K145).
        let left = now.size - inotify::offset(ident as RawFd);
        (left != 0).then_some(left)
    }

    /// Has it in the list of active knotes, or not.
    fn enqueue(&mut self, key: Listener, now: &Look, active: &mut Active) {
        if !self.knote.is_enabled() || self.condition(key, now).is_none() {
            active.cancel(self.queued.take());
        } else if self.queued.is_none() {
            self.queued = Some(active.push(key.0, key.1));
        }
    }
}

/// Whether what became of a change to a descriptor sends it here: epoll says EPERM of what it does
/// not take, and of what it does not know there is no knote.
pub(super) fn is_concerned(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOENT))
}

impl Files {
    /// Applies a change.
    pub(super) fn change(
        &mut self,
        epoll: &OwnedFd,
        watches: &mut Watches,
        change: &Kevent,
        active: &mut Active,
    ) -> io::Result<()> {
        let (key, flags) = ((change.filter(), change.ident()), change.flags());
        let known = self.check(watches, key, active);
        if flags.contains(EventFlags::DELETE) {
            return self.remove(watches, key, active).ok_or_else(no_such_knote);
        }
        if known.is_none() && !flags.contains(EventFlags::ADD) {
            return Err(no_such_knote());
        }
        if change.fflags() != 0 {
            // A low-water mark, urgent data, or "as poll(2) does", cannot be had of a file (K153,
            // K242). EXCEPT never comes without one.
            return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
        }
        let now = match known {
            Some(now) => now,
            None => self.insert(epoll, watches, change)?,
        };
        if let Some(file) = self.knotes.get_mut(&key) {
            if known.is_some() {
                file.knote.modify(change);
            }
            file.enqueue(key, &now, active);
        }
        Ok(())
    }

    /// Makes a knote.
    fn insert(
        &mut self,
        epoll: &OwnedFd,
        watches: &mut Watches,
        change: &Kevent,
    ) -> io::Result<Look> {
        let (filter, ident) = (change.filter(), change.ident());
        let fd = ident as RawFd;
        let look = Look::at(fd)?;
        let regular = match look.file_type() {
            libc::S_IFREG => true,
            libc::S_IFCHR | libc::S_IFBLK => false,
            // Directories (K149), and what is no file.
            _ => return Err(invalid()),
        };
        let wd = match filter {
            Filter::READ if regular => {
                let place = Place::Itself(fd);
                Some(watches.add(epoll, place, libc::IN_MODIFY, (filter, ident))?)
            }
            _ => None,
        };
        let file = File {
            knote: Knote::new(change),
            look,
            wd,
            queued: None,
        };
        self.knotes.insert((filter, ident), file);
        Ok(look)
    }

    /// Removes the knote of a descriptor that names another file by now, or none; returns what its
    /// own file is like otherwise.
    fn check(&mut self, watches: &mut Watches, key: Listener, active: &mut Active) -> Option<Look> {
        let now = self.knotes.get(&key)?.look.again(key.1 as RawFd);
        if now.is_none() {
            self.remove(watches, key, active);
        }
        now
    }

    fn remove(&mut self, watches: &mut Watches, key: Listener, active: &mut Active) -> Option<()> {
        let file = self.knotes.remove(&key)?;
        active.cancel(file.queued);
        if let Some(wd) = file.wd {
            watches.remove(wd, key);
        }
        Some(())
    }

    /// The file of a knote was written to.
    pub(super) fn notice(&mut self, watches: &mut Watches, key: Listener, active: &mut Active) {
        let now = self.check(watches, key, active);
        if let (Some(file), Some(now)) = (self.knotes.get_mut(&key), now) {
            file.enqueue(key, &now, active);
        }
    }

    /// The watch of a knote's file is gone: with its last name, or with the file, whose inode and whose
    /// descriptor's number another may have by now, as of a VNODE knote.
    pub(super) fn unwatched(
        &mut self,
        epoll: &OwnedFd,
        watches: &mut Watches,
        key: Listener,
        active: &mut Active,
    ) {
        let Some(now) = self.check(watches, key, active) else {
            return;
        };
        let Some(file) = self.knotes.get_mut(&key) else {
            return;
        };
        file.wd = None;
        if now.links > 0 {
            self.remove(watches, key, active);
        } else {
            // Where that fails, growth is not told.
            let place = Place::Itself(key.1 as RawFd);
            file.wd = watches.add(epoll, place, libc::IN_MODIFY, key).ok();
        }
    }

    /// Notices were lost.
    pub(super) fn overflow(&mut self, watches: &mut Watches, active: &mut Active) {
        for key in self.knotes.keys().copied().collect::<Vec<_>>() {
            self.notice(watches, key, active);
        }
    }

    /// Whether an entry of the list of active knotes is of a knote of this file's.
    pub(super) fn has_queued(&self, key: Listener, serial: u64) -> bool {
        let file = self.knotes.get(&key);
        file.is_some_and(|file| file.queued == Some(serial))
    }

    /// Makes the event of a knote that was found in the list of active ones.
    pub(super) fn collect(
        &mut self,
        watches: &mut Watches,
        key: Listener,
        active: &mut Active,
    ) -> Collected {
        self.knotes.get_mut(&key)?.queued = None;
        let now = self.check(watches, key, active)?;
        let file = self.knotes.get_mut(&key)?;
        if !file.knote.is_enabled() {
            return None;
        }
        let data = file.condition(key, &now)?;
        let event = file.knote.event(key.1, key.0, EventFlags::empty());
        if file.knote.is_oneshot() {
            self.remove(watches, key, active);
        } else if file.knote.fires_once() {
            file.knote.disable();
        } else if !file.knote.is_clear() {
            file.enqueue(key, &now, active);
        }
        Some(event.with_data(data))
    }
}
