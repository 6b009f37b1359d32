//! Watching files and directories.

use std::os::fd::{AsFd, AsRawFd};

use bitflags::bitflags;
use nio_sys::{EventFlags, Filter, Kevent, VnodeFlags};

use crate::{Error, Poll, Subject, Token, watch::Watch};

bitflags! {
    /// Changes of a file: those that every system reports.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct FileChange: u32 {
        /// A name of the file was removed, or another file was given its name.
        const DELETED = VnodeFlags::DELETE.bits();
        /// The file was written to; an entry of the directory was made, removed or renamed.
        const WRITTEN = VnodeFlags::WRITE.bits();
        /// A write has made the file longer.
        const EXTENDED = VnodeFlags::EXTEND.bits();
        /// Its owner, permissions or times were changed.
        const ATTRIBUTES = VnodeFlags::ATTRIB.bits();
        /// A name of it was added or removed; a subdirectory was made or removed.
        const LINKED = VnodeFlags::LINK.bits();
        /// It was given another name.
        const RENAMED = VnodeFlags::RENAME.bits();
    }
}

impl FileChange {
    pub(crate) fn from_fflags(fflags: u32) -> FileChange {
        FileChange::from_bits_truncate(fflags)
    }
}

impl Poll {
    /// Watches the file or directory that is open as a descriptor, for reading at least. The watch is of
    /// the file, not of its name: it goes on when the file is renamed or removed, and does not report a
    /// new file with the old name. Several changes between two polls are one event.
    ///
    /// Deregister the file before the descriptor is closed.
    ///
    /// ```
    /// use std::{fs::File, io::Write};
    /// use nio_poll::{Events, FileChange, Poll, Token};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let path = std::env::temp_dir().join(format!("nio-poll-file-{}", std::process::id()));
    /// let mut written = File::create(&path)?;
    /// let watched = File::open(&path)?;
    /// let poll = Poll::new()?;
    /// poll.register_file(&watched, Token(1), FileChange::WRITTEN | FileChange::DELETED)?;
    ///
    /// written.write_all(b"hello")?;
    /// let mut events = Events::with_capacity(4);
    /// poll.poll(&mut events, None)?;
    /// assert_eq!(events.get(0).and_then(|event| event.file_changes()), Some(FileChange::WRITTEN));
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyRegistered`]; [`Error::Refused`] for a descriptor that is neither a file nor a
    /// directory (`EINVAL`), or at a limit on watches (Linux: `ENOMEM`, `EMFILE`).
    ///
    /// # Platform differences
    ///
    /// FreeBSD reports all changes of an operation if one of them is in `changes`. Linux needs permission to
    /// read the file, needs /proc, and takes up to one descriptor more for each poll.
    pub fn register_file(
        &self,
        file: &impl AsFd,
        token: Token,
        changes: FileChange,
    ) -> Result<(), Error> {
        let fd = file.as_fd().as_raw_fd();
        let knote = Kevent::vnode(file, EventFlags::ADD | EventFlags::CLEAR)
            .with_fflags(VnodeFlags::from_bits_retain(changes.bits()))
            .with_udata(token.0);
        self.watch(Subject::File(fd), Watch::new(knote))
    }

    /// Stops watching a file.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`], also if another file was registered under this number and closed.
    pub fn deregister_file(&self, file: &impl AsFd) -> Result<(), Error> {
        let fd = file.as_fd().as_raw_fd();
        self.unwatch(Subject::File(fd), Filter::VNODE, fd as usize)
    }
}
