//! EVFILT_VNODE: changes of files and directories, reported by inotify.
//!
//! The laws:
//!
//! 1. A knote is for the file that its descriptor names, also if the file is renamed or loses its names. When
//!    the number names another file or none, the knote is removed. No event reports a close, so the descriptor
//!    is checked before anything is reported (K98, K237).
//! 2. inotify reports that a file has changed; the knote finds the changes by comparing the file with its last
//!    state. They are kept until they are delivered, also while the knote is disabled (K240).

use std::{io, os::fd::RawFd};

use libc::{
    IN_ACCESS, IN_ATTRIB, IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_DELETE_SELF,
    IN_IGNORED, IN_ISDIR, IN_MODIFY, IN_MOVE_SELF, IN_MOVED_FROM, IN_MOVED_TO, IN_OPEN,
    IN_Q_OVERFLOW,
};

use super::{
    filterops::{Answer, Filterops, Host, Report},
    inotify::{FileState, Inode, Notice, Wd},
    knote::{descriptor, invalid, unsupported},
    watch::Watches,
};
use crate::{Kevent, VnodeFlags};

/// The flags that are accepted. Others are refused, as they would never be reported (K242). NOTE_REVOKE is
/// accepted though nothing reports it: on Linux no access to an open file is revoked.
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

/// An entry of a directory was made, removed or renamed.
const ENTRIES: u32 = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

/// The mask of the watch on the parent of a directory: only that watch reports that a directory was removed or
/// replaced (K231).
const OF_PARENT: u32 = IN_DELETE | IN_MOVED_TO;

/// The notice of inotify for each flag that is no more than a notice, of files and directories.
const SIMPLE: [(VnodeFlags, u32); 5] = [
    (VnodeFlags::RENAME, IN_MOVE_SELF),
    (VnodeFlags::OPEN, IN_OPEN),
    (VnodeFlags::CLOSE, IN_CLOSE_NOWRITE),
    (VnodeFlags::CLOSE_WRITE, IN_CLOSE_WRITE),
    (VnodeFlags::READ, IN_ACCESS),
];

/// The notices to ask for if a flag of these is asked for, of a file.
const OF_FILE: [(VnodeFlags, u32); 3] = [
    (VnodeFlags::WRITE.union(VnodeFlags::EXTEND), IN_MODIFY),
    (VnodeFlags::ATTRIB, IN_ATTRIB),
    // The number of links is an attribute; at 0 the file is deleted, though it is open.
    (VnodeFlags::LINK.union(VnodeFlags::DELETE), IN_ATTRIB),
];

/// The same for a directory. A write to a file in it is not asked for (K232).
const OF_DIRECTORY: [(VnodeFlags, u32); 3] = [
    (OF_FILE[0].0.union(VnodeFlags::LINK), ENTRIES),
    (VnodeFlags::ATTRIB, IN_ATTRIB),
    // After a move it has another parent to watch.
    (VnodeFlags::DELETE, IN_MOVE_SELF),
];

/// A file or directory that is watched.
#[derive(Debug)]
pub(super) struct Vnode {
    fd: RawFd,
    asked: VnodeFlags,
    happened: VnodeFlags,
    /// The last state of the file.
    state: FileState,
    wd: Option<Wd>,
    /// The watch on the parent of a directory.
    parent: Option<Wd>,
}

impl Vnode {
    /// EV_ADD of a new knote.
    pub(super) fn new(change: &Kevent, host: &mut Host<'_>) -> io::Result<Vnode> {
        let fd = descriptor(change)?;
        let state = FileState::of(fd)?;
        // inotify would accept sockets, pipes and devices, and never report anything (K234).
        if !matches!(state.file_type(), libc::S_IFREG | libc::S_IFDIR) {
            return Err(invalid());
        }
        let mut vnode = Vnode {
            fd,
            asked: asked(change)?,
            happened: VnodeFlags::empty(),
            state,
            wd: None,
            parent: None,
        };
        if let Err(error) = vnode.watch(host, vnode.asked) {
            vnode.detach(host.watches, host.id);
            return Err(error);
        }
        Ok(vnode)
    }

    /// Watches the file for the flags `asked`.
    fn watch(&mut self, host: &mut Host<'_>, asked: VnodeFlags) -> io::Result<()> {
        let table = if self.state.is_directory() {
            OF_DIRECTORY
        } else {
            OF_FILE
        };
        let wanted = table.into_iter().chain(SIMPLE);
        let wanted = wanted.filter(|(flags, _)| asked.intersects(*flags));
        // A mask must not be empty.
        let mask = wanted.fold(IN_DELETE_SELF, |mask, (_, bits)| mask | bits);
        host.watch(&mut self.wd, Inode::Of(self.fd), mask)?;
        if !self.state.is_directory() || !asked.contains(VnodeFlags::DELETE) {
            return Ok(());
        }
        match host.watch(&mut self.parent, Inode::ParentOf(self.fd), OF_PARENT) {
            // Without permission to read the parent, the removal is not reported.
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(()),
            result => result,
        }
    }

    /// Handles a notice about an entry of the directory; `now` is the state of the directory.
    fn absorb_entry(&mut self, mask: u32, now: &FileState) -> VnodeFlags {
        if mask & ENTRIES == 0 {
            return VnodeFlags::empty();
        }
        let mut bits = VnodeFlags::WRITE | self.absorb_size(now) | self.absorb_links(now);
        // A directory in this one is a link to it. Not all file systems count those links.
        if mask & IN_ISDIR != 0 && mask & (IN_CREATE | IN_DELETE) != 0 {
            bits |= VnodeFlags::LINK;
        }
        bits
    }

    /// Handles a notice about the file, or about the directory itself.
    fn absorb_own(&mut self, mask: u32, now: &FileState) -> VnodeFlags {
        let mut bits = VnodeFlags::empty();
        if mask & IN_MODIFY != 0 {
            bits |= VnodeFlags::WRITE | self.absorb_size(now);
        }
        if mask & IN_ATTRIB != 0 {
            let links = self.absorb_links(now);
            if links.is_empty() || !now.has_attributes_of(&self.state) {
                bits |= VnodeFlags::ATTRIB;
            }
            bits |= links;
            self.state.take_attributes(now);
        }
        for (flag, notice) in SIMPLE {
            if mask & notice != 0 {
                bits |= flag;
            }
        }
        bits
    }

    fn absorb_size(&mut self, now: &FileState) -> VnodeFlags {
        let was = std::mem::replace(&mut self.state.size, now.size);
        if now.size > was {
            VnodeFlags::EXTEND
        } else {
            VnodeFlags::empty()
        }
    }

    fn absorb_links(&mut self, now: &FileState) -> VnodeFlags {
        let was = std::mem::replace(&mut self.state.links, now.links);
        match now.links {
            links if links == was => VnodeFlags::empty(),
            0 => VnodeFlags::LINK | VnodeFlags::DELETE,
            _ => VnodeFlags::LINK,
        }
    }

    /// Notices were lost: everything that may have happened is reported (K239).
    fn absorb_anything(&mut self, now: &FileState) -> VnodeFlags {
        let bits =
            VnodeFlags::WRITE | VnodeFlags::ATTRIB | self.absorb_size(now) | self.absorb_links(now);
        self.state.take_attributes(now);
        bits
    }

    /// The watch of the file, or of the parent of the directory, has ended. The watch of a file ends with its
    /// last name, or after that with its last descriptor; then a new file may have the same inode and the same
    /// descriptor (K100). A deleted file cannot have a name again.
    fn unwatched(&mut self, wd: Wd, now: &FileState, host: &mut Host<'_>) {
        if self.parent == Some(wd) {
            self.parent = None;
        }
        if self.wd == Some(wd) {
            self.wd = None;
            if now.links > 0 {
                self.state.forget();
            } else {
                // If that fails, later changes are not reported.
                let _ = self.watch(host, self.asked);
            }
        }
    }
}

impl Filterops for Vnode {
    fn is_named(&self, watches: &mut Watches) -> bool {
        self.state.is_of(self.fd, self.wd, watches)
    }

    fn touch(&mut self, change: &Kevent, host: &mut Host<'_>) -> io::Result<()> {
        let asked = asked(change)?;
        if !self.asked.contains(asked) {
            self.watch(host, asked)?;
        }
        self.asked = asked;
        Ok(())
    }

    fn report(&mut self) -> Answer {
        let bits = self.happened & self.asked;
        if bits.is_empty() {
            return Answer::Nothing;
        }
        Answer::Event(Report {
            fflags: bits.bits(),
            ..Report::default()
        })
    }

    fn clear(&mut self) {
        self.happened = VnodeFlags::empty();
    }

    fn notice(&mut self, notice: &Notice, host: &mut Host<'_>) -> bool {
        let Ok(now) = FileState::of(self.fd) else {
            return false;
        };
        if notice.mask & IN_IGNORED != 0 {
            self.unwatched(notice.wd, &now, host);
            return false;
        }
        let mut bits = VnodeFlags::empty();
        if notice.mask & IN_Q_OVERFLOW != 0 {
            bits |= self.absorb_anything(&now);
        } else if self.wd == Some(notice.wd) && notice.named {
            bits |= self.absorb_entry(notice.mask, &now);
        } else if self.wd == Some(notice.wd) {
            bits |= self.absorb_own(notice.mask, &now);
        }
        if self.parent.is_some() && now.links == 0 {
            bits |= self.absorb_links(&now);
        } else if notice.mask & IN_Q_OVERFLOW != 0
            || self.parent.is_some() && notice.mask & IN_MOVE_SELF != 0
        {
            // The directory may have another parent. If that cannot be watched, the removal is not reported.
            let _ = self.watch(host, self.asked);
        }
        self.happened |= bits & self.asked;
        bits.intersects(self.asked)
    }

    fn detach(&mut self, watches: &mut Watches, id: u32) {
        for wd in [self.wd.take(), self.parent.take()].into_iter().flatten() {
            watches.remove(wd, id);
        }
    }
}

/// The flags that a change asks for.
fn asked(change: &Kevent) -> io::Result<VnodeFlags> {
    let asked = VnodeFlags::from_bits_retain(change.fflags());
    if KNOWN.contains(asked) {
        Ok(asked)
    } else {
        Err(unsupported())
    }
}
