//! The inotify descriptor of a queue, its watches, and the knotes that listen to each of them.
//!
//! The laws:
//!
//! 1. The descriptor is made by the first knote that needs it, and lives as long as the queue.
//! 2. An inode has one watch however many knotes listen to it. The watch goes with the last of them.
//! 3. A watch has every flag that any of its listeners has ever asked for: a knote ignores the notices that it
//!    has not asked for.
//! 4. A watch names one inode. So if the device and inode numbers of a file change, as on overlayfs when a file
//!    is copied up, the watch still tells whether a descriptor names the file.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use super::{
    engine::WATCH,
    epoll,
    filterops::Host,
    inotify::{self, Inode, Notice, Wd},
    slot::IN,
};

/// The watches of one queue: by watch descriptor, the numbers of the knotes that listen.
#[derive(Debug, Default)]
pub(super) struct Watches {
    inotify: Option<OwnedFd>,
    listeners: HashMap<Wd, Vec<u32>>,
}

impl Watches {
    /// Makes a knote a listener of an inode.
    fn add(&mut self, epoll: &OwnedFd, inode: Inode, mask: u32, id: u32) -> io::Result<Wd> {
        let inotify = match self.inotify.take() {
            Some(inotify) => inotify,
            None => {
                let inotify = inotify::create()?;
                attach(&inotify, epoll)?;
                inotify
            }
        };
        let wd = inotify::watch(self.inotify.insert(inotify), inode, mask)?;
        let listeners = self.listeners.entry(wd).or_default();
        if !listeners.contains(&id) {
            listeners.push(id);
        }
        Ok(wd)
    }

    /// Ends the listening of a knote.
    pub(super) fn remove(&mut self, wd: Wd, id: u32) {
        let Some(listeners) = self.listeners.get_mut(&wd) else {
            return;
        };
        listeners.retain(|other| *other != id);
        if listeners.is_empty() {
            self.listeners.remove(&wd);
            if let Some(inotify) = &self.inotify {
                inotify::unwatch(inotify, wd);
            }
        }
    }

    /// Whether a watch is of the file that a descriptor names (law 4): the same inode has the same watch.
    pub(super) fn is_of(&self, wd: Wd, fd: RawFd) -> bool {
        let Some(inotify) = &self.inotify else {
            return false;
        };
        let found = inotify::watch(inotify, Inode::Of(fd), libc::IN_DELETE_SELF);
        if let Ok(other) = found {
            if !self.listeners.contains_key(&other) {
                inotify::unwatch(inotify, other);
            }
        }
        found.is_ok_and(|found| found == wd)
    }

    /// The knotes that a notice is for. After the end of a watch (IN_IGNORED) it has no listeners.
    pub(super) fn listeners(&mut self, notice: &Notice) -> Vec<u32> {
        if notice.mask & libc::IN_Q_OVERFLOW != 0 {
            let all: BTreeSet<u32> = self.listeners.values().flatten().copied().collect();
            return all.into_iter().collect();
        }
        if notice.mask & libc::IN_IGNORED != 0 {
            return self.listeners.remove(&notice.wd).unwrap_or_default();
        }
        self.listeners.get(&notice.wd).cloned().unwrap_or_default()
    }

    /// Reads the pending notices. Those that come meanwhile stay for the next call, so that a fast writer does not
    /// hold up the queue.
    pub(super) fn read(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        if let Some(inotify) = &self.inotify {
            let mut left = inotify::pending(inotify);
            while left > 0 {
                match inotify::read(inotify, &mut notices) {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
        }
        notices
    }

    /// Registers the inotify descriptor with a new epoll set.
    pub(super) fn attach(&self, epoll: &OwnedFd) -> io::Result<()> {
        match &self.inotify {
            Some(inotify) => attach(inotify, epoll),
            None => Ok(()),
        }
    }
}

impl Host<'_> {
    /// Watches an inode for the knote, and ends the watch of the one before if it was another.
    pub(super) fn watch(&mut self, wd: &mut Option<Wd>, inode: Inode, mask: u32) -> io::Result<()> {
        let new = self.watches.add(self.epoll, inode, mask, self.id)?;
        if let Some(old) = wd.replace(new).filter(|old| *old != new) {
            self.watches.remove(old, self.id);
        }
        Ok(())
    }
}

/// Level-triggered: the notices that one wait leaves, the next one finds.
fn attach(inotify: &OwnedFd, epoll: &OwnedFd) -> io::Result<()> {
    epoll::control(epoll, libc::EPOLL_CTL_ADD, inotify.as_raw_fd(), IN, WATCH)
}
