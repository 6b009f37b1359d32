//! EVFILT_VNODE: what happens to files and directories, told by inotify.
//!
//! The laws:
//!
//! 1. A knote is for the file that its descriptor names, whatever becomes of the file's names. As
//!    soon as the number names another file, or none, the knote is gone: nobody tells us of a
//!    close, so the file is looked at before anything is said of it (K98, K237).
//! 2. inotify tells that something happened; what it was is seen by comparing the file with the
//!    last look at it. What happened is kept until it is delivered, also while the knote is
//!    disabled (K240).
//! 3. Before a knote is changed all notices are read, so that each is judged by what was asked for
//!    when it was given.

use std::{
    collections::HashMap,
    io,
    os::fd::{OwnedFd, RawFd},
};

use libc::{
    IN_ACCESS, IN_ATTRIB, IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_DELETE_SELF,
    IN_ISDIR, IN_MODIFY, IN_MOVE_SELF, IN_MOVED_FROM, IN_MOVED_TO, IN_OPEN,
};

use super::{
    inotify::{Look, Notice, Place, Wd},
    knote::{Knote, invalid, no_such_knote},
    queue::{Active, Collected},
    watch::{Listener, Watches},
};
use crate::{EventFlags, Filter, Kevent, VnodeFlags};

/// What can be told. All the rest is refused rather than never reported (K242). NOTE_REVOKE is among
/// them though nothing here reports it: what it tells cannot happen to a file that is open.
const KNOWN: VnodeFlags = VnodeFlags::DELETE
    .union(VnodeFlags::WRITE)
    .union(VnodeFlags::EXTEND)
    .union(VnodeFlags::ATTRIB)
    .union(VnodeFlags::LINK)
    .union(VnodeFlags::RENAME)
    .union(VnodeFlags::REVOKE)
    .union(VnodeFlags::OPEN)
    .union(VnodeFlags::CLOSE)
    .union(VnodeFlags::CLOSE_WRITE)
    .union(VnodeFlags::READ);

/// An entry of a directory came, went or was renamed.
const ENTRIES: u32 = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

/// What is asked of the parent of a directory: its removal, or its replacement by another, is told
/// to nobody else (K231).
const OF_PARENT: u32 = IN_DELETE | IN_MOVED_TO;

/// What inotify is asked for, for each thing that can be reported of a file.
const OF_FILE: [(VnodeFlags, u32); 8] = [
    (VnodeFlags::WRITE.union(VnodeFlags::EXTEND), IN_MODIFY),
    (VnodeFlags::ATTRIB, IN_ATTRIB),
    // The number of links is an attribute; at none the file is deleted, though it is open.
    (VnodeFlags::LINK.union(VnodeFlags::DELETE), IN_ATTRIB),
    (VnodeFlags::RENAME, IN_MOVE_SELF),
    (VnodeFlags::OPEN, IN_OPEN),
    (VnodeFlags::CLOSE, IN_CLOSE_NOWRITE),
    (VnodeFlags::CLOSE_WRITE, IN_CLOSE_WRITE),
    (VnodeFlags::READ, IN_ACCESS),
];

/// The same for a directory. A write to a file in it is not asked for (K232).
const OF_DIRECTORY: [(VnodeFlags, u32); 8] = [
    (
        VnodeFlags::WRITE
            .union(VnodeFlags::EXTEND)
            .union(VnodeFlags::LINK),
        ENTRIES,
    ),
    (VnodeFlags::ATTRIB, IN_ATTRIB),
    // When it has moved, it has another parent to be asked.
    (VnodeFlags::DELETE, IN_MOVE_SELF),
    OF_FILE[3],
    OF_FILE[4],
    OF_FILE[5],
    OF_FILE[6],
    OF_FILE[7],
];

/// The VNODE knotes of one queue, by descriptor.
#[derive(Debug, Default)]
pub(super) struct Vnodes {
    knotes: HashMap<usize, Vnode>,
}

#[derive(Debug)]
struct Vnode {
    knote: Knote,
    asked: VnodeFlags,
    happened: VnodeFlags,
    /// The file as it was when it was last looked at.
    look: Look,
    wd: Option<Wd>,
    /// The watch on the parent of a directory.
    parent: Option<Wd>,
    /// The serial of its entry in the list of active knotes, if it has one.
    queued: Option<u64>,
}

impl Vnode {
    fn new(change: &Kevent, asked: VnodeFlags, look: Look) -> Vnode {
        Vnode {
            knote: Knote::new(change),
            asked,
            happened: VnodeFlags::empty(),
            look,
            wd: None,
            parent: None,
            queued: None,
        }
    }

    /// Watches the file for what is asked of it.
    fn watch(
        &mut self,
        epoll: &OwnedFd,
        watches: &mut Watches,
        ident: usize,
        asked: VnodeFlags,
    ) -> io::Result<()> {
        let (fd, listener) = (ident as RawFd, listener(ident));
        let table = if self.look.is_directory() {
            OF_DIRECTORY
        } else {
            OF_FILE
        };
        let asking = |(bits, _): &&(VnodeFlags, u32)| asked.intersects(*bits);
        // A mask must not be empty.
        let mask = table
            .iter()
            .filter(asking)
            .fold(IN_DELETE_SELF, |mask, (_, more)| mask | more);
        self.wd = Some(watches.add(epoll, Place::Itself(fd), mask, listener)?);
        if !self.look.is_directory() || !asked.contains(VnodeFlags::DELETE) {
            return Ok(());
        }
        match watches.add(epoll, Place::Parent(fd), OF_PARENT, listener) {
            Ok(wd) => {
                let old = self.parent.replace(wd).filter(|old| *old != wd);
                if let Some(old) = old {
                    watches.remove(old, listener);
                }
                Ok(())
            }
            // Whoever may not read the parent is not told what happens there.
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn release(&self, watches: &mut Watches, ident: usize) {
        for wd in [self.wd, self.parent].into_iter().flatten() {
            watches.remove(wd, listener(ident));
        }
    }

    /// Takes in a notice about the file itself; `now` is what the file is like now.
    fn absorb(&mut self, mask: u32, named: bool, now: &Look) {
        let bits = if named {
            self.absorb_entry(mask, now)
        } else {
            self.absorb_own(mask, now)
        };
        self.happened |= bits & self.asked;
    }

    /// A notice about an entry of the directory.
    fn absorb_entry(&mut self, mask: u32, now: &Look) -> VnodeFlags {
        if mask & ENTRIES == 0 {
            return VnodeFlags::empty();
        }
        let mut bits = VnodeFlags::WRITE | self.absorb_size(now) | self.absorb_links(now);
        // A directory that is new has a link to this one, and takes it along when it goes. Not all
        // file systems count those.
        if mask & IN_ISDIR != 0 && mask & (IN_CREATE | IN_DELETE) != 0 {
            bits |= VnodeFlags::LINK;
        }
        bits
    }

    /// A notice about the file, or about the directory itself.
    fn absorb_own(&mut self, mask: u32, now: &Look) -> VnodeFlags {
        let mut bits = VnodeFlags::empty();
        if mask & IN_MODIFY != 0 {
            bits |= VnodeFlags::WRITE | self.absorb_size(now);
        }
        if mask & IN_ATTRIB != 0 {
            let links = self.absorb_links(now);
            if links.is_empty() || !now.has_attributes_of(&self.look) {
                bits |= VnodeFlags::ATTRIB;
            }
            bits |= links;
            self.look.take_attributes(now);
        }
        for (flag, notice) in [
            (VnodeFlags::RENAME, IN_MOVE_SELF),
            (VnodeFlags::OPEN, IN_OPEN),
            (VnodeFlags::CLOSE, IN_CLOSE_NOWRITE),
            (VnodeFlags::CLOSE_WRITE, IN_CLOSE_WRITE),
            (VnodeFlags::READ, IN_ACCESS),
        ] {
            if mask & notice != 0 {
                bits |= flag;
            }
        }
        bits
    }

    fn absorb_size(&mut self, now: &Look) -> VnodeFlags {
        let was = std::mem::replace(&mut self.look.size, now.size);
        if now.size > was {
            VnodeFlags::EXTEND
        } else {
            VnodeFlags::empty()
        }
    }

    fn absorb_links(&mut self, now: &Look) -> VnodeFlags {
        let was = std::mem::replace(&mut self.look.links, now.links);
        match now.links {
            links if links == was => VnodeFlags::empty(),
            0 => VnodeFlags::LINK | VnodeFlags::DELETE,
            _ => VnodeFlags::LINK,
        }
    }

    /// Notices were lost: whatever may have happened has happened (K239).
    fn absorb_anything(&mut self, now: &Look) {
        let bits =
            VnodeFlags::WRITE | VnodeFlags::ATTRIB | self.absorb_size(now) | self.absorb_links(now);
        self.look.take_attributes(now);
        self.happened |= bits & self.asked;
    }

    /// What there is to report.
    fn report(&self) -> VnodeFlags {
        self.happened & self.asked
    }

    /// Has it in the list of active knotes, or not.
    fn enqueue(&mut self, ident: usize, active: &mut Active) {
        if !self.knote.is_enabled() || self.report().is_empty() {
            active.cancel(self.queued.take());
        } else if self.queued.is_none() {
            self.queued = Some(active.push(Filter::VNODE, ident));
        }
    }
}

impl Vnodes {
    /// Applies a change.
    pub(super) fn change(
        &mut self,
        epoll: &OwnedFd,
        watches: &mut Watches,
        change: &Kevent,
        active: &mut Active,
    ) -> io::Result<()> {
        let (ident, flags) = (change.ident(), change.flags());
        let fd = RawFd::try_from(ident).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        self.check(watches, ident, active);
        let now = Look::at(fd)?;
        if flags.contains(EventFlags::DELETE) {
            return self
                .remove(watches, ident, active)
                .ok_or_else(no_such_knote);
        }
        let asked = VnodeFlags::from_bits_retain(change.fflags());
        if let Some(known) = self.knotes.get_mut(&ident) {
            refuse_unknown(asked)?;
            if !known.asked.contains(asked) {
                known.watch(epoll, watches, ident, asked)?;
            }
            known.knote.modify(change);
            known.asked = asked;
            known.enqueue(ident, active);
            return Ok(());
        }
        if !flags.contains(EventFlags::ADD) {
            return Err(no_such_knote());
        }
        // inotify would watch sockets, pipes and devices too, and say nothing ever (K234).
        if !matches!(now.file_type(), libc::S_IFREG | libc::S_IFDIR) {
            return Err(invalid());
        }
        refuse_unknown(asked)?;
        let mut vnode = Vnode::new(change, asked, now);
        if let Err(error) = vnode.watch(epoll, watches, ident, asked) {
            vnode.release(watches, ident);
            return Err(error);
        }
        self.knotes.insert(ident, vnode);
        Ok(())
    }

    /// Removes the knote of a descriptor that names another file by now, or none; returns what its
    /// own file is like otherwise.
    fn check(&mut self, watches: &mut Watches, ident: usize, active: &mut Active) -> Option<Look> {
        let now = self.knotes.get(&ident)?.look.again(ident as RawFd);
        if now.is_none() {
            self.remove(watches, ident, active);
        }
        now
    }

    fn remove(&mut self, watches: &mut Watches, ident: usize, active: &mut Active) -> Option<()> {
        let vnode = self.knotes.remove(&ident)?;
        active.cancel(vnode.queued);
        vnode.release(watches, ident);
        Some(())
    }

    /// Something has happened to the file of a knote, or in the parent of its directory.
    pub(super) fn notice(
        &mut self,
        epoll: &OwnedFd,
        watches: &mut Watches,
        ident: usize,
        notice: &Notice,
        active: &mut Active,
    ) {
        let Some(now) = self.check(watches, ident, active) else {
            return;
        };
        let Some(vnode) = self.knotes.get_mut(&ident) else {
            return;
        };
        if vnode.wd == Some(notice.wd) {
            vnode.absorb(notice.mask, notice.named, &now);
        }
        if vnode.parent.is_some() {
            if now.links == 0 {
                let bits = vnode.absorb_links(&now);
                vnode.happened |= bits & vnode.asked;
            } else if notice.mask & IN_MOVE_SELF != 0 {
                // Where the new parent cannot be watched, the removal is not told.
                let _ = vnode.watch(epoll, watches, ident, vnode.asked);
            }
        }
        vnode.enqueue(ident, active);
    }

    /// The watch of a knote's file, or of the parent of its directory, is gone. It goes with the last name
    /// of a file, or with the last descriptor after that; and then a new file may have the inode already,
    /// and the number of the descriptor too (K100). A file that is deleted gets no name any more.
    pub(super) fn unwatched(
        &mut self,
        epoll: &OwnedFd,
        watches: &mut Watches,
        ident: usize,
        wd: Wd,
        active: &mut Active,
    ) {
        let Some(now) = self.check(watches, ident, active) else {
            return;
        };
        let Some(vnode) = self.knotes.get_mut(&ident) else {
            return;
        };
        if vnode.parent == Some(wd) {
            vnode.parent = None;
        }
        if vnode.wd != Some(wd) {
            return;
        }
        vnode.wd = None;
        if now.links > 0 {
            self.remove(watches, ident, active);
        } else {
            // Where that fails, what happens from now on is not told.
            let _ = vnode.watch(epoll, watches, ident, vnode.asked);
        }
    }

    /// Notices were lost.
    pub(super) fn overflow(&mut self, epoll: &OwnedFd, watches: &mut Watches, active: &mut Active) {
        for ident in self.knotes.keys().copied().collect::<Vec<_>>() {
            let now = self.check(watches, ident, active);
            if let (Some(vnode), Some(now)) = (self.knotes.get_mut(&ident), now) {
                vnode.absorb_anything(&now);
                // As above; it may have moved.
                let _ = vnode.watch(epoll, watches, ident, vnode.asked);
                vnode.enqueue(ident, active);
            }
        }
    }

    /// Makes the event of a knote that was found in the list of active ones.
    pub(super) fn collect(
        &mut self,
        watches: &mut Watches,
        ident: usize,
        serial: u64,
        active: &mut Active,
    ) -> Collected {
        let vnode = self.knotes.get_mut(&ident)?;
        if vnode.queued != Some(serial) {
            return None;
        }
        vnode.queued = None;
        self.check(watches, ident, active)?;
        let vnode = self.knotes.get_mut(&ident)?;
        let report = vnode.report();
        if report.is_empty() || !vnode.knote.is_enabled() {
            return None;
        }
        let event = vnode.knote.event(ident, Filter::VNODE, EventFlags::empty());
        if vnode.knote.is_clear() {
            vnode.happened = VnodeFlags::empty();
        }
        if vnode.knote.is_oneshot() {
            self.remove(watches, ident, active);
        } else {
            if vnode.knote.fires_once() {
                vnode.knote.disable();
            }
            vnode.enqueue(ident, active);
        }
        Some(event.with_fflags(report))
    }
}

fn listener(ident: usize) -> Listener {
    (Filter::VNODE, ident)
}

fn refuse_unknown(asked: VnodeFlags) -> io::Result<()> {
    if KNOWN.contains(asked) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOTSUP))
    }
}
