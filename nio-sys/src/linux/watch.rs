//! The inotify descriptor of a queue, and which knotes listen to which of its watches.
//!
//! The laws:
//!
//! 1. The descriptor is made by the first knote that needs it, and lives as long as the queue.
//! 2. An inode has one watch however many knotes listen to it. The watch goes with the last of
//!    them.
//! 3. A watch asks for all that any of its listeners ever asked for: what a knote is not interested
//!    in, it passes over.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use super::{
    inotify::{self, Notice, Place, Wd},
    queue::{WATCH, internal},
};
use crate::Filter;

/// A knote that listens.
pub(super) type Listener = (Filter, usize);

/// The watches of one queue.
#[derive(Debug, Default)]
pub(super) struct Watches {
    inotify: Option<OwnedFd>,
    listeners: HashMap<Wd, Vec<Listener>>,
}

impl Watches {
    /// Has a knote listen to an inode.
    pub(super) fn add(
        &mut self,
        epoll: &OwnedFd,
        place: Place,
        mask: u32,
        listener: Listener,
    ) -> io::Result<Wd> {
        let inotify = match self.inotify.take() {
            Some(inotify) => inotify,
            None => {
                let inotify = inotify::create()?;
                attach(&inotify, epoll)?;
                inotify
            }
        };
        let wd = inotify::watch(self.inotify.insert(inotify), place, mask)?;
        let listeners = self.listeners.entry(wd).or_default();
        if !listeners.contains(&listener) {
            listeners.push(listener);
        }
        Ok(wd)
    }

    /// Has a knote listen no more.
    pub(super) fn remove(&mut self, wd: Wd, listener: Listener) {
        let Some(listeners) = self.listeners.get_mut(&wd) else {
            return;
        };
        listeners.retain(|other| *other != listener);
        if listeners.is_empty() {
            self.listeners.remove(&wd);
            if let Some(inotify) = &self.inotify {
                inotify::unwatch(inotify, wd);
            }
        }
    }

    /// The knotes that listen to a watch.
    pub(super) fn listeners(&self, wd: Wd) -> Vec<Listener> {
        self.listeners.get(&wd).cloned().unwrap_or_default()
    }

    /// The last name of the inode is gone, and its watch with it. Returns who listened.
    pub(super) fn forget(&mut self, wd: Wd) -> Vec<Listener> {
        self.listeners.remove(&wd).unwrap_or_default()
    }

    /// What has happened since this was last asked. What happens while it is being read stays for the
    /// next time: a writer that is faster than we are does not hold up the queue.
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

/// Level-triggered: what one wait leaves, the next one finds.
fn attach(inotify: &OwnedFd, epoll: &OwnedFd) -> io::Result<()> {
    let (fd, mask) = (inotify.as_raw_fd(), libc::EPOLLIN as u32);
    super::epoll::control(epoll, libc::EPOLL_CTL_ADD, fd, mask, internal(WATCH))
}
